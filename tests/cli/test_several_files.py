"""Several files, packed and encoded ones, on the command line."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import SAMPLES, TINY, run_here

ROWS = (SAMPLES / "passengers.csv").read_text().splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Years in a file each, and all of them in one."""
    (tmp_path / "years").mkdir()
    for year in range(1949, 1961):
        rows = [row for row in ROWS if row.startswith(str(year))]
        (tmp_path / "years" / f"{year}.csv").write_text("\n".join([ROWS[0], *rows, ""]))
    (tmp_path / "whole.csv").write_text("\n".join([*ROWS, ""]))
    return tmp_path


def test_commands_read_several_files_as_one_when_these_make_up_a_table(folder: Path) -> None:
    years = [f"years/{year}.csv" for year in range(1949, 1961)]
    fit = ("--horizon", "3", *TINY)
    whole = run_here(folder, "train", "whole.csv", *fit, "--out", "a")
    parts = run_here(folder, "train", "years/*.csv", *fit, "--out", "b")
    assert (whole.code, whole.stdout) == (0, parts.stdout), parts.stderr
    first = run_here(folder, "train", *years[:-1], *fit)
    assert first.code == 0
    assert (folder / "years-gru" / "model.safetensors").exists()
    assert run_here(folder, "update", "years-gru", *years, "--no-guard").code == 0
    by_parts = run_here(folder, "forecast", "a", *reversed(years))
    assert by_parts.stdout == run_here(folder, "forecast", "a", "whole.csv").stdout != ""
    models = ("--models", "gru", *fit)
    assert run_here(folder, "backtest", "years/195*.csv", years[-1], *models).code == 0


def test_fault_names_its_file_and_no_output_replaces_one_when_there_are_several(
    folder: Path,
) -> None:
    path = folder / "years" / "1950.csv"
    path.write_text(path.read_text().replace("115", "n/a", 1))
    run = run_here(folder, "train", "years/1949.csv", "years/1950.csv", "--horizon", "3")
    assert run.code == 3
    assert run.stderr.startswith("error: years/1950.csv:2: column 'passengers': 'n/a' is not a")
    read = ("backtest", "years/1949.csv", "whole.csv", "--horizon", "3")
    run = run_here(folder, *read, "--output", "whole.csv")
    assert (run.code, "is the file that is read" in run.stderr) == (2, True)
    run = run_here(folder, "train", "years", "--horizon", "3")
    assert (run.code, "it is a directory; pass its files" in run.stderr) == (3, True)


def test_files_come_from_the_variable_and_the_settings_when_they_are_several(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = ["years/1949.csv", "years/1950.csv", "years/1951.csv"]
    asked = ("train", "--horizon", "3", "--write-config")
    monkeypatch.setenv("RNNFORECAST_DATA", os.pathsep.join(years))
    run = run_here(folder, *asked)
    assert tomllib.loads(run.stdout)["train"]["data"] == years, run.stderr
    (folder / "job.toml").write_text(run.stdout)
    monkeypatch.delenv("RNNFORECAST_DATA")
    assert run_here(folder, *asked, "--config", "job.toml").stdout == run.stdout


def test_encoding_is_that_of_the_flag_and_then_of_the_model(folder: Path) -> None:
    text = "\n".join(["month,façade", *ROWS[1:], ""])
    (folder / "latin.csv").write_bytes(text.encode("latin-1"))
    fit = ("train", "latin.csv", "--horizon", "3", *TINY)
    run = run_here(folder, *fit)
    assert (run.code, "pass --encoding, such as cp1252" in run.stderr) == (3, True)
    run = run_here(folder, *fit, "--encoding", "utf-9")
    assert (run.code, "encoding must be one that Python knows" in run.stderr) == (2, True)
    assert run_here(folder, *fit, "--encoding", "cp1252").code == 0
    run = run_here(folder, "update", "latin-gru", "latin.csv")
    assert (run.code, "nothing new" in run.stderr) == (0, True)
