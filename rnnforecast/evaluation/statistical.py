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


def _forecasts(
    name: str, series: FloatArray, cutoffs: IntArray, horizon: int, season: int
) -> PointAndDeviation:
    """One fit a cutoff, gaps interpolated; the seasonal naive where a fit fails.

    The deviation is that of a normal distribution with the model's prediction interval.

    Raises:
        ConfigError: statsforecast is not installed.
    """
    model = _model(name, season)
    point, deviation = seasonal_naive(series, cutoffs, horizon, season)
    for window, cutoff in enumerate(cutoffs):
        fitted = _fitted(model, series[:cutoff], horizon)
        if fitted is not None:
            point[window], deviation[window] = fitted
    return PointAndDeviation(point, deviation)


STATISTICAL: dict[str, Baseline] = {name: partial(_forecasts, name) for name in MODELS}


def _model(name: str, season: int) -> Any:
    try:
        from statsforecast import models
    except ImportError as error:
        remedy = "run: pip install 'rnnforecast[baselines]'"
        raise ConfigError(f"{name} needs statsforecast; {remedy}") from error
    return getattr(models, MODELS[name])(season_length=season)


def _fitted(model: Any, history: FloatArray, horizon: int) -> tuple[FloatArray, FloatArray] | None:
    """Point and deviation [step]; None where the model cannot be fitted or is not finite."""
    observed, since = without_gaps(history)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = model.forecast(y=observed, h=since + horizon, level=[LEVEL])
    # The models tell of short and of degenerate series in every kind of exception.
    except Exception:
        return None
    point, lower, upper = (
        np.asarray(result[key], dtype=np.float64)[since:]
        for key in ("mean", f"lo-{LEVEL}", f"hi-{LEVEL}")
    )
    deviation = (upper - lower) / 2 / NormalDist().inv_cdf(0.5 + LEVEL / 200)
    if not (np.isfinite(point) & np.isfinite(deviation)).all():
        return None
    return point, np.abs(deviation)
