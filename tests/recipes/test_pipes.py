"""What the pipes of the recipes print, beside the same taken by pandas."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from tests.recipes.blocks import need, run_block, write_sales

pytestmark = pytest.mark.slow

DAY = ("2025-02-10",)


@pytest.fixture
def forecasts(trained_folder: Path) -> pd.DataFrame:
    """Those that training has left."""
    return pd.read_csv(trained_folder / "model" / "forecasts.csv")


def read_columns(text: str) -> pd.DataFrame:
    """A table in columns, as Miller prints it."""
    return pd.read_csv(StringIO(text), sep=r"\s+")


def test_miller_names_the_five_worst_forecasts(trained_folder: Path) -> None:
    need("mlr")
    found = read_columns(run_block("The five worst forecasts of a backtest", trained_folder))
    windows = pd.read_csv(trained_folder / "windows.csv")
    windows["error"] = (windows["gru"] - windows["y"]).abs()
    worst = windows.nlargest(5, "error")[["unique_id", "ds", "cutoff", "y", "gru", "error"]]
    assert windows["cutoff"].nunique() == 4
    pd.testing.assert_frame_equal(found, worst.reset_index(drop=True))


def test_miller_sums_forecasts_by_month(trained_folder: Path, forecasts: pd.DataFrame) -> None:
    need("mlr")
    printed = run_block("Forecasts of some series, summed by month", trained_folder)
    found = read_columns(printed).set_index("month")["gru_sum"]
    north = forecasts[forecasts["unique_id"] == "north"]
    expected = north.groupby(north["ds"].str[:7])["gru"].sum()
    assert found.to_dict() == pytest.approx(expected.to_dict(), rel=1e-4)


def test_jq_names_days_with_wide_intervals(trained_folder: Path, forecasts: pd.DataFrame) -> None:
    need("jq")
    title = "Days whose interval of 80 percent is wider than a tenth of the forecast"
    wide = forecasts["gru-hi-80"] - forecasts["gru-lo-80"] > forecasts["gru"] / 10
    expected = (forecasts["unique_id"] + " " + forecasts["ds"])[wide].tolist()
    assert 0 < len(expected) < len(forecasts)
    assert run_block(title, trained_folder).splitlines() == expected


def test_jq_tells_what_nights_warned_of(folder: Path) -> None:
    need("jq")
    levels = ("info", "warning", "error")
    lines = [{"time": level[0], "level": level, "message": f"a {level}"} for level in levels]
    log = [json.dumps(line) for line in lines]
    # A shell tells of a process that was killed in its own words.
    (folder / "nightly.log").write_text("\n".join([*log[:1], "Killed", *log[1:], ""]))
    told = run_block("What the nights warned of and failed with", folder)
    assert told == "w a warning\ne a error\n"


def test_duckdb_joins_forecasts_with_what_came(
    trained_folder: Path, forecasts: pd.DataFrame
) -> None:
    need("duckdb")
    forecasts.to_csv(trained_folder / "forecasts.csv", index=False)
    write_sales(trained_folder, 410)
    title = "Forecasts of earlier days beside what came, and whether it lay inside the interval"
    found = pd.read_csv(StringIO(run_block(title, trained_folder)))
    both = forecasts.merge(pd.read_csv(trained_folder / "sales.csv"), on=["unique_id", "ds"])
    both["inside"] = both["y"].between(both["gru-lo-80"], both["gru-hi-80"])
    assert len(found) == 20
    pd.testing.assert_frame_equal(found, both[["unique_id", "ds", "y", "gru", "inside"]])


def test_sqlite_utils_replaces_the_forecast_of_a_day_when_there_is_a_newer_one(
    trained_folder: Path, forecasts: pd.DataFrame
) -> None:
    need("sqlite-utils")
    with closing(sqlite3.connect(trained_folder / "sales.db")) as older:
        older.execute("create table forecasts (unique_id, ds, gru, primary key (unique_id, ds))")
        for name in forecasts.columns[3:]:
            older.execute(f'alter table forecasts add column "{name}"')
        older.execute("insert into forecasts (unique_id, ds, gru) values ('north', ?, 1e9)", DAY)
        older.commit()
    forecasts.to_csv(trained_folder / "forecasts.csv", index=False)
    printed = run_block("A table of the newest forecast of every day", trained_folder)
    found = pd.read_csv(StringIO(printed)).set_index("unique_id")["total"]
    assert DAY[0] in set(forecasts["ds"])
    assert found.to_dict() == pytest.approx(forecasts.groupby("unique_id")["gru"].sum().to_dict())
