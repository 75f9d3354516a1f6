"""`rnnforecast backtest`: several models and the baselines from several cutoffs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnforecast.backtest import (
    Scored,
    actual_values,
    baseline_forecasts,
    held_out_origins,
    metrics_table,
    panel_before,
    training_ends,
)
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table, write_csv
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.forecaster import Forecaster, fit_forecaster
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.workflows.inputs import describe_config, describe_data, naming, read_series
from rnnforecast.workflows.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """What `rnnforecast backtest` was asked.

    Attributes:
        path: The CSV file, "-" for standard input.
        data: Columns and dialect, as far as they were named.
        settings: The rest, for each model to compare.
        windows: Cutoffs of each series.
        step: Values between two cutoffs; None for the horizon.
        output: Where the forecasts go, if anywhere.
        device: "auto", "cpu", "cuda" or "mps".
    """

    path: str
    data: DataConfig
    settings: tuple[Settings, ...]
    windows: int = 3
    step: int | None = None
    output: Path | None = None
    device: str = "auto"


def backtest(request: BacktestRequest, reporter: Reporter) -> pd.DataFrame:
    """Fit each model once, before the first cutoff; forecast from every cutoff; return the metrics.

    At each cutoff the models read all that lies before it, but learn nothing new from it.
    """
    device = select_device(request.device)
    table = read_series(request.path, request.data, reporter)
    panel, horizon = table.panel, request.settings[0].horizon
    with naming(table):
        index = held_out_origins(panel, horizon, request.windows, request.step or horizon)
    known = panel_before(panel, index)
    facts = find_facts(known)
    reporter.note(f"{describe_data(table)}; {request.windows} cutoffs")
    scored: list[Scored] = []
    for settings in request.settings:
        config = resolve(settings, facts, table.config)
        reporter.note(f"{describe_config(config)}; on {device.type}")
        limit_threads(config.model.hidden_size, config.training.batch_size)
        forecaster = _fit(known, config, device, reporter)
        quantiles = forecaster.predict_at(panel, index)
        levels = config.model.quantile_levels
        scored.append(Scored(name=settings.model, quantiles=quantiles, levels=levels))
    scored += baseline_forecasts(panel, index, config.windows, levels)
    if request.output is not None:
        write_csv(_forecasts(panel, index, scored, config), request.output)
    return metrics_table(panel, index, config.windows, scored)


def _fit(known: Panel, config: RunConfig, device: torch.device, reporter: Reporter) -> Forecaster:
    """As `train` does: early stopping on the newest windows, then a refit that sees them too."""
    ends = training_ends(known.lengths, config.windows.horizon)
    with reporter.training(f"training {config.model.model}") as on_epoch:
        forecaster, result = fit_forecaster(
            known, config, device=device, ends=ends, on_epoch=on_epoch
        )
    if ends is None or not config.training.refit:
        return forecaster
    with reporter.training(f"refitting {config.model.model}") as on_epoch:
        return fit_forecaster(
            known, config, device=device, stop_after=result.best_epoch, on_epoch=on_epoch
        )[0]


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
    target = config.data.target_columns[0] if config.data.id_column else "y"
    table.insert(2, "cutoff", np.repeat(np.asarray(last_known), horizon))
    table.insert(3, target, actual_values(panel, index, horizon).ravel())
    return table
