"""Many runs started at once on one directory: one of them trains at a time, and nothing is torn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.command import SAMPLES, TINY, Run, forked, run_here
from tests.faults.at_once import start

pytestmark = pytest.mark.slow
TRAIN = ["train", SAMPLES / "passengers.csv", "--horizon", "2", *TINY, "--out", "d"]
# Longer than all others take to find the directory held.
LONG = ["--epochs", "20", "--patience", "20"]
FILES = ["forecasts.csv", "history.csv", "metrics.csv", "model.safetensors"]
Trials = Callable[[int, int], int]


def assert_whole(directory: Path) -> None:
    """All files are there, of one run, and nothing else is."""
    assert sorted(os.listdir(directory / "d")) == [".lock", *FILES]
    run = run_here(directory, "forecast", "d")
    assert run.code == 0, run.stderr
    assert run.stdout == (directory / "d" / "forecasts.csv").read_text()


def one_that_trained(runs: list[Run]) -> tuple[Run, list[Run]]:
    """The run that printed metrics, and the others."""
    trained = [run for run in runs if "seasonal-naive" in run.stdout]
    assert len(trained) == 1, [(run.code, run.stderr) for run in runs]
    return trained[0], [run for run in runs if run is not trained[0]]


def test_one_run_trains_and_the_others_end_with_75_when_all_start_at_once(
    tmp_path: Path, trials: Trials
) -> None:
    runs = start(tmp_path, trials(5, 20), *TRAIN, *LONG, "--seed", "{}").ends()
    trained, others = one_that_trained(runs)
    assert trained.code == 0, trained.stderr
    for run in others:
        assert (run.code, run.stdout) == (75, "")
        assert run.stderr.splitlines()[-1].startswith("error: d: another run is writing here; ")
        assert run.stderr.count("error: ") == 1
    assert_whole(tmp_path)


def test_one_run_trains_and_the_others_print_a_header_when_they_are_to_skip(
    tmp_path: Path, trials: Trials
) -> None:
    flags = [*TRAIN, *LONG, "--if-locked", "skip", "--format", "csv"]
    trained, others = one_that_trained(start(tmp_path, trials(5, 20), *flags).ends())
    assert trained.code == 0, trained.stderr
    for run in others:
        assert (run.code, run.stdout) == (0, "model\n")
        assert "d: another run is writing here, so this one does nothing" in run.stderr
    assert_whole(tmp_path)


def test_all_runs_train_one_after_the_other_when_they_are_to_wait(
    tmp_path: Path, trials: Trials
) -> None:
    count = trials(3, 8)
    flags = [*TRAIN, *TINY, "--epochs", "2", "--if-locked", "wait", "--seed", "{}"]
    started = start(tmp_path, count, *flags)
    # Whoever reads meanwhile finds a whole model, the old one or the new one.
    read = []
    while not started.all_ended():
        time.sleep(0.05)
        if (tmp_path / "d" / "model.safetensors").exists():
            run = run_here(tmp_path, "forecast", "d")
            assert (run.code, len(pd.read_csv(StringIO(run.stdout)))) == (0, 2), run.stderr
            read.append(run.stdout)
    runs = started.ends()
    assert [run.code for run in runs] == [0] * count, [run.stderr for run in runs]
    assert len({run.stdout for run in runs}) == count
    waited = [run for run in runs if "d: another run is writing here; waiting" in run.stderr]
    assert 1 <= len(waited) < count
    assert len(read) > 0
    assert_whole(tmp_path)


def test_waiting_run_ends_at_once_when_interrupted_and_trains_when_the_holder_is_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command = [sys.executable, "-m", "rnnforecast", *map(str, TRAIN)]
    endless = ["--epochs", "1000000", "--patience", "1000000"]
    holder = subprocess.Popen([*command, *endless], cwd=tmp_path, stderr=subprocess.DEVNULL)
    request.addfinalizer(holder.kill)
    while not (tmp_path / "d" / ".lock").exists():
        assert holder.poll() is None
        time.sleep(0.02)
    waiting = [*command, *TINY, "--if-locked", "wait"]
    waiter = subprocess.Popen(waiting, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert waiter.stderr is not None
    assert any("waiting for its end" in line for line in iter(waiter.stderr.readline, ""))
    waiter.send_signal(signal.SIGTERM)
    # A signal that comes as a line is written may have it written twice.
    assert (waiter.wait(timeout=60), waiter.stderr.read().splitlines()[-1]) == (143, "interrupted")
    waiter.stderr.close()
    assert os.listdir(tmp_path / "d") == [".lock"]
    (tmp_path / "d" / ".model.safetensors.abcd_123.tmp").write_bytes(b"half")
    holder.kill()
    assert holder.wait() == -signal.SIGKILL
    run = forked(tmp_path, *TRAIN, *TINY)
    assert run.code == 0, run.stderr
    assert_whole(tmp_path)
