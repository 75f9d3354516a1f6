"""The yearly component through the command line: days that repeat it are forecast so."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import TINY, run_here

HORIZON = 60
YEARLY = "yearly seasonality taken out of 1 series"


def days(count: int) -> pd.DataFrame:
    """Temperatures: the mean of the day of the year, and weather that lasts for weeks."""
    weather = np.random.default_rng(2).normal(size=count)
    for day in range(1, count):
        weather[day] += 0.9 * weather[day - 1]
    times = pd.date_range("2019-05-01", periods=count)
    turn = 2 * np.pi * (times.day_of_year.to_numpy() - 20) / 365.25
    return pd.DataFrame({"ds": times.strftime("%Y-%m-%d"), "y": 8 - 12 * np.cos(turn) + weather})


def error_of(place: Path, table: pd.DataFrame, *flags: str) -> float:
    """The mean absolute error of what is forecast after these days, by a model in `place`/m."""
    table[:-HORIZON].to_csv(place / "days.csv", index=False)
    words = ("--horizon", str(HORIZON), "--out", "m", *TINY, *flags)
    run = run_here(place, "train", "days.csv", *words)
    assert run.code == 0, run.stderr
    assert (YEARLY in run.stderr) == ("--no-yearly" not in flags)
    forecasts = pd.read_csv(place / "m" / "forecasts.csv")["gru"]
    return float(np.abs(forecasts - table["y"][-HORIZON:].to_numpy()).mean())


def test_train_errs_less_when_the_year_is_taken_out(tmp_path: Path) -> None:
    table = days(1100)
    assert error_of(tmp_path, table) < 0.75 * error_of(tmp_path, table, "--no-yearly")


def test_forecast_goes_on_through_the_year_when_the_file_has_newer_days(tmp_path: Path) -> None:
    table = days(1100)
    error_of(tmp_path, table[:1000])
    table[:-HORIZON].to_csv(tmp_path / "newer.csv", index=False)
    run = run_here(tmp_path, "forecast", "m", "newer.csv")
    assert run.code == 0, run.stderr
    found = pd.read_csv(StringIO(run.stdout))
    assert found["ds"].tolist() == table["ds"][-HORIZON:].tolist()
    assert np.abs(found["gru"] - table["y"][-HORIZON:].to_numpy()).mean() < 2
    assert "yearly seasonality,in 1 series" in run_here(tmp_path, "show", "m").stdout


def test_forecast_warns_of_a_series_that_is_new_when_others_have_a_component(
    tmp_path: Path,
) -> None:
    table = days(1000)
    error_of(tmp_path, table)
    table.assign(unique_id="new").to_csv(tmp_path / "new.csv", index=False)
    run = run_here(tmp_path, "forecast", "m", "new.csv")
    assert run.code == 0, run.stderr
    warned = "('new') is new to the model, which takes yearly seasonality out of others"
    assert warned in run.stderr


@pytest.mark.parametrize(
    ("count", "head", "message"),
    [
        (
            300,
            "quantile",
            "no series has 365 days, most of them observed, in steps of a day",
        ),
        (1000, "negative-binomial", "which are whole; drop --yearly"),
    ],
)
def test_train_says_what_to_do_when_the_year_cannot_be_taken_out(
    count: int, head: str, message: str, tmp_path: Path
) -> None:
    table = days(count)
    table["y"] = table["y"].clip(lower=0).round()
    table.to_csv(tmp_path / "days.csv", index=False)
    flags = ("--horizon", "7", "--yearly", "--head", head, *TINY)
    run = run_here(tmp_path, "train", "days.csv", *flags)
    assert run.code == 2
    assert message in run.stderr


def test_forecast_gives_new_series_the_year_that_all_share(tmp_path: Path) -> None:
    """To one that was new in training, and to one that is new afterwards."""
    table = days(1000).assign(y=lambda table: 30 + table["y"])
    shops = [table.assign(unique_id=name) for name in ("a", "b", "c")]
    new = table[-100:].assign(unique_id="d", y=10 * table["y"])
    train_on = pd.concat([*(shop[:-HORIZON] for shop in shops), new[:-HORIZON]])
    train_on.to_csv(tmp_path / "days.csv", index=False)
    words = ("train", "days.csv", "--horizon", str(HORIZON), "--out", "m", *TINY)
    run = run_here(tmp_path, *words)
    assert run.code == 0, run.stderr
    assert "yearly seasonality taken out of 4 series" in run.stderr
    new[:-HORIZON].assign(unique_id="e").to_csv(tmp_path / "new.csv", index=False)
    run = run_here(tmp_path, "forecast", "m", "new.csv")
    assert (run.code, "new to the model" in run.stderr) == (0, False)
    then = pd.read_csv(StringIO(run.stdout))
    first = pd.read_csv(tmp_path / "m" / "forecasts.csv").query("unique_id == 'd'")
    change = new["y"].iloc[-1] - new["y"].iloc[-HORIZON]
    for found in (first["gru"], then["gru"]):
        assert found.iloc[-1] - found.iloc[0] == pytest.approx(change, rel=0.5)


def test_train_forecasts_nothing_of_a_weekday_on_which_nothing_is_ever_sold(
    tmp_path: Path,
) -> None:
    table = days(1100)
    closed = pd.to_datetime(table["ds"]).dt.day_of_week == 6
    table["y"] = (5 * (table["y"] + 30)).round().mask(closed, 0)
    table[:-HORIZON].to_csv(tmp_path / "days.csv", index=False)
    run = run_here(tmp_path, "train", "days.csv", "--horizon", str(HORIZON), "--out", "m", *TINY)
    assert run.code == 0 and YEARLY in run.stderr, run.stderr
    found = pd.read_csv(tmp_path / "m" / "forecasts.csv")["gru"].to_numpy()
    then = table["y"][-HORIZON:].to_numpy()
    assert found[then == 0].max() < 1 < found[then > 0].min()


@pytest.mark.parametrize(("flags", "told"), [((), True), (("--no-yearly",), False)])
def test_train_says_so_when_the_year_is_hidden_by_what_is_held_out(
    flags: tuple[str, ...], told: bool, tmp_path: Path
) -> None:
    days(1000).to_csv(tmp_path / "days.csv", index=False)
    words = ("train", "days.csv", "--horizon", "300", "--dry-run", *TINY, *flags)
    run = run_here(tmp_path, *words)
    assert run.code == 0, run.stderr
    assert ("none is taken out; pass --yearly" in run.stderr) == told
    assert YEARLY not in run.stderr
    assert YEARLY in run_here(tmp_path, *words[:5], *TINY, "--yearly").stderr
