"""Frequencies, checked against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.arrays import IntArray
from rnnforecast.data.calendar import Frequency, OffGridError, infer_frequency
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import DataError

HOUR = DAY // 24


def micros(index: pd.DatetimeIndex) -> IntArray:
    return index.to_numpy(dtype="datetime64[us]").astype(np.int64)


def infer(*series: IntArray, integer: bool = False) -> Frequency | None:
    offsets = np.cumsum([0, *map(len, series)])
    return infer_frequency(np.concatenate(series), offsets, integer=integer)


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


@pytest.mark.parametrize("pattern", [(4, 4, 5), (5, 4, 4), (4, 5, 4)])
@pytest.mark.parametrize("clock", ["", "America/New_York"])
def test_frequency_is_refused_when_months_have_4_and_5_weeks(
    pattern: tuple[int, ...], clock: str
) -> None:
    """The calendar of the National Retail Federation began 2018 on February 4."""
    weeks = np.cumsum([0, *pattern * 8])
    days = pd.DatetimeIndex([pd.Timestamp("2018-02-04") + pd.Timedelta(weeks=w) for w in weeks])
    times = micros(days.tz_localize(clock).tz_convert("UTC").tz_localize(None) if clock else days)
    with pytest.raises(DataError, match=r"2018-02-04 on, are 4 and 5 weeks apart .* \(4-4-5\)"):
        infer_frequency(times, np.array([0, len(times)]), integer=False, clock=clock)


@pytest.mark.parametrize("weeks", [4, 5])
def test_frequency_is_of_weeks_when_one_of_many_steps_is_a_week_off(weeks: int) -> None:
    times = np.arange(40) * weeks * 7 * DAY
    times[20:] += 7 * DAY if weeks == 4 else -7 * DAY
    assert infer(times) == Frequency(unit="microsecond", count=weeks * 7 * DAY)


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


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("count", [DAY // 24, DAY])
def test_format_writes_local_times_and_offsets_when_the_clock_is_of_a_zone(
    zone: str, count: int
) -> None:
    freq = "h" if count < DAY else "D"
    index = pd.date_range("2018-03-10", "2018-11-06", freq=freq, tz=zone)
    frequency = Frequency(unit="microsecond", count=count, offset=zone)
    kept = index.tz_convert("UTC").to_numpy("datetime64[us]").astype(np.int64)
    expected = [pd.Timestamp.isoformat(time) for time in index]
    assert frequency.format(frequency.counted(kept)) == expected
