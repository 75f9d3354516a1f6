"""`rnnforecast train`: fit, score on what was held out, fit again on everything, forecast."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rnnforecast.artifact import MODEL_FILE, Artifact, pack_artifact
from rnnforecast.backtest import Origins, held_out_origins, panel_before, training_ends
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.contenders import Calibrated, Contender
from rnnforecast.data.files import write_files
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import to_csv
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.forecaster import Forecaster, find_rate
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.scoreboard import Scoreboard
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.fitting import (
    CALIBRATION_WINDOWS,
    baseline_contenders,
    calibration_windows,
    factors_of,
    fit_validated,
    refit,
    suited_to,
)
from rnnforecast.workflows.inputs import (
    check_counts,
    check_logarithms,
    describe_config,
    describe_data,
    naming,
    read_series,
    tell_of_ends,
)
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.outputs import check_forecast_names, end_forecasts
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import (
    Scored,
    failed_gate,
    forecast_origins,
    parse_gates,
    tell_of_losses,
    tell_of_undefined,
    tell_of_unread,
)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What `rnnforecast train` was asked.

    Attributes:
        path: The CSV file, "-" for standard input.
        directory: Where the model and its tables go.
        data: Columns and dialect, as far as they were named.
        settings: The rest.
        find_lr: Whether a range test finds the learning rate, in place of that of the settings.
        fail_if: Conditions such as mase>1 under which no model is written.
        device: "auto", "cpu", "cuda" or "mps".
    """

    path: str
    directory: Path
    data: DataConfig
    settings: Settings
    find_lr: bool = False
    fail_if: tuple[str, ...] = ()
    device: str = "auto"


def train(request: TrainRequest, reporter: Reporter) -> Scored:
    """Train a model, write its directory, and return the metrics table.

    The scored model has not seen the newest horizon of the series that are long enough; the model
    that is kept was fitted again on everything, for as many epochs as served the first one best.
    Where the scored model fails a gate, the directory stays as it is.
    """
    device = select_device(request.device)
    settings = request.settings
    gates = parse_gates(request.fail_if, settings.levels, owa=settings.season is not None)
    table = read_series(request.path, request.data, reporter)
    panel = table.panel
    with naming(table):
        origins = held_out_origins(panel, settings.horizon)
        known = panel_before(panel, origins)
        config = resolve(settings, find_facts(known), table.config)
        check_logarithms(panel, settings, kept=config.model.log and not settings.refit)
        check_counts(panel, config.model.head)
    check_forecast_names(table.config, [config.model.model], config.model.levels)
    reporter.note(f"{describe_data(table)}; {describe_config(config)}; on {device.type}")
    tell_of_ends(panel, reporter)
    limit_threads(config.model.hidden_size, config.training.batch_size)
    with locked_directory(request.directory):
        if request.find_lr:
            config = _at_found_rate(known, config, device, reporter)
        forecaster, result = fit_validated(known, config, device, reporter)
        metrics = _score(forecaster, panel, origins, settings, reporter)
        if failure := failed_gate(metrics, [forecaster.name], gates):
            return Scored(metrics, f"{failure}; {request.directory} stays as it was")
        forecaster = _kept(forecaster, panel, origins, result, settings, reporter)
        with naming(table):
            _write(request.directory, forecaster, table, metrics, result)
    return Scored(metrics)


def _at_found_rate(
    panel: Panel, config: RunConfig, device: torch.device, reporter: Reporter
) -> RunConfig:
    """With the learning rate that suits the training windows of `fit_validated`."""
    ends = training_ends(panel.lengths, config.windows.horizon)
    search = find_rate(panel, config, device=device, ends=ends)
    reporter.note(
        f"learning rate {search.suggestion:g} found in {len(search.rates)} steps, a tenth of where "
        f"the loss was lowest, {min(search.losses):.4g}"
    )
    return replace(config, training=replace(config.training, learning_rate=search.suggestion))


def _kept(
    forecaster: Forecaster,
    panel: Panel,
    origins: Origins,
    result: FitResult,
    settings: Settings,
    reporter: Reporter,
) -> Forecaster:
    """The model that is kept, fitted to everything if so wished.

    Its intervals are calibrated by the errors of the scored model, on all that this has not seen.
    """
    device = next(forecaster.network.parameters()).device
    unseen = _unseen(panel, origins, settings.horizon)
    factors = factors_of(forecaster, panel, unseen, forecaster.config)
    if settings.refit:
        config = suited_to(forecaster.config, panel, reporter)
        forecaster = refit(panel, config, device, reporter, result.best_epoch)
    return replace(forecaster, factors=factors)


def _unseen(panel: Panel, origins: Origins, horizon: int) -> WindowIndex:
    """The windows that the scored model was not fitted to: the newest ones, and those it scored."""
    held_out = origins.windows(np.arange(len(origins))).thinned(CALIBRATION_WINDOWS)
    newest = calibration_windows(panel_before(panel, origins), horizon)
    return WindowIndex(
        series=np.concatenate([newest.series, held_out.series]),
        cutoffs=np.concatenate([newest.cutoffs, held_out.cutoffs]),
    )


def _score(
    forecaster: Forecaster, panel: Panel, origins: Origins, settings: Settings, reporter: Reporter
) -> pd.DataFrame:
    """The metrics of the model and the baselines, and a word on them."""
    config = forecaster.config
    horizon, levels = config.windows.horizon, config.model.levels
    newest = calibration_windows(panel_before(panel, origins), horizon)
    baselines = baseline_contenders(
        config.windows, config.model.quantile_levels, naive2=settings.season is not None
    )
    compared: list[Contender] = [forecaster, *baselines]
    contenders = [
        Calibrated(contender, factors_of(contender, panel, newest, config), levels, stride=1)
        for contender in compared
    ]
    board = Scoreboard(
        panel,
        {row.contender.name: config.model.quantile_levels for row in contenders},
        horizon=horizon,
        season=config.windows.season,
        cutoffs=panel.times(origins.series, origins.cutoffs(0) - 1),
    )
    for block in forecast_origins(panel, origins, contenders, config.model, horizon, range(1)):
        board.add(block)
    metrics = board.by_model()
    tell_of_unread(board, reporter)
    tell_of_undefined(board, reporter)
    tell_of_losses(metrics, [forecaster.name], reporter)
    return metrics


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
        # Seconds would differ between two runs that are otherwise the same.
        "history": _records(history.drop(columns="seconds")),
        "metrics": _records(metrics),
    }
    tables = {
        "forecasts.csv": end_forecasts(forecaster, tail),
        "metrics.csv": metrics,
        "history.csv": history,
    }
    contents = {directory / name: to_csv(content).encode() for name, content in tables.items()}
    artifact = Artifact(forecaster=forecaster, panel=tail, record=record)
    write_files({**contents, directory / MODEL_FILE: pack_artifact(artifact)})


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table, None where a cell is empty."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
