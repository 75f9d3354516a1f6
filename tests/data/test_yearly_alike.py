"""Where the yearly component is found by all series together."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import NO_YEARLY
from rnnforecast.data.time_units import DAY
from rnnforecast.data.yearly import waves_at
from rnnforecast.data.yearly_search import DISBELIEVED, find_yearly, with_shared
from tests.data.years import (
    COEFFICIENTS,
    component,
    component_at,
    noise,
    panel_of,
)


def alike(count: int, size: float, level: float = 1.0) -> list[FloatArray]:
    """Three years of series that share a component, each of its own noise."""
    return [level * (20 + component(1100) + size * noise(1100, seed)) for seed in range(count)]


def slow(seed: int) -> FloatArray:
    """Weather that hides a year."""
    return 20 * np.convolve(noise(1159, seed), np.ones(60) / 60, "valid")


def test_find_yearly_gives_one_to_all_when_noise_hides_what_they_share() -> None:
    panel = panel_of(*(20 + 0.4 * component(1100) + slow(seed) for seed in range(12)))
    alone = [bool(find_yearly(panel_of(panel.series(index)))) for index in range(12)]
    assert sum(alone) <= 2
    found = find_yearly(panel)
    assert len(found.own) >= 9
    np.testing.assert_allclose(20 * np.array(found.shared), 0.4 * np.array(COEFFICIENTS), atol=0.4)


@pytest.mark.parametrize("log", [False, True])
def test_find_yearly_gives_a_new_series_what_the_others_share(log: bool) -> None:
    """In shares of its level, or in logarithms: of its own size."""
    values = [*alike(5, 1.0), 100 * (20 + component(60, first=1040))]
    if log:
        values = [np.exp(each / each.max()) for each in values]
    panel = replace(panel_of(*values), starts=np.array([0] * 5 + [1040 * DAY]))
    found = find_yearly(panel, log=log)
    assert found.scale == ("logarithms" if log else "shares")
    assert [each.id for each in found.own] == list(panel.ids)
    assert found.own[-1].coefficients == found.shared
    if not log:
        np.testing.assert_allclose(found.shared, np.array(COEFFICIENTS) / 20, atol=0.01)


def test_find_yearly_takes_a_new_series_for_as_high_as_the_year_is_then() -> None:
    """Values of either sign: what is known of it lies in a part of the year that is low."""
    others, new = alike(5, 1.0), 100 * (20 + component(60, first=1040))
    dips = [np.where(np.arange(1100) == 500, -1, each) for each in others]
    panel = replace(panel_of(*dips, new), starts=np.array([0] * 5 + [1040 * DAY]))
    *_, last = find_yearly(panel).own
    assert new.mean() < 1900
    np.testing.assert_allclose(last.coefficients, 100 * np.array(COEFFICIENTS), atol=20)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="one"),
        pytest.param([component(1100, first=183), component(1100, first=91)], id="other phases"),
    ],
)
def test_find_yearly_finds_none_when_a_series_is_too_short_and_the_others_are_not_alike(
    others: list[FloatArray],
) -> None:
    long = [each + noise(1100) for each in (component(1100), *others)]
    found = find_yearly(panel_of(*long))
    assert (len(found.own), found.shared) == (len(long), ())
    assert find_yearly(panel_of(*long, component(60))) == NO_YEARLY


def test_find_yearly_finds_none_of_new_series_when_the_others_are_random_walks() -> None:
    walks = [np.cumsum(noise(1500, seed)) for seed in range(8)]
    assert find_yearly(panel_of(*walks, np.cumsum(noise(60)))) == NO_YEARLY


def test_find_yearly_mixes_own_and_everybodys_as_serves_most_best() -> None:
    """As a loop over all shares of its own finds, each held against that of the others."""
    shifts = (0, 12, 24)
    panel = panel_of(*(50 + component(1100, first=at) + 6 * noise(1100, at) for at in shifts))
    until, days = 660, np.arange(1100)
    turns = [
        [component_at(datetime(1970, 1, 1) + timedelta(int(day)), one) for one in np.eye(4)]
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
    found = [each.coefficients for each in find_yearly(panel).own]
    np.testing.assert_allclose(found, share * own + (1 - share) * np.median(own, axis=0))


@pytest.mark.parametrize(("shift", "shared"), [(14, True), (22, False)])
def test_find_yearly_holds_series_for_alike_by_what_the_others_tell_of_each(
    shift: int, shared: bool
) -> None:
    series = (20 + component(1100, first=at) + noise(1100, at) for at in (0, shift, 2 * shift))
    assert bool(find_yearly(panel_of(*series)).shared) == shared


def test_find_yearly_gives_none_to_a_constant_beside_series_that_are_alike() -> None:
    panel, more = (panel_of(*alike(3, 5.0), *constant) for constant in ([], [np.full(1100, 7.0)]))
    found, expected = find_yearly(more), find_yearly(panel)
    assert (found.own[:3], found.shared) == (expected.own, expected.shared)
    assert not any(found.own[3].coefficients) and found.count == 3


def test_find_yearly_leaves_its_own_to_a_series_unlike_the_others() -> None:
    odd = 20 - component(1100)
    *others, last = find_yearly(panel_of(*alike(8, 4.0), odd)).own
    np.testing.assert_allclose(last.coefficients, -np.array(COEFFICIENTS), atol=0.01)
    for each in others:
        np.testing.assert_allclose(each.coefficients, COEFFICIENTS, atol=0.7)


def test_find_yearly_goes_by_most_series_when_one_is_odd() -> None:
    burst, relaunched = np.zeros(1100), np.zeros(1100)
    burst[800:810], relaunched[900:] = 50, 50
    found = find_yearly(panel_of(*alike(8, 1.0), burst, relaunched, 20 + component(60)))
    assert found.count == 9 and found.own[-1].coefficients == found.shared


def test_find_yearly_believes_for_longer_what_was_believed() -> None:
    """Slow weather that all have leaves 0.7 of the changes."""
    weather = np.convolve(noise(1159, 1), np.ones(60) / 60**0.5, "valid")
    panel = panel_of(*(20 + component(1100) + 5 * weather + noise(1100, at) for at in range(4)))
    assert not find_yearly(panel)
    assert find_yearly(panel, belief=DISBELIEVED).shared


@pytest.mark.parametrize("below", [0, 40])
def test_with_shared_gives_series_that_were_not_met_what_the_others_share(below: float) -> None:
    found = find_yearly(panel_of(*(each - below for each in alike(3, 1.0))))
    panel = panel_of(np.full(5, 3.0), np.array([-1.0, np.nan, 5.0]), np.full(9, 4.0))
    panel = replace(panel, ids=("met", "new", "s0"))
    *before, last = with_shared(found, panel, {"met"}).own
    level = 3 / np.abs(1 + waves_at(np.array([0, 2])) @ found.shared).mean() if below else 1
    assert tuple(before) == found.own and last.id == "new"
    np.testing.assert_allclose(last.coefficients, level * np.array(found.shared))
    assert with_shared(NO_YEARLY, panel, set()) == NO_YEARLY


@pytest.mark.parametrize("odd", [-1.0, 8.0])
def test_find_yearly_shares_what_most_have_when_some_are_of_another_size(odd: float) -> None:
    small = [0.3 * each for each in COEFFICIENTS]
    sizes = [0.3] * 5 + [0.3 * odd]
    series = [100 + size * component(1100) + 0.3 * noise(1100, at) for at, size in enumerate(sizes)]
    found = find_yearly(panel_of(*series, np.full(9, 100.0)))
    np.testing.assert_allclose(100 * np.array(found.shared), small, atol=0.1)
