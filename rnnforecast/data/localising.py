"""Local times of a zone, written without offsets, as instants: the order of rows decides."""

from __future__ import annotations

import numpy as np

from rnnforecast.arrays import BoolArray, IntArray
from rnnforecast.data.calendar import most_common
from rnnforecast.data.faults import RowError
from rnnforecast.data.time_units import DAY
from rnnforecast.data.zones import around, from_local


def localise(local: IntArray, keys: IntArray, zone: str) -> IntArray:
    """The instants of local times; `keys` count the series from 0 on, as they are read [row].

    Of an hour that clocks show twice, the rows of a series stand there once and then again; where
    it has one of the two only, this is the one that joins the rows beside it. A series whose rows
    all have one time of day counts days: it has the first of two such times, and for a time that
    clocks leave out the moment at which they are set forward.

    Raises:
        RowError: Clocks leave a time of another series out, or which of two it is cannot be told.
    """
    instants = from_local(local, zone)
    changes, early, late = around(local, zone)
    in_hours = _in_hours(local, keys)
    left_out = (early > late) & in_hours
    if left_out.any():
        raise RowError(
            int(np.argmax(left_out)),
            f"clocks in {zone} are set forward over this time; correct it, or pass as --time-zone "
            "the zone that it is of",
        )
    twice = (early < late) & in_hours
    again = local - changes.offsets[late]
    order = np.argsort(keys, kind="stable")
    found = np.unique(keys[twice])
    begins, ends = np.searchsorted(keys[order], [found, found + 1])
    for begin, end in zip(begins, ends, strict=True):
        rows = order[begin:end]
        if local[rows[-1]] < local[rows[0]]:
            rows = rows[::-1]
        # Rows of one change stand together, and of two changes have other offsets.
        shown = np.flatnonzero(twice[rows])
        new = (np.diff(shown) > 1) | (np.diff(early[rows[shown]]) != 0)
        for run in np.split(shown, np.flatnonzero(new) + 1):
            later = _is_later(instants[rows], again[rows], run)
            if later is None:
                raise _untold(int(rows[run[0]]), zone)
            chosen = rows[run[later]]
            instants[chosen] = again[chosen]
        ascends = np.diff(instants[rows]) > 0
        told = (np.append(True, ascends) & np.append(ascends, True))[shown]
        if not told.all():
            raise _untold(int(rows[shown[np.argmin(told)]]), zone)
    return instants


def _untold(row: int, zone: str) -> RowError:
    return RowError(
        row,
        f"clocks in {zone} show this time twice, and the rows beside it do not tell which of the "
        "two it is; write times with their offsets from UTC, such as +01:00",
    )


def _in_hours(local: IntArray, keys: IntArray) -> BoolArray:
    """Which rows are of series with more than one time of day [row]."""
    phases = local % DAY
    first = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.int64)
    first[keys[::-1]] = phases[::-1]
    return (np.bincount(keys, weights=phases != first[keys]) > 0)[keys]


def _is_later(first: IntArray, again: IntArray, run: IntArray) -> BoolArray | None:
    """Which rows at `run` in a series, of times that clocks show twice, are of the second time.

    None where that cannot be told; `first` and `again` are the instants of both [row].
    """
    back = np.flatnonzero(np.diff(first[run]) <= 0)
    if len(back):
        later: BoolArray = np.arange(len(run)) > back[0]
        return later
    step, begin, end = most_common(np.diff(first)), run[0], run[-1]
    joins = [
        (begin > 0 and either[begin] - first[begin - 1] == step)
        or (end + 1 < len(first) and first[end + 1] - either[end] == step)
        for either in (first, again)
    ]
    return None if joins[0] == joins[1] else np.full(len(run), joins[1], dtype=bool)
