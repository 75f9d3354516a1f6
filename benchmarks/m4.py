"""Train on a part of M4 from the command line, with defaults; score on the official test part.

    python benchmarks/m4.py FOLDER hourly --seeds 3

FOLDER holds m4_hourly_train.csv.gz and m4_hourly_test.csv (and weekly): `Dataset/Train` and
`Dataset/Test` of the repository Mcompetitions/M4-methods in long form, unique_id,ds,y, with
ds = 1, 2, ... running on from the training to the test part. Words after -- go to
`rnnforecast train`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from processes import run

from rnnforecast.evaluation.metrics import POINT_METRICS, nanmean, seasonal_scale
from rnnforecast.evaluation.windows import Windows


@dataclass(frozen=True)
class Part:
    """The horizon, the season of MASE, and the published errors of Naive2 (Makridakis 2020)."""

    horizon: int
    season: int
    naive2_smape: float
    naive2_mase: float


PARTS = {"hourly": Part(48, 24, 18.383, 2.395), "weekly": Part(13, 1, 9.161, 2.777)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("options", nargs="*", help="after --: options of rnnforecast train")
    given = parser.parse_args()
    part = PARTS[given.part]
    train = pd.read_csv(given.folder / f"m4_{given.part}_train.csv.gz")
    test = pd.read_csv(given.folder / f"m4_{given.part}_test.csv")
    print("seed,smape,mase,owa,seconds,peak_mib", flush=True)
    scores = []
    for seed in range(given.seeds):
        forecasts, seconds, peak = train_once(given.folder, given.part, part, seed, given.options)
        errors = score(train, test, forecasts, part)
        scores.append(errors[2])
        print(
            seed, *(f"{error:.4f}" for error in errors), f"{seconds:.1f}", peak, sep=",", flush=True
        )
    if len(scores) > 1:
        print(f"OWA mean {statistics.mean(scores):.4f}, deviation {statistics.stdev(scores):.4f}")


def train_once(
    folder: Path, name: str, part: Part, seed: int, options: list[str]
) -> tuple[pd.DataFrame, float, int]:
    """Forecasts, whole-process seconds and peak memory in MiB of one training."""
    with tempfile.TemporaryDirectory() as directory:
        words = ["train", str(folder / f"m4_{name}_train.csv.gz"), "--horizon", str(part.horizon)]
        trained = run(*words, "--out", directory, "--seed", str(seed), *options)
        forecasts = pd.read_csv(Path(directory) / "forecasts.csv")
    return forecasts, trained.seconds, trained.peak_mib


def score(
    train: pd.DataFrame, test: pd.DataFrame, forecasts: pd.DataFrame, part: Part
) -> tuple[float, float, float]:
    """sMAPE, MASE and OWA of the competition, from the third column of `forecasts`."""
    joined = test.merge(forecasts, on=["unique_id", "ds"], how="left", validate="1:1")
    shape = (-1, part.horizon)
    actual = joined["y"].to_numpy().reshape(shape)
    forecast = joined.iloc[:, 3].to_numpy().reshape(shape)
    if np.isnan(forecast).any():
        raise SystemExit("a step of the test part has no forecast")
    histories = dict(tuple(train.groupby("unique_id")["y"]))
    ids = joined["unique_id"].to_numpy()[:: part.horizon]
    scale = np.array([seasonal_scale(histories[name].to_numpy(), part.season) for name in ids])
    windows = Windows(
        actual=actual,
        quantiles=forecast[..., None],
        levels=(0.5,),
        absolute_scale=scale,
        square_scale=np.full_like(scale, np.nan),
    )
    metrics = {metric.name: metric for metric in POINT_METRICS}
    percent, scaled = (
        float(nanmean(metrics[name].by_window(windows))) for name in ("smape", "mase")
    )
    return percent, scaled, (percent / part.naive2_smape + scaled / part.naive2_mase) / 2


if __name__ == "__main__":
    main()
