"""No forecast depends on what is not known at its cutoff, and each on what is, however it is read.

A backtest is run on a table and on the same with other values after the last cutoff: of the target
and of a covariate that is known up to the cutoff, which must change no forecast, and of one that is
known ahead, which must.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import run_here

HORIZON, LENGTH = 4, 60
NETWORK = ["--horizon", str(HORIZON), "--lookback", "8", "--season", "1", "--no-log"]
TINY = ["--preset", "fast", "--epochs", "1", "--hidden-size", "4"]
SMALL = ["--batch-size", "8", "--levels", "80"]
ROLES = ["--past", "seen", "--future", "plan", "--static", "size"]

Way = Callable[[pd.DataFrame, Path], list[str]]


def sales(ids: tuple[str, ...] = ("a", "b"), freq: str = "D") -> pd.DataFrame:
    """Series that follow a plan, from which another column follows a step later."""
    tables = []
    for place, name in enumerate(ids):
        rng = np.random.default_rng(place)
        plan = rng.integers(0, 3, LENGTH).astype(float)
        tables.append(
            pd.DataFrame(
                {
                    "shop": name,
                    "day": pd.date_range("2024-01-01", periods=LENGTH, freq=freq),
                    "sold": 10 + 5 * plan + rng.normal(size=LENGTH),
                    "seen": np.roll(plan, 1),
                    "plan": plan,
                    "size": float(place),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def as_long(table: pd.DataFrame, place: Path) -> list[str]:
    table.to_csv(place / "t.csv", index=False)
    return ["t.csv", "--id-col", "shop", "--target-col", "sold", *ROLES]


def as_single(table: pd.DataFrame, place: Path) -> list[str]:
    table[table["shop"] == "a"].drop(columns=["shop", "size"]).to_csv(place / "t.csv", index=False)
    return ["t.csv", "--target-col", "sold", *ROLES[:4]]


def as_wide(table: pd.DataFrame, place: Path) -> list[str]:
    """Several targets in columns of their own, which share the covariates of the first."""
    first = table[table["shop"] == "a"].reset_index(drop=True)
    other = table.loc[table["shop"] == "b", "sold"].reset_index(drop=True)
    wide = first.assign(other=other).drop(columns=["shop", "size"])
    wide.to_csv(place / "t.csv", index=False)
    return ["t.csv", "--target-col", "sold", "--target-col", "other", *ROLES[:4]]


def as_shuffled_gzip(table: pd.DataFrame, place: Path) -> list[str]:
    text = table.sample(frac=1, random_state=0).to_csv(index=False)
    (place / "t.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return ["t.csv.gz", "--id-col", "shop", "--target-col", "sold", *ROLES]


def as_semicolons(table: pd.DataFrame, place: Path) -> list[str]:
    table.to_csv(place / "t.csv", index=False, sep=";", decimal=",")
    return ["t.csv", "--id-col", "shop", "--target-col", "sold", *ROLES]


def as_parquet(table: pd.DataFrame, place: Path) -> list[str]:
    pytest.importorskip("pyarrow")
    table.to_parquet(place / "t.parquet")
    return ["t.parquet", "--id-col", "shop", "--target-col", "sold", *ROLES]


def as_files(table: pd.DataFrame, place: Path) -> list[str]:
    for name, part in table.groupby("shop"):
        part.to_csv(place / f"t-{name}.csv", index=False)
    return ["t-*.csv", "--id-col", "shop", "--target-col", "sold", *ROLES]


def as_categories(table: pd.DataFrame, place: Path) -> list[str]:
    named = table.assign(plan=table["plan"].map({0.0: "none", 1.0: "some", 2.0: "much"}))
    return as_long(named, place)


def as_sensors(table: pd.DataFrame, place: Path) -> list[str]:
    """Rows at uneven times, three in each step."""
    rng = np.random.default_rng(9)
    parts = []
    for part in range(3):
        minutes = rng.integers(part * 480, (part + 1) * 480, len(table))
        parts.append(table.assign(day=table["day"] + pd.to_timedelta(minutes, unit="min")))
    pd.concat(parts).to_csv(place / "t.csv", index=False)
    return ["t.csv", "--id-col", "shop", "--target-col", "sold", *ROLES, "--resample", "D"]


def with_gaps(table: pd.DataFrame, place: Path) -> list[str]:
    kept = table[(table["day"].dt.day % 7 != 3) | (table.index % LENGTH >= LENGTH - HORIZON)]
    return [*as_long(kept, place), "--missing", "interpolate"]


def in_a_zone(table: pd.DataFrame, place: Path) -> list[str]:
    hours = pd.to_timedelta(table.groupby("shop").cumcount(), unit="h")
    moved = table.assign(day=pd.Timestamp("2024-03-29 12:00", tz="Europe/Paris") + hours)
    moved["day"] = moved["day"].map(lambda time: time.isoformat())
    return [*as_long(moved, place), "--time-zone", "Europe/Paris"]


def in_a_dialect(table: pd.DataFrame, place: Path) -> list[str]:
    renamed = table.rename(columns={"shop": "item_id", "day": "timestamp", "sold": "target"})
    renamed.to_csv(place / "t.csv", index=False)
    return ["t.csv", "--dialect", "autogluon", *ROLES]


WAYS: dict[str, Way] = {
    "long": as_long,
    "single": as_single,
    "wide": as_wide,
    "shuffled gzip": as_shuffled_gzip,
    "semicolons": as_semicolons,
    "parquet": as_parquet,
    "files": as_files,
    "categories": as_categories,
    "sensors": as_sensors,
    "gaps": with_gaps,
    "zone": in_a_zone,
    "dialect": in_a_dialect,
}


def forecasts(place: Path, way: Way, table: pd.DataFrame) -> pd.DataFrame:
    """Those of a network from the last cutoff, a horizon before the end."""
    place.mkdir()
    asked = way(table, place)
    flags = [*NETWORK, *TINY, *SMALL, "--windows", "1", "--models", "gru", "--output", "o.csv"]
    run = run_here(place, "backtest", *asked, *flags)
    assert run.code == 0, run.stderr
    return pd.read_csv(place / "o.csv").filter(regex="^(gru|mean|0[.])")


def after_the_cutoff(table: pd.DataFrame) -> pd.Series:
    return table.groupby("shop").cumcount() >= LENGTH - HORIZON


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_forecasts_follow_what_is_known_ahead_and_nothing_else_after_the_cutoff(
    way: Way, tmp_path: Path
) -> None:
    table = sales()
    later = after_the_cutoff(table)
    expected = forecasts(tmp_path / "as-it-is", way, table)
    other = table.assign(
        sold=table["sold"].where(~later, 3 * table["sold"] + 7),
        seen=table["seen"].where(~later, 50 - table["seen"]),
    )
    pd.testing.assert_frame_equal(forecasts(tmp_path / "unknown", way, other), expected)
    replanned = table.assign(plan=table["plan"].where(~later, (table["plan"] + 1) % 3))
    changed = forecasts(tmp_path / "known", way, replanned)
    assert not np.allclose(changed, expected, rtol=1e-6)


@pytest.mark.parametrize("way", ["rows", "file", "stored", "stored and file", "piped"])
def test_forecast_reads_plans_and_not_what_else_stands_beside_them(
    way: str, tmp_path: Path
) -> None:
    table = sales()
    later = after_the_cutoff(table)
    past = table[~later]
    past.to_csv(tmp_path / "past.csv", index=False)
    asked = ["--id-col", "shop", "--target-col", "sold", *ROLES, *NETWORK, *TINY, *SMALL]
    asked += ["--out", "m"]

    def told(plan: pd.Series, seen: float) -> str:
        """The forecast with these plans, and this in the column that is known up to now only."""
        ahead = table[later].assign(plan=plan, seen=seen, sold=np.nan)
        ahead.to_csv(tmp_path / "ahead.csv", index=False)
        rows = pd.concat([past, ahead])
        rows.to_csv(tmp_path / "rows.csv", index=False)
        if way == "stored":
            run = run_here(tmp_path, "train", "rows.csv", *asked)
            assert run.code == 0, run.stderr
        arguments = {
            "rows": ["rows.csv"],
            "file": ["past.csv", "--future-data", "ahead.csv"],
            "stored": [],
            "stored and file": ["--future-data", "ahead.csv"],
            "piped": ["-"],
        }[way]
        piped = rows.to_csv(index=False).encode() if way == "piped" else None
        run = run_here(tmp_path, "forecast", "m", *arguments, stdin=piped)
        assert run.code == 0, run.stderr
        return run.stdout

    run = run_here(tmp_path, "train", "past.csv", *asked)
    assert run.code == 0, run.stderr
    plan = table.loc[later, "plan"]
    expected = told(plan, seen=0.0)
    assert len(expected.splitlines()) == 1 + 2 * HORIZON
    assert told(plan, seen=99.0) == expected
    assert told((plan + 1) % 3, seen=0.0) != expected
