"""The summary of a run, however it ends."""

from __future__ import annotations

import json
import platform
import re
import signal
import subprocess
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rnnforecast import __version__
from rnnforecast.cli import summary
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.cli.summary import summarising
from rnnforecast.data import files
from rnnforecast.errors import OutputError
from rnnforecast.signals import Interrupted
from tests.cli.command import SAMPLES, TINY, run_here

PASSENGERS = SAMPLES / "passengers.csv"
TRAIN = ["train", PASSENGERS, "--horizon", "3", *TINY, "--out", "m", "--quiet"]
KEYS = {
    *("command", "arguments", "versions", "started", "ended", "seconds", "peak_memory_mib"),
    *("exit_code", "error", "warnings"),
}


def summary_of(directory: Path) -> dict[str, Any]:
    found = json.loads((directory / "s.json").read_text(), parse_constant=pytest.fail)
    assert isinstance(found, dict) and set(found) >= KEYS
    return found


def test_summary_tells_what_a_training_was_and_found(tmp_path: Path) -> None:
    # A network that reads one value knows no season, and is warned of.
    flags = ["--lookback", "1", "--seed", "3", "--summary", "s.json", "--format", "json"]
    run = run_here(tmp_path, *TRAIN, *flags)
    found = summary_of(tmp_path)
    assert (run.code, found["exit_code"], found["error"]) == (0, 0, None)
    (warning,) = found["warnings"]
    assert run.stderr == f"warning: {warning}\n"
    assert found["command"] == "train" and found["arguments"][1] == str(PASSENGERS)
    assert found["versions"]["rnnforecast"] == __version__
    assert found["versions"]["python"] == platform.python_version()
    assert set(found["versions"]) == {"rnnforecast", "python", "torch", "numpy", "pandas"}
    began, ended = (datetime.fromisoformat(found[key]) for key in ("started", "ended"))
    assert (ended - began).total_seconds() == pytest.approx(found["seconds"], abs=0.1)
    assert 50 < found["peak_memory_mib"] < 100_000
    assert found["data"] == {
        "name": str(PASSENGERS),
        "sha256": sha256(PASSENGERS.read_bytes()).hexdigest(),
        "series": 1,
        "values": 144,
        "unobserved": [],
    }
    assert (found["model"], found["seed"], found["device"]) == ("gru", 3, "cpu")
    assert found["settings"]["hidden_size"] == 4 and found["settings"]["clip_value"] is None
    assert (found["epochs"], found["best_epoch"], found["stop_reason"]) == (1, 1, "epochs")
    assert found["metrics"] == json.loads(run.stdout)


def test_summary_counts_the_windows_that_train_and_those_that_validate(tmp_path: Path) -> None:
    """Of 40 values 3 are scored; of the other 37, the newest 3 are validated, with one window.

    Every value of the other 34 that a season or, without one, a value precedes begins a window.
    """
    rows = [f"{step},{(7 * step * step) % 11 + 1}" for step in range(40)]
    (tmp_path / "data.csv").write_text("\n".join(["ds,y", *rows]))
    options = [*TRAIN[2:], "--lookback", "5", "--season", "4"]
    assert run_here(tmp_path, "train", "data.csv", *options, "--summary", "s.json").code == 0
    windows = {"training": 30, "validation": 1, "lookback": 5, "horizon": 3}
    assert summary_of(tmp_path)["windows"] == windows


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model, and with the first hundred values that it was trained on."""
    directory = tmp_path_factory.mktemp("run")
    assert run_here(directory, *TRAIN).code == 0
    lines = PASSENGERS.read_text().splitlines()[:101]
    (directory / "older.csv").write_text("\n".join(lines))
    forecasts = run_here(directory, "forecast", "m", "older.csv").stdout
    (directory / "forecasts.csv").write_text(forecasts)
    return directory


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["forecast", "m", "older.csv"],
            {"model": "gru", "windows": {"lookback": 72, "horizon": 3}, "series": 1, "values": 100},
        ),
        (
            ["diagnose", "m", "older.csv"],
            {"model": "gru", "windows": {"lookback": 72, "horizon": 3}, "series": 1, "values": 100},
        ),
        (
            ["evaluate", "forecasts.csv", PASSENGERS],
            {
                "forecasts": "forecasts.csv",
                "models": ["gru"],
                "windows": {"scored": 1, "horizon": 3},
                "series": 1,
                "values": 144,
            },
        ),
        (
            ["backtest", PASSENGERS, "--horizon", "3", "--windows", "2", "--models", "gru,rnn"]
            + TINY,
            {
                "models": ["gru", "rnn"],
                "seed": 0,
                "windows": {"scored": 2, "cutoffs": 2, "horizon": 3},
                "series": 1,
                "values": 144,
            },
        ),
    ],
)
def test_summary_tells_what_each_command_read(
    arguments: list[str | Path], expected: dict[str, Any], model: Path
) -> None:
    assert run_here(model, *arguments, "--quiet", "--summary", "s.json").code == 0
    found = summary_of(model)
    assert found["command"] == arguments[0]
    assert {**found, **found["data"]}.items() >= expected.items()
    if arguments[0] in ("evaluate", "backtest"):
        assert found["metrics"][0]["model"] == "gru" and found["metrics"][0]["mae"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ([*TRAIN, "--fail-if", "mae>0"], 6, "gru: mae is "),
        (["forecast", "absent"], 4, "absent/model.safetensors: no such model"),
        (["train", "absent.csv", "--horizon", "3"], 3, "absent.csv: No such file"),
        ([*TRAIN, "--format", "xml"], 2, "format must be one of"),
    ],
)
def test_summary_tells_the_error_when_the_run_fails(
    arguments: list[str | Path], code: int, error: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, *arguments, "--summary", "s.json")
    found = summary_of(tmp_path)
    assert (run.code, found["exit_code"]) == (code, code)
    assert found["error"].startswith(error)
    assert run.stderr.endswith(f"error: {found['error']}\n")
    assert ("metrics" in found) == (code == 6)


def test_summary_tells_of_a_lock_when_another_run_holds_it(tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "m").mkdir()
    with FileLock(tmp_path / "m" / ".lock"):
        assert run_here(tmp_path, *TRAIN, "--summary", "s.json").code == 75
    assert summary_of(tmp_path)["exit_code"] == 75


@pytest.mark.parametrize(
    ("raised", "code", "error"),
    [
        (Interrupted(signal.SIGINT), 130, "interrupted"),
        (Interrupted(signal.SIGTERM), 143, "interrupted"),
        (Interrupted(signal.SIGPIPE), 141, None),
        (MemoryError(), 1, "memory ran out; pass a smaller --batch-size"),
        (ZeroDivisionError("by 0"), 1, "internal error: ZeroDivisionError: by 0; --debug shows"),
    ],
)
def test_summary_tells_how_the_run_ended_when_it_did_not_expect_to(
    raised: BaseException,
    code: int,
    error: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["rnnforecast", "train"])
    with pytest.raises(type(raised)), summarising(tmp_path / "s.json", StderrReporter()):
        raise raised
    found = summary_of(tmp_path)
    assert found["exit_code"] == code
    assert found["error"] == error if error is None else found["error"].startswith(error)


def test_summary_tells_of_an_interruption_when_it_comes_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = files.write_files, 0

    def interrupted_after(contents: dict[Path, bytes]) -> None:
        nonlocal calls
        calls += 1
        write(contents)
        if calls == 1:
            raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("sys.argv", ["rnnforecast", "train"])
    monkeypatch.setattr(files, "write_files", interrupted_after)
    with pytest.raises(Interrupted), summarising(tmp_path / "s.json", StderrReporter()):
        pass
    assert (calls, summary_of(tmp_path)["exit_code"]) == (2, 143)


@pytest.mark.parametrize(
    ("arguments", "code", "errors"), [(["forecast", "m"], 1, 1), (["forecast", "absent"], 4, 2)]
)
def test_program_tells_so_in_a_line_when_the_summary_cannot_be_written(
    arguments: list[str], code: int, errors: int, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(contents: dict[Path, bytes]) -> None:
        raise OutputError("s.json: No space left on device; free space there")

    monkeypatch.setattr(files, "write_files", refuse)
    run = run_here(model, *arguments, "--quiet", "--summary", "s.json")
    lines = run.stderr.splitlines()
    assert (run.code, len(lines)) == (code, errors)
    assert lines[0] == "error: s.json: No space left on device; free space there"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("absent/s.json", "absent/s.json: No such file or directory"),
        ("s.csv", "--summary s.csv is no name of a JSON file; let it end in .json"),
        ("data.json", "--summary data.json is the file that is read; pass another"),
        ("alias.json", "--summary alias.json is the file that is read; pass another"),
        ("taken.json", "taken.json: is no file that could be replaced"),
    ],
)
def test_summary_is_refused_before_the_work_when_its_place_will_not_do(
    place: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "data.json").write_bytes(PASSENGERS.read_bytes())
    (tmp_path / "alias.json").symlink_to("data.json")
    (tmp_path / "taken.json").mkdir()
    run = run_here(tmp_path, "train", "data.json", *TRAIN[2:], "--summary", place)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: {message}")
    assert not (tmp_path / "m").exists()
    assert (tmp_path / "data.json").read_bytes() == PASSENGERS.read_bytes()


def test_summary_of_an_earlier_run_stays_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["rnnforecast", "train"])
    (tmp_path / "s.json").write_text("old")
    with summarising(tmp_path / "s.json", StderrReporter()):
        assert (tmp_path / "s.json").read_text() == "old"
    assert summary_of(tmp_path)["exit_code"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_program_runs_without_peak_memory_when_the_system_does_not_tell_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = "import sys; sys.modules['resource'] = None; import rnnforecast.cli.app"
    subprocess.run([sys.executable, "-c", loading], check=True)
    monkeypatch.setitem(sys.modules, "resource", None)
    forecast = run_here(model, "forecast", "m", "--summary", "s.json", "--verbose")
    assert forecast.code == 0
    assert summary_of(model)["peak_memory_mib"] is None
    assert re.search(r"done in [0-9.]+ s\n$", forecast.stderr)
    planned = run_here(model, *TRAIN, "--dry-run", "--format", "csv")
    assert (planned.code, "peak memory" in planned.stdout) == (0, False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_peak_memory_is_what_the_kernel_counts() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    (high_water,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    assert summary.peak_memory() == pytest.approx(high_water / 1024, rel=0.05)
