"""The options of training, from the command line to what they do."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from rnnforecast.artifact import MODEL_FILE
from rnnforecast.config import Settings
from rnnforecast.defaults import LEAST_STEPS, PRESETS
from tests.cli.command import SAMPLES, TINY, forked, run_here
from tests.model_files import unpacked

PASSENGERS = SAMPLES / "passengers.csv"
DIVERGENT = ["--horizon", "12", "--model", "rnn-relu", "--optimizer", "sgd"]
DIVERGENT += ["--learning-rate", "100", "--epochs", "4"]


def header_of(directory: Path) -> dict[str, Any]:
    """What the model file of a directory tells beside its weights."""
    with safe_open(directory / MODEL_FILE, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["rnnforecast"])
    return header


def trained(directory: Path, *flags: str) -> pd.DataFrame:
    """The history of a small training, whose model lies in d/."""
    run = run_here(
        directory, "train", PASSENGERS, "--horizon", "6", "--no-refit", *flags, "--out", "d"
    )
    assert run.code == 0, run.stderr
    return pd.read_csv(directory / "d" / "history.csv")


def test_train_ends_with_5_when_descent_explodes_and_with_0_when_it_is_clipped(
    tmp_path: Path,
) -> None:
    flags = [PASSENGERS, *DIVERGENT, "--out", "d"]
    run = forked(tmp_path, "train", *flags, "--clip-norm", "inf")
    assert (run.code, run.stdout) == (5, "")
    assert run.stderr.splitlines()[-1].startswith("error: training diverged in epoch 1, batch ")
    assert run.stderr.endswith(
        "; lower --learning-rate, clip with --clip-norm 1, or take a gated model such as gru\n"
    )
    assert not (tmp_path / "d").exists()
    run = forked(tmp_path, "train", *flags, "--clip-norm", "0.001")
    assert run.code == 0, run.stderr
    metrics = pd.read_csv(StringIO(run.stdout)).set_index("model").loc["rnn-relu"]
    assert np.isfinite(metrics.astype(float)).all()
    assert metrics["mase"] < 2
    history = pd.read_csv(tmp_path / "d" / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert np.isfinite(history).all(axis=None) and (history["clip_rate"] == 1).all()


def test_train_names_another_remedy_than_clipping_when_it_diverges_though_clipped(
    tmp_path: Path,
) -> None:
    run = run_here(tmp_path, "train", PASSENGERS, *DIVERGENT, "--out", "d")
    assert run.code == 5
    assert "; lower --learning-rate, clip with a --clip-norm below 1, or take" in run.stderr


def test_train_writes_norms_and_updates_of_each_epoch_to_its_tables(tmp_path: Path) -> None:
    history = trained(tmp_path, "--epochs", "3", "--hidden-size", "4")
    assert list(history.columns) == [
        *("epoch", "train_loss", "validation_loss", "gradient_norm", "clip_rate", "update_ratio"),
        *("learning_rate", "seconds"),
    ]
    assert history["update_ratio"].between(1e-8, 1).all()
    record = header_of(tmp_path / "d")["record"]
    stored = pd.DataFrame(record["history"])
    pd.testing.assert_frame_equal(stored, history.drop(columns="seconds"), check_like=True)


@pytest.mark.parametrize(
    ("flags", "part", "name", "stored"),
    [
        (["--init", "uniform"], "model", "init", "uniform"),
        (["--tbptt", "3"], "model", "tbptt", 3),
        (["--num-layers", "2"], "model", "num_layers", 2),
        (["--head", "normal"], "model", "head", "normal"),
        (["--optimizer", "sgd"], "training", "optimizer", "sgd"),
        (["--schedule", "plateau"], "training", "schedule", "plateau"),
        (["--clip-percentile", "10"], "training", "clip_percentile", 10.0),
        (["--teacher-forcing", "never"], "training", "teacher_forcing", "never"),
        (["--jitter", "0.5"], "training", "jitter", 0.5),
    ],
    ids=lambda flags: flags[0] if isinstance(flags, list) else "",
)
def test_train_stores_and_heeds_an_option_when_it_is_given(
    flags: list[str], part: str, name: str, stored: object, tmp_path: Path
) -> None:
    tiny = [*TINY, "--model", "seq2seq-gru"] if name == "teacher_forcing" else TINY
    plain = trained(tmp_path, *tiny)
    asked = trained(tmp_path, *tiny, *flags)
    config = header_of(tmp_path / "d")["config"]
    assert config[part][name] == stored
    losses = [history["learning_rate"] + history["train_loss"] for history in (plain, asked)]
    assert losses[0].item() != losses[1].item()


@pytest.mark.parametrize(
    ("flags", "preset", "members"),
    [
        ([], "default", PRESETS["default"].members),
        (["--preset", "fast"], "fast", 1),
        (["--preset", "best", "--members", "2"], "best", 2),
        (["--preset", "fast", "--members", "3"], "fast", 3),
        (["--members", "1"], "default", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_train_fits_members_in_steps_as_preset_and_members_say(
    flags: list[str], preset: str, members: int, tmp_path: Path
) -> None:
    trained(tmp_path, "--epochs", "1", "--hidden-size", "4", *flags)
    header, tensors = unpacked(tmp_path / "d" / MODEL_FILE)
    places = {name.split(".")[2] for name in tensors if name.startswith("network.members.")}
    assert places == set(map(str, range(members)))
    steps = PRESETS[preset].effort * LEAST_STEPS
    config = header["config"]
    assert config["training"]["batches_per_epoch"] == math.ceil(steps / Settings.epochs)
    lookbacks = config["model"]["lookbacks"]
    assert len(lookbacks) == (members if members > 1 else 0)
    assert max(lookbacks, default=config["windows"]["lookback"]) == config["windows"]["lookback"]
    run = run_here(tmp_path, "forecast", "d")
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == (tmp_path / "d" / "forecasts.csv").read_text()


def test_train_forecasts_something_else_when_it_has_more_members(tmp_path: Path) -> None:
    """Each joins in: the median moves from one to two and from two to three."""
    forecasts = []
    for members in ("1", "2", "3"):
        trained(tmp_path, *TINY, "--lookback", "24", "--members", members)
        forecasts.append(pd.read_csv(tmp_path / "d" / "forecasts.csv")["gru"])
    for one, other in itertools.combinations(forecasts, 2):
        assert (one != other).any()
        np.testing.assert_allclose(one, other, rtol=0.3)


def test_train_forecasts_the_same_bytes_when_members_are_fitted_again(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        trained(tmp_path, *TINY, "--members", "3")
        contents.append((tmp_path / "d" / MODEL_FILE).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("lookback", ["1", "4"])
def test_train_fits_several_members_when_the_lookback_is_too_short_to_tell_a_spread(
    lookback: str, tmp_path: Path
) -> None:
    trained(tmp_path, *TINY, "--members", "2", "--lookback", lookback, "--season", "1")
    assert header_of(tmp_path / "d")["config"]["model"]["lookbacks"] == [int(lookback)] * 2


def test_train_takes_layers_and_head_of_the_model_when_none_are_given(tmp_path: Path) -> None:
    for model, layers, head in (("gru", 1, "quantile"), ("deepar", 2, "student-t")):
        trained(tmp_path, *TINY, "--model", model)
        config = header_of(tmp_path / "d")["config"]["model"]
        assert (config["num_layers"], config["head"]) == (layers, head)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--init", "x"], "init must be one of orthogonal, chrono, uniform, got 'x'"),
        (["--tbptt", "0"], "tbptt must be at least 1, got 0"),
        (["--optimizer", "adam"], "optimizer must be one of adamw, sgd, got 'adam'"),
        (["--schedule", "step"],
         "schedule must be one of one-cycle, cosine, constant, plateau, got 'step'"),
        (["--clip-percentile", "0"], "clip_percentile must be above 0 and at most 100, got 0.0"),
        (["--teacher-forcing", "no"],
         "teacher_forcing must be one of scheduled, always, never, got 'no'"),
        (["--head", "x"], "head must be one of "),
        (["--preset", "slow"], "preset must be one of fast, default, best, got 'slow'"),
        (["--members", "101"], "members must be at most 100, got 101"),
        (["--members", "0"], "members must be at least 1, got 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["train", "backtest"])
def test_command_ends_with_2_and_the_choices_when_an_option_is_wrong(
    command: str, flags: list[str], message: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, command, PASSENGERS, "--horizon", "6", *flags)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: {message}")
    assert len(run.stderr.splitlines()) == 1


def test_backtest_heeds_the_options_of_training_when_they_are_given(tmp_path: Path) -> None:
    flags = ["--horizon", "6", "--windows", "2", *TINY]
    plain = run_here(tmp_path, "backtest", PASSENGERS, *flags)
    asked = run_here(
        tmp_path, "backtest", PASSENGERS, *flags, "--optimizer", "sgd", "--schedule", "cosine"
    )
    assert (plain.code, asked.code) == (0, 0)
    networks = [pd.read_csv(StringIO(run.stdout)).set_index("model") for run in (plain, asked)]
    assert networks[0].loc["gru", "mae"] != networks[1].loc["gru", "mae"]
    assert networks[0].loc["naive", "mae"] == networks[1].loc["naive", "mae"]


def test_train_finds_a_learning_rate_and_trains_with_it_when_asked(tmp_path: Path) -> None:
    flags = ["--horizon", "6", *TINY, "--schedule", "constant", "--out", "d"]
    run = run_here(tmp_path, "train", PASSENGERS, *flags, "--find-lr")
    assert run.code == 0, run.stderr
    notes = [line for line in run.stderr.splitlines() if line.startswith("learning rate ")]
    assert len(notes) == 1
    assert "steps, a tenth of where the loss was lowest, " in notes[0]
    rate = notes[0].split()[2]
    assert 1e-4 < float(rate) < 1
    config = header_of(tmp_path / "d")["config"]["training"]
    assert config["learning_rate"] == float(rate)
    history = pd.read_csv(tmp_path / "d" / "history.csv")
    assert (history["learning_rate"] == float(rate)).all()
    # The search leaves no trace but the rate: given as a flag, that yields the same bytes.
    found = (tmp_path / "d" / MODEL_FILE).read_bytes()
    run = run_here(tmp_path, "train", PASSENGERS, *flags, "--learning-rate", rate)
    assert run.code == 0, run.stderr
    assert (tmp_path / "d" / MODEL_FILE).read_bytes() == found


def test_train_refuses_a_learning_rate_when_it_is_to_find_one(tmp_path: Path) -> None:
    flags = ["--horizon", "6", "--find-lr", "--learning-rate", "0.01"]
    run = run_here(tmp_path, "train", PASSENGERS, *flags)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "error: learning_rate must be left out with --find-lr, got 0.01\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train --schedule c", {"cosine", "constant"}),
        ("backtest --optimizer s", {"sgd"}),
        ("train --init ''", {"orthogonal", "chrono", "uniform"}),
        ("train --teacher-forcing a", {"always"}),
        ("train --head q", {"quantile"}),
        ("train --preset ''", {"fast", "default", "best"}),
    ],
)
def test_shell_completes_names_when_an_option_has_choices(
    words: str, offered: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_RNNFORECAST_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"rnnforecast {words}")
    code = "import sys; sys.argv = ['rnnforecast']\nfrom rnnforecast.cli.app import main\nmain()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert {line.split("\t")[0] for line in run.stdout.splitlines()} == offered
