"""`rnnforecast show` prints what a model is, and nothing that a terminal would obey."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnnforecast.artifact import MODEL_FILE, load_artifact
from tests.cli.command import SAMPLES, TINY, run_here
from tests.model_files import make_artifact, packed, save_artifact, unpacked


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory."""
    directory = tmp_path_factory.mktemp("trained")
    words = ("--horizon", "3", "--out", "model", "--levels", "80", "--seed", "7", *TINY)
    assert run_here(directory, "train", SAMPLES / "passengers.csv", *words).code == 0
    return directory / "model"


def shown(directory: Path) -> dict[str, str]:
    done = run_here(directory, "show", directory)
    assert (done.code, done.stderr) == (0, "")
    header, *rows = csv.reader(io.StringIO(done.stdout))
    assert header == ["property", "value"]
    return {name: value for name, value in rows}


def test_show_tells_what_the_model_is_when_it_was_trained(trained: Path) -> None:
    told = shown(trained)
    expected = {
        "model": "gru",
        "schema": "13",
        "horizon": "3",
        "seasons": "12",
        "yearly seasonality": "none",
        "levels": "80",
        "log": "yes",
        "head": "quantile",
        "hidden size": "4",
        "layers": "1",
        "calibrated": "yes",
        "series": "1",
        "ids": "passengers",
        "frequency": "month",
        "last time": "1960-12-01",
        "time column": "month",
        "values": "144",
        "settings given": "preset=fast, levels=80.0, hidden_size=4, epochs=1, seed=7",
        "seed": "7",
        "epochs run": "1",
        "best epoch": "1",
        "stop reason": "epochs",
        "updates": "0",
    }
    assert expected.items() <= told.items()
    with (trained / "metrics.csv").open() as file:
        scores = next(csv.DictReader(file))
    shrinkage = load_artifact(trained, torch.device("cpu")).forecaster.network.shrinkage
    assert float(told["shrinkage"]) == pytest.approx(float(shrinkage), abs=5e-5)
    for name in ("mae", "smape", "mase", "skill"):
        assert float(told[name]) == float(scores[name])


def test_show_gives_numbers_and_null_when_json_is_asked_for(trained: Path) -> None:
    rows = json.loads(run_here(trained, "show", trained, "--format", "json").stdout)
    told = {row["property"]: row["value"] for row in rows}
    assert told["horizon"] == 3
    assert told["id column"] is None


def test_show_tells_of_a_model_without_a_record_when_it_has_none(tmp_path: Path) -> None:
    artifact = replace(make_artifact(model="linear"), record={})
    save_artifact(artifact, tmp_path)
    told = shown(tmp_path)
    assert (told["data"], told["epochs run"], told["mase"], told["hidden size"]) == ("",) * 4
    assert told["settings given"] == "none"
    assert told["last time"] == "1970-01-05"


def test_show_counts_ids_when_there_are_many(tmp_path: Path) -> None:
    save_artifact(make_artifact(), tmp_path)
    header, tensors = unpacked(tmp_path / MODEL_FILE)
    header["ids"] = [f"s{place}" for place in range(7)]
    tensors["lookback.offsets"] = tensors["lookback.values"].new_tensor(range(8)).long()
    tensors["lookback.starts"] = tensors["lookback.offsets"][:7] * 0
    (tmp_path / MODEL_FILE).write_bytes(packed(header, tensors))
    assert shown(tmp_path)["ids"] == "s0, s1, s2, s3, s4 and 2 more"


def test_show_prints_no_command_to_the_terminal_when_names_hold_some(tmp_path: Path) -> None:
    save_artifact(make_artifact(), tmp_path)
    header, tensors = unpacked(tmp_path / MODEL_FILE)
    header["ids"] = ["\x1b[31mred\x07", "[bold]two[/bold]\nlines\x9b"]
    header["record"]["data"] = {"name": "\x1b]0;title\x07"}
    (tmp_path / MODEL_FILE).write_bytes(packed(header, tensors))
    done = run_here(tmp_path, "show", tmp_path, "--format", "table")
    assert done.code == 0
    assert done.stdout.replace("\n", "").isprintable()
    assert "\\x1b[31mred\\x07, [bold]two[/bold]\\nlines\\x9b" in done.stdout


def test_show_fails_when_there_is_no_model(tmp_path: Path) -> None:
    done = run_here(tmp_path, "show", tmp_path / "absent")
    assert (done.code, done.stdout) == (4, "")
    assert "no such model; run 'rnnforecast train'" in done.stderr
