"""Which of two times a row is of, by the rows beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnforecast.arrays import IntArray
from rnnforecast.data.faults import RowError
from rnnforecast.data.localising import localise

# Clocks in Paris were set back from 03:00 to 02:00 on this day, and forward over 02:00 on that.
AUTUMN, SPRING = "2018-10-28", "2018-03-25"


def micros(texts: Sequence[str]) -> IntArray:
    return pd.DatetimeIndex(texts).to_numpy(dtype="datetime64[us]").astype(np.int64)


def utc(day: str, clock: str, keys: Sequence[int] | None = None) -> list[str]:
    """The hours and minutes of UTC at which rows of one day stand; a day may lie before a time."""
    texts = [each if "T" in each else f"{day}T{each}" for each in clock.split()]
    series = np.array(keys or [0] * len(texts))
    found = localise(micros(texts), series, "Europe/Paris").astype("datetime64[us]")
    return [str(time)[11:16] for time in found]


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("01:00 02:00 02:00 03:00", "23:00 00:00 01:00 02:00"),
        ("03:00 02:00 02:00 01:00", "02:00 01:00 00:00 23:00"),
        ("01:30 02:00 02:30 02:00 02:30 03:00", "23:30 00:00 00:30 01:00 01:30 02:00"),
        # A row is missing on either side of the change.
        ("01:00 01:30 02:00 02:00 02:30 03:00", "23:00 23:30 00:00 01:00 01:30 02:00"),
        ("01:30 02:00 02:30 02:30 03:00", "23:30 00:00 00:30 01:30 02:00"),
        # A series begins or ends at one of the two.
        ("00:00 01:00 02:00", "22:00 23:00 00:00"),
        ("02:00 03:00 04:00", "01:00 02:00 03:00"),
        ("00:00 02:00 03:00 05:00", "22:00 00:00 02:00 04:00"),
        # What lies after is further away than a step.
        ("01:00 01:30 02:00 05:00", "23:00 23:30 00:00 04:00"),
    ],
)
def test_localise_tells_two_times_apart_when_rows_beside_them_do(clock: str, expected: str) -> None:
    assert utc(AUTUMN, clock) == expected.split()


def test_localise_goes_by_series_when_their_rows_alternate() -> None:
    found = utc(AUTUMN, "01:00 01:00 02:00 02:00 02:00 02:00 03:00 03:00", [0, 1] * 4)
    assert found == "23:00 23:00 00:00 00:00 01:00 01:00 02:00 02:00".split()
    found = utc(AUTUMN, "01:00 02:00 02:00 01:00 02:00 02:00", [0] * 3 + [1] * 3)
    assert found == "23:00 00:00 01:00".split() * 2


@pytest.mark.parametrize(
    ("clock", "row"),
    [
        ("01:00 02:00 03:00 04:00", 1),
        ("00:00 01:00 02:00 02:00 02:00 03:00", 3),
        ("02:00 01:00 05:00 02:00 03:00 04:00", 0),
        ("01:00 01:30 02:00 02:30 03:00", 2),
        ("00:00 00:30 02:00 05:00", 2),
    ],
)
def test_localise_raises_with_the_row_when_rows_do_not_tell(clock: str, row: int) -> None:
    with pytest.raises(RowError, match="show this time twice, .* write times with their") as error:
        utc(AUTUMN, clock)
    assert error.value.row == row


def test_localise_raises_with_the_row_when_clocks_leave_the_time_out() -> None:
    with pytest.raises(RowError, match="Europe/Paris are set forward over this time") as error:
        utc(SPRING, "01:00 02:00 03:00")
    assert error.value.row == 1


def test_localise_takes_the_first_time_and_the_change_when_a_series_has_one_row_a_day() -> None:
    daily = "2018-03-24T02:30 2018-03-25T02:30 2018-10-28T02:30 2018-10-29T02:30"
    assert utc("", daily) == ["01:30", "01:00", "00:30", "01:30"]


def test_localise_keeps_series_apart_when_one_counts_days_and_one_hours() -> None:
    rows = "2018-10-27T02:00 01:00 2018-10-28T02:00 02:00 02:00 03:00"
    assert utc(AUTUMN, rows, [0, 1, 0, 1, 1, 1]) == "00:00 23:00 00:00 00:00 01:00 02:00".split()


class Counted(np.ndarray):
    """Keys that count how many of them are looked up."""

    looked_up = 0

    def __getitem__(self, index: Any) -> Any:
        found = np.asarray(self)[index]
        Counted.looked_up += np.size(found)
        return found


def test_localise_looks_keys_up_as_often_as_there_are_rows_when_series_are_many() -> None:
    count, clock = 300, [f"{AUTUMN}T{hour}" for hour in ("01:00", "02:00", "02:00", "03:00")]
    keys = np.repeat(np.arange(count), len(clock))
    Counted.looked_up = 0
    localise(np.tile(micros(clock), count), keys.view(Counted), "Europe/Paris")
    assert 0 < Counted.looked_up <= 10 * len(keys)


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC"])
def test_localise_returns_no_rows_when_there_are_none(zone: str) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert localise(none, none, zone).tolist() == []
