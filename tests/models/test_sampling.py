"""Ancestral sampling against distributions that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.models.cells import LSTM
from rnnforecast.models.decoders import DecoderSizes, Memory
from rnnforecast.models.heads import NegativeBinomialHead, NormalHead
from rnnforecast.models.normalisation import WindowScale
from rnnforecast.models.sampling import PATHS, Ancestral, hazen, lattice, least_counts

HORIZON, LEVELS = 6, (0.1, 0.5, 0.9)
MEMORY = Memory(torch.zeros(2, 1, 4), torch.tensor([1, 1]), torch.randn(2, 3))
SCALE = WindowScale(torch.tensor([[5.0], [100.0]]), torch.tensor([[2.0], [10.0]]))


def build(feedback: float) -> Ancestral:
    """A decoder whose step is N(skip + `feedback` * the value fed, 1): an autoregression."""
    sizes = DecoderSizes(
        cell=LSTM,
        state_size=4,
        summary_size=3,
        hidden_size=4,
        segment_length=9,
        horizon=HORIZON,
        spreads=1,
    )
    decoder = Ancestral(sizes)

    def advance(x: Tensor, state: object, memory: Memory) -> tuple[Tensor, object]:
        return x[:, :1], state

    decoder.advance = advance
    decoder.embed = lambda fed: fed
    decoder.projection.location = nn.Linear(1, 1)
    decoder.projection.spread = nn.Linear(1, 1)
    with torch.no_grad():
        decoder.projection.location.weight.fill_(feedback)
        decoder.projection.location.bias.zero_()
        decoder.projection.spread.weight.zero_()
        decoder.projection.spread.bias.fill_(torch.expm1(torch.tensor(1 - 1e-3)).log())
    return decoder


def test_paths_spread_as_an_autoregression_when_values_are_fed_back() -> None:
    skip = torch.zeros(2, HORIZON)
    with torch.no_grad():
        paths = build(0.8).paths(MEMORY, skip, NormalHead(LEVELS), SCALE, lattice(20_000, HORIZON))
    variance = torch.tensor([sum(0.64**lag for lag in range(step + 1)) for step in range(HORIZON)])
    torch.testing.assert_close(paths.var(2), variance.expand(2, -1), rtol=0.03, atol=0)
    torch.testing.assert_close(paths.mean(2), skip, rtol=0, atol=0.03)
    again = paths[0] - paths[1]
    assert not again.any(), "the numbers drawn are common to all windows"


def test_quantiles_are_those_of_the_distribution_when_steps_are_independent() -> None:
    skip = torch.linspace(-1, 1, HORIZON).repeat(2, 1)
    with torch.no_grad():
        quantiles = build(0.0).quantiles(MEMORY, skip, NormalHead(LEVELS), SCALE)
    normal = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64)).float()
    expected = SCALE.inverse(skip[..., None] + normal)
    off = (quantiles - expected) / SCALE.scale[..., None]
    assert quantiles.shape == (2, HORIZON, 3)
    assert off.abs().max() < 0.2


def test_quantiles_are_equal_when_windows_are_drawn_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder, skip, head = build(0.5), torch.randn(2, HORIZON), NormalHead(LEVELS)
    with torch.no_grad():
        together = decoder.quantiles(MEMORY, skip, head, SCALE)
        monkeypatch.setattr("rnnforecast.models.sampling.DRAWN_AT_ONCE", 1)
        assert torch.equal(decoder.quantiles(MEMORY, skip, head, SCALE), together)


def test_lattice_has_one_number_a_stratum_in_an_order_of_its_own_at_each_step() -> None:
    uniform = lattice(PATHS, HORIZON)
    assert uniform.shape == (PATHS, HORIZON, 2)
    assert torch.equal(uniform, lattice(PATHS, HORIZON))
    gaps = uniform.sort(0).values.diff(dim=0) * PATHS
    torch.testing.assert_close(gaps[..., 0], torch.ones_like(gaps[..., 0]))
    assert gaps[..., 1].max() < 3
    assert torch.corrcoef(torch.stack([uniform[:, 0, 0], uniform[:, 1, 0]]))[0, 1].abs() < 0.2


def test_least_counts_are_those_that_shares_reach_when_paths_are_few() -> None:
    paths = torch.tensor([[[5.0, 1.0, 4.0, -0.0]]])
    level = torch.tensor([0.1, 0.25, 0.26, 0.5, 0.75, 0.9])
    counts = least_counts(paths, level)
    assert counts.tolist() == [[[0, 0, 1, 1, 4, 5]]]
    assert not counts.signbit().any()


@pytest.mark.parametrize("percent", range(1, 100))
def test_least_counts_take_the_rank_exactly_when_it_is_whole(percent: int) -> None:
    paths = torch.arange(1.0, 101).expand(1, 1, 100)
    level = torch.tensor([percent / 100], dtype=torch.float64)
    assert least_counts(paths, level).item() == percent


def test_hazen_is_numpys_when_paths_are_few() -> None:
    paths = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    level = [0.01, 0.1, 0.5, 0.8, 0.99]
    expected = np.quantile(paths.numpy(), level, axis=2, method="hazen")
    actual = hazen(paths, torch.tensor(level, dtype=torch.float64))
    np.testing.assert_allclose(actual.numpy(), np.moveaxis(expected, 0, 2), rtol=0, atol=1e-6)


def test_quantiles_are_whole_when_the_head_is_of_counts() -> None:
    torch.manual_seed(0)
    decoder, skip = build(0.5), torch.randn(2, HORIZON)
    with torch.no_grad():
        quantiles = decoder.quantiles(MEMORY, skip, NegativeBinomialHead(LEVELS), SCALE)
    assert torch.equal(quantiles, quantiles.round())
    assert (quantiles >= 0).all() and quantiles.std() > 0
