"""Series of any length from one value on, constants and demand, from the command line."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import TINY, run_here

HORIZON = 7
BOUNDS = ["gru-lo-95", "gru-lo-80", "gru", "gru-hi-80", "gru-hi-95"]


def write_series(path: Path, series: dict[str, np.ndarray]) -> None:
    """Daily series that end on one day; what is NaN has no row."""
    parts = []
    for name, values in series.items():
        days = np.datetime64("2024-03-01") + np.arange(-len(values), 0)
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": values}))
    pd.concat(parts).dropna().to_csv(path, index=False)


def write_short_series(path: Path, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Series of 1 to 50 values: constant, counts, zeros, seasonal, with a gap, on any level."""
    rng = np.random.default_rng(seed)
    series = {}
    for place in range(count):
        length, level = int(rng.integers(1, 51)), 10 ** rng.uniform(-1, 5)
        season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(length) / 7)
        values = level * (season + 0.1 * rng.standard_normal(length))
        if place % 5 == 0:
            values = np.full(length, round(level, 2))
        elif place % 5 == 1:
            values = rng.poisson(rng.uniform(0.05, 2), length).astype(float)
        elif place % 5 == 2:
            values = np.zeros(length)
        elif place % 5 == 3 and length > 4:
            values[rng.integers(1, length - 2) : length - 2] = np.nan
        series[f"s{place:05d}"] = values
    write_series(path, series)
    return series


def check_forecasts(table: pd.DataFrame, series: dict[str, np.ndarray]) -> None:
    """Every series has a row a step after its end, finite, its bounds in order."""
    assert table["unique_id"].tolist() == [name for name in series for _ in range(HORIZON)]
    days = [str(np.datetime64("2024-03-01") + step) for step in range(HORIZON)]
    assert table["ds"].tolist() == days * len(series)
    quantiles = table[BOUNDS].to_numpy()
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles) >= 0).all()


@pytest.mark.parametrize(
    "count", [300, pytest.param(3_000, marks=pytest.mark.slow)], ids=["hundreds", "thousands"]
)
def test_every_series_is_forecast_when_lengths_are_1_to_50(tmp_path: Path, count: int) -> None:
    series = write_short_series(tmp_path / "short.csv", count)
    train = run_here(
        tmp_path, "train", "short.csv", "--horizon", str(HORIZON), *TINY, "--out", "model"
    )
    assert train.code == 0, train.stderr
    table = pd.read_csv(tmp_path / "model" / "forecasts.csv")
    check_forecasts(table, series)
    single = [name for name, values in series.items() if (~np.isnan(values)).sum() == 1]
    assert f" of {count} series ('{single[0]}'" in train.stderr
    assert "too short to learn from" in train.stderr
    first = table.groupby("unique_id").first()
    for name in single:
        (value,) = series[name][~np.isnan(series[name])]
        width = first.loc[name, "gru-hi-95"] - first.loc[name, "gru-lo-95"]
        assert width > 0.02 * abs(value)
        assert first.loc[name, "gru"] == pytest.approx(value, rel=0.3, abs=30)


def test_series_never_seen_are_forecast_when_their_lengths_are_any(tmp_path: Path) -> None:
    write_short_series(tmp_path / "short.csv", 200)
    train = run_here(
        tmp_path, "train", "short.csv", "--horizon", str(HORIZON), *TINY, "--out", "model"
    )
    assert train.code == 0, train.stderr
    short = {"one": np.array([512.0]), "two": np.array([3.0, 8]), "zero": np.zeros(1)}
    more = {f"new-{name}": values for name, values in short.items()}
    more["new-long"] = 100 + np.arange(80.0)
    write_series(tmp_path / "new.csv", more)
    forecast = run_here(tmp_path, "forecast", "model", "new.csv")
    assert forecast.code == 0, forecast.stderr
    check_forecasts(pd.read_csv(StringIO(forecast.stdout)), more)


@pytest.mark.parametrize("log", ["--log", "--no-log"])
def test_constants_go_on_when_other_series_vary(tmp_path: Path, log: str) -> None:
    rng = np.random.default_rng(0)
    constants = {"low": 0.03, "seven": 7.0, "high": 4.5e7}
    if log == "--no-log":
        constants |= {"zero": 0.0, "below": -12.5}
    series = {name: np.full(40, value) for name, value in constants.items()}
    series |= {f"varied{place}": rng.uniform(5, 9, 40) for place in range(4)}
    series["settled"] = np.concatenate([rng.uniform(5, 9, 15), np.full(25, 8.0)])
    write_series(tmp_path / "mixed.csv", series)
    options = ["--horizon", str(HORIZON), "--lookback", "14", *TINY, log, "--out", "model"]
    train = run_here(tmp_path, "train", "mixed.csv", *options)
    assert train.code == 0, train.stderr
    table = pd.read_csv(tmp_path / "model" / "forecasts.csv").set_index("unique_id")
    for name, value in constants.items() | {("settled", 8.0)}:
        assert (table.loc[name, BOUNDS] == value).all(axis=None)
    widths = table["gru-hi-95"] - table["gru-lo-95"]
    assert (widths[[f"varied{place}" for place in range(4)]] > 0.5).all()


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_goes_on_when_it_is_the_only_series(tmp_path: Path, value: float) -> None:
    write_series(tmp_path / "one.csv", {"only": np.full(60, value)})
    options = ["--horizon", str(HORIZON), *TINY, "--out", "model"]
    train = run_here(tmp_path, "train", "one.csv", *options)
    assert train.code == 0, train.stderr
    table = pd.read_csv(tmp_path / "model" / "forecasts.csv")
    assert (table[BOUNDS] == value).all(axis=None)


def test_nothing_is_below_zero_where_no_value_is_unless_told_otherwise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    falls = {f"s{place}": rng.poisson(np.linspace(6, 0.1, 60)) * 1.0 for place in range(8)}
    write_series(tmp_path / "demand.csv", falls)
    (tmp_path / "job.toml").write_text("nonnegative = false\n")
    common = ["demand.csv", "--horizon", str(HORIZON), *TINY, "--lookback", "14"]
    kinds = {"found": [], "flag": ["--no-nonnegative"], "file": ["--config", "job.toml"]}
    for name, options in kinds.items():
        run = run_here(tmp_path, "train", *common, *options, "--out", name)
        assert run.code == 0, run.stderr
    least = {}
    for name in kinds:
        again = run_here(tmp_path, "forecast", name)
        assert again.stdout == (tmp_path / name / "forecasts.csv").read_text()
        least[name] = pd.read_csv(StringIO(again.stdout))[BOUNDS].min(axis=None)
    assert least["found"] == 0
    assert least["flag"] == least["file"] < 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("flag", "file")]
    assert models[0] == models[1]


def test_run_says_so_when_one_series_alone_can_be_scored(tmp_path: Path) -> None:
    series = {"long": np.arange(40.0) % 5 + 1, "a": np.array([1.0, 2, 4]), "b": np.array([3.0, 2])}
    write_series(tmp_path / "few.csv", series)
    run = run_here(tmp_path, "train", "few.csv", "--horizon", str(HORIZON), *TINY, "--out", "model")
    assert run.code == 0, run.stderr
    assert "only series 'long' is long enough to hold the newest values out" in run.stderr
    assert (pd.read_csv(StringIO(run.stdout))["windows"] == 1).all()
    check_forecasts(pd.read_csv(tmp_path / "model" / "forecasts.csv"), series)


def test_intervals_hold_what_follows_when_a_single_value_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wave = 50 + 10 * np.sin(2 * np.pi * np.arange(120) / 7)
    write_series(tmp_path / "waves.csv", {name: wave + rng.normal(size=120) for name in "abc"})
    options = ["--horizon", "3", "--lookback", "1", "--epochs", "5", "--windows", "8"]
    run = run_here(tmp_path, "backtest", "waves.csv", *options, "--models", "gru", "--quiet")
    assert run.code == 0, run.stderr
    metrics = pd.read_csv(StringIO(run.stdout)).set_index("model").loc["gru"]
    assert metrics["coverage-80"] > 40 and metrics["coverage-95"] > 70
    assert metrics["width-95"] > metrics["width-80"]
