"""Forecasts without learning, which every model must beat, with the spread of their errors.

Each baseline takes a whole series [time], NaN where missing, the cutoffs [window] to forecast from,
each at least 1, the horizon and the season; from cutoff c it reads `series[:c]` alone. The cutoffs
of a call share one pass over the series, but for `naive2`. Missing values are passed over: a
forecast h steps ahead counts its h from the value it copies. Points and deviations follow Hyndman &
Athanasopoulos 2021, Forecasting: principles and practice, 5.2 and 5.5, where sigma is the residual
standard deviation (equation 5.1) of the one-step residuals before the cutoff whose values were all
observed, 0 where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray

# How many values `window_average` takes where there is no season.
WINDOW_WITHOUT_SEASON = 4


class PointAndDeviation(NamedTuple):
    """Forecasts of one series from several cutoffs on, in its units.

    Attributes:
        point: [window, step], NaN where nothing was observed before the cutoff, or a fit failed.
        deviation: The standard deviation of the error [window, step], at least 0; NaN if it failed.
    """

    point: FloatArray
    deviation: FloatArray


Baseline = Callable[[FloatArray, IntArray, int, int], PointAndDeviation]


def seasonal_naive(
    series: FloatArray, cutoffs: IntArray, horizon: int, season: int
) -> PointAndDeviation:
    """The last observed value of the same phase; the naive where a phase was never observed.

    The deviation is sigma sqrt(k + 1), with k + 1 the seasons that were started since that value.
    """
    point, distance = _copied(series, cutoffs, horizon, season)
    sigma = _root_mean_square(_differences(series, season), cutoffs)
    return PointAndDeviation(point, sigma[:, None] * np.sqrt(np.ceil(distance / season)))


def naive(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> PointAndDeviation:
    """The last observed value again and again; the deviation is sigma sqrt(h)."""
    return seasonal_naive(series, cutoffs, horizon, season=1)


def seasonal_drift(
    series: FloatArray, cutoffs: IntArray, horizon: int, season: int
) -> PointAndDeviation:
    """The seasonal naive, risen by the slope of `drift` for each step since the copied value.

    The deviation is that of `drift` in seasons: sigma sqrt(q (1 + q / Q)), with q the seasons that
    were started since the copied value and Q those between the first and the last observed one.
    """
    value, distance = _copied(series, cutoffs, horizon, season)
    slope, span = _line(series, cutoffs)
    sigma = _root_mean_square(
        _differences(series, season), cutoffs, about=slope * season, parameters=1
    )
    seasons = np.ceil(distance / season)
    growth = seasons * (1 + seasons * season / span[:, None])
    return PointAndDeviation(value + slope[:, None] * distance, sigma[:, None] * np.sqrt(growth))


def drift(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> PointAndDeviation:
    """The line through the first and the last observed value, continued.

    The deviation is sigma sqrt(h (1 + h / (T - 1))), with T - 1 the steps between these two.
    """
    return seasonal_drift(series, cutoffs, horizon, season=1)


def mean(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> PointAndDeviation:
    """The mean of all T observed values; the deviation is sigma sqrt(1 + 1 / T)."""
    number, average, squares = _moments(series, cutoffs)
    sigma = np.sqrt(squares / np.maximum(number - 1, 1))
    deviation = sigma * np.sqrt(1 + 1 / np.maximum(number, 1))
    return _level(np.where(number > 0, average, np.nan), deviation, horizon)


def window_average(
    series: FloatArray, cutoffs: IntArray, horizon: int, season: int
) -> PointAndDeviation:
    """The mean of the observed among the last season's values, or the last 4 without a season.

    The naive where none of them was observed. As with `mean`, the deviation is the same at every
    step: the root mean square of the forecast's own errors one step ahead, which hold both what
    varies about the average and, in place of the factor sqrt(1 + 1 / T), what the average errs by.
    """
    averages = _window_averages(series, season if season > 1 else WINDOW_WITHOUT_SEASON)
    last = _copied(series, cutoffs, horizon=1, season=1).value[:, 0]
    point = np.where(np.isnan(averages[cutoffs]), last, averages[cutoffs])
    return _level(point, _root_mean_square(series - averages[:-1], cutoffs), horizon)


def naive2(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> PointAndDeviation:
    """The naive of the seasonally adjusted series: Naive2 of M4 (Makridakis et al. 2020).

    The naive itself where the series does not pass the test of seasonality or has values that are
    not positive. Gaps are interpolated before the series is adjusted. The deviation is the naive's.
    """
    point, deviation = naive(series, cutoffs, horizon, season)
    for window, cutoff in enumerate(cutoffs):
        history, since = without_gaps(series[:cutoff])
        if season > 1 and (history > 0).all() and _is_seasonal(history, season):
            indices = _seasonal_indices(history, season)
            steps = len(history) + since + np.arange(horizon)
            point[window] *= indices[steps % season] / indices[(len(history) - 1) % season]
    return PointAndDeviation(point, deviation)


BASELINES: dict[str, Baseline] = {
    "seasonal-naive": seasonal_naive,
    "naive": naive,
    "drift": drift,
    "mean": mean,
    "window-average": window_average,
    "seasonal-drift": seasonal_drift,
}
# What published results are held against.
REFERENCES: dict[str, Baseline] = {"naive2": naive2}


def without_gaps(history: FloatArray) -> tuple[FloatArray, int]:
    """What lies between the first and the last observed value, and how many steps followed it.

    Missing values in between are interpolated linearly.
    """
    places = np.flatnonzero(~np.isnan(history))
    if not len(places):
        return history[:0], len(history)
    between = np.arange(places[0], places[-1] + 1)
    return np.interp(between, places, history[places]), len(history) - 1 - int(places[-1])


class _Copied(NamedTuple):
    """The value [window, step] that each step copies, and how many steps it lies back."""

    value: FloatArray
    distance: IntArray


def _copied(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> _Copied:
    """The last observed value of the same phase, else the last; NaN where nothing was observed."""
    places = np.where(np.isnan(series), -1, np.arange(len(series)))
    cycles = np.full((-(-len(series) // season), season), -1)
    cycles.ravel()[: len(series)] = places
    of_phase = np.maximum.accumulate(cycles, axis=0).ravel()
    last = np.maximum.accumulate(places)[cutoffs - 1]
    steps = np.arange(horizon)
    target = cutoffs[:, None] + steps
    newest = target - season * (steps // season + 1)
    source = np.where(newest >= 0, of_phase[newest], -1)
    source = np.where(source >= 0, source, last[:, None])
    return _Copied(np.where(source >= 0, series[source], np.nan), target - source)


def _line(series: FloatArray, cutoffs: IntArray) -> tuple[FloatArray, IntArray]:
    """Slope and length of the line from the first to the last observed value [window]."""
    value, distance = _copied(series, cutoffs, horizon=1, season=1)
    first = np.argmax(~np.isnan(series))
    span = np.maximum(cutoffs - distance[:, 0] - first, 1)
    rise = value[:, 0] - series[first]
    return np.where(np.isnan(rise), 0.0, rise / span), span


def _differences(series: FloatArray, lag: int) -> FloatArray:
    """What each value [time] has risen by since the one `lag` steps back; NaN without it."""
    differences = np.full(len(series), np.nan)
    differences[lag:] = series[lag:] - series[:-lag]
    return differences


def _window_averages(series: FloatArray, width: int) -> FloatArray:
    """The mean of the observed among the `width` values before each time [time + 1]; else NaN."""
    known = ~np.isnan(series)
    pivot = _pivot(series)
    number = _window_sums(known.astype(np.float64), width)
    total = _window_sums(np.where(known, series - pivot, 0.0), width)
    averages = np.full(len(number), np.nan)
    np.divide(total, number, out=averages, where=number > 0)
    return pivot + averages


def _window_sums(values: FloatArray, width: int) -> FloatArray:
    """The sum of the `width` values before each time [time + 1].

    A window is the end of one block of that width and the start of the next. A difference of two
    sums from the start of the series would keep the rounding of all that came before.
    """
    blocks = np.zeros((len(values) // width + 2, width))
    blocks.ravel()[width : width + len(values)] = values
    starts = np.cumsum(blocks, axis=1).ravel()
    ends = np.cumsum(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    first = np.arange(len(values) + 1)
    return np.where(first % width == 0, 0.0, ends[first]) + starts[first + width - 1]


class _Moments(NamedTuple):
    """How many were observed, their mean and sum of squares about the mean [window]."""

    number: IntArray
    mean: FloatArray
    squares: FloatArray


def _moments(values: FloatArray, cutoffs: IntArray) -> _Moments:
    """The moments of values [time] before each cutoff (Welford 1962).

    The squares are a sum of terms that are not negative, so that nothing cancels.
    """
    known = ~np.isnan(values)
    pivot = _pivot(values)
    number = np.cumsum(known)
    count = np.maximum(number, 1)
    offset = np.where(known, values - pivot, 0.0)
    average = np.cumsum(offset) / count
    surprise = offset[1:] - average[:-1]
    terms = np.where(known[1:], surprise**2 * (count[1:] - 1) / count[1:], 0.0)
    squares = np.concatenate([[0.0], np.cumsum(terms)])
    newest = cutoffs - 1
    return _Moments(number[newest], pivot + average[newest], squares[newest])


def _root_mean_square(
    residuals: FloatArray,
    cutoffs: IntArray,
    about: FloatArray | float = 0.0,
    parameters: int = 0,
) -> FloatArray:
    """That of residuals [time] - about [window] before each cutoff [window]; 0 without any.

    Each estimated parameter costs a degree of freedom, as long as one is left.
    """
    number, average, squares = _moments(residuals, cutoffs)
    total = squares + number * (average - about) ** 2
    return np.sqrt(total / np.maximum(number - parameters, 1))


def _pivot(values: FloatArray) -> float:
    """The first observed value, which every cutoff with a history has seen; 0 where none is.

    Sums of what values differ from it by are exact where they are constant.
    """
    known = ~np.isnan(values)
    return float(values[np.argmax(known)]) if known.any() else 0.0


def _level(point: FloatArray, deviation: FloatArray, horizon: int) -> PointAndDeviation:
    """The same point and deviation [window] at every step."""
    return PointAndDeviation(
        np.repeat(point[:, None], horizon, axis=1), np.repeat(deviation[:, None], horizon, axis=1)
    )


def _is_seasonal(history: FloatArray, season: int) -> bool:
    """Whether the autocorrelation at the season is above its 90% limit (Bartlett 1946), as in M4.

    M4 calls series shorter than three seasons not seasonal, and those of which R's `acf` gives too
    few lags, too: that default of R is not repeated here.
    """
    if len(history) < 3 * season:
        return False
    centred = history - history.mean()
    # Of all lags at once, by the spectrum; zeros keep the end from meeting the start.
    size = 2 ** math.ceil(math.log2(len(history) + season))
    shifted = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)
    if not shifted[0] > 0:
        return False
    correlation = shifted[1 : season + 1] / shifted[0]
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlation[:-1] ** 2)) / len(history))
    return bool(np.abs(correlation[-1]) > limit)


def _seasonal_indices(history: FloatArray, season: int) -> FloatArray:
    """The factor of each phase [season], counted from the first value, up to one common factor.

    Classical multiplicative decomposition about a centred moving average (`decompose` of R).
    """
    half = season // 2
    weights = np.ones(2 * half + 1)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    trend = np.convolve(history, weights / season, mode="valid")
    phases = np.arange(half, len(history) - half) % season
    ratios = history[half : len(history) - half] / trend
    indices: FloatArray = np.bincount(phases, ratios) / np.bincount(phases)
    return indices
