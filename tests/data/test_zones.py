"""Clocks of zones, checked against zoneinfo and pandas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.arrays import IntArray
from rnnforecast.data import zones
from rnnforecast.data.calendar import Frequency, infer_frequency
from rnnforecast.data.clock_changes import zone_writing
from rnnforecast.data.localising import localise
from rnnforecast.data.time_units import DAY, SECOND
from rnnforecast.data.zones import (
    at_clock,
    check_zone,
    from_local,
    is_zone,
    known_zones,
    local_times,
    offset_texts,
)
from rnnforecast.errors import ConfigError

HOUR = DAY // 24
# Without those that have left out a whole day, which shares its first moment with the next.
ZONES = (
    *("Africa/Abidjan", "Africa/Cairo", "Africa/Casablanca", "Africa/Johannesburg"),
    *("America/Anchorage", "America/Argentina/Buenos_Aires", "America/Asuncion", "America/Bogota"),
    *("America/Chicago", "America/Havana", "America/Los_Angeles", "America/Mexico_City"),
    *("America/New_York", "America/Nuuk", "America/Phoenix", "America/Santiago"),
    *("America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Amman", "Asia/Beirut"),
    *("Asia/Dhaka", "Asia/Gaza", "Asia/Jerusalem", "Asia/Kathmandu", "Asia/Kolkata"),
    *("Asia/Pyongyang", "Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores", "Australia/Adelaide"),
    *("Australia/Lord_Howe", "Australia/Sydney", "Etc/GMT+5", "Europe/Dublin", "Europe/Istanbul"),
    *("Europe/London", "Europe/Moscow", "Europe/Paris", "Pacific/Auckland", "Pacific/Chatham"),
    *("Pacific/Easter", "Pacific/Honolulu", "UTC"),
)
CLOCK = ["h", "30min", "15min", "2h", "6h"]
CALENDAR = ["D", "2D", "W-MON", "W-SUN", "MS", "ME", "QS", "QE", "YS", "B"]


def micros(index: pd.DatetimeIndex) -> IntArray:
    return index.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)


def instants_of(index: pd.DatetimeIndex) -> IntArray:
    return micros(index.tz_convert("UTC"))


def in_zone(start: pd.Timestamp, periods: int, freq: str, zone: str) -> pd.DatetimeIndex:
    """pandas' range: of instants for hours and less, of the calendar for days and more."""
    clock = ZoneInfo(zone)  # By its name pandas 2 takes a clock that no longer changes from 2038.
    if freq in CLOCK:
        first = start.tz_localize(clock, nonexistent="shift_forward", ambiguous=True)
        return pd.date_range(first, periods=periods, freq=freq)
    naive = pd.date_range(start.normalize(), periods=periods, freq=freq)
    first_of_two = np.ones(periods, dtype=bool)
    return naive.tz_localize(clock, nonexistent="shift_forward", ambiguous=first_of_two)


@st.composite
def ranges(draw: st.DrawFn, freqs: list[str]) -> tuple[str, str, pd.DatetimeIndex]:
    zone, freq = draw(st.sampled_from(ZONES)), draw(st.sampled_from(freqs))
    # Half an hour or less that was left out at midnight, as in 1981 and 1986, pandas takes for one.
    days = draw(st.integers(0, 48 * 365))
    start = pd.Timestamp("1987-01-01") + pd.Timedelta(days=days, hours=draw(st.integers(0, 23)))
    if draw(st.booleans()):  # most changes are in these months
        start = start.replace(month=draw(st.sampled_from([3, 4, 9, 10, 11])), day=20)
    periods = draw(st.integers(40 if freq == "B" else 6, 60 if freq == "YS" else 400))
    return zone, freq, in_zone(start, periods, freq, zone)


@given(ranges(CLOCK + CALENDAR))
@settings(deadline=None)
def test_forecast_index_equals_date_range_when_zone_and_frequency_are_any(
    case: tuple[str, str, pd.DatetimeIndex],
) -> None:
    zone, freq, index = case
    times, known = instants_of(index), len(index) * 3 // 4
    frequency = infer_frequency(times[:known], np.array([0, known]), integer=False, clock=zone)
    assert frequency is not None
    counted = frequency.counted(times[:known])
    starts = np.full(len(times), counted[0])
    assert frequency.positions(counted, starts[:known]).tolist() == list(range(known))
    ahead = frequency.times(starts, np.arange(len(times)))
    assert frequency.kept(ahead).tolist() == times.tolist()
    assert frequency.format(ahead) == [time.isoformat() for time in index]
    assert frequency.by_clock == (freq in CALENDAR)


def test_year_begins_at_its_first_moment_when_clocks_are_set_forward_at_midnight() -> None:
    """Nepal left out the first quarter of an hour of 1986."""
    frequency = Frequency(unit="month", count=12, offset="Asia/Kathmandu", date_only=True)
    counted = micros(pd.DatetimeIndex(["1985-01-01", "1986-01-01", "1987-01-01"]))
    assert frequency.format(counted) == [
        "1985-01-01T00:00:00+05:30",
        "1986-01-01T00:15:00+05:45",
        "1987-01-01T00:00:00+05:45",
    ]


@given(ranges(CLOCK))
@settings(deadline=None)
def test_localise_inverts_the_clock_when_rows_are_in_order(
    case: tuple[str, str, pd.DatetimeIndex],
) -> None:
    zone, _, index = case
    keys = np.zeros(len(index), dtype=np.int64)
    assert localise(micros(index), keys, zone).tolist() == instants_of(index).tolist()
    backwards = localise(micros(index)[::-1].copy(), keys, zone)
    assert backwards.tolist() == instants_of(index)[::-1].tolist()


@given(st.sampled_from(ZONES), st.lists(st.integers(-(10**10), 16 * 10**9), min_size=1))
@settings(deadline=None)
def test_local_times_equal_zoneinfo_when_instants_are_any(zone: str, seconds: list[int]) -> None:
    instants = np.array(seconds) * 1_000_000
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=each) for each in seconds]
    expected = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC) for moment in moments]
    assert local_times(instants, zone).tolist() == [
        1_000_000 * int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
        for moment in expected
    ]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.sampled_from(ZONES))
@settings(deadline=None, max_examples=25)
def test_local_times_have_an_offset_when_the_calendar_has_no_such_year(
    times: list[int], zone: str
) -> None:
    instants = np.array(times)
    assert np.all(np.abs(local_times(instants, zone) - instants) < DAY)
    assert np.all(np.abs(from_local(instants, zone) - instants) < DAY)


@pytest.mark.parametrize(
    ("clock", "wanted", "moved"),
    [
        ("Europe/Paris", "+02:00", 2),
        ("+02:00", "Europe/Paris", -2),
        ("Europe/Paris", "America/New_York", 0),
        ("Europe/Paris", "", 1),
        ("", "Europe/Paris", -1),
        ("", "+02:00", 0),
        ("-03:30", "+00:00", 3.5),
    ],
)
def test_at_clock_moves_times_when_clocks_differ(clock: str, wanted: str, moved: float) -> None:
    """Noon of the first day of 1980, when Paris was an hour ahead of UTC."""
    noon = np.array([3652 * DAY + DAY // 2])
    assert (at_clock(noon, clock, wanted) - noon).tolist() == [int(moved * HOUR)]


def test_offset_texts_are_those_in_force_when_the_zone_changes_its() -> None:
    changes = pd.DatetimeIndex(["2018-03-25 00:59", "2018-03-25 01:00", "1900-01-01"])
    texts = offset_texts(micros(changes), "Europe/Paris")
    assert texts == ["+01:00", "+02:00", "+00:09:21"]
    assert offset_texts(micros(changes), "+05:30") == ["+05:30"] * 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Pris", "did you mean Europe/Paris?"),
        ("europe/paris", "did you mean Europe/Paris?"),
        ("New York", "did you mean America/New_York?"),
        ("Nowhere at all", "pass one such as Europe/Paris"),
        ("../../etc/passwd", "pass one such as Europe/Paris"),
    ],
)
def test_check_zone_names_a_close_one_when_the_name_is_unknown(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_zone(name)
    assert str(error.value) == f"there is no time zone '{name}'; {hint}"


def test_check_zone_names_the_package_when_the_machine_has_no_zones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zones, "known_zones", frozenset)
    with pytest.raises(ConfigError, match="pip install tzdata"):
        check_zone("Europe/Paris")


def test_zones_of_these_tests_are_known_and_no_offset_is_one() -> None:
    assert set(ZONES) <= known_zones()
    assert [is_zone(clock) for clock in ("", "+02:00", "-0300", "UTC", "Etc/GMT+5")] == [
        *(False, False, False),
        *(True, True),
    ]


def test_frequency_formats_days_without_hole_when_midnight_does_not_exist() -> None:
    frequency = Frequency(unit="microsecond", count=DAY, offset="America/Sao_Paulo")
    start = np.full(3, pd.Timestamp("2018-11-03").value // 1000)
    assert frequency.format(frequency.times(start, np.arange(3))) == [
        *("2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
    ]


def test_frequency_counts_a_midnight_alike_alone_and_among_others_when_it_does_not_exist() -> None:
    frequency = Frequency(unit="microsecond", count=DAY, offset="America/Santiago", date_only=True)
    naive = pd.date_range("2024-09-07", periods=3)
    days = naive.tz_localize("America/Santiago", nonexistent="shift_forward")
    assert days[1].isoformat() == "2024-09-08T01:00:00-03:00"
    times, midnights = days.as_unit("us").asi8, naive.as_unit("us").asi8
    assert frequency.counted(times).tolist() == midnights.tolist()
    assert [frequency.counted(times[[place]])[0] for place in range(3)] == midnights.tolist()


@pytest.mark.parametrize(
    ("zone", "named"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ("Europe/Berlin", "Europe/Paris"),
        ("Australia/Sydney", "Australia/Sydney"),
        ("America/New_York", "America/New_York"),
        ("Africa/Cairo", "Africa/Cairo"),
    ],
)
def test_zone_is_the_one_of_the_written_offsets_when_these_vary(zone: str, named: str) -> None:
    index = pd.date_range("2023-01-01 12:00", periods=500, tz=zone)
    instants = index.tz_convert("UTC").tz_localize(None).as_unit("us").asi8
    written = np.array([each.utcoffset().total_seconds() for each in index], dtype=np.int64)
    assert zone_writing(instants, written * SECOND) == named
    assert zone_writing(instants[::-1], written[::-1] * SECOND) == named
    other = written.copy()
    other[7] += 60
    assert zone_writing(instants, other * SECOND) is None
    twice = np.append(instants, instants[:1]), np.append(written, written[:1] + 3600)
    assert zone_writing(twice[0], twice[1] * SECOND) is None


def test_no_zone_is_found_when_there_are_no_times_or_far_ones() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert zone_writing(nothing, nothing) is None
    assert zone_writing(np.array([10**18]), np.array([0])) is None
