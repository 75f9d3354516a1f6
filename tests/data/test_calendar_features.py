"""Parts of the calendar, checked against pandas and the holidays package."""

from __future__ import annotations

import sys
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.arrays import IntArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.calendar_features import calendar_encodings, calendar_features
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import ConfigError

HOUR = DAY // 24
QUARTER_HOURS = Frequency(unit="microsecond", count=HOUR // 4)


def micros(index: pd.DatetimeIndex) -> IntArray:
    return index.to_numpy(dtype="datetime64[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("frequency", "parts"),
    [
        (QUARTER_HOURS, "minute hour weekday year"),
        (Frequency(unit="microsecond", count=90 * 60_000_000), "minute hour weekday year"),
        (Frequency(unit="microsecond", count=HOUR), "hour weekday year"),
        (Frequency(unit="microsecond", count=36 * HOUR), "hour weekday year"),
        (Frequency(unit="microsecond", count=DAY), "weekday year"),
        (Frequency(unit="business-day"), "weekday year"),
        (Frequency(unit="microsecond", count=7 * DAY), "year"),
        (Frequency(unit="microsecond", count=28 * DAY), "year"),
        (Frequency(unit="microsecond", count=365 * DAY), ""),
        (Frequency(unit="month"), "month"),
        (Frequency(unit="month", count=3, month_end=True), "month"),
        (Frequency(unit="month", count=12), ""),
        (Frequency(unit="step"), ""),
    ],
)
def test_calendar_encodings_are_the_parts_that_differ_when_steps_are_long_or_short(
    frequency: Frequency, parts: str
) -> None:
    expected = [f"{part}-{wave}" for part in parts.split() for wave in ("sin", "cos")]
    encodings = calendar_encodings(frequency)
    assert [encoding.name for encoding in encodings] == expected
    assert {encoding.role for encoding in encodings} <= {"future"}
    assert all(encoding.size == 1 for encoding in encodings)


@given(st.integers(0, 350 * 365 * 1440), st.sampled_from(["", "+05:30", "Europe/Paris"]))
@settings(deadline=None)
def test_calendar_features_are_those_of_pandas_when_times_are_any(minutes: int, clock: str) -> None:
    """pandas has the year, weekday, day, hour and minute of the local time."""
    frequency = Frequency(unit="microsecond", count=HOUR // 4, offset=clock)
    # Before its version 3 pandas' times end in 2262.
    local = pd.Timestamp("1900-01-01") + pd.Timedelta(minutes=minutes)
    times = micros(pd.DatetimeIndex([local]))
    if clock == "Europe/Paris":
        zoned = local.tz_localize("UTC").tz_convert(ZoneInfo(clock))
        local = zoned.tz_localize(None)
    names = [encoding.name for encoding in calendar_encodings(frequency)]
    days = 366 if local.is_leap_year else 365
    # Before 1911 the clock of Paris was 9 minutes and 21 seconds ahead.
    minute = local.minute + local.second / 60
    turns = [
        minute / 60,
        (local.hour * 60 + minute) / 1440,
        local.weekday() / 7,
        (local.day_of_year - 1) / days,
    ]
    expected = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    found = calendar_features(times, frequency, names)
    assert found.dtype == np.float32 and found.shape == (1, 8)
    assert found[0] == pytest.approx(expected, abs=1e-6)


@given(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=5),
    st.sampled_from(["", "Europe/Paris"]),
)
@settings(deadline=None, max_examples=20)
def test_calendar_features_are_finite_when_times_lie_beyond_the_calendar(
    times: list[int], clock: str
) -> None:
    frequency = Frequency(unit="microsecond", count=HOUR // 4, offset=clock)
    names = ["minute-sin", "hour-cos", "weekday-sin", "year-cos", "month-sin"]
    found = calendar_features(np.array(times), frequency, names)
    assert np.isfinite(found).all() and np.abs(found).max() <= 1


def test_calendar_features_follow_the_local_clock_when_it_is_changed() -> None:
    """The step after 01:00 in Paris on the day of the change is 03:00."""
    frequency = Frequency(unit="microsecond", count=HOUR, offset="Europe/Paris")
    start = micros(pd.DatetimeIndex(["2018-03-25 00:00"]))  # UTC
    times = frequency.times(np.repeat(start, 2), np.arange(2))
    angle = 2 * np.pi * np.array([1, 3]) / 24
    found = calendar_features(times, frequency, ["hour-sin", "hour-cos"])
    assert found == pytest.approx(np.stack([np.sin(angle), np.cos(angle)], axis=1), abs=1e-6)


def test_calendar_features_are_of_the_day_when_its_midnight_does_not_exist() -> None:
    frequency = Frequency(unit="microsecond", count=DAY, offset="America/Sao_Paulo")
    sunday = micros(pd.DatetimeIndex(["2018-11-04"]))
    found = calendar_features(sunday, frequency, ["weekday-sin", "weekday-cos"])
    angle = 2 * np.pi * 6 / 7
    assert found[0] == pytest.approx([np.sin(angle), np.cos(angle)], abs=1e-6)


def test_month_is_one_turn_a_year_when_steps_end_quarters() -> None:
    frequency = Frequency(unit="month", count=3, month_end=True)
    times = micros(pd.date_range("2019-03-31", periods=5, freq="QE"))
    found = calendar_features(times, frequency, ["month-sin", "month-cos"])
    angle = 2 * np.pi * np.array([2, 5, 8, 11, 2]) / 12
    assert found == pytest.approx(np.stack([np.sin(angle), np.cos(angle)], axis=1), abs=1e-6)


def test_holidays_are_those_of_the_country_when_steps_are_hours_of_its_zone() -> None:
    pytest.importorskip("holidays")
    frequency = Frequency(unit="microsecond", count=HOUR, offset="Europe/Paris")
    assert [each.name for each in calendar_encodings(frequency, "FR")][-1] == "holiday-FR"
    index = pd.date_range("2018-01-01", "2018-12-31 23:00", freq="h", tz="Europe/Paris")
    times = micros(index.tz_convert("UTC").tz_localize(None))
    found = calendar_features(times, frequency, ["holiday-FR"])[:, 0]
    days = sorted({str(day) for day in index[found == 1].date})
    assert days == [f"2018-{day}" for day in FRENCH]
    assert found.sum() == 24 * len(FRENCH)


# As the law has them; Easter was on April 1.
FRENCH = (
    *("01-01", "04-02", "05-01", "05-08", "05-10", "05-21"),
    *("07-14", "08-15", "11-01", "11-11", "12-25"),
)


@pytest.mark.parametrize("first", ["0001-01-01", "9999-12-01", "+20000-01-01"])
def test_holidays_are_none_when_the_library_has_no_such_year(first: str) -> None:
    pytest.importorskip("holidays")
    times = np.array([first.removeprefix("+")], dtype="datetime64[us]").astype(np.int64)
    frequency = Frequency(unit="microsecond", count=DAY)
    assert calendar_features(times, frequency, ["holiday-FR"]).tolist() == [[0]]


@pytest.mark.parametrize(("country", "hint"), [("fr", "mean FR?"), ("Narnia", "code such as FR")])
def test_holidays_are_refused_when_the_country_is_not_known(country: str, hint: str) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(ConfigError, match="are not known; ") as error:
        calendar_encodings(QUARTER_HOURS, country)
    assert hint in str(error.value)


def test_holidays_are_refused_when_the_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ConfigError, match=r"run pip install 'rnnforecast\[holidays\]'"):
        calendar_encodings(QUARTER_HOURS, "FR")


@pytest.mark.parametrize(
    "frequency",
    [Frequency(unit="month"), Frequency(unit="step"), Frequency(unit="microsecond", count=7 * DAY)],
)
def test_holidays_are_refused_when_steps_are_longer_than_a_day(frequency: Frequency) -> None:
    with pytest.raises(ConfigError, match=f"not one a {frequency}; leave out --holidays"):
        calendar_encodings(frequency, "FR")


def test_calendar_features_are_empty_when_there_are_no_times() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert calendar_features(none, QUARTER_HOURS, ["hour-sin"]).shape == (0, 1)
