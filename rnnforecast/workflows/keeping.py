"""From a fitted network to the files of its run: its scores, its intervals, its directory."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray
from rnnforecast.artifact import MODEL_FILE, Artifact, pack_artifact
from rnnforecast.contenders import Calibrated, Contender
from rnnforecast.data.files import write_files
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import to_csv
from rnnforecast.forecaster import Forecaster
from rnnforecast.scoreboard import Scoreboard
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.fitting import (
    CALIBRATION_WINDOWS,
    baseline_contenders,
    calibration_windows,
    factors_of,
)
from rnnforecast.workflows.inputs import naming
from rnnforecast.workflows.outputs import end_forecasts
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import (
    forecast_origins,
    tell_of_losses,
    tell_of_undefined,
    tell_of_unread,
)


def score(networks: Sequence[Contender], run: Prepared, reporter: Reporter) -> pd.DataFrame:
    """The metrics of networks and baselines on what was held out, and a word on them."""
    panel, config = run.panel, run.config
    horizon, levels = config.windows.horizon, config.model.levels
    newest = calibration_windows(run.known, horizon)
    baselines = baseline_contenders(
        config.windows, config.model.quantile_levels, naive2=run.settings.season is not None
    )
    contenders = [
        Calibrated(contender, factors_of(contender, panel, newest, config), levels, stride=1)
        for contender in (*networks, *baselines)
    ]
    board = Scoreboard(
        panel,
        {row.contender.name: config.model.quantile_levels for row in contenders},
        horizon=horizon,
        season=config.windows.season,
        cutoffs=panel.times(run.origins.series, run.origins.cutoffs(0) - 1),
    )
    for block in forecast_origins(panel, run.origins, contenders, config.model, horizon, range(1)):
        board.add(block)
    metrics = board.by_model()
    tell_of_unread(board, reporter)
    tell_of_undefined(board, reporter)
    tell_of_losses(metrics, [network.name for network in networks], reporter)
    return metrics


def unseen_factors(forecaster: Forecaster, run: Prepared) -> FloatArray:
    """The factors of the intervals by all that the scored model was not fitted to.

    These are the newest windows of its training data, and those that it was scored on.
    """
    held_out = run.origins.windows(np.arange(len(run.origins))).thinned(CALIBRATION_WINDOWS)
    newest = calibration_windows(run.known, run.config.windows.horizon)
    unseen = WindowIndex(
        series=np.concatenate([newest.series, held_out.series]),
        cutoffs=np.concatenate([newest.cutoffs, held_out.cutoffs]),
    )
    return factors_of(forecaster, run.panel, unseen, run.config)


def write_run(
    directory: Path,
    forecaster: Forecaster,
    run: Prepared,
    metrics: pd.DataFrame,
    result: FitResult,
    **more: Any,
) -> None:
    """All files at once, the model last, so that no reader meets half of a run.

    `more` joins what the model file records of the run.
    """
    table = run.table
    history = pd.DataFrame([asdict(record) for record in result.history])
    tail = table.panel.tail(forecaster.config.windows.lookback)
    record = {
        "data": {"name": table.name, "sha256": table.sha256, "values": len(table.panel.values)},
        "settings": asdict(run.settings),
        "best_epoch": result.best_epoch,
        "stop_reason": result.stop_reason,
        # Seconds would differ between two runs that are otherwise the same.
        "history": _records(history.drop(columns="seconds")),
        "metrics": _records(metrics),
        **more,
    }
    with naming(table):
        forecasts = end_forecasts(forecaster, tail)
    tables = {"forecasts.csv": forecasts, "metrics.csv": metrics, "history.csv": history}
    contents = {directory / name: to_csv(content).encode() for name, content in tables.items()}
    artifact = Artifact(forecaster=forecaster, panel=tail, record=record)
    write_files({**contents, directory / MODEL_FILE: pack_artifact(artifact)})


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table, None where a cell is empty."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
