"""Windows cut from training parts, of many frequencies, by which the defaults are chosen.

No test part of `sets.py` is read. Of M4 the series are also summed up to days, four weeks, quarters
and years, cut off at ends drawn apart so that no one event decides; the others are the training
parts of the published protocols and competitions, or what lies before the test part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import augmentation as small
import numpy as np
import pandas as pd
from augmenting import Set
from competitions import COMPETITIONS, training_parts

MOST_CUT = 0.5


def passengers(horizon: int) -> list[Set]:
    """Monthly, one series that ends in three years; what lies after 1958 is never read."""
    values = pd.read_csv(small.SAMPLES / "passengers.csv")["passengers"].to_numpy(float)
    return [Set([values[:end]], 12, horizon, cutoffs=1, stride=1) for end in (96, 108, 120)]


@lru_cache
def _m4(folder: Path, part: str) -> list[np.ndarray]:
    table = pd.read_csv(folder / f"m4_{part}_train.csv.gz")
    return [group["y"].to_numpy(float) for _, group in table.groupby("unique_id", sort=False)]


def _column(path: Path, name: str, rows: int) -> np.ndarray:
    return pd.read_csv(path)[name].to_numpy(float)[:rows]


def _columns(path: Path, rows: int) -> list[np.ndarray]:
    return list(pd.read_csv(path, index_col=0).to_numpy(float)[:rows].T)


def _summed(values: np.ndarray, steps: int) -> np.ndarray:
    """The means of `steps` values each, counted from the end."""
    return values[len(values) % steps :].reshape(-1, steps).mean(1)


def _cut(series: list[np.ndarray]) -> list[np.ndarray]:
    """Each without up to half of its end."""
    rng = np.random.default_rng(5)
    return [each[: len(each) - int(rng.uniform(0, MOST_CUT) * len(each))] for each in series]


def rarer(folder: Path, steps: int, newest: int, season: int, horizon: int) -> Set:
    """Up to 180 of M4's weekly series, of `steps` weeks a value, the newest of each."""
    least = newest // 2 * steps
    chosen = [each for each in _m4(folder, "weekly") if len(each) >= least][:180]
    series = _cut([_summed(each, steps)[-newest:] for each in chosen])
    return Set(series, season, horizon, cutoffs=1, stride=1)


def days(folder: Path) -> Set:
    """Half of M4's hourly series that have 35 days, as days."""
    series = [_summed(each, 24) for each in _m4(folder, "hourly") if len(each) >= 840]
    return Set(series[::2], season=7, horizon=7, cutoffs=2, stride=3)


def long_days(folder: Path) -> Set:
    """Ten series of one to four years of days."""
    series = [_summed(each, 24) for each in _columns(folder / "ETTh1.csv", 8_640)]
    for name, column, rows, steps in (
        ("vic_electricity.csv.gz", "demand", 40_000, 48),
        ("bike_sharing.csv", "users", 15_000, 24),
        ("epf_np.csv", "price", 36_000, 24),
    ):
        series.append(_summed(_column(folder / name, column, rows), steps))
    return Set(series, season=7, horizon=14, cutoffs=5, stride=7)


def competition_training(name: str) -> Set:
    """The training parts of competitions.py."""
    horizon, season = COMPETITIONS[name]
    return Set(training_parts(name), season, horizon, cutoffs=1, stride=1, told=True)


def alone(frequency: str) -> list[Set]:
    """Ten series of each of M1, M3 and tourism, each a set of its own."""
    chosen = []
    for competition in ("m1", "m3", "tourism"):
        horizon, season = COMPETITIONS[f"{competition}-{frequency}"]
        least = horizon + max(2 * season + 2, 6)
        parts = training_parts(f"{competition}-{frequency}")
        series = [each for each in parts if len(each) - horizon >= least]
        places = np.random.default_rng(7).choice(len(series), 10, replace=False)
        chosen += [Set([series[at]], season, horizon, 1, 1, told=True) for at in places]
    return chosen


SETS: dict[str, Callable[[Path], Set | list[Set]]] = {
    "passengers-12": lambda folder: passengers(12),
    "passengers-24": lambda folder: passengers(24),
    "sim-monthly": small.monthly,
    "near-zero": small.near_zero,
    "population": small.population,
    "yearly": lambda folder: rarer(folder, 52, 50, 1, 6),
    "quarterly": lambda folder: rarer(folder, 13, 100, 4, 8),
    "four-weekly": lambda folder: rarer(folder, 4, 200, 13, 13),
    "m4-daily": days,
    "daily": long_days,
    "wind": small.wind,
    "m4-weekly": lambda folder: Set(_m4(folder, "weekly")[::3], 1, 13, cutoffs=2, stride=13),
    "oj": lambda folder: small.oj(folder, 100),
    "m4-hourly": lambda folder: Set(_m4(folder, "hourly")[::5], 24, 48, cutoffs=1, stride=1),
    "demand": small.demand,
    "bike": lambda folder: Set(
        [_column(folder / "bike_sharing.csv", "users", 15_000)], 24, 24, cutoffs=60, stride=24
    ),
    "vic": lambda folder: Set(
        [_column(folder / "vic_electricity.csv.gz", "demand", 20_000)], 48, 48, 40, 48
    ),
    "epf": lambda folder: Set(
        [_column(folder / "epf_np.csv", "price", 20_000)], 24, 24, cutoffs=60, stride=24
    ),
    "etth1": lambda folder: Set(_columns(folder / "ETTh1.csv", 8_640), 24, 96, 60, 24),
    "ettm1": lambda folder: Set(
        [each[-20_000:] for each in _columns(folder / "ETTm1.csv.gz", 34_560)], 96, 96, 40, 96
    ),
    "exchange": lambda folder: Set(_columns(folder / "exchange_rate.csv", 5_311), 1, 96, 60, 15),
    **{name: lambda folder, name=name: competition_training(name) for name in COMPETITIONS},
    **{
        f"{name}-alone": lambda folder, name=name: alone(name)
        for name in ("yearly", "quarterly", "monthly")
    },
}
