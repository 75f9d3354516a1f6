"""What the intervals hold that `rnnforecast train` writes for one short series.

    python benchmarks/alone.py --seeds 6
    python benchmarks/alone.py --drawn 4

Each is trained on by itself with nothing given but the horizon, and the season where the name says
so; the values that follow are kept back. Some are made up, a line with a season and normal noise:
their widths and errors are in units of the noise, and those that nothing can better are 2.56 for
80% and 0.8. `--drawn` takes so many of each of M1, M3 and tourism instead, as starts.py does: from
their training parts, in units of the mean seasonal difference. Each takes five seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from processes import markdown, run
from starts import KINDS as DRAWN

FREQUENCIES = {"yearly": "YS", "quarterly": "QS", "monthly": "MS"}


@dataclass(frozen=True)
class Alone:
    """A series to train on by itself.

    Attributes:
        values: All of them, those kept back at the end.
        horizon: How many these are.
        frequency: pandas' name of a step.
        unit: Of widths and errors.
        options: Of `rnnforecast train`.
    """

    values: np.ndarray
    horizon: int
    frequency: str
    unit: float
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """Series that are made up.

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

    def series(self, seed: int) -> Alone:
        """One of them."""
        step = np.arange(self.length + self.horizon)
        noise = self.noise * np.random.default_rng(seed).normal(size=len(step))
        values = self.course(step) + 20 * np.sin(2 * np.pi * step / self.season) + noise
        return Alone(values, self.horizon, self.frequency, self.noise, self.options)


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
    parser.add_argument("--drawn", type=int, help="so many of each competition instead")
    given = parser.parse_args()
    if given.drawn:
        groups = {name: drawn(name, given.drawn) for name in DRAWN}
    else:
        groups = {name: list(map(kind.series, range(given.seeds))) for name, kind in KINDS.items()}
    rows = []
    for name, group in groups.items():
        found = pd.DataFrame([held(each) for each in group]).mean()
        rows.append({"series": name} | found.map("{:.2f}".format).to_dict())
        print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def drawn(name: str, count: int) -> list[Alone]:
    """So many series of each competition, of a kind of starts.py."""
    kind = replace(DRAWN[name], count=count)
    frequency = FREQUENCIES[kind.frequency]
    return [
        Alone(each.alone.series[0], each.alone.horizon, frequency, each.scale or 1.0)
        for each in kind.series()
    ]


def held(series: Alone) -> dict[str, float]:
    """The shares inside, widths, errors and mean scores of a series.

    The weighted interval score (Bracher et al. 2021) is that of the median and both intervals.
    """
    values, horizon = series.values, series.horizon
    times = pd.date_range("1965-01-01", periods=len(values), freq=series.frequency)
    with tempfile.TemporaryDirectory() as name:
        place, model = Path(name) / "series.csv", Path(name) / "model"
        known = pd.DataFrame({"ds": times, "y": values})[:-horizon]
        known.to_csv(place, index=False)
        run("train", str(place), f"--horizon={horizon}", f"--out={model}", *series.options)
        forecasts = pd.read_csv(model / "forecasts.csv")
    actual, found = values[-horizon:], {}
    errors = np.abs(forecasts["gru"].to_numpy() - actual)
    score = errors / 2
    for level in (80, 95):
        lower, upper = (forecasts[f"gru-{side}-{level}"].to_numpy() for side in ("lo", "hi"))
        found[f"inside {level}%"] = float(np.mean((lower <= actual) & (actual <= upper)))
        found[f"width {level}%"] = float(np.mean(upper - lower)) / series.unit
        beyond = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
        score += (1 - level / 100) / 2 * (upper - lower) + beyond
    return found | {
        "error": float(errors.mean()) / series.unit,
        "score": float(score.mean()) / 2.5 / series.unit,
    }


if __name__ == "__main__":
    main()
