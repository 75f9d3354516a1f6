"""Whether two models differ in accuracy by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rnnforecast.arrays import FloatArray

# What may be left, as a share of the variance, of a sum of autocovariances that is 0.
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A paired test of equal accuracy.

    Attributes:
        statistic: Below 0 where the first model loses less.
        p_value: Two-sided.
        n: The pairs it rests on.
    """

    statistic: float
    p_value: float
    n: int


def diebold_mariano(differentials: FloatArray, overlap: int) -> Comparison | None:
    """The test of Diebold & Mariano 1995 as Harvey, Leybourne & Newbold 1997 mend it.

    The long-run variance takes in `overlap` autocovariances with equal weights, or with those of
    Bartlett where the sum is not above 0. The statistic, corrected for small samples, is held
    against Student's t with n - 1 degrees of freedom. Where overlap is long, low p-values come
    too often: equal models are told apart at 0.05 up to one time in ten with 8 (overlap + 1)
    pairs, and one in five with 3 (overlap + 1).

    Args:
        differentials: Loss of the first model less that of the second, in order of time [time];
            NaN is left out, and what stands around it keeps its distance.
        overlap: Neighbours that share steps: the steps ahead over the steps between two cutoffs,
            rounded up, less 1.

    Returns:
        None where nothing can be said: fewer than 3 pairs, or than two stretches of pairs that
        share no steps, which is 2 (overlap + 1); or all are equal. Where all are 0, so that the
        models do not differ, the p-value is 1.
    """
    known = ~np.isnan(differentials)
    n = int(known.sum())
    if n < max(3, 2 * (overlap + 1)):
        return None
    observed = differentials[known]
    if not observed.any():
        return Comparison(statistic=0.0, p_value=1.0, n=n)
    if math.isclose(observed.min(), observed.max()):
        return None
    from scipy.special import stdtr

    mean = float(observed.mean())
    variance = _long_run_variance(np.where(known, differentials - mean, 0.0), overlap, n)
    correction = (n - 1 - 2 * overlap + overlap * (overlap + 1) / n) / n
    statistic = mean / math.sqrt(variance / n) * math.sqrt(correction)
    return Comparison(statistic=statistic, p_value=float(2 * stdtr(n - 1, -abs(statistic))), n=n)


def _long_run_variance(deviations: FloatArray, overlap: int, n: int) -> float:
    """The variance of the mean times n (Diebold & Mariano 1995, section 1.1).

    Args:
        deviations: From the mean, 0 where missing [time].
        overlap: The autocovariances beside the variance.
        n: Those that are not missing.
    """
    lags = np.arange(1, overlap + 1)
    variance = float(deviations @ deviations) / n
    covariances = np.array([deviations[lag:] @ deviations[:-lag] for lag in lags]) / n
    rectangular = variance + 2 * float(covariances.sum())
    if rectangular > ROUNDING * variance:
        return rectangular
    return variance + 2 * float(covariances @ (1 - lags / (overlap + 1)))
