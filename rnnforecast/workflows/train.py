"""`rnnforecast train`: fit, score on what was held out, fit again on everything, forecast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from rnnforecast.backtest import training_ends
from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.control import RunControl
from rnnforecast.estimation.fitting import find_rate
from rnnforecast.evaluation.gates import Gate
from rnnforecast.runtime import select_device
from rnnforecast.workflows.checkpoints import Checkpoints, run_checkpoints
from rnnforecast.workflows.covariates import NO_SIDES, SideTables
from rnnforecast.workflows.facts import record_fit
from rnnforecast.workflows.fitting import fit_validated, matching
from rnnforecast.workflows.identity import identity_of
from rnnforecast.workflows.keeping import (
    first_share,
    fit_to_all,
    known_factors,
    score,
    unseen_factors,
    write_run,
)
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.preparing import Prepared, read_and_prepare
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import (
    Scored,
    failed_gate,
    parse_gates,
    tell_of_losses,
    tell_the_best,
)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What `rnnforecast train` was asked.

    Attributes:
        path: The file, "-" for standard input; or several, as one table.
        directory: Where the model and its tables go.
        data: Columns and dialect, as far as they were named.
        settings: The rest.
        sides: Files beside it, with covariates.
        find_lr: Whether a range test finds the learning rate, in place of that of the settings.
        fail_if: Conditions such as mase>1 under which no model is written.
        device: "auto", "cpu", "cuda" or "mps".
        control: How the run deals with others, with its end and with what ended before it.
    """

    path: str | Sequence[str]
    directory: Path
    data: DataConfig
    settings: Settings
    sides: SideTables = NO_SIDES
    find_lr: bool = False
    fail_if: tuple[str, ...] = ()
    device: str = "auto"
    control: RunControl = RunControl()


def resolve_request(request: TrainRequest, reporter: Reporter) -> Prepared:
    """The series of a request, and every setting settled by them.

    Raises:
        ConfigError: A setting cannot be used with these series.
        DataError: They cannot be read, or not be used.
    """
    device = select_device(request.device)
    return read_and_prepare(
        request.path, request.data, request.settings, device, reporter, request.sides
    )


def train(request: TrainRequest, reporter: Reporter) -> Scored:
    """Train a model, write its directory, and return the metrics table.

    The scored model has not seen the newest horizon of the series that are long enough; the model
    that is kept was fitted to everything as well, see `refit`.
    Where the scored model fails a gate, the directory stays as it is. The time limit begins with
    the reading of the data, and leaves out the wait for the directory's lock.
    """
    began = time.monotonic()
    levels, season = request.settings.levels, request.settings.season
    gates = parse_gates(request.fail_if, levels, owa=season is not None)
    run = resolve_request(request, reporter)
    identity = identity_of(
        "train", run.table.sha256, run.config, run.device, find_lr=request.find_lr
    )
    spent, directory = time.monotonic() - began, request.directory
    with locked_directory(directory, request.control.if_locked, reporter) as held:
        if not held:
            return Scored(pd.DataFrame(columns=["model"]))
        with run_checkpoints(
            directory, identity, request.control, reporter, spent=spent
        ) as checkpoints:
            if request.find_lr:
                run = _at_found_rate(run, checkpoints, reporter)
            return _fit_and_write(run, directory, gates, checkpoints, reporter)


def _fit_and_write(
    run: Prepared,
    directory: Path,
    gates: Sequence[Gate],
    checkpoints: Checkpoints,
    reporter: Reporter,
) -> Scored:
    """Fit, score, fit again if so wished, and write."""
    watching = checkpoints.watching(first_share(run))
    forecaster, result = fit_validated(
        run.known, run.config, run.device, reporter, watching=watching
    )
    record_fit(result, reporter)
    known = known_factors(forecaster, run)
    scored = replace(forecaster, factors=known)
    board = score([scored], run, reporter, factors={scored.name: known})
    metrics = board.by_model()
    tell_of_losses(metrics, [forecaster.name], reporter)
    tell_the_best(board, reporter, expected=[forecaster.name])
    if failure := failed_gate(metrics, [forecaster.name], gates):
        return Scored(metrics, f"{failure}; {directory} stays as it was")
    factors = unseen_factors(forecaster, run)
    if run.settings.refit:
        forecaster = fit_to_all(forecaster, run, result, checkpoints, reporter)
    factors = factors * matching(scored, forecaster, run.panel)
    forecaster = replace(forecaster, factors=factors)
    seen = run.known.lengths
    write_run(directory, forecaster, scored, run, metrics, result, reporter, seen=seen)
    return Scored(metrics)


def _at_found_rate(run: Prepared, checkpoints: Checkpoints, reporter: Reporter) -> Prepared:
    """With the learning rate that suits the training windows of `fit_validated`."""
    if checkpoints.learning_rate is None:
        ends = training_ends(run.known.lengths, run.config.windows.horizon)
        search = find_rate(run.known, run.config, device=run.device, ends=ends)
        reporter.note(
            f"learning rate {search.suggestion:g} found in {len(search.rates)} steps, a tenth of "
            f"where the loss was lowest, {min(search.losses):.4g}"
        )
        checkpoints.learning_rate = search.suggestion
    rate = checkpoints.learning_rate
    training = replace(run.config.training, learning_rate=rate)
    return replace(
        run,
        config=replace(run.config, training=training),
        settings=replace(run.settings, learning_rate=rate),
    )
