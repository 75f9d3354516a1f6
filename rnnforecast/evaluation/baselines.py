"""Forecasts without learning, which every model must beat. Missing values are passed over.

Each takes a series up to the cutoff [time], with at least one observed value, and returns the
horizon [step] (Hyndman & Athanasopoulos 2021, Forecasting: principles and practice, 5.2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnforecast.arrays import FloatArray

Baseline = Callable[[FloatArray, int, int], FloatArray]


def naive(history: FloatArray, horizon: int, season: int) -> FloatArray:
    """The last observed value again and again."""
    return np.full(horizon, _observed(history)[-1])


def seasonal_naive(history: FloatArray, horizon: int, season: int) -> FloatArray:
    """The last observed value of the same phase; the naive where a phase was never observed."""
    padded = np.concatenate([np.full(-len(history) % season, np.nan), history])
    newest_first = padded.reshape(-1, season)[::-1]
    latest = np.argmax(~np.isnan(newest_first), axis=0)
    cycle = newest_first[latest, np.arange(season)]
    filled = np.where(np.isnan(cycle), naive(history, season, season), cycle)
    return np.resize(filled, horizon)


def drift(history: FloatArray, horizon: int, season: int) -> FloatArray:
    """The line through the first and the last observed value, continued."""
    places = np.flatnonzero(~np.isnan(history))
    first, last = places[0], places[-1]
    slope = (history[last] - history[first]) / max(last - first, 1)
    steps: FloatArray = history[last] + slope * (
        len(history) - 1 - last + np.arange(1, horizon + 1)
    )
    return steps


BASELINES: dict[str, Baseline] = {
    "seasonal-naive": seasonal_naive,
    "naive": naive,
    "drift": drift,
}


def _observed(history: FloatArray) -> FloatArray:
    return history[~np.isnan(history)]
