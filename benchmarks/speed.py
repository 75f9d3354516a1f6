"""Seconds that training takes, side by side with neuralforecast and darts.

    python benchmarks/speed.py FOLDER --peers-python PEERS/bin/python --out speed.csv

Two questions, each on the sets and by the programs of matrix.py, a whole process each, one at a
time and in turn: what the accuracy of a peer's best network costs here, and what the same network
costs on the same windows. `--summary` alone prints the table of what is there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matrix import KEYS, Case, add, keys, measure, peer_options, prepared, read
from processes import markdown

# By set: the best network of neuralforecast's there, and as much training as reaches its accuracy.
RIVALS = {"m4-hourly": "LSTM", "etth1-96": "LSTM", "passengers-12": "GRU"}
ENOUGH = ["--preset", "fast", "--epochs", "1"]
# 600 steps of 256 windows, of which 96 values are read one by one by a layer of 128 units.
SAME = ["--members", "1", "--lookback", "96", "--segment-length", "1", "--hidden-size", "128"]
SAME += ["--batch-size", "256", "--epochs", "10", "--no-refit"]
SAME_PEERS = {
    "neuralforecast": {
        "input_size": 96,
        "max_steps": 600,
        "windows_batch_size": 256,
        "encoder_hidden_size": 128,
        "encoder_n_layers": 1,
        "scaler_type": "standard",
    },
    "darts": {
        "input_chunk_length": 96,
        "max_steps": 600,
        "batch_size": 256,
        "hidden_dim": 128,
        "squared": False,
    },
}


def main() -> None:
    given = arguments()
    if not given.summary:
        there = set() if not given.out.exists() else set(keys(read(given.out)))
        with tempfile.TemporaryDirectory() as directory:
            for repeat in range(given.repeats):
                for case in cases(repeat):
                    if case[:4] not in there:
                        files = prepared(case.set, given.folder, Path(directory))
                        row = measure(case, files, given)
                        add(dict(zip(KEYS, case, strict=False)) | row, given.out)
    print(markdown(summary(read(given.out))))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--peers-python", help="the interpreter of an environment that has them")
    parser.add_argument("--repeats", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    given = parser.parse_args()
    if not given.summary and (given.folder is None or given.peers_python is None):
        parser.error("pass the folder of the data and --peers-python")
    return given


def cases(repeat: int) -> Iterator[Case]:
    """All that is timed, ours before those it is compared with."""
    for name, model in RIVALS.items():
        yield Case(name, "rnnforecast", "to accuracy", repeat, ENOUGH)
        given = peer_options(name, "neuralforecast")[model]
        yield Case(name, "neuralforecast", model, repeat, given)
    for model in ("gru", "lstm"):
        options = ["--model", model, *SAME]
        yield Case("m4-hourly", "rnnforecast", f"same {model}", repeat, options)
        for program, chosen in SAME_PEERS.items():
            yield Case("m4-hourly", program, f"same {model.upper()}", repeat, chosen)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over the repeats, and the least and the most."""
    table = []
    for names, part in rows.groupby(KEYS[:3], sort=False):
        seconds = part["seconds"]
        spread = f"{seconds.median():.1f} ({seconds.min():.1f} to {seconds.max():.1f})"
        errors = {name: f"{part[name].median():.4g}" for name in ("owa", "mse", "smape")}
        row = dict(zip(KEYS, names, strict=False)) | {"repeats": len(part), "seconds": spread}
        table.append(row | {"peak MiB": int(part["peak_mib"].median())} | errors)
    return pd.DataFrame(table).replace("nan", "")


if __name__ == "__main__":
    main()
