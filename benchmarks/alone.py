"""What the intervals hold that `rnnforecast train` writes for one short series.

    python benchmarks/alone.py --seeds 6

Series are made up, a line with a season and normal noise, each trained on by itself with nothing
given but the horizon, and the season where the name says so; the values that follow are kept back.
Widths and errors are in units of the noise: those that nothing can better are 2.56 for 80% and 0.8.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from processes import markdown, run


@dataclass(frozen=True)
class Kind:
    """A series to train on alone.

    Attributes:
        length: Values to train on.
        horizon: Values kept back.
        season: Steps in one.
        frequency: pandas' name of a step.
        noise: Its deviation.
        course: What the noise is added to, from steps [length + horizon].
        options: Of `rnnforecast train`.
    """

    length: int
    horizon: int
    season: int
    frequency: str
    noise: float
    course: Callable[[np.ndarray], np.ndarray]
    options: tuple[str, ...] = ()

    def values(self, seed: int) -> np.ndarray:
        """All of them, those kept back at the end."""
        step = np.arange(self.length + self.horizon)
        noise = self.noise * np.random.default_rng(seed).normal(size=len(step))
        return self.course(step) + 20 * np.sin(2 * np.pi * step / self.season) + noise


def growing(step: np.ndarray) -> np.ndarray:
    """A line."""
    return 100 + 1.5 * step


def stepping(step: np.ndarray) -> np.ndarray:
    """A level that once changed."""
    return np.where(step < 150, 200.0, 320.0)


KINDS = {
    "24 months": Kind(24, 6, 12, "MS", 3, growing),
    "36 months, season told": Kind(36, 6, 12, "MS", 3, growing, ("--season", "12")),
    "60 months": Kind(60, 12, 12, "MS", 3, growing),
    "120 months": Kind(120, 12, 12, "MS", 3, growing),
    "208 weeks, new level": Kind(208, 8, 52, "W-MON", 5, stepping),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    given = parser.parse_args()
    rows = []
    for name, kind in KINDS.items():
        found = pd.DataFrame([held(kind, seed) for seed in range(given.seeds)]).mean()
        rows.append({"series": name} | found.map("{:.2f}".format).to_dict())
        print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def held(kind: Kind, seed: int) -> dict[str, float]:
    """The shares inside, widths and errors of one series."""
    values = kind.values(seed)
    times = pd.date_range("2015-01-01", periods=len(values), freq=kind.frequency)
    with tempfile.TemporaryDirectory() as name:
        place, model = Path(name) / "series.csv", Path(name) / "model"
        known = pd.DataFrame({"ds": times, "y": values})[: kind.length]
        known.to_csv(place, index=False)
        run("train", str(place), f"--horizon={kind.horizon}", f"--out={model}", *kind.options)
        forecasts = pd.read_csv(model / "forecasts.csv")
    actual, found = values[kind.length :], {}
    for level in (80, 95):
        lower, upper = (forecasts[f"gru-{side}-{level}"].to_numpy() for side in ("lo", "hi"))
        found[f"inside {level}%"] = float(np.mean((lower <= actual) & (actual <= upper)))
        found[f"width {level}%"] = float(np.mean(upper - lower)) / kind.noise
    errors = np.abs(forecasts["gru"].to_numpy() - actual)
    return found | {"error": float(errors.mean()) / kind.noise}


if __name__ == "__main__":
    main()
