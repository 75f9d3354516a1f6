"""Where the yearly component is found, by series and by all together."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import NO_YEARLY
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import DAY, WEEK
from rnnforecast.data.yearly import Daily
from rnnforecast.data.yearly_search import find_yearly
from rnnforecast.data.yearly_trials import left_of_changes
from tests.data.years import (
    BUSINESS,
    COEFFICIENTS,
    DAILY,
    HOURLY,
    business_component,
    component,
    noise,
    panel_of,
)


@pytest.mark.parametrize(
    ("frequency", "values"),
    [
        pytest.param(DAILY, component(1000), id="days"),
        pytest.param(HOURLY, component(24 * 800, timedelta(hours=1)), id="hours"),
        pytest.param(BUSINESS, business_component(600), id="business days"),
    ],
)
def test_find_yearly_finds_what_was_put_in_when_there_is_nothing_else(
    frequency: Frequency, values: FloatArray
) -> None:
    values = 0.01 * np.arange(len(values)) + values
    (found,) = find_yearly(panel_of(values, frequency=frequency)).own
    assert found.id == "s0"
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.02)


def test_find_yearly_comes_near_it_when_there_is_noise_and_days_are_missing() -> None:
    values = component(1100) + 3 * noise(1100)
    values[200:230] = np.nan
    (found,) = find_yearly(panel_of(values)).own
    assert found.coefficients == pytest.approx(COEFFICIENTS, abs=0.7)


def test_find_yearly_is_of_logarithms_when_these_are_asked_for() -> None:
    values = np.exp(0.1 * component(900))
    (found,) = find_yearly(panel_of(values), log=True).own
    assert found.coefficients == pytest.approx([each / 10 for each in COEFFICIENTS], abs=1e-9)


def test_find_yearly_is_the_same_when_values_are_on_another_scale() -> None:
    values = component(900) + noise(900)
    (found,), (scaled,) = (find_yearly(panel_of(unit * values)).own for unit in (1.0, 1e9))
    expected = [1e9 * each for each in found.coefficients]
    assert scaled.coefficients == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "frequency"),
    [
        pytest.param(component(730), DAILY, id="too short"),
        pytest.param(noise(1500), DAILY, id="noise"),
        pytest.param(np.cumsum(noise(2000)), DAILY, id="a random walk"),
        pytest.param(np.arange(1500.0), DAILY, id="a line"),
        *(
            pytest.param(np.full(1500, value), DAILY, id=f"a constant {value:g}")
            for value in (7.3, 0.1, 0.0, 1e9 + 0.1)
        ),
        pytest.param(1e6 + 12345.678 * np.arange(1500), DAILY, id="a steep line"),
        pytest.param(
            component(320, timedelta(days=2)),
            Frequency(unit="microsecond", count=2 * DAY),
            id="two days",
        ),
        pytest.param(component(1500), Frequency(unit="step"), id="integer steps"),
        pytest.param(
            component(300, timedelta(days=7)), Frequency(unit="microsecond", count=WEEK), id="weeks"
        ),
        pytest.param(component(300), Frequency(unit="month"), id="months"),
    ],
)
def test_find_yearly_finds_none_when_there_is_none_to_believe(
    values: FloatArray, frequency: Frequency
) -> None:
    assert find_yearly(panel_of(values, frequency=frequency)) == NO_YEARLY


@pytest.mark.parametrize("part", [slice(1, 999), slice(1, 590), slice(605, 999)])
@pytest.mark.parametrize("always", [False, True])
def test_find_yearly_finds_none_when_next_to_nothing_was_observed(
    part: slice, always: bool
) -> None:
    values = component(1000)
    values[part][np.arange(len(values[part])) % 5 > 0] = np.nan
    found = find_yearly(panel_of(values), always=always)
    assert len(found.own) == (always and np.isnan(values).mean() < 0.5)


@pytest.mark.parametrize("value", [7.3, 0.1, 0.0, 1e9 + 0.1])
def test_find_yearly_gives_none_to_a_constant_when_it_is_asked_to(value: float) -> None:
    assert find_yearly(panel_of(np.full(900, value)), always=True) == NO_YEARLY


@pytest.mark.parametrize(("yearly", "found"), [(5, False), (40, True)])
def test_find_yearly_looks_at_all_series_when_a_sample_of_many_shows_some(
    yearly: int, found: bool
) -> None:
    others = [noise(750, seed) for seed in range(100 - yearly)]
    panel = panel_of(*[component(750) + noise(750, seed) for seed in range(yearly)], *others)
    names = [each.id for each in find_yearly(panel).own]
    assert names[:yearly] == [f"s{place}" for place in range(yearly)] * found


@pytest.mark.parametrize(("size", "found"), [(4, 1), (5, 0)])
def test_find_yearly_believes_a_component_by_what_it_leaves_of_changes(
    size: float, found: int
) -> None:
    """Slow weather, of a size that hides the year or does not."""
    slow = np.convolve(noise(1400, 3), np.ones(60) / 60**0.5, "valid")[:1300]
    values = component(1300) + size * slow
    left = left_of_changes(Daily(0, values), 780)
    assert (left < 0.6) == bool(found) and abs(left - 0.6) < 0.1
    assert len(find_yearly(panel_of(values)).own) == found


def test_find_yearly_passes_values_without_a_logarithm_over() -> None:
    values = np.exp(0.1 * component(900))
    values[::10] = 0.0
    (found,) = find_yearly(panel_of(values), log=True).own
    assert found.coefficients == pytest.approx([each / 10 for each in COEFFICIENTS], abs=1e-9)


@pytest.mark.parametrize(("yearly", "found"), [(2, 0), (5, 5)])
def test_find_yearly_needs_some_of_many_series_to_show_one(yearly: int, found: int) -> None:
    walks = [np.cumsum(noise(1500, seed)) for seed in range(20 - yearly)]
    panel = panel_of(*[component(1500) + noise(1500, seed) for seed in range(yearly)], *walks)
    shown = [each.id for each in find_yearly(panel).own]
    assert [name for name in shown if int(name[1:]) < yearly] == [f"s{i}" for i in range(found)]


def test_find_yearly_gives_one_to_every_series_when_it_is_asked_to() -> None:
    """Its own to one that lasts a year, to others the mean."""
    panel = panel_of(9 + component(364), 9 + component(365), noise(500), np.full(9, np.nan))
    found = find_yearly(panel, always=True)
    assert [any(each.coefficients) for each in found.own] == [True, True, True, False]
    np.testing.assert_allclose(found.own[1].coefficients, COEFFICIENTS, atol=1e-6)
