"""`rnnforecast train`: fit, score on what was held out, fit again on everything, forecast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from rnnforecast.artifact import MODEL_FILE, Artifact, pack_artifact
from rnnforecast.backtest import (
    Scored,
    baseline_forecasts,
    held_out_origins,
    metrics_table,
    panel_before,
)
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.data.files import write_files
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import to_csv
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.forecaster import Forecaster, without_logarithm
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.fitting import fit_validated, refit
from rnnforecast.workflows.inputs import (
    check_logarithms,
    describe_config,
    describe_data,
    naming,
    read_series,
)
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.outputs import (
    check_forecast_names,
    end_forecasts,
    warn_of_unread,
)
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
    panel, settings = table.panel, request.settings
    with naming(table):
        origins = held_out_origins(panel, settings.horizon)
        known = panel_before(panel, origins)
        config = resolve(settings, find_facts(known), table.config)
        check_logarithms(panel, settings, kept=config.model.log and not settings.refit)
    check_forecast_names(table.config, [config.model.model], config.model.levels)
    reporter.note(f"{describe_data(table)}; {describe_config(config)}; on {device.type}")
    limit_threads(config.model.hidden_size, config.training.batch_size)
    with locked_directory(request.directory):
        forecaster, result = fit_validated(known, config, device, reporter)
        metrics = _score(forecaster, panel, origins, reporter)
        _warn_of_loss(metrics, reporter)
        if settings.refit:
            config = _suited_to_newest(config, panel, reporter)
            forecaster = refit(panel, config, device, reporter, result.best_epoch)
        with naming(table):
            _write(request.directory, forecaster, table, metrics, result)
    return metrics


def _suited_to_newest(config: RunConfig, panel: Panel, reporter: Reporter) -> RunConfig:
    """Without the logarithm where the newest data, unlike the older, have values without one."""
    fault = without_logarithm(panel) if config.model.log else None
    if fault is None:
        return config
    reporter.warning(
        f"series '{fault[0]}' has the value {fault[1]:g} among its newest: the model that is kept "
        "works on plain values, while the scored one worked on logarithms"
    )
    return replace(config, model=replace(config.model, log=False))


def _score(
    forecaster: Forecaster, panel: Panel, origins: WindowIndex, reporter: Reporter
) -> pd.DataFrame:
    """The metrics of the model and the baselines, and a word where there are none."""
    config = forecaster.config
    levels = config.model.quantile_levels
    quantiles = forecaster.predict_at(panel, origins)
    warn_of_unread(panel, origins, quantiles, reporter)
    model = Scored(config.model.model, quantiles, levels)
    baselines = baseline_forecasts(panel, origins, config.windows, levels)
    return metrics_table(panel, origins, config.windows, [model, *baselines])


def _warn_of_loss(metrics: pd.DataFrame, reporter: Reporter) -> None:
    """Say so where the model is worse than the seasonal naive."""
    model, naive = metrics.iloc[0], metrics.set_index("model").loc["seasonal-naive"]
    measure = "mae" if pd.isna(model["skill"]) else "mase"
    if model[measure] > naive[measure]:
        reporter.warning(
            f"{model['model']} is worse than the seasonal naive here: its {measure} is "
            f"{model[measure]:.4g}, the naive's {naive[measure]:.4g}"
        )


def _write(
    directory: Path, forecaster: Forecaster, table: Table, metrics: pd.DataFrame, result: FitResult
) -> None:
    """All files at once, the model last, so that no reader meets half of a run."""
    history = pd.DataFrame([asdict(record) for record in result.history])
    tail = table.panel.tail(forecaster.config.windows.lookback)
    record = {
        "data": {"name": table.name, "sha256": table.sha256, "values": len(table.panel.values)},
        "best_epoch": result.best_epoch,
        "stop_reason": result.stop_reason,
        "metrics": metrics.astype(object).where(metrics.notna(), None).to_dict("records"),
    }
    tables = {
        "forecasts.csv": end_forecasts(forecaster, tail),
        "metrics.csv": metrics,
        "history.csv": history,
    }
    contents = {directory / name: to_csv(content).encode() for name, content in tables.items()}
    artifact = Artifact(forecaster=forecaster, panel=tail, record=record)
    write_files({**contents, directory / MODEL_FILE: pack_artifact(artifact)})
