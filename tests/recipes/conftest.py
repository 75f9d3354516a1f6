"""Folders to run the recipes in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.recipes.blocks import JOB, furnish, write_sales

TRAIN = ["train", "sales.csv", "--horizon", "28", "--out", "model"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the program, and nothing yet to run it on."""
    return furnish(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 400 days of sales and a model of them, not to be written to."""
    folder = furnish(tmp_path_factory.mktemp("trained"))
    write_sales(folder, 400)
    program = folder / ".venv" / "bin" / "rnnforecast"
    run = subprocess.run([program, *TRAIN], cwd=folder, env=JOB, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def trained_folder(folder: Path, trained: Path) -> Path:
    """A copy of that to go on with."""
    shutil.copytree(trained / "model", folder / "model")
    shutil.copy2(trained / "sales.csv", folder)
    return folder
