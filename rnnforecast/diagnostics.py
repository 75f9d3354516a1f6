"""How gradients flow through time in a trained network: what is measured, and what to make of it.

A finding is a measure with a verdict in plain words and, where something is to be changed, advice
that names the flag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.config import RunConfig, TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.models.replay import LayerTrace
from rnnforecast.verdicts import (
    DEAD,
    SATURATED,
    UNJUDGED,
    Judgement,
    Scope,
    judge_clipping,
    judge_decay,
    judge_gate,
    judge_gradient,
    judge_memory,
    judge_radius,
    judge_units,
    judge_update,
)

# Gradients below this share of the largest are rounding, which a line fitted to logs would follow.
NEGLIGIBLE = 1e-12
# A decay rate this close to 1 is 1 but for rounding.
CONSTANT = 1e-9
# The memory of a layer is what holds this share of the summed gradient norm.
MEMORY_SHARE = 0.95
# Beyond these a sigmoid's slope is below a fifth of its largest, and tanh's below a tenth.
GATE_CLOSED, GATE_OPEN, TANH_SATURATED = 0.05, 0.95, 0.95


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table; verdict and advice are empty where there is nothing to say."""

    part: str
    measure: str
    value: float
    verdict: str = ""
    advice: str = ""


def scope_of(trace: LayerTrace, config: RunConfig, read: int) -> Scope:
    """What this layer is held against, whose longest window held `read` observations."""
    steps, observations = trace.gradients.shape[1], config.model.segment_length
    if trace.name == "decoder":
        observations = 1 if steps == config.windows.horizon else observations
        return Scope(steps=steps, observations=observations, span=steps * observations, ahead=True)
    season = config.windows.season
    return Scope(
        steps=steps,
        observations=observations,
        span=read,
        season=season if season <= read else 1,
        truncated=config.model.tbptt is not None and steps * observations < read,
        backward=trace.name.endswith("backward"),
        whole=read >= config.windows.lookback,
    )


def mean_by_lag(trace: LayerTrace) -> FloatArray:
    """The gradient norm by steps back, the mean of the windows that reach so far [lag].

    Raises:
        TrainingError: It is not finite: every window reaches lag 0, and some window every lag.
    """
    reached = ~np.isnan(trace.gradients)
    with np.errstate(over="ignore"):
        total = np.where(reached, trace.gradients, 0.0).sum(axis=0)
    if not (reached[:, 0].all() and reached.any(axis=0).all() and np.isfinite(total).all()):
        raise TrainingError(
            f"{trace.name}: the gradient is not finite, as of a network that has diverged; "
            "train again with a lower --learning-rate"
        )
    mean: FloatArray = total / reached.sum(axis=0)
    return mean


def decay_rate(norms: FloatArray) -> float:
    """The factor by which gradient norms [lag] change with each step back.

    The exponential of the slope of log norm over lag by least squares; 0 where of several lags the
    newest alone holds a gradient, NaN where no lag or another one alone does.
    """
    lags = np.flatnonzero(norms > NEGLIGIBLE * norms.max())
    if len(lags) < 2:
        return 0.0 if len(norms) > 1 and lags.tolist() == [0] else math.nan
    slope = float(np.polyfit(lags, np.log(norms[lags]), 1)[0])
    return math.exp(slope) if abs(slope) > CONSTANT else 1.0


def half_life(rate: float) -> float:
    """Steps after which half is left at this decay rate; infinity where nothing is lost."""
    if rate >= 1:
        return math.inf
    return math.log(2) / -math.log(rate) if rate else 0.0


def memory_length(norms: FloatArray) -> int:
    """The newest lags of norms [lag] that hold 95 percent of their sum; 0 where that is 0."""
    if not norms.any():
        return 0
    shares = norms / norms.max()  # as the sum itself may be beyond all numbers
    return int(np.searchsorted(shares.cumsum(), MEMORY_SHARE * shares.sum())) + 1


def spectral_radius(matrix: FloatArray) -> float:
    """The largest magnitude of an eigenvalue of a square matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def layer_findings(trace: LayerTrace, scope: Scope) -> list[Finding]:
    """What is to be said of one layer."""
    norms, gated = mean_by_lag(trace), bool(trace.gates)
    rate, memory = decay_rate(norms), scope.observations * memory_length(norms)
    half, decay = half_life(rate), judge_decay(rate, scope, gated)
    newest = "oldest" if scope.backward else "newest"
    rows: list[tuple[str, float, Judgement]] = [
        (f"{newest} gradient", float(norms[0]), judge_gradient(norms)),
        ("decay rate", rate, decay),
        ("half-life in steps", half, UNJUDGED),
        ("half-life in values", half * scope.observations, UNJUDGED),
    ]
    if not scope.ahead:
        held = min(memory, scope.span)
        judgement = judge_memory(held, scope, gated, vanishing=decay[0] == "vanishing")
        rows.append(("memory in values", held, judgement))
    for name, matrix in trace.matrices.items():
        radius = spectral_radius(matrix)
        judgement = UNJUDGED if gated else judge_radius(radius, decay[0] == "exploding")
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


def training_findings(history: Sequence[Mapping[str, Any]], config: TrainConfig) -> list[Finding]:
    """What is to be said of the course of training, as far as the epochs' records tell."""
    norms, clips, ratios = (
        [float(epoch[key]) for epoch in history if epoch.get(key) is not None]
        for key in ("gradient_norm", "clip_rate", "update_ratio")
    )
    rate = float(np.mean(clips)) if clips else math.nan
    peak = max(ratios, default=math.nan)  # the schedule's end brings every ratio down
    rows: list[tuple[str, float, Judgement]] = []
    if norms:
        rows.append(("gradient norm", float(np.mean(norms)), UNJUDGED))
    if clips:
        rows.append(("clip rate", rate, judge_clipping(rate, peak, config)))
    if ratios:
        rows.append(("update ratio", peak, judge_update(peak, rate, config)))
    return _findings("training", rows)
