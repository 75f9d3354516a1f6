"""`rnnforecast backtest`: several models and the baselines from several cutoffs on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnforecast.backtest import (
    Scored,
    actual_values,
    baseline_forecasts,
    held_out_origins,
    metrics_table,
    panel_before,
)
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.evaluation.baselines import BASELINES
from rnnforecast.forecaster import without_logarithm
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.workflows.fitting import fit_validated, refit
from rnnforecast.workflows.inputs import (
    check_logarithms,
    describe_config,
    describe_data,
    naming,
    read_series,
)
from rnnforecast.workflows.outputs import check_forecast_names, warn_of_unread
from rnnforecast.workflows.reporting import Reporter

CUTOFF = "cutoff"


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """What `rnnforecast backtest` was asked.

    Attributes:
        path: The CSV file, "-" for standard input.
        data: Columns and dialect, as far as they were named.
        settings: The rest, for each model to compare.
        windows: Cutoffs of each series.
        step: Values between two cutoffs; None for the horizon.
        device: "auto", "cpu", "cuda" or "mps".
    """

    path: str
    data: DataConfig
    settings: tuple[Settings, ...]
    windows: int = 3
    step: int | None = None
    device: str = "auto"


def backtest(request: BacktestRequest, reporter: Reporter) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit each model once, before the first cutoff, and forecast from every cutoff.

    At each cutoff the models read all that lies before it, but learn nothing new from it.

    Returns:
        The metrics, and every forecast with its cutoff and the actual value.
    """
    device = select_device(request.device)
    table = read_series(request.path, request.data, reporter)
    panel, horizon = table.panel, request.settings[0].horizon
    with naming(table):
        index = held_out_origins(panel, horizon, request.windows, request.step or horizon)
        known = panel_before(panel, index)
        facts = find_facts(known)
        configs = [resolve(settings, facts, table.config) for settings in request.settings]
        check_logarithms(panel, request.settings[0])
    spec, windows = configs[0].model, configs[0].windows
    names = [*(config.model.model for config in configs), *BASELINES]
    check_forecast_names(table.config, names, spec.levels, CUTOFF, _target_name(table.config))
    reporter.note(f"{describe_data(table)}; {request.windows} cutoffs")
    if spec.log and (fault := without_logarithm(panel)):
        reporter.warning(
            f"series '{fault[0]}' has the value {fault[1]:g} after the first cutoff, which models "
            "on logarithms pass over; --no-log reads it"
        )
    scored = []
    for config, settings in zip(configs, request.settings, strict=True):
        reporter.note(f"{describe_config(config)}; on {device.type}")
        limit_threads(config.model.hidden_size, config.training.batch_size)
        forecaster, result = fit_validated(known, config, device, reporter)
        if settings.refit:
            forecaster = refit(known, config, device, reporter, result.best_epoch)
        quantiles = forecaster.predict_at(panel, index)
        warn_of_unread(panel, index, quantiles, reporter)
        scored.append(Scored(config.model.model, quantiles, spec.quantile_levels))
    scored += baseline_forecasts(panel, index, windows, spec.quantile_levels)
    metrics = metrics_table(panel, index, windows, scored)
    return metrics, _forecasts(panel, index, scored, configs[0])


def _forecasts(
    panel: Panel, index: WindowIndex, scored: list[Scored], config: RunConfig
) -> pd.DataFrame:
    """Every forecast with its cutoff, the last time that was known, and the actual value."""
    horizon = config.windows.horizon
    models = {
        model.name: model.quantiles if model.intervals else model.point[..., None]
        for model in scored
    }
    table = forecast_table(panel, index, models, config.model.levels, config.data)
    last_known = panel.frequency.format(panel.times(index.series, index.cutoffs - 1))
    table.insert(2, CUTOFF, np.repeat(np.asarray(last_known), horizon))
    table.insert(3, _target_name(config.data), actual_values(panel, index, horizon).ravel())
    return table


def _target_name(config: DataConfig) -> str:
    """What the column of actual values is called."""
    return config.target_columns[0] if config.id_column else "y"
