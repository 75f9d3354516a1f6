"""Every set with every program: accuracy, seconds, memory and weights, seed by seed.

    python benchmarks/matrix.py FOLDER --peers-python PEERS/bin/python --out results.csv

FOLDER holds the files of sets.py, which has the protocols; peers.py says which other programs are
run on what, in an environment of `peers-requirements.txt`. rnnforecast is run by its command line:
`train` with the horizon, the preset, the model, the seed and the names of the covariates, no more.

One process runs at a time. Each row is appended to the results as soon as it is measured, and a row
that is there already is not measured again: a matrix that was ended goes on, and a row that is to
be measured anew is to be deleted first. Seconds and peak memory are those of the whole process that
trains; forecasts from the cutoffs of the test part are made by another one, that is not measured.
Statistical models are fitted at each cutoff, so that theirs has both. `--summary` alone prints the
table of what is there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from competitions import COMPETITIONS
from peers import Task
from processes import CommandError, Run, count_parameters, markdown, measured, run
from sets import SETS, prepare, score

PEERS = Path(__file__).with_name("peers.py")
KEYS = ["set", "program", "settings", "seed"]
ERRORS = ["smape", "mase", "owa", "mse", "mae", "naive_mase"]
COLUMNS = [*KEYS, *ERRORS, "seconds", "peak_mib", "parameters", "failure"]
Row = dict[str, object]

# Of neuralforecast by set: the lookback, gradient steps, and windows in one.
NEURALFORECAST = {
    "m4-hourly": (168, 800, 128),
    "m4-weekly": (26, 1000, 256),
    "etth1-96": (96, 500, 256),
    "etth1-720": (336, 500, 128),
    "ettm1-96": (192, 500, 256),
    "exchange-96": (96, 500, 256),
    "epf": (168, 1000, 128),
    "bike": (168, 1000, 128),
    "vic": (336, 500, 128),
    "oj": (24, 1000, 256),
    "passengers-12": (24, 500, 128),
    "passengers-24": (24, 500, 128),
    **{name: (max(2 * it.season, it.horizon), 500, 256) for name, it in COMPETITIONS.items()},
}
# Of darts: the same, where they differ from its 1000 steps of 128 after that lookback.
DARTS = {
    "m4-hourly": (96, 1000, 128),
    "passengers-12": (24, 200, 32),
    "passengers-24": (24, 200, 32),
}
# What is so skewed that networks are to have its logarithms.
SKEWED = ("oj",)
# Where a statistical fit at every cutoff takes seconds.
SHORT = ("m4-weekly", "passengers-12", "passengers-24", *COMPETITIONS)
PEER_MODELS = ("LSTM", "GRU", "DeepAR", "SeasonalNaive", "AutoETS", "AutoTheta")
PROGRAMS = ("rnnforecast", "neuralforecast", "darts", "gluonts", "statsforecast")


class Case(NamedTuple):
    """A row that is to be measured: `settings` is what names it, `options` what is run."""

    set: str
    program: str
    settings: str
    seed: int
    options: Any


def main() -> None:
    given = arguments()
    if not given.summary:
        there = set() if not given.out.exists() else set(keys(read(given.out)))
        with tempfile.TemporaryDirectory() as directory:
            for case in cases(given):
                if case[:4] not in there:
                    row = measure(case, prepared(case.set, given.folder, Path(directory)), given)
                    add(dict(zip(KEYS, case, strict=False)) | row, given.out)
    print(markdown(summary(read(given.out))))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sets", default="all")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--presets", default="default,best")
    parser.add_argument("--models", default="gru")
    parser.add_argument("--peer-models", help="of other programs; all of them unless named")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers-python", help="the interpreter of an environment that has them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    given = parser.parse_args()
    given.sets = list(SETS) if given.sets == "all" else given.sets.split(",")
    given.programs = given.programs.split(",")
    given.peer_models = PEER_MODELS if given.peer_models is None else given.peer_models.split(",")
    asked = {*given.sets, *given.programs, *given.peer_models}
    if unknown := asked - {*SETS, *PROGRAMS, *PEER_MODELS}:
        parser.error(f"no such set, program or model: {', '.join(sorted(unknown))}")
    if not given.summary and given.folder is None:
        parser.error("pass the folder of the data")
    if not given.summary and given.peers_python is None and given.programs != ["rnnforecast"]:
        parser.error("pass --peers-python, or --programs rnnforecast")
    return given


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """All rows, those of the first seed first."""
    for seed in range(given.seeds):
        for name in given.sets:
            for program in given.programs:
                if program == "rnnforecast":
                    for preset in given.presets.split(","):
                        for model in given.models.split(","):
                            words = [] if preset == "default" else ["--preset", preset]
                            options = [*words, "--model", model]
                            yield Case(name, program, f"{preset} {model}", seed, options)
                # No chance is in statistical models.
                elif program != "statsforecast" or seed == 0:
                    for model, options in peer_options(name, program).items():
                        if model in given.peer_models:
                            yield Case(name, program, model, seed, options)


def peer_options(name: str, program: str) -> dict[str, dict[str, object]]:
    """The models of a program that are run on a set, and their options."""
    read, steps, windows = NEURALFORECAST[name]
    shared, few = {"log": name in SKEWED}, name.startswith("passengers")
    if program == "neuralforecast":
        options = {"input_size": read, "max_steps": steps, "windows_batch_size": windows}
        options |= {"encoder_hidden_size": 64 if few else 128, "scaler_type": "standard"}
        options |= {"start_padding_enabled": name in COMPETITIONS}
        return dict.fromkeys(
            ("LSTM", "GRU"), shared | options | {"num_lr_decays": -1 if few else 3}
        )
    # darts has no window of a series that is shorter than lookback and horizon.
    if program == "darts" and name not in COMPETITIONS:
        read, steps, windows = DARTS.get(name, (read, 1000, 128))
        options = {"input_chunk_length": read, "max_steps": steps, "batch_size": windows}
        options |= {"squared": few or "mse" in SETS[name].metrics}
        return dict.fromkeys(("LSTM", "GRU"), shared | options | {"hidden_dim": 64})
    if program in ("darts", "gluonts"):
        return {"DeepAR": {"max_epochs": 60}} if name == "m4-hourly" else {}
    models = ("SeasonalNaive", "AutoETS", "AutoTheta")
    return {model: {} for model in (models if name in SHORT else models[:1])}


def prepared(name: str, folder: Path, directory: Path) -> Path:
    """Where the files of a set are, which are written when they are first asked for."""
    place = directory / name
    if not place.exists():
        place.mkdir()
        apart(prepare, name, folder, place)
    return place


def apart(function: Callable[..., Any], *given: object) -> Any:
    """Call in a process of its own, for its memory would count as that of the next training."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def measure(case: Case, files: Path, given: argparse.Namespace) -> Row:
    """The figures of one row; where it fails, why."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        shutil.copytree(files, directory, dirs_exist_ok=True)
        try:
            if case.program == "rnnforecast":
                trained, weights = own(case, directory)
            else:
                trained, weights = peer(case, directory, given.peers_python)
            errors = apart(score, case.set, directory)
        # Whatever is wrong with one row, the others are to be measured.
        except (CommandError, Exception) as error:
            return {"failure": str(error) or type(error).__name__}
    row = {name: f"{error:.5g}" for name, error in errors.items()}
    seconds = f"{trained.seconds:.1f}"
    return row | {"seconds": seconds, "peak_mib": trained.peak_mib, "parameters": weights}


def own(case: Case, directory: Path) -> tuple[Run, int]:
    """Train by the command line, forecast from every cutoff."""
    chosen, model = SETS[case.set], directory / "model"
    words = ["train", str(directory / "known.csv"), "--horizon", str(chosen.horizon)]
    words += ["--out", str(model), "--seed", str(case.seed), *case.options, *chosen.roles()]
    trained = run(*words)
    apart(forecast, directory)
    return trained, count_parameters(model)


def forecast(directory: Path) -> None:
    """Write the medians of the model in a directory from every cutoff of its task."""
    import torch

    from rnnforecast.artifact import load_artifact
    from rnnforecast.data.source import open_source
    from rnnforecast.data.windows import WindowIndex
    from rnnforecast.workflows.covariates import SideTables
    from rnnforecast.workflows.forecast import encoded, read_to_forecast
    from rnnforecast.workflows.reporting import Mute

    task = Task.load(directory)
    artifact = load_artifact(directory / "model", torch.device("cpu"))
    source = open_source(str(directory / "all.csv"))
    table = read_to_forecast(source, artifact, SideTables(), Mute())
    panel = encoded(table, artifact.forecaster.config).panel
    if not np.array_equal(panel.offsets, task.offsets):
        raise ValueError("the series were read otherwise than they were written")
    forecaster = artifact.forecaster
    middle = forecaster.config.model.quantile_levels.index(0.5)
    forecasts = []
    for windows in task.chunks():
        index = WindowIndex(series=task.series[windows], cutoffs=task.cutoffs[windows])
        forecasts.append(forecaster.predict_at(panel, index)[..., middle])
    np.save(directory / "forecasts.npy", np.concatenate(forecasts))


def peer(case: Case, directory: Path, python: str) -> tuple[Run, int]:
    """Train another program, and forecast from every cutoff; settings end with the model."""
    model = case.settings.split()[-1]
    words = [case.program, model, json.dumps(case.options), str(case.seed), str(directory)]
    # -P, for `coverage.py` here is not the package of that name, which numba looks for.
    start = [python, "-P", str(PEERS)]
    trained, _ = (measured([*start, stage, *words], stage) for stage in ("train", "forecast"))
    return trained, int((directory / "parameters").read_text())


def read(path: Path) -> pd.DataFrame:
    """The results so far."""
    return pd.read_csv(path)


def keys(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, int]]:
    """Which rows there are."""
    return rows[KEYS].itertuples(index=False, name=None)


def add(row: Row, path: Path) -> None:
    """Append one row, below a header where it is the first."""
    table = pd.DataFrame([row], columns=COLUMNS)
    table.to_csv(path, mode="a", header=not path.exists(), index=False)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, with deviations where there are several; the largest peak."""
    table = []
    for names, part in rows.groupby(KEYS[:3], sort=False):
        row = dict(zip(KEYS, names, strict=False)) | {"seeds": len(part)}
        row |= {name: spread(part[name]) for name in [*ERRORS, "seconds"]}
        row |= {name: spread(part[name][:1]) for name in ("peak_mib", "parameters")}
        table.append(row | {"failures": int(part["failure"].notna().sum())})
    return pd.DataFrame(table)


def spread(values: pd.Series) -> str:
    """Mean and deviation in four digits; empty where there is none."""
    values = values.dropna()
    if not len(values):
        return ""
    mean = f"{values.mean():.4g}"
    return mean if len(values) == 1 else f"{mean} ± {values.std():.2g}"


if __name__ == "__main__":
    main()
