"""Rows laid on a regular grid of time: from a long table to a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.data.calendar import DAY, Frequency, OffGridError, infer_frequency, most_common
from rnnforecast.data.panel import Panel
from rnnforecast.errors import DataError

SPARSEST = 0.02


class RowError(DataError):
    """A fault of one row of the long table; `row` counts from 0 in the order of reading."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


class Gridded(NamedTuple):
    """A panel, and where the rows of the long table went.

    Attributes:
        panel: The series.
        series: The index of the series of each row, in the order of reading [row].
        positions: Steps after the first observed value of that series; negative before it, and
            beyond its length after the last one [row].
    """

    panel: Panel
    series: IntArray
    positions: IntArray


def build_panel(
    *,
    keys: IntArray,
    ids: Sequence[str],
    times: IntArray,
    values: FloatArray,
    integer: bool,
    offset: str = "",
    frequency: Frequency | None = None,
) -> Gridded:
    """Order rows by series and time, check that each series is regular, and fill gaps with NaN.

    Args:
        keys: The index in `ids` of the series of each row [row].
        ids: The names of the series.
        times: The time of each row [row].
        values: The observation of each row, NaN where missing [row].
        integer: Whether times are integer steps rather than timestamps.
        offset: The offset from UTC of the times, as ISO 8601 writes it.
        frequency: The one to hold the rows to; None finds it.

    Raises:
        RowError: Two rows have one key, or a time does not fit the frequency.
        DataError: A series has no observed value, or the frequency cannot be found.
    """
    order = np.lexsort((times, keys))
    keys, times, values = keys[order], times[order], values[order]
    twice = (np.diff(keys) == 0) & (np.diff(times) == 0)
    if twice.any():
        at = int(np.argmax(twice))
        row = int(max(order[at], order[at + 1]))
        raise RowError(
            row, f"series '{ids[int(keys[at])]}' has this time twice; remove one of the rows"
        )
    offsets = _offsets(keys, len(ids))
    must = "has" if frequency is None else "must, for this model, have"
    if frequency is not None and integer != (frequency.unit == "step"):
        raise DataError(
            f"the model was trained on times one a {frequency}, which these are not; "
            "pass data of that frequency or train again"
        )
    frequency = frequency or infer_frequency(times, offsets, integer=integer)
    if frequency is None:
        raise DataError(
            "no series has two rows, so the frequency cannot be found; pass a file with more rows"
        )
    date_only = not integer and not bool(np.any(times % DAY))
    frequency = replace(frequency, offset=offset, date_only=date_only)
    if frequency.unit in ("step", "microsecond"):
        _check_agreement(frequency, frequency.count, times, times, ids, offsets, order)
    firsts = np.repeat(times[offsets[:-1]], np.diff(offsets))
    try:
        positions = frequency.positions(times, firsts)
    except OffGridError as error:
        raise RowError(
            int(order[error.row]),
            f"series '{ids[int(keys[error.row])]}' {must} a row every {frequency}, but this one "
            "lies between two; correct the time, or aggregate the rows to regular steps",
        ) from None
    if frequency.unit in ("month", "business-day"):
        _check_agreement(frequency, 1, positions, times, ids, offsets, order)
    panel = _fill(ids, keys, positions, values, times[offsets[:-1]], frequency)
    first_observed = frequency.positions(panel.starts, times[offsets[:-1]])
    places = np.empty_like(positions)
    places[order] = positions - first_observed[keys]
    series = np.empty_like(keys)
    series[order] = keys
    return Gridded(panel, series, places)


def _offsets(keys: IntArray, count: int) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=count))]).astype(np.int64)


def _check_agreement(
    frequency: Frequency,
    step: int,
    places: IntArray,
    times: IntArray,
    ids: Sequence[str],
    offsets: IntArray,
    order: IntArray,
) -> None:
    """Raise RowError for a series whose `places` keep to another step than the common one."""
    for index in range(len(ids)):
        rows = slice(offsets[index], offsets[index + 1])
        distances = np.diff(places[rows])
        if len(distances) < 3 or (own := most_common(distances)) == step:
            continue
        # Where no distance prevails, the series has many gaps rather than another step.
        if np.mean(distances == own) >= 0.5:
            bounds = np.array([0, len(distances) + 1])
            other = infer_frequency(times[rows], bounds, integer=frequency.unit == "step")
            raise RowError(
                int(order[offsets[index]]),
                f"series '{ids[index]}' has a row every {other}, the others every {frequency}; "
                "all series of a file must have one frequency",
            )


def _fill(
    ids: Sequence[str],
    keys: IntArray,
    positions: IntArray,
    values: FloatArray,
    starts: IntArray,
    frequency: Frequency,
) -> Panel:
    """Lay the observed rows on the grid, from the first to the last one of each series."""
    observed = ~np.isnan(values)
    keys, positions, values = keys[observed], positions[observed], values[observed]
    counts = np.bincount(keys, minlength=len(ids))
    if (counts == 0).any():
        empty = [name for name, count in zip(ids, counts, strict=True) if count == 0]
        shown = ", ".join(f"'{name}'" for name in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise DataError(
            f"series {shown}{more}: no value is observed; remove the series or fill in its values"
        )
    ends = np.cumsum(counts)
    first, last = positions[ends - counts], positions[ends - 1]
    lengths = last - first + 1
    sparse = (counts < SPARSEST * lengths) & (lengths > 1000)
    if sparse.any():
        at = int(np.argmax(sparse))
        raise DataError(
            f"series '{ids[at]}': only {counts[at]} of {lengths[at]} values are there at one a "
            f"{frequency}; correct its times, or aggregate the rows to longer steps"
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.full(int(offsets[-1]), np.nan)
    flat[offsets[keys] + positions - first[keys]] = values
    return Panel(
        ids=tuple(ids),
        values=flat,
        offsets=offsets,
        starts=frequency.times(starts, first),
        frequency=frequency,
    )
