"""What takes part in a comparison: networks and baselines, by one interface, calibrated alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.config import WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex, actual_values, by_series
from rnnforecast.evaluation.baselines import Baseline
from rnnforecast.evaluation.intervals import (
    AdaptiveFactors,
    conformity,
    outside,
    split_factors,
    widen,
)


class Contender(Protocol):
    """What gives quantiles of every window; `Forecaster` is one."""

    @property
    def name(self) -> str:
        """What its forecasts are called."""

    @property
    def log(self) -> bool:
        """Whether its half-widths are those of logarithms."""

    @property
    def least(self) -> float:
        """The least value that it holds possible."""

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers, and so the bounds of its intervals."""

    def predict_at(self, panel: Panel, index: WindowIndex) -> FloatArray:
        """Quantiles of what follows each cutoff [window, step, quantile], not yet calibrated."""


@dataclass(frozen=True, kw_only=True)
class BaselineContender:
    """A baseline whose errors are taken to be normal.

    Attributes:
        name: What its forecasts are called.
        baseline: Gives point forecasts and the deviation of their errors.
        windows: The horizon and the season.
        levels: Quantile levels.
        log: Never on logarithms.
        least: No quantile is below it, so that none is held against networks that know a bound.
        whole: Never of whole numbers alone.
    """

    name: str
    baseline: Baseline
    windows: WindowSpec
    levels: tuple[float, ...]
    log: bool = False
    least: float = -math.inf
    whole: bool = False

    def predict_at(self, panel: Panel, index: WindowIndex) -> FloatArray:
        """Quantiles of what follows each cutoff [window, step, quantile]."""
        normal = np.array([NormalDist().inv_cdf(level) for level in self.levels])
        quantiles = np.empty((len(index), self.windows.horizon, len(self.levels)))
        for series, places in by_series(index):
            point, deviation = self.baseline(
                panel.series(series),
                index.cutoffs[places],
                self.windows.horizon,
                self.windows.season,
            )
            quantiles[places] = point[..., None] + deviation[..., None] * normal
        return np.maximum(quantiles, self.least)


def calibration(
    contender: Contender,
    panel: Panel,
    index: WindowIndex,
    coverages: Sequence[float],
    horizon: int,
    prior: FloatArray | float = 1.0,
) -> FloatArray:
    """The factors of a contender's half-widths by windows that it was not fitted to.

    Args:
        contender: Not fitted to what follows the cutoffs.
        panel: Where the windows are.
        index: The windows; with none, the factors are the prior.
        coverages: Nominal ones, in percent, ascending.
        horizon: Steps of each window.
        prior: The factors that were thought right before.

    Returns:
        [step, interval].
    """
    if not len(index):
        return np.broadcast_to(prior, (horizon, len(coverages))).astype(np.float64)
    actual = actual_values(panel, index, horizon)
    scores = conformity(actual, contender.predict_at(panel, index), log=contender.log)
    return split_factors(scores, coverages, _weights(index, horizon), prior)


def _weights(index: WindowIndex, horizon: int) -> FloatArray:
    """How much of a window that shares no step with others of its series each one is [window]."""
    weights = np.empty(len(index))
    for _, places in by_series(index):
        apart = np.ptp(index.cutoffs[places]) / horizon + 1
        weights[places] = min(apart / len(places), 1.0)
    return weights


class Calibrated:
    """A contender whose intervals follow, from cutoff to cutoff, what has come to be known.

    The cutoffs of one rank count as one time; where series end at different times, those of a
    rank lie apart by as much.
    """

    def __init__(
        self,
        contender: Contender,
        factors: FloatArray,
        coverages: Sequence[float],
        stride: int,
        *,
        matching: FloatArray | float = 1.0,
    ) -> None:
        """Start from `factors` [step, interval], for cutoffs `stride` values apart.

        `matching` [step, interval] makes the contender's half-widths those that they are meant for.
        """
        self.contender, self.matching = contender, matching
        self.adaptive = AdaptiveFactors(factors, coverages, stride)

    def factors_at(self, rank: int) -> FloatArray:
        """Those of a cutoff, after all outcomes that are known by then [step, interval]."""
        self.adaptive.go_to(rank)
        return self.adaptive.factors

    def restart(
        self, contender: Contender, factors: FloatArray, *, matching: FloatArray | float = 1.0
    ) -> None:
        """Go on with a contender that was fitted anew, and its factors."""
        self.contender, self.matching = contender, matching
        self.adaptive.restart(factors)

    def forecast(
        self, panel: Panel, index: WindowIndex, ranks: IntArray, actual: FloatArray
    ) -> FloatArray:
        """Calibrated quantiles [window, step, quantile]; outcomes count from when they are known.

        Args:
            panel: Where the windows are.
            index: The windows, in the order of cutoffs.
            ranks: The rank of the cutoff of each window, no earlier than those of the last call.
            actual: What followed each cutoff [window, step].
        """
        quantiles = self.contender.predict_at(panel, index)
        for rank in np.unique(ranks):
            here = ranks == rank
            factors = self.factors_at(int(rank)) * self.matching
            quantiles[here] = widen(
                quantiles[here],
                factors,
                log=self.contender.log,
                least=self.contender.least,
                whole=self.contender.whole,
            )
            self.adaptive.observe(outside(actual[here], quantiles[here]))
        return quantiles
