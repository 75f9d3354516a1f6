"""--fail-if, as a job under cron uses it: exit code 6, and what was there stays as it was."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import SAMPLES, TINY, forked, run_here

PASSENGERS = SAMPLES / "passengers.csv"
TRAIN = ["train", PASSENGERS, "--horizon", "12", *TINY, "--out", "d"]
BACKTEST = ["backtest", PASSENGERS, "--horizon", "6", *TINY]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which d/ holds what a run wrote that passed its gates."""
    directory = tmp_path_factory.mktemp("good")
    gates = ["--fail-if", "mase>1", "--fail-if", " skill <= 0 "]
    run = forked(directory, *TRAIN, *gates)
    assert run.code == 0, run.stderr
    (directory / "stdout.csv").write_text(run.stdout)
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_train_writes_its_directory_when_gates_pass_that_baselines_fail(good: Path) -> None:
    table = pd.read_csv(good / "stdout.csv").set_index("model")
    assert table["mase"]["gru"] < 1 < table["mase"]["seasonal-naive"]
    assert table["skill"]["naive"] < 0
    assert "model.safetensors" in contents(good / "d")


def test_train_leaves_the_old_model_when_a_gate_fails(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good / "d", tmp_path / "d")
    run = forked(tmp_path, *TRAIN, "--fail-if", "mase>1", "--fail-if", "skill<2", "-q")
    skill = pd.read_csv(StringIO(run.stdout))["skill"][0]
    assert run.code == 6
    assert run.stderr == (
        f"error: gru: skill is {skill:.4g}, and the run is to fail if skill<2; d stays as it was\n"
    )
    assert run.stdout == (good / "stdout.csv").read_text()
    assert contents(tmp_path / "d") == contents(good / "d")


def test_train_leaves_no_file_when_a_gate_fails_and_the_directory_is_new(tmp_path: Path) -> None:
    run = run_here(tmp_path, *TRAIN, "--fail-if", "mae>=0", "--format", "json")
    assert run.code == 6
    assert [row["model"] for row in json.loads(run.stdout)][:2] == ["gru", "seasonal-naive"]
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("gate", "options", "message"),
    [
        ("accuracy>1", [], "fail-if must name one of the metrics mae, rmse, "),
        ("owa>1", [], "fail-if names owa, which needs --season"),
        ("coverage-80<70", ["--levels", "90"], "fail-if must name one of the metrics mae, "),
        ("mase", [], "fail-if must be a metric and a bound such as mase>1, got 'mase'"),
        ("mase=1", [], "fail-if must be a metric and a bound such as mase>1, got 'mase=1'"),
        ("mase>high", [], "fail-if must be a metric and a bound such as mase>1, got 'mase>high'"),
        ("mase>nan", [], "fail-if must be a metric and a bound such as mase>1, got 'mase>nan'"),
    ],
)
@pytest.mark.parametrize("command", [TRAIN, BACKTEST], ids=["train", "backtest"])
def test_command_ends_with_2_before_training_when_a_gate_cannot_be_tested(
    command: list[str | Path], gate: str, options: list[str], message: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, *command, *options, "--fail-if", "mase>1", "--fail-if", gate)
    assert (run.code, run.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert run.stderr.startswith(f"error: {message}")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("gate", "code"), [("owa>0", 6), ("owa>9", 0), ("skill<0", 0), ("coverage-80<101", 6)]
)
def test_backtest_prints_its_table_whatever_the_gate_says(
    gate: str, code: int, tmp_path: Path
) -> None:
    run = run_here(
        tmp_path, *BACKTEST, "--season", "12", "--fail-if", gate, "--output", "o.csv", "-q"
    )
    assert run.code == code
    table = pd.read_csv(StringIO(run.stdout)).set_index("model")
    assert table["owa"]["naive2"] == 1
    assert len(pd.read_csv(tmp_path / "o.csv")) == 18
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: gru: ")]
    assert len(errors) == (code == 6)


def test_backtest_names_the_network_that_fails_when_several_are_compared(tmp_path: Path) -> None:
    run = run_here(tmp_path, *BACKTEST, "--models", "gru,linear", "-q")
    maes = pd.read_csv(StringIO(run.stdout)).set_index("model")["mae"][["gru", "linear"]]
    gate = f"mae>{maes.mean()}"
    run = run_here(tmp_path, *BACKTEST, "--models", "gru,linear", "-q", "--fail-if", gate)
    assert run.code == 6
    assert run.stderr.startswith(f"error: {maes.idxmax()}: mae is {maes.max():.4g}, and the run")


def test_train_fails_when_the_metric_of_a_gate_is_undefined(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    pd.DataFrame({"ds": days, "y": np.full(60, 5)}).to_csv(tmp_path / "f.csv", index=False)
    flags = ["--horizon", "3", *TINY, "--out", "d", "--fail-if", "mase>1"]
    run = run_here(tmp_path, "train", "f.csv", *flags)
    assert run.code == 6
    assert run.stderr.splitlines()[-1].startswith("error: gru: mase is undefined, and the run is")
