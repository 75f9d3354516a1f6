"""What yearly seasonality is worth in a panel: where noise hides it, and to series that are new.

    python benchmarks/yearly_panels.py

Made-up shops of three years of days: a level and a drift each, a week, a year whose shape is part
theirs and part everybody's, and autocorrelated noise; beside most of them, shops of 70 to 600 days.
Each panel is trained on twice, alike but for `--no-yearly` (`--preset fast`), thirty days before
its end: the mean errors over those days in shares of the shop's mean, of older shops and of new
ones, and what the first has of the other.

`--chance N` counts, of N panels of each kind and size whose series share nothing, or no more than
a random walk, those in which a new series would be given what they share.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from processes import markdown, run
from yearly import autocorrelated

from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.yearly_search import find_yearly

HORIZON, DAYS = 30, 1100
CHANCE_DAYS, CHANCE_SERIES = (731, 1100), (2, 3, 8, 20)
COLUMNS = ("unique_id", "ds", "y")


@dataclass(frozen=True, kw_only=True)
class Shops:
    """A kind of panel.

    Attributes:
        old: Shops of three years.
        new: Shops that opened since.
        shared: What share of the shape of a year is everybody's.
        size: Of the year, in logarithms.
        noise: Its deviation, in logarithms.
        memory: What is left of the noise a day later.
        counts: Whether days are counts of which many are 0.
        closed: Whether nothing is ever sold on Sundays.
        odd: Shops among the old ones that go through the year the other way, without noise.
    """

    old: int
    new: int
    shared: float = 0.8
    size: float = 0.3
    noise: float = 0.15
    memory: float = 0.7
    counts: bool = False
    closed: bool = False
    odd: int = 0


KINDS = {
    "noise hides it": Shops(old=12, new=0, size=0.1),
    "more noise": Shops(old=12, new=0, size=0.15, noise=0.3),
    "new shops": Shops(old=8, new=4),
    "new shops, noise": Shops(old=8, new=4, size=0.1),
    "new shops, half shared": Shops(old=8, new=4, shared=0.5),
    "new shops, none shared": Shops(old=8, new=4, shared=0.0),
    "new shops, counts": Shops(old=8, new=4, counts=True),
    "new shops, closed on Sundays": Shops(old=8, new=4, closed=True),
    "new shops, one the other way": Shops(old=8, new=4, odd=1),
    "no year": Shops(old=8, new=4, size=0.0, noise=0.4, memory=0.995),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="panels of each kind")
    parser.add_argument("--chance", type=int, metavar="N", help="count what is found by chance")
    given = parser.parse_args()
    rows = []
    for row in by_chance(given.chance) if given.chance else by_kind(given.seeds):
        rows.append(row)
        print(row, flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def by_kind(seeds: int) -> Iterator[dict[str, object]]:
    """The errors of older and of new shops, in the mean over panels."""
    for kind, shops in KINDS.items():
        errors = pd.concat([errors_of(made_up(shops, seed)) for seed in range(seeds)])
        for age, part in errors.groupby("age", sort=False):
            taken, left = part["default"], part["--no-yearly"]
            yield {
                "panels": kind,
                "shops": age,
                "--no-yearly": f"{left.mean():.4f}",
                "default": f"{taken.mean():.4f}",
                "ratio": f"{taken.mean() / left.mean():.3f}",
                "by panel": ", ".join(f"{each:.3f}" for each in taken / left),
            }


def made_up(shops: Shops, seed: int) -> pd.DataFrame:
    """Days of shops, those of a horizon after the last one known among them."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2021-02-10", periods=DAYS + HORIZON)
    years = np.arange(len(days)) / 365.25
    weekday = 2 * np.pi * days.day_of_week.to_numpy() / 7
    everybody, week = shape(days, rng), 0.25 * np.sin(weekday + rng.uniform(0, 6))
    tables = []
    for place in range(shops.old + shops.new):
        own = shops.shared * everybody + (1 - shops.shared) * shape(days, rng)
        noise = autocorrelated(len(days), shops.memory, rng) * np.sqrt(1 - shops.memory**2)
        if place < shops.odd:
            own, noise = -own, 0 * noise
        level, drift = rng.normal(4, 1), rng.normal(0, 0.1)
        values = np.exp(
            level
            + drift * years
            + shops.size * own
            + rng.uniform(0.5, 1.5) * week
            + shops.noise * noise
        )
        if shops.counts:
            values = rng.poisson(values / 20).astype(float)
        if shops.closed:
            values[days.day_of_week == 6] = 0
        first = 0 if place < shops.old else DAYS - int(rng.integers(70, 600))
        table = pd.DataFrame({"ds": days, "y": values.round(3), "unique_id": f"shop {place}"})
        tables.append(table[first:].assign(age="new" if first else "old"))
    return pd.concat(tables)


def shape(days: pd.DatetimeIndex, rng: np.random.Generator) -> np.ndarray:
    """A year that two waves make up."""
    turn = 2 * np.pi * days.day_of_year.to_numpy() / 365.25
    first, second = rng.uniform(0, 2 * np.pi, 2)
    return np.sin(turn + first) + 0.5 * np.sin(2 * turn + second)


def errors_of(table: pd.DataFrame) -> pd.DataFrame:
    """By the age of shops, the mean error of their last days in shares of their means."""
    ahead = table.groupby("unique_id").cumcount(ascending=False) < HORIZON
    known, then = table[~ahead], table[ahead].set_index(["unique_id", "ds"])
    means = known.groupby("unique_id")["y"].mean()
    errors = {}
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/shops.csv"
        known.to_csv(file, columns=COLUMNS, index=False)
        words = ("--horizon", str(HORIZON), "--preset", "fast", "--format", "csv")
        for name, more in {"default": (), "--no-yearly": ("--no-yearly",)}.items():
            place = f"{directory}/{name}"
            run("train", file, *words, "--out", place, *more)
            found = pd.read_csv(f"{place}/forecasts.csv", parse_dates=["ds"])
            found = found.set_index(["unique_id", "ds"])["gru"]
            shares = (found - then["y"]).abs() / then.index.get_level_values(0).map(means)
            errors[name] = shares.groupby(then["age"]).mean()
    return pd.DataFrame(errors).rename_axis("age").reset_index()


def by_chance(count: int) -> Iterator[dict[str, object]]:
    """How many of so many panels of each kind, size and length share a year."""
    rng = np.random.default_rng(0)
    for series in CHANCE_SERIES:
        for days in CHANCE_DAYS:
            kinds = {
                "years of their own": partial(own_years, series, days, rng),
                "random walks": partial(walks, series, days, rng, 0.0),
                "walks with a common part": partial(walks, series, days, rng, 1.0),
            }
            found = {
                name: f"{np.mean([shares_a_year(make()) for _ in range(count)]):.1%}"
                for name, make in kinds.items()
            }
            yield {"series": series, "days": days, **found}


def own_years(series: int, days: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Years that have nothing to do with each other, and noise."""
    times = pd.date_range("2021-02-10", periods=days)
    noise = (autocorrelated(days, 0.7, rng) for _ in range(series))
    return [0.3 * shape(times, rng) + 0.1 * each for each in noise]


def walks(series: int, days: int, rng: np.random.Generator, common: float) -> list[np.ndarray]:
    """Random walks, and so much of another one in all."""
    everybody = common * autocorrelated(days, 1.0, rng)
    return [everybody + 0.7 * autocorrelated(days, 1.0, rng) for _ in range(series)]


def shares_a_year(series: list[np.ndarray]) -> bool:
    """Whether logarithms of days have a year in common."""
    panel = Panel(
        ids=tuple(map(str, range(len(series)))),
        values=np.exp(np.concatenate(series) / 20),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        starts=np.full(len(series), 18_668 * DAY, dtype=np.int64),
        frequency=Frequency(unit="microsecond", count=DAY),
    )
    return bool(find_yearly(panel, log=True).shared)


if __name__ == "__main__":
    main()
