"""What it is worth to take the yearly component out of series of days and hours.

    python benchmarks/yearly.py FOLDER

FOLDER holds vic_electricity.csv.gz, bike_sharing.csv and epf_np.csv, of which sets.py and
covariates.py say where to have them. Of demand and temperature, bicycles and the weather that they
meet, prices, load and wind power, what lies before the test parts of those scripts becomes series
of days and of hours; beside them stand made-up days of a sinusoid of a year and autocorrelated
noise. Each is backtested by itself twice, alike but for `--no-yearly`, fitted once before the first
cutoff: mean absolute errors, and what the first has of the other.

`--walks N` counts, of N random walks and N series of noise of some lengths each, those in which a
component is found by chance.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from processes import markdown, run

from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.yearly_search import find_yearly

# The columns that become series, and the rows of the test part.
FILES = {
    "vic_electricity.csv.gz": (("demand", "temperature"), 90 * 48),
    "bike_sharing.csv": (("users", "temp", "hum"), 90 * 24),
    "epf_np.csv": (("price", "grid_load_forecast", "wind_power_forecast"), 364 * 24),
}
# Horizon, cutoffs and steps between them.
BACKTESTS = {"D": ((7, 26, 14), (30, 12, 30)), "h": ((24, 60, 48), (168, 20, 168))}
# Of made-up series: amplitude, autocorrelation and deviation of the noise.
MADE_UP = ((8, 0.7, 2.5), (5, 0.6, 3.0), (12, 0.85, 2.0))
WALK_DAYS = (731, 900, 1100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frequency", choices=BACKTESTS, help="default: both")
    parser.add_argument("--walks", type=int, metavar="N", help="count what is found by chance")
    given = parser.parse_args()
    if given.walks:
        print(markdown(pd.DataFrame(by_chance(given.walks))))
        return
    rows = []
    for name, series, frequency in every_series(given.folder):
        if given.frequency in (None, frequency):
            for setting in BACKTESTS[frequency]:
                rows.append({"series": name, **measure(series, *setting)})
                print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def every_series(folder: Path) -> Iterator[tuple[str, pd.Series, str]]:
    """The name of each series, its values by their times, and their frequency."""
    for file, (columns, tested) in FILES.items():
        table = pd.read_csv(folder / file, parse_dates=["date"], index_col="date")[:-tested]
        table.index = table.index.tz_localize(None)
        for column in columns:
            for frequency in BACKTESTS:
                means = table[column].resample(frequency).mean()[1:-1]
                yield f"{file.split('_')[0]} {column} {frequency}", means, frequency
    days = pd.date_range("2015-03-01", periods=6 * 365)
    turn = 2 * np.pi * days.day_of_year.to_numpy() / 365.25
    for seed, (amplitude, memory, deviation) in enumerate(MADE_UP):
        noise = autocorrelated(len(days), memory, np.random.default_rng(seed)) * deviation
        yield f"made up {seed} D", pd.Series(amplitude * np.sin(turn) + noise, days), "D"


def measure(series: pd.Series, horizon: int, windows: int, step: int) -> dict[str, object]:
    """The errors of both, and the least of a baseline."""
    windows = min(windows, (len(series) // 4 - horizon) // step)
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/series.csv"
        series.rename("y").rename_axis("ds").to_csv(file)
        options = {"--horizon": horizon, "--windows": windows, "--step": step, "--models": "gru"}
        words = [word for name, value in options.items() for word in (name, str(value))]
        tables = [
            run("backtest", file, *words, "--format", "csv", *more).table
            for more in ((), ("--no-yearly",))
        ]
    known = series.index[: -horizon - step * (windows - 1)]
    taken, left = (float(table["mae"].iloc[0]) for table in tables)
    return {
        "steps": horizon,
        "cutoffs": windows,
        "days before": (known[-1] - known[0]).days + 1,
        "--no-yearly": f"{left:.4g}",
        "default": f"{taken:.4g}",
        "ratio": f"{taken / left:.3f}",
        "best baseline": f"{tables[0]['mae'][1:].min() / left:.3f}",
    }


def autocorrelated(length: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of which so much is left a step later; a random walk where that is all."""
    values = rng.normal(size=length + 300)
    for place in range(1, len(values)):
        values[place] += memory * values[place - 1]
    return values[300:]


def by_chance(count: int) -> Iterator[dict[str, object]]:
    """How many of so many series of each kind and length have a component."""
    rng = np.random.default_rng(0)
    for days in WALK_DAYS:
        row: dict[str, object] = {"days": days}
        for name, memory in (("random walks", 1.0), ("memory of 0.95", 0.95), ("noise", 0.0)):
            found = [has_component(autocorrelated(days, memory, rng)) for _ in range(count)]
            row[name] = f"{np.mean(found):.1%}"
        yield row


def has_component(values: np.ndarray) -> bool:
    """Whether one is found in days of these values."""
    panel = Panel(
        ids=("walk",),
        values=values,
        offsets=np.array([0, len(values)]),
        starts=np.zeros(1, dtype=np.int64),
        frequency=Frequency(unit="microsecond", count=DAY),
    )
    return bool(find_yearly(panel))


if __name__ == "__main__":
    main()
