"""update, as a job under cron runs it every day: newer rows in, a model that is no worse out."""

from __future__ import annotations

import gzip
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from tests.cli.command import SAMPLES, TINY, rnnforecast, run_here

PASSENGERS = SAMPLES / "passengers.csv"
STEPS = 80


def older(path: Path, rows: int, target: Path) -> Path:
    """The file as it was before its last rows were known."""
    lines = path.read_text().splitlines(keepends=True)
    target.write_text("".join(lines[:-rows]))
    return target


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model of the passengers but for the last two years in d/."""
    directory = tmp_path_factory.mktemp("trained")
    older(PASSENGERS, 24, directory / "then.csv")
    older(PASSENGERS, 12, directory / "now.csv")
    run = run_here(directory, "train", "then.csv", "--horizon", "12", *TINY, "--out", "d", "-q")
    assert run.code == 0, run.stderr
    return directory


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_update_prints_its_metrics_and_replaces_all_files_when_a_year_is_added(
    place: Path,
) -> None:
    before = contents(place / "d")
    run = run_here(place, "update", "d", "now.csv")
    assert run.code == 0, run.stderr
    assert run.stdout == (place / "d" / "metrics.csv").read_text()
    table = pd.read_csv(StringIO(run.stdout))
    assert table["model"][0] == "gru" and table["model"][1] in ("gru-before", "gru-refused")
    assert table["mase"][0] <= table["mase"][1]
    assert table.columns[1:4].tolist() == ["n", "windows", "mae"] and (table["n"] == 12).all()
    after = contents(place / "d")
    assert set(after) == set(before) and all(after[name] != before[name] for name in before)
    assert pd.read_csv(place / "d" / "forecasts.csv")["month"][0] == "1960-01-01"
    lines = run.stderr.splitlines()
    assert lines[0].startswith("now.csv: one series of 132 values, one a month")
    assert any(line.startswith("updating gru: epoch 1 of 1") for line in lines)


def test_update_prints_the_stored_metrics_when_nothing_is_new(place: Path) -> None:
    before = contents(place / "d")
    run = run_here(place, "update", "d", "then.csv")
    assert (run.code, run.stdout) == (0, before["metrics.csv"].decode())
    assert run.stderr == "then.csv has nothing new: d stays as it was\n"
    assert contents(place / "d") == before
    again = run_here(place, "update", "d", "then.csv", "-q", "--resume", "--fail-if", "mae<0")
    assert (again.code, again.stderr) == (0, "")


def test_forecast_and_verify_agree_with_the_files_when_a_model_was_updated_twice(
    place: Path,
) -> None:
    for data in ("now.csv", PASSENGERS):
        assert run_here(place, "update", "d", data, "-q").code == 0
    forecasts = (place / "d" / "forecasts.csv").read_text()
    assert run_here(place, "forecast", "d").stdout == forecasts
    assert run_here(place, "forecast", "d", PASSENGERS).stdout == forecasts
    assert forecasts.splitlines()[1].startswith("passengers,1961-01-01,")
    verified = run_here(place, "verify", "d")
    assert verified.code == 0, verified.stdout


def test_forecast_warns_of_series_that_have_lost_their_history(place: Path) -> None:
    lines = (place / "now.csv").read_text().splitlines(keepends=True)
    for kept, warned in ((len(lines), False), (3, True)):
        (place / "few.csv").write_text("".join([lines[0], *lines[1:][-kept:]]))
        run = run_here(place, "forecast", "d", "few.csv")
        assert run.code == 0, run.stderr
        assert ("shorter than half of what the model keeps" in run.stderr) == warned


def test_update_reads_a_pipe_and_compressed_data_when_given_a_dash(place: Path) -> None:
    data = gzip.compress((place / "now.csv").read_bytes(), mtime=0)
    run = rnnforecast("update", "d", "-", "--format", "json", cwd=place, stdin=data)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith('[\n {\n  "model": "gru",')


def test_update_ends_with_6_and_changes_nothing_when_a_gate_fails(place: Path) -> None:
    before = contents(place / "d")
    run = run_here(place, "update", "d", "now.csv", "--fail-if", "mase>=0", "-q")
    assert run.code == 6
    assert "and the run is to fail if mase>=0; d stays as it was" in run.stderr
    assert contents(place / "d") == before


def test_update_ends_with_75_when_another_run_writes_there(place: Path) -> None:
    before = contents(place / "d")
    with FileLock(place / "d" / ".lock"):
        run = run_here(place, "update", "d", "now.csv")
        assert run.code == 75
        assert run.stderr.startswith("error: d: another run is writing here")
        skipped = run_here(place, "update", "d", "now.csv", "--if-locked", "skip")
        assert skipped.code == 0
    assert contents(place / "d") == before


def test_update_ends_with_4_and_makes_no_directory_when_there_is_no_model(tmp_path: Path) -> None:
    run = run_here(tmp_path, "update", "sub/nowhere", PASSENGERS)
    assert run.code == 4
    assert "no such model; run 'rnnforecast train' with --out first" in run.stderr
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (["--drift", "0"], "drift must be positive, got 0"),
        (["--drift", "nan"], "drift must be positive, got nan"),
        (["--retrain-after", "0"], "--retrain-after"),
    ],
)
def test_update_ends_with_2_when_a_flag_cannot_be_used(
    place: Path, flag: list[str], message: str
) -> None:
    run = run_here(place, "update", "d", "now.csv", *flag)
    assert run.code == 2 and message in run.stderr


def test_update_ends_with_3_and_changes_nothing_when_the_data_are_others(place: Path) -> None:
    before = contents(place / "d")
    yearly = pd.DataFrame({"month": [f"{year}-01-01" for year in range(1900, 1990)]})
    yearly.assign(passengers=1.0).to_csv(place / "yearly.csv", index=False)
    renamed = pd.read_csv(place / "now.csv").rename(columns={"passengers": "others"})
    renamed.to_csv(place / "renamed.csv", index=False)
    (place / "broken.csv").write_text("month,passengers\n1960-01-01,many\n")
    for name, message in (
        ("yearly.csv", "the"),
        ("renamed.csv", "there is no column 'passengers'"),
        ("broken.csv", "'many' is not a number"),
    ):
        run = run_here(place, "update", "d", name)
        assert run.code == 3 and message in run.stderr
        assert contents(place / "d") == before


def kinds() -> dict[str, pd.DataFrame]:
    """Two series of 80 values, each file in a form of its own; the last rows are the newest."""
    step = np.arange(STEPS)
    rng = np.random.default_rng(3)
    one = 50 + 10 * np.sin(step * np.pi / 6) + rng.normal(size=STEPS)
    other = 90 - 0.3 * step + rng.normal(size=STEPS)
    hours = pd.date_range("2024-03-01", periods=STEPS, freq="h").strftime("%Y-%m-%d %H:%M")
    integers = pd.DataFrame({"ds": step + 1, "unique_id": "x", "y": one})
    return {
        "integer": pd.concat([integers, integers.assign(unique_id="y", y=other)]).sort_values("ds"),
        "hourly": pd.DataFrame({"when": hours, "load": one}),
        "wide": pd.DataFrame({"when": hours, "north": one, "south": other}),
    }


@pytest.mark.parametrize(
    ("kind", "first"), [("integer", "81"), ("hourly", "2024-03-04T08:00:00"), ("wide", None)]
)
def test_update_reads_the_form_that_the_model_was_trained_on(
    tmp_path: Path, kind: str, first: str | None
) -> None:
    frame = kinds()[kind]
    newest = 20 if kind == "integer" else 10
    frame[:-newest].to_csv(tmp_path / "then.csv", index=False)
    frame.to_csv(tmp_path / "now.csv", sep=";", index=False)
    flags = ["--horizon", "5", *TINY, "--out", "d", "-q"]
    assert run_here(tmp_path, "train", "then.csv", *flags).code == 0
    run = run_here(tmp_path, "update", "d", "now.csv", "--drift", "inf")
    assert run.code == 0, run.stderr
    forecasts = pd.read_csv(tmp_path / "d" / "forecasts.csv", dtype=str)
    assert len(forecasts) == 5 * (1 if kind == "hourly" else 2)
    assert forecasts.iloc[0, 1] == (first or "2024-03-04T08:00:00")
    if kind == "wide":
        assert list(forecasts.iloc[::5, 0]) == ["north", "south"]


def test_no_guard_and_retraining_are_taken_from_the_command_line(place: Path) -> None:
    run = run_here(place, "update", "d", "now.csv", "--no-guard", "--drift", "inf")
    assert run.code == 0 and "gru-before" in run.stdout and "gru-refused" not in run.stdout
    run = run_here(place, "update", "d", PASSENGERS, "--retrain-after", "1")
    assert "training from scratch: updated 1 times since the last time" in run.stderr


@pytest.mark.parametrize(("if_locked", "code"), [("skip", 0), ("fail", 75)])
def test_update_heeds_the_lock_when_the_first_training_is_not_over(
    place: Path, if_locked: str, code: int
) -> None:
    (place / "d" / "model.safetensors").unlink()
    with FileLock(place / "d" / ".lock"):
        run = run_here(place, "update", "d", "now.csv", "--if-locked", if_locked)
    assert run.code == code
    assert "d: another run is writing here" in run.stderr
    run = run_here(place, "update", "d", "now.csv", "--if-locked", if_locked)
    assert run.code == 4 and "no such model" in run.stderr
