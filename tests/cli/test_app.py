"""The program as a whole: help, exit codes, streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnforecast import __version__
from rnnforecast.cli.app import app
from tests.cli.command import SAMPLES, forked, rnnforecast, run_here

HEAVY = ("torch", "numpy", "pandas")
PASSENGERS = SAMPLES / "passengers.csv"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["models"]])
def test_program_imports_nothing_heavy_when_it_only_tells(arguments: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['rnnforecast', *sys.argv[1:]]\n"
        "from rnnforecast.cli.app import main\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stderr.splitlines()[-1] == "[]"


def test_version_is_printed_alone() -> None:
    run = rnnforecast("--version")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"rnnforecast {__version__}\n", "")


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (SAMPLES.parent / "README.md").read_text()
    for command in app.registered_commands:
        assert command.callback is not None and command.callback.__doc__
        assert f"rnnforecast {command.callback.__name__}" in readme


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "absent.csv", "--horizon", "3"], 3, "error: absent.csv: No such file"),
        (["train", PASSENGERS, "--horizon", "0"], 2, "error: horizon must be at least 1, got 0"),
        (["train", PASSENGERS, "--horizon", "3", "--model", "x"], 2, "error: model must be one of"),
        (["train", PASSENGERS, "--horizon", "3", "--levels", "a"], 2, "error: levels must be"),
        (["train", PASSENGERS, "--horizon", "3", "--levels", "120"], 2, "error: levels must be"),
        (["train", PASSENGERS, "--horizon", "3", "--device", "tpu"], 2, "error: device must be"),
        (["train", PASSENGERS, "--horizon", "3", "--format", "xml"], 2, "error: format must be"),
        (
            ["train", PASSENGERS, "--horizon", "500"],
            3,
            f"error: {PASSENGERS}: horizon 500 is too long",
        ),
        (
            ["train", PASSENGERS, "--horizon", "9" * 20],
            2,
            f"error: horizon must be below 2147483648, got {'9' * 20}",
        ),
        (["backtest", PASSENGERS, "--horizon", "9" * 20], 2, "error: horizon must be below"),
        (["train", PASSENGERS, "--horizon", "3", "--season", "500"], 2, "error: "),
        (["train", PASSENGERS, "--horizon", "3", "--lookback", "9" * 20], 2, "error: lookback "),
        (["train", PASSENGERS, "--horizon", "3", "--hidden-size", "9" * 20], 2, "error: hidden"),
        (["backtest", PASSENGERS, "--horizon", "3", "--output", PASSENGERS], 2, "error: --output"),
        (
            ["train", PASSENGERS, "--horizon", "3", "--dropout", "0.5"],
            2,
            "error: dropout must be 0",
        ),
        (["backtest", PASSENGERS, "--horizon", "3", "--output", "a/b.csv"], 2, "error: a/b.csv: "),
        (["backtest", PASSENGERS, "--horizon", "3", "--models", ","], 2, "error: models must be"),
        (["forecast", "absent"], 4, "error: absent/model.safetensors: no such model"),
    ],
)
def test_program_ends_with_its_code_and_one_line_when_it_cannot_run(
    arguments: list[str | Path], code: int, message: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, *arguments)
    assert (run.code, run.stdout) == (code, "")
    assert run.stderr.startswith(message)
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--no-such-option"], "error: No such option: --no-such-option"),
        (["train", PASSENGERS], "error: Missing option '--horizon'"),
        (["train", PASSENGERS, "--horizon", "abc"], "error: Invalid value for '--horizon'"),
        (["backtest", PASSENGERS, "--horizon", "3", "--windows", "0"], "error: Invalid value"),
        (["bogus"], "error: No such command 'bogus'"),
    ],
)
def test_program_ends_with_2_and_one_line_when_used_wrongly(
    arguments: list[str | Path], message: str
) -> None:
    run = rnnforecast(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(message) and run.stderr.endswith("Try --help.\n")
    assert len(run.stderr.splitlines()) == 1


def test_program_shows_its_help_when_called_alone() -> None:
    assert "backtest" in rnnforecast().stdout


def test_train_refuses_a_directory_whose_name_cannot_be_stored(tmp_path: Path) -> None:
    run = rnnforecast("train", PASSENGERS, "--horizon", "3", "--out", "\udcff", cwd=tmp_path)
    assert (run.returncode, run.stdout, os.listdir(tmp_path)) == (2, "", [])
    assert run.stderr.splitlines()[-1] == (
        r"error: '\udcff' is no name for a directory; pass another --out"
    )


def test_debug_shows_a_traceback_before_the_line(tmp_path: Path) -> None:
    run = rnnforecast("forecast", "absent", "--debug", cwd=tmp_path)
    assert run.returncode == 4
    assert "Traceback" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: absent")


def test_module_runs_like_the_program() -> None:
    command = [sys.executable, "-m", "rnnforecast", "models", "--format", "json"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert "gru" in [row["model"] for row in json.loads(run.stdout)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_train_ends_with_the_signals_code_when_interrupted(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "rnnforecast", "train", str(PASSENGERS), "--horizon", "12"]
    command += ["--out", str(tmp_path / "d"), "--epochs", "100000", "--patience", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "d" / ".lock").exists():
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == "interrupted"
    # Whether the training has begun by then is a matter of chance, or the lock is just being taken.
    left = tmp_path / "d"
    found = sorted(os.listdir(left)) if left.exists() else []
    assert found in ([], [".lock"], [".lock", "checkpoint.safetensors"])


def test_train_ends_in_one_line_when_signals_come_in_quick_succession(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnforecast", "train", str(PASSENGERS), "--horizon", "12"]
    command += ["--out", "d", "--epochs", "100000", "--patience", "100000", "--quiet"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "d" / ".lock").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert (out, err) == ("", "interrupted\n")


def test_train_writes_its_checkpoint_when_a_signal_comes_to_it_and_to_its_group(
    tmp_path: Path,
) -> None:
    """As timeout(1) sends it."""
    command = [sys.executable, "-m", "rnnforecast", "train", str(PASSENGERS), "--horizon", "12"]
    command += ["--out", "d", "--epochs", "100000", "--patience", "100000", "--verbose"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("epoch 2 of" in line for line in iter(process.stderr.readline, ""))
    for _ in range(5):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "the same command with --resume goes on" in err
    assert (tmp_path / "d" / "checkpoint.safetensors").exists()


def test_program_ends_silently_when_interrupted_as_it_starts() -> None:
    code = (
        "import os, runpy, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['rnnforecast', 'models']\n"
        "runpy.run_module('rnnforecast', run_name='__main__')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["10000", "system"]),
        ({"GOMP_SPINCOUNT": "5"}, ["5", "system"]),
        ({"OMP_WAIT_POLICY": "passive"}, ["None", "system"]),
        ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, ["10000", "mimalloc"]),
    ],
)
def test_program_sets_how_long_threads_wait_and_where_arrow_takes_memory_unless_told(
    given: dict[str, str], expected: list[str]
) -> None:
    code = (
        "import os, sys\n"
        "from rnnforecast.__main__ import main\n"
        "sys.argv = ['rnnforecast', '--version']\n"
        "try: main()\n"
        "finally:\n"
        "    for name in ('GOMP_SPINCOUNT', 'ARROW_DEFAULT_MEMORY_POOL'):\n"
        "        print(os.environ.get(name), file=sys.stderr)"
    )
    known = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "ARROW_DEFAULT_MEMORY_POOL")
    environment = {name: value for name, value in os.environ.items() if name not in known}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment | given, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr.split()) == (0, expected)


TELLING = [
    ["--help"],
    ["--version"],
    ["models", "--format", "csv"],
    ["models", "--format", "table"],
]


@pytest.mark.parametrize("arguments", TELLING)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_program_ends_with_1_and_one_line_when_standard_output_is_full(
    arguments: list[str],
) -> None:
    command = [sys.executable, "-m", "rnnforecast", *arguments]
    with open("/dev/full", "w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1
    assert run.stderr == "error: standard output: No space left on device; free space there\n"


@pytest.mark.parametrize("arguments", TELLING)
def test_program_ends_silently_with_141_when_the_reader_of_standard_output_has_gone(
    arguments: list[str],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rnnforecast", *arguments]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (run.returncode, run.stderr) == (141, "")


def test_program_ends_with_its_code_when_the_reader_of_its_error_has_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rnnforecast", "bogus"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True)
    os.close(writer)
    assert (run.returncode, run.stdout) == (2, "")


def test_second_train_ends_with_75_when_the_directory_is_held(tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "d").mkdir()
    with FileLock(tmp_path / "d" / ".lock"):
        run = forked(tmp_path, "train", PASSENGERS, "--horizon", "12", "--out", "d")
    assert run.code == 75
    assert "error: d: another run is writing here" in run.stderr
