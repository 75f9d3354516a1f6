"""Formats of times, checked against pandas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from rnnforecast.arrays import IntArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import DAY
from rnnforecast.data.timestamps import BECAME_UTC, Times, parse_times, repeated
from rnnforecast.errors import ConfigError, DataError

HOUR = DAY // 24
DAYS = pd.date_range("2020-01-25", periods=20)
HOURS = pd.date_range("2020-01-25 18:00", periods=20, freq="h")
MONTHS = pd.date_range("2019-03-01", periods=30, freq="MS")


def micros(index: pd.DatetimeIndex) -> IntArray:
    return index.to_numpy(dtype="datetime64[us]").astype(np.int64)


def column(cells: Sequence[object]) -> pd.Series[str]:
    return pd.Series([str(cell) for cell in cells], dtype="str")


def parse(cells: Sequence[object], time_format: str | None = None) -> tuple[IntArray, bool, str]:
    parsed = parse_times(column(cells), time_format)
    assert not isinstance(parsed, int), f"row {parsed} was not read"
    return parsed[:3]


@pytest.mark.parametrize(
    ("index", "written"),
    [
        (DAYS, "%Y-%m-%d"),
        (DAYS, "%Y-%m-%dT00:00:00"),
        (DAYS, "%Y%m%d"),
        (DAYS, "%d/%m/%Y"),
        (DAYS, "%m/%d/%Y"),
        (DAYS, "%d.%m.%Y"),
        (DAYS, "%d-%m-%Y"),
        (DAYS, "%Y/%m/%d"),
        (DAYS, "%d/%m/%y"),
        (DAYS, "%d %b %Y"),
        (DAYS, "%B %d, %Y"),
        (HOURS, "%Y-%m-%d %H:%M:%S"),
        (HOURS, "%Y-%m-%dT%H:%M"),
        (HOURS, "%d.%m.%Y %H:%M"),
        (HOURS, "%m/%d/%Y %I:%M %p"),
        (MONTHS, "%Y-%m"),
        (MONTHS, "%Y%m"),
        (MONTHS, "%b %Y"),
        (MONTHS, "%B %Y"),
        (MONTHS, "%b-%Y"),
        (MONTHS, "%d/%m/%Y"),
        (MONTHS, "%m/%d/%Y"),
    ],
)
def test_times_are_read_when_the_format_is_common(index: pd.DatetimeIndex, written: str) -> None:
    times, integer, offset = parse([f" {cell}" for cell in index.strftime(written)])
    assert not integer and offset == ""
    assert times.tolist() == micros(index).tolist()


def test_times_are_read_when_they_have_four_digits() -> None:
    times, *_ = parse([f"{day}.1.24" for day in range(1, 10)])
    assert times.tolist() == [days * DAY for days in range(19_723, 19_732)]


@pytest.mark.parametrize("cells", [["s0", "s1"], ["now", "today"], ["a 12:30", "b 1.5"], [""]])
def test_times_return_the_first_row_when_no_cell_has_the_digits_of_one(cells: list[str]) -> None:
    assert parse_times(column(cells)) == 0


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_times_prefer_regular_steps_when_day_and_month_could_be_exchanged(order: slice) -> None:
    quarters = pd.date_range("2018-01-01", periods=9, freq="QS")[order]
    for written in ("%d/%m/%Y", "%m/%d/%Y"):
        assert parse(list(quarters.strftime(written)))[0].tolist() == micros(quarters).tolist()


def test_times_raise_with_both_formats_when_day_and_month_cannot_be_told_apart() -> None:
    cells = column([f"01/{day:02d}/2020" for day in range(1, 13)])
    message = "could be in the format %d/%m/%Y or %m/%d/%Y; pass --time-format"
    with pytest.raises(DataError, match=message):
        parse_times(cells)
    assert parse(list(cells), "%m/%d/%Y")[0].tolist() == [18262 * DAY + k * DAY for k in range(12)]


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Z", "+00:00"), ("+05:30", "+05:30"), ("-0300", "-03:00"), ("+09", "+09:00")],
)
def test_times_keep_their_offset_when_all_rows_have_one(zone: str, offset: str) -> None:
    times, _, found = parse([f"{cell}{zone}" for cell in HOURS.strftime("%Y-%m-%dT%H:%M:%S")])
    assert (times.tolist(), found) == (micros(HOURS).tolist(), offset)


def test_times_keep_their_offset_when_it_is_written_in_several_ways() -> None:
    cells = ["2020-01-01T00:00+09", "2020-01-01T01:00+0900", "2020-01-01T02:00+09:00"]
    times, _, offset = parse(cells)
    assert (np.diff(times).tolist(), offset) == ([HOUR, HOUR], "+09:00")


@pytest.mark.parametrize("cell", ["2020-01-01T00-09", "20200101T000000-0900"])
def test_times_keep_their_offset_when_no_colon_stands_before_it(cell: str) -> None:
    times, _, offset = parse([cell])
    assert (times.tolist(), offset) == ([18262 * DAY], "-09:00")


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize(
    "stray",
    [
        *("2020-01-01 02:00Z", "2020-01-01 02:00 Z", "2020-01-01 02Z", "2020-01-01Z"),
        *("2020-01-01 02:00+09:00", "2020-01-01 02:00+0900", "2020-01-01 02+09"),
        *("2020-01-01 02:00+9", "2020-01-01 02:00-1:00", "20200101T020000+09"),
    ],
)
def test_times_return_the_row_when_one_of_naive_times_has_an_offset(stray: str, first: int) -> None:
    naive = ["2020-01-01 00:00", "2020-01-01 01:00"]
    assert parse_times(column([*naive[:first], stray, *naive[first:]])) == first
    assert parse_times(column([*naive[:first], stray, *naive[first:]]), "ISO8601") == first


def test_times_return_the_row_when_an_offset_is_written_as_none_is() -> None:
    assert parse_times(column(["2020-01-01 00:00+9", "2020-01-01 01:00+9"])) == 0


def test_times_are_in_utc_when_offsets_differ() -> None:
    times, _, offset = parse(["2020-03-29T01:00:00+01:00", "2020-03-29T03:00:00+02:00"])
    assert (np.diff(times).tolist(), offset) == ([HOUR], "+00:00")


def test_times_are_in_utc_when_the_format_reads_an_offset() -> None:
    times, _, offset = parse(["29/03/2020 01+0100", "29/03/2020 03+0200"], "%d/%m/%Y %H%z")
    assert (np.diff(times).tolist(), offset) == ([HOUR], "+00:00")


@pytest.mark.parametrize("cells", [range(1990, 2020), [-3, 0, 3], ["007", "008"], [10**17, 0]])
def test_times_stay_integers_when_they_are_years_or_steps(cells: Sequence[object]) -> None:
    times, integer, offset = parse(cells)
    assert (times.tolist(), integer, offset) == ([int(str(cell)) for cell in cells], True, "")


@pytest.mark.parametrize("first", [20200131, 200111, 20201])
def test_times_stay_integers_when_their_digits_are_no_dates(first: int) -> None:
    times, integer, _ = parse(range(first, first + 5))
    assert (times.tolist(), integer) == (list(range(first, first + 5)), True)


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        ([*DAYS.strftime("%Y-%m-%d"), "14/02/2020"], 20),
        ([*DAYS.strftime("%d/%m/%Y"), "2020-02-14"], 20),
        (["2020-01-24", *DAYS.strftime("%d/%m/%Y")], 0),
        (["n/a", *DAYS.strftime("%d/%m/%Y")], 0),
        (["2020-02-28", "2020-02-29", "2020-02-30"], 2),
        (["29/02/2020", "30/02/2020", "01/03/2020"], 1),
        ([*HOURS.strftime("%Y-%m-%d %H:%M"), "2020-01-26 24:00"], 20),
        (["2020-01-01T00:00:00+01:00", "2020-01-01T01:00:00"], 0),
        ([1, 2, "x"], 2),
        ([*DAYS.strftime("%Y%m%d"), "20200230"], 20),
        ([*MONTHS.strftime("%Y%m"), "202013"], 30),
        (["2020-01-01", ""], 1),
    ],
)
def test_times_return_the_row_when_one_is_in_another_format(
    cells: Sequence[object], row: int
) -> None:
    assert parse_times(column(cells)) == row


QUARTERS = ["2017-10-01", "2018-01-01", "2018-04-01"]
WEEKS = ["2018-W01", "2018-W52", "2019-W01", "2020-W53", "2021-W01"]


@pytest.mark.parametrize(
    "cells",
    [
        ["2017Q4", "2018Q1", "2018Q2"],
        ["2017-Q4", "2018-q1", "2018 Q2"],
        ["Q4 2017", "Q1 2018", "Q2-2018"],
    ],
)
def test_quarters_are_read_as_their_first_days_when_written_in_any_order(
    cells: Sequence[str],
) -> None:
    times, integer, offset = parse(cells)
    assert times.tolist() == micros(pd.DatetimeIndex(QUARTERS)).tolist()
    assert (integer, offset) == (False, "")


@pytest.mark.parametrize("day", [None, 1, 5, 7])
def test_weeks_are_read_as_iso_8601_counts_them_when_a_weekday_is_written_or_not(
    day: int | None,
) -> None:
    cells = WEEKS if day is None else [f"{week}-{day}" for week in WEEKS]
    expected = [datetime.fromisocalendar(int(week[:4]), int(week[-2:]), day or 1) for week in WEEKS]
    assert parse(cells)[0].tolist() == micros(pd.DatetimeIndex(expected)).tolist()
    assert parse([cell.replace("-", "") for cell in cells])[0].tolist() == parse(cells)[0].tolist()


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        (["2017-W51", "2017-W52", "2017-W53"], 2),
        (["2017-W51", "2017-W00", "2017-W52"], 1),
        (["2017-W51", "2017-W52", "2018-W01-8"], 2),
        (["2017Q3", "2017Q4", "2017Q5"], 2),
        (["2017Q3", "2017Q4", "2018-01-01"], 2),
    ],
)
def test_times_return_the_row_when_there_is_no_such_week_or_quarter(
    cells: Sequence[str], row: int
) -> None:
    assert parse_times(column(cells)) == row


@pytest.mark.parametrize(
    ("offsets", "became_utc"),
    [(["+01:00", "+02:00"], True), (["+02", "+02"], False), (["Z", "+00:00"], False)],
)
def test_times_tell_when_offsets_vary_and_are_lost(offsets: list[str], became_utc: bool) -> None:
    parsed = parse_times(column([f"2018-03-25 0{k}:00:00{each}" for k, each in enumerate(offsets)]))
    assert isinstance(parsed, Times) and parsed.became_utc == became_utc
    assert "--time-zone" in BECAME_UTC


@pytest.mark.parametrize(("zone", "hours"), [("+02", 22), ("-03", 27)])
def test_times_keep_their_offset_when_it_is_of_hours_alone(zone: str, hours: int) -> None:
    parsed = parse_times(column([f"2018-03-25 00:00:00{zone}"]), zone="Europe/Paris")
    assert isinstance(parsed, Times)
    day = micros(pd.DatetimeIndex(["2018-03-24"]))
    assert (parsed.times - day).tolist() == [hours * HOUR]


@pytest.mark.parametrize("written", ["2018-03-25T00:30:00Z", "2018-03-24T19:30:00-05:00"])
def test_times_are_instants_when_a_zone_is_given(written: str) -> None:
    parsed = parse_times(column([written, "2018-03-25T03:30:00+02:00"]), zone="Europe/Paris")
    assert isinstance(parsed, Times) and not parsed.became_utc
    expected = micros(pd.DatetimeIndex(["2018-03-25 00:30", "2018-03-25 01:30"]))
    assert (parsed.times.tolist(), parsed.offset) == (expected.tolist(), "Europe/Paris")
    local = parse_times(column(["2018-03-25 01:30", "2018-03-25 03:30"]), zone="Europe/Paris")
    assert isinstance(local, Times) and local.times.tolist() == expected.tolist()


def test_times_raise_when_integer_steps_are_to_be_of_a_zone() -> None:
    with pytest.raises(DataError, match="integer steps, of no zone; leave out --time-zone"):
        parse_times(column([1, 2]), zone="Europe/Paris")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (None, [0, 0, 1, 1, 0, 1]),
        ("Europe/Paris", [0, 0, 0, 1, 0, 1]),
        ("America/New_York", [0, 0, 1, 1, 0, 1]),
    ],
)
def test_repeated_allows_a_second_row_when_clocks_show_its_time_twice(
    zone: str | None, expected: list[int]
) -> None:
    hours = ["01:00", "02:00", "02:00", "02:00", "03:00", "03:00"]
    cells = column([f"2018-10-28 {hour}" for hour in hours])
    assert repeated(cells, None, zone).tolist() == [bool(each) for each in expected]


def test_times_raise_when_the_format_is_no_format() -> None:
    with pytest.raises(ConfigError, match="a strptime format such as %d/%m/%Y, got '%Q'"):
        parse_times(column(["2020-01-01"]), "%Q")


@pytest.mark.parametrize(
    ("frequency", "times", "expected"),
    [
        ({"date_only": True}, [0, DAY], ["1970-01-01", "1970-01-02"]),
        ({"date_only": True}, [HOUR], ["1970-01-01T01:00:00"]),
        ({"date_only": True, "offset": "+01:00"}, [0], ["1970-01-01T00:00:00+01:00"]),
        ({}, [0], ["1970-01-01T00:00:00"]),
        ({}, [-1], ["1969-12-31T23:59:59.999999"]),
    ],
)
def test_format_writes_iso_8601_that_is_read_back(
    frequency: dict[str, bool | str], times: list[int], expected: list[str]
) -> None:
    written = Frequency(unit="microsecond", count=DAY, **frequency).format(np.array(times))
    assert list(written) == expected
    assert parse(expected)[0].tolist() == times


@pytest.mark.parametrize("name", ["%Q", "%Y%Y"])
def test_parse_times_refuses_a_format_that_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match=f"time_format must be a strptime format .* got '{name}'"):
        parse(["2020", "2021"], name)
