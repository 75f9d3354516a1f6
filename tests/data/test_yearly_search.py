"""Where the course of a year is found, by series and by all together."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import NO_YEARLY, YearlyScale
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import DAY, WEEK
from rnnforecast.data.yearly import Daily, waves_at
from rnnforecast.data.yearly_search import DISBELIEVED, find_courses, with_shared
from rnnforecast.data.yearly_trials import left_of_changes
from tests.data.years import (
    BUSINESS,
    COEFFICIENTS,
    DAILY,
    HOURLY,
    business_course,
    course,
    course_at,
    noise,
    panel_of,
)


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
    (found,) = find_courses(panel_of(values), scale="logarithms").own
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
    (found,) = find_courses(panel_of(values), scale="logarithms").own
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
    assert len(found.own) >= 9
    np.testing.assert_allclose(20 * np.array(found.shared), 0.4 * np.array(COEFFICIENTS), atol=0.4)


@pytest.mark.parametrize(
    ("scale", "size"), [("units", 100.0), ("shares", 1 / 20), ("logarithms", 1 / 20)]
)
def test_find_courses_gives_a_new_series_what_the_others_share(
    scale: YearlyScale, size: float
) -> None:
    """Of its own size, though it is known for a part of the year that is below its level."""
    new = 100 * (20 + course(60, first=1040))
    values = [*alike(5, 1.0), new]
    if scale == "logarithms":
        values = [np.exp(each / 20 / each.max() * 25) for each in alike(5, 0.0)] + [new]
        size = 1.0
    panel = replace(panel_of(*values), starts=np.array([0] * 5 + [1040 * DAY]))
    found = find_courses(panel, scale=scale)
    old, *_, last = found.own
    expected = size * np.array(COEFFICIENTS)
    if scale == "logarithms":
        expected = np.array(old.coefficients)
    assert len(found.own) == 6 and last.id == "s5" and np.mean(new) < 1900
    np.testing.assert_allclose(last.coefficients, expected, atol=0.05 * np.abs(expected).max())


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


def test_find_courses_mixes_own_and_everybodys_as_serves_most_best() -> None:
    """As a loop over all shares of its own finds, each held against that of the others."""
    shifts = (0, 12, 24)
    panel = panel_of(*(50 + course(1100, first=at) + 6 * noise(1100, at) for at in shifts))
    until, days = 660, np.arange(1100)
    turns = [
        [course_at(datetime(1970, 1, 1) + timedelta(int(day)), one) for one in np.eye(4)]
        for day in days
    ]
    waves = np.array(turns)

    def fit(values: FloatArray) -> FloatArray:
        count = len(values)
        design = np.column_stack([np.ones(count), days[:count], waves[:count]])
        return np.linalg.lstsq(design, values, rcond=None)[0]

    def change(values: FloatArray, day: int) -> float:
        return values[day : day + 28].mean() - values[day - 91 : day - 63].mean()

    levels = [panel.series(index).mean() for index in range(3)]
    series = [panel.series(index) / level for index, level in enumerate(levels)]
    older = np.array([fit(each[:until]) for each in series])
    own = np.array([fit(each)[2:] for each in series])
    left = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        shares = []
        for index in range(3):
            others = [other for other in range(3) if other != index]
            mixed = share * older[index, 2:] + (1 - share) * older[others, 2:].mean(axis=0)
            told = [
                (change(series[index], day) - 91 * older[index, 1], change(waves @ mixed, day))
                for day in range(until, 1100 - 27)
            ]
            errors = sum(abs(actual - explained) for actual, explained in told)
            shares.append(errors / sum(abs(actual) for actual, _ in told))
        left.append(np.median(shares))
    share = int(np.argmin(left)) / 4
    assert 0 < share < 1
    found = [each.coefficients for each in find_courses(panel).own]
    expected = share * own + (1 - share) * own.mean(axis=0)
    np.testing.assert_allclose(found, np.array(levels)[:, None] * expected)


@pytest.mark.parametrize(("shift", "shared"), [(14, True), (22, False)])
def test_find_courses_holds_series_for_alike_by_what_the_others_tell_of_each(
    shift: int, shared: bool
) -> None:
    series = (20 + course(1100, first=at) + noise(1100, at) for at in (0, shift, 2 * shift))
    assert bool(find_courses(panel_of(*series)).shared) == shared


def test_find_courses_gives_none_to_a_constant_beside_series_that_are_alike() -> None:
    panel, more = (panel_of(*alike(3, 5.0), *constant) for constant in ([], [np.full(1100, 7.0)]))
    assert find_courses(more) == find_courses(panel)


def test_find_courses_leaves_its_own_to_a_series_unlike_the_others() -> None:
    odd = 20 - course(1100)
    *others, last = find_courses(panel_of(*alike(8, 4.0), odd)).own
    np.testing.assert_allclose(last.coefficients, -np.array(COEFFICIENTS), atol=0.01)
    for each in others:
        np.testing.assert_allclose(each.coefficients, COEFFICIENTS, atol=0.7)


def test_find_courses_goes_by_most_series_when_one_is_odd() -> None:
    burst, relaunched = np.zeros(1100), np.zeros(1100)
    burst[800:810], relaunched[900:] = 50, 50
    found = find_courses(panel_of(*alike(8, 1.0), burst, relaunched, 20 + course(60)))
    assert len(found.own) == 9 and found.own[-1].id == "s10"


def test_find_courses_believes_for_longer_what_was_believed() -> None:
    """Slow weather that all have leaves 0.7 of the changes."""
    weather = np.convolve(noise(1159, 1), np.ones(60) / 60**0.5, "valid")
    panel = panel_of(*(20 + course(1100) + 5 * weather + noise(1100, at) for at in range(4)))
    assert not find_courses(panel)
    assert find_courses(panel, belief=DISBELIEVED).shared


def test_find_courses_gives_one_to_every_series_when_it_is_asked_to() -> None:
    """Its own to one that lasts a year, to others the mean."""
    panel = panel_of(9 + course(364), 9 + course(365), noise(500), np.full(9, np.nan))
    found = find_courses(panel, always=True)
    assert [each.id for each in found.own] == ["s0", "s1", "s2"]
    np.testing.assert_allclose(found.own[1].coefficients, COEFFICIENTS, atol=1e-6)


@pytest.mark.parametrize("scale", ["units", "shares"])
def test_with_shared_gives_series_that_were_not_met_what_the_others_share(
    scale: YearlyScale,
) -> None:
    found = find_courses(panel_of(*alike(3, 1.0)), scale=scale)
    panel = panel_of(np.full(5, 3.0), np.array([-1.0, np.nan, 5.0]), np.full(9, 4.0))
    panel = replace(panel, ids=("met", "new", "s0"))
    *before, last = with_shared(found, panel, {"met"}, scale).own
    level = 3 / np.abs(1 + waves_at(np.array([0, 2])) @ found.shared).mean()
    expected = np.array(found.shared) * (level if scale == "units" else 1)
    assert tuple(before) == found.own and last.id == "new"
    np.testing.assert_allclose(last.coefficients, expected)
    assert with_shared(NO_YEARLY, panel, set(), scale) == NO_YEARLY
