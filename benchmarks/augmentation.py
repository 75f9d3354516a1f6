"""What transformations and augmentations change on validation windows.

    python benchmarks/augmentation.py FOLDER --seeds 3

FOLDER holds m4_hourly_train.csv.gz and m4_weekly_train.csv.gz (see sets.py), ETTh1.csv (see
coverage.py), vic_electricity.csv.gz and bike_sharing.csv (skforecast/skforecast-datasets, there
`bike_sharing_dataset_clean`), and oj_sales.csv.gz (`orangeJuice` of the R package bayesm). Each set
is some of a training part, small enough for a training to take seconds; test parts are never read.
The default network is trained before the last cutoffs of a set and scored from these, see
augmenting.py and transforming.py. Figures are by how many percent MASE differs from that of the
same seed without the change.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from augmenting import AUGMENTATIONS, Set, mase, median, split, train
from processes import markdown
from transforming import TRANSFORMS

from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.defaults import find_facts, resolve

SAMPLES = Path(__file__).parents[1] / "sample_data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--methods", default=",".join([*AUGMENTATIONS, *TRANSFORMS]))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("set,method,seed,mase,change,seconds", flush=True)
    for name in given.sets.split(","):
        chosen = SETS[name](given.folder)
        for seed in range(given.seeds):
            reference = measure(chosen, "none", seed)
            for method in ["none", *given.methods.split(",")]:
                began = time.perf_counter()
                error = reference if method == "none" else measure(chosen, method, seed)
                change = 100 * (error / reference - 1)
                rows.append((name, method, seed, error, change))
                seconds = time.perf_counter() - began
                print(f"{name},{method},{seed},{error:.5f},{change:.2f},{seconds:.1f}", flush=True)
    columns = ["set", "method", "seed", "mase", "change"]
    print(f"\n{markdown(summary(pd.DataFrame(rows, columns=columns)))}")


def measure(chosen: Set, method: str, seed: int) -> float:
    """The mean MASE from the last cutoffs."""
    panel, known, index = split(chosen)
    asked = Settings(horizon=chosen.horizon, season=chosen.season, seed=seed, jitter=0.0)
    config = resolve(asked, find_facts(known), DataConfig())
    if method in TRANSFORMS:
        forecasts = TRANSFORMS[method](panel, known, index, config)
    else:
        augment = AUGMENTATIONS[method] if method != "none" else None
        forecasts = median(train(known, config, augment), panel, index)
    return mase(forecasts, chosen, panel, index)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Changes in percent, mean and deviation over seeds, of each set and of the mean of all."""
    changes = rows[rows["method"] != "none"]
    means = changes.groupby(["method", "seed"], as_index=False)["change"].mean()
    both = pd.concat([changes, means.assign(set="all")])
    grouped = both.groupby(["method", "set"], sort=False)["change"]
    cells = grouped.mean().map("{:+.1f}".format) + " ± " + grouped.std().map("{:.1f}".format)
    return cells.unstack("set").reset_index()


def passengers(folder: Path) -> Set:
    """Monthly, one series of 132 values."""
    values = pd.read_csv(SAMPLES / "passengers.csv")["passengers"].to_numpy(float)
    return Set([values[:-12]], season=12, horizon=12, cutoffs=7, stride=3)


def monthly(folder: Path, count: int = 20) -> Set:
    """Simulated: `count` monthly series of 60 to 120 values."""
    rng = np.random.default_rng(1)
    return Set(
        [_simulated(rng, int(rng.integers(60, 121))) for _ in range(count)],
        *(12, 12),
        cutoffs=3,
        stride=3,
    )


def _simulated(rng: np.random.Generator, length: int) -> np.ndarray:
    """A level that drifts, times a season of its own, times noise."""
    steps = np.arange(length)
    drift = np.cumsum(rng.normal(rng.normal(0, 0.004), rng.uniform(0.003, 0.03), length))
    waves = sum(
        rng.normal(0, 0.2 / k) * np.cos(2 * np.pi * k * (steps - rng.uniform(0, 12)) / 12)
        for k in (1, 2, 3)
    )
    noise = rng.normal(0, rng.uniform(0.01, 0.15), length)
    return 10 ** rng.uniform(0, 4) * np.exp(drift + waves + noise)


def near_zero(folder: Path) -> Set:
    """Simulated: 20 monthly series near zero, positive, of heavy relative noise."""
    rng = np.random.default_rng(2)
    series = []
    for _ in range(20):
        steps = np.arange(int(rng.integers(60, 121)))
        level = 2 + 1.5 * np.cos(2 * np.pi * (steps - rng.uniform(0, 12)) / 12)
        series.append(level * rng.gamma(1.5, 1 / 1.5, len(steps)) + 1e-3)
    return Set(series, 12, 12, 3, 3)


def population(folder: Path) -> Set:
    """Yearly: 24 countries, 45 years."""
    table = pd.read_csv(SAMPLES / "population.csv")
    series = [part["population"].to_numpy(float)[:-5] for _, part in table.groupby("country")]
    return Set(series, season=1, horizon=5, cutoffs=3, stride=2)


def wind(folder: Path) -> Set:
    """Daily, one series, positive and near zero."""
    values = pd.read_csv(SAMPLES / "weather.csv")["wind"].to_numpy(float)
    return Set([values[:-28]], season=1, horizon=7, cutoffs=20, stride=7)


def demand(folder: Path) -> Set:
    """Hourly demand of three airports, with zeros, four weeks of each."""
    table = pd.read_csv(SAMPLES / "demand.csv")
    series = [part["y"].to_numpy(float)[-24 * 43 : -24] for _, part in table.groupby("unique_id")]
    return Set(series, season=24, horizon=24, cutoffs=7, stride=24)


def m4_hourly(folder: Path) -> Set:
    """Ten hourly series, their last 600 values."""
    series = _first(folder / "m4_hourly_train.csv.gz", every=41)
    return Set([each[-600:] for each in series[:10]], 24, 48, cutoffs=3, stride=24)


def m4_weekly(folder: Path) -> Set:
    """Twenty weekly series, their last 130 values."""
    series = _first(folder / "m4_weekly_train.csv.gz", every=18)
    return Set([each[-130:] for each in series[:20]], 1, 13, cutoffs=3, stride=6)


def _first(path: Path, every: int) -> list[np.ndarray]:
    table = pd.read_csv(path)
    groups = [part["y"].to_numpy(float) for _, part in table.groupby("unique_id", sort=False)]
    return groups[::every]


def vic(folder: Path) -> Set:
    """Half-hourly, one series: ten weeks."""
    values = pd.read_csv(folder / "vic_electricity.csv.gz")["demand"].to_numpy(float)
    return Set([values[30_000 - 48 * 70 : 30_000]], 48, 48, cutoffs=14, stride=24)


def bike(folder: Path) -> Set:
    """Hourly, one series near zero at night: 20 weeks."""
    values = pd.read_csv(folder / "bike_sharing.csv")["users"].to_numpy(float)
    return Set([values[13_000 - 24 * 140 : 13_000]], 24, 24, cutoffs=14, stride=24)


def oj(folder: Path, count: int = 20) -> Set:
    """Weekly sales, `count` series, the weeks but for the last 16, some missing."""
    table = pd.read_csv(folder / "oj_sales.csv.gz", parse_dates=["ds"])
    wide = table.pivot(index="ds", columns="unique_id", values="y").asfreq("7D")[:-16]
    chosen = wide.iloc[:, :: wide.shape[1] // count].iloc[:, :count]
    series = [chosen[name].to_numpy(float) for name in chosen]
    series = [each[~np.isnan(each).cumprod().astype(bool)] for each in series]
    series = [each[: np.flatnonzero(~np.isnan(each))[-1] + 1] for each in series]
    return Set(series, season=1, horizon=8, cutoffs=3, stride=4)


def etth1(folder: Path) -> Set:
    """Hourly, seven columns: the last 40 days of the training part."""
    hours = pd.read_csv(folder / "ETTh1.csv", index_col="date").to_numpy(float)
    part = hours[8_640 - 24 * 40 : 8_640]
    return Set(list(part.T), season=24, horizon=24, cutoffs=5, stride=24)


SETS = {
    "passengers": passengers,
    "monthly-5": lambda folder: monthly(folder, 5),
    "monthly-20": monthly,
    "population": population,
    "oj-5": lambda folder: oj(folder, 5),
    "oj-20": oj,
    "m4-weekly": m4_weekly,
    "m4-hourly": m4_hourly,
    "vic": vic,
    "etth1": etth1,
    "demand": demand,
    "bike": bike,
    "near-zero": near_zero,
    "wind": wind,
}


if __name__ == "__main__":
    main()
