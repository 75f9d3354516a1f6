"""The level of a window and the theta method, against loops over single values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.arrays import FloatArray
from rnnforecast.models.smoothing import CONSTANTS, MOST, smoothing, theta_map, with_level

sizes = st.tuples(st.integers(1, 90), st.integers(1, 14), st.integers(1, 15))


def drawn(seed: int, read: int, wander: float = 1.0) -> FloatArray:
    """Values of one window that wander by so much beside their noise."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=read) + wander * rng.normal(size=read).cumsum())


def theta_by_loops(values: FloatArray, horizon: int, season: int) -> FloatArray:
    """The theta method of each smoothing constant, then their mean by likelihood [horizon]."""
    size, season = smoothing(len(values), season)
    newest = values[len(values) - size :]
    steps = np.arange(size)
    means = newest.reshape(-1, season).mean(1)
    drift = np.polyfit(season * np.arange(len(means)), means, 1)[0] if len(means) > 1 else 0.0
    flat = newest - drift * (steps - steps.mean())
    phases = np.array([flat[phase::season].mean() for phase in range(season)])
    phases -= phases.mean()
    rest = [value - phases[step % season] for step, value in enumerate(newest)]
    forecasts, likelihoods = [], []
    for constant in CONSTANTS:
        level, squares = rest[0], size * 1e-6
        for value in rest[1:]:
            squares += (value - level) ** 2
            level = constant * value + (1 - constant) * level
        lag = (1 - (1 - constant) ** size) / constant
        ahead = [level + drift / 2 * (step + lag) for step in range(horizon)]
        forecasts.append([at + phases[step % season] for step, at in enumerate(ahead)])
        likelihoods.append(squares ** (-size / 2))
    shares = np.array(likelihoods) / sum(likelihoods)
    return np.asarray(shares @ np.array(forecasts))


def theta(values: FloatArray, horizon: int, season: int) -> FloatArray:
    """What the map makes of values and their level [horizon]."""
    window = torch.from_numpy(values.astype(np.float32))[None]
    found = with_level(window, season) @ theta_map(len(values), horizon, season).T
    return found[0].double().numpy()


@settings(deadline=None)
@given(sizes, st.integers(0, 99), st.sampled_from([0.0, 0.3, 1.0]))
def test_theta_map_of_a_level_is_the_theta_method_of_a_loop(
    size: tuple[int, int, int], seed: int, wander: float
) -> None:
    read, horizon, season = size
    values = drawn(seed, read, wander)
    expected = theta_by_loops(values, horizon, season)
    np.testing.assert_allclose(theta(values, horizon, season), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("read", "season", "expected"),
    [
        (1, 1, (1, 1)),
        (40, 1, (40, 1)),
        (500, 1, (64, 1)),
        (7, 4, (7, 1)),
        (11, 4, (8, 4)),
        (500, 12, (60, 12)),
        (500, 96, (192, 96)),
        (500, MOST // 2, (MOST, MOST // 2)),
        (2000, MOST // 2 + 1, (64, 1)),
        (191, 96, (64, 1)),
    ],
)
def test_smoothing_takes_whole_seasons_where_two_are_read(
    read: int, season: int, expected: tuple[int, int]
) -> None:
    assert smoothing(read, season) == expected


def test_with_level_is_the_mean_of_what_scatters_and_the_last_of_what_wanders() -> None:
    rng = np.random.default_rng(3)
    noise, walk = rng.normal(size=(200, 64)), rng.normal(size=(200, 64)).cumsum(1)
    windows = torch.from_numpy(np.stack([noise, walk])).float()
    levels = with_level(windows.flatten(0, 1), 1)[:, -1].reshape(2, 200)
    lasting = (levels - windows[..., -1]).abs().mean(1)
    assert levels[0].abs().mean() < 0.3 < 0.6 < lasting[0]
    assert lasting[1] < 0.25


@pytest.mark.parametrize("read", [1, 2, 30])
def test_with_level_is_of_no_window_when_there_is_none(read: int) -> None:
    assert with_level(torch.empty(0, read), 4).shape == (0, read + 1)


def test_with_level_leaves_values_as_they_are_and_needs_none_but_the_newest() -> None:
    values = torch.from_numpy(drawn(0, 2 * 300)).float().reshape(2, 300)
    found = with_level(values, 12)
    assert torch.equal(found[:, :-1], values)
    assert torch.equal(with_level(values[:, -60:], 12)[:, -1], found[:, -1])


@settings(deadline=None)
@given(sizes, st.floats(-20, 20))
def test_theta_of_a_constant_is_the_constant(size: tuple[int, int, int], level: float) -> None:
    read, horizon, season = size
    found = theta(np.full(read, level), horizon, season)
    np.testing.assert_allclose(found, level, rtol=1e-4, atol=1e-4)


def test_theta_repeats_a_season_that_repeats() -> None:
    pattern = np.array([1.0, 4.0, 2.0, 3.0])
    np.testing.assert_allclose(theta(np.tile(pattern, 6), 8, 4), np.tile(pattern, 2), atol=1e-4)


def test_with_level_is_of_tensors_that_gradients_pass_when_first_asked_in_inference() -> None:
    with torch.inference_mode():
        with_level(torch.ones(2, 59), 1)
    values = torch.ones(2, 59, requires_grad=True)
    with_level(values, 1).sum().backward()
    assert values.grad is not None
