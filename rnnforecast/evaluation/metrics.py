"""Metrics of forecasts, in the units of the series; error = forecast - actual.

Every function takes arrays [window, step], where a window is a series from one cutoff on, and
returns one value a window over the steps that were observed, NaN where it is not defined. A
metric of many windows is the mean of those that are defined. Percentages are in percent.
"""

from __future__ import annotations

import numpy as np

from rnnforecast.arrays import FloatArray


def nanmean(values: FloatArray) -> FloatArray:
    """The mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    mean: FloatArray = np.full(count.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def mae(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """Mean absolute error."""
    return nanmean(np.abs(forecast - actual))


def rmse(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """Root of the mean squared error."""
    return np.sqrt(nanmean((forecast - actual) ** 2))


def smape(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """200 |error| / (|actual| + |forecast|), from 0 to 200 (Makridakis et al. 2020, M4).

    A step on which both are 0 counts 0.
    """
    size = np.abs(actual) + np.abs(forecast)
    return nanmean(200 * _ratio(np.abs(forecast - actual), size, at_zero=0.0))


def mape(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """100 |error| / |actual|; steps on which the actual value is 0 are left out."""
    return nanmean(100 * _ratio(np.abs(forecast - actual), np.abs(actual)))


def wape(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """100 times the sum of |error| over the sum of |actual|; NaN where all actual values are 0."""
    size = np.where(np.isnan(forecast), np.nan, np.abs(actual))
    return 100 * _ratio(mae(actual, forecast), nanmean(size))


def mase(actual: FloatArray, forecast: FloatArray, scale: FloatArray) -> FloatArray:
    """Mean absolute error over `scale`, the in-sample one of the seasonal naive (Hyndman 2006).

    Args:
        actual: [window, step].
        forecast: [window, step].
        scale: `seasonal_scale` of each window's history [window].
    """
    return _ratio(mae(actual, forecast), scale)


def rmsse(actual: FloatArray, forecast: FloatArray, scale: FloatArray) -> FloatArray:
    """Root mean squared error over `scale`, that of the seasonal naive (M5).

    Args:
        actual: [window, step].
        forecast: [window, step].
        scale: `seasonal_scale` of order 2 of each window's history [window].
    """
    return _ratio(rmse(actual, forecast), scale)


def seasonal_scale(history: FloatArray, season: int, order: int = 1) -> float:
    """The in-sample error of the seasonal naive: mean absolute (order 1), root mean square (2).

    NaN where no two observed values lie a season apart.
    """
    errors = np.abs(history[season:] - history[:-season]) ** order
    return float(nanmean(errors) ** (1 / order))


def pinball(actual: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Mean quantile loss over levels, without the factor 2 (Koenker & Bassett 1978).

    Args:
        actual: [window, step].
        quantiles: [window, step, quantile].
        levels: The level of each quantile.
    """
    error = actual[..., None] - quantiles
    level = np.asarray(levels)
    return nanmean(np.maximum(level * error, (level - 1) * error).mean(-1))


def coverage(actual: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Percent of the actual values that lie within [lower, upper]."""
    unknown = np.isnan(actual) | np.isnan(lower) | np.isnan(upper)
    inside = ((lower <= actual) & (actual <= upper)).astype(float)
    return nanmean(100 * np.where(unknown, np.nan, inside))


def _ratio(numerator: FloatArray, denominator: FloatArray, at_zero: float = np.nan) -> FloatArray:
    """numerator / denominator, and `at_zero` where the denominator is 0."""
    out = np.where(np.isnan(numerator), np.nan, at_zero)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)
