"""Intervals that hold: forecasts are widened by what the newest windows show to be needed.

The half-widths of each interval, from the median to its lower and to its upper bound, are
multiplied by one factor a step and nominal coverage. Split conformal prediction (Vovk et al. 2005;
Romano et al. 2019, with the ratio of Johansson et al. 2014 as score) finds the factors from windows
that no weight was fitted to; adaptive conformal inference (Gibbs & Candès 2021; Angelopoulos et al.
2023) then follows how often the outcome lay outside from one cutoff to the next.

An interval is counted from the innermost, 0, outwards, so that its coverages ascend. Quantiles
[window, step, quantile] ascend; the middle one is the median.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray

# Fewer scores a step tell less of the step than all steps together.
LEAST_SCORES = 100
# An outcome beyond all half-widths, as after values that hardly varied, calls for no width without
# end.
LARGEST_FACTOR = 10.0
# A level that underflows still has a logarithm.
SMALLEST = np.finfo(np.float64).smallest_normal
# Of what so many windows show that share no step, half is believed.
CREDIBLE = 30
# By how much the logarithm of a factor rises if every outcome of a cutoff lies outside.
RATE = 0.1


def bounds(quantiles: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The median [window, step], the lower and the upper bounds [window, step, interval]."""
    middle = quantiles.shape[-1] // 2
    lower = quantiles[..., :middle][..., ::-1]
    return quantiles[..., middle], lower, quantiles[..., middle + 1 :]


def conformity(actual: FloatArray, quantiles: FloatArray, *, log: bool = False) -> FloatArray:
    """How many half-widths the actual value lies from the median [window, step, interval].

    0 where it is the median, infinite where a half-width of 0 keeps it out; NaN where it or the
    forecast is unknown, and where the interval is but a point, as that of a constant series, of
    which no factor makes another.

    Args:
        actual: [window, step].
        quantiles: [window, step, quantile].
        log: Whether half-widths are those of logarithms; a value that has none lies outside.
    """
    if log:
        with np.errstate(divide="ignore"):
            actual = np.log(np.maximum(actual, 0))
            quantiles = np.log(np.maximum(quantiles, SMALLEST))
    median, lower, upper = bounds(quantiles)
    error = (actual - median)[..., None]
    width = np.where(error > 0, upper - median[..., None], median[..., None] - lower)
    unknown = np.isnan(error + width) | (upper == lower)
    out = np.where(unknown, np.nan, np.where(error == 0, 0.0, np.inf))
    with np.errstate(over="ignore"):
        return np.divide(np.abs(error), width, out=out, where=width > 0)


def split_factors(
    scores: FloatArray,
    coverages: Sequence[float],
    weights: FloatArray,
    prior: FloatArray | float = 1.0,
) -> FloatArray:
    """The factors under which `coverages` percent of the scored outcomes lie inside.

    Of n scores of weight 1 that is the ⌈(n + 1) coverage⌉-th smallest (Vovk et al. 2005; with
    weights, Barber et al. 2023). Each step has its own; where it has fewer than a hundred scores,
    all steps share one. The less the scores weigh, the closer a factor stays to the prior, and it
    is the prior where they are too few to have such a one.

    Args:
        scores: `conformity` of windows that the model was not fitted to [window, step, interval].
        coverages: Nominal ones, in percent, ascending.
        weights: How much of a window that shares no step with another each one is [window].
        prior: What was thought before [step, interval]; 1 is the model's own half-widths.

    Returns:
        [step, interval].
    """
    _, steps, intervals = scores.shape
    if (~np.isnan(scores)).sum(axis=0).min() < LEAST_SCORES:
        scores = scores.reshape(-1, 1, intervals)
        weights = np.repeat(weights / steps, steps)
    order = np.argsort(scores, axis=0)
    known = ~np.isnan(np.take_along_axis(scores, order, axis=0))
    below = np.cumsum(np.where(known, weights[order], 0.0), axis=0)
    total, count = below[-1], known.sum(axis=0)
    wished = (total + 1) * np.asarray(coverages) / 100 * (1 - 1e-12)
    # Sums of equal weights may miss a whole number by their last bit.
    place = np.minimum((below < wished).sum(axis=0), np.maximum(count - 1, 0))
    chosen = np.take_along_axis(order, place[None], axis=0)
    found = np.take_along_axis(scores, chosen, axis=0)[0]
    factors = np.clip(np.where(count > 0, found, 1.0), 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    credibility = np.where(wished <= total, total / (total + CREDIBLE), 0.0)
    before = np.broadcast_to(prior, (steps, intervals))
    combined: FloatArray = factors**credibility * before ** (1 - credibility)
    return combined


def relative_widths(before: FloatArray, after: FloatArray, *, log: bool = False) -> FloatArray:
    """How many times as wide some intervals are as others, in the median over windows.

    Args:
        before: Quantiles [window, step, quantile].
        after: Those of the same windows that they are held against.
        log: Whether widths are those of logarithms.

    Returns:
        [step, interval]; 1 where no window has two intervals to compare.
    """
    if log:
        before, after = (np.log(np.maximum(each, SMALLEST)) for each in (before, after))
    old, new = (upper - lower for _, lower, upper in (bounds(before), bounds(after)))
    shares = np.divide(old, new, out=np.full_like(old, np.nan), where=(old > 0) & (new > 0))
    found = np.ones(shares.shape[1:])
    told = ~np.isnan(shares).all(axis=0)
    found[told] = np.nanmedian(shares[:, told], axis=0)
    return found


def widen(
    quantiles: FloatArray,
    factors: FloatArray,
    *,
    log: bool = False,
    least: float = -np.inf,
    whole: bool = False,
) -> FloatArray:
    """Multiply the half-widths of each interval, and keep an outer one around the inner ones.

    Args:
        quantiles: [window, step, quantile].
        factors: [step, interval].
        log: Whether half-widths are those of logarithms.
        least: No bound is below it.
        whole: Whether bounds are the whole numbers next further out, as values are such.
    """
    median, lower, upper = bounds(quantiles)
    median = median[..., None]
    if log:
        # Relative to it, so that it stays as it is to the last bit.
        shares = np.maximum(quantiles, SMALLEST) / np.maximum(median, SMALLEST)
        with np.errstate(over="ignore"):
            return median * np.exp(widen(np.log(shares), factors))
    below = np.maximum.accumulate((median - lower) * factors, axis=-1)
    above = np.maximum.accumulate((upper - median) * factors, axis=-1)
    below, above = np.maximum(median - below, least), median + above
    if whole:
        below, above = np.floor(below), np.ceil(above)
    return np.concatenate([below[..., ::-1], median, above], axis=-1)


def outside(actual: FloatArray, quantiles: FloatArray) -> FloatArray:
    """1 where the actual value is beyond an interval, 0 where it is not [window, step, interval].

    NaN where it or the forecast is unknown, and where the interval is but a point.
    """
    _, lower, upper = bounds(quantiles)
    value = actual[..., None]
    beyond = ((value < lower) | (value > upper)).astype(float)
    return np.where(np.isnan(value + lower + upper) | (upper == lower), np.nan, beyond)


class AdaptiveFactors:
    """Factors that follow, from cutoff to cutoff, how often outcomes lay outside.

    An outcome counts from the first cutoff at which it is known: that of step k after k values.
    The logarithm of a factor rises where more lay outside than should, and falls where fewer did.
    """

    def __init__(self, factors: FloatArray, coverages: Sequence[float], stride: int) -> None:
        """Start from `factors` [step, interval], for cutoffs `stride` values apart."""
        steps = len(factors)
        self.start = factors
        self.shift = np.zeros_like(factors)
        self.allowed = 1 - np.asarray(coverages) / 100
        self.delay: IntArray = np.arange(steps) // stride + 1
        # The longer the delay, the more cutoffs repeat each other before it is seen to be enough.
        self.rate = RATE / np.sqrt(self.delay)[:, None]
        shape = (int(self.delay.max()) + 1, *factors.shape)
        self.outside, self.count = np.zeros(shape), np.zeros(shape)
        self.cutoff = 0

    @property
    def factors(self) -> FloatArray:
        """Those of the present cutoff [step, interval]."""
        return self.start * np.exp(self.shift)

    def restart(self, factors: FloatArray) -> None:
        """Go on from new factors, which know what has been learnt; outcomes may still arrive."""
        self.start, self.shift = factors, np.zeros_like(factors)

    def observe(self, outside: FloatArray) -> None:
        """Take in which outcomes of the present cutoff lay outside [window, step, interval].

        1 for outside, 0 for inside, NaN for unknown; the windows of a cutoff may come in parts.
        """
        slot = self.cutoff % len(self.outside)
        self.outside[slot] += np.nansum(outside, axis=0)
        self.count[slot] += (~np.isnan(outside)).sum(axis=0)

    def go_to(self, cutoff: int) -> None:
        """Go on to a cutoff, where more outcomes are known; cutoffs are counted from 0."""
        while self.cutoff < cutoff:
            self.advance()

    def advance(self) -> None:
        """Go on to the next cutoff."""
        self.cutoff += 1
        slots, steps = (self.cutoff - self.delay) % len(self.outside), np.arange(len(self.delay))
        count = self.count[slots, steps]
        excess = self.outside[slots, steps] / np.maximum(count, 1) - self.allowed
        shift = self.shift + np.where(count > 0, self.rate * excess, 0.0)
        self.shift = np.clip(shift, -np.log(LARGEST_FACTOR), np.log(LARGEST_FACTOR))
        slot = self.cutoff % len(self.outside)
        self.outside[slot], self.count[slot] = 0.0, 0.0
