"""What a GPU gains: the same trainings on the CPU and on a CUDA device, whole processes in turn.

    python benchmarks/gpu.py FOLDER --repeats 3

writes made-up CSV files into FOLDER (those of scale.py; no other data are needed), and gives each
to `rnnforecast train --device cpu` and `--device cuda`: 1,000 series of 100 days by the defaults
for five epochs, and one series of 100 thousand minutes read value by value by one wide layer, where
the products are large. The error is that of the newest horizon, by which the two must agree.
Without a CUDA device only the CPU is measured.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from matrix import apart
from processes import markdown, run
from reading import spread
from scale import create, sizes

WIDE = ["--lookback", "168", "--segment-length", "1", "--hidden-size", "256", "--batch-size", "512"]
WIDE += ["--members", "1", "--epochs", "2", "--no-refit"]
CASES = {
    "defaults": ("days-1000", ["--epochs", "5"]),
    "wide": ("minutes-100000", WIDE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", default="gru,lstm")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = []
    for case, (name, options) in CASES.items():
        series, length, horizon = sizes()[name]
        path = given.folder / f"{name}.csv"
        if not path.exists():
            apart(create, path, series, length)
        for model in given.models.split(","):
            words = [str(path), "--horizon", str(horizon), "--model", model, *options]
            rows.append({"case": case, "model": model} | compared(words, devices, given.repeats))
            print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def compared(words: list[str], devices: list[str], repeats: int) -> dict[str, str]:
    """Seconds and error on each device, medians of repeats, and the ratio where there are two."""
    taken = [
        {device: trained([*words, "--device", device]) for device in devices}
        for _ in range(repeats)
    ]
    row = {}
    for device in devices:
        for what in taken[0][device]:
            values = [each[device][what] for each in taken]
            row[f"{device}: {what}"] = f"{median(values):.4g}" if what == "MASE" else spread(values)
    if len(devices) > 1:
        row["ratio of epochs"] = spread(
            [each["cpu"]["epoch, s"] / each["cuda"]["epoch, s"] for each in taken]
        )
    return row


def trained(words: list[str]) -> dict[str, float]:
    """The seconds of a training and of an epoch after the first, and its error."""
    with tempfile.TemporaryDirectory() as place:
        done = run("train", *words, "--out", str(Path(place) / "model"))
        history = pd.read_csv(Path(place) / "model" / "history.csv")["seconds"]
    return {
        "train, s": done.seconds,
        "epoch, s": float(history.diff().median()),
        "MASE": float(done.table["mase"][0]),
    }


if __name__ == "__main__":
    main()
