"""Series without an observed value, from the command line."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from tests.cli.command import TINY, run_here

DAYS = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
WAVE = np.round(50 + 10 * np.sin(np.arange(60) * 2 * np.pi / 7), 2)
TABLE = pd.DataFrame({"ds": DAYS, "a": WAVE, "dead": np.nan, "b": WAVE + 5})
WORDS = ("--horizon", "3", *TINY, "--out", "d")
TOLD = "warning: data.csv: series 'dead': no value is observed; left out\n"


def test_train_forecasts_the_others_and_says_so_when_a_series_has_no_value(tmp_path: Path) -> None:
    TABLE.melt("ds", var_name="id").to_csv(tmp_path / "data.csv", index=False)
    run = run_here(tmp_path, "train", "data.csv", *WORDS, "--summary", "s.json", "-q")
    assert run.code == 0 and run.stderr.startswith(TOLD)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["data"]["unobserved"] == ["dead"] and summary["data"]["series"] == 2
    for name, code in (("mask", 0), ("error", 3)):
        run = run_here(tmp_path, "backtest", "data.csv", *WORDS[:-2], "--missing", name, "-q")
        assert run.code == code and "series 'dead': no value is observed; " in run.stderr


def test_model_of_wide_data_forecasts_when_an_empty_column_is_gone_or_revives(
    tmp_path: Path,
) -> None:
    TABLE.to_csv(tmp_path / "data.csv", index=False)
    assert run_here(tmp_path, "train", "data.csv", *WORDS).code == 0
    expected = run_here(tmp_path, "forecast", "d", "data.csv")
    assert set(pd.read_csv(StringIO(expected.stdout))["unique_id"]) == {"a", "b"}
    TABLE.drop(columns="dead").to_csv(tmp_path / "gone.csv", index=False)
    gone = run_here(tmp_path, "forecast", "d", "gone.csv")
    assert (gone.code, gone.stdout) == (0, expected.stdout)
    TABLE.assign(dead=WAVE).to_csv(tmp_path / "alive.csv", index=False)
    alive = run_here(tmp_path, "forecast", "d", "alive.csv")
    assert (alive.code, alive.stdout) == (0, expected.stdout)
    assert "warning: alive.csv: columns not used: 'dead'" in alive.stderr


def test_check_tells_of_gaps_beside_series_without_a_value_when_none_may_be(
    tmp_path: Path,
) -> None:
    gap = TABLE.assign(a=TABLE["a"].where(TABLE.index != 30))
    gap.to_csv(tmp_path / "wide.csv", index=False)
    gap.melt("ds", var_name="id").to_csv(tmp_path / "long.csv", index=False)
    for name in ("wide.csv", "long.csv"):
        run = run_here(tmp_path, "check", name, "--missing", "error", "--format", "json")
        found = json.loads(run.stdout)["findings"]
        errors = [each for each in found if each["severity"] == "error"]
        assert [each["series"] for each in errors if each["series"]] == ["dead"], name
        assert any("series 'a' has no value at 2024-01-31" in each["problem"] for each in errors)
