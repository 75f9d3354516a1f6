"""What covariates are worth: the same model with and without them.

    python benchmarks/covariates.py FOLDER --seeds 3

FOLDER holds

- epf_np.csv: hourly prices of Nord Pool with the load and wind power forecast of the day before
  (github.com/jeslago/epftoolbox; here as dataset/EPF/NP.csv of github.com/thuml/TimeXer, its column
  names in lower case). The last year is forecast, a day at each midnight.
- bike_sharing.csv: hourly users of rented bicycles with calendar and weather
  (data/bike_sharing_dataset_clean.csv of github.com/skforecast/skforecast-datasets). The last 90
  days are forecast, a day at each midnight; `bike` reads the calendar ahead, `weather` the observed
  weather as well, as if it had been forecast without error. Both on plain values: without
  covariates, too, these forecast the 90 days before better than logarithms (51 users to 55).
  `bike-log` is `bike` on logarithms, as is the default where all values are positive.
- oj_sales.csv.gz: weekly sales of 11 brands of orange juice in 83 stores with price and promotions
  (data/orangeJuice.rda of github.com/cran/bayesm, its `logmove` as units). Eight weeks are forecast
  from each of four cutoffs, four weeks apart.

Each row is two runs of `rnnforecast backtest`, alike but for the covariates, which fit once, before
the first cutoff. Errors are the mean absolute ones of the medians, in the target's own units.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from processes import Run, markdown, run

WIDE = ("--time-col", "date", "--target-col")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A file, how it is backtested, and the options that name its covariates."""

    file: str
    horizon: int
    windows: int
    step: int
    columns: tuple[str, ...]
    future: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()

    def words(self, folder: Path) -> list[str]:
        """Those of the run that reads no covariates."""
        given = {"--horizon": self.horizon, "--windows": self.windows, "--step": self.step}
        options = [word for name, value in given.items() for word in (name, str(value))]
        file = str(folder / self.file)
        return ["backtest", file, *self.columns, *self.scale, *options, "--format", "csv"]

    def covariates(self) -> list[str]:
        """What the other run is told on top."""
        ahead = [word for name in self.future for word in ("--future", name)]
        return ahead + [word for name in self.categorical for word in ("--categorical", name)]


CALENDAR = ("holiday", "workingday", "month", "hour", "weekday")
WEATHER = ("weather", "temp", "atemp", "hum", "windspeed")
PARTS = ("month", "hour", "weekday")


def bike(*future: str, scale: tuple[str, ...] = ("--no-log",)) -> Setting:
    """The same days, with these covariates."""
    return Setting(
        file="bike_sharing.csv",
        horizon=24,
        windows=90,
        step=24,
        columns=(*WIDE, "users"),
        future=future,
        categorical=PARTS,
        scale=scale,
    )


SETS = {
    "epf": Setting(
        file="epf_np.csv",
        horizon=24,
        windows=364,
        step=24,
        columns=(*WIDE, "price"),
        future=("grid_load_forecast", "wind_power_forecast"),
    ),
    "bike": bike(*CALENDAR),
    "bike-log": bike(*CALENDAR, scale=()),
    "weather": bike(*CALENDAR, *WEATHER),
    "oj": Setting(
        file="oj_sales.csv.gz",
        horizon=8,
        windows=4,
        step=4,
        columns=("--id-col", "unique_id", "--time-col", "ds", "--target-col", "y"),
        future=("price", "deal", "feat"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(SETS)}; default: all")
    parser.add_argument("--model", default="gru")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if unknown := set(given.sets) - set(SETS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    rows = []
    for name in given.sets or SETS:
        for seed in range(given.seeds):
            options = ("--models", given.model, "--seed", str(seed))
            rows.append({"set": name, "seed": seed} | measure(SETS[name], given.folder, options))
            newest = pd.DataFrame(rows[-1:])
            print(newest.to_csv(index=False, header=len(rows) == 1), end="", flush=True)
    table = pd.DataFrame(rows)
    for name in dict.fromkeys(table["set"]):
        ratio = table.loc[table["set"] == name, "ratio"].astype(float)
        print(f"{name}: ratio {ratio.mean():.3f}, {ratio.min():.3f} to {ratio.max():.3f}")
    print(f"\n{markdown(table)}")


def measure(setting: Setting, folder: Path, options: tuple[str, ...]) -> dict[str, object]:
    """The errors without and with covariates, and what the runs took."""
    words = [*setting.words(folder), *options]
    without, having = run(*words), run(*words, *setting.covariates())
    errors = error_of(without), error_of(having)
    return {
        "mae_without": f"{errors[0]:.4g}",
        "mae_with": f"{errors[1]:.4g}",
        "ratio": f"{errors[1] / errors[0]:.3f}",
        "seconds_without": f"{without.seconds:.0f}",
        "seconds_with": f"{having.seconds:.0f}",
    }


def error_of(taken: Run) -> float:
    """The mean absolute error of the network, whose row is the first."""
    return float(taken.table["mae"].iloc[0])


if __name__ == "__main__":
    main()
