"""The Makefile recipe: forecasts are made again when the data are newer, and not else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recipes.blocks import JOB, block, need, write_program, write_sales

FORECAST = "rnnforecast forecast model sales.csv --output forecasts.csv"

# One that minds broken data, and whose forecast is the last row.
PROGRAM = """
case $1 in
  update) ! grep -q never "$3" || exit 3 ;;
  forecast) tail -n 1 "$3" > "$5" ;;
esac
"""


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "Makefile").write_text(block("Makefile", folder))
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=JOB, capture_output=True, text=True)


def test_make_trains_when_there_is_no_model(folder: Path) -> None:
    need("make")
    write_sales(folder, 3)
    train = "rnnforecast train sales.csv --horizon 28 --out model --fail-if 'mase>1'"
    assert make(folder, "--dry-run").stdout.splitlines() == [train, FORECAST]


@pytest.mark.slow
def test_make_updates_when_data_are_newer_and_keeps_forecasts_when_they_are_broken(
    trained_folder: Path, trials: Callable[[int, int], int]
) -> None:
    need("make")
    folder = trained_folder
    if not trials(0, 1):  # test_cron runs the same commands for real
        write_program(folder, "rnnforecast", PROGRAM)
    write_sales(folder, 401)
    first = make(folder)
    assert first.returncode == 0, first.stderr
    assert "rnnforecast update model sales.csv --fail-if 'mase>1'" in first.stdout
    forecasts = (folder / "forecasts.csv").read_bytes()
    assert make(folder).stdout == "make: 'forecasts.csv' is up to date.\n"

    write_sales(folder, 402, end="south,never,1\n")
    broken = make(folder)
    assert broken.returncode == 2
    assert "Error 3" in broken.stderr
    assert (folder / "forecasts.csv").read_bytes() == forecasts
    assert make(folder, "--question").returncode == 1

    write_sales(folder, 403)
    assert make(folder).returncode == 0
    assert (folder / "forecasts.csv").read_bytes() not in (b"", forecasts)
