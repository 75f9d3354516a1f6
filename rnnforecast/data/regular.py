"""Regular series laid on their grid without being sorted, for tables of many millions of rows.

Where the times of a series lie a step apart, each row's place follows from its time alone. What is
not as regular as that is left for `gridding.build_panel`, which gives the same panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnnforecast.arrays import FloatArray, IntArray, ends_of
from rnnforecast.data.calendar import Frequency, infer_frequency
from rnnforecast.data.gridding import SPARSEST
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY

Keys = npt.NDArray[np.int32]
# Months may be as short as this, and have no one length.
MONTH = 28 * DAY
# How many times the rows a panel may hold values, most of them then missing.
WIDEST = 2


class Block(NamedTuple):
    """Neighbouring rows of a table and one of its targets.

    They are few enough that what is computed of them stays in cache.

    Attributes:
        keys: The index of the series of each row [row].
        times: The time of each row [row].
        values: The observation of each row, NaN where missing [row].
    """

    keys: Keys
    times: IntArray
    values: FloatArray


def regular_panel(
    blocks: Sequence[Block],
    ids: Sequence[str],
    *,
    integer: bool,
    frequency: Frequency | None = None,
) -> Panel | None:
    """What `build_panel` makes of rows of naive times, or None where they are not regular enough.

    Args:
        blocks: All rows.
        ids: The names of the series, each of which has a row.
        integer: Whether times are integer steps rather than timestamps.
        frequency: The one to hold the rows to; None finds it.
    """
    if frequency is not None and frequency.offset:
        return None
    blocks, ids = _observed(blocks, ids)
    if not ids:
        return None
    first, last, counts = _spans(blocks, len(ids))
    found = frequency or _frequency(blocks, int(np.argmax(counts)), integer=integer)
    if found is None or found.unit != ("step" if integer else "microsecond"):
        return None
    if not integer and found.count >= MONTH:
        return None
    lengths = (last - first) // found.count + 1
    offsets = ends_of(lengths)
    count = int(counts.sum())
    if not count <= offsets[-1] <= WIDEST * count:
        return None
    # Days that are left out may be those of a calendar.
    if offsets[-1] > count and not integer and found.count % DAY == 0:
        return None
    laid = _lay(blocks, first, offsets, found.count)
    if laid is None or not _agree(laid.there, offsets, counts):
        return None
    observed = ~np.isnan(laid.values)
    counts = np.add.reduceat(observed, offsets[:-1], dtype=np.int64)
    if (counts < SPARSEST * lengths).any():
        return None
    if not (observed[offsets[:-1]].all() and observed[offsets[1:] - 1].all()):
        return None
    date_only = not integer and found.count % DAY == 0 and not bool(np.any(first % DAY))
    return Panel(
        ids=tuple(ids),
        values=laid.values,
        offsets=offsets,
        starts=first,
        frequency=replace(found, date_only=date_only),
    )


def _observed(blocks: Sequence[Block], ids: Sequence[str]) -> tuple[Sequence[Block], Sequence[str]]:
    """The same without the series of which no value is observed."""
    observed = np.zeros(len(ids), dtype=np.bool_)
    for block in blocks:
        observed[block.keys[~np.isnan(block.values)]] = True
    if observed.all():
        return blocks, ids
    renumbered = (np.cumsum(observed) - 1).astype(np.int32)
    kept = []
    for block in blocks:
        rows = observed[block.keys]
        keys = renumbered[block.keys[rows]]
        kept.append(Block(keys, block.times[rows], block.values[rows]))
    return kept, tuple(compress(ids, observed))


class _Laid(NamedTuple):
    """The grid: its values, and where there is a row."""

    values: FloatArray
    there: npt.NDArray[np.bool_]


def _spans(blocks: Sequence[Block], count: int) -> tuple[IntArray, IntArray, IntArray]:
    """The first and the last time, and the number of rows, of each series."""
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, np.iinfo(np.int64).min)
    counts = np.zeros(count, dtype=np.int64)
    for block in blocks:
        np.minimum.at(first, block.keys, block.times)
        np.maximum.at(last, block.keys, block.times)
        np.add.at(counts, block.keys, 1)
    return first, last, counts


def _frequency(blocks: Sequence[Block], key: int, *, integer: bool) -> Frequency | None:
    """The frequency of one series."""
    times = np.sort(np.concatenate([block.times[block.keys == key] for block in blocks]))
    if np.any(times[1:] == times[:-1]):
        return None
    return infer_frequency(times, np.array([0, len(times)]), integer=integer)


def _lay(blocks: Sequence[Block], first: IntArray, offsets: IntArray, step: int) -> _Laid | None:
    """All values in their places; None where a time lies between two, or stands twice."""
    values = np.full(offsets[-1], np.nan)
    there = np.zeros(len(values), dtype=np.bool_)
    for block in blocks:
        distances = block.times - first[block.keys]
        steps = distances // step
        if not np.array_equal(steps * step, distances):
            return None
        places = offsets[block.keys] + steps
        values[places] = block.values
        there[places] = True
    rows = sum(len(block.keys) for block in blocks)
    return _Laid(values, there) if np.count_nonzero(there) == rows else None


def _agree(there: npt.NDArray[np.bool_], offsets: IntArray, counts: IntArray) -> bool:
    """Whether more than half of the distances of each series are of one step."""
    if len(there) == counts.sum():
        return True
    # Neighbours that are both there; no series ends on a place that is not.
    beside = np.zeros(len(there) + 1, dtype=np.int64)
    np.cumsum(there[1:] & there[:-1], out=beside[2:])
    within = beside[offsets[1:]] - beside[np.minimum(offsets[:-1] + 1, offsets[1:])]
    return bool((2 * within > counts - 1)[counts > 1].all())
