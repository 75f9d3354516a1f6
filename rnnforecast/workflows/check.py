"""`rnnforecast check`: what is in a file, what is wrong or doubtful, and how to train on it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.data.column_doubts import find_column_doubts
from rnnforecast.data.description import Fact, describe_rows, describe_series, describe_text
from rnnforecast.data.doubts import Series, find_doubts
from rnnforecast.data.encoding import fit_encodings
from rnnforecast.data.examining import Examined, examine, examine_anew, located
from rnnforecast.data.faults import Finding, Findings, finding_of
from rnnforecast.data.panel import Panel
from rnnforecast.data.profiling import Profile
from rnnforecast.data.reading import Table
from rnnforecast.data.time_units import DAY, WEEK
from rnnforecast.errors import ConfigError, DataError
from rnnforecast.workflows.covariates import (
    NO_SIDES,
    SideTables,
    fit_encodings_to,
    tell_of_unknown,
    with_sides,
)
from rnnforecast.workflows.newest import can_be_asked
from rnnforecast.workflows.preparing import Prepared, prepare
from rnnforecast.workflows.reporting import Mute, Reporter

MODEL = "gru"
# The flag of each setting of DataConfig.
FLAGS = {
    "id_column": "--id-col",
    "time_column": "--time-col",
    "target_columns": "--target-col",
    "static_columns": "--static",
    "past_columns": "--past",
    "future_columns": "--future",
    "categorical_columns": "--categorical",
    "separator": "--sep",
    "aggregate": "--agg",
}
LONGEST_HORIZON = 96


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What `rnnforecast check` was asked.

    Attributes:
        paths: The files, "-" for standard input.
        data: Columns and dialect, as far as they were named.
        sides: Files beside these, with covariates.
        horizon: Steps to forecast; None chooses.
    """

    paths: tuple[str, ...]
    data: DataConfig
    sides: SideTables = NO_SIDES
    horizon: int | None = None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found.

    Attributes:
        facts: What is in the file, by name.
        findings: Errors, then doubts.
        suggestion: The command that trains on it; None where the file must be corrected first.
    """

    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    suggestion: str | None

    @property
    def errors(self) -> list[Finding]:
        """Those that keep the file from being trained on as it is."""
        return [finding for finding in self.findings if finding.severity == "error"]


def check(request: CheckRequest, reporter: Reporter) -> Checked:
    """Read a table as far as can be, and tell of it.

    Raises:
        ConfigError: A setting cannot be used.
    """
    examined = examine(request.paths, request.data)
    findings, table, rows = examined.findings, examined.table, examined.rows
    facts: list[Fact] = [("files", " ".join(request.paths))]
    suggestion = None
    if rows is not None:
        facts += describe_rows(rows)
    elif examined.parts:
        facts += describe_text(examined.parts)
    if table is not None and rows is not None:
        profile = Profile(table.panel)
        facts += describe_series(table, profile)
        suggestion = _suggestion(request, examined, table)
        doubts = [*find_column_doubts(table, rows), *find_doubts(Series(table, rows, profile))]
        separator = rows.cells.separator
        for doubt in located(doubts, examined.parts, separator, table.name, "doubt"):
            findings.add(doubt)
        zone = next((doubt.zone for doubt in doubts if doubt.zone), None)
        if examined.usable and zone is not None:
            suggestion = _in_zone(request, examined, zone) or suggestion
    checked = Checked(facts=tuple(facts), findings=tuple(findings.listed()), suggestion=suggestion)
    reporter.record(
        facts=dict(facts), errors=len(checked.errors), findings=[*map(str, checked.findings)]
    )
    return checked


def _suggestion(request: CheckRequest, examined: Examined, table: Table) -> str | None:
    """The command that trains on the series, if any; what keeps that from running is noted."""
    whole = _with_sides(table, request.sides, examined.findings)
    if whole is None:
        return None
    horizon, run = _horizon(whole, request.horizon)
    if isinstance(run, Finding):
        examined.findings.add(run)
        return None
    for doubt in _covariate_doubts(whole, run, request.sides):
        examined.findings.add(doubt)
    unseen = run.unseen_season
    season = unseen if unseen is not None and can_be_asked(unseen, run.known) else None
    return _command(request, examined, horizon, season) if examined.usable else None


class _Warnings(Mute):
    """Keeps what a run would warn of."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warning(self, message: str) -> None:
        self.told.append(message)


def _with_sides(table: Table, sides: SideTables, findings: Findings) -> Table | None:
    """The table with what stands beside it; None, and why, where that is not all that is asked."""
    whole = True
    for path, side in (
        (sides.static, SideTables(static=sides.static)),
        (sides.future, SideTables(future=sides.future)),
    ):
        warnings = _Warnings()
        try:
            table = with_sides(table, side, warnings)
        except DataError as error:
            findings.add(finding_of(error, str(path)))
            whole = False
        for told in warnings.told:
            findings.add(_doubt(told, str(path)))
    if not whole:
        return None
    for absent in _absent(table):
        findings.add(absent)
        whole = False
    return table if whole else None


def _doubt(told: str, file: str) -> Finding:
    """What a run would warn of."""
    return replace(finding_of(DataError(told), file), severity="doubt")


def _covariate_doubts(table: Table, run: Prepared, sides: SideTables) -> Iterator[Finding]:
    """What training cannot use of the covariates, or lacks."""
    warnings = _Warnings()
    fit_encodings_to(table, run.known, warnings)
    tell_of_unknown(run.panel, run.config, warnings)
    for told in warnings.told:
        files = (sides.static, sides.future, table.name)
        named = (name for name in files if name is not None and told.startswith(f"{name}:"))
        yield _doubt(told, next(named, table.name))


def _absent(table: Table) -> Iterator[Finding]:
    """Why each covariate that no table has cannot be read."""
    config, known = table.config, table.covariates
    for name in config.covariates:
        if known is not None and name in known.by_name:
            continue
        alone = replace(
            config,
            static_columns=tuple(each for each in config.static_columns if each == name),
            past_columns=tuple(each for each in config.past_columns if each == name),
            future_columns=tuple(each for each in config.future_columns if each == name),
            categorical_columns=(),
        )
        try:
            fit_encodings(known, table.panel, alone)
        except DataError as error:
            yield replace(finding_of(error, table.name), column=name)


def _in_zone(request: CheckRequest, examined: Examined, zone: str) -> str | None:
    """The command with the zone that settles a doubt, where that trains."""
    data = replace(request.data, **examined.settled, time_zone=zone)
    again = examine_anew(examined, data)
    if again.table is None:
        return None
    return _suggestion(replace(request, data=data), again, again.table)


def _horizon(table: Table, asked: int | None) -> tuple[int, Prepared | Finding]:
    """The horizon that training can run with, and what keeps it from that."""
    horizon = asked or _usual_horizon(table.panel)
    while True:
        settings = Settings(horizon=horizon, model=MODEL)
        try:
            return horizon, prepare(table, settings, torch.device("cpu"), Mute())
        except (ConfigError, DataError) as error:
            if asked is not None or horizon == 1:
                return horizon, finding_of(DataError(str(error)), table.name)
        horizon = max(1, horizon // 2)


def _usual_horizon(panel: Panel) -> int:
    """What is mostly asked of such a frequency, or a fifth of the longest series."""
    frequency = panel.frequency
    count = frequency.count
    if frequency.unit == "month":
        usual = max(1, 12 // count)
    elif frequency.unit == "microsecond" and count < DAY:
        usual = min(DAY // count, LONGEST_HORIZON)
    elif frequency.unit == "microsecond" and count >= WEEK:
        usual = 8
    else:
        usual = 14
    return max(1, min(usual, int(panel.lengths.max()) // 5))


def _command(request: CheckRequest, examined: Examined, horizon: int, season: int | None) -> str:
    """How to train on the file, for a shell, by a season that what is scored would not have."""
    data, sides = replace(request.data, **examined.settled), request.sides
    words = ["rnnforecast", "train", *request.paths, "--horizon", str(horizon), *_flags(data)]
    words += [] if season is None else ["--season", str(season)]
    for flag, path in (("--future-data", sides.future), ("--static-data", sides.static)):
        words += [] if path is None else [flag, path]
    return shlex.join(words)


def _flags(data: DataConfig) -> list[str]:
    """The settings that are not the default, as flags."""
    flags: list[str] = []
    for field in fields(DataConfig):
        value: Any = getattr(data, field.name)
        if value == field.default:
            continue
        flag = FLAGS.get(field.name, f"--{field.name.replace('_', '-')}")
        if value is True:
            flags.append(flag)
        else:
            for each in value if isinstance(value, tuple) else (value,):
                flags += [flag, str(each)]
    return flags
