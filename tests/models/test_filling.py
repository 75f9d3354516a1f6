"""What stands in for missing values of windows, against loops over single values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.models.filling import POLICIES, carried_forward, interpolated, seasonal


@st.composite
def windows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Values and mask [batch, lookback], values 0 where masked."""
    batch, time = draw(st.integers(1, 3)), draw(st.integers(1, 14))
    count = batch * time
    numbers = draw(st.lists(st.integers(-50, 50), min_size=count, max_size=count))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    values = torch.tensor(numbers, dtype=torch.float64) * mask
    return values.reshape(batch, time), mask.reshape(batch, time)


def by_phase(values: list[float], mask: list[bool], season: int) -> dict[int, float]:
    """The value for each step whose phase is observed, one value after the other."""
    later = [at for at in range(season, len(values)) if mask[at] and mask[at - season]]
    changes = [values[at] - values[at - season] for at in later]
    drift = sum(changes) / max(1, len(changes))
    filled = {}
    for step in range(len(values)):
        seen = [at for at in range(step % season, len(values), season) if mask[at]]
        if seen:
            outside = step - min(max(step, seen[0]), seen[-1])
            line = np.interp(step, seen, [values[at] for at in seen])
            filled[step] = float(line) + drift * outside / season
    return filled


@settings(deadline=None)
@given(windows())
def test_interpolated_equals_numpy_between_observations_when_values_are_missing(
    window: tuple[Tensor, Tensor],
) -> None:
    values, mask = window
    filled, found = interpolated(values, mask)
    for row in range(len(values)):
        seen = mask[row].nonzero().flatten().tolist()
        for step in range(values.shape[1]):
            inside = bool(seen) and seen[0] <= step <= seen[-1]
            assert bool(found[row, step]) == inside
            expected = np.interp(step, seen, values[row, seen]) if inside else 0.0
            assert filled[row, step].item() == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(windows())
def test_carried_forward_repeats_the_last_observation_when_values_are_missing(
    window: tuple[Tensor, Tensor],
) -> None:
    values, mask = window
    filled, found = carried_forward(values, mask)
    for row in range(len(values)):
        last = None
        for step in range(values.shape[1]):
            last = values[row, step].item() if mask[row, step] else last
            assert bool(found[row, step]) == (last is not None)
            assert filled[row, step].item() == (0.0 if last is None else last)


@settings(deadline=None)
@given(windows(), st.lists(st.integers(1, 6), min_size=1, max_size=2, unique=True))
def test_seasonal_takes_the_longest_season_with_an_observation_when_values_are_missing(
    window: tuple[Tensor, Tensor], seasons: list[int]
) -> None:
    values, mask = window
    filled = seasonal(values, mask, sorted(seasons))
    for row in range(len(values)):
        expected, known = values[row].tolist(), mask[row].tolist()
        first = known.index(True) if any(known) else len(known)
        for season in sorted(seasons, reverse=True):
            found = by_phase(expected, known, season)
            expected = [found.get(step, 0.0) for step in range(len(expected))]
            known = [step in found for step in range(len(expected))]
        expected[:first] = [0.0] * first
        assert filled[row].tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None)
@given(window=windows())
def test_policy_changes_no_observed_value_when_it_fills(
    window: tuple[Tensor, Tensor], policy: str
) -> None:
    values, mask = window
    filled, found = POLICIES[policy](values, mask)
    assert torch.equal(filled[mask], values[mask]) and bool(found[mask].all())
    assert bool((filled[~found] == 0).all())


def test_filling_returns_the_same_bits_when_nothing_is_missing() -> None:
    values = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(4, 30, dtype=torch.bool)
    assert torch.equal(seasonal(values, mask, (7, 14)), values)
    for fill in POLICIES.values():
        filled, found = fill(values, mask)
        assert torch.equal(filled, values) and bool(found.all())


def test_seasonal_restores_a_season_on_a_trend_when_more_than_a_cycle_is_missing() -> None:
    step = torch.arange(36, dtype=torch.float64)
    whole = (step % 12) ** 2 + 3 * step
    mask = ((step < 13) | (step >= 26))[None]
    filled = seasonal(torch.where(mask, whole, 0.0), mask, (12,))
    assert filled[0].tolist() == pytest.approx(whole.tolist())
