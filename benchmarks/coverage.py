"""How often the intervals of the defaults hold on test parts.

    python benchmarks/coverage.py FOLDER

FOLDER holds m4_hourly_train.csv.gz, m4_hourly_test.csv and the weekly ones (see sets.py); ETTh1.csv
(`ETT-small/ETTh1.csv` of zhouhaoyi/ETDataset), whose test part is the last 2,880 of the first
14,400 rows; and exchange_rate.csv (laiguokun/multivariate-time-series-data with a `date` column),
whose test part is the last fifth. On M4, `rnnforecast train` forecasts the one test window of each
series; on the others, `rnnforecast backtest` forecasts from every cutoff of the test part. Rules
are chosen on the training part alone: `--cut 60` tests on the horizon before its last 60 steps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd
from processes import run

HORIZON = 96
COLUMNS = ["coverage-80", "coverage-95", "msis-80", "msis-95", "mase"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default="m4_hourly,m4_weekly,ETTh1,exchange_rate")
    parser.add_argument("--seed", default="0")
    parser.add_argument(
        "--cut", type=int, help="M4: leave out so many last steps of the training part, test before"
    )
    given = parser.parse_args()
    for place, name in enumerate(given.sets.split(",")):
        began = time.perf_counter()
        table = m4(given, name) if name.startswith("m4") else rolling(given, name)
        table = table[["model", "windows", *COLUMNS]].round(3)
        table.insert(0, "data", name)
        table["seconds"] = round(time.perf_counter() - began)
        print(table.to_csv(index=False, header=place == 0), end="", flush=True)


def m4(given: argparse.Namespace, name: str) -> pd.DataFrame:
    """Train on the training part, score its forecasts on the test part."""
    train, test = (str(given.folder / f"{name}_{part}") for part in ("train.csv.gz", "test.csv"))
    horizon, season = {"m4_hourly": (48, "24"), "m4_weekly": (13, "1")}[name]
    with tempfile.TemporaryDirectory() as directory:
        if given.cut is not None:
            rows = pd.read_csv(train)
            left = rows.groupby("unique_id").cumcount(ascending=False) - given.cut
            train, test = f"{directory}/train.csv", f"{directory}/test.csv"
            rows[left >= horizon].to_csv(train, index=False)
            rows[(left >= 0) & (left < horizon)].to_csv(test, index=False)
        run("train", train, "--horizon", str(horizon), "--seed", given.seed, "--out", directory)
        forecasts = f"{directory}/forecasts.csv"
        return run("evaluate", forecasts, test, train, "--season", season, "--format", "csv").table


def rolling(given: argparse.Namespace, name: str) -> pd.DataFrame:
    """Fit before the test part, forecast from each of its cutoffs."""
    rows = pd.read_csv(given.folder / f"{name}.csv", dtype=str)
    rows, test = (rows[:14_400], 2_880) if name == "ETTh1" else (rows, len(rows) // 5)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        rows.to_csv(file, index=False)
        file.flush()
        windows = str(test - HORIZON + 1)
        return run(
            *("backtest", file.name, "--horizon", str(HORIZON), "--seed", given.seed),
            *("--windows", windows, "--step", "1", "--format", "csv"),
        ).table


if __name__ == "__main__":
    main()
