"""How gradients flow through time in a trained network: what is measured, and what to make of it.

A finding is a measure with a verdict in plain words and, where something is to be changed, advice
that names the flag. Every threshold stands below with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.config import RunConfig, TrainConfig
from rnnforecast.models.replay import LayerTrace

# Gradients below this share of the largest are rounding, which a line fitted to logs would follow.
NEGLIGIBLE = 1e-12
# A decay rate this close to 1 is 1 but for rounding.
CONSTANT = 1e-9
# The memory of a layer is what holds this share of the summed gradient norm.
MEMORY_SHARE = 0.95
# What has shrunk to a hundredth, or grown a hundred times, is of no use beside the rest.
VANISHED, EXPLODED = 0.01, 100.0
# Beyond these a sigmoid's slope is below a fifth of its largest, and tanh's below a tenth.
GATE_CLOSED, GATE_OPEN, TANH_SATURATED = 0.05, 0.95, 0.95
# A gate is stuck where nearly all its activations lie on one side; half of all units at 0 is what a
# ReLU is for, nearly all is not.
STUCK, SATURATED, DEAD = 0.9, 0.5, 0.9
# An orthogonal start has radius 1. Below 1, a plain network's gradients vanish; above, they may
# explode (Pascanu et al. 2013).
CONTRACTING, EXPANDING = 0.9, 1.1
# Clipping is against rare steep steps: Pascanu et al. 2013 put the threshold at half the usual norm
# or above. Where most steps are clipped, it sets their length. A percentile asks for a rate itself.
CLIPPED_TOO_OFTEN, EXCESS = 0.5, 0.25
# Where nearly all of the gradient lies in less than this share of the lookback, the rest is idle.
BARELY_READ = 0.5
# About 1e-3 is healthy (Karpathy, CS231n: "Ratio of weights:updates").
SMALL_UPDATE, LARGE_UPDATE = 1e-4, 1e-2

Judgement = tuple[str, str]
"""Verdict and advice."""
UNJUDGED: Judgement = ("", "")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table; verdict and advice are empty where there is nothing to say."""

    part: str
    measure: str
    value: float
    verdict: str = ""
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the flow of gradients through a layer is held against.

    Attributes:
        steps: Recurrent steps through which gradients flowed.
        observations: Observations in one of them.
        span: All observations that were read.
        season: Observations in a season, 1 where none lies within the span.
        truncated: Whether gradients were cut (--tbptt).
        ahead: Whether the layer forecasts, and so spans the horizon.
    """

    steps: int
    observations: int
    span: int
    season: int = 1
    truncated: bool = False
    ahead: bool = False

    @property
    def needed(self) -> float:
        """The recurrent steps through which a gradient should come: a season, else all."""
        return (self.season if self.season > 1 else self.span) / self.observations

    @property
    def named(self) -> str:
        """What `needed` is, in words."""
        if self.season > 1:
            return f"a season of {self.season}"
        return "the horizon" if self.ahead else "the lookback"


def scope_of(trace: LayerTrace, config: RunConfig, read: int) -> Scope:
    """What this layer is held against, whose longest window held `read` observations."""
    steps, observations = trace.gradients.shape[1], config.model.segment_length
    if trace.name == "decoder":
        return Scope(steps=steps, observations=observations, span=steps * observations, ahead=True)
    season = config.windows.season
    return Scope(
        steps=steps,
        observations=observations,
        span=read,
        season=season if season <= read else 1,
        truncated=config.model.tbptt is not None and steps * observations < read,
    )


def mean_by_lag(trace: LayerTrace) -> FloatArray:
    """The gradient norm by steps back, the mean of the windows that reach so far [lag]."""
    mean: FloatArray = np.nanmean(trace.gradients, axis=0)
    return mean


def decay_rate(norms: FloatArray) -> float:
    """The factor by which gradient norms [lag] change with each step back.

    The exponential of the slope of log norm over lag by least squares; NaN where fewer than two
    lags hold a gradient.
    """
    lags = np.flatnonzero(norms > NEGLIGIBLE * norms.max())
    if len(lags) < 2:
        return math.nan
    slope = float(np.polyfit(lags, np.log(norms[lags]), 1)[0])
    return math.exp(slope) if abs(slope) > CONSTANT else 1.0


def half_life(rate: float) -> float:
    """Steps after which half is left at this decay rate; infinity where nothing is lost."""
    if rate >= 1:
        return math.inf
    return math.log(2) / -math.log(rate)


def memory_length(norms: FloatArray) -> int:
    """The newest lags of norms [lag] that hold 95 percent of their sum; 0 where that is 0."""
    if not norms.any():
        return 0
    return int(np.searchsorted(norms.cumsum(), MEMORY_SHARE * norms.sum())) + 1


def spectral_radius(matrix: FloatArray) -> float:
    """The largest magnitude of an eigenvalue of a square matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def layer_findings(trace: LayerTrace, scope: Scope) -> list[Finding]:
    """What is to be said of one layer."""
    norms, gated = mean_by_lag(trace), bool(trace.gates)
    rate, memory = decay_rate(norms), scope.observations * memory_length(norms)
    half = half_life(rate)
    rows: list[tuple[str, float, Judgement]] = [
        ("newest gradient", float(norms[0]), judge_gradient(norms)),
        ("decay rate", rate, judge_decay(rate, scope, gated)),
        ("half-life in steps", half, UNJUDGED),
        ("half-life in values", half * scope.observations, UNJUDGED),
    ]
    if not scope.ahead:
        held = min(memory, scope.span)
        rows.append(("memory in values", held, judge_memory(held, scope, gated)))
    for name, matrix in trace.matrices.items():
        radius = spectral_radius(matrix)
        judgement = UNJUDGED if gated else judge_radius(radius, rate)
        rows.append((f"spectral radius {name}", radius, judgement))
    for name, values in trace.gates.items():
        closed = float(np.mean(values < GATE_CLOSED))
        opened = float(np.mean(values > GATE_OPEN))
        judgement = judge_gate(closed, opened)
        rows.append((f"saturation {name}", closed + opened, judgement))
    if trace.nonlinearity == "tanh":
        share = float(np.mean(np.abs(trace.outputs) > TANH_SATURATED))
        rows.append(("saturation", share, judge_units(share, SATURATED, "saturated")))
    elif trace.nonlinearity == "relu":
        share = float(np.mean(trace.outputs == 0))
        rows.append(("units at 0", share, judge_units(share, DEAD, "dying")))
    return _findings(trace.name, rows)


def _findings(part: str, rows: Sequence[tuple[str, float, Judgement]]) -> list[Finding]:
    return [
        Finding(part=part, measure=measure, value=value, verdict=verdict, advice=advice)
        for measure, value, (verdict, advice) in rows
    ]


def judge_gradient(norms: FloatArray) -> Judgement:
    """Whether gradients [lag] reach the layer at all."""
    if norms.any():
        return UNJUDGED
    return "no gradient", "the forecast does not depend on this layer; raise --epochs"


def judge_decay(rate: float, scope: Scope, gated: bool) -> Judgement:
    """What a decay rate makes of a gradient on its way back."""
    if math.isnan(rate):
        return UNJUDGED
    slope = math.log(rate)  # as the powers themselves may be beyond all numbers
    if slope * (scope.steps - 1) > math.log(EXPLODED):
        calmer = "" if gated else ", or take a gated model such as --model gru"
        return "exploding", f"clip with --clip-norm 1 or --clip-percentile 90{calmer}"
    if slope * scope.needed < math.log(VANISHED):
        return "vanishing", f"under 1% is left after {scope.named}; {_reach_further(gated)}"
    if rate >= 1:
        return "steady", ""
    return ("long memory" if half_life(rate) >= scope.steps else "fading"), ""


def _reach_further(gated: bool) -> str:
    start = "start with --init chrono" if gated else "take --model lstm"
    return f"{start} or a longer --segment-length"


def judge_memory(memory: int, scope: Scope, gated: bool) -> Judgement:
    """How the newest observations that hold nearly all of the gradient compare."""
    if not memory:
        return UNJUDGED
    if memory < scope.season:
        return f"less than {scope.named}", (
            "raise --tbptt" if scope.truncated else _reach_further(gated)
        )
    share = memory / scope.span
    advice = "a shorter --lookback may do" if share < BARELY_READ else ""
    return f"{share:.0%} of the lookback", advice


def judge_radius(radius: float, rate: float) -> Judgement:
    """Whether a plain cell's matrix shrinks or stretches; saturated units may outweigh it."""
    if radius < CONTRACTING:
        return "contracting", "gradients must vanish; take --model lstm"
    if radius > EXPANDING:
        return "expanding", "lower --clip-norm or --learning-rate" if rate > 1 else ""
    return "near 1", ""


def judge_gate(closed: float, opened: float) -> Judgement:
    """Whether a gate still moves, by the shares of its activations near 0 and near 1."""
    for share, state in ((closed, "closed"), (opened, "open")):
        if share > STUCK:
            return f"stuck {state}", "it hardly learns; lower --learning-rate or change --init"
    return "free", ""


def judge_units(share: float, most: float, word: str) -> Judgement:
    """Whether too large a share of a plain cell's units has no slope."""
    if share > most:
        return word, "such units pass no gradient; lower --learning-rate or take --model gru"
    return "healthy", ""


def training_findings(history: Sequence[Mapping[str, Any]], config: TrainConfig) -> list[Finding]:
    """What is to be said of the course of training, as far as the epochs' records tell."""
    norms, clips, ratios = (
        [float(epoch[key]) for epoch in history if epoch.get(key) is not None]
        for key in ("gradient_norm", "clip_rate", "update_ratio")
    )
    rows: list[tuple[str, float, Judgement]] = []
    if norms:
        rows.append(("gradient norm", float(np.mean(norms)), UNJUDGED))
    if clips:
        rate = float(np.mean(clips))
        rows.append(("clip rate", rate, judge_clipping(rate, config)))
    if ratios:
        peak = max(ratios)  # the schedule's end brings every ratio down
        rows.append(("update ratio", peak, judge_update(peak)))
    return _findings("training", rows)


def judge_clipping(rate: float, config: TrainConfig) -> Judgement:
    """Whether more gradient steps were clipped than does good."""
    asked = 1 - config.clip_percentile / 100
    if rate <= max(CLIPPED_TOO_OFTEN, asked + EXCESS):
        return "healthy", ""
    bounds = {
        "--clip-norm": config.clip_norm < math.inf,
        "--clip-value": config.clip_value < math.inf,
        "--clip-percentile": config.clip_percentile < 100,
    }
    flags = " or ".join(flag for flag, bounded in bounds.items() if bounded)
    return "too high", f"raise {flags}, or lower --learning-rate"


def judge_update(ratio: float) -> Judgement:
    """Whether steps have a healthy length beside the weights."""
    if ratio < SMALL_UPDATE:
        return "too small", "raise --learning-rate; about 0.001 is healthy"
    if ratio > LARGE_UPDATE:
        return "too large", "lower --learning-rate; about 0.001 is healthy"
    return "healthy", ""
