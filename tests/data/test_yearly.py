"""The course of the year: where it is found, what is taken out and what is put back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import YearlyCourse
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY, HOUR, WEEK
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.yearly import Courses, Daily, daily, find_courses, left_of_changes

DAILY = Frequency(unit="microsecond", count=DAY)
HOURLY = Frequency(unit="microsecond", count=HOUR)
BUSINESS = Frequency(unit="business-day")
COEFFICIENTS = (3.0, -4.0, 1.0, 0.5)


def panel_of(*series: FloatArray, frequency: Frequency = DAILY, first: int = 0) -> Panel:
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(series))),
        values=np.concatenate(series),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        starts=np.full(len(series), first * DAY, dtype=np.int64),
        frequency=frequency,
    )


def course_at(moment: datetime, coefficients: tuple[float, ...] = COEFFICIENTS) -> float:
    """The Fourier series of a day of the year, by the calendar of Python."""
    begin, end = datetime(moment.year, 1, 1), datetime(moment.year + 1, 1, 1)
    turn = 2 * np.pi * (moment.date() - begin.date()).days / (end - begin).days
    waves = np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)
    return float(np.dot(coefficients, waves))


def course(count: int, step: timedelta = timedelta(days=1), first: int = 0) -> FloatArray:
    begin = datetime.fromtimestamp(first * 86_400, UTC).replace(tzinfo=None)
    return np.array([course_at(begin + place * step) for place in range(count)])


def business_course(count: int) -> FloatArray:
    """From Thursday, the first of 1970, on."""
    days = np.busday_offset("1970-01-01", np.arange(count)).astype(object)
    return np.array([course_at(datetime(day.year, day.month, day.day)) for day in days])


def noise(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=count)


@pytest.mark.parametrize(
    ("frequency", "values"),
    [
        pytest.param(DAILY, course(1000), id="days"),
        pytest.param(HOURLY, course(24 * 700, timedelta(hours=1)), id="hours"),
        pytest.param(BUSINESS, business_course(500), id="business days"),
    ],
)
def test_find_courses_finds_what_was_put_in_when_there_is_nothing_else(
    frequency: Frequency, values: FloatArray
) -> None:
    (found,) = find_courses(
        panel_of(50 + 0.01 * np.arange(len(values)) + values, frequency=frequency)
    )
    assert found.id == "s0"
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.02)


def test_find_courses_comes_near_it_when_there_is_noise_and_days_are_missing() -> None:
    values = course(1100) + 3 * noise(1100)
    values[200:230] = np.nan
    (found,) = find_courses(panel_of(values))
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.7)


def test_find_courses_is_of_logarithms_when_these_are_asked_for() -> None:
    values = np.exp(0.1 * course(900))
    (found,) = find_courses(panel_of(values), log=True)
    assert found.coefficients == pytest.approx([each / 10 for each in COEFFICIENTS], abs=1e-9)


def test_find_courses_is_the_same_when_values_are_on_another_scale() -> None:
    values = 100 + course(900) + noise(900)
    (found,), (scaled,) = (find_courses(panel_of(unit * values)) for unit in (1.0, 1e9))
    expected = [1e9 * each for each in found.coefficients]
    assert scaled.coefficients == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "frequency"),
    [
        pytest.param(course(630), DAILY, id="too short"),
        pytest.param(noise(1500), DAILY, id="noise"),
        pytest.param(np.cumsum(noise(2000)), DAILY, id="a random walk"),
        pytest.param(np.arange(1500.0), DAILY, id="a line"),
        pytest.param(np.full(1500, 7.0), DAILY, id="a constant"),
        pytest.param(course(1500), Frequency(unit="step"), id="integer steps"),
        pytest.param(
            course(300, timedelta(days=7)), Frequency(unit="microsecond", count=WEEK), id="weeks"
        ),
        pytest.param(course(300), Frequency(unit="month"), id="months"),
    ],
)
def test_find_courses_finds_none_when_there_is_none_to_believe(
    values: FloatArray, frequency: Frequency
) -> None:
    assert find_courses(panel_of(values, frequency=frequency)) == ()


def test_find_courses_finds_none_when_next_to_nothing_was_observed() -> None:
    values = course(1000)
    values[1:-1][np.arange(998) % 3 > 0] = np.nan
    assert find_courses(panel_of(values)) == ()


@pytest.mark.parametrize(("yearly", "found"), [(2, 0), (5, 5)])
def test_find_courses_needs_some_of_many_series_to_show_one(yearly: int, found: int) -> None:
    walks = [np.cumsum(noise(1500, seed)) for seed in range(20 - yearly)]
    panel = panel_of(*[course(1500) + noise(1500, seed) for seed in range(yearly)], *walks)
    shown = [each.id for each in find_courses(panel)]
    assert [name for name in shown if int(name[1:]) < yearly] == [f"s{i}" for i in range(found)]


def test_find_courses_gives_one_to_every_series_of_a_year_when_it_is_asked_to() -> None:
    panel = panel_of(course(364), course(365), noise(500))
    assert [each.id for each in find_courses(panel, always=True)] == ["s1", "s2"]


def test_daily_is_the_mean_of_what_was_observed_of_each_day() -> None:
    values = np.arange(60.0)
    values[[0, 1, *range(24, 48)]] = np.nan
    found = daily(panel_of(values, frequency=HOURLY, first=3), 0, log=False)
    assert found.days.tolist() == [3, 4, 5]
    np.testing.assert_allclose(found.values, [12.5, np.nan, 53.5])


@pytest.mark.parametrize("until", [365, 500])
def test_left_of_changes_equals_a_loop_when_days_are_missing(until: int) -> None:
    values = course(700) + noise(700) + 0.05 * np.arange(700)
    values[noise(700, 1) > 1] = np.nan
    known = ~np.isnan(values[:until])
    at = np.flatnonzero(known)
    turn = [
        course_at(datetime(1970, 1, 1) + timedelta(days=place), one)
        for one in np.eye(4)
        for place in range(700)
    ]
    waves = np.array(turn).reshape(4, 700).T
    design = np.column_stack([np.ones(len(at)), at, waves[at]])
    _, slope, *coefficients = np.linalg.lstsq(design, values[at], rcond=None)[0]
    fitted = waves @ coefficients
    left, whole = 0.0, 0.0
    for day in range(until, 700 - 27):
        changes = []
        for each in (values, np.where(np.isnan(values), np.nan, fitted)):
            levels = [np.nanmean(each[start : start + 28]) for start in (day - 91, day)]
            changes.append(levels[1] - levels[0])
        changes[0] -= 91 * slope
        left, whole = left + abs(changes[0] - changes[1]), whole + abs(changes[0])
    assert left_of_changes(Daily(0, values), until) == pytest.approx(left / whole, rel=1e-9)


@given(
    first=st.integers(-2000, 20_000),
    length=st.integers(1, 40),
    horizon=st.integers(1, 400),
    frequency=st.sampled_from([DAILY, HOURLY, replace(HOURLY, offset="+02:00")]),
)
def test_courses_put_back_what_they_take_out(
    first: int, length: int, horizon: int, frequency: Frequency
) -> None:
    """What is left of a series with its course goes on as without one."""
    begin = datetime(1970, 1, 1) + timedelta(days=first)
    step = timedelta(microseconds=frequency.count)
    whole = np.array([course_at(begin + place * step) for place in range(length + horizon)])
    alone = noise(length)
    panel = panel_of(whole[:length] + alone, alone, frequency=frequency, first=first)
    courses = Courses([YearlyCourse(id="s0", coefficients=COEFFICIENTS)], panel)
    left = courses.taken_out()
    np.testing.assert_allclose(left.series(0), alone, atol=1e-9)
    assert left.series(1).tobytes() == alone.tobytes()
    index = WindowIndex(series=np.array([1, 0]), cutoffs=np.array([length, length]))
    ahead = courses.ahead(index, horizon)
    assert not ahead[0].any()
    np.testing.assert_allclose(ahead[1], whole[length:], atol=1e-9)


def test_courses_are_of_the_days_that_the_clock_shows_when_times_are_of_a_zone() -> None:
    zoned = replace(HOURLY, offset="Europe/Paris")
    panel = panel_of(np.zeros(4), frequency=zoned)
    panel = replace(panel, starts=np.array([21 * HOUR]))
    courses = Courses([YearlyCourse(id="s0", coefficients=COEFFICIENTS)], panel)
    days = course(2)
    np.testing.assert_allclose(-courses.taken_out().values, days[[0, 0, 1, 1]])


def test_courses_leave_series_that_are_not_theirs() -> None:
    panel = panel_of(noise(9), noise(9))
    courses = Courses([YearlyCourse(id="other", coefficients=COEFFICIENTS)], panel)
    assert courses.taken_out().values.tobytes() == panel.values.tobytes()
