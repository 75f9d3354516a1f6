"""backtest, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnforecast.data.used_columns import FLOAT_PRECISION
from tests.cli.command import SAMPLES, TINY, forked, rnnforecast, run_here

PASSENGERS = SAMPLES / "passengers.csv"
BASELINES = ["seasonal-naive", "naive", "drift", "mean", "window-average", "seasonal-drift"]
HORIZON, WINDOWS, STEP, SEASON = 4, 3, 2, 7
LENGTHS = {"a": 60, "b": 52, "c": 45}
NETWORK = ["--lookback", "14", "--batch-size", "16", "--season", str(SEASON), *TINY]
FLAGS = ["--horizon", str(HORIZON), "--windows", str(WINDOWS), "--step", str(STEP), *NETWORK]


def write(path: Path, **series: np.ndarray) -> None:
    """Daily series in long form; the last value of all lies on one day."""
    days = pd.date_range(end="2024-03-31", periods=max(map(len, series.values())))
    frames = [
        pd.DataFrame({"shop": name, "day": days[-len(values) :], "sales": values})
        for name, values in series.items()
    ]
    pd.concat(frames).to_csv(path, index=False)


def seasonal(length: int, seed: int = 0) -> np.ndarray:
    steps = np.arange(length)
    noise = np.random.default_rng(seed).normal(size=length)
    return 50 + 10 * np.sin(2 * np.pi * steps / SEASON) + noise


def read(table: str | Path) -> pd.DataFrame:
    """CSV text or a CSV file, every float to its last bit."""
    source = table if isinstance(table, Path) else StringIO(table)
    return pd.read_csv(source, float_precision=FLOAT_PRECISION)


@dataclass(frozen=True)
class Backtest:
    directory: Path
    metrics: pd.DataFrame
    output: pd.DataFrame
    printed: str
    stderr: str


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    """Two networks and all baselines on three series, in a process of its own."""
    directory = tmp_path_factory.mktemp("scored")
    write(
        directory / "f.csv",
        **{name: seasonal(length, seed) for seed, (name, length) in enumerate(LENGTHS.items())},
    )
    flags = [*FLAGS, "--models", "gru,linear", "--output", "o.csv"]
    run = rnnforecast("backtest", "f.csv", *flags, cwd=directory)
    assert run.returncode == 0, run.stderr
    return Backtest(
        directory=directory,
        metrics=read(run.stdout),
        output=read(directory / "o.csv"),
        printed=run.stdout,
        stderr=run.stderr,
    )


def test_backtest_scores_networks_and_baselines_on_the_same_values(scored: Backtest) -> None:
    metrics = scored.metrics
    assert list(metrics["model"]) == ["gru", "linear", *BASELINES, "naive2"]
    assert (metrics["windows"] == len(LENGTHS) * WINDOWS).all()
    assert (metrics["n"] == len(LENGTHS) * WINDOWS * HORIZON).all()
    assert list(metrics.columns[-2:]) == ["skill", "owa"]
    assert not metrics.isna().any(axis=None)


def test_backtest_prints_what_its_output_amounts_to(scored: Backtest) -> None:
    output, metrics = scored.output, scored.metrics.set_index("model")
    for name in metrics.index:
        error = output[name] - output["sales"]
        inside = output["sales"].between(output[f"{name}-lo-80"], output[f"{name}-hi-80"])
        width = output[f"{name}-hi-95"] - output[f"{name}-lo-95"]
        assert metrics["mae"][name] == pytest.approx(error.abs().mean())
        assert metrics["bias"][name] == pytest.approx(error.mean())
        assert metrics["coverage-80"][name] == pytest.approx(100 * inside.mean())
        assert metrics["width-95"][name] == pytest.approx(width.mean())
        smape = 200 * error.abs() / (output["sales"].abs() + output[name].abs())
        assert metrics["smape"][name] == pytest.approx(smape.mean())


def test_backtest_writes_its_output_in_the_order_of_cutoffs(scored: Backtest) -> None:
    output = scored.output
    assert list(output.columns[:5]) == ["shop", "day", "cutoff", "sales", "gru"]
    ends = pd.Timestamp("2024-03-31")
    expected = [
        (name, ends - pd.Timedelta(days=HORIZON + STEP * back))
        for back in reversed(range(WINDOWS))
        for name in LENGTHS
    ]
    blocks = list(zip(output["shop"], pd.to_datetime(output["cutoff"]), strict=True))
    assert blocks == [block for block in expected for _ in range(HORIZON)]
    ahead = (pd.to_datetime(output["day"]) - pd.to_datetime(output["cutoff"])).dt.days
    assert (ahead.to_numpy().reshape(-1, HORIZON) == np.arange(1, HORIZON + 1)).all()


def test_backtest_writes_what_was_observed_beside_what_was_forecast(scored: Backtest) -> None:
    output = scored.output
    actual = read(scored.directory / "f.csv").set_index(["shop", "day"])["sales"]
    assert np.array_equal(actual[zip(output["shop"], output["day"], strict=True)], output["sales"])
    last = actual[zip(output["shop"], output["cutoff"], strict=True)].to_numpy()
    assert np.array_equal(output["naive"], last)
    for name in ("gru", "linear", *BASELINES, "naive2"):
        columns = [f"{name}-lo-95", f"{name}-lo-80", name, f"{name}-hi-80", f"{name}-hi-95"]
        assert (np.diff(output[columns].to_numpy(), axis=1) > 0).all()


def test_backtest_gives_the_same_bytes_when_run_again(scored: Backtest) -> None:
    flags = [*FLAGS, "--models", "gru,linear", "--output", "again.csv", "-q"]
    run = forked(scored.directory, "backtest", "f.csv", *flags)
    assert run.stdout == scored.printed
    written = [(scored.directory / name).read_bytes() for name in ("o.csv", "again.csv")]
    assert written[0] == written[1]


def test_backtest_shows_the_main_metrics_alone_when_a_table_is_asked(scored: Backtest) -> None:
    run = run_here(scored.directory, "backtest", "f.csv", *FLAGS, "-q", "--format", "table")
    for name in ("mae", "mase", "coverage-80", "skill", "owa", "naive2"):
        assert name in run.stdout
    for name in ("rmse", "pinball", "width", "msis", "windows", "smape"):
        assert name in scored.printed and name not in run.stdout


@pytest.mark.parametrize(
    ("by", "column", "groups"),
    [
        ("series", "shop", list(LENGTHS)),
        ("step", "step", list(range(1, HORIZON + 1))),
        ("cutoff", "cutoff", ["2024-03-23", "2024-03-25", "2024-03-27"]),
    ],
)
def test_backtest_has_a_row_a_group_and_model_when_grouped(
    by: str, column: str, groups: list[object], scored: Backtest
) -> None:
    arguments = ["backtest", "f.csv", *FLAGS, "--models", "gru,linear", "--by", by, "-q"]
    run = run_here(scored.directory, *arguments)
    assert run.code == 0, run.stderr
    table = read(run.stdout)
    assert list(table.columns) == [column, *scored.metrics.columns]
    models = list(scored.metrics["model"])
    assert list(zip(table[column], table["model"], strict=True)) == [
        (group, model) for group in groups for model in models
    ]
    assert (table.groupby("model")["n"].sum() == scored.metrics["n"][0]).all()
    mean = table.groupby("model", sort=False)["mae"].mean()
    assert mean.to_numpy() == pytest.approx(scored.metrics["mae"].to_numpy())
    printed = run_here(scored.directory, *arguments, "--format", "json").stdout
    assert json.loads(printed) == table.to_dict("records")


def test_backtest_groups_by_model_when_asked_or_not(scored: Backtest) -> None:
    arguments = ["backtest", "f.csv", *FLAGS, "--models", "gru,linear", "-q"]
    assert run_here(scored.directory, *arguments, "--by", "model").stdout == scored.printed


def test_backtest_ends_with_2_when_it_cannot_group_so(tmp_path: Path) -> None:
    run = run_here(tmp_path, "backtest", PASSENGERS, "--horizon", "3", "--by", "shop")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "error: by must be one of model, series, step, cutoff, got 'shop'\n"


@pytest.mark.parametrize("refit", ["3", "7", "every 3"])
def test_backtest_fits_once_when_refit_has_as_many_cutoffs_or_more(
    refit: str, scored: Backtest, tmp_path: Path
) -> None:
    flags = [*FLAGS, "--models", "gru,linear", "--output", tmp_path / "o.csv", "--refit", refit]
    run = run_here(scored.directory, "backtest", "f.csv", *flags)
    assert run.stdout == scored.printed
    assert (tmp_path / "o.csv").read_bytes() == (scored.directory / "o.csv").read_bytes()
    assert run.stderr == scored.stderr


def test_backtest_forecasts_from_each_cutoff_as_if_it_were_the_first_when_refitted_there(
    scored: Backtest, tmp_path: Path
) -> None:
    points = ["gru", "linear", *BASELINES, "naive2"]
    written = {}
    for name, flags in {
        "refitted": ["--windows", "3", "--refit", "1"],
        "first": ["--windows", "1"],
    }.items():
        output = tmp_path / f"{name}.csv"
        flags = [*FLAGS, "--models", "gru,linear", *flags, "--output", str(output)]
        assert run_here(scored.directory, "backtest", "f.csv", *flags).code == 0
        written[name] = read(output)[points].to_numpy()[-len(LENGTHS) * HORIZON :]
    assert np.array_equal(written["refitted"], written["first"])
    kept = scored.output[points].to_numpy()[-len(LENGTHS) * HORIZON :]
    assert (written["refitted"][:, :2] != kept[:, :2]).all()


@pytest.mark.parametrize("refit", ["0", "-1", "always", "every", "1.5", "", "9" * 5000])
def test_backtest_ends_with_2_when_refit_is_no_number_of_cutoffs(
    refit: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, "backtest", PASSENGERS, "--horizon", "3", "--refit", refit)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == f"error: refit must be a number of cutoffs or never, got '{refit}'\n"


@pytest.mark.parametrize("option", ["windows", "step"])
def test_backtest_ends_with_2_when_a_size_is_beyond_what_can_be_counted(
    option: str, tmp_path: Path
) -> None:
    arguments = ["--horizon", "3", f"--{option}", "9" * 20]
    run = run_here(tmp_path, "backtest", PASSENGERS, *arguments)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: Invalid value for '--{option}': ")
    assert len(run.stderr.splitlines()) == 1


def test_backtest_has_no_option_that_is_of_train_alone(tmp_path: Path) -> None:
    run = run_here(tmp_path, "backtest", PASSENGERS, "--horizon", "3", "--no-refit")
    assert run.code == 2
    assert run.stderr.startswith("error: No such option: --no-refit")


def test_backtest_names_the_best_model_and_what_chance_has_to_do_with_it(tmp_path: Path) -> None:
    flags = ["--horizon", "6", "--windows", "30", "--step", "3", "--models", "gru,linear"]
    run = run_here(tmp_path, "backtest", PASSENGERS, *flags, *TINY)
    mase = read(run.stdout).set_index("model")["mase"].sort_values()
    line = run.stderr.splitlines()[-1]
    assert line.startswith(f"best by mase: {mase.index[0]}, {mase.iloc[0]:.4g}, before ")
    assert f"before {mase.index[1]}, {mase.iloc[1]:.4g}; the difference " in line
    assert "(Diebold-Mariano p = " in line and line.endswith("over 30 cutoffs)")


def test_backtest_does_not_speak_of_chance_when_cutoffs_and_series_are_few(
    scored: Backtest,
) -> None:
    line = scored.stderr.splitlines()[-1]
    assert line.startswith("best by mase: ")
    assert line.endswith("; too few cutoffs and series to tell the difference from chance")


def test_backtest_warns_of_each_model_that_loses_to_the_seasonal_naive(tmp_path: Path) -> None:
    steps = np.arange(70)
    values = 100 * (steps % SEASON) ** 2 + 0.01 * np.sin(steps) + 1
    write(tmp_path / "f.csv", a=values, b=2 * values)
    run = run_here(tmp_path, "backtest", "f.csv", *FLAGS, "--models", "gru,linear", "-q")
    mase = read(run.stdout).set_index("model")["mase"]
    assert run.stderr.splitlines() == [
        f"warning: {name} is worse than the seasonal naive here: its mase is {mase[name]:.4g}, "
        f"the naive's {mase['seasonal-naive']:.4g}"
        for name in ("gru", "linear")
    ]


def test_backtest_leaves_the_old_output_when_it_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("old\n")
    command = [sys.executable, "-m", "rnnforecast", "backtest", str(PASSENGERS), *FLAGS]
    command += ["--epochs", "100000", "--patience", "100000", "--output", "o.csv"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert any("; gru with 4 units" in line for line in process.stderr)
    assert len(os.listdir(tmp_path)) == 2
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err.splitlines()[-1] == "interrupted"
    assert os.listdir(tmp_path) == ["o.csv"]
    assert (tmp_path / "o.csv").read_text() == "old\n"


def test_backtest_leaves_the_old_output_when_the_reader_of_its_notes_has_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "o.csv").write_text("old\n")
    command = [sys.executable, "-m", "rnnforecast", "backtest", str(PASSENGERS), *FLAGS]
    command += ["--epochs", "30", "--patience", "30", "--output", "o.csv"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    assert any("; gru with 4 units" in line for line in process.stderr)
    assert len(os.listdir(tmp_path)) == 2
    process.stderr.close()
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert os.listdir(tmp_path) == ["o.csv"]
    assert (tmp_path / "o.csv").read_text() == "old\n"


def test_backtest_leaves_the_old_output_when_training_diverges(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("old\n")
    flags = ["--models", "rnn-relu", "--learning-rate", "1e30", "--clip-norm", "inf"]
    flags += ["--horizon", "12", "--output", "o.csv"]
    run = run_here(tmp_path, "backtest", PASSENGERS, *flags)
    assert (run.code, run.stdout) == (5, "")
    assert os.listdir(tmp_path) == ["o.csv"]
    assert (tmp_path / "o.csv").read_text() == "old\n"


def backtested(directory: Path, *flags: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The metrics by model and the output of a backtest on f.csv, with finite ordered intervals."""
    arguments = ["f.csv", *TINY, *flags, "--models", "gru,linear", "--output", "o.csv"]
    run = run_here(directory, "backtest", *arguments)
    assert run.code == 0, run.stderr
    metrics = read(run.stdout).set_index("model")
    output = read(directory / "o.csv")
    for name in metrics.index:
        columns = [f"{name}-lo-95", f"{name}-lo-80", name, f"{name}-hi-80", f"{name}-hi-95"]
        values = output[columns].to_numpy()
        assert np.isfinite(values).all()
        assert (np.diff(values, axis=1) >= 0).all()
    return metrics, output


def test_backtest_counts_observed_values_alone_when_there_are_gaps(tmp_path: Path) -> None:
    gappy = seasonal(80)
    gappy[[3, 17, 18, 40, 41, 42, 71, 74, 75]] = np.nan
    write(tmp_path / "f.csv", a=gappy, b=seasonal(80, 1))
    metrics, output = backtested(tmp_path, "--horizon", "5", "--windows", "3")
    assert len(output) == 30
    assert (metrics["n"] == 30 - 3).all()
    assert output["sales"].isna().sum() == 3


def test_backtest_scores_a_constant_series_without_dividing_by_zero(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", a=np.full(60, 5))
    metrics, output = backtested(tmp_path, "--horizon", "3")
    assert metrics[["mase", "rmsse", "msis-80", "skill"]].isna().all(axis=None)
    assert (metrics["mae"][BASELINES] == 0).all()
    assert (metrics["coverage-95"][BASELINES] == 100).all()
    assert np.allclose(output[["gru", "linear"]], 5)
    flags = ["--horizon", "3", *TINY, "--by", "step", "--format", "json"]
    records = json.loads(run_here(tmp_path, "backtest", "f.csv", *flags).stdout)
    assert len(records) == 3 * (1 + len(BASELINES))
    assert {row["mase"] for row in records} == {None}


def test_backtest_passes_over_a_series_that_is_too_short(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", a=seasonal(60), b=seasonal(8))
    metrics, output = backtested(tmp_path, "--horizon", "3", "--windows", "3")
    assert set(output["shop"]) == {"a"}
    assert (metrics["n"] == 9).all()


def test_backtest_forecasts_one_step_from_as_many_cutoffs_as_there_may_be(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", a=seasonal(60))
    metrics, output = backtested(tmp_path, "--horizon", "1", "--windows", "58")
    assert (metrics["n"] == 58).all()
    assert np.array_equal(output["naive"], seasonal(60)[1:-1])
    run = run_here(tmp_path, "backtest", "f.csv", "--horizon", "1", "--windows", "59")
    assert run.code == 3
    assert run.stderr.splitlines()[-1] == (
        "error: f.csv: 59 cutoffs are too many: 59 values are held out for scoring, and the "
        "longest series has 60; pass a --windows of at most 58"
    )


def test_backtest_scores_counts_when_most_are_zero(tmp_path: Path) -> None:
    counts = np.random.default_rng(3).poisson(0.2, size=(2, 90)).astype(float)
    counts[1, -20:] = 0
    write(tmp_path / "f.csv", a=counts[0], b=counts[1])
    metrics, output = backtested(tmp_path, "--horizon", "4", "--windows", "5", "--season", "7")
    assert (metrics["n"] == 40).all()
    assert metrics[["mae", "smape", "mase", "crps"]].notna().all(axis=None)
    assert (output["sales"] == 0).mean() > 0.8


def test_backtest_bounds_baselines_by_what_is_known_when_values_fall_below_zero(
    tmp_path: Path,
) -> None:
    values = [*(float(step % 5) for step in range(36)), *[-5.0] * 8]
    lines = [f"{step},{value}\n" for step, value in enumerate(values)]
    (tmp_path / "falls.csv").write_text("ds,y\n" + "".join(lines))
    flags = ["--horizon", "4", "--windows", "2", "--season", "5", *TINY, "--refit", "1"]
    run = run_here(tmp_path, "backtest", "falls.csv", *flags, "--output", "o.csv")
    assert run.code == 0, run.stderr
    naive = pd.read_csv(tmp_path / "o.csv")["naive"].tolist()
    assert naive == [0.0] * 4 + [-5.0] * 4
