"""backtest, as a user runs it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd

from tests.cli.command import SAMPLES, rnnforecast


def test_backtest_compares_models_from_several_cutoffs(tmp_path: Path) -> None:
    arguments = ["--horizon", "6", "--models", "gru,birnn", "--windows", "2", "--epochs", "3"]
    data = SAMPLES / "passengers.csv"
    run = rnnforecast("backtest", data, *arguments, "--output", "b.csv", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    metrics = pd.read_csv(StringIO(run.stdout))
    assert list(metrics["model"]) == ["gru", "birnn", "seasonal-naive", "naive", "drift"]
    assert (metrics["n"] == 12).all()
    forecasts = pd.read_csv(tmp_path / "b.csv")
    assert list(forecasts.columns[:5]) == ["unique_id", "month", "cutoff", "y", "gru"]
    assert list(forecasts["cutoff"].unique()) == ["1959-12-01", "1960-06-01"]
    actual = pd.read_csv(data).set_index("month")["passengers"]
    assert (actual[forecasts["month"]].to_numpy() == forecasts["y"]).all()
    assert (forecasts["naive"] == actual[forecasts["cutoff"]].to_numpy()).all()
    assert "birnn-hi-95" in forecasts and "naive-lo-80" not in forecasts
