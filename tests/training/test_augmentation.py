"""Jitter is noise of a known size on what was observed, and on nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.windows import Batch
from rnnforecast.estimation import fitting
from rnnforecast.estimation.fitting import batch_losses, find_rate
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.training.augmentation import jitter
from tests.panels import make_panel
from tests.short_training import short_training

SEASONS = st.sampled_from([1, 2, 4, 12])


def windows(seed: int, lookback: int, observed: float = 1.0) -> tuple[Tensor, Tensor]:
    """Three windows of which this share was observed, 0 where not."""
    rng = np.random.default_rng(seed)
    mask = rng.random((3, lookback)) < observed
    values = np.where(mask, 50 + rng.normal(size=(3, lookback)), 0.0)
    return torch.from_numpy(values), torch.from_numpy(mask)


def drawn(values: Tensor, mask: Tensor, season: int, share: float = 0.5, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return jitter(values, mask, season, share)


def roughness(values: list[float], mask: list[bool], season: int) -> float:
    """By the definition, step by step."""
    changes = [
        abs((values[t] - values[t - 1]) - (values[t - season] - values[t - season - 1]))
        for t in range(season + 1, len(values))
        if mask[t] and mask[t - 1] and mask[t - season] and mask[t - season - 1]
    ]
    return math.fsum(changes) / len(changes) if changes else 0.0


@limits(deadline=None)
@given(
    seed=st.integers(0, 2**32), lookback=st.integers(1, 40), season=SEASONS, share=st.floats(0, 3)
)
def test_jitter_is_the_share_of_roughness_where_values_were_observed(
    seed: int, lookback: int, season: int, share: float
) -> None:
    values, mask = windows(seed, lookback, observed=0.8)
    found = drawn(values, mask, season, share, seed % 1000)
    torch.manual_seed(seed % 1000)
    noise = torch.randn(3, lookback, dtype=torch.float64)
    for row in range(3):
        size = share * roughness(values[row].tolist(), mask[row].tolist(), season)
        for step in range(lookback):
            added = size * float(noise[row, step]) if mask[row, step] else 0.0
            assert float(found[row, step]) == pytest.approx(float(values[row, step]) + added)
    assert not found[~mask].any()


@limits(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    season=SEASONS,
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
)
def test_jitter_moves_with_the_window_when_it_is_scaled_and_shifted(
    seed: int, season: int, scale: float, shift: float
) -> None:
    values, mask = windows(seed, 30)
    expected = drawn(values, mask, season) * scale + shift
    torch.testing.assert_close(drawn(values * scale + shift, mask, season), expected)


@limits(deadline=None)
@given(season=st.integers(1, 8), slope=st.integers(-9, 9), data=st.data())
def test_jitter_changes_nothing_when_a_window_repeats_itself_and_grows_in_a_line(
    season: int, slope: int, data: st.DataObject
) -> None:
    pattern = data.draw(st.lists(st.integers(-99, 99), min_size=season, max_size=season))
    values = torch.tensor([[pattern[t % season] + slope * t for t in range(30)]]).double()
    assert torch.equal(drawn(values, torch.ones(1, 30, dtype=torch.bool), season), values)


def test_jitter_draws_nothing_when_the_share_is_zero() -> None:
    values, mask = windows(0, 30)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert jitter(values, mask, 12, 0.0) is values
    assert torch.equal(torch.get_rng_state(), before)


def test_jitter_differs_from_time_to_time_and_not_from_seed_to_seed() -> None:
    values, mask = windows(0, 30)
    first = drawn(values, mask, 12)
    assert not torch.equal(first, jitter(values, mask, 12, 0.5))
    assert torch.equal(first, drawn(values, mask, 12))


def test_jitter_is_off_when_a_search_of_the_rate_judges_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search steps on jittered windows, and judges each step by the windows as they are."""
    panel = make_panel((50 + np.random.default_rng(0).normal(size=60)).tolist())
    observed, seen = torch.from_numpy(panel.values), {True: set[bool](), False: set[bool]()}

    def spy(network: Ensemble, batch: Batch, teacher_share: float = 0.0) -> list[Tensor]:
        rough = batch.mask.sum(1) > 4
        plain = torch.isin(batch.values[rough], observed) | ~batch.mask[rough]
        seen[network.training].add(bool(plain.all()))
        return batch_losses(network, batch, teacher_share)

    monkeypatch.setattr(fitting, "batch_losses", spy)
    config = RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=8, horizon=2),
        model=ModelSpec(model="gru", hidden_size=3),
        training=short_training(batch_size=16, jitter=0.3),
    )
    find_rate(panel, config, device=torch.device("cpu"))
    assert seen == {True: {False}, False: {True}}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_jitter_is_that_of_the_cpu_when_windows_lie_on_a_gpu() -> None:
    values, mask = windows(0, 30)
    found = drawn(values.cuda(), mask.cuda(), 12).cpu()
    torch.testing.assert_close(found, drawn(values, mask, 12))
