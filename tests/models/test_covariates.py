"""Covariates in every network: what each kind may change, and what it may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.columns import DataConfig, InputSizes
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Features, Panel
from rnnforecast.data.windows import Inputs, WindowIndex
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.covariates import KnownFuture
from rnnforecast.models.decoders import Truth
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import MODELS
from rnnforecast.models.replay import trace_layers
from tests.short_training import short_training

LOOKBACK, HORIZON, SEASON = 12, 5, 4
SIZES = InputSizes(past=2, future=5, static=1)
RECURRENT = [name for name, entry in MODELS.items() if entry.cell]
TRUNCATABLE = [name for name in RECURRENT if MODELS[name].truncatable]

every_model = pytest.mark.parametrize("name", MODELS)
every_recurrent_model = pytest.mark.parametrize("name", RECURRENT)
every_segment = pytest.mark.parametrize("segment_length", [1, 4])


def spec_of(name: str, inputs: InputSizes = SIZES, **changed: Any) -> ModelSpec:
    return ModelSpec(model=name, hidden_size=6, head=MODELS[name].head, inputs=inputs, **changed)


def build(name: str, inputs: InputSizes = SIZES, **changed: Any) -> ForecastNetwork:
    """A network whose maps that begin at zero do not."""
    torch.manual_seed(0)
    windows = WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,))
    network = ForecastNetwork(spec_of(name, inputs, **changed), windows).eval()
    nn.init.normal_(network.decoder.projection.location.weight, std=0.3)
    if network.known is not None:
        nn.init.normal_(network.known.location.weight, std=0.3)
    return network


def observed(batch: int = 4) -> tuple[Tensor, Tensor]:
    """Values and mask of windows with gaps [batch, lookback]."""
    generator = torch.Generator().manual_seed(1)
    values = 50 + torch.randn(batch, LOOKBACK, generator=generator, dtype=torch.float64)
    mask = torch.rand(batch, LOOKBACK, generator=generator) > 0.2
    mask[:, 0] = True
    return values * mask, mask


def drawn(sizes: InputSizes = SIZES, batch: int = 4) -> Inputs:
    """Covariates of these windows."""
    generator = torch.Generator().manual_seed(2)
    return Inputs(
        torch.randn(batch, LOOKBACK, sizes.past, generator=generator),
        torch.randn(batch, LOOKBACK + HORIZON, sizes.future, generator=generator),
        torch.randn(batch, sizes.static, generator=generator),
    )


def forecast(network: ForecastNetwork, inputs: Inputs | None) -> Tensor:
    with torch.no_grad():
        return network.quantiles(*observed(), inputs)


def test_known_future_equals_a_loop_when_values_are_missing() -> None:
    torch.manual_seed(0)
    known = KnownFuture(SIZES.future, 2, 6).double().eval()
    nn.init.normal_(known.location.weight)
    future, mask = drawn().future.double(), observed()[1].clone()
    mask[2] = False
    summary = torch.randn(4, 2, dtype=torch.float64)
    actual = known(future, mask, summary).detach().numpy()
    weights = {name: weight.detach().numpy() for name, weight in known.named_parameters()}
    for row in range(4):
        seen = [future[row, step].numpy() for step in range(LOOKBACK) if mask[row, step]]
        usual = np.mean(seen, axis=0) if seen else np.zeros(SIZES.future)
        read = weights["summary.weight"] @ summary[row].numpy() + weights["features.bias"]
        for step in range(HORIZON):
            ahead = future[row, LOOKBACK + step].numpy()
            units = weights["features.weight"] @ np.concatenate([ahead, ahead - usual]) + read
            expected = weights["location.weight"][0] @ np.maximum(units, 0)
            assert actual[row, step] == pytest.approx(expected, abs=1e-12)


def test_known_future_drops_units_when_training_alone() -> None:
    torch.manual_seed(0)
    known = KnownFuture(SIZES.future, 2, 6)
    nn.init.normal_(known.location.weight)
    given = drawn().future, observed()[1], torch.randn(4, 2)
    assert not torch.equal(known(*given), known(*given))
    known.eval()
    assert torch.equal(known(*given), known(*given))


@every_segment
@every_model
def test_network_adds_nothing_for_what_is_known_ahead_when_new(
    name: str, segment_length: int
) -> None:
    """So that it starts as its linear skip, with covariates as without."""
    network = build(name, segment_length=segment_length)
    assert network.known is not None
    nn.init.zeros_(network.known.location.weight)
    inputs, other = drawn(), drawn()
    other.future[:, LOOKBACK:] += 1.0
    assert torch.equal(forecast(network, inputs), forecast(network, other))


@every_segment
@every_model
def test_network_gradient_reaches_every_parameter_when_it_reads_covariates(
    name: str, segment_length: int
) -> None:
    network = build(name, segment_length=segment_length)
    target = torch.full((4, HORIZON), 51.0, dtype=torch.float64)
    seen = torch.ones_like(target, dtype=torch.bool)
    parameters, scale = network(*observed(), Truth(target, seen, 0.5), drawn())
    network.head.loss(parameters, scale, target, seen).backward()  # type: ignore[no-untyped-call]
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@every_segment
@every_model
def test_network_forecast_changes_when_a_covariate_does(name: str, segment_length: int) -> None:
    """Those of the lookback reach a model without a recurrence as far as they are known ahead."""
    network, inputs = build(name, segment_length=segment_length), drawn()
    before = forecast(network, inputs)
    for part in Inputs._fields:
        other = inputs._replace(**{part: getattr(inputs, part) + 1.0})
        unread = part == "past" and MODELS[name].cell is None
        assert torch.equal(before, forecast(network, other)) == unread, part


@every_segment
@every_model
def test_network_forecast_changes_from_a_step_on_when_its_plan_does(
    name: str, segment_length: int
) -> None:
    network, inputs = build(name, segment_length=segment_length), drawn()
    future = inputs.future.clone()
    future[:, LOOKBACK + 2] += 1.0
    before = forecast(network, inputs)
    after = forecast(network, inputs._replace(future=future))
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2], after[:, 2])


@every_segment
@every_model
def test_network_is_as_without_covariates_when_their_width_is_zero(
    name: str, segment_length: int
) -> None:
    network = build(name, InputSizes(), segment_length=segment_length)
    expected = forecast(network, None)
    assert torch.equal(forecast(network, drawn(InputSizes())), expected)


@every_segment
@every_model
def test_network_forecasts_when_covariates_are_of_one_kind(name: str, segment_length: int) -> None:
    for only in Inputs._fields:
        sizes = InputSizes(**{only: 2})
        quantiles = forecast(build(name, sizes, segment_length=segment_length), drawn(sizes))
        assert quantiles.shape == (4, HORIZON, 5), only
        assert quantiles.isfinite().all(), only
        assert (quantiles.diff(dim=-1) >= 0).all(), only


@every_segment
@every_recurrent_model
def test_network_reads_shorter_window_when_its_series_begins_late(
    name: str, segment_length: int
) -> None:
    network = build(name, segment_length=segment_length)
    assert network.known is not None and network.embedding is not None
    for missing in (1, 4, 7, LOOKBACK - 1):
        values, mask = torch.randn(4, LOOKBACK), torch.ones(4, LOOKBACK, dtype=torch.bool)
        values[:, :missing], mask[:, :missing] = 0, False
        past, future, _ = drawn()
        past[:, :missing], future[:, :missing] = 0, 0
        with torch.no_grad():
            summaries = []
            for first in (0, missing):
                beside = torch.cat([past, network.embedding(future[:, :LOOKBACK])], dim=-1)
                given = values[:, first:], mask[:, first:], beside[:, first:]
                steps, lengths = network.front_end(*given)
                summaries.append(network.summary(*network.encoder(steps, lengths), lengths))
            torch.testing.assert_close(*summaries, rtol=1e-5, atol=1e-6)
            summary = torch.randn(4, network.known.summary.in_features)
            whole = network.known(future, mask, summary)
            begun = network.known(future[:, missing:], mask[:, missing:], summary)
        torch.testing.assert_close(whole, begun, rtol=1e-5, atol=1e-6)


@every_segment
@pytest.mark.parametrize("name", TRUNCATABLE)
def test_network_forecast_is_equal_when_gradients_are_truncated(
    name: str, segment_length: int
) -> None:
    whole, truncated = (
        build(name, segment_length=segment_length, tbptt=tbptt) for tbptt in (None, 2)
    )
    expected = forecast(whole, drawn())
    torch.testing.assert_close(forecast(truncated, drawn()), expected, rtol=1e-5, atol=1e-5)


@every_segment
@every_recurrent_model
def test_trace_runs_the_network_as_it_is_when_it_reads_covariates(
    name: str, segment_length: int
) -> None:
    network, replayed = build(name, segment_length=segment_length), []

    def loss(copy: nn.Module) -> Tensor:
        parameters: Tensor = copy(*observed(), None, drawn())[0]
        replayed.append(parameters)
        return parameters.square().sum()

    traces = trace_layers(network, loss)
    with torch.no_grad():
        expected = network(*observed(), None, drawn())[0]
    torch.testing.assert_close(replayed[0].float(), expected, rtol=1e-5, atol=1e-5)
    assert traces and all((trace.gradients[:, 0] > 0).all() for trace in traces)


def planned_panel() -> Panel:
    """Two series of 20 and 17 values with covariates, known ahead for 9 and 6 steps more."""
    rng = np.random.default_rng(0)
    return Panel(
        ids=("a", "b"),
        values=50 + rng.normal(size=37),
        offsets=np.array([0, 20, 37]),
        starts=np.zeros(2, dtype=np.int64),
        frequency=Frequency(unit="step"),
        features=Features(
            past=rng.normal(size=(37, 2)).astype(np.float32),
            future=rng.normal(size=(52, SIZES.future)).astype(np.float32),
            future_offsets=np.array([0, 29, 52]),
            static=rng.normal(size=(2, 1)).astype(np.float32),
        ),
    )


@every_model
def test_forecast_sees_of_what_follows_its_cutoff_the_plan_alone(name: str) -> None:
    config = RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,)),
        model=spec_of(name),
        training=short_training(),
    )
    forecaster, index = (
        Forecaster(config, build(name)),
        WindowIndex(series=np.array([0, 1]), cutoffs=np.array([14, 13])),
    )

    def forecast_of(change: str, *places: slice) -> np.ndarray:
        """The forecast where these places of an array are something else."""
        panel = planned_panel()
        assert panel.features is not None
        array = panel.values if change == "values" else getattr(panel.features, change)
        for place in places:
            array[place] = 1e3
        return forecaster.predict_at(panel, index)

    before = forecast_of("values")
    after = slice(14, 20), slice(20 + 13, 37)
    np.testing.assert_array_equal(forecast_of("values", *after), before)
    np.testing.assert_array_equal(forecast_of("past", *after), before)
    beyond = slice(14 + HORIZON, 29), slice(29 + 13 + HORIZON, 52)
    np.testing.assert_array_equal(forecast_of("future", *beyond), before)
    ahead = slice(14, 14 + HORIZON), slice(29 + 13, 29 + 13 + HORIZON)
    assert (forecast_of("future", *ahead) != before).any((1, 2)).any()
