"""Standard output holds what was asked for and nothing else, whatever is told beside it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from rnnforecast.cli.app import app
from rnnforecast.cli.render import FORMATS
from tests.cli.command import SAMPLES, TINY, run_here, terminal
from tests.cli.test_logs import events

PASSENGERS = SAMPLES / "passengers.csv"
FIT = ["--horizon", "3", *TINY]
TRAIN = ["train", "older.csv", *FIT, "--out"]
METRICS = ["model", "n", "windows", "mae", "rmse", "bias"]
FORECASTS = ["unique_id", "month", "gru", "gru-lo-80", "gru-hi-80", "gru-lo-95", "gru-hi-95"]


@dataclass(frozen=True)
class Case:
    """A command line, the first columns of what it prints, and how many rows that has."""

    arguments: list[str]
    columns: list[str]
    rows: int | None = None

    @property
    def command(self) -> str:
        return self.arguments[0]


# What the tests below are about, as their names end.
TOLD = ("a_bar_is_drawn", "every_event_is_told_as_json", "every_event_is_told_in_text")
# What draws a bar: the others are done before one would show anything.
BARS = ("train", "update", "backtest", "selftest")

CASES = [
    Case([*TRAIN, "new"], METRICS, 7),
    Case([*TRAIN, "new", "--dry-run"], ["property", "value"]),
    Case(["update", "model", "newer.csv"], METRICS, 8),
    Case(["forecast", "model", "newer.csv"], FORECASTS, 3),
    Case(["forecast", "model", "-"], FORECASTS, 3),
    Case(["backtest", "newer.csv", *FIT, "--windows", "2"], METRICS, 7),
    Case(["backtest", "-", *FIT, "--windows", "2", "--output", "all.csv"], METRICS, 7),
    Case(["evaluate", "forecasts.csv", "newer.csv"], METRICS, 7),
    Case(["diagnose", "model", "newer.csv"], ["part", "measure", "value", "verdict", "advice"]),
    Case(["diagnose", "model", "--by", "lag"], ["part", "lag", "gradient", "share"]),
    Case(["show", "model"], ["property", "value"]),
    Case(["verify", "model"], ["check", "result", "detail"]),
    Case(["models"], ["model", "summary", "reference"]),
    Case(["metrics"], ["metric", "summary", "undefined", "reference"]),
    Case(["selftest", "--models", "linear"], ["model", "verdict", "first"], 8),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with data, a model of the older part of them, and its forecasts."""
    directory = tmp_path_factory.mktemp("whole")
    lines = PASSENGERS.read_text().splitlines()
    (directory / "older.csv").write_text("\n".join(lines[:101]))
    (directory / "newer.csv").write_text("\n".join(lines[:121]))
    run = run_here(directory, *TRAIN, "model")
    assert run.code == 0
    shutil.copy(directory / "model" / "forecasts.csv", directory / "forecasts.csv")
    return directory


@pytest.fixture
def place(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that directory for one run, with the newer data as standard input."""
    shutil.copytree(whole, tmp_path / "run")
    content = io.BytesIO((whole / "newer.csv").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("TERM", "xterm")
    return tmp_path / "run"


def logs(command: str) -> bool:
    """Whether a command of the program tells of a run, and so has options of how."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "verbose" in {parameter.name for parameter in commands[command].params}


def rows_of(text: str, form: str) -> tuple[list[str], list[list[Any]]]:
    """The header and the rows of a table in one of the formats; fails where there is more."""
    if form == "csv":
        header, *rows = csv.reader(StringIO(text), strict=True)
        assert pd.read_csv(StringIO(text)).shape == (len(rows), len(header))
        assert text.endswith("\n") and all(len(row) == len(header) for row in rows)
        return header, rows
    if form == "json":
        records = json.loads(text, parse_constant=pytest.fail)
        assert all(record.keys() == records[0].keys() for record in records)
        return [*records[0]], [[*record.values()] for record in records]
    blank, first, rule, *lines, last = text.split("\n")
    assert (blank.strip(), set(rule.strip()), last) == ("", {"─"}, "")
    assert all(len(line) == len(rule) for line in (first, *lines) if line.strip())
    return first.split(), [[line.split()[0]] for line in lines if line.strip()]


def check_table(text: str, form: str, case: Case) -> None:
    """Standard output is the table of the case, in its format, and nothing else."""
    header, rows = rows_of(text, form)
    if form == "table":
        assert header[0] == case.columns[0] and set(header) <= set(case.columns) | all_metrics()
    else:
        assert header[: len(case.columns)] == case.columns
    assert rows and (case.rows is None or len(rows) == case.rows)


def all_metrics() -> set[str]:
    """The names of all that a table of metrics may hold."""
    from rnnforecast.evaluation.metrics import COMPARISONS, metrics_for

    return {row.name for row in (*metrics_for((0.025, 0.1, 0.5, 0.9, 0.975)), *COMPARISONS)}


def test_every_command_of_the_program_is_run_here() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    # What check prints is more than one table; see test_check.py.
    assert names - {"check"} == {case.command for case in CASES}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With a bar, every command and format; with lines, and of the selftest, --full has the rest.

    What is left out is a format of a command that has its turn with something else told, and of
    the selftest, which is slow, whatever it is told with but a bar.
    """
    if "form" not in metafunc.fixturenames or "case" not in metafunc.fixturenames:
        return
    shift = TOLD.index(metafunc.function.__name__.rpartition("_when_")[2])
    pairs = [
        (case, form)
        for at, case in enumerate(CASES)
        for form in FORMATS
        if metafunc.config.getoption("--full")
        or (form == FORMATS[(at + shift) % 3] and (shift == 0 or case.command != "selftest"))
        or (shift == 0 and case.command != "selftest")
    ]
    ids = [" ".join([*case.arguments[:3], *case.arguments[-1:], form]) for case, form in pairs]
    metafunc.parametrize(("case", "form"), pairs, ids=ids)


@pytest.mark.slow
def test_command_prints_its_table_alone_when_a_bar_is_drawn(
    case: Case, form: str, place: Path
) -> None:
    with terminal() as (stream, screen):
        run = run_here(place, *case.arguments, "--format", form, stderr=stream)
    assert run.code == 0
    check_table(run.stdout, form, case)
    assert ("\x1b[" in screen.text) == (case.command in BARS and "--dry-run" not in case.arguments)


@pytest.mark.slow
def test_command_prints_its_table_alone_when_every_event_is_told_as_json(
    case: Case, form: str, place: Path
) -> None:
    options = ["--json-logs", "--verbose"] if logs(case.command) else []
    with terminal() as (stream, screen):
        run = run_here(place, *case.arguments, *options, "--format", form, stderr=stream)
    assert run.code == 0
    check_table(run.stdout, form, case)
    told = [event["event"] for event in events(screen.text)]
    assert (told[:1], told[-1:]) == ((["start"], ["end"]) if options else ([], []))
    fits = case.command in ("train", "update", "backtest") and "--dry-run" not in case.arguments
    assert ("epoch" in told) == fits


@pytest.mark.slow
def test_command_prints_its_table_alone_when_every_event_is_told_in_text(
    case: Case, form: str, place: Path
) -> None:
    options = ["--verbose"] if logs(case.command) else []
    run = run_here(place, *case.arguments, *options, "--format", form)
    assert run.code == 0
    check_table(run.stdout, form, case)
    assert bool(run.stderr) == bool(options)


@pytest.mark.parametrize(
    ("arguments", "output", "columns", "rows"),
    [
        (["forecast", "model", "newer.csv", "--output", "out.csv"], "out.csv", FORECASTS, 3),
        (["forecast", "model", "-", "--output", "out.csv"], "out.csv", FORECASTS, 3),
        (
            ["diagnose", "attentive", "--attention", "out.csv"],
            "out.csv",
            ["unique_id", "query", "lag", "weight"],
            None,
        ),
        (
            ["backtest", "newer.csv", *FIT, "--windows", "2", "--output", "out.csv"],
            "out.csv",
            [*FORECASTS[:2], "cutoff", "y", *FORECASTS[2:]],
            6,
        ),
    ],
)
def test_command_writes_a_table_alone_to_its_output(
    arguments: list[str], output: str, columns: list[str], rows: int | None, place: Path
) -> None:
    if arguments[0] == "diagnose":
        trained = run_here(place, *TRAIN, "attentive", "--model", "attention-gru", "-q")
        assert trained.code == 0
    run = run_here(place, *arguments, "--verbose")
    assert run.code == 0
    assert (run.stdout == "") == (arguments[0] == "forecast")
    case = Case(arguments, columns, rows)
    check_table((place / output).read_text(), "csv", case)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_train_writes_toml_alone_when_its_configuration_is_asked(form: str, place: Path) -> None:
    options = ["--write-config", "--verbose", "--json-logs", "--format", form]
    with terminal() as (stream, screen):
        run = run_here(place, *TRAIN, "new", *options, stderr=stream)
    assert run.code == 0 and events(screen.text)
    assert tomllib.loads(run.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_program_tells_nothing_on_standard_error_when_it_only_explains(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNFORECAST_JSON_LOGS", "1")
    run = run_here(tmp_path, *arguments)
    assert run.code == 0 and run.stdout and run.stderr == ""


def test_process_prints_csv_alone_when_its_standard_error_is_a_terminal(place: Path) -> None:
    command = [sys.executable, "-m", "rnnforecast", *TRAIN, "new"]
    with terminal() as (stream, screen):
        run = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, stderr=stream, text=True)
    assert run.returncode == 0
    check_table(run.stdout, "csv", CASES[0])
    assert "\x1b[" in screen.text and "training gru" in screen.text
