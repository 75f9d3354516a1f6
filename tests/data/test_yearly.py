"""The course of the year: where it is found, what is taken out and what is put back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import NO_YEARLY, YearlyCourse
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY, HOUR, WEEK
from rnnforecast.data.yearly import Daily, daily, laid_out
from rnnforecast.data.yearly_search import find_courses, left_of_changes, with_shared

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
        pytest.param(HOURLY, course(24 * 800, timedelta(hours=1)), id="hours"),
        pytest.param(BUSINESS, business_course(600), id="business days"),
    ],
)
def test_find_courses_finds_what_was_put_in_when_there_is_nothing_else(
    frequency: Frequency, values: FloatArray
) -> None:
    values = 50 + 0.01 * np.arange(len(values)) + values
    (found,) = find_courses(panel_of(values, frequency=frequency)).own
    assert found.id == "s0"
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.02)


def test_find_courses_comes_near_it_when_there_is_noise_and_days_are_missing() -> None:
    values = course(1100) + 3 * noise(1100)
    values[200:230] = np.nan
    (found,) = find_courses(panel_of(values)).own
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.7)


def test_find_courses_is_of_logarithms_when_these_are_asked_for() -> None:
    values = np.exp(0.1 * course(900))
    (found,) = find_courses(panel_of(values), log=True).own
    assert found.coefficients == pytest.approx([each / 10 for each in COEFFICIENTS], abs=1e-9)


def test_find_courses_is_the_same_when_values_are_on_another_scale() -> None:
    values = 100 + course(900) + noise(900)
    (found,), (scaled,) = (find_courses(panel_of(unit * values)).own for unit in (1.0, 1e9))
    expected = [1e9 * each for each in found.coefficients]
    assert scaled.coefficients == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "frequency"),
    [
        pytest.param(course(730), DAILY, id="too short"),
        pytest.param(noise(1500), DAILY, id="noise"),
        pytest.param(np.cumsum(noise(2000)), DAILY, id="a random walk"),
        pytest.param(np.arange(1500.0), DAILY, id="a line"),
        *(
            pytest.param(np.full(1500, value), DAILY, id=f"a constant {value:g}")
            for value in (7.3, 0.1, 0.0, 1e9 + 0.1)
        ),
        pytest.param(1e6 + 12345.678 * np.arange(1500), DAILY, id="a steep line"),
        pytest.param(
            course(320, timedelta(days=2)),
            Frequency(unit="microsecond", count=2 * DAY),
            id="two days",
        ),
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
    assert find_courses(panel_of(values, frequency=frequency)) == NO_YEARLY


@pytest.mark.parametrize("part", [slice(1, 999), slice(1, 590), slice(605, 999)])
@pytest.mark.parametrize("always", [False, True])
def test_find_courses_finds_none_when_next_to_nothing_was_observed(
    part: slice, always: bool
) -> None:
    values = course(1000)
    values[part][np.arange(len(values[part])) % 5 > 0] = np.nan
    found = find_courses(panel_of(values), always=always)
    assert len(found.own) == (always and np.isnan(values).mean() < 0.5)


@pytest.mark.parametrize("value", [7.3, 0.1, 0.0, 1e9 + 0.1])
def test_find_courses_gives_none_to_a_constant_when_it_is_asked_to(value: float) -> None:
    assert find_courses(panel_of(np.full(900, value)), always=True) == NO_YEARLY


@pytest.mark.parametrize(("yearly", "found"), [(5, False), (40, True)])
def test_find_courses_looks_at_all_series_when_a_sample_of_many_shows_some(
    yearly: int, found: bool
) -> None:
    others = [noise(750, seed) for seed in range(100 - yearly)]
    panel = panel_of(*[course(750) + noise(750, seed) for seed in range(yearly)], *others)
    names = [each.id for each in find_courses(panel).own]
    assert names[:yearly] == [f"s{place}" for place in range(yearly)] * found


@pytest.mark.parametrize(("size", "found"), [(4, 1), (5, 0)])
def test_find_courses_believes_a_course_by_what_it_leaves_of_changes(
    size: float, found: int
) -> None:
    """Slow weather, of a size that hides the year or does not."""
    slow = np.convolve(noise(1400, 3), np.ones(60) / 60**0.5, "valid")[:1300]
    values = course(1300) + size * slow
    left = left_of_changes(Daily(0, values), 780)
    assert (left < 0.6) == bool(found) and abs(left - 0.6) < 0.1
    assert len(find_courses(panel_of(values)).own) == found


def test_find_courses_passes_values_without_a_logarithm_over() -> None:
    values = np.exp(0.1 * course(900))
    values[::10] = 0.0
    (found,) = find_courses(panel_of(values), log=True).own
    assert found.coefficients == pytest.approx([each / 10 for each in COEFFICIENTS], abs=1e-9)


@pytest.mark.parametrize(("yearly", "found"), [(2, 0), (5, 5)])
def test_find_courses_needs_some_of_many_series_to_show_one(yearly: int, found: int) -> None:
    walks = [np.cumsum(noise(1500, seed)) for seed in range(20 - yearly)]
    panel = panel_of(*[course(1500) + noise(1500, seed) for seed in range(yearly)], *walks)
    shown = [each.id for each in find_courses(panel).own]
    assert [name for name in shown if int(name[1:]) < yearly] == [f"s{i}" for i in range(found)]


def alike(count: int, size: float, level: float = 1.0) -> list[FloatArray]:
    """Three years of series that share a course, each of its own noise."""
    return [level * (20 + course(1100) + size * noise(1100, seed)) for seed in range(count)]


def slow(seed: int) -> FloatArray:
    """Weather that hides a year."""
    return 20 * np.convolve(noise(1159, seed), np.ones(60) / 60, "valid")


def test_find_courses_gives_one_to_all_when_noise_hides_what_they_share() -> None:
    panel = panel_of(*(20 + 0.4 * course(1100) + slow(seed) for seed in range(12)))
    alone = [bool(find_courses(panel_of(panel.series(index)))) for index in range(12)]
    assert sum(alone) <= 2
    found = find_courses(panel)
    expected = [0.4 * each for each in COEFFICIENTS]
    assert [each.id for each in found.own] == list(panel.ids)
    for each in found.own:
        np.testing.assert_allclose(each.coefficients, expected, atol=0.7)


@pytest.mark.parametrize("log", [False, True])
def test_find_courses_gives_a_new_series_what_the_others_share(log: bool) -> None:
    """In shares of its level, or in logarithms as it is."""
    level = 100.0
    made = alike(5, 1.0), [level * (20 + course(60, first=1040))]
    values = [np.exp(each / 20 / level**place) for place in (0, 1) for each in made[place]]
    panel = panel_of(*(values if log else made[0] + made[1]))
    panel = replace(panel, starts=np.array([0] * 5 + [1040 * DAY]))
    found = find_courses(panel, log=log)
    *_, new = found.own
    mean = np.abs(made[1][0]).mean()
    expected = np.array(COEFFICIENTS) * (1 / 20 if log else mean / 20)
    assert len(found.own) == 6 and new.id == "s5"
    np.testing.assert_allclose(new.coefficients, expected, atol=0.02 * abs(expected).max())
    np.testing.assert_allclose(new.coefficients, np.array(found.shared) * (1 if log else mean))


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="one"),
        pytest.param([course(1100, first=183), course(1100, first=91)], id="other phases"),
    ],
)
def test_find_courses_finds_none_when_a_series_is_too_short_and_the_others_are_not_alike(
    others: list[FloatArray],
) -> None:
    long = [each + noise(1100) for each in (course(1100), *others)]
    found = find_courses(panel_of(*long))
    assert (len(found.own), found.shared) == (len(long), ())
    assert find_courses(panel_of(*long, course(60))) == NO_YEARLY


def test_find_courses_finds_none_of_new_series_when_the_others_are_random_walks() -> None:
    walks = [np.cumsum(noise(1500, seed)) for seed in range(8)]
    assert find_courses(panel_of(*walks, np.cumsum(noise(60)))) == NO_YEARLY


def test_find_courses_mixes_own_and_mean_as_serves_the_newer_part_best() -> None:
    """As a loop over all shares of its own finds, each held against the mean of the others."""
    shifts = (0, 10, 20)
    series = [course(1100, first=shift) + 6 * noise(1100, shift) for shift in shifts]
    panel = panel_of(*(50 + each - each.mean() for each in series))
    until, days = 660, np.arange(1100)
    waves = np.array(
        [
            [course_at(datetime(1970, 1, 1) + timedelta(days=int(day)), one) for one in np.eye(4)]
            for day in days
        ]
    )

    def fit(values: FloatArray) -> FloatArray:
        count = len(values)
        design = np.column_stack([np.ones(count), days[:count], waves[:count]])
        return np.linalg.lstsq(design, values, rcond=None)[0]

    def change(values: FloatArray, day: int) -> float:
        return values[day : day + 28].mean() - values[day - 91 : day - 63].mean()

    older = np.array([fit(panel.series(index)[:until]) for index in range(3)])
    whole = np.array([fit(panel.series(index)) for index in range(3)])
    left = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        total = 0.0
        for index in range(3):
            others = [other for other in range(3) if other != index]
            mixed = share * older[index, 2:] + (1 - share) * older[others, 2:].mean(axis=0)
            for day in range(until, 1100 - 27):
                told = change(panel.series(index), day) - 91 * older[index, 1]
                total += abs(told - change(waves @ mixed, day))
        left.append(total)
    share = int(np.argmin(left)) / 4
    assert 0 < share < 1
    found = [each.coefficients for each in find_courses(panel).own]
    levels = np.array([panel.series(index).mean() for index in range(3)])[:, None]
    own = whole[:, 2:] / levels
    np.testing.assert_allclose(found, levels * (share * own + (1 - share) * own.mean(axis=0)))


def test_find_courses_is_the_same_when_a_series_is_a_constant() -> None:
    panel, more = (panel_of(*alike(3, 5.0), *constant) for constant in ([], [np.full(1100, 7.0)]))
    assert find_courses(more).own[:3] == find_courses(panel).own


def test_find_courses_gives_one_to_every_series_when_it_is_asked_to() -> None:
    """Its own to one that lasts a year, to others the mean."""
    panel = panel_of(9 + course(364), 9 + course(365), noise(500), np.full(9, np.nan))
    found = find_courses(panel, always=True)
    assert [each.id for each in found.own] == ["s0", "s1", "s2"]
    np.testing.assert_allclose(found.own[1].coefficients, COEFFICIENTS, atol=1e-6)


def test_with_shared_gives_new_series_what_the_others_share() -> None:
    found = find_courses(panel_of(*alike(3, 1.0)))
    panel = panel_of(np.full(5, 3.0), np.array([-1.0, np.nan, 5.0]))
    more = with_shared(found, panel, np.array([1]), log=False)
    assert more.own[:3] == found.own and more.own[3].id == "s1"
    np.testing.assert_allclose(more.own[3].coefficients, 3 * np.array(found.shared))
    assert with_shared(NO_YEARLY, panel, np.array([1]), log=False) == NO_YEARLY


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
def test_laid_out_is_the_course_of_each_day_to_the_end_of_a_horizon(
    first: int, length: int, horizon: int, frequency: Frequency
) -> None:
    begin = datetime(1970, 1, 1) + timedelta(days=first)
    step = timedelta(microseconds=frequency.count)
    expected = [course_at(begin + place * step) for place in range(length + horizon)]
    panel = panel_of(noise(3), noise(length), frequency=frequency, first=first)
    courses = [YearlyCourse(id=name, coefficients=COEFFICIENTS) for name in ("gone", "s1")]
    found = laid_out(courses, panel, horizon)
    assert found.offsets.tolist() == [0, 3 + horizon, 3 + length + 2 * horizon]
    assert not found.values[: 3 + horizon].any()
    np.testing.assert_allclose(found.values[3 + horizon :], expected, atol=1e-9)


def test_laid_out_goes_by_business_days_when_steps_do() -> None:
    panel = panel_of(noise(30), frequency=BUSINESS)
    found = laid_out([YearlyCourse(id="s0", coefficients=COEFFICIENTS)], panel, 20)
    np.testing.assert_allclose(found.values, business_course(50))


def test_laid_out_goes_by_the_days_that_the_clock_shows_when_times_are_of_a_zone() -> None:
    panel = panel_of(np.zeros(4), frequency=replace(HOURLY, offset="Europe/Paris"))
    panel = replace(panel, starts=np.array([21 * HOUR]))
    found = laid_out([YearlyCourse(id="s0", coefficients=COEFFICIENTS)], panel, 1)
    np.testing.assert_allclose(found.values, course(2)[[0, 0, 1, 1, 1]])


def test_laid_out_is_nothing_when_no_course_is_of_these_series() -> None:
    courses = [YearlyCourse(id="other", coefficients=COEFFICIENTS)]
    assert not laid_out(courses, panel_of(noise(9), noise(9)), 2).values.any()
