"""`rnnforecast selftest`: that no model sees what follows its cutoff, tried on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.workflows.backtest import BacktestRequest, backtest
from rnnforecast.workflows.forecast_rows import CUTOFF
from rnnforecast.workflows.reporting import Mute, Reporter

HORIZON, CUTOFFS = 3, 3
LENGTHS = {"a": 48, "b": 61, "c": 40, "d": 52}
GAPS = [5, 6, 30, 44, 51]
# What every value after a cutoff is replaced by.
OTHER_FUTURE = 1e9
BLIND, SEES, DEAF = "sees no future", "sees the future", "ignores the past"


def selftest(models: tuple[str, ...], reporter: Reporter, device: str = "auto") -> pd.DataFrame:
    """Backtest every model twice for each cutoff: as it was, and with another future after it.

    Generated series go the whole way from a file to calibrated forecasts. Not a bit of what was
    forecast from the cutoff or an earlier one may differ, and what was forecast from later ones
    must.

    Returns:
        One row a network or baseline, with its verdict and the first forecast that differs.
    """
    series = _series()
    cutoffs = {name: length - HORIZON * CUTOFFS for name, length in LENGTHS.items()}
    with reporter.counting("perturbing the future", CUTOFFS) as done:
        one = _forecasts(series, models, device)
        others = []
        for rank in range(CUTOFFS):
            first = series["unique_id"].map(cutoffs) + rank * HORIZON
            future = series["ds"] >= first
            changed = series.assign(y=series["y"].mask(future & series["y"].notna(), OTHER_FUTURE))
            others.append(_forecasts(changed, models, device))
            done(1)
    names = [name for name in one.columns[4:] if "-lo-" not in name and "-hi-" not in name]
    return pd.DataFrame([_verdict(name, one, others) for name in names])


def _series() -> pd.DataFrame:
    """Four series of unequal length with a season of five, one with gaps."""
    rng = np.random.default_rng(7)
    parts = []
    for name, length in LENGTHS.items():
        steps = np.arange(length)
        values = (20 + 0.2 * steps) * (1 + 0.3 * np.sin(steps * np.pi * 0.4))
        values += rng.normal(size=length)
        parts.append(pd.DataFrame({"unique_id": name, "ds": steps, "y": values}))
    parts[1].loc[GAPS, "y"] = np.nan
    return pd.concat(parts, ignore_index=True)


def _forecasts(series: pd.DataFrame, models: tuple[str, ...], device: str) -> pd.DataFrame:
    """Every forecast of a backtest of small networks, as text.

    Only the first one is an ensemble, has epochs to choose from and is fitted to all data at last:
    all do that alike.
    """
    small = Settings(
        horizon=HORIZON, preset="fast", season=5, hidden_size=4, epochs=1, batch_size=16
    )
    settings = tuple(
        replace(small, model=model, members=2, epochs=2)
        if model == models[0]
        else replace(small, model=model, refit=False)
        for model in models
    )
    with TemporaryDirectory() as directory:
        path, output = Path(directory) / "series.csv", Path(directory) / "forecasts.csv"
        series.to_csv(path, index=False)
        request = BacktestRequest(
            path=str(path),
            data=DataConfig(),
            settings=settings,
            windows=CUTOFFS,
            refit_every=2,
            output=output,
            device=device,
        )
        backtest(request, Mute())
        return pd.read_csv(output, dtype=str, keep_default_na=False).astype({CUTOFF: int})


def _verdict(name: str, one: pd.DataFrame, others: list[pd.DataFrame]) -> dict[str, str]:
    """What is to be said of one model."""
    bounds = (f"{name}-lo-", f"{name}-hi-")
    columns = [each for each in one.columns if each == name or each.startswith(bounds)]
    rank = one.groupby("unique_id")[CUTOFF].rank("dense").astype(int) - 1
    verdict = {"model": name, "verdict": BLIND, "first": ""}
    for changed, other in enumerate(others):
        differs = one[columns].ne(other[columns]).any(axis=1)
        leaked = differs & (rank <= changed)
        if leaked.any():
            row = one[leaked].iloc[0]
            where = f"'{row['unique_id']}' at {row['ds']} from cutoff {row[CUTOFF]}"
            return verdict | {"verdict": SEES, "first": where}
        if not differs[rank > changed].any() and changed < CUTOFFS - 1:
            verdict["verdict"] = DEAF
    return verdict
