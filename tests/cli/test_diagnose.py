"""diagnose, as a user runs it: every model, formats, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.cli.diagnose import UNJUDGED
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.registry import MODELS
from tests.cli.command import SAMPLES, forked, rnnforecast, run_here
from tests.every_model import in_turn
from tests.model_files import make_artifact, save_artifact

PASSENGERS = SAMPLES / "passengers.csv"
COLUMNS = ["part", "measure", "value", "verdict", "advice"]
RECURRENT = [name for name, row in MODELS.items() if row.cell is not None]
ATTENTIVE = [name for name, row in MODELS.items() if row.pooling or row.attentive]
SMALL = ["--horizon", "6", "--lookback", "30", "--season", "12", "--preset", "fast"]
SMALL += ["--epochs", "2", "--hidden-size", "8", "--batch-size", "16", "--quiet"]


def train(directory: Path, model: str, *options: str) -> None:
    words = ["train", PASSENGERS, *SMALL, "--model", model, "--out", model, *options]
    run = run_here(directory, *words)
    assert run.code == 0, run.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("diagnose")
    train(directory, "gru", "--segment-length", "1")
    train(directory, "linear")
    return directory


def read(stdout: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(stdout), keep_default_na=False)


def test_diagnose_gives_one_table_in_every_format_when_run_as_a_program(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rnnforecast("diagnose", "gru", "--format", "csv", cwd=folder)
    assert table.returncode == 0, table.stderr
    found = read(table.stdout)
    assert list(found) == COLUMNS
    assert list(dict.fromkeys(found["part"])) == ["encoder layer 1 forward", "training"]
    values = found.set_index("measure")["value"].astype(float)
    for gate in "rz":
        assert 0 <= values[f"saturation {gate}"] <= 1
    assert values["spectral radius n"] > 0 and values["newest gradient"] > 0
    assert 0 <= values["clip rate"] <= 1 and values["update ratio"] > 0
    rate = values["decay rate"]
    life = np.log(2) / -np.log(rate) if rate < 1 else np.inf
    assert values["half-life in steps"] == pytest.approx(life)
    # The kept lookback of 30 holds the horizon, too.
    assert table.stderr == (
        "gradients of one window, reading up to 24 values of 30; pass longer DATA for whole ones\n"
    )
    rows = json.loads(run_here(folder, "diagnose", "gru", "--format", "json").stdout)
    assert [list(row) for row in rows] == [COLUMNS] * len(found)
    assert [row["measure"] for row in rows] == list(found["measure"])
    monkeypatch.setenv("COLUMNS", "200")
    shown = run_here(folder, "diagnose", "gru", "--format", "table").stdout
    judged = found[(found["verdict"] != "") | found["measure"].isin(UNJUDGED)]
    assert len(judged) < len(found)
    assert len(shown.splitlines()) == len(judged) + 4
    assert all(f" {measure} " in shown for measure in judged["measure"])


def test_diagnose_reads_the_newest_windows_when_data_are_given(folder: Path) -> None:
    run = run_here(folder, "diagnose", "gru", PASSENGERS, "--by", "lag")
    assert run.code == 0, run.stderr
    assert run.stderr == "gradients of 64 windows, reading up to 30 values\n"
    found = read(run.stdout)
    assert list(found) == ["part", "lag", "gradient", "share"]
    assert found["lag"].to_list() == list(range(30))
    assert found["share"].max() == 1 and (found["gradient"] > 0).all()
    np.testing.assert_allclose(found["share"], found["gradient"] / found["gradient"].max())
    piped = forked(folder, "diagnose", "gru", "-", "--by", "lag", stdin=PASSENGERS)
    assert piped.stdout == run.stdout


def test_diagnose_looks_at_the_member_that_reads_most_when_they_are_several(
    tmp_path: Path,
) -> None:
    """It tells of an ensemble what it tells of its first member alone."""
    artifact = make_artifact(model="attention-gru", lookback=9, lookbacks=(9, 9, 5))
    forecaster = artifact.forecaster
    spec = replace(forecaster.config.model, lookbacks=())
    config = replace(forecaster.config, model=spec)
    for kept in (0, 1):
        alone = Ensemble(spec, config.windows)
        alone.members[0].load_state_dict(forecaster.network.members[kept].state_dict())
        one = replace(artifact, forecaster=Forecaster(config, alone, forecaster.factors))
        (tmp_path / f"{kept}").mkdir()
        save_artifact(one, tmp_path / f"{kept}")
    (tmp_path / "several").mkdir()
    save_artifact(artifact, tmp_path / "several")
    for flags in ([], ["--by", "lag"], ["--attention", "weights.csv"]):
        told = []
        for name in ("several", "0", "1"):
            run = run_here(tmp_path, "diagnose", name, *flags, "--quiet")
            assert run.code == 0, run.stderr
            weights = tmp_path / "weights.csv"
            told.append((run.stdout, weights.read_bytes() if weights.exists() else b""))
        assert told[0] == told[1] != told[2]


def test_diagnose_takes_the_last_value_as_target_when_the_lookback_is_no_longer_than_the_horizon(
    tmp_path: Path,
) -> None:
    train(tmp_path, "rnn", "--lookback", "4", "--segment-length", "1")
    run = run_here(tmp_path, "diagnose", "rnn", "--by", "lag")
    assert run.code == 0, run.stderr
    assert "reading up to 3 values of 4" in run.stderr
    assert len(read(run.stdout)) == 3


def test_diagnose_asks_for_data_when_the_model_keeps_one_value(tmp_path: Path) -> None:
    train(tmp_path, "rnn", "--lookback", "1", "--segment-length", "1")
    run = run_here(tmp_path, "diagnose", "rnn")
    assert (run.code, run.stdout) == (3, "")
    assert run.stderr == "error: the model keeps 1 value of each series; pass DATA\n"
    assert run_here(tmp_path, "diagnose", "rnn", PASSENGERS).code == 0


@pytest.mark.parametrize("worth", [float("nan"), float("inf")])
def test_diagnose_ends_as_failed_training_does_when_the_network_has_diverged(
    worth: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_diverged(directory: Path, device: torch.device) -> Artifact:
        artifact = load_artifact(directory, device)
        weights = dict(artifact.forecaster.network.named_parameters())
        next(value for name, value in weights.items() if "weight_hh" in name).data *= worth
        return artifact

    monkeypatch.setattr("rnnforecast.workflows.diagnose.load_artifact", load_diverged)
    run = run_here(folder, "diagnose", "gru", "--quiet")
    assert run.stdout == ""
    assert run.code == 5 and "the gradient is not finite" in run.stderr, run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("model", in_turn(RECURRENT))
def test_diagnose_finds_gradients_in_every_layer_when_the_model_is_any(
    model: str, tmp_path: Path
) -> None:
    segment = "1" if MODELS[model].samples else "2"
    train(tmp_path, model, "--segment-length", segment)
    run = run_here(tmp_path, "diagnose", model, PASSENGERS)
    assert run.code == 0, run.stderr
    found = read(run.stdout)
    row = MODELS[model]
    ways = ["forward", "backward"] if row.bidirectional else ["forward"]
    layers = {f"encoder layer {n + 1} {way}" for n in range(row.num_layers) for way in ways}
    assert layers | {"training"} <= set(found["part"])
    assert ("encoder seasonal" in set(found["part"])) == row.skip_recurrence
    newest = found[found["measure"] == "newest gradient"]
    assert (newest["value"].astype(float) > 0).all() and (newest["verdict"] == "").all()


@pytest.mark.parametrize("model", ATTENTIVE)
def test_diagnose_writes_attention_weights_when_the_model_has_them(
    model: str, tmp_path: Path
) -> None:
    train(tmp_path, model, "--segment-length", "2")
    run = run_here(tmp_path, "diagnose", model, "--attention", "weights.csv", "--quiet")
    assert run.code == 0, run.stderr
    assert run.stderr == ""
    weights = pd.read_csv(tmp_path / "weights.csv")
    assert list(weights) == ["unique_id", "query", "lag", "weight"]
    queries = [1, 2, 3] if MODELS[model].attentive else [0]
    assert weights["query"].unique().tolist() == queries
    for _, asked in weights.groupby("query"):
        assert asked["lag"].to_list() == list(range(15))
        assert asked["weight"].sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["linear"], 2, "error: model 'linear' has no recurrence, so no gradient flows"),
        (["gru", "--attention", "a.csv"], 2, "error: model 'gru' has no attention; drop"),
        (["gru", "--by", "layer"], 2, "error: by must be one of measure, lag, got 'layer'"),
        (["gru", "--format", "xml"], 2, "error: format must be one of"),
        (["gru", "absent.csv"], 3, "error: absent.csv"),
        (["gru", "short.csv"], 3, "error: short.csv: no series has two values"),
        (["gru", "gap.csv"], 3, "error: gap.csv: the newest windows hold no observation to "),
        (["gru", "zero.csv"], 3, "error: zero.csv: series 'passengers' has the value 0"),
        (["absent"], 4, "error: absent/model.safetensors: no such model"),
        (["damaged"], 4, "error: damaged/model.safetensors: damaged, or no model"),
    ],
)
def test_diagnose_ends_with_its_code_and_one_line_when_it_cannot_run(
    arguments: list[str], code: int, message: str, folder: Path
) -> None:
    (folder / "damaged").mkdir(exist_ok=True)
    (folder / "damaged" / "model.safetensors").write_bytes(b"no model")
    (folder / "short.csv").write_text("month,passengers\n1949-01-01,1\n")
    months = [f"{1949 + n // 12}-{n % 12 + 1:02}-01," for n in range(144)]
    gap = [f"{month}{n + 1 if n < 20 or n == 143 else ''}\n" for n, month in enumerate(months)]
    (folder / "gap.csv").write_text("month,passengers\n" + "".join(gap))
    rows = [f"{1950 + n // 12}-{n % 12 + 1:02}-01,{40 - n}\n" for n in range(41)]
    (folder / "zero.csv").write_text("month,passengers\n" + "".join(rows))
    run = run_here(folder, "diagnose", *arguments)
    assert (run.code, run.stdout) == (code, "")
    assert run.stderr.startswith(message), run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (folder / "a.csv").exists()


def test_diagnose_names_models_with_attention_when_this_one_has_none(folder: Path) -> None:
    run = run_here(folder, "diagnose", "gru", "--attention", "a.csv")
    assert run.stderr.endswith(f"train one of {', '.join(ATTENTIVE)}\n")
