"""Automatic statistical models as baselines, through statsforecast (Nixtla), which is optional.

They fit once for each cutoff, so that they cost seconds where the other baselines cost nothing.
"""

from __future__ import annotations

import warnings
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.baselines import (
    Baseline,
    PointAndDeviation,
    seasonal_naive,
    without_gaps,
)

# Hyndman et al. 2002 (ETS); Fiorucci et al. 2016 (theta); Hyndman & Khandakar 2008 (ARIMA).
MODELS = {"auto-ets": "AutoETS", "auto-theta": "AutoTheta", "auto-arima": "AutoARIMA"}
LEVEL = 95
# From fewer values statsforecast estimates no exponential smoothing without a season.
LEAST_VALUES = 7


def _forecasts(
    name: str, series: FloatArray, cutoffs: IntArray, horizon: int, season: int
) -> PointAndDeviation:
    """One fit a cutoff, gaps interpolated; the deviation is that of a normal interval's width.

    A history that is constant or spans fewer than 7 steps, its gaps included, leaves nothing to
    fit: its forecast is the seasonal naive. Point and deviation are NaN where a fit fails.

    Raises:
        ConfigError: statsforecast is not installed.
    """
    model = _model(name, season)
    point, deviation = seasonal_naive(series, cutoffs, horizon, season)
    for window, cutoff in enumerate(cutoffs):
        history, since = without_gaps(series[:cutoff])
        if len(history) >= LEAST_VALUES and np.ptp(history) > 0:
            point[window], deviation[window] = _fitted(model, history, since + horizon)[:, since:]
    return PointAndDeviation(point, deviation)


STATISTICAL: dict[str, Baseline] = {name: partial(_forecasts, name) for name in MODELS}


def _model(name: str, season: int) -> Any:
    try:
        from statsforecast import models
    except ImportError as error:
        remedy = "run: pip install 'rnnforecast[baselines]'"
        raise ConfigError(f"{name} needs statsforecast; {remedy}") from error
    return getattr(models, MODELS[name])(season_length=season)


def _fitted(model: Any, history: FloatArray, steps: int) -> FloatArray:
    """Point and deviation of each step [2, step]; NaN where the fit fails or is not finite."""
    failed = np.full((2, steps), np.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = model.forecast(y=history, h=steps, level=[LEVEL])
    # The models tell of series that they cannot be fitted to in every kind of exception.
    except Exception:
        return failed
    point, lower, upper = (
        np.asarray(result[key], dtype=np.float64) for key in ("mean", f"lo-{LEVEL}", f"hi-{LEVEL}")
    )
    deviation = np.abs(upper - lower) / 2 / NormalDist().inv_cdf(0.5 + LEVEL / 200)
    forecast = np.stack([point, deviation])
    return forecast if np.isfinite(forecast).all() else failed
