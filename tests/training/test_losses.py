"""The pinball loss against a naive loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.training.losses import pinball_loss

numbers = st.floats(-1e4, 1e4, allow_nan=False)
level_sets = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4)


def naive_pinball(
    quantiles: list, target: list, mask: list[list[bool]], levels: list[float]
) -> float:
    total, count = 0.0, 0
    for row, steps in enumerate(mask):
        for step, observed in enumerate(steps):
            if not observed:
                continue
            count += 1
            for place, level in enumerate(levels):
                error = target[row][step] - quantiles[row][step][place]
                loss = level * error if error >= 0 else (1 - level) * -error
                total += 2 * loss / len(levels)
    return total / count if count else 0.0


@settings(deadline=None)
@given(data=st.data(), levels=level_sets, batch=st.integers(1, 3), horizon=st.integers(1, 4))
def test_pinball_loss_matches_naive_loop_when_values_are_arbitrary(
    data: st.DataObject, levels: list[float], batch: int, horizon: int
) -> None:
    def draw(of: st.SearchStrategy, *shape: int) -> list:
        if not shape:
            return data.draw(of)
        return [draw(of, *shape[1:]) for _ in range(shape[0])]

    quantiles = draw(numbers, batch, horizon, len(levels))
    target, mask = draw(numbers, batch, horizon), draw(st.booleans(), batch, horizon)
    actual = pinball_loss(
        torch.tensor(quantiles, dtype=torch.float64),
        torch.tensor(target, dtype=torch.float64),
        torch.tensor(mask),
        levels,
    )
    expected = naive_pinball(quantiles, target, mask, levels)
    assert actual.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_pinball_loss_is_absolute_error_when_level_is_median() -> None:
    quantiles, target = torch.randn(5, 3, 1), torch.randn(5, 3)
    actual = pinball_loss(quantiles, target, torch.ones(5, 3, dtype=torch.bool), (0.5,))
    torch.testing.assert_close(actual, (target - quantiles[..., 0]).abs().mean())


def test_pinball_loss_is_zero_without_gradient_when_nothing_is_observed() -> None:
    quantiles = torch.randn(2, 3, 3, requires_grad=True)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    loss = pinball_loss(quantiles, torch.zeros(2, 3), mask, (0.1, 0.5, 0.9))
    loss.backward()
    assert loss.item() == 0
    assert not quantiles.grad.any()


def test_pinball_loss_ignores_target_when_step_is_masked() -> None:
    quantiles, target = torch.randn(2, 3, 3), torch.randn(2, 3)
    mask = torch.tensor([[True, False, True], [False, True, True]])
    levels = (0.1, 0.5, 0.9)
    other = torch.where(mask, target, 1e9)
    assert torch.equal(
        pinball_loss(quantiles, target, mask, levels), pinball_loss(quantiles, other, mask, levels)
    )


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_loss_is_least_at_empirical_quantile_when_forecast_is_constant(
    level: float,
) -> None:
    target = torch.arange(101.0)[:, None]
    candidates = torch.arange(101.0)
    losses = [
        pinball_loss(torch.full((101, 1, 1), float(q)), target, target >= 0, (level,)).item()
        for q in candidates
    ]
    assert abs(losses.index(min(losses)) - 100 * level) <= 1
