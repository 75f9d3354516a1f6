"""`rnnforecast update`: a trained model goes on learning from newer data, if that does it good.

A candidate starts from the stored weights, is fitted to what lies before the newest horizon, and
replaces them where it forecasts that horizon no worse.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnforecast.artifact import MODEL_FILE, load_artifact
from rnnforecast.control import RunControl
from rnnforecast.data.reading import Table
from rnnforecast.data.source import open_source
from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.gates import Gate
from rnnforecast.runtime import select_device
from rnnforecast.workflows.checkpoints import Checkpoints, drop_checkpoint, run_checkpoints
from rnnforecast.workflows.continuing import (
    Case,
    as_it_was,
    can_forecast,
    corrected_factors,
    drifted,
    finish,
    go_on,
    outdated,
    with_news,
)
from rnnforecast.workflows.covariates import NO_SIDES, SideTables, with_sides
from rnnforecast.workflows.facts import record_data, record_fit, record_metrics
from rnnforecast.workflows.fitting import fit_validated
from rnnforecast.workflows.forecast import read_as_trained
from rnnforecast.workflows.identity import identity_of
from rnnforecast.workflows.inputs import warn_of_ignored
from rnnforecast.workflows.keeping import first_share, known_factors, records, score, write_run
from rnnforecast.workflows.locking import LOCK, locked_directory
from rnnforecast.workflows.news import (
    News,
    Stored,
    errors_of,
    find_news,
    read_record,
    tell_of_news,
)
from rnnforecast.workflows.preparing import prepare
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import Scored, failed_gate, parse_gates, tell_of_losses


@dataclass(frozen=True, kw_only=True)
class UpdateRequest:
    """What `rnnforecast update` was asked.

    Attributes:
        directory: Where the model is.
        path: The file, "-" for standard input; or several, as one table.
        sides: Files beside it, with covariates.
        allow_loss: Whether series may be gone, end earlier than they did, or hold less than half of
            what the model keeps of them.
        guard: Whether the weights that were there stay where the newer ones forecast worse.
        retrain_after: Updates after which the next one trains from scratch; None: never.
        drift: How many times the error of when it was trained from scratch the model may make on
            the newest values before it is trained from scratch again.
        fail_if: Conditions such as mase>1 under which nothing is written.
        device: "auto", "cpu", "cuda" or "mps".
        control: How the run deals with others, with its end and with what ended before it.
    """

    directory: Path
    path: str | Sequence[str]
    sides: SideTables = NO_SIDES
    allow_loss: bool = False
    guard: bool = True
    retrain_after: int | None = None
    drift: float = 2.0
    fail_if: tuple[str, ...] = ()
    device: str = "auto"
    control: RunControl = RunControl()

    def __post_init__(self) -> None:
        if self.retrain_after is not None and self.retrain_after < 1:
            raise ConfigError(f"retrain_after must be at least 1, got {self.retrain_after}")
        if not self.drift > 0:
            raise ConfigError(f"drift must be positive, got {self.drift}")


def update(request: UpdateRequest, reporter: Reporter) -> Scored:
    """Let a model go on learning, write its directory, and return the metrics table.

    In the table, the row that has the name of the model is that of the one which is kept. Where
    nothing is new, or the kept model fails a gate, the directory stays as it is. The time limit
    begins once the directory's lock is held.

    Raises:
        ArtifactError: There is no model in the directory that could be updated.
        DataError: The data cannot be read as those of training were, or not be used.
    """
    device = select_device(request.device)
    if not any((request.directory / name).is_file() for name in (MODEL_FILE, LOCK)):
        # Which says so before a directory is made; a first training would hold a lock there.
        load_artifact(request.directory, device)
    with locked_directory(request.directory, request.control.if_locked, reporter) as held:
        if not held:
            return Scored(pd.DataFrame(columns=["model"]))
        return _update_held(request, device, reporter)


def _update_held(request: UpdateRequest, device: torch.device, reporter: Reporter) -> Scored:
    """The same where the directory is held."""
    began, directory = time.monotonic(), request.directory
    artifact = load_artifact(directory, device)
    stored = read_record(artifact)
    name, settings = stored.forecaster.name, stored.settings
    gates = parse_gates(request.fail_if, settings.levels, owa=settings.season is not None)
    encoding = artifact.forecaster.config.data.encoding
    table = read_as_trained(open_source(request.path, encoding), artifact)
    table = with_sides(table, request.sides, reporter, artifact.forecaster.config.encodings)
    warn_of_ignored(table, reporter)
    record_data(table, reporter)
    news = find_news(stored, table)
    tell_of_news(news, table, reporter, allow_loss=request.allow_loss)
    # What a guard has refused may still be asked for.
    if not news.anything and (request.guard or not stored.refused):
        reporter.note(f"{table.name} has nothing new: {directory} stays as it was")
        record_metrics(stored.metrics, reporter)
        if request.control.resume:  # what was to be resumed had just been written
            drop_checkpoint(directory, "update")
        return Scored(stored.metrics, failed_gate(stored.metrics, [name], gates))
    case = _open_case(request, stored, news, table, device, reporter)
    identity = identity_of(
        "update",
        table.sha256,
        case.run.config,
        device,
        start={
            "from_scratch": case.from_scratch,
            "sha256 of the model": sha256((directory / MODEL_FILE).read_bytes()).hexdigest(),
        },
    )
    spent = time.monotonic() - began
    with run_checkpoints(directory, identity, request.control, reporter, spent=spent) as kept:
        return _decide(request, case, gates, kept, reporter)


def _open_case(
    request: UpdateRequest,
    stored: Stored,
    news: News,
    table: Table,
    device: torch.device,
    reporter: Reporter,
) -> Case:
    """Settle whether to start from the stored weights, and by which configuration."""
    stored = with_news(stored, table)
    reason = outdated(stored, table, request.retrain_after)
    if reason is None:
        kept = stored.forecaster.config
        run = prepare(table, stored.settings, device, reporter, kept=kept)
        case = Case(stored=stored, news=news, run=run, from_scratch=False)
        reason = drifted(request.drift, case)
        if reason is None:
            return case
    reporter.note(f"training from scratch: {reason}")
    run = prepare(table, stored.settings, device, reporter)
    return Case(stored=stored, news=news, run=run, from_scratch=True)


def _decide(
    request: UpdateRequest,
    case: Case,
    gates: Sequence[Gate],
    checkpoints: Checkpoints,
    reporter: Reporter,
) -> Scored:
    """Fit a candidate, hold it against the stored model, and keep one of the two."""
    run, stored, news = case.run, case.stored, case.news
    name, before = stored.forecaster.name, case.before
    known = corrected_factors(before, run.known, news.seen)
    watching = checkpoints.watching(first_share(run, initial=not case.from_scratch))
    if case.from_scratch:
        candidate, result = fit_validated(
            run.known, run.config, run.device, reporter, watching=watching
        )
    else:
        candidate, result = go_on(case, reporter, watching)
    record_fit(result, reporter)
    own = known_factors(candidate, run) if case.from_scratch else known
    candidate, factors = replace(candidate, factors=own), {name: own, before.name: known}
    metrics = score([candidate, before], run, reporter, factors=factors).by_model()
    _tell_of_seen(case, reporter)
    accepted = _accepted(request.guard, metrics, case, reporter)
    if not accepted:
        metrics = _relabelled(metrics, {name: f"{name}-refused", before.name: name})
        record_metrics(metrics, reporter)
    tell_of_losses(metrics, [name], reporter)
    if failure := failed_gate(metrics, [name], gates):
        return Scored(metrics, f"{failure}; {request.directory} stays as it was")
    if accepted:
        kept, scored = finish(candidate, result, case, checkpoints, reporter), candidate
    else:
        kept, scored = as_it_was(case)
    from_scratch = accepted and case.from_scratch
    write_run(
        request.directory,
        kept,
        scored,
        run,
        metrics,
        result,
        reporter,
        seen=run.known.lengths if accepted else news.seen,
        updates=0 if case.from_scratch else stored.updates + 1,
        refused=not accepted,
        trained=errors_of(name, records(metrics)) if from_scratch else stored.trained,
    )
    return Scored(metrics)


def _tell_of_seen(case: Case, reporter: Reporter) -> None:
    """Say so where the scored network was fitted to values that it is scored on now.

    That befalls series that were too short, or ended later, when it was scored.
    """
    origins, horizon = case.run.origins, case.run.config.windows.horizon
    seen = np.clip(case.news.seen[origins.series] - origins.last, 0, horizon)
    if seen.any():
        name = case.stored.forecaster.name
        reporter.warning(
            f"{name} had been fitted to {seen.sum()} of the {horizon * len(seen)} values that it "
            "is scored on: this favours it as it was, and flatters what goes on from it"
        )


def _accepted(guard: bool, metrics: pd.DataFrame, case: Case, reporter: Reporter) -> bool:
    """Whether the candidate is to replace the stored model; say so, and why."""
    name, before = case.stored.forecaster.name, case.before.name
    rows = metrics.set_index("model")
    measure = "mae" if rows["mase"][[name, before]].isna().any() else "mase"
    new, old = float(rows[measure][name]), float(rows[measure][before])
    if new <= old:
        reporter.note(f"{name} is updated: its {measure} is {new:.4g}, and was {old:.4g}")
        return True
    if case.stored.scored is None:
        reporter.note(f"{name} is replaced: as it was, it has seen what it would be held against")
        return True
    if not can_forecast(case):
        reporter.warning(
            f"{name} is replaced, though its {measure} is {new:.4g}, and was {old:.4g}: as it was, "
            "it cannot read the newest values"
        )
        return True
    if not guard:
        reporter.warning(f"{name} is updated, though its {measure} is {new:.4g}, and was {old:.4g}")
        return True
    reporter.note(
        f"{name} keeps its weights, as its {measure} would be {new:.4g} in place of {old:.4g}; "
        "pass --no-guard to replace them all the same"
    )
    return False


def _relabelled(metrics: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The table with other names of its first two models, which change places."""
    others = range(2, len(metrics))
    swapped = metrics.iloc[[1, 0, *others]].reset_index(drop=True)
    return swapped.assign(model=swapped["model"].replace(names))
