"""Frequencies and the parsing of times, checked against pandas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.data.calendar import (
    DAY,
    Frequency,
    IntArray,
    OffGridError,
    infer_frequency,
    parse_times,
)
from rnnforecast.errors import ConfigError, DataError

HOUR = DAY // 24


def micros(index: pd.DatetimeIndex) -> IntArray:
    return index.to_numpy(dtype="datetime64[us]").astype(np.int64)


def infer(*series: IntArray, integer: bool = False) -> Frequency | None:
    offsets = np.cumsum([0, *map(len, series)])
    return infer_frequency(np.concatenate(series), offsets, integer=integer)


def column(cells: Sequence[object]) -> pd.Series[str]:
    return pd.Series([str(cell) for cell in cells], dtype="str")


def parse(cells: Sequence[object], time_format: str | None = None) -> tuple[IntArray, bool, str]:
    parsed = parse_times(column(cells), time_format)
    assert not isinstance(parsed, int), f"row {parsed} was not read"
    return parsed


FREQUENCIES = [
    ("s", Frequency(unit="microsecond", count=1_000_000), "second"),
    ("15min", Frequency(unit="microsecond", count=15 * 60_000_000), "15 minutes"),
    ("h", Frequency(unit="microsecond", count=HOUR), "hour"),
    ("D", Frequency(unit="microsecond", count=DAY), "day"),
    ("W", Frequency(unit="microsecond", count=7 * DAY), "week"),
    ("28D", Frequency(unit="microsecond", count=28 * DAY), "4 weeks"),
    ("30D", Frequency(unit="microsecond", count=30 * DAY), "30 days"),
    ("250ms", Frequency(unit="microsecond", count=250_000), "250000 microseconds"),
    ("B", Frequency(unit="business-day"), "business day"),
    ("MS", Frequency(unit="month"), "month"),
    ("2MS", Frequency(unit="month", count=2), "2 months"),
    ("ME", Frequency(unit="month", month_end=True), "month end"),
    ("QS", Frequency(unit="month", count=3), "quarter"),
    ("QE", Frequency(unit="month", count=3, month_end=True), "quarter end"),
    ("YS", Frequency(unit="month", count=12), "year"),
    ("YE", Frequency(unit="month", count=12, month_end=True), "year end"),
]


@pytest.mark.parametrize(("alias", "expected", "name"), FREQUENCIES)
def test_frequency_is_inferred_and_named_when_steps_are_regular(
    alias: str, expected: Frequency, name: str
) -> None:
    times = micros(pd.date_range("2019-01-31 00:00:00", periods=40, freq=alias))
    assert infer(times) == expected
    assert str(expected) == name


@pytest.mark.parametrize(("alias", "expected", "name"), FREQUENCIES)
def test_frequency_is_inferred_when_a_third_of_the_rows_is_missing(
    alias: str, expected: Frequency, name: str
) -> None:
    times = micros(pd.date_range("1960-01-31", periods=200, freq=alias))
    kept = np.random.default_rng(5).random(200) > 1 / 3
    assert infer(times[kept]) == expected


@pytest.mark.parametrize(("count", "name"), [(1, "step"), (10, "10 steps")])
def test_frequency_counts_steps_when_times_are_integers(count: int, name: str) -> None:
    frequency = infer(np.arange(1990, 1990 + 20 * count, count), integer=True)
    assert frequency == Frequency(unit="step", count=count)
    assert str(frequency) == name
    assert frequency.format(np.array([7, 8])).tolist() == [7, 8]


def test_frequency_is_one_of_business_days_when_holidays_are_missing() -> None:
    days = pd.bdate_range("2020-01-01", "2020-12-31")
    holidays = pd.to_datetime(["2020-01-01", "2020-04-10", "2020-05-25", "2020-12-25"])
    assert infer(micros(days.drop(holidays))) == Frequency(unit="business-day")


def test_frequency_is_daily_when_one_weekend_day_was_traded() -> None:
    days = pd.bdate_range("2020-01-01", "2020-12-31").append(pd.DatetimeIndex(["2020-06-06"]))
    assert infer(np.sort(micros(days))) == Frequency(unit="microsecond", count=DAY)


def test_frequency_is_monthly_when_times_stand_on_the_15th_and_series_start_apart() -> None:
    months = micros(pd.date_range("2019-01-01", periods=30, freq="MS")) + 14 * DAY
    assert infer(months, months[7:20]) == Frequency(unit="month")


def test_frequency_ends_months_when_february_is_among_them() -> None:
    times = micros(pd.date_range("2019-11-30", periods=5, freq="ME"))
    frequency = infer(times)
    assert frequency == Frequency(unit="month", month_end=True)
    assert frequency.times(times[:1], np.array([3, 15])).tolist() == [
        *micros(pd.DatetimeIndex(["2020-02-29", "2021-02-28"]))
    ]


def test_frequency_stays_monthly_when_one_row_stands_amid_a_month() -> None:
    times = micros(pd.date_range("2019-01-01", periods=30, freq="MS"))
    times = np.sort(np.append(times, times[12] + 9 * DAY))
    frequency = infer(times)
    assert frequency == Frequency(unit="month")
    with pytest.raises(OffGridError) as error:
        frequency.positions(times, np.full(31, times[0]))
    assert error.value.row == 13


def test_frequency_is_unknown_when_no_series_has_two_rows() -> None:
    assert infer(np.array([3]), np.array([4]), integer=True) is None


def test_frequency_ignores_the_step_between_two_series() -> None:
    assert infer(np.array([0, 5]), np.array([6, 11]), np.array([12]), integer=True) == Frequency(
        unit="step", count=5
    )


@pytest.mark.parametrize(
    ("frequency", "start", "stray"),
    [
        (Frequency(unit="step", count=5), 0, 7),
        (Frequency(unit="microsecond", count=HOUR), 0, HOUR + 1),
        (Frequency(unit="business-day"), 0, 2 * DAY),
        (Frequency(unit="business-day"), 0, DAY + HOUR),
        (Frequency(unit="month"), 0, 32 * DAY),
        (Frequency(unit="month", month_end=True), 30 * DAY, 57 * DAY),
        (Frequency(unit="month", count=3), 0, 31 * DAY),
    ],
)
def test_positions_raise_with_the_row_when_a_time_lies_between_two_steps(
    frequency: Frequency, start: int, stray: int
) -> None:
    with pytest.raises(OffGridError) as error:
        frequency.positions(np.array([start, stray]), np.array([start, start]))
    assert error.value.row == 1


@st.composite
def grids(draw: st.DrawFn) -> tuple[Frequency, str, pd.Timestamp, int]:
    """A frequency, its name in pandas, a start and a length."""
    count = draw(st.integers(1, 7))
    kind = draw(st.sampled_from(["s", "min", "h", "D", "W", "B", "MS", "ME", "QS", "YE"]))
    sizes = {"s": DAY // 86400, "min": DAY // 1440, "h": HOUR, "D": DAY, "W": 7 * DAY}
    months = {"MS": 1, "ME": 1, "QS": 3, "YE": 12}
    if kind in sizes:
        frequency = Frequency(unit="microsecond", count=count * sizes[kind])
    elif kind == "B":
        frequency = Frequency(unit="business-day", count=count)
    else:
        end = kind.endswith("E")
        frequency = Frequency(unit="month", count=count * months[kind], month_end=end)
    days, hour = draw(st.integers(-20_000, 20_000)), draw(st.integers(0, 23))
    start = pd.Timestamp("1990-01-01") + pd.Timedelta(days=days, hours=hour)
    start = pd.date_range(start, periods=1, freq=kind)[0]
    alias = {"W": f"{7 * count}D"}.get(kind, f"{count}{kind}")
    # Before its version 3 pandas' times end in 2262.
    return frequency, alias, start, draw(st.integers(1, 25 if kind == "YE" else 60))


@given(grids())
def test_times_equal_date_range_and_positions_invert_them(
    grid: tuple[Frequency, str, pd.Timestamp, int],
) -> None:
    frequency, alias, start, length = grid
    expected = micros(pd.date_range(start, periods=length, freq=alias))
    starts, positions = np.full(length, expected[0]), np.arange(length)
    times = frequency.times(starts, positions)
    assert times.tolist() == expected.tolist()
    assert frequency.positions(times, starts).tolist() == positions.tolist()


DAYS = pd.date_range("2020-01-25", periods=20)
HOURS = pd.date_range("2020-01-25 18:00", periods=20, freq="h")
MONTHS = pd.date_range("2019-03-01", periods=30, freq="MS")


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
    ("zone", "offset"), [("Z", "+00:00"), ("+05:30", "+05:30"), ("-0300", "-0300")]
)
def test_times_keep_their_offset_when_all_rows_have_one(zone: str, offset: str) -> None:
    times, _, found = parse([f"{cell}{zone}" for cell in HOURS.strftime("%Y-%m-%dT%H:%M:%S")])
    assert (times.tolist(), found) == (micros(HOURS).tolist(), offset)


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
