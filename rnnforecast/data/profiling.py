"""What the values of each series are like, counted for all series of a panel at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnforecast.arrays import BoolArray, FloatArray, IntArray
from rnnforecast.data.panel import Panel
from rnnforecast.data.seasonality import find_seasons

# Syntetos, Boylan and Croston (2005), "On the categorization of demand patterns": the mean interval
# between demands and the squared coefficient of variation of their sizes that tell classes apart.
LONG_INTERVAL, VARYING = 1.32, 0.49
# The share of zeros from which series may be demand.
OFTEN = 0.01
CLASSES = ("smooth", "erratic", "intermittent", "lumpy")


@dataclass(frozen=True)
class Profile:
    """Counts of the series of a panel [series], each taken when first asked for."""

    panel: Panel

    @cached_property
    def seasons(self) -> tuple[int, ...]:
        """The season lengths found; (1,) where there is none."""
        return find_seasons(self.panel)

    @cached_property
    def observed(self) -> BoolArray:
        """Which values are there [total]."""
        return ~np.isnan(self.panel.values)

    @cached_property
    def counts(self) -> IntArray:
        """Observed values of each series."""
        return self._sums(self.observed)

    @cached_property
    def missing(self) -> IntArray:
        """Values that each series lacks between its first and its last."""
        return self.panel.lengths - self.counts

    @cached_property
    def zeros(self) -> IntArray:
        """Zeros of each series."""
        return self._sums(self.panel.values == 0)

    @cached_property
    def negative(self) -> IntArray:
        """Negative values of each series."""
        return self._sums(self.panel.values < 0)

    @cached_property
    def lowest(self) -> FloatArray:
        """The smallest value of each series."""
        return self._reduced(np.fmin.reduceat)

    @cached_property
    def highest(self) -> FloatArray:
        """The largest value of each series."""
        return self._reduced(np.fmax.reduceat)

    @cached_property
    def whole(self) -> BoolArray:
        """Whether a series has whole numbers alone."""
        fractions = self.panel.values != np.floor(self.panel.values)
        whole: BoolArray = self._sums(fractions & self.observed) == 0
        return whole

    @property
    def counting(self) -> bool:
        """Whether the series look like demand: never negative, and now and then zero."""
        often = self.zeros.sum() >= OFTEN * self.counts.sum()
        return not self.negative.any() and bool(often and self.zeros.any())

    @cached_property
    def classes(self) -> IntArray:
        """The place in CLASSES of each series of demand, -1 of one with negative values or none."""
        values = np.where(self.observed, self.panel.values, 0.0)
        scale = max(float(np.abs(values).max()), 1e-300)
        sizes = values / scale  # whose squares do not overflow
        demands = self._sums(values > 0)
        sums, squares = self._sums(sizes), self._sums(sizes**2)
        several = np.maximum(demands, 1)
        mean = sums / several
        variance = np.maximum(squares / several - mean**2, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            varying = np.where(demands > 1, variance / mean**2, 0.0) >= VARYING
        rare = self.counts / several >= LONG_INTERVAL
        found = 2 * rare.astype(np.int64) + varying
        return np.where((demands > 0) & (self.negative == 0), found, -1)

    def _sums(self, numbers: FloatArray | BoolArray) -> IntArray:
        kind = np.float64 if numbers.dtype == np.float64 else np.int64
        sums: IntArray = np.add.reduceat(numbers.astype(kind), self.panel.offsets[:-1])
        return sums

    def _reduced(self, reduce: Callable[..., FloatArray]) -> FloatArray:
        return reduce(self.panel.values, self.panel.offsets[:-1])


def runs(values: FloatArray) -> IntArray:
    """The lengths of the stretches of equal values, in order; a missing value equals none [run]."""
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return np.diff(np.append(begins, len(values)))


def gaps(values: FloatArray) -> tuple[IntArray, IntArray]:
    """Where values are missing: the first of each stretch, and its length [gap]."""
    missing = np.concatenate([[False], np.isnan(values), [False]]).astype(np.int64)
    begins, ends = np.flatnonzero(np.diff(missing) == 1), np.flatnonzero(np.diff(missing) == -1)
    return begins, ends - begins


def mann_kendall(*phases: FloatArray) -> float:
    """The statistic of Mann (1945) and Kendall (1975), standard normal where there is no trend.

    Values [time] are held against those of their own phase of a season alone, if these are told
    apart (Hirsch et al. 1982). 0 for fewer than four values.
    """
    if sum(map(len, phases)) < 4:
        return 0.0
    rises = spread = 0.0
    for values in phases:
        count = len(values)
        rises += float(np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)].sum())
        ties = np.unique(values, return_counts=True)[1]
        spread += count * (count - 1) * (2 * count + 5)
        spread -= float((ties * (ties - 1) * (2 * ties + 5)).sum())
    if spread <= 0:
        return 0.0
    return (rises - math.copysign(min(1.0, abs(rises)), rises)) / math.sqrt(spread / 18)
