"""A new cell takes one file and one row: every command then knows it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.command import SAMPLES, TINY, forked

TRAIN = ["train", str(SAMPLES / "passengers.csv"), "--horizon", "12", "--model", "toy", *TINY]


def toy(*words: str | Path) -> list[dict[str, str]]:
    """The table that the program with the model `toy` prints."""
    done = forked(SAMPLES, *words, conditions=["toy cell"])
    assert done.code == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_every_command_takes_a_cell_when_it_has_one_row(tmp_path: Path) -> None:
    assert toy("models")[-1]["model"] == "toy"
    metrics = toy(*TRAIN, "--out", tmp_path)
    assert metrics[0]["model"] == "toy" and float(metrics[0]["mae"]) > 0
    assert len(toy("forecast", tmp_path)) == 12
    assert toy("selftest", "--models", "toy")[0]["verdict"] == "sees no future"
    parts = {row["part"] for row in toy("diagnose", tmp_path)}
    assert any("layer 1" in part for part in parts)


@pytest.mark.parametrize(
    "options", [["--tbptt", "2"], ["--init", "uniform"], ["--init", "chrono", "--num-layers", "3"]]
)
def test_training_options_hold_for_a_cell_when_it_is_new(
    tmp_path: Path, options: list[str]
) -> None:
    metrics = toy(*TRAIN, "--out", tmp_path, *options)
    assert float(metrics[0]["mae"]) > 0
