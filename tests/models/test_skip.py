"""The linear skip: where it starts, how far it moves, and how much it reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnnforecast.evaluation.baselines import seasonal_naive
from rnnforecast.models.linear_start import Sample
from rnnforecast.models.skip import (
    SKIP_LOOKBACK,
    STEP_SHARE,
    LinearSkip,
    SeasonalSkips,
    build_skip,
)
from rnnforecast.models.smoothing import with_level


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers of this shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reads(skip: LinearSkip, values: Tensor) -> Tensor:
    """The newest values, and their level [batch, read + 1]."""
    return with_level(values[:, -skip.read :], skip.smoothed)


def by_loops(skip: LinearSkip, values: Tensor) -> np.ndarray:
    """What the skip forecasts [batch, horizon], weight by weight in double precision."""
    start, change = skip.start.tolist(), functional.pad(skip.change, (0, 1)).tolist()
    bias, expected = skip.bias.tolist(), []
    for row in reads(skip, values).tolist():
        expected.append(
            [
                sum((s + 0.1 * c) * value for s, c, value in zip(*weights, row, strict=True))
                + 0.1 * bias[step]
                for step, weights in enumerate(zip(start, change, strict=True))
            ]
        )
    return np.array(expected)


@pytest.mark.parametrize(
    ("lookback", "horizon", "season"),
    [
        *((8, 3, 4), (8, 11, 4), (8, 3, 1), (8, 5, 8), (9, 20, 7), (1, 4, 1)),
        *((2000, 30, 24), (2000, 5, 1500)),
    ],
)
def test_linear_skip_is_seasonal_naive_exactly_when_new(
    lookback: int, horizon: int, season: int
) -> None:
    values = drawn(5, lookback)
    with torch.no_grad():
        actual = LinearSkip(lookback, horizon, season)(values).numpy()
    for row in range(5):
        history = values[row].double().numpy()
        expected = seasonal_naive(history, np.array([lookback]), horizon, season).point[0]
        np.testing.assert_array_equal(actual[row], expected)


def test_linear_skip_repeats_lookback_when_season_is_longer() -> None:
    with torch.no_grad():
        actual = LinearSkip(3, 7, 5)(torch.tensor([[1.0, 2.0, 3.0]]))
    assert actual.tolist() == [[1, 2, 3, 1, 2, 3, 1]]


def test_linear_skip_is_the_map_when_it_starts_at_one() -> None:
    skip, start, values = LinearSkip(7, 3, 2), drawn(3, 8), drawn(4, 7, seed=1)
    skip.start_at(start)
    with torch.no_grad():
        assert torch.equal(skip(values), reads(skip, values) @ start.T)
    start.zero_()
    assert skip.start.any()


@pytest.mark.parametrize("seasons", [(2,), (2, 5)])
def test_skip_tells_what_it_started_as_when_it_has_learned(seasons: tuple[int, ...]) -> None:
    skip, values = build_skip(12, 3, seasons), drawn(4, 12)
    with torch.no_grad():
        before = skip(values)
        for weight in skip.parameters():
            weight.add_(1.0)
        assert torch.equal(skip.started(values), before)
        assert (skip(values) - before).abs().min() > 0.01


@pytest.mark.parametrize(("lookback", "read"), [(5, 5), (SKIP_LOOKBACK + 6, SKIP_LOOKBACK)])
def test_linear_skip_adds_a_tenth_of_what_is_learned_when_it_has_learned(
    lookback: int, read: int
) -> None:
    skip, values = LinearSkip(lookback, 2, 3), drawn(4, lookback, seed=3)
    assert (skip.read, STEP_SHARE) == (read, 0.1)
    with torch.no_grad():
        for seed, part in enumerate((skip.start, skip.change, skip.bias)):
            part.copy_(drawn(*part.shape, seed=seed))
        actual = skip(values).numpy()
    np.testing.assert_allclose(actual, by_loops(skip, values), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("season", "read"), [(4, SKIP_LOOKBACK), (1500, 1500)])
def test_linear_skip_ignores_older_values_when_the_lookback_is_long(season: int, read: int) -> None:
    skip, values = LinearSkip(2000, 3, season), drawn(2, 2000)
    with torch.no_grad():
        skip.change.fill_(0.5)
        before = skip(values)
        assert torch.equal(skip(torch.where(torch.arange(2000) < 2000 - read, 1e9, values)), before)
        values[:, -read] += 1
        assert not torch.equal(skip(values), before)


def test_linear_skip_moves_a_tenth_of_the_gradient_when_it_learns() -> None:
    """The start itself is none of what the optimizer moves."""
    skip, values = LinearSkip(6, 2, 3), drawn(5, 6)
    assert dict(skip.named_parameters()).keys() == {"change", "bias"}
    assert skip.state_dict().keys() == {"start", "change", "bias"}
    skip(values).sum().backward()
    assert skip.change.grad is not None and skip.bias.grad is not None
    torch.testing.assert_close(skip.change.grad, 0.1 * values.sum(0).expand(2, 6))
    torch.testing.assert_close(skip.bias.grad, torch.full((2,), 0.5))


def test_linear_skip_returns_to_its_start_when_only_weight_decay_acts() -> None:
    skip, start, values = LinearSkip(6, 2, 3), drawn(2, 7), drawn(5, 6, seed=1)
    skip.start_at(start)
    with torch.no_grad():
        skip.change.fill_(3.0)
        skip.bias.fill_(3.0)
    optimizer = torch.optim.AdamW(skip.parameters(), lr=0.1, weight_decay=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        (0 * skip(values).sum()).backward()
        optimizer.step()
    with torch.no_grad():
        torch.testing.assert_close(skip(values), reads(skip, values) @ start.T)
    assert torch.equal(skip.start, start)


def repeating(period: int, lookback: int, horizon: int, *, batch: int = 6) -> tuple[Tensor, Tensor]:
    """Windows that repeat every so many steps, with a little noise, and what follows them."""
    cycles = -(-(lookback + horizon) // period)
    whole = drawn(batch, period, seed=period).repeat(1, cycles)[:, : lookback + horizon]
    noise = 0.02 * drawn(batch, lookback, seed=period + 1)
    return whole[:, :lookback] + noise, whole[:, lookback:]


@pytest.mark.parametrize(
    ("lookback", "seasons", "expected"),
    [
        (24, (3, 12), (3, 12)),
        (23, (3, 12), None),
        (24, (3,), None),
        (24, (1,), None),
        (60, (3, 12, 30), (3, 12, 30)),
        (59, (3, 12, 30), (3, 12)),
    ],
)
def test_build_skip_has_a_map_for_each_season_when_a_window_shows_two(
    lookback: int, seasons: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    skip = build_skip(lookback, 5, seasons)
    if expected is None:
        assert isinstance(skip, LinearSkip)
        assert torch.equal(skip.start, LinearSkip(lookback, 5, seasons[0]).start)
    else:
        assert isinstance(skip, SeasonalSkips) and skip.seasons == expected
        assert len(skip.skips) == len(expected)


def test_seasonal_skips_share_by_the_season_that_a_window_keeps_to() -> None:
    skip = SeasonalSkips(24, 5, (3, 12))
    longer, shorter = repeating(12, 24, 5)[0], repeating(3, 24, 5)[0]
    shares = skip.shares(torch.cat([longer, shorter, torch.full((1, 24), 7.0)]))
    torch.testing.assert_close(shares.sum(1), torch.ones(13))
    assert (shares[:6, 1] > 0.99).all()
    # What repeats every 3 steps repeats every 12 as well.
    torch.testing.assert_close(shares[6:12], torch.full((6, 2), 0.5), atol=0.5, rtol=0)
    assert shares[12].tolist() == [0.5, 0.5]


def test_seasonal_skips_shares_follow_their_formula() -> None:
    values = drawn(2, 10)
    (found, _) = SeasonalSkips(10, 2, (2, 5)).shares(values).tolist()
    row = values[0].tolist()
    weights = []
    for season in (2, 5):
        distance = sum(abs(row[t] - row[t - season]) for t in range(5, 10)) / 5
        weights.append((distance + 1e-3) ** -8)
    assert found == pytest.approx([weight / sum(weights) for weight in weights], rel=1e-4)


def test_seasonal_skips_forecast_each_window_by_its_season_when_new() -> None:
    values, ahead = repeating(12, 24, 5)
    skip = SeasonalSkips(24, 5, (3, 12))
    with torch.no_grad():
        torch.testing.assert_close(skip(values), ahead, atol=0.15, rtol=0)


def test_seasonal_skips_start_by_their_own_windows_when_there_are_enough() -> None:
    """Series of one kind rise from season to season, those of the other repeat."""
    rising = repeating(12, 24, 5, batch=80)
    rising = rising[0] + torch.arange(24) / 4, rising[1] + torch.arange(24, 29) / 4
    steady = repeating(3, 24, 5, batch=80)
    steady = steady[0] + drawn(80, 24, seed=5), steady[1]
    read, target = (torch.cat(parts) for parts in zip(rising, steady, strict=True))
    known = torch.ones_like(target, dtype=torch.bool)
    sample = Sample(read, target, known, known, torch.ones(160, dtype=torch.bool), torch.ones(160))
    skip = SeasonalSkips(24, 5, (3, 12))
    skip.start_by(sample, (3, 12))
    one, other = skip.skips
    assert not torch.allclose(one.start, other.start, atol=0.05)
    with torch.no_grad():
        assert (skip(read) - target)[:80].abs().mean() < 0.2
        assert (skip(read) - target)[80:].abs().mean() < 0.6
    few = Sample(*(part[:60] for part in sample))
    skip.start_by(few, (3, 12))
    assert torch.equal(skip.skips[0].start, skip.skips[1].start)


def test_seasonal_skips_learn_in_every_map() -> None:
    skip = SeasonalSkips(10, 2, (2, 5))
    skip(drawn(4, 10)).square().sum().backward()
    for name, weights in skip.named_parameters():
        assert weights.grad is not None and weights.grad.abs().sum() > 0, name
