"""Every network on M4 hourly and on ETTh1, within one budget.

    python benchmarks/networks.py FOLDER --epochs 10

FOLDER holds m4_hourly_train.csv.gz and m4_hourly_test.csv (see sets.py) and ETTh1.csv (see
coverage.py). Each network is trained by one `rnnforecast train` with nothing given but the data,
the horizon, the epochs and --no-refit. On M4 its forecasts are scored on the official test part. On
ETTh1 it learns from the first 8,640 hours and forecasts 96 steps from every cutoff of the last
2,880 of the first 14,400, all seven columns standardised by the mean and deviation of the 8,640;
the four months between are read as lookback, but nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from processes import CommandError, Run, count_parameters, markdown, run

HOURS, TRAINED, TESTED = 14_400, 8_640, 2_880
ETT_HORIZON = 96
COLUMNS = ["set", "model", "repeat", "parameters", "smape", "mase", "owa", "mse", "mae"]
COLUMNS += ["seconds", "peak_mib", "failure"]
Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", help="default: all that `rnnforecast models` lists")
    parser.add_argument("--sets", default="m4_hourly,etth1")
    parser.add_argument("--epochs", default="10")
    parser.add_argument("--repeats", type=int, default=1, help="each with a seed of its own")
    given = parser.parse_args()
    models = given.models.split(",") if given.models else list(run(*LISTING).table["model"])
    rows = []
    print(",".join(COLUMNS), flush=True)
    for name in given.sets.split(","):
        for model in models:
            for repeat in range(given.repeats):
                options = ("--model", model, "--epochs", given.epochs, "--seed", str(repeat))
                row = {"set": name, "model": model, "repeat": repeat}
                row |= measure(SETS[name], given.folder, (*options, "--no-refit"))
                rows.append({column: row.get(column, "") for column in COLUMNS})
                print(pd.DataFrame(rows[-1:]).to_csv(index=False, header=False), end="", flush=True)
    table = pd.DataFrame(rows)
    for _, part in table.groupby("set", sort=False):
        filled = [column for column in part if (part[column] != "").any()]
        print(f"\n{markdown(part[filled])}")


def measure(train: Callable[..., Row], folder: Path, options: tuple[str, ...]) -> Row:
    """The figures of one network; where it fails, why."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            return train(folder, Path(directory), options)
        # Whatever is wrong with one network, the others are to be measured.
        except (CommandError, Exception) as error:
            return {"failure": str(error)}


def m4_hourly(folder: Path, directory: Path, options: tuple[str, ...]) -> Row:
    """Train on the training part, score on the test part."""
    known, test = (str(folder / f"m4_hourly_{part}") for part in ("train.csv.gz", "test.csv"))
    trained = run("train", known, "--horizon", "48", "--out", str(directory), *options)
    forecasts = str(directory / "forecasts.csv")
    scored = run("evaluate", forecasts, test, known, "--season", "24", "--format", "csv").table
    errors = scored.iloc[0]
    return taken(trained, directory) | {
        name: f"{errors[name]:.3f}" for name in ("smape", "mase", "owa")
    }


def etth1(folder: Path, directory: Path, options: tuple[str, ...]) -> Row:
    """Train on the first year, score on four months."""
    hours = pd.read_csv(folder / "ETTh1.csv", index_col="date")[:HOURS]
    known = hours[:TRAINED]
    hours = (hours - known.mean()) / known.std(ddof=0)
    paths = directory / "known.csv", directory / "all.csv"
    hours[:TRAINED].to_csv(paths[0])
    hours.to_csv(paths[1])
    horizon = ("--horizon", str(ETT_HORIZON))
    trained = run("train", str(paths[0]), *horizon, "--out", str(directory), *options)
    # In a process of its own, for its memory would count as that of the next training.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        errors = pool.apply(rolling_errors, (directory, paths[1]))
    return taken(trained, directory) | {name: f"{error:.4f}" for name, error in errors.items()}


def rolling_errors(directory: Path, path: Path) -> dict[str, float]:
    """MSE and MAE of the medians of a model, from every cutoff of the test part of `path`."""
    import torch

    from rnnforecast.artifact import load_artifact
    from rnnforecast.columns import DataConfig
    from rnnforecast.data.reading import read_table
    from rnnforecast.data.windows import actual_values, windows_between

    panel = read_table(str(path), DataConfig()).panel
    forecaster = load_artifact(directory, torch.device("cpu")).forecaster
    index = windows_between(panel.lengths - TESTED, panel.lengths - ETT_HORIZON)
    quantiles = forecaster.predict_at(panel, index)
    median = quantiles[..., quantiles.shape[-1] // 2]
    errors = median - actual_values(panel, index, ETT_HORIZON)
    return {"mse": float(np.square(errors).mean()), "mae": float(np.abs(errors).mean())}


def taken(trained: Run, directory: Path) -> Row:
    """What a training took, and how many weights came of it."""
    return {
        "parameters": count_parameters(directory),
        "seconds": f"{trained.seconds:.1f}",
        "peak_mib": trained.peak_mib,
    }


LISTING = ("models", "--format", "csv")
SETS: dict[str, Callable[..., Row]] = {"m4_hourly": m4_hourly, "etth1": etth1}

if __name__ == "__main__":
    main()
