"""The sets of `matrix.py`: what is forecast of them, and how that is scored.

The folder holds the files that coverage.py and covariates.py say where to have, and

- m4_hourly_train.csv.gz, m4_hourly_test.csv and the weekly ones: `Dataset/Train` and `Dataset/Test`
  of Mcompetitions/M4-methods in long form, unique_id,ds,y, with ds = 1, 2, ... running on from the
  training to the test part;
- ETTm1.csv.gz: `ETT-small/ETTm1.csv` of zhouhaoyi/ETDataset;
- vic_electricity.csv.gz: `data/vic_electricity.csv` of skforecast/skforecast-datasets.

The sets of competitions.py come from a package.

M4, M1, M3 and tourism are scored on the official test parts. ETTh1, ETTm1 and exchange rates follow
the published protocol (Zhou et al. 2021, Informer; Wu et al. 2021, Autoformer): every column on the
mean and deviation of the training part, forecasts from each cutoff of the test part, errors over
all windows, steps and columns; the validation part is read as lookback, but not fitted to. Of the
others the last days or weeks are forecast, by networks fitted once before the first cutoff. Every
set gives MASE, whose season is that of its seasonal naive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from competitions import COMPETITIONS, whole
from covariates import SETS as COVARIATES
from peers import Task

from rnnforecast.evaluation.baselines import seasonal_naive
from rnnforecast.evaluation.metrics import POINT_METRICS, nanmean, seasonal_scales
from rnnforecast.evaluation.windows import Windows

PASSENGERS = Path(__file__).parents[1] / "sample_data" / "passengers.csv"
KEYS = ["unique_id", "ds", "y"]


@dataclass(frozen=True)
class Part:
    """Of M4: horizon, season of MASE, and published errors of Naive2 (Makridakis 2020)."""

    horizon: int
    season: int
    naive2_smape: float
    naive2_mase: float


PARTS = {"hourly": Part(48, 24, 18.383, 2.395), "weekly": Part(13, 1, 9.161, 2.777)}


@dataclass(frozen=True, kw_only=True)
class Set:
    """Series and the windows that are forecast of them.

    Attributes:
        read: From the folder to a row a step, series after series, with the columns `KEYS` and
            those of `future`.
        horizon: Steps to forecast.
        season: That of MASE, and of the seasonal naive.
        metrics: Beside MASE.
        windows: Cutoffs of each series, the last one a horizon before its end.
        stride: Steps from one cutoff to the next.
        trained: How many values of each series are trained on; None: those before its first cutoff.
        future: Columns that are known ahead.
        categorical: Those of them that are categories, though numbers.
        part: That of M4, whose errors of Naive2 OWA is relative to.
        told: Whether the season is told, as times are mere steps.
    """

    read: Callable[[Path], pd.DataFrame]
    horizon: int
    season: int
    metrics: tuple[str, ...]
    windows: int = 1
    stride: int = 1
    trained: int | None = None
    future: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    part: Part | None = None
    told: bool = False

    def roles(self) -> list[str]:
        """The options of `rnnforecast train` that tell the season, and name the covariates."""
        season = ["--season", str(self.season)] if self.told else []
        ahead = season + [word for name in self.future for word in ("--future", name)]
        return ahead + [word for name in self.categorical for word in ("--categorical", name)]


def prepare(name: str, folder: Path, directory: Path) -> None:
    """Write a set as `all.csv`, what may be known in training as `known.csv`, and `task.npz`."""
    chosen = SETS[name]
    table = chosen.read(folder)
    lengths = table.groupby("unique_id", sort=False).size().to_numpy()
    place = table.groupby("unique_id", sort=False).cumcount().to_numpy()
    back = chosen.horizon + chosen.stride * np.arange(chosen.windows)[::-1]
    cutoffs = lengths[:, None] - back
    trained = cutoffs[:, 0] if chosen.trained is None else np.full_like(lengths, chosen.trained)
    table[[*KEYS, *chosen.future]].to_csv(directory / "all.csv", index=False)
    known = np.repeat(trained, lengths)
    seen = table.assign(y=table["y"].where(place < known))
    seen = seen[place < known + (chosen.horizon if chosen.future else 0)]
    seen[[*KEYS, *chosen.future]].to_csv(directory / "known.csv", index=False)
    kinds = dict.fromkeys(chosen.categorical, "category")
    numbers = pd.get_dummies(table[["y", *chosen.future]].astype(kinds)).to_numpy(float)
    task = Task(
        values=numbers[:, 0],
        offsets=np.cumsum([0, *lengths]),
        trained=trained,
        series=np.repeat(np.arange(len(lengths)), chosen.windows),
        cutoffs=cutoffs.ravel(),
        features=numbers[:, 1:],
        horizon=chosen.horizon,
        season=chosen.season,
    )
    np.savez(directory / "task.npz", **task._asdict())


def score(name: str, directory: Path) -> dict[str, float]:
    """The errors of `forecasts.npy` [window, step], and the MASE of the seasonal naive.

    Raises:
        ValueError: A step has no forecast.
    """
    chosen, task = SETS[name], Task.load(directory)
    forecasts = np.load(directory / "forecasts.npy")
    starts = task.offsets[task.series] + task.cutoffs
    actual = task.values[starts[:, None] + np.arange(task.horizon)]
    if forecasts.shape != actual.shape or not np.isfinite(forecasts).all():
        raise ValueError("a step of the test part has no forecast")
    scales, naive = np.empty(len(actual)), np.empty_like(actual)
    for series in range(len(task.trained)):
        own = task.series == series
        values = task.values[task.offsets[series] : task.offsets[series + 1]]
        scales[own] = seasonal_scales(values, task.cutoffs[own], task.season)
        naive[own] = seasonal_naive(values, task.cutoffs[own], task.horizon, task.season).point
    errors = errors_of(forecasts, actual, scales)
    if chosen.part is not None:
        naive2 = chosen.part.naive2_smape, chosen.part.naive2_mase
        errors["owa"] = (errors["smape"] / naive2[0] + errors["mase"] / naive2[1]) / 2
    found = {metric: errors[metric] for metric in ("mase", *chosen.metrics)}
    return found | {"naive_mase": errors_of(naive, actual, scales)["mase"]}


def errors_of(forecasts: np.ndarray, actual: np.ndarray, scales: np.ndarray) -> dict[str, float]:
    """Means over windows, of forecasts and actual values [window, step] and scales [window]."""
    windows = Windows(
        actual=actual,
        quantiles=forecasts[..., None],
        levels=(0.5,),
        absolute_scale=scales,
        square_scale=np.full_like(scales, np.nan),
    )
    by_name = {metric.name: metric.by_window for metric in POINT_METRICS}
    errors = {name: float(nanmean(by_name[name](windows))) for name in ("smape", "mase", "mae")}
    return errors | {"mse": float(nanmean(by_name["rmse"](windows) ** 2))}


def m4(part: str, folder: Path) -> pd.DataFrame:
    """The training part, and the test part after it."""
    files = [folder / f"m4_{part}_{end}" for end in ("train.csv.gz", "test.csv")]
    table = pd.concat([pd.read_csv(file) for file in files])
    return table.iloc[np.argsort(pd.factorize(table["unique_id"])[0], kind="stable")]


def columns(file: str, rows: int, trained: int, folder: Path) -> pd.DataFrame:
    """The first rows, each column a series on the mean and deviation of its training part."""
    table = pd.read_csv(folder / file, index_col="date")[:rows]
    known = table[:trained]
    table = (table - known.mean()) / known.std(ddof=0)
    return table.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")


def single(file: str, target: str, folder: Path) -> pd.DataFrame:
    """One series with the columns beside it."""
    table = pd.read_csv(folder / file).rename(columns={"date": "ds", target: "y"})
    return table.assign(unique_id=target)


def oj(folder: Path) -> pd.DataFrame:
    """Every week of each series; in missing ones the covariates of the week before."""
    table = pd.read_csv(folder / "oj_sales.csv.gz", parse_dates=["ds"])
    weeks = pd.concat(
        part.set_index("ds").asfreq("7D") for _, part in table.groupby("unique_id", sort=False)
    )
    others = weeks.columns.drop("y")
    weeks[others] = weeks[others].ffill()
    return weeks.reset_index()


def passengers(folder: Path) -> pd.DataFrame:
    """Every month."""
    table = pd.read_csv(PASSENGERS).set_axis(["ds", "y"], axis=1)
    return table.assign(unique_id="passengers")


def ett(file: str, rows: int, horizon: int, season: int) -> Set:
    """12 months to train, 4 to validate, 4 to test, of `rows` in a month of 30 days."""
    return rolling(file, 20 * rows, 12 * rows, 4 * rows, horizon, season)


def rolling(file: str, rows: int, trained: int, tested: int, horizon: int, season: int) -> Set:
    """Forecasts of all columns from every cutoff of the last `tested` of `rows`."""
    return Set(
        read=partial(columns, file, rows, trained),
        horizon=horizon,
        season=season,
        metrics=("mse", "mae"),
        windows=tested - horizon + 1,
        trained=trained,
    )


def competition(name: str) -> Set:
    """A part of M4."""
    part = PARTS[name]
    return Set(
        read=partial(m4, name),
        horizon=part.horizon,
        season=part.season,
        metrics=("smape", "owa"),
        part=part,
    )


def of_competition(name: str) -> Set:
    """Series of competitions.py."""
    horizon, season = COMPETITIONS[name]
    return Set(
        read=lambda folder: whole(name),
        horizon=horizon,
        season=season,
        metrics=("smape",),
        told=True,
    )


def planned(name: str, read: Callable[[Path], pd.DataFrame], season: int) -> Set:
    """A set of covariates.py, from its cutoffs, with what it knows ahead."""
    setting = COVARIATES[name]
    return Set(
        read=read,
        horizon=setting.horizon,
        season=season,
        metrics=("mae",),
        windows=setting.windows,
        stride=setting.step,
        future=setting.future,
        categorical=setting.categorical,
    )


SETS = {
    "m4-hourly": competition("hourly"),
    "m4-weekly": competition("weekly"),
    "etth1-96": ett("ETTh1.csv", 720, horizon=96, season=24),
    "etth1-720": ett("ETTh1.csv", 720, horizon=720, season=24),
    "ettm1-96": ett("ETTm1.csv.gz", 2_880, horizon=96, season=96),
    "exchange-96": rolling("exchange_rate.csv", 7_588, 5_311, 1_517, horizon=96, season=1),
    "epf": planned("epf", partial(single, "epf_np.csv", "price"), season=24),
    "bike": planned("bike-log", partial(single, "bike_sharing.csv", "users"), season=24),
    "vic": Set(
        read=partial(single, "vic_electricity.csv.gz", "demand"),
        horizon=48,
        season=48,
        metrics=("mae",),
        windows=90,
        stride=48,
    ),
    "oj": planned("oj", oj, season=1),
    "passengers-12": Set(read=passengers, horizon=12, season=12, metrics=("smape",)),
    "passengers-24": Set(read=passengers, horizon=24, season=12, metrics=("smape",)),
    **{name: of_competition(name) for name in COMPETITIONS},
}
