"""`rnnforecast train`: fit, score on what was held out, fit again on everything, forecast."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rnnforecast.artifact import Artifact, save_artifact
from rnnforecast.backtest import (
    Scored,
    baseline_forecasts,
    held_out_origins,
    metrics_table,
    panel_before,
    training_ends,
)
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table, write_csv
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.forecaster import Forecaster, fit_forecaster
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.inputs import describe_config, describe_data, naming, read_series
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What `rnnforecast train` was asked.

    Attributes:
        path: The CSV file, "-" for standard input.
        directory: Where the model and its tables go.
        data: Columns and dialect, as far as they were named.
        settings: The rest.
        device: "auto", "cpu", "cuda" or "mps".
    """

    path: str
    directory: Path
    data: DataConfig
    settings: Settings
    device: str = "auto"


def train(request: TrainRequest, reporter: Reporter) -> pd.DataFrame:
    """Train a model, write its directory, and return the metrics table.

    The scored model has not seen the newest horizon of the series that are long enough; the model
    that is kept was fitted again on everything, for as many epochs as served the first one best.
    """
    device = select_device(request.device)
    table = read_series(request.path, request.data, reporter)
    panel, horizon = table.panel, request.settings.horizon
    with naming(table):
        origins = held_out_origins(panel, horizon)
    known = panel_before(panel, origins)
    config = resolve(request.settings, find_facts(known), table.config)
    reporter.note(f"{describe_data(table)}; {describe_config(config)}; on {device.type}")
    limit_threads(config.model.hidden_size, config.training.batch_size)
    with locked_directory(request.directory):
        with reporter.training("training") as on_epoch:
            ends = training_ends(known.lengths, horizon)
            forecaster, result = fit_forecaster(
                known, config, device=device, ends=ends, on_epoch=on_epoch
            )
        metrics = _score(forecaster, panel, origins)
        _warn_of_loss(metrics, reporter)
        if config.training.refit:
            with reporter.training("refitting on all data") as on_epoch:
                forecaster, _ = fit_forecaster(
                    panel, config, device=device, stop_after=result.best_epoch, on_epoch=on_epoch
                )
        _write(request.directory, forecaster, table, metrics, result)
    return metrics


def end_forecasts(forecaster: Forecaster, panel: Panel, alias: str | None = None) -> pd.DataFrame:
    """The forecast after the last value of each series, as a table."""
    quantiles = forecaster.predict(panel)
    index = WindowIndex(series=np.arange(len(panel)), cutoffs=panel.lengths)
    model = forecaster.config.model
    name = alias or model.model
    return forecast_table(panel, index, {name: quantiles}, model.levels, forecaster.config.data)


def _score(forecaster: Forecaster, panel: Panel, origins: WindowIndex) -> pd.DataFrame:
    config = forecaster.config
    levels = config.model.quantile_levels
    quantiles = forecaster.predict_at(panel, origins)
    model = Scored(name=config.model.model, quantiles=quantiles, levels=levels)
    baselines = baseline_forecasts(panel, origins, config.windows, levels)
    return metrics_table(panel, origins, config.windows, [model, *baselines])


def _warn_of_loss(metrics: pd.DataFrame, reporter: Reporter) -> None:
    """Say so where the model is worse than the seasonal naive."""
    model = metrics.iloc[0]
    if model["skill"] < 0:
        reporter.warning(
            f"{model['model']} is worse than the seasonal naive here: its mase is "
            f"{model['mase']:.3f}, {-model['skill']:.0%} higher"
        )


def _write(
    directory: Path, forecaster: Forecaster, table: Table, metrics: pd.DataFrame, result: FitResult
) -> None:
    """The tables first and the model last, so that a model file means a whole directory."""
    config: RunConfig = forecaster.config
    history = pd.DataFrame([asdict(record) for record in result.history])
    tail = table.panel.tail(config.windows.lookback)
    record = {
        "data": {"name": table.name, "sha256": table.sha256, "values": len(table.panel.values)},
        "best_epoch": result.best_epoch,
        "stop_reason": result.stop_reason,
        "metrics": metrics.astype(object).where(metrics.notna(), None).to_dict("records"),
    }
    write_csv(end_forecasts(forecaster, tail), directory / "forecasts.csv")
    write_csv(metrics, directory / "metrics.csv")
    write_csv(history, directory / "history.csv")
    save_artifact(Artifact(forecaster=forecaster, panel=tail, record=record), directory)
