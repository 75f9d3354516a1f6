"""What the start of the linear skip forecasts by itself, of single short series.

    python benchmarks/starts.py FOLDER --changes "start uneven,start by chance"

FOLDER holds the files of sets.py. Series of the training parts of M1, M3 and tourism and of M4's
weeks, some of them cut to their newest values, are each a panel of their own, whose last horizon is
forecast by the start that the values before it give, nothing trained. Errors are absolute ones over
the mean seasonal difference of the whole series: their mean and geometric mean over series, as the
defaults have it and with each change of choices.py. One thread; five minutes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from augmenting import CPU, Set, split
from choices import CHANGES, Change
from competitions import COMPETITIONS, training_parts
from processes import markdown
from validation import SETS

from rnnforecast.columns import DataConfig
from rnnforecast.data.windows import actual_values
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.estimation.fitting import prepared
from rnnforecast.forecaster import gather_windows


@dataclass(frozen=True)
class Kind:
    """Series of three competitions.

    Attributes:
        frequency: As `competitions.py` names it.
        count: Series of each competition.
        newest: Of each series, the values before what is forecast; None is all.
        horizon: Steps to forecast; None is the competition's.
    """

    frequency: str
    count: int
    newest: int | None = None
    horizon: int | None = None

    def series(self) -> list[Series]:
        """Those that are drawn."""
        found = []
        for competition in ("m1", "m3", "tourism"):
            usual, season = COMPETITIONS[f"{competition}-{self.frequency}"]
            horizon = self.horizon or usual
            least = horizon + max(2 * season + 2, 6) if self.newest is None else 4 * season
            parts = training_parts(f"{competition}-{self.frequency}")
            parts = [part for part in parts if len(part) - horizon >= max(least, self.newest or 0)]
            places = np.random.default_rng(11).choice(len(parts), self.count, replace=False)
            for place in places:
                part = parts[place]
                kept = part if self.newest is None else part[-self.newest - horizon :]
                chosen = Set([kept], season, horizon, cutoffs=1, stride=1, told=True)
                found.append(Series(chosen, float(np.abs(part[season:] - part[:-season]).mean())))
        return found


@dataclass(frozen=True)
class Series:
    """One of them, and what its errors are divided by."""

    alone: Set
    scale: float

    def error(self, change: Change) -> float:
        """The mean absolute error of the start over its last horizon."""
        panel, known, index = split(self.alone)
        settings = self.alone.settings(0, preset="fast")
        config = resolve(settings, find_facts(known), DataConfig())
        with change.code():
            network, _ = prepared(known, config, CPU, None)
        window = gather_windows(panel, index, config, device=CPU).gather(torch.arange(1))
        with torch.no_grad():
            quantiles = network.started(window.values, window.mask)
        start = quantiles[..., quantiles.shape[2] // 2].double().numpy()
        start = np.exp(start) if config.model.log else start
        actual = actual_values(panel, index, self.alone.horizon)
        return float(np.abs(start.reshape(actual.shape) - actual).mean()) / (self.scale or 1.0)


KINDS = {
    "years": Kind("yearly", 80),
    "quarters": Kind("quarterly", 80),
    "12 quarters": Kind("quarterly", 60, newest=12, horizon=4),
    "months": Kind("monthly", 60),
    "36 months": Kind("monthly", 60, newest=36, horizon=12),
    "24 months": Kind("monthly", 60, newest=24, horizon=6),
    "18 months": Kind("monthly", 60, newest=18, horizon=6),
}


def weeks(folder: Path) -> list[Series]:
    """The newest 260 of sixty of M4's weekly series."""
    whole = SETS["m4-weekly"](folder)
    assert isinstance(whole, Set)
    chosen = [part[-260:] for part in whole.series if len(part) >= 130][:60]
    return [
        Series(Set([part], 1, 13, cutoffs=1, stride=1), float(np.abs(np.diff(part)).mean()))
        for part in chosen
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changes", default="start uneven,start by chance,start without ridge")
    given = parser.parse_args()
    torch.set_num_threads(1)
    changes = {"defaults": Change()} | {name: CHANGES[name] for name in given.changes.split(",")}
    groups = {name: kind.series() for name, kind in KINDS.items()} | {"weeks": weeks(given.folder)}
    rows = []
    for name, group in groups.items():
        row: dict[str, str | int] = {"series": name, "count": len(group)}
        for label, change in changes.items():
            errors = np.array([each.error(change) for each in group])
            geometric = np.exp(np.log(errors.clip(min=1e-3)).mean())
            row[label] = f"{errors.mean():.3f} ({geometric:.3f})"
        rows.append(row)
        print(row, flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


if __name__ == "__main__":
    main()
