"""What to make of the flow of gradients: verdicts in plain words, and advice that names the flag.

Every threshold stands below with its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnforecast.arrays import FloatArray
from rnnforecast.config import TrainConfig

# What has shrunk to a hundredth, or grown a hundred times, is of no use beside the rest.
VANISHED, EXPLODED = 0.01, 100.0
# Up to here a gradient takes more than 14 steps to double, which is as good as steady.
GROWING = 1.05
# A gate is stuck where nearly all its activations lie on one side; half of all units at 0 is what a
# ReLU is for, nearly all is not.
STUCK, SATURATED, DEAD = 0.9, 0.5, 0.9
# A gate that is closed or open at nearly all steps has no slope left to learn by; --init chrono
# starts the forget gates with up to 0.9 of their activations near 1, which is what it is for.
WITHOUT_SLOPE = 0.95
# An orthogonal start has radius 1. Below 1, a plain network's gradients vanish; above, they may
# explode (Pascanu et al. 2013).
CONTRACTING, EXPANDING = 0.9, 1.1
# Clipping is against rare steep steps: Pascanu et al. 2013 put the threshold at half the usual norm
# or above. Where most steps are clipped, it sets their length. A percentile asks for a rate itself.
CLIPPED_TOO_OFTEN, EXCESS = 0.5, 0.25
# Where so many steps are clipped, it is the clipping that makes the updates small.
CLIPPED_ALWAYS = 0.9
# Where nearly all of the gradient lies in less than this share of the lookback, the rest is idle.
BARELY_READ = 0.5
# About 1e-3 is healthy (Karpathy, CS231n: "Ratio of weights:updates").
SMALL_UPDATE, LARGE_UPDATE = 1e-4, 1e-2

Judgement = tuple[str, str]
"""Verdict and advice."""
UNJUDGED: Judgement = ("", "")


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
        backward: Whether the layer reads backward, so that a step back is towards newer values.
        whole: Whether the longest window held a whole lookback.
    """

    steps: int
    observations: int
    span: int
    season: int = 1
    truncated: bool = False
    ahead: bool = False
    backward: bool = False
    whole: bool = True

    @property
    def needed(self) -> float:
        """The recurrent steps through which a gradient should come: a season, else all."""
        return (self.season if self.season > 1 else self.span) / self.observations

    @property
    def named(self) -> str:
        """What `needed` is, in words."""
        if self.season > 1:
            return f"a season of {self.season}"
        return "the horizon" if self.ahead else self.read

    @property
    def read(self) -> str:
        """What `span` is of an encoder, in words."""
        return "the lookback" if self.whole else "what was read"


def judge_gradient(norms: FloatArray) -> Judgement:
    """Whether gradients [lag] reach the layer at all."""
    if norms.any():
        return UNJUDGED
    return "no gradient", "the forecast does not depend on this layer; raise --epochs"


def judge_decay(rate: float, scope: Scope, gated: bool) -> Judgement:
    """What a decay rate makes of a gradient on its way back."""
    if math.isnan(rate):
        return UNJUDGED
    # The logarithm, as the powers themselves may be beyond all numbers.
    slope = math.log(rate) if rate else -math.inf
    if slope * (scope.steps - 1) > math.log(EXPLODED):
        calmer = "" if gated else ", or take a gated model such as --model gru"
        return "exploding", f"clip with --clip-norm 1 or --clip-percentile 90{calmer}"
    if slope * scope.needed < math.log(VANISHED):
        return "vanishing", _reach_back(scope, gated)
    if rate > GROWING:
        return "growing", ""
    if rate >= 1:
        return "steady", ""
    enduring = -slope * scope.span / scope.observations <= math.log(2)
    return ("long memory" if enduring else "fading"), ""


def _reach_back(scope: Scope, gated: bool) -> str:
    """The advice against vanishing; beyond truncation, the decay is reckoned, not measured."""
    if scope.truncated:
        return (
            f"at the rate of these {scope.steps} steps under 1% would be left after "
            f"{scope.named}; raise --tbptt"
        )
    return f"under 1% is left after {scope.named}; {_reach_further(gated)}"


def _reach_further(gated: bool) -> str:
    start = "start with --init chrono" if gated else "take --model lstm"
    return f"{start} or a longer --segment-length"


def judge_memory(memory: int, scope: Scope, gated: bool, vanishing: bool) -> Judgement:
    """How the observations that hold nearly all of the gradient compare.

    They are the newest that were read, of a backward layer the oldest. A shorter lookback is no
    remedy where the rest is out of reach, as the gradient is vanishing or truncated, nor where it
    would take away these very ones.
    """
    if not memory:
        return UNJUDGED
    further = "raise --tbptt" if scope.truncated else _reach_further(gated)
    if memory < scope.season:
        return f"less than {scope.named}", further
    share = memory / scope.span
    verdict = f"{'oldest ' if scope.backward else ''}{share:.0%} of {scope.read}"
    if share >= BARELY_READ:
        return verdict, ""
    if scope.truncated:
        return verdict, further
    return verdict, "" if vanishing or scope.backward else "a shorter --lookback may do"


def judge_radius(radius: float, exploding: bool) -> Judgement:
    """Whether a plain cell's matrix shrinks or stretches; saturated units may outweigh it."""
    if radius < CONTRACTING:
        return "contracting", "gradients must vanish; take --model lstm"
    if radius > EXPANDING:
        return "expanding", "lower --clip-norm or --learning-rate" if exploding else ""
    return "near 1", ""


def judge_gate(closed: float, opened: float) -> Judgement:
    """Whether a gate still moves, by the shares of its activations near 0 and near 1."""
    for share, state in ((closed, "closed"), (opened, "open")):
        if share > STUCK:
            return f"stuck {state}", "it hardly learns; lower --learning-rate or change --init"
    if closed + opened > WITHOUT_SLOPE:
        return "saturated", "it hardly learns; lower --learning-rate"
    return "free", ""


def judge_units(share: float, most: float, word: str) -> Judgement:
    """Whether too large a share of a plain cell's units has no slope."""
    if share > most:
        return word, "such units pass no gradient; lower --learning-rate or take --model gru"
    return "healthy", ""


def judge_clipping(rate: float, ratio: float, config: TrainConfig) -> Judgement:
    """Whether more gradient steps were clipped than does good, with updates of this ratio."""
    if not _clipped_too_often(rate, config):
        return "healthy", ""
    if ratio > LARGE_UPDATE:
        return "too high", "lower --learning-rate"
    calmer = "" if ratio < SMALL_UPDATE else ", or lower --learning-rate"
    return "too high", f"raise {_bounds(config)}{calmer}"


def judge_update(ratio: float, rate: float, config: TrainConfig) -> Judgement:
    """Whether steps have a healthy length beside the weights, with this share of them clipped."""
    if ratio < SMALL_UPDATE:
        clipped = rate > CLIPPED_ALWAYS and _clipped_too_often(rate, config)
        flags = _bounds(config) if clipped else "--learning-rate"
        return "too small", f"raise {flags}; about 0.001 is healthy"
    if ratio > LARGE_UPDATE:
        return "too large", "lower --learning-rate; about 0.001 is healthy"
    return "healthy", ""


def _clipped_too_often(rate: float, config: TrainConfig) -> bool:
    asked = 1 - config.clip_percentile / 100
    return rate > max(CLIPPED_TOO_OFTEN, asked + EXCESS)


def _bounds(config: TrainConfig) -> str:
    """The flags by which gradients were clipped."""
    bounds = {
        "--clip-norm": config.clip_norm < math.inf,
        "--clip-value": config.clip_value < math.inf,
        "--clip-percentile": config.clip_percentile < 100,
    }
    return " or ".join(flag for flag, bounded in bounds.items() if bounded)
