"""Fitting as every command does it: once to find the epoch and to be scored, once on all data."""

from __future__ import annotations

import torch

from rnnforecast.backtest import training_ends
from rnnforecast.config import RunConfig
from rnnforecast.data.panel import Panel
from rnnforecast.forecaster import Forecaster, fit_forecaster
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.reporting import Reporter


def fit_validated(
    panel: Panel, config: RunConfig, device: torch.device, reporter: Reporter
) -> tuple[Forecaster, FitResult]:
    """Fit to all but the newest windows, which tell the best epoch."""
    ends = training_ends(panel.lengths, config.windows.horizon)
    with reporter.training(f"training {config.model.model}") as on_epoch:
        return fit_forecaster(panel, config, device=device, ends=ends, on_epoch=on_epoch)


def refit(
    panel: Panel, config: RunConfig, device: torch.device, reporter: Reporter, best_epoch: int
) -> Forecaster:
    """Fit anew to everything, for as many epochs as served best."""
    with reporter.training(f"refitting {config.model.model} on all data") as on_epoch:
        return fit_forecaster(
            panel, config, device=device, stop_after=best_epoch, on_epoch=on_epoch
        )[0]
