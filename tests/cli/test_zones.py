"""Zones from the command line: train, forecast and evaluate across both changes of the clock."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import Run, run_here

TINY = ("--horizon", "48", "--epochs", "1", "--lookback", "48", "--hidden-size", "4", "--no-refit")
CHANGES = {
    "Europe/Paris": ("2018-03-25", "2018-10-28"),
    "America/New_York": ("2018-03-11", "2018-11-04"),
    "Australia/Sydney": ("2018-10-07", "2018-04-01"),
}
ACROSS = [(zone, day) for zone, days in CHANGES.items() for day in days]
LOCAL, OFFSET, UTC = "local", "offset", "utc"


def hours_until(day: str, zone: str, count: int = 480) -> pd.DatetimeIndex:
    """Hours up to midnight before a change."""
    return pd.date_range(end=pd.Timestamp(day, tz=zone), periods=count, freq="h")


def write(path: Path, index: pd.DatetimeIndex, form: str = LOCAL) -> None:
    """A day's curve at each hour, whose times are local, with their offset, or of UTC."""
    if form == UTC:
        index = index.tz_convert("UTC")
    texts = (
        index.strftime("%Y-%m-%d %H:%M:%S") if form == LOCAL else map(pd.Timestamp.isoformat, index)
    )
    values = 100 + 10 * np.sin(2 * np.pi * np.arange(len(index)) / 24) + np.arange(len(index)) % 5
    pd.DataFrame({"ds": list(texts), "y": values}).to_csv(path, index=False)


def train(folder: Path, *options: str) -> Run:
    run = run_here(folder, "train", "data.csv", *TINY, "--out", "d", "--quiet", *options)
    assert run.code == 0, run.stderr
    return run


def iso(index: pd.DatetimeIndex) -> list[str]:
    return [time.isoformat() for time in index]


@pytest.mark.parametrize(("zone", "day"), ACROSS)
def test_forecasts_have_local_times_when_clocks_change_ahead(
    tmp_path: Path, zone: str, day: str
) -> None:
    known = hours_until(day, zone)
    write(tmp_path / "data.csv", known)
    train(tmp_path, "--time-zone", zone)
    ahead = pd.date_range(known[-1], periods=49, freq="h")[1:]
    assert len({time[-6:] for time in iso(ahead)}) == 2
    run = run_here(tmp_path, "forecast", "d", "--quiet")
    assert run.code == 0, run.stderr
    assert pd.read_csv(StringIO(run.stdout))["ds"].tolist() == iso(ahead)
    assert pd.read_csv(tmp_path / "d" / "forecasts.csv")["ds"].tolist() == iso(ahead)


def test_forecasts_are_labelled_by_the_begin_of_steps_when_rows_of_a_zone_are_joined(
    tmp_path: Path,
) -> None:
    """Rows at 10 and 50 minutes past, in UTC: what is written are whole hours of the zone."""
    known = hours_until("2018-03-25", "Europe/Paris")
    rows = [known + pd.Timedelta(minutes=minutes) for minutes in (10, 50)]
    write(tmp_path / "data.csv", rows[0].append(rows[1]).sort_values(), UTC)
    options = ("--time-zone", "Europe/Paris", "--resample", "h", "--agg", "mean")
    train(tmp_path, *options)
    ahead = pd.date_range(known[-1], periods=49, freq="h")[1:]
    assert pd.read_csv(tmp_path / "d" / "forecasts.csv")["ds"].tolist() == iso(ahead)


@pytest.mark.parametrize("form", [LOCAL, OFFSET, UTC])
def test_forecasts_follow_newer_data_when_these_hold_the_change(tmp_path: Path, form: str) -> None:
    """The hour that clocks show twice is in the data: twice, with both offsets, or as UTC."""
    known = hours_until("2018-10-28", "Europe/Paris")
    write(tmp_path / "data.csv", known)
    train(tmp_path, "--time-zone", "Europe/Paris")
    newer = pd.date_range(known[0], periods=len(known) + 12, freq="h")
    write(tmp_path / "newer.csv", newer, form)
    run = run_here(tmp_path, "forecast", "d", "newer.csv", "--quiet")
    assert run.code == 0, run.stderr
    ahead = pd.date_range(newer[-1], periods=49, freq="h")[1:]
    assert pd.read_csv(StringIO(run.stdout))["ds"].tolist() == iso(ahead)


@pytest.mark.parametrize("form", [LOCAL, OFFSET, UTC])
@pytest.mark.parametrize("zone", ["Europe/Paris", None])
def test_forecasts_join_what_happened_when_clocks_change(
    tmp_path: Path, form: str, zone: str | None
) -> None:
    known = hours_until("2018-10-28", "Europe/Paris")
    write(tmp_path / "data.csv", known)
    train(tmp_path, "--time-zone", "Europe/Paris")
    write(tmp_path / "actual.csv", pd.date_range(known[0], periods=528, freq="h"), form)
    options = [] if zone is None else ["--time-zone", zone]
    run = run_here(tmp_path, "evaluate", "d/forecasts.csv", "actual.csv", "--quiet", *options)
    if form == LOCAL and zone is None:
        assert run.code == 3 and "pass --time-zone" in run.stderr
        return
    assert run.code == 0, run.stderr
    table = pd.read_csv(StringIO(run.stdout)).set_index("model")
    assert table.loc["gru", "n"] == 48


def test_forecasts_are_of_midnights_when_days_of_a_zone_are_read(tmp_path: Path) -> None:
    days = pd.date_range("2017-12-01", "2018-03-20", freq="D", tz="Europe/Paris")
    write(tmp_path / "data.csv", days, OFFSET)
    train(tmp_path, "--time-zone", "Europe/Paris", "--horizon", "10", "--lookback", "14")
    expected = pd.date_range("2018-03-21", periods=10, freq="D", tz="Europe/Paris")
    assert pd.read_csv(tmp_path / "d" / "forecasts.csv")["ds"].tolist() == iso(expected)


def test_backtest_writes_times_of_the_zone_when_windows_hold_the_change(tmp_path: Path) -> None:
    known = hours_until("2018-10-29", "Europe/Paris")
    write(tmp_path / "data.csv", known)
    options = ("--models", "gru", "--windows", "2", "--output", "f.csv", "--quiet")
    size = [part for part in TINY if part != "--no-refit"]
    zone = ("--time-zone", "Europe/Paris")
    run = run_here(tmp_path, "backtest", "data.csv", *size, *options, *zone)
    assert run.code == 0, run.stderr
    rows = pd.read_csv(tmp_path / "f.csv")
    expected = iso(known[-96:])
    assert sorted(set(rows["ds"]), key=expected.index) == expected
    assert set(rows["cutoff"]) == {expected[47], known[-97].isoformat()}


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        (None, "pass --time-zone Europe/Paris if clocks were set back then"),
        ("America/New_York", "data.csv:459: column 'ds': series 'y' has this time twice"),
        ("Europe/Pari", "there is no time zone 'Europe/Pari'; did you mean Europe/Paris?"),
    ],
)
def test_train_names_the_remedy_when_an_hour_stands_twice(
    tmp_path: Path, zone: str | None, message: str
) -> None:
    write(tmp_path / "data.csv", hours_until("2018-10-29", "Europe/Paris"))
    text = (tmp_path / "data.csv").read_text().splitlines()
    rows = [f"{line},{'id' if row == 0 else 'y'}" for row, line in enumerate(text)]
    (tmp_path / "data.csv").write_text("\n".join(rows).replace(",id", ",unique_id") + "\n")
    options = [] if zone is None else ["--time-zone", zone]
    run = run_here(tmp_path, "train", "data.csv", *TINY, "--out", "d", *options)
    assert run.code == (2 if zone == "Europe/Pari" else 3)
    assert message in run.stderr


def test_train_names_the_line_when_a_time_does_not_exist(tmp_path: Path) -> None:
    hours = pd.date_range("2018-03-20", periods=200, freq="h")
    write(tmp_path / "data.csv", hours)
    zone = ("--time-zone", "Europe/Paris")
    run = run_here(tmp_path, "train", "data.csv", *TINY, "--out", "d", *zone)
    assert run.code == 3
    assert "data.csv:124: column 'ds': clocks in Europe/Paris are set forward" in run.stderr


@pytest.mark.parametrize("freq", ["D", "MS"])
def test_check_suggests_the_zone_when_local_midnights_bear_their_offsets(
    tmp_path: Path, freq: str
) -> None:
    write(
        tmp_path / "data.csv",
        pd.date_range("2019-01-01", periods=120, freq=freq, tz="Australia/Sydney"),
        OFFSET,
    )
    run = run_here(tmp_path, "check", "data.csv", "--format", "json")
    assert run.code == 3
    found = json.loads(run.stdout)
    errors = [each for each in found["findings"] if each["severity"] == "error"]
    assert [each["remedy"] for each in errors] == ["pass --time-zone Australia/Sydney"]
    assert "--time-zone Australia/Sydney" in found["suggestion"]
    assert "--resample" not in found["suggestion"]
    assert not [each for each in found["findings"] if "missing" in each["problem"]]


def test_check_names_the_zone_when_offsets_of_hours_vary(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", hours_until("2018-11-06", "America/New_York"), OFFSET)
    run = run_here(tmp_path, "check", "data.csv", "--format", "json")
    remedies = [each["remedy"] for each in json.loads(run.stdout)["findings"]]
    assert "pass --time-zone America/New_York" in remedies


@pytest.mark.parametrize("options", [(), ("--resample", "6h", "--horizon", "4", "--lookback", "8")])
def test_forecasts_go_on_at_the_trained_offset_when_newer_data_hold_the_change(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    newer = hours_until("2018-11-07", "America/New_York", 481 + 48)
    write(tmp_path / "data.csv", newer[:433], OFFSET)
    train(tmp_path, *options)
    write(tmp_path / "newer.csv", newer, OFFSET)
    for command in ("forecast", "update"):
        run = run_here(tmp_path, command, "d", "newer.csv")
        assert run.code == 0, run.stderr
        assert "than -04:00, with which the model was trained" in run.stderr
    run = run_here(tmp_path, "forecast", "d", "--quiet")
    times = pd.read_csv(StringIO(run.stdout))["ds"]
    assert set(times.str[-6:]) == {"-04:00"}
    assert times[0] == ("2018-11-07T00:00:00-04:00" if options else "2018-11-07T02:00:00-04:00")


def test_forecast_goes_on_at_midnight_when_the_only_row_is_of_a_day_without_one(
    tmp_path: Path,
) -> None:
    days = pd.date_range("2024-01-01", "2024-09-08")
    days = days.tz_localize("America/Santiago", nonexistent="shift_forward")
    write(tmp_path / "data.csv", days[:-1])
    write(tmp_path / "one.csv", days[-1:], OFFSET)
    train(tmp_path, "--time-zone", "America/Santiago", "--horizon", "2", "--season", "7")
    run = run_here(tmp_path, "forecast", "d", "one.csv", "--quiet")
    assert run.code == 0, run.stderr
    times = list(pd.read_csv(StringIO(run.stdout))["ds"])
    assert times == ["2024-09-09T00:00:00-03:00", "2024-09-10T00:00:00-03:00"]


@pytest.mark.parametrize("gap", [False, True])
def test_train_warns_of_a_zone_when_its_clocks_skip_all_that_is_missing(
    tmp_path: Path, gap: bool
) -> None:
    hours = hours_until("2018-03-29", "Europe/Paris")
    write(tmp_path / "data.csv", hours.delete(9) if gap else hours)
    run = run_here(tmp_path, "train", "data.csv", *TINY, "--out", "d")
    assert run.code == 0, run.stderr
    assert ("2018-03-25T02:00:00 is missing, as where clocks" in run.stderr) != gap
    assert ("pass --time-zone Europe/Paris\n" in run.stderr) != gap
