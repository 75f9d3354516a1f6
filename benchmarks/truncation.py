"""What truncated backpropagation saves: memory and seconds of whole processes at long lookbacks.

    python benchmarks/truncation.py --models gru,lstm

A made-up series of 120,000 hours is read step by step, gradients flowing through the last 256 steps
or through all. The run that reads one value shows what the rest of the process takes. A tenth of
the series is held out, whose windows validate and calibrate: most of the time goes there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from processes import CommandError, Run, markdown, run

VALUES, HORIZON, SEASON = 120_000, 24, 24
STEPS = 256
# Lookback, and whether gradients are truncated: what the process takes without reading far, what
# the others are held to, the rest.
CASES = [(1, False), (1_000, True), (100_000, True), (1_000, False), (10_000, False)]
COLUMNS = ["model", "lookback", "gradient through", "seconds", "peak MiB", "above lookback 1"]
COLUMNS += ["ratio of seconds", "ratio of peaks", "ratio above lookback 1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default="gru,lstm")
    parser.add_argument("--longest", type=int, default=100_000, help="leave out longer lookbacks")
    given = parser.parse_args()
    rows = []
    print(",".join(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "series.csv"
        series().to_csv(path, index=False, float_format="%.4f")
        for model in given.models.split(","):
            for row in compared(path, model, given.longest):
                rows.append(dict(zip(COLUMNS, row, strict=True)))
                print(*row, sep=",", flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def series() -> pd.DataFrame:
    """Days of noisy hours."""
    step = np.arange(VALUES)
    noise = np.random.default_rng(0).normal(size=VALUES)
    return pd.DataFrame({"ds": step, "y": 100 + 10 * np.sin(2 * np.pi * step / SEASON) + noise})


def compared(path: Path, model: str, longest: int) -> Iterator[list[object]]:
    """A row of the table for each case, ratios to the truncated one at lookback 1,000."""
    seconds, peaks = [], []
    for lookback, truncated in CASES:
        if lookback > longest:
            continue
        steps = min(STEPS, lookback) if truncated else lookback
        try:
            trained = train(path, model, lookback, truncated)
        except CommandError as error:
            yield [model, lookback, steps, error, *[""] * (len(COLUMNS) - 4)]
            continue
        seconds.append(trained.seconds)
        peaks.append(trained.peak_mib)
        row: list[object] = [model, lookback, steps, f"{trained.seconds:.1f}", trained.peak_mib]
        if lookback > CASES[0][0]:
            above, reference = trained.peak_mib - peaks[0], peaks[1] - peaks[0]
            ratios = trained.seconds / seconds[1], trained.peak_mib / peaks[1], above / reference
            yield [*row, above, *(f"{ratio:.2f}" for ratio in ratios)]
        else:
            yield [*row, *[""] * (len(COLUMNS) - len(row))]


def train(path: Path, model: str, lookback: int, truncated: bool) -> Run:
    """One epoch, read step by step."""
    options = ["--model", model, "--lookback", str(lookback), "--horizon", str(HORIZON)]
    options += ["--segment-length", "1", "--hidden-size", "32", "--batch-size", "4"]
    options += ["--epochs", "1", "--no-refit", "--out", str(path.parent / "model")]
    return run("train", str(path), *options, *(["--tbptt", str(STEPS)] if truncated else []))


if __name__ == "__main__":
    main()
