"""backtest --baselines, with statsforecast and without it."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnforecast.evaluation.baselines import BASELINES
from tests.cli.command import SAMPLES, TINY, rnnforecast, run_here

PASSENGERS = SAMPLES / "passengers.csv"
FLAGS = ["--horizon", "6", "--windows", "2", *TINY]


def test_backtest_compares_statistical_models_when_these_are_asked(tmp_path: Path) -> None:
    pytest.importorskip("statsforecast")
    flags = [*FLAGS, "--baselines", "auto-theta, auto-ets", "--output", "s.csv", "-q"]
    run = rnnforecast("backtest", PASSENGERS, *flags, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    metrics = pd.read_csv(StringIO(run.stdout))
    added = ["auto-theta", "auto-ets"]
    assert list(metrics["model"]) == ["gru", *added, *BASELINES]
    assert (metrics.set_index("model")["skill"][added] > 0).all()
    output = pd.read_csv(tmp_path / "s.csv")
    for name in added:
        columns = [f"{name}-lo-95", f"{name}-lo-80", name, f"{name}-hi-80", f"{name}-hi-95"]
        assert (np.diff(output[columns].to_numpy(), axis=1) > 0).all()


def test_backtest_names_the_unknown_model_when_statsforecast_is_absent_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    run = run_here(tmp_path, "backtest", PASSENGERS, *FLAGS, "--baselines", "auto-ets,prophet")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == (
        "error: baselines must be among auto-ets, auto-theta, auto-arima, got 'prophet'\n"
    )


def test_backtest_ends_with_2_before_training_when_statsforecast_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "statsforecast.py").write_text("raise ImportError('as if it were absent')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = rnnforecast("backtest", PASSENGERS, *FLAGS, "--baselines", "auto-ets", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "error: auto-ets needs statsforecast; run: pip install 'rnnforecast[baselines]'\n"
    )
