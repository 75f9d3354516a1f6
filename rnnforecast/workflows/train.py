"""`rnnforecast train`: fit, score on what was held out, fit again on everything, forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from rnnforecast.backtest import training_ends
from rnnforecast.config import DataConfig, RunControl, Settings
from rnnforecast.forecaster import find_rate
from rnnforecast.runtime import select_device
from rnnforecast.workflows.fitting import fit_validated, refit, suited_to
from rnnforecast.workflows.keeping import score, unseen_factors, write_run
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.preparing import Prepared, read_and_prepare
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import Scored, failed_gate, parse_gates


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
        control: How the run deals with others, with its end and with what ended before it.
    """

    path: str
    directory: Path
    data: DataConfig
    settings: Settings
    find_lr: bool = False
    fail_if: tuple[str, ...] = ()
    device: str = "auto"
    control: RunControl = RunControl()


def train(request: TrainRequest, reporter: Reporter) -> Scored:
    """Train a model, write its directory, and return the metrics table.

    The scored model has not seen the newest horizon of the series that are long enough; the model
    that is kept was fitted again on everything, for as many epochs as served the first one best.
    Where the scored model fails a gate, the directory stays as it is.
    """
    device, settings = select_device(request.device), request.settings
    gates = parse_gates(request.fail_if, settings.levels, owa=settings.season is not None)
    run = read_and_prepare(request.path, request.data, settings, device, reporter)
    with locked_directory(request.directory, request.control.if_locked, reporter) as held:
        if not held:
            return Scored(pd.DataFrame(columns=["model"]))
        if request.find_lr:
            run = _at_found_rate(run, reporter)
        forecaster, result = fit_validated(run.known, run.config, device, reporter)
        metrics = score([forecaster], run, reporter)
        if failure := failed_gate(metrics, [forecaster.name], gates):
            return Scored(metrics, f"{failure}; {request.directory} stays as it was")
        factors = unseen_factors(forecaster, run)
        if settings.refit:
            config = suited_to(run.config, run.panel, reporter)
            forecaster = refit(run.panel, config, device, reporter, result.best_epoch)
        forecaster = replace(forecaster, factors=factors)
        write_run(request.directory, forecaster, run, metrics, result)
    return Scored(metrics)


def _at_found_rate(run: Prepared, reporter: Reporter) -> Prepared:
    """With the learning rate that suits the training windows of `fit_validated`."""
    ends = training_ends(run.known.lengths, run.config.windows.horizon)
    search = find_rate(run.known, run.config, device=run.device, ends=ends)
    reporter.note(
        f"learning rate {search.suggestion:g} found in {len(search.rates)} steps, a tenth of where "
        f"the loss was lowest, {min(search.losses):.4g}"
    )
    training = replace(run.config.training, learning_rate=search.suggestion)
    return replace(run, config=replace(run.config, training=training))
