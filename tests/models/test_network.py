"""The network whole: how it starts, how it follows units, how a new cell joins it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.errors import ConfigError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.evaluation.baselines import seasonal_naive
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import MODELS
from tests.short_training import short_training
from tests.toy_cell import ROW, ToyCell

LOOKBACK, HORIZON, SEASON = 14, 6, 4
# The median of paths drawn lies beside that of the distribution.
EXACT = [name for name, entry in MODELS.items() if not entry.samples]
WITHOUT_CELL = [name for name, entry in MODELS.items() if entry.cell is None]


def build(model: str = "gru", *, season: int = SEASON, **changed: Any) -> ForecastNetwork:
    torch.manual_seed(0)
    given = {"model": model, "hidden_size": 8, "head": MODELS[model].head, **changed}
    spec = ModelSpec(**given)
    windows = WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(season,))
    return ForecastNetwork(spec, windows).eval()


def forecast(network: ForecastNetwork, values: Tensor, mask: Tensor) -> Tensor:
    with torch.no_grad():
        return network.quantiles(values, mask)


def naive_season(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """What the seasonal naive forecasts after the history [step]."""
    return seasonal_naive(history, np.array([len(history)]), horizon, season).point[0]


@pytest.mark.parametrize("season", [1, SEASON, LOOKBACK])
@pytest.mark.parametrize("segment_length", [1, SEASON])
@pytest.mark.parametrize("name", EXACT)
def test_network_median_is_seasonal_naive_when_untrained(
    name: str, segment_length: int, season: int
) -> None:
    rng = np.random.default_rng(1)
    values = 100 + 10 * rng.normal(size=(5, LOOKBACK))
    network = build(name, segment_length=segment_length, season=season)
    mask = torch.ones(values.shape, dtype=torch.bool)
    median = forecast(network, torch.from_numpy(values), mask)[..., 2].numpy()
    expected = [naive_season(row, HORIZON, season) for row in values]
    np.testing.assert_allclose(median, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("factor", "level"), [(3.0, 0.0), (1e-3, 0.0), (40.0, 500.0)])
@pytest.mark.parametrize("segment_length", [1, SEASON])
@pytest.mark.parametrize("name", MODELS)
def test_network_forecast_follows_units_when_floor_does_not_bind(
    name: str, segment_length: int, factor: float, level: float
) -> None:
    network = build(name, segment_length=segment_length)
    nn.init.normal_(network.decoder.projection.location.weight, std=0.3)
    rng = np.random.default_rng(2)
    mask = torch.from_numpy(rng.random((6, LOOKBACK)) > 0.2)
    values = torch.from_numpy(5 + rng.normal(size=(6, LOOKBACK)))
    one = forecast(network, values * mask, mask)
    other = forecast(network, (factor * values + level) * mask, mask)
    torch.testing.assert_close(other, factor * one + level, rtol=1e-5, atol=1e-4 * factor)


@pytest.mark.parametrize(
    ("value", "observed", "width"),
    [(7.0, True, 0.007), (0.0, True, 1.0), (0.0, False, 1.0)],
    ids=["constant", "zeros", "nothing observed"],
)
@pytest.mark.parametrize("name", EXACT)
def test_network_forecast_is_level_when_window_has_no_spread(
    name: str, value: float, observed: bool, width: float
) -> None:
    values = torch.full((2, LOOKBACK), value, dtype=torch.float64)
    mask = torch.full((2, LOOKBACK), observed)
    quantiles = forecast(build(name), values, mask)
    torch.testing.assert_close(quantiles[..., 2], torch.full_like(quantiles[..., 2], value))
    assert ((quantiles - value).abs() < 10 * width).all()


def test_network_keeps_digits_when_level_is_large() -> None:
    values = 1e12 + torch.arange(LOOKBACK, dtype=torch.float64)[None] % SEASON * 1e10
    median = forecast(build(), values, torch.ones(1, LOOKBACK, dtype=torch.bool))[0, :, 2]
    expected = naive_season(values[0].numpy(), HORIZON, SEASON)
    np.testing.assert_allclose(median.numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", WITHOUT_CELL)
def test_network_spreads_are_those_of_any_window_when_it_has_no_cell(name: str, head: str) -> None:
    network = build(name, head=head)
    values, mask = torch.randn(5, LOOKBACK), torch.ones(5, LOOKBACK, dtype=torch.bool)
    nn.init.normal_(network.decoder.projection.location.bias)
    with torch.no_grad():
        (parameters, scale), quantiles = network(values, mask), network.quantiles(values, mask)
        median = network.skip(scale.apply(values)) + network.decoder.projection.location.bias
    if not HEADS[head].counts:
        torch.testing.assert_close(quantiles[..., 2], scale.inverse(median))
    spreads = parameters[..., 1:] if head != "quantile" else parameters.diff(dim=-1)
    torch.testing.assert_close(spreads, spreads[:1].expand_as(spreads), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WITHOUT_CELL)
def test_network_ignores_recurrent_settings_when_it_has_no_cell(name: str) -> None:
    small, large = build(name), build(name, segment_length=4, hidden_size=64, num_layers=3)
    assert small.state_dict().keys() == large.state_dict().keys()
    for weights, others in zip(small.parameters(), large.parameters(), strict=True):
        assert torch.equal(weights, others)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("segment_length", [1, 4])
def test_network_trains_and_forecasts_when_cell_is_new(
    monkeypatch: pytest.MonkeyPatch, segment_length: int, bidirectional: bool
) -> None:
    monkeypatch.setitem(MODELS, "toy", replace(ROW, bidirectional=bidirectional))
    rng = np.random.default_rng(0)
    values = np.tile([1.0, 4.0, 2.0, 3.0], 30) * np.linspace(10, 20, 120) + rng.normal(size=120)
    panel = Panel(
        ids=("a", "b"),
        values=values,
        offsets=np.array([0, 70, 120]),
        starts=np.array([0, 0]),
        frequency=Frequency(unit="step"),
    )
    training = short_training(
        epochs=4, batches_per_epoch=10, batch_size=16, learning_rate=1e-2, clip_norm=1.0
    )
    config = RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,)),
        model=ModelSpec(model="toy", hidden_size=6, num_layers=2, segment_length=segment_length),
        training=training,
    )
    device = torch.device("cpu")
    forecaster, result = fit_forecaster(panel, config, device=device)
    assert isinstance(forecaster.network.members[0].encoder.forward_layers[0], ToyCell)
    assert result.history[-1].train_loss < 0.9 * result.history[0].train_loss
    forecasts = forecaster.predict(panel)
    assert forecasts.shape == (2, HORIZON, 5)
    assert np.isfinite(forecasts).all()
    again, _ = fit_forecaster(panel, config, device=device)
    np.testing.assert_array_equal(again.predict(panel), forecasts)


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("lstm", [6], []),
        ("dilated-lstm", [6, 3, 2], []),
        ("lstnet", [6, 3], []),
        ("bilstm", [6, 6], []),
        ("segment-lstm", [6], [1]),
        ("seq2seq-lstm", [6], [3]),
        ("deepar", [6], [5]),
        ("linear", [], []),
    ],
)
def test_layers_tell_how_far_each_reads_when_asked(
    name: str, encoder: list[int], decoder: list[int]
) -> None:
    """Six segments of two are read and three written; the season is of two segments."""
    given = {"num_layers": MODELS[name].num_layers if name != "deepar" else 1}
    spec = ModelSpec(model=name, hidden_size=4, head=MODELS[name].head, segment_length=2, **given)
    network = ForecastNetwork(spec, WindowSpec(lookback=12, horizon=5, seasons=(4,)))
    assert [layer.longest for layer in network.encoder.layers(6)] == encoder
    assert [layer.longest for layer in network.decoder.layers()] == decoder


@pytest.mark.parametrize("name", ["gru", "conv-lstm", "mingru"])
@pytest.mark.parametrize("segment_length", [1, 2])
def test_network_keeps_no_more_for_its_gradient_when_a_truncated_lookback_is_longer(
    name: str, segment_length: int
) -> None:
    def kept(lookback: int) -> int:
        """Numbers that are saved for the backward pass through what has weights."""
        spec = ModelSpec(model=name, hidden_size=8, segment_length=segment_length, tbptt=5)
        network = ForecastNetwork(spec, WindowSpec(lookback=lookback, horizon=3))
        sizes = []

        def pack(saved: Tensor) -> Tensor:
            sizes.append(saved.numel() if saved.requires_grad or saved.grad_fn else 0)
            return saved

        values = torch.randn(4, lookback)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
            network(values, torch.ones_like(values) > 0)
        return sum(sizes)

    assert kept(900) == kept(100) > 0


def test_network_raises_when_a_file_claims_parts_that_do_not_go_together() -> None:
    for spec in (
        ModelSpec(model="deepar", head="quantile"),
        ModelSpec(model="bilstm", tbptt=3),
        ModelSpec(model="dilated-gru", tbptt=3),
    ):
        with pytest.raises(ConfigError):
            ForecastNetwork(spec, WindowSpec(lookback=8, horizon=2))
