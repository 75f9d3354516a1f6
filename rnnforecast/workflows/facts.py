"""What workflows record of a run, for its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import torch

from rnnforecast.artifact import Artifact
from rnnforecast.backtest import Origins
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.fitting import count_windows
from rnnforecast.workflows.reporting import Reporter


def record_data(table: Table, reporter: Reporter) -> None:
    """What was read."""
    reporter.record(
        data={
            "name": table.name,
            "sha256": table.sha256,
            "series": len(table.panel),
            "values": len(table.panel.values),
            "unobserved": list(table.unobserved),
        }
    )


def record_plan(
    known: Panel, settings: Settings, config: RunConfig, device: torch.device, reporter: Reporter
) -> None:
    """What is to be fitted to the known part of the series, as `fit_validated` will do it."""
    reporter.record(
        model=config.model.model,
        seed=config.training.seed,
        device=device.type,
        settings=asdict(settings),
        windows={
            **count_windows(known, config),
            "lookback": config.windows.lookback,
            "horizon": config.windows.horizon,
        },
    )


def record_fit(result: FitResult, reporter: Reporter) -> None:
    """How training went."""
    reporter.record(
        epochs=len(result.history),
        best_epoch=result.best_epoch,
        stop_reason=result.stop_reason,
    )


def record_metrics(metrics: pd.DataFrame, reporter: Reporter) -> None:
    """The metrics, a row a model."""
    reporter.record(metrics=metrics.to_dict("records"))


def record_backtest(
    origins: Origins, settings: Sequence[Settings], device: torch.device, reporter: Reporter
) -> None:
    """Which networks are compared, on what."""
    reporter.record(
        models=[asked.model for asked in settings],
        seed=settings[0].seed,
        device=device.type,
        settings=[asdict(asked) for asked in settings],
        windows={
            "scored": len(origins.series) * origins.count,
            "cutoffs": origins.count,
            "horizon": settings[0].horizon,
        },
    )


def record_model(artifact: Artifact, reporter: Reporter) -> None:
    """The network that is read from a model file, and the data that it was trained on."""
    config = artifact.forecaster.config
    reporter.record(
        model=config.model.model,
        seed=config.training.seed,
        device=next(artifact.forecaster.network.parameters()).device.type,
        windows={"lookback": config.windows.lookback, "horizon": config.windows.horizon},
        trained_on=artifact.record.get("data"),
    )
