"""Rows laid on a regular grid of time: from a long table to a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray, ends_of
from rnnforecast.data.calendar import Frequency, OffGridError, infer_frequency
from rnnforecast.data.faults import RowError
from rnnforecast.data.grid_faults import (
    OrderedRows,
    check_steps,
    check_unique,
    irregular,
    none_observed,
    off_grid,
    other_frequency,
    too_few,
    too_sparse,
)
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import DataError

SPARSEST = 0.02


class Gridded(NamedTuple):
    """A panel, and where the rows of the long table went.

    Attributes:
        panel: The series.
        series: The index of the series of each row, -1 where it is left out, in the order of
            reading [row].
        positions: Steps after the first observed value of that series; negative before it, and
            beyond its length after the last one; 0 where it is left out [row].
        unobserved: The ids of series that are left out, as they have no observed value.
    """

    panel: Panel
    series: IntArray
    positions: IntArray
    unobserved: tuple[str, ...]


def build_panel(
    *,
    keys: IntArray,
    ids: Sequence[str],
    times: IntArray,
    values: FloatArray,
    integer: bool,
    offset: str = "",
    frequency: Frequency | None = None,
    joined: bool = False,
) -> Gridded:
    """Order rows by series and time, check that each series is regular, and fill gaps with NaN.

    Series without an observed value are left out: there is nothing to forecast them from.

    Args:
        keys: The index in `ids` of the series of each row [row].
        ids: The names of the series.
        times: The time of each row [row].
        values: The observation of each row, NaN where missing [row].
        integer: Whether times are integer steps rather than timestamps.
        offset: The offset from UTC of the times, as ISO 8601 writes it.
        frequency: The one to hold the rows to; None finds it.
        joined: Whether rows were joined to steps of `frequency`: those of one time have one value,
            and a series may have any distances.

    Raises:
        RowError: Two rows have one key, or a time does not fit the frequency.
        DataError: No series has an observed value, or the frequency cannot be found.
    """
    count = len(keys)
    observed = np.bincount(keys, weights=~np.isnan(values), minlength=len(ids)) > 0
    if not observed.any():
        raise none_observed(ids)
    order = np.lexsort((times, keys))
    order = order[observed[keys[order]]]
    keys, times, values = (np.cumsum(observed) - 1)[keys[order]], times[order], values[order]
    left_out, ids = tuple(compress(ids, ~observed)), tuple(compress(ids, observed))
    offsets = ends_of(np.bincount(keys, minlength=len(ids)))
    rows = OrderedRows(keys=keys, ids=ids, times=times, order=order, offsets=offsets)
    if not joined:
        check_unique(rows, naive=not integer and not offset)
    if frequency is not None and integer != (frequency.unit == "step"):
        raise DataError(
            f"the model was trained on one value every {frequency}, which these are not; "
            "pass data of that frequency or train again"
        )
    trained = frequency is not None
    frequency = frequency or infer_frequency(times, offsets, integer=integer, clock=offset)
    if frequency is None:
        raise too_few(rows)
    frequency = replace(frequency, offset=offset)
    times = frequency.counted(times)
    rows = replace(rows, times=times)
    if frequency.by_clock and not joined:
        check_unique(rows, naive=False)
    date_only = not integer and not bool(np.any(times % DAY))
    frequency = replace(frequency, date_only=date_only)
    if joined:
        positions = frequency.positions(times, times[offsets[:-1]][keys])
    else:
        positions = _positions(rows, frequency, trained=trained)
    panel = _fill(rows, positions, values, frequency)
    first_observed = frequency.positions(panel.starts, times[offsets[:-1]])
    places = np.zeros(count, dtype=np.int64)
    places[order] = positions - first_observed[keys]
    series = np.full(count, -1)
    series[order] = keys
    return Gridded(panel, series, places, left_out)


def _positions(rows: OrderedRows, frequency: Frequency, *, trained: bool) -> IntArray:
    """How many steps after the first row of its series each row lies [row].

    The steps are those of a model if `trained`.
    """
    firsts = np.repeat(rows.times[rows.offsets[:-1]], np.diff(rows.offsets))
    fixed = frequency.unit in ("step", "microsecond")
    try:
        if fixed:
            check_steps(rows, frequency, frequency.count, rows.times, trained=trained)
        positions = frequency.positions(rows.times, firsts)
        if not fixed:
            check_steps(rows, frequency, 1, positions, trained=trained)
    except OffGridError:
        better = other_frequency if trained else irregular
        other = better(rows, frequency) or off_grid(rows, frequency, firsts, trained=trained)
        raise other from None
    except RowError as error:
        # A model keeps to its step: none that would suit the rows better is any use.
        raise (None if trained else irregular(rows, frequency)) or error from None
    return positions


def _fill(
    rows: OrderedRows, positions: IntArray, values: FloatArray, frequency: Frequency
) -> Panel:
    """Lay the observed rows on the grid, from the first to the last one of each series."""
    ids, starts = rows.ids, rows.times[rows.offsets[:-1]]
    observed = ~np.isnan(values)
    keys, positions, values = rows.keys[observed], positions[observed], values[observed]
    counts = np.bincount(keys, minlength=len(ids))
    ends = np.cumsum(counts)
    first, last = positions[ends - counts], positions[ends - 1]
    lengths = last - first + 1
    sparse = (counts < SPARSEST * lengths) & (lengths > 1000)
    if sparse.any():
        at = int(np.argmax(sparse))
        raise too_sparse(rows, at, f"only {counts[at]} of {lengths[at]}", frequency)
    offsets = ends_of(lengths)
    flat = np.full(int(offsets[-1]), np.nan)
    flat[offsets[keys] + positions - first[keys]] = values
    return Panel(
        ids=tuple(ids),
        values=flat,
        offsets=offsets,
        starts=frequency.times(starts, first),
        frequency=frequency,
    )
