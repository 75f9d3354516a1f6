"""train and forecast, from a file to CSV, as a user runs them."""

from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import SAMPLES, TINY, Run, forked, rnnforecast, run_here

PASSENGERS = SAMPLES / "passengers.csv"
# A network that errs little, in a third of the time; README has the figures of the defaults.
FAST = ["--preset", "fast", "--epochs", "10"]
TABLES = ["forecasts.csv", "history.csv", "metrics.csv"]
BASELINES = ["seasonal-naive", "naive", "drift", "mean", "window-average", "seasonal-drift"]
QUANTILES = ["gru-lo-95", "gru-lo-80", "gru", "gru-hi-80", "gru-hi-95"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the passengers' model lies in d/, its stdout beside it."""
    directory = tmp_path_factory.mktemp("trained")
    run = rnnforecast("train", PASSENGERS, "--horizon", "12", *FAST, "--out", "d", cwd=directory)
    assert run.returncode == 0, run.stderr
    (directory / "stdout.csv").write_text(run.stdout)
    (directory / "stderr.txt").write_text(run.stderr)
    return directory


def test_train_leaves_the_model_and_its_tables(trained: Path) -> None:
    assert sorted(os.listdir(trained / "d")) == sorted([".lock", "model.safetensors", *TABLES])
    forecasts = pd.read_csv(trained / "d" / "forecasts.csv")
    expected = pd.date_range("1961-01-01", periods=12, freq="MS").strftime("%Y-%m-%d")
    assert list(forecasts.columns[:3]) == ["unique_id", "month", "gru"]
    assert list(forecasts["month"]) == list(expected)
    assert (np.diff(forecasts[QUANTILES].to_numpy(), axis=1) > 0).all()
    history = pd.read_csv(trained / "d" / "history.csv")
    assert (history["epoch"] == np.arange(1, len(history) + 1)).all()
    assert (history["gradient_norm"] > 0).all()


def test_train_prints_the_metrics_table_and_nothing_else(trained: Path) -> None:
    printed = (trained / "stdout.csv").read_text()
    assert printed == (trained / "d" / "metrics.csv").read_text()
    table = pd.read_csv(StringIO(printed)).set_index("model")
    assert list(table.index) == ["gru", *BASELINES]
    assert table.loc["gru", "mase"] < table.loc["seasonal-naive", "mase"]
    assert table.loc["gru", "smape"] < 5
    assert (table["n"] == 12).all() and (table["windows"] == 1).all()
    assert "owa" not in table and not table.isna().any(axis=None)


def test_train_says_in_one_line_what_was_found(trained: Path) -> None:
    line = (trained / "stderr.txt").read_text().splitlines()[0]
    for part in ("one series of 144 values", "one a month", "(month, passengers)", "season 12"):
        assert part in line


def test_forecast_prints_the_bytes_of_forecasts_csv_when_the_data_are_the_same(
    trained: Path,
) -> None:
    expected = (trained / "d" / "forecasts.csv").read_text()
    packed = gzip.compress(PASSENGERS.read_bytes(), mtime=0)
    for run in (
        rnnforecast("forecast", "d", cwd=trained, stdin=PASSENGERS),
        rnnforecast("forecast", "d", "-", cwd=trained, stdin=packed),
    ):
        assert (run.returncode, run.stdout, run.stderr) == (0, expected, "")
    for data in ([], [PASSENGERS]):
        assert run_here(trained, "forecast", "d", *data) == Run(0, expected, "")
    assert run_here(trained, "forecast", "d", "--output", "f.csv").stdout == ""
    assert (trained / "f.csv").read_text() == expected


def test_forecast_goes_on_where_newer_data_end(trained: Path) -> None:
    rows = PASSENGERS.read_text().splitlines(keepends=True)
    older = "".join(rows[:-12]).encode()
    run = forked(trained, "forecast", "d", "--alias", "f", stdin=older)
    forecasts, actual = pd.read_csv(StringIO(run.stdout)), pd.read_csv(PASSENGERS)[-12:]
    assert list(forecasts["month"]) == list(actual["month"])
    assert np.mean(np.abs(forecasts["f"] - actual["passengers"].to_numpy())) < 40


def test_forecast_reads_series_it_never_saw(tmp_path: Path) -> None:
    flags = ["--horizon", "3", "--epochs", "1", "--no-refit", "--out", "d"]
    data = SAMPLES / "population.csv"
    assert run_here(tmp_path, "train", data, *flags).code == 0
    new = pd.DataFrame({"country": "New", "year": range(2000, 2011), "population": 1e6})
    new.to_csv(tmp_path / "new.csv", index=False)
    run = run_here(tmp_path, "forecast", "d", "new.csv")
    forecasts = pd.read_csv(StringIO(run.stdout))
    assert list(forecasts["country"]) == ["New"] * 3
    assert list(forecasts["year"]) == [2011, 2012, 2013]
    assert np.abs(forecasts["gru"] - 1e6).max() < 1e5


def test_forecast_names_the_column_that_newer_data_lack(trained: Path) -> None:
    frame = pd.read_csv(PASSENGERS).rename(columns={"passengers": "others"})
    frame["others"] *= 1000
    data = frame.assign(more=frame["others"] / 7).to_csv(index=False).encode()
    run = run_here(trained, "forecast", "d", "-", stdin=data)
    assert run.code == 3
    assert "there is no column 'passengers'; the header has 'month', 'others', 'more'" in run.stderr


def test_forecast_names_a_series_that_ended_long_before_the_others(
    trained: Path, tmp_path: Path
) -> None:
    rows = PASSENGERS.read_text().splitlines()
    words = ["train", "both.csv", "--horizon", "12", *TINY, "--out", "d"]
    both = ["month,shop,passengers", *(row.replace(",", ",new,") for row in rows[1:])]
    both += [row.replace(",", ",old,") for row in rows[1:-12]]
    (tmp_path / "both.csv").write_text("\n".join(both))
    assert run_here(tmp_path, *words, "-q").stderr == ""
    told = "1 of 2 series ('old') is forecast for times up to 1960-12-01 alone, where series 'new'"
    for data in ([], ["both.csv"]):
        assert told in run_here(tmp_path, "forecast", "d", *data).stderr
    assert "alone" not in run_here(trained, "forecast", "d", PASSENGERS).stderr


def test_forecast_refuses_values_that_the_models_logarithm_has_not(trained: Path) -> None:
    data = PASSENGERS.read_text().replace("1960-12-01,432", "1960-12-01,0").encode()
    run = run_here(trained, "forecast", "d", "-", stdin=data)
    assert (run.code, run.stdout) == (3, "")
    assert "error: stdin: series 'passengers' has the value 0, which has no logarithm" in run.stderr
    assert "; update the model with these values or train with --no-log\n" in run.stderr


def test_update_mends_what_forecast_says_it_mends(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "d", tmp_path / "d")
    data = PASSENGERS.read_text().replace("1960-12-01,432", "1960-12-01,0").encode()
    assert run_here(tmp_path, "update", "d", "-", "--no-guard", stdin=data).code == 0
    assert run_here(tmp_path, "forecast", "d", "-", stdin=data).code == 0


def test_forecast_does_not_advise_an_update_where_logarithms_were_asked_for(tmp_path: Path) -> None:
    words = ["train", PASSENGERS, "--horizon", "12", "--log", *TINY, "--out", "d"]
    assert run_here(tmp_path, *words).code == 0
    data = PASSENGERS.read_text().replace("1960-12-01,432", "1960-12-01,0").encode()
    run = run_here(tmp_path, "forecast", "d", "-", stdin=data)
    assert run.code == 3 and "model works on logarithms; train with --no-log\n" in run.stderr


def test_train_keeps_a_model_of_plain_values_when_the_newest_have_no_logarithm(
    tmp_path: Path,
) -> None:
    days = pd.date_range("2020-01-01", periods=150).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"ds": days, "y": np.where(np.arange(150) < 140, 100.0, 0.0)})
    frame.to_csv(tmp_path / "f.csv", index=False)
    flags = ["--horizon", "10", "--epochs", "3", "--out", "d"]
    run = run_here(tmp_path, "train", "f.csv", *flags)
    assert run.code == 0
    assert "warning: series 'y' has the value 0 among its newest" in run.stderr
    forecasts = pd.read_csv(tmp_path / "d" / "forecasts.csv")
    assert forecasts["gru"].abs().max() < 50
    assert (forecasts.filter(like="gru") >= 0).all(axis=None)
    for flag, remedy in (("--log", "drop --log"), ("--no-refit", "pass --no-log")):
        run = run_here(tmp_path, "train", "f.csv", *flags, flag)
        assert run.code == 3
        assert f"which has no logarithm; {remedy}" in run.stderr


def test_train_says_so_when_a_gap_leaves_nothing_to_forecast_from(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=120).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"ds": days, "y": np.sin(np.arange(120.0))})
    frame.drop(index=range(91, 111)).to_csv(tmp_path / "f.csv", index=False)
    flags = ["--horizon", "9", "--epochs", "1", "--no-refit", "--lookback", "3", "--out", "d"]
    run = run_here(tmp_path, "train", "f.csv", *flags)
    assert run.code == 0
    assert "warning: 1 of 1 windows, the first of series 'y', have no forecast of gru" in run.stderr


@pytest.mark.parametrize("alias", ["month", "unique_id", "", "\udcff"])
def test_forecast_refuses_an_alias_that_would_hide_a_column(alias: str, trained: Path) -> None:
    run = run_here(trained, "forecast", "d", "--alias", alias)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith("error: ") and len(run.stderr.splitlines()) == 1


def test_forecast_reads_few_newer_rows_by_what_the_model_knows(tmp_path: Path) -> None:
    """Day before month, business days: five rows alone could be read otherwise."""
    days = pd.bdate_range("2024-01-01", periods=120)
    frame = pd.DataFrame({"ds": days.strftime("%d/%m/%Y"), "y": np.arange(120.0) + 5})
    frame.to_csv(tmp_path / "f.csv", index=False, sep=";")
    flags = ["--horizon", "5", "--epochs", "1", "--no-refit", "--out", "d"]
    assert run_here(tmp_path, "train", "f.csv", *flags).code == 0
    for rows, first in ((5, "2024-06-10"), (1, "2024-06-10")):
        newer = pd.DataFrame({"ds": ["03/06/2024", "04/06/2024", "05/06/2024", "06/06/2024",
                                     "07/06/2024"][-rows:], "y": 1.0})  # fmt: skip
        newer.to_csv(tmp_path / "newer.csv", index=False, sep=";")
        run = run_here(tmp_path, "forecast", "d", "newer.csv")
        assert run.code == 0, run.stderr
        assert pd.read_csv(StringIO(run.stdout))["ds"].iloc[0] == first


def test_forecast_says_so_when_a_pipe_brings_nothing(trained: Path) -> None:
    run = forked(trained, "forecast", "d", stdin=b"")
    assert run.stdout == (trained / "d" / "forecasts.csv").read_text()
    assert run.stderr.startswith("standard input is empty: forecasting from the series as they")
    assert forked(trained, "forecast", "d", "-", stdin=b"").code == 3


def test_forecast_refuses_data_of_another_frequency(trained: Path) -> None:
    days = pd.date_range("2020-01-01", periods=100).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"month": days, "passengers": np.arange(100.0)})
    run = run_here(trained, "forecast", "d", "-", stdin=frame.to_csv(index=False).encode())
    assert run.code == 3
    assert run.stderr == (
        "error: stdin:2: column 'month': series 'passengers' has a row every day, the model was "
        "trained on one every month; pass data of that frequency or train again\n"
    )


def test_forecast_prints_json_when_asked(trained: Path) -> None:
    run = run_here(trained, "forecast", "d", "--format", "json")
    records = json.loads(run.stdout)
    assert [record["month"] for record in records][:2] == ["1961-01-01", "1961-02-01"]


def test_forecast_ends_silently_when_its_reader_leaves(trained: Path) -> None:
    command = f"{sys.executable} -m rnnforecast forecast d </dev/null | head -1"
    run = subprocess.run(["bash", "-c", command], cwd=trained, capture_output=True, text=True)
    assert run.stdout == "unique_id,month,gru,gru-lo-80,gru-hi-80,gru-lo-95,gru-hi-95\n"
    assert run.stderr == ""


def test_train_shows_a_bar_and_a_table_on_a_terminal_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnforecast", "train", str(PASSENGERS)]
    command += ["--horizon", "12", "--epochs", "2", "--out", "d"]
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"}
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    shown = b""
    while chunk := _read(leader):
        shown += chunk
    os.close(leader)
    assert process.wait() == 0
    text = shown.decode()
    assert "━" in text and "gradient norm" in text and "validation" in text
    assert "seasonal-naive" in text and "gru,12," not in text
    assert "coverage-95" in text and "rmse" not in text and "msis" not in text


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux: the other end was closed
        return b""


def test_two_trainings_write_the_same_bytes_when_the_seed_is_the_same(tmp_path: Path) -> None:
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        arguments = [SAMPLES / "population.csv", "--horizon", "6", *TINY, "--seed", str(seed)]
        if name == "b":
            run = forked(tmp_path / name, "train", *arguments, "--out", "d")
            assert run.code == 0, run.stderr
        else:
            assert run_here(tmp_path / name, "train", *arguments, "--out", "d").code == 0
        files = ("forecasts.csv", "metrics.csv", "model.safetensors")
        written.append([(tmp_path / name / "d" / file).read_bytes() for file in files])
    assert written[0] == written[1]
    assert written[0][0] != written[2][0]


@pytest.mark.parametrize(
    ("file", "arguments", "columns", "first"),
    [
        ("stocks.csv", ["--horizon", "5"], ["symbol", "date"], "2013-03-04"),
        ("demand.csv", ["--horizon", "24"], ["unique_id", "ds"], "2013-10-28T00:00:00"),
        ("population.csv", ["--horizon", "3"], ["country", "year"], 2014),
        ("weather.csv", ["--horizon", "7", "--model", "bilstm", "--num-layers", "2"],
         ["unique_id", "date"], "2016-01-01"),
    ],
)  # fmt: skip
def test_train_forecasts_every_sample(
    file: str, arguments: list[str], columns: list[str], first: object, tmp_path: Path
) -> None:
    flags = [*arguments, "--epochs", "2", "--no-refit", "--out", "d"]
    run = run_here(tmp_path, "train", SAMPLES / file, *flags)
    assert run.code == 0, run.stderr
    forecasts = pd.read_csv(tmp_path / "d" / "forecasts.csv")
    assert list(forecasts.columns[:2]) == columns
    assert forecasts.iloc[0, 1] == first
    horizon = int(arguments[1])
    assert (forecasts.groupby(columns[0]).size() == horizon).all()
    assert not forecasts.isna().any(axis=None)


def test_train_ends_with_5_and_remedies_when_it_diverges(tmp_path: Path) -> None:
    flags = ["--horizon", "12", "--model", "rnn-relu", "--learning-rate", "1e30"]
    flags += ["--clip-norm", "inf", "--out", "d"]
    run = run_here(tmp_path, "train", PASSENGERS, *flags)
    assert run.code == 5
    line = run.stderr.splitlines()[-1]
    assert line.startswith("error: training diverged in epoch ")
    for part in ("batch", "gradient norm", "learning rate", "lower --learning-rate"):
        assert part in line
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "options",
    [["--head", "normal"], ["--head", "student-t"], ["--model", "linear"], ["--no-refit"]],
    ids=" ".join,
)
def test_train_and_forecast_agree_when_the_network_is_another(
    options: list[str], tmp_path: Path
) -> None:
    flags = ["--horizon", "6", *TINY, *options, "--out", "d"]
    run = run_here(tmp_path, "train", PASSENGERS, *flags)
    assert run.code == 0, run.stderr
    written = (tmp_path / "d" / "forecasts.csv").read_text()
    assert run_here(tmp_path, "forecast", "d") == Run(0, written, "")
    table = pd.read_csv(StringIO(written))
    model = table.columns[2]
    columns = [f"{model}-lo-95", f"{model}-lo-80", model, f"{model}-hi-80", f"{model}-hi-95"]
    assert (np.diff(table[columns].to_numpy(), axis=1) > 0).all()
    assert ("refitting" in run.stderr) == ("--no-refit" not in options)


def test_train_warns_of_a_model_that_loses_to_the_seasonal_naive(tmp_path: Path) -> None:
    steps = np.arange(90)
    days = pd.date_range("2020-01-01", periods=90).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"ds": days, "y": 100 * (steps % 7) ** 2 + 0.01 * np.sin(steps) + 1})
    frame.to_csv(tmp_path / "f.csv", index=False)
    run = run_here(tmp_path, "train", "f.csv", "--horizon", "7", *TINY, "-q")
    mase = pd.read_csv(StringIO(run.stdout)).set_index("model")["mase"]
    assert run.code == 0
    assert run.stderr.splitlines()[0] == (
        f"warning: gru is worse than the seasonal naive here: its mase is {mase['gru']:.4g}, the "
        f"naive's {mase['seasonal-naive']:.4g}"
    )


def test_train_names_no_model_when_its_own_is_best(trained: Path) -> None:
    mase = pd.read_csv(trained / "d" / "metrics.csv").set_index("model")["mase"]
    assert mase.idxmin() == "gru"
    assert "best by" not in (trained / "stderr.txt").read_text()


def test_train_names_a_baseline_that_is_best(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=90).strftime("%Y-%m-%d")
    pd.DataFrame({"ds": days, "y": 10.0 * np.arange(90) - 300}).to_csv(
        tmp_path / "f.csv", index=False
    )
    run = run_here(tmp_path, "train", "f.csv", "--horizon", "7", *TINY)
    mase = pd.read_csv(StringIO(run.stdout)).set_index("model")["mase"].sort_values()
    assert not mase.index[0].startswith("gru")
    assert f"best by mase: {mase.index[0]}, {mase.iloc[0]:.4g}, before " in run.stderr


def test_train_scores_naive2_when_the_season_is_given(tmp_path: Path) -> None:
    flags = ["--horizon", "6", *TINY, "--season", "12", "-q"]
    run = run_here(tmp_path, "train", PASSENGERS, *flags)
    table = pd.read_csv(StringIO(run.stdout)).set_index("model")
    assert list(table.index) == ["gru", *BASELINES, "naive2"]
    shares = [table[name]["gru"] / table[name]["naive2"] for name in ("smape", "mase")]
    assert table["owa"]["gru"] == pytest.approx(np.mean(shares))
    assert table["skill"]["gru"] == pytest.approx(
        1 - table["mase"]["gru"] / table["mase"]["seasonal-naive"]
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_forecast_ends_with_1_and_one_line_when_standard_output_is_full(trained: Path) -> None:
    command = f"{sys.executable} -m rnnforecast forecast d </dev/null >/dev/full"
    run = subprocess.run(["bash", "-c", command], cwd=trained, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == ("error: standard output: No space left on device; free space there\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_forecast_runs_when_a_stream_is_closed(closed: str, trained: Path) -> None:
    command = f"{sys.executable} -m rnnforecast forecast d --output c.csv {closed}"
    run = subprocess.run(["bash", "-c", command], cwd=trained, stdin=subprocess.DEVNULL)
    assert run.returncode == 0
    assert (trained / "c.csv").read_bytes() == (trained / "d" / "forecasts.csv").read_bytes()
