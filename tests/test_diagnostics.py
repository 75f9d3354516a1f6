"""Measures of gradient flow where they are known, and what is said of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.diagnostics import (
    Finding,
    decay_rate,
    half_life,
    layer_findings,
    mean_by_lag,
    memory_length,
    scope_of,
    spectral_radius,
    training_findings,
)
from rnnforecast.errors import TrainingError
from rnnforecast.models.cells import LSTM
from rnnforecast.models.encoders import RecurrentStack
from rnnforecast.models.replay import LayerTrace, trace_layers
from rnnforecast.verdicts import Scope
from tests.models.test_replay import LinearRNN, Reader

STEPS, HIDDEN = 200, 4


def read(cell: nn.Module, *, steps: int = STEPS, windows: int = 2) -> LayerTrace:
    """A layer of this cell whose final state alone is read, after zeros."""
    stack = RecurrentStack(lambda *sizes: cell, 1, HIDDEN)
    x, lengths = torch.zeros(windows, steps, 1).double(), torch.full((windows,), steps)
    (trace,) = trace_layers(Reader(stack), lambda reader: reader.loss(x, lengths, everywhere=False))
    return trace


def linear(rho: float) -> LinearRNN:
    """h' = rho h Q with an orthogonal Q."""
    torch.manual_seed(0)
    cell = LinearRNN(1, HIDDEN)
    with torch.no_grad():
        orthogonal = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN, dtype=torch.float64))[0]
        cell.recurrent = nn.Parameter(rho * orthogonal)
    return cell


def forgetting(bias: float) -> LSTM:
    """c' = σ(bias) c, but for what is read: all weights are zero."""
    cell = LSTM(1, HIDDEN)
    with torch.no_grad():
        for weights in cell.parameters():
            weights.zero_()
        assert isinstance(cell.bias_ih_l0, nn.Parameter)
        cell.bias_ih_l0[HIDDEN : 2 * HIDDEN] = bias
    return cell


def make_trace(norms: FloatArray | list[float], **changed: Any) -> LayerTrace:
    """A trace of one window with these gradients [lag]."""
    parts: dict[str, Any] = {
        "name": "encoder layer 1 forward",
        "gradients": np.array([norms], dtype=float),
        "gates": {},
        "outputs": np.zeros(3),
        "matrices": {},
        "nonlinearity": None,
    }
    return LayerTrace(**{**parts, **changed})


def findings(trace: LayerTrace, scope: Scope | None = None) -> dict[str, Finding]:
    steps = trace.gradients.shape[1]
    scope = scope or Scope(steps=steps, observations=1, span=steps)
    return {row.measure: row for row in layer_findings(trace, scope)}


@pytest.mark.parametrize(
    ("rho", "life", "verdict"),
    [(0.5, 1.0, "vanishing"), (1.0, math.inf, "steady"), (1.5, math.inf, "exploding")],
)
def test_decay_is_the_spectral_radius_when_the_recurrence_is_linear(
    rho: float, life: float, verdict: str
) -> None:
    cell = linear(rho)
    found = findings(read(cell, steps=30))
    assert found["decay rate"].value == pytest.approx(rho, abs=1e-6)
    assert found["half-life in steps"].value == pytest.approx(life, abs=1e-6)
    assert found["half-life in values"].value == pytest.approx(life, abs=1e-6)
    assert found["decay rate"].verdict == verdict
    assert bool(found["decay rate"].advice) == (verdict != "steady")
    matrix = cell.recurrent.detach().numpy()
    assert spectral_radius(matrix) == pytest.approx(rho, abs=1e-6)


@pytest.mark.parametrize(
    ("bias", "verdict"), [(5.0, "long memory"), (0.0, "vanishing"), (-2.0, "vanishing")]
)
def test_half_life_is_that_of_the_forget_gate_when_nothing_else_carries(
    bias: float, verdict: str
) -> None:
    trace = read(forgetting(bias), steps=60)
    norms = mean_by_lag(trace)
    keeps = 1 / (1 + math.exp(-bias))
    # The newest state is read through h, which no later step sees; the others through c.
    assert half_life(decay_rate(norms[1:])) == pytest.approx(-math.log(2) / math.log(keeps))
    assert findings(trace)["decay rate"].verdict == verdict
    if bias == 5:
        assert half_life(decay_rate(mean_by_lag(read(forgetting(bias))))) == pytest.approx(
            103, rel=0.03
        )


@given(
    rate=st.floats(0.3, 1.7),
    scale=st.floats(1e-6, 1e6),
    lags=st.lists(st.integers(0, 40), min_size=2, max_size=20, unique=True),
)
def test_decay_rate_is_exact_when_gradients_are_powers_with_gaps(
    rate: float, scale: float, lags: list[int]
) -> None:
    norms = np.zeros(41)
    norms[lags] = scale * rate ** np.array(lags, dtype=float)
    kept = norms > 2e-12 * norms.max()
    if kept.sum() < 2:
        rate = decay_rate(norms * kept)
        assert rate == 0 if kept[0] else math.isnan(rate)
    else:
        assert decay_rate(norms * kept) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("norms", [[1.0, 0.0], [3.0, 1e-13, 0.0]])
def test_decay_is_complete_when_the_newest_lag_alone_has_a_gradient(norms: list[float]) -> None:
    found = findings(make_trace(norms))
    for measure in ("decay rate", "half-life in steps", "half-life in values"):
        assert found[measure].value == 0
    assert found["decay rate"].verdict == "vanishing"
    assert "--model lstm" in found["decay rate"].advice
    assert "--lookback" not in found["memory in values"].advice


@pytest.mark.parametrize("norms", [[1.0], [0.0, 0.0], [0.0, 3.0], [1e-13, 3.0]])
def test_decay_rate_is_absent_when_nothing_can_be_said_of_it(norms: list[float]) -> None:
    found = findings(make_trace(norms))
    for measure in ("decay rate", "half-life in steps"):
        assert math.isnan(found[measure].value)
        assert (found[measure].verdict, found[measure].advice) == ("", "")


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=30))
def test_memory_holds_most_of_the_gradient_when_counted_one_by_one(values: list[float]) -> None:
    norms = np.array(values)
    expected, held = 0, 0.0
    while norms.sum() and held < 0.95 * norms.sum() * (1 - 1e-12):
        held += norms[expected]
        expected += 1
    assert memory_length(norms) == expected


def test_mean_by_lag_is_that_of_windows_which_reach_so_far_when_lengths_differ() -> None:
    gradients = np.array([[1.0, 2.0, 4.0], [3.0, np.nan, np.nan], [5.0, 6.0, np.nan]])
    trace = make_trace([0.0], gradients=gradients)
    np.testing.assert_array_equal(mean_by_lag(trace), [3, 4, 4])


@pytest.mark.parametrize(
    "gradients",
    [
        [[1.0, np.inf]],
        [[np.nan, np.nan], [1.0, 2.0]],
        [[1.0, np.nan], [1.0, np.nan]],
        [[1e308, 1.0], [1e308, 1.0]],
    ],
)
def test_mean_by_lag_is_an_error_when_a_gradient_is_not_finite(gradients: list[Any]) -> None:
    trace = make_trace([0.0], gradients=np.array(gradients))
    with pytest.raises(TrainingError, match="layer 1 forward: the gradient is not finite.*rate$"):
        mean_by_lag(trace)


def test_memory_length_is_a_number_when_the_sum_of_gradients_has_none() -> None:
    assert memory_length(np.full(20, 1e308)) == 19


def test_spectral_radius_counts_complex_eigenvalues_when_the_matrix_turns() -> None:
    assert spectral_radius(np.array([[0.0, -2.0], [2.0, 0.0]])) == pytest.approx(2)
    assert spectral_radius(np.array([[0.1, 9.0], [0.0, 0.3]])) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("rate", "season", "verdict", "word"),
    [
        (0.5, 1, "vanishing", "after the lookback"),
        (0.5, 12, "vanishing", "after a season of 12"),
        (0.75, 12, "fading", ""),
        (0.9, 12, "fading", ""),
        (0.99, 12, "long memory", ""),
        (1.0, 12, "steady", ""),
        (1.04, 12, "steady", ""),
        (1.06, 12, "growing", ""),
        (1.2, 12, "exploding", "--clip-norm"),
    ],
)
def test_verdict_on_decay_follows_season_and_lookback_when_rates_differ(
    rate: float, season: int, verdict: str, word: str
) -> None:
    scope = Scope(steps=36, observations=1, span=36, season=season)
    row = findings(make_trace(rate ** np.arange(36.0)), scope)["decay rate"]
    assert row.verdict == verdict
    assert word in row.advice and bool(row.advice) == bool(word)


def test_decay_is_called_growing_when_the_steps_are_few() -> None:
    row = findings(make_trace(1.77 ** np.arange(6.0)))["decay rate"]
    assert (row.verdict, row.advice) == ("growing", "")


@pytest.mark.parametrize(("rate", "verdict"), [(0.5, "vanishing"), (0.9, "fading")])
def test_decay_beyond_truncation_is_told_as_reckoned_when_it_vanishes(
    rate: float, verdict: str
) -> None:
    scope = Scope(steps=5, observations=1, span=48, season=12, truncated=True)
    row = findings(make_trace(rate ** np.arange(5.0)), scope)["decay rate"]
    assert row.verdict == verdict
    if verdict == "vanishing":
        assert row.advice == (
            "at the rate of these 5 steps under 1% would be left after a season of 12; "
            "raise --tbptt"
        )


@pytest.mark.parametrize(("rate", "verdict"), [(4.0, "exploding"), (0.25, "vanishing")])
def test_verdict_on_decay_stands_when_the_power_has_no_number(rate: float, verdict: str) -> None:
    scope = Scope(steps=2000, observations=1, span=2000)
    row = findings(make_trace(rate ** np.arange(20.0)), scope)["decay rate"]
    assert row.verdict == verdict


def test_half_life_counts_observations_when_a_step_reads_several() -> None:
    scope = Scope(steps=6, observations=12, span=70, season=12)
    found = findings(make_trace(0.5 ** np.arange(6.0)), scope)
    assert found["half-life in steps"].value == pytest.approx(1)
    assert found["half-life in values"].value == pytest.approx(12)
    # Half is left after the one step that a season takes.
    assert found["decay rate"].verdict == "fading"
    assert found["memory in values"].value == 48


@pytest.mark.parametrize(
    ("gated", "truncated", "advice"),
    [
        (False, False, "--model lstm"),
        (True, False, "--init chrono"),
        (True, True, "raise --tbptt"),
    ],
)
def test_memory_is_short_when_it_holds_less_than_a_season(
    gated: bool, truncated: bool, advice: str
) -> None:
    gates = {"z": np.array([0.5])} if gated else {}
    scope = Scope(steps=24, observations=1, span=24, season=12, truncated=truncated)
    row = findings(make_trace(0.5 ** np.arange(24.0), gates=gates), scope)["memory in values"]
    assert (row.value, row.verdict) == (5, "less than a season of 12")
    assert advice in row.advice


@pytest.mark.parametrize(
    ("rate", "share", "advised"), [(1.0, "96%", False), (0.85, "68%", False), (0.7, "36%", True)]
)
def test_memory_is_a_share_of_the_lookback_when_no_season_is_missed(
    rate: float, share: str, advised: bool
) -> None:
    scope = Scope(steps=25, observations=1, span=25, season=6)
    row = findings(make_trace(rate ** np.arange(25.0)), scope)["memory in values"]
    assert row.verdict == f"{share} of the lookback"
    assert ("--lookback" in row.advice) == advised


def test_memory_asks_for_no_shorter_lookback_when_the_gradient_vanishes() -> None:
    found = findings(make_trace(0.5 ** np.arange(25.0)))
    assert found["decay rate"].verdict == "vanishing"
    row = found["memory in values"]
    assert (row.verdict, row.advice) == ("20% of the lookback", "")


@pytest.mark.parametrize(("span", "advice"), [(24, "raise --tbptt"), (14, "")])
def test_memory_asks_for_longer_truncation_when_it_is_below_half(span: int, advice: str) -> None:
    scope = Scope(steps=10, observations=1, span=span, truncated=True)
    row = findings(make_trace(np.ones(10)), scope)["memory in values"]
    assert (row.value, row.advice) == (10, advice)


def test_memory_is_of_the_oldest_values_when_the_layer_reads_backward() -> None:
    scope = Scope(steps=25, observations=1, span=25, season=6, backward=True)
    found = findings(make_trace(0.7 ** np.arange(25.0)), scope)
    assert "newest gradient" not in found
    assert found["oldest gradient"].value == 1
    row = found["memory in values"]
    assert (row.value, row.verdict, row.advice) == (9, "oldest 36% of the lookback", "")


@pytest.mark.parametrize(("backward", "which"), [(False, ""), (True, "oldest ")])
def test_findings_are_held_against_what_was_read_when_the_lookback_was_not_whole(
    backward: bool, which: str
) -> None:
    scope = Scope(steps=25, observations=1, span=25, whole=False, backward=backward)
    found = findings(make_trace(0.5 ** np.arange(25.0)), scope)
    assert found["memory in values"].verdict == f"{which}20% of what was read"
    assert found["decay rate"].advice.startswith("under 1% is left after what was read; ")


def test_findings_say_so_when_no_gradient_comes() -> None:
    found = findings(make_trace([0.0, 0.0, 0.0]))
    assert found["newest gradient"].verdict == "no gradient"
    assert found["memory in values"].value == 0


@pytest.mark.parametrize(
    ("values", "share", "verdict"),
    [
        ([0.01] * 19 + [0.5], 0.95, "stuck closed"),
        ([0.99] * 19 + [0.5], 0.95, "stuck open"),
        ([0.99] * 10 + [0.01] * 10, 1.0, "saturated"),
        ([0.99] * 96 + [0.01] * 864 + [0.5] * 40, 0.96, "saturated"),
        # What --init chrono starts with.
        ([0.99] * 893 + [0.5] * 107, 0.893, "free"),
        ([0.05, 0.95, 0.5], 0.0, "free"),
    ],
)
def test_gate_is_stuck_when_nearly_all_activations_lie_on_one_side(
    values: list[float], share: float, verdict: str
) -> None:
    row = findings(make_trace([1.0], gates={"f": np.array(values)}))["saturation f"]
    assert (row.value, row.verdict) == (pytest.approx(share), verdict)
    assert ("lower --learning-rate" in row.advice) == (verdict != "free")


@pytest.mark.parametrize(
    ("nonlinearity", "outputs", "measure", "share", "verdict"),
    [
        ("tanh", [-0.99, 0.99, 0.2], "saturation", 2 / 3, "saturated"),
        ("tanh", [-0.95, 0.99, 0.2], "saturation", 1 / 3, "healthy"),
        ("relu", [0.0] * 19 + [1.0], "units at 0", 0.95, "dying"),
        ("relu", [0.0, 1.0], "units at 0", 0.5, "healthy"),
    ],
)
def test_units_are_counted_when_the_cell_is_plain(
    nonlinearity: str, outputs: list[float], measure: str, share: float, verdict: str
) -> None:
    trace = make_trace([1.0], nonlinearity=nonlinearity, outputs=np.array(outputs))
    row = findings(trace)[measure]
    assert (row.value, row.verdict) == (pytest.approx(share), verdict)


@pytest.mark.parametrize(
    ("radius", "verdict"), [(0.5, "contracting"), (1.0, "near 1"), (1.5, "expanding")]
)
def test_radius_is_judged_when_the_cell_has_no_gates(radius: float, verdict: str) -> None:
    matrices = {"h": radius * np.eye(2)}
    row = findings(make_trace([1.0], matrices=matrices))["spectral radius h"]
    assert (row.value, row.verdict) == (pytest.approx(radius), verdict)
    gated = make_trace([1.0], matrices=matrices, gates={"z": np.array([0.5])})
    assert findings(gated)["spectral radius h"].verdict == ""


def make_config(*, tbptt: int | None = None, **training: Any) -> RunConfig:
    usual: dict[str, Any] = {
        "epochs": 3,
        "batches_per_epoch": 1,
        "batch_size": 1,
        "learning_rate": 1e-3,
        "clip_norm": 1.0,
        "clip_value": math.inf,
        "patience": 3,
        "seed": 0,
    }
    return RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=48, horizon=12, seasons=(12,)),
        model=ModelSpec(model="gru", segment_length=4, tbptt=tbptt),
        training=TrainConfig(**{**usual, **training}),
    )


@pytest.mark.parametrize(
    ("name", "tbptt", "read", "expected"),
    [
        ("encoder layer 1 forward", None, 48, {"span": 48, "season": 12}),
        ("encoder layer 1 forward", None, 9, {"span": 9, "season": 1, "whole": False}),
        ("encoder layer 1 backward", None, 48, {"span": 48, "season": 12, "backward": True}),
        ("encoder layer 1 forward", 5, 48, {"span": 48, "season": 12, "truncated": True}),
        ("encoder layer 1 forward", 5, 18, {"span": 18, "season": 12, "whole": False}),
        ("decoder", None, 48, {"span": 20, "ahead": True}),
    ],
)
def test_scope_is_what_the_layer_read_when_settings_differ(
    name: str, tbptt: int | None, read: int, expected: dict[str, Any]
) -> None:
    trace = make_trace(np.ones(5), name=name)
    scope = scope_of(trace, make_config(tbptt=tbptt), read)
    assert scope == Scope(steps=5, observations=4, **expected)


def test_scope_of_a_decoder_counts_values_when_it_takes_a_step_for_each() -> None:
    """As deepar's does, whatever the segments that are read."""
    scope = scope_of(make_trace(np.ones(12), name="decoder"), make_config(), 48)
    assert scope == Scope(steps=12, observations=1, span=12, ahead=True)


def test_decoder_has_no_memory_of_the_lookback_when_it_is_judged() -> None:
    scope = Scope(steps=12, observations=1, span=12, ahead=True)
    found = findings(make_trace(0.5 ** np.arange(12.0), name="decoder"), scope)
    assert "memory in values" not in found
    assert "the horizon" in found["decay rate"].advice


def course(history: list[dict[str, Any]], **training: Any) -> dict[str, Finding]:
    rows = training_findings(history, make_config(**training).training)
    return {row.measure: row for row in rows}


@pytest.mark.parametrize(
    ("rates", "training", "verdict", "advice"),
    [
        ([0.2, 0.4], {}, "healthy", ""),
        ([0.8, 0.9], {}, "too high", "raise --clip-norm, or"),
        ([0.8, 0.9], {"clip_value": 1.0}, "too high", "raise --clip-norm or --clip-value, or"),
        ([0.8, 0.9], {"clip_percentile": 10.0}, "healthy", ""),
        (
            [0.8, 0.9],
            {"clip_percentile": 90.0, "clip_norm": math.inf},
            "too high",
            "percentile, or",
        ),
    ],
)
def test_clip_rate_is_judged_by_what_was_asked_when_history_is_there(
    rates: list[float], training: dict[str, float], verdict: str, advice: str
) -> None:
    row = course([{"clip_rate": rate} for rate in rates], **training)["clip rate"]
    assert (row.value, row.verdict) == (pytest.approx(np.mean(rates)), verdict)
    assert advice in row.advice and bool(row.advice) == (verdict != "healthy")


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([1e-3, 1e-6], "healthy"), ([1e-5, 1e-6], "too small"), ([1e-3, 0.1], "too large")],
)
def test_update_ratio_is_judged_at_its_peak_when_the_schedule_ends_low(
    ratios: list[float], verdict: str
) -> None:
    found = course([{"update_ratio": ratio, "gradient_norm": 2.0} for ratio in ratios])
    row = found["update ratio"]
    assert (row.value, row.verdict) == (max(ratios), verdict)
    assert found["gradient norm"].value == 2


@pytest.mark.parametrize(
    ("rate", "ratio", "clipping", "update"),
    [
        (0.8, 1e-5, "raise --clip-norm", "raise --learning-rate; "),
        (0.99, 1e-5, "raise --clip-norm", "raise --clip-norm; "),
        (0.8, 1e-3, "raise --clip-norm, or lower --learning-rate", ""),
        (0.99, 1e-3, "raise --clip-norm, or lower --learning-rate", ""),
        (0.8, 0.1, "lower --learning-rate", "lower --learning-rate; "),
        (0.2, 1e-5, "", "raise --learning-rate; "),
    ],
)
def test_clipping_and_updates_advise_alike_when_both_are_judged(
    rate: float, ratio: float, clipping: str, update: str
) -> None:
    found = course([{"clip_rate": rate, "update_ratio": ratio}])
    assert found["clip rate"].advice == clipping
    advice = found["update ratio"].advice
    assert advice == (update and f"{update}about 0.001 is healthy")


def test_update_asks_for_a_higher_rate_when_clipping_was_asked_for() -> None:
    found = course([{"clip_rate": 0.95, "update_ratio": 1e-5}], clip_percentile=10.0)
    assert found["clip rate"].verdict == "healthy"
    assert found["update ratio"].advice.startswith("raise --learning-rate")


def test_training_has_no_findings_when_the_model_keeps_no_history() -> None:
    assert course([]) == {} == course([{"epoch": 1, "clip_rate": None}])
