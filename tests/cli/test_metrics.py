"""metrics: what stands in every table, in every format."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pandas as pd

from tests.cli.command import SAMPLES, TINY, rnnforecast, run_here

COLUMNS = ["metric", "summary", "undefined", "reference"]


def test_metrics_lists_each_column_of_a_table_in_its_order(tmp_path: Path) -> None:
    data = SAMPLES / "passengers.csv"
    flags = ["--horizon", "6", "--season", "12", "--windows", "1", "-q"]
    scored = run_here(tmp_path, "backtest", data, *flags, *TINY)
    listed = pd.read_csv(StringIO(rnnforecast("metrics").stdout))
    assert list(listed.columns) == COLUMNS
    assert not listed.isna().any(axis=None)
    columns = list(pd.read_csv(StringIO(scored.stdout)).columns)
    assert columns == ["model", "n", "windows", *listed["metric"]]


def test_metrics_says_the_same_when_json_is_asked(tmp_path: Path) -> None:
    printed = run_here(tmp_path, "metrics", "--format", "json")
    listed = pd.read_csv(StringIO(run_here(tmp_path, "metrics", "--format", "csv").stdout))
    assert (printed.code, printed.stderr) == (0, "")
    assert json.loads(printed.stdout) == listed.to_dict("records")


def test_metrics_shows_every_name_when_a_table_is_asked(tmp_path: Path) -> None:
    printed = run_here(tmp_path, "metrics", "--format", "table").stdout
    for name in ("mae", "smape", "rmsse", "crps", "msis-95", "skill", "owa"):
        assert f" {name} " in printed


def test_metrics_ends_with_2_when_the_format_is_unknown(tmp_path: Path) -> None:
    run = run_here(tmp_path, "metrics", "--format", "xml")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "error: format must be one of table, csv, json, got 'xml'\n"
