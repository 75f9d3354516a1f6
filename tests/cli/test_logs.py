"""Events on standard error as JSON, whatever the run comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rnnforecast.cli.events import choose_form, finite, tell
from rnnforecast.cli.foresight import json_is_asked
from rnnforecast.cli.log_options import LogOptions
from tests.cli.command import SAMPLES, TINY, Run, run_here

PASSENGERS = SAMPLES / "passengers.csv"
TRAIN = ["train", PASSENGERS, "--horizon", "3", *TINY, "--out", "m"]
LEVELS = {"warning": "warning", "error": "error", "interrupted": "error"}


def events(text: str) -> list[dict[str, Any]]:
    """Every line, which is an event with a time, a level and a message."""
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        assert datetime.fromisoformat(event["time"]).utcoffset() == timedelta(0)
        assert event["level"] == LEVELS.get(event["event"], "info")
        assert event["message"] and "\n" not in event["message"]
    return found


def kinds(run: Run) -> list[str]:
    return [event["event"] for event in events(run.stderr)]


def test_train_tells_every_epoch_and_both_ends_when_verbose_in_json(tmp_path: Path) -> None:
    run = run_here(tmp_path, *TRAIN, "--json-logs", "--verbose")
    told = events(run.stderr)
    assert run.code == 0
    assert kinds(run)[:2] == ["start", "note"] and kinds(run)[-1] == "end"
    tasks = [event["task"] for event in told if event["event"] == "epoch"]
    assert tasks == ["training gru", "refitting gru on all data"]
    assert told[0]["arguments"] == [*map(str, TRAIN), "--json-logs", "--verbose"]
    assert told[-1]["exit_code"] == 0 and told[-1]["seconds"] > 0


def test_train_tells_both_ends_in_text_when_verbose(tmp_path: Path) -> None:
    lines = run_here(tmp_path, *TRAIN, "-v").stderr.splitlines()
    assert lines[0].endswith("--out m -v") and lines[-1].startswith("done in ")
    assert sum(line.startswith("training gru: epoch ") for line in lines) == 1


def test_train_tells_nothing_but_warnings_and_errors_when_quiet_in_json(tmp_path: Path) -> None:
    lines = PASSENGERS.read_text().splitlines()
    rows = [f"{line},{'note' if at == 0 else 'x'}" for at, line in enumerate(lines)]
    (tmp_path / "data.csv").write_text("\n".join(rows))
    options = [*TRAIN[2:], "--json-logs", "--quiet", "--fail-if", "mae>0"]
    run = run_here(tmp_path, "train", "data.csv", *options)
    assert run.code == 6
    assert kinds(run) == ["warning", "error"]
    assert events(run.stderr)[-1]["exit_code"] == 6


def test_quiet_is_refused_when_verbose_is_asked_too(tmp_path: Path) -> None:
    run = run_here(tmp_path, *TRAIN, "-q", "-v")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "error: --quiet and --verbose exclude each other; drop one of them\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["forecast", "absent"], 4),
        (["forecast", "absent", "--no-such-option"], 2),
        (["forecast"], 2),
        (["backtest", PASSENGERS, "--horizon", "3", "--windows", "0"], 2),
        (["bogus"], 2),
        (["train", "absent.csv", "--horizon", "3"], 3),
    ],
)
@pytest.mark.parametrize("source", ["flag", "variable", "file", "file by variable"])
def test_failure_is_one_json_line_when_json_is_asked(
    source: str,
    arguments: list[str | Path],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if source == "flag":
        arguments = [*arguments, "--json-logs"]
    elif source == "variable":
        monkeypatch.setenv("RNNFORECAST_JSON_LOGS", "true")
    else:
        (tmp_path / "options.toml").write_text("json-logs = true\n")
        if source == "file":
            arguments = [*arguments, "--config", "options.toml"]
        else:
            monkeypatch.setenv("RNNFORECAST_CONFIG", "options.toml")
    run = run_here(tmp_path, *arguments)
    assert (run.code, run.stdout) == (code, "")
    told = [event for event in events(run.stderr) if event["event"] != "start"]
    assert [event["event"] for event in told] == ["error"]
    assert told[0]["exit_code"] == code


def test_failure_is_plain_text_when_a_run_in_json_went_before(tmp_path: Path) -> None:
    run_here(tmp_path, "forecast", "absent", "--json-logs")
    assert run_here(tmp_path, "bogus").stderr.startswith("error: No such command")


@pytest.mark.parametrize(
    ("arguments", "variable", "text", "expected"),
    [
        (["train", "--json-logs"], None, "", True),
        (["train"], "1", "", True),
        (["train"], "ON", "", True),
        (["train"], "0", "json_logs = true", False),
        (["train", "--json-logs"], "0", "", True),
        (["train"], None, "seed = 1\n  json_logs=true # for the log", True),
        (["train"], None, "json_logs = false", False),
        (["train"], None, "# json_logs = true", False),
        (["train"], None, "\ufeffjson-logs = true", True),
        (["train"], None, "seed = 1", False),
        (["train"], None, "json_logs = 'yes'", True),
        (["train"], None, "[backtest]\njson_logs = true", False),
        (["--debug", "train"], None, "[backtest]\n[train]\njson-logs = true", True),
        (["train"], None, "json_logs = true\n[train]\njson-logs = false", False),
        (["train"], None, "json_logs = true\n[backtest]\njson_logs = false", True),
        (["train"], None, "train.json_logs = true", True),
        (["train"], None, "train = 1\n[backtest]\njson_logs = true", False),
        ([], None, "[backtest]\njson_logs = true", False),
    ],
)
def test_json_is_asked_by_the_flag_then_the_variable_then_the_file(
    arguments: list[str],
    variable: str | None,
    text: str,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "options.toml"
    path.write_text(text, encoding="utf-8")
    if variable is not None:
        monkeypatch.setenv("RNNFORECAST_JSON_LOGS", variable)
    assert json_is_asked([*arguments, "--config", str(path)]) is expected
    assert json_is_asked([*arguments, f"--config={path}"]) is expected


@pytest.mark.parametrize(
    "content",
    [None, b"\xff\xfe", b"json_logs = tr", b"a." * 30000, b"#" * 2**16 + b"\njson_logs = true"],
)
def test_json_is_not_asked_when_the_file_does_not_say_so(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "options.toml"
    if content is not None:
        path.write_bytes(content)
    assert not json_is_asked(["train", "--config", str(path)])
    assert not json_is_asked(["train", "--config", str(tmp_path)])
    assert not json_is_asked(["train", "--config"])
    assert not json_is_asked(["train", "--config", "a\0b"])


def test_failure_is_plain_text_when_the_file_asks_for_json_for_another_command(
    tmp_path: Path,
) -> None:
    (tmp_path / "options.toml").write_text("[backtest]\njson_logs = true\n")
    run = run_here(tmp_path, "train", "--nope", "--config", "options.toml")
    assert run.code == 2 and run.stderr.startswith("error: No such option")


def test_debug_puts_the_traceback_into_a_field_when_lines_are_json(tmp_path: Path) -> None:
    run = run_here(tmp_path, "forecast", "absent", "--json-logs", "--debug", "-q")
    (event,) = events(run.stderr)
    assert event["traceback"].startswith("Traceback (most recent call last):\n")
    assert event["traceback"].endswith(event["message"])


def test_interruption_is_a_json_line_when_json_is_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnforecast", *map(str, TRAIN), "--json-logs", "--quiet"]
    command += ["--epochs", "100000", "--patience", "100000", "--summary", "s.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "m" / ".lock").exists():
        time.sleep(0.02)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    last = events(err)[-1]
    assert (last["event"], last["message"], last["exit_code"]) == (
        "interrupted",
        "interrupted",
        143,
    )
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["exit_code"], summary["error"]) == (143, "interrupted")
    assert summary["model"] == "gru"


def test_warning_of_a_library_is_one_event_when_it_comes_in_a_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rnnforecast", "train"])
    with LogOptions(quiet=True).reporting() as reporter:
        warnings.simplefilter("always")
        warnings.warn("two\nlines", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: RuntimeWarning: two lines\n"
    assert len(reporter.warnings) == 1


def test_event_is_ascii_when_its_text_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    choose_form(True)
    try:
        tell("note", "Zürich \udcff", place=Path("é"))
    finally:
        choose_form(False)
    line = capsys.readouterr().err
    assert line.isascii()
    assert json.loads(line)["message"] == "Zürich \udcff"
    assert json.loads(line)["place"] == "é"


def test_finite_replaces_what_json_lacks_at_every_depth() -> None:
    nan, inf = float("nan"), float("inf")
    value = {"a": [nan, (inf, -inf, 1.5)], 2: {"b": nan}, "c": "nan", "d": True}
    assert finite(value) == {
        "a": [None, [None, None, 1.5]],
        "2": {"b": None},
        "c": "nan",
        "d": True,
    }


def test_program_ends_with_141_when_the_reader_of_its_events_has_gone(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rnnforecast", "forecast", "absent", "--json-logs"]
    run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert (run.returncode, run.stdout) == (141, b"")
