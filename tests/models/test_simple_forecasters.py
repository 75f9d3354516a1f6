"""Simple forecasters as maps of what a skip reads, against loops over single values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.arrays import FloatArray
from rnnforecast.models.simple_forecasters import forecasters, simple_maps
from rnnforecast.models.smoothing import theta_map


def all_maps(read: int, horizon: int, seasons: Sequence[int]) -> Tensor:
    """Those of every season, and of none."""
    return torch.cat([simple_maps(read, horizon, season) for season in sorted({1, *seasons})])


def simple_forecasts(values: list[float], horizon: int, seasons: Sequence[int]) -> FloatArray:
    """What each simple forecaster says, one value after the other [forecaster, horizon]."""
    forecasts: list[list[float]] = []
    for season in sorted({1, *seasons}):
        cycles = len(values) // season
        if cycles == 0:
            continue
        whole = values[len(values) - cycles * season :]
        means = [sum(whole[season * c : season * (c + 1)]) / season for c in range(cycles)]
        last = [whole[len(whole) - season + step % season] for step in range(horizon)]
        forecasts.append(last)
        for back in sorted({1, 4, 8, cycles - 1} - {0}):
            if back < cycles:
                slope = (means[-1] - means[-1 - back]) / back
                forecasts.append([last[s] + slope * (s // season + 1) for s in range(horizon)])
        if season > 1 and cycles > 1:
            quarter = range(season - max(1, season // 4), season)
            rises = [whole[phase - season] - whole[phase - 2 * season] for phase in quarter]
            slope = sum(rises) / len(rises)
            forecasts.append([last[s] + slope * (s // season + 1) for s in range(horizon)])
        if cycles > 1:
            phases = [sum(whole[phase::season]) / cycles for phase in range(season)]
            lift = means[-1] - sum(means) / cycles
            forecasts.append([phases[step % season] for step in range(horizon)])
            forecasts.append([phases[step % season] + lift for step in range(horizon)])
    return np.array(forecasts)


sizes = st.tuples(
    st.integers(1, 40), st.integers(1, 15), st.lists(st.integers(1, 45), max_size=2, unique=True)
)


@settings(deadline=None)
@given(sizes, st.integers(0, 99))
def test_simple_maps_are_simple_forecasters_when_values_are_any(
    size: tuple[int, int, list[int]], seed: int
) -> None:
    read, horizon, seasons = size
    values = np.random.default_rng(seed).normal(size=read)
    maps = all_maps(read, horizon, seasons).double().numpy()
    expected = simple_forecasts(values.tolist(), horizon, seasons)
    assert maps.shape == (len(expected), horizon, read)
    np.testing.assert_allclose(maps @ values, expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(sizes)
def test_simple_maps_keep_the_level_when_values_are_constant(
    size: tuple[int, int, list[int]],
) -> None:
    total = all_maps(*size).sum(2)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def test_simple_maps_are_the_naive_alone_when_one_value_is_read() -> None:
    assert all_maps(1, 3, (4, 9)).tolist() == [[[1.0]] * 3]


@pytest.mark.parametrize(
    ("read", "seasons", "smoothed", "place"),
    [(12, (), 1, 0), (12, (4,), 4, 1), (12, (4, 5), 4, 1), (7, (4,), 4, 0), (900, (400,), 400, 0)],
)
def test_forecasters_have_the_theta_method_beside_those_of_its_season(
    read: int, seasons: tuple[int, ...], smoothed: int, place: int
) -> None:
    groups = forecasters(read, 3, seasons, smoothed)
    assert len(groups) == len({1, *seasons})
    for at, (group, season) in enumerate(zip(groups, sorted({1, *seasons}), strict=True)):
        plain = simple_maps(read, 3, season)
        assert group.shape[1:] == (3, read + 1)
        assert torch.equal(group[: len(plain), :, :-1], plain)
        assert not group[: len(plain), :, -1].any()
        assert len(group) - len(plain) == (at == place)
    assert torch.equal(groups[place][-1], theta_map(read, 3, smoothed))
    naive = torch.zeros(3, read + 1)
    naive[:, -2] = 1
    assert torch.equal(groups[0][0], naive)
