"""What `rnnforecast train` would do: its settings, its size, and its time from a short probe."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rnnforecast.artifact import MODEL_FILE
from rnnforecast.backtest import training_ends
from rnnforecast.config import RunConfig
from rnnforecast.errors import ConfigError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.training.rate_finder import STEPS
from rnnforecast.workflows.fitting import continued, count_windows, goes_on
from rnnforecast.workflows.keeping import known_factors, refit_config, score, unseen_factors
from rnnforecast.workflows.outputs import TABLES
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Mute, Reporter
from rnnforecast.workflows.scoring import parse_gates
from rnnforecast.workflows.train import TrainRequest, resolve_request

# Gradient steps of two epochs, whose difference is the time of a step.
FEW, MORE = 1, 9
# What the same steps may take longer at another time.
MARGIN = 1.2
# So small that no step of the probe can diverge.
STANDSTILL = 1e-12


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a short training on the windows of a run has shown.

    Attributes:
        parameters: Of the network.
        step: Seconds of a gradient step.
        validation: Seconds of a validation.
    """

    parameters: int
    step: float
    validation: float


def plan(request: TrainRequest, reporter: Reporter) -> dict[str, str | int]:
    """What `train` would do, property by property; nothing is trained or written.

    The seconds are those of the whole program, up to the last epoch that is allowed; with a search
    of the learning rate, the steps hold those of the search.

    Raises:
        ConfigError: A setting cannot be used, or the directory not be written to.
        DataError: The series cannot be read, or not be used.
    """
    started, began = time.process_time(), time.perf_counter()
    settings, limit = request.settings, request.control.time_limit
    parse_gates(request.fail_if, settings.levels, owa=settings.season is not None)
    _check_directory(request.directory)
    run = resolve_request(request, reporter)
    probe = _probe(run)
    # All but the probe's few steps is what a run does as well, once.
    once = time.perf_counter() - began
    epochs = run.config.training.epochs
    searched = STEPS if request.find_lr else 0
    steps = (epochs + _epochs_of_refit(run)) * run.config.training.batches_per_epoch + searched
    # A search judges the weights after each of its steps, at the cost of less than another step.
    fitting = (steps + searched) * probe.step + epochs * probe.validation
    windows = count_windows(run.known, run.config)
    return {
        "series": len(run.panel),
        "values": len(run.panel.values),
        "frequency": str(run.panel.frequency),
        "season": " and ".join(map(str, run.config.windows.seasons)),
        "lookback": run.config.windows.lookback,
        "horizon": settings.horizon,
        "model": settings.model,
        "parameters": probe.parameters,
        "training windows": windows["training"],
        "validation windows": windows["validation"],
        "gradient steps at most": steps,
        "device": run.device.type,
        "directory": str(request.directory),
        "files": " ".join((*TABLES, MODEL_FILE)),
        "seconds at most": math.ceil(started + min(once + MARGIN * fitting, limit)),
    }


def _epochs_of_refit(run: Prepared) -> int:
    """Those of the fit to all data at most."""
    if not run.settings.refit:
        return 0
    config = refit_config(run)
    going_on = goes_on(run.panel, config, run.config)
    return (continued(config) if going_on else config).training.epochs


def _check_directory(directory: Path) -> None:
    """Raise ConfigError where it could not be made or written to."""
    places = (directory, *directory.absolute().parents)
    nearest = next(place for place in places if place.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise ConfigError(f"{nearest} is no directory to write to; pass another --out")


def _probe(run: Prepared) -> Probe:
    """Time gradient steps and validations on the windows of a run; score what comes of them."""
    ends = training_ends(run.known.lengths, run.config.windows.horizon)
    seconds = []
    for steps in (FEW, MORE):
        config = _still(run.config, steps)
        forecaster, result = fit_forecaster(run.known, config, device=run.device, ends=ends)
        # The first epoch holds what happens once.
        seconds.append(result.history[1].seconds - result.history[0].seconds)
    factors = {forecaster.name: known_factors(forecaster, run)}
    score([forecaster], run, Mute(), factors=factors)
    unseen_factors(forecaster, run)
    step = max(0.0, seconds[1] - seconds[0]) / (MORE - FEW)
    return Probe(
        parameters=sum(weights.numel() for weights in forecaster.network.parameters()),
        step=step,
        validation=max(0.0, seconds[0] - FEW * step),
    )


def _still(config: RunConfig, steps: int) -> RunConfig:
    """The same for two epochs of some steps that leave the weights almost where they were."""
    training = replace(
        config.training,
        epochs=2,
        batches_per_epoch=steps,
        schedule="constant",
        learning_rate=STANDSTILL,
        patience=2,
    )
    return replace(config, training=training)
