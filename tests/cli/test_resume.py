"""Runs that are ended by signals and by time, and those that go on from their checkpoints."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from rnnforecast.artifact import load_artifact
from rnnforecast.cli.run_options import RunOptions
from rnnforecast.errors import ConfigError
from rnnforecast.signals import Interrupted
from rnnforecast.workflows import checkpoints
from rnnforecast.workflows import train as workflow
from rnnforecast.workflows.checkpoints import Checkpoints, drop_checkpoint
from tests.cli.command import SAMPLES, TINY, TINY_BATCHES, Run, run_here
from tests.model_files import packed, unpacked

PASSENGERS = SAMPLES / "passengers.csv"
SHORT = ["train", PASSENGERS, "--horizon", "12", *TINY, "--epochs", "3"]
# A step of the second one, one of the second fit, which has as many, and the steps of both.
SECOND, REFIT, STEPS = TINY_BATCHES + 7, 3 * TINY_BATCHES + 7, 6 * TINY_BATCHES
KEPT = ["model.safetensors", "forecasts.csv", "metrics.csv"]
CHECKPOINT = "checkpoint.safetensors"
WITH = "the same command with --resume goes on"


def contents(directory: Path) -> dict[str, bytes]:
    """What must not depend on how often a run was ended."""
    return {name: (directory / name).read_bytes() for name in KEPT}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run writes that nobody ends."""
    directory = tmp_path_factory.mktemp("whole")
    run = run_here(directory, *SHORT, "--out", "d")
    assert run.code == 0, run.stderr
    assert sorted(os.listdir(directory / "d")) == sorted([".lock", "history.csv", *KEPT])
    return contents(directory / "d")


def ended(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    *flags: str,
    number: signal.Signals = signal.SIGTERM,
) -> Run:
    """A run that gets a signal just before a step, counted from 1 through both fits."""
    written, steps = Checkpoints.write_when_due, itertools.count(1)

    def signalled(self: Checkpoints) -> None:
        if next(steps) == step:
            signal.raise_signal(number)
        written(self)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write_when_due", signalled)
        return run_here(directory, *SHORT, "--out", "d", *flags)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a run leaves that was ended in its second epoch."""
    directory = tmp_path_factory.mktemp("checkpoint")
    with pytest.MonkeyPatch.context() as patch:
        assert ended(directory, patch, SECOND).code == 143
    return (directory / "d" / CHECKPOINT).read_bytes()


def with_checkpoint(directory: Path, content: bytes) -> Path:
    """A directory `d` with this checkpoint; its place."""
    (directory / "d").mkdir()
    place = directory / "d" / CHECKPOINT
    place.write_bytes(content)
    return place


@pytest.mark.parametrize(
    ("number", "code", "step", "place"),
    [
        (signal.SIGINT, 130, 1, "after epoch 0, step 1"),
        (signal.SIGTERM, 143, 7, "after epoch 0, step 7"),
        (signal.SIGINT, 130, TINY_BATCHES, "after epoch 1, step 0"),
        (signal.SIGTERM, 143, TINY_BATCHES + 5, "after epoch 1, step 5"),
        (signal.SIGINT, 130, 3 * TINY_BATCHES, "between two fits"),
        (signal.SIGTERM, 143, 3 * TINY_BATCHES + 1, "after epoch 0, step 1"),
        (signal.SIGTERM, 143, None, "between two fits"),
    ],
)
def test_train_ends_as_if_never_stopped_when_it_goes_on_after_a_signal(
    number: signal.Signals,
    code: int,
    step: int | None,
    place: str,
    whole: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = ended(tmp_path, monkeypatch, STEPS if step is None else step, number=number)
    assert (run.code, run.stdout) == (code, "")
    assert run.stderr.splitlines()[-2:] == [f"stopped {place}; {WITH}", "interrupted"]
    assert sorted(os.listdir(tmp_path / "d")) == [".lock", CHECKPOINT]
    run = run_here(tmp_path, *SHORT, "--out", "d", "--resume")
    assert run.code == 0
    assert ("going on" in run.stderr) == (place != "between two fits")
    assert contents(tmp_path / "d") == whole
    assert run.stdout.encode() == whole["metrics.csv"]
    assert CHECKPOINT not in os.listdir(tmp_path / "d")


def test_train_ends_as_if_never_stopped_when_it_is_ended_again_and_again(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = []
    while not codes or codes[-1]:
        codes.append(ended(tmp_path, monkeypatch, 11, "--resume").code)
    assert len(codes) > 4 and set(codes) == {0, 143}
    assert contents(tmp_path / "d") == whole
    history = pd.read_csv(tmp_path / "d" / "history.csv")
    assert history["seconds"].is_monotonic_increasing


def test_train_keeps_the_older_model_when_it_is_ended(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(tmp_path, *SHORT, "--out", "d", "--seed", "1")
    older = contents(tmp_path / "d")
    assert ended(tmp_path, monkeypatch, SECOND).code == 143
    assert contents(tmp_path / "d") == older
    assert run_here(tmp_path, *SHORT, "--out", "d", "--resume").code == 0
    assert contents(tmp_path / "d") == whole


def test_train_goes_on_from_finished_fits_when_a_signal_came_in_scoring(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: Any, **more: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("rnnforecast.workflows.train.score", interrupt)
        run = run_here(tmp_path, *SHORT, "--out", "d")
    assert (run.code, run.stderr.splitlines()[-2]) == (130, f"stopped between two fits; {WITH}")
    taken: list[Checkpoints] = []
    monkeypatch.setattr(Checkpoints, "write_when_due", lambda self: taken.append(self))
    assert run_here(tmp_path, *SHORT, "--out", "d", "--resume").code == 0
    assert contents(tmp_path / "d") == whole
    assert len(taken) == STEPS - 3 * TINY_BATCHES  # those of the second fit


def test_train_does_not_search_again_when_a_learning_rate_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_here(tmp_path, *SHORT, "--find-lr", "--out", "whole").code == 0
    run = ended(tmp_path, monkeypatch, SECOND, "--find-lr")
    assert run.stderr.count("learning rate") == 1
    run = run_here(tmp_path, *SHORT, "--find-lr", "--out", "d", "--resume")
    assert (run.code, "learning rate" in run.stderr) == (0, False)
    assert contents(tmp_path / "d") == contents(tmp_path / "whole")


def test_train_writes_checkpoints_as_it_goes_when_they_are_due(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "SPACING", 0.0)
    seen: list[bytes] = []
    written = checkpoints.write_files

    def recorded(contents: dict[Path, bytes]) -> None:
        written(contents)
        seen.append((tmp_path / "d" / CHECKPOINT).read_bytes())

    monkeypatch.setattr(checkpoints, "write_files", recorded)
    assert run_here(tmp_path, *SHORT, "--out", "d").code == 0
    monkeypatch.undo()
    assert len(seen) == len(set(seen)) == STEPS
    for content in (seen[0], seen[3 * TINY_BATCHES - 1], seen[-1]):
        (tmp_path / "d" / CHECKPOINT).write_bytes(content)
        assert run_here(tmp_path, *SHORT, "--out", "d", "--resume").code == 0
        assert contents(tmp_path / "d") == whole


def test_train_writes_no_checkpoint_when_it_is_done_in_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(contents: object) -> None:
        raise AssertionError("a checkpoint")

    monkeypatch.setattr(checkpoints, "write_files", refuse)
    assert run_here(tmp_path, *SHORT, "--out", "d").code == 0


def test_checkpoints_take_a_fiftieth_of_the_time_when_they_are_slow_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, writes = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])

    def write(contents: object) -> None:
        writes.append(clock[0])
        clock[0] += 10.0

    monkeypatch.setattr(checkpoints, "write_files", write)
    written = Checkpoints.write_when_due

    def stepping(self: Checkpoints) -> None:
        clock[0] += 7.0
        written(self)

    monkeypatch.setattr(Checkpoints, "write_when_due", stepping)
    flags = ["--epochs", "10", "--no-refit", "--out", "d"]
    assert run_here(tmp_path, *SHORT, *flags).code == 0
    gaps = [after - before for before, after in zip(writes, writes[1:], strict=False)]
    assert writes[0] == pytest.approx(35)
    assert gaps and all(510 <= gap < 517 for gap in gaps)


def test_train_warns_and_goes_on_when_no_checkpoint_can_be_written(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(contents: object) -> None:
        raise checkpoints.OutputError("d/checkpoint.safetensors: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_files", full)
        run = ended(tmp_path, monkeypatch, 7)
        assert (run.code, WITH in run.stderr) == (143, False)
        assert "warning: no checkpoint could be written: d/checkpoint" in run.stderr
        clock = iter(range(0, 10**9, 20))
        patch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
        run = run_here(tmp_path, *SHORT, "--out", "d", "--resume")
    assert run.code == 0 and "has no checkpoint to go on from; the run starts anew" in run.stderr
    assert "warning: no checkpoint could be written" in run.stderr
    assert contents(tmp_path / "d") == whole


@pytest.mark.parametrize(
    ("flags", "difference"),
    [
        (["--epochs", "4"], "epochs was 3, is 4"),
        (["--seed", "1"], "seed was 0, is 1"),
        (["--horizon", "6"], "horizon was 12, is 6"),
        (["--levels", "90"], "levels was [80.0, 95.0], is [90.0]"),
        (["--clip-norm", "inf"], "clip_norm was 1.0, is inf"),
        (["--find-lr"], "find_lr was False, is True"),
        (["--model", "lstm"], "model was gru, is lstm"),
    ],
)
def test_train_names_what_differs_when_the_checkpoint_is_of_another_run(
    flags: list[str], difference: str, tmp_path: Path, checkpoint: bytes
) -> None:
    place = with_checkpoint(tmp_path, checkpoint)
    run = run_here(tmp_path, *SHORT, "--out", "d", "--resume", *flags)
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.splitlines()[-1] == (
        f"error: d/{CHECKPOINT} is of another run: {difference}; pass the flags of then, or "
        "leave out --resume to start anew"
    )
    assert place.read_bytes() == checkpoint


def test_train_starts_anew_when_the_data_are_others_than_those_of_the_checkpoint(
    tmp_path: Path, checkpoint: bytes
) -> None:
    with_checkpoint(tmp_path, checkpoint)
    (tmp_path / "other.csv").write_text(PASSENGERS.read_text().replace(",112\n", ",113\n"))
    other = ["train", "other.csv", *SHORT[2:], "--out"]
    run = run_here(tmp_path, *other, "d", "--resume", "--learning-rate", "0.01")
    message = r"warning: .* is of another run: sha256 of the data was \w{64}, is \w{64}; it is left"
    assert run.code == 0 and re.search(message, run.stderr)
    run_here(tmp_path, *other, "whole", "--learning-rate", "0.01")
    assert contents(tmp_path / "d") == contents(tmp_path / "whole")


def test_train_starts_anew_when_it_shall_not_resume(
    whole: dict[str, bytes], tmp_path: Path, checkpoint: bytes
) -> None:
    with_checkpoint(tmp_path, checkpoint)
    run = run_here(tmp_path, *SHORT, "--out", "d")
    assert run.code == 0
    told = f"d/{CHECKPOINT} is not gone on from without --resume, and will be replaced"
    assert told in run.stderr.splitlines()
    assert contents(tmp_path / "d") == whole
    assert CHECKPOINT not in os.listdir(tmp_path / "d")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"0",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: content.replace(b'best_epoch\\": 1', b'best_epoch\\": 2'),
        lambda content: content.replace(b'checkpoint_schema\\": 7', b'checkpoint_schema\\": 9'),
    ],
)
def test_train_warns_and_starts_anew_when_the_checkpoint_is_damaged(
    damage: Callable[[bytes], bytes], whole: dict[str, bytes], tmp_path: Path, checkpoint: bytes
) -> None:
    assert damage(checkpoint) != checkpoint
    with_checkpoint(tmp_path, damage(checkpoint))
    assert_starts_anew(tmp_path, whole)


def assert_starts_anew(directory: Path, whole: dict[str, bytes]) -> None:
    """In one line, and to the files of a run that had no checkpoint."""
    run = run_here(directory, *SHORT, "--out", "d", "--resume", "--quiet")
    assert run.code == 0, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"warning: d/{CHECKPOINT}: not a checkpoint this version can read (")
    assert line.endswith("); it is left aside, and this run starts anew")
    assert contents(directory / "d") == whole
    assert CHECKPOINT not in os.listdir(directory / "d")


def test_train_warns_and_starts_anew_when_the_checkpoint_is_a_model(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    with_checkpoint(tmp_path, whole[KEPT[0]])
    assert_starts_anew(tmp_path, whole)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("learning_rate",), "x"),
        (("learning_rate",), -1.0),
        (("identity",), "x"),
        (("identity", "given"), []),
        (("identity", "given"), {}),
        (("identity", "given", "command"), "bake"),
        (("checkpoint_schema",), "\x1b[2J"),
        (("trainings",), []),
        (("trainings",), {"a": 1}),
        (("trainings", 0, "best_epoch"), "x"),
        (("trainings", 0, "sums", "losses"), "x"),
        (("trainings", 0, "history", 0, "epoch"), "x"),
        (("trainings", 0, "history", 0, "epoch"), 2),
        (("trainings", 0, "taken"), 99),
    ],
)
def test_train_warns_and_starts_anew_when_a_signed_checkpoint_says_what_cannot_be(
    path: tuple[str | int, ...],
    value: object,
    whole: dict[str, bytes],
    tmp_path: Path,
    checkpoint: bytes,
) -> None:
    place = with_checkpoint(tmp_path, checkpoint)
    header, tensors = unpacked(place)
    inner: Any = header
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    place.write_bytes(packed(header, tensors))
    assert_starts_anew(tmp_path, whole)


@pytest.mark.parametrize("name", ["0.order", "0.generator", "0.norms", "1.order", "order"])
def test_train_warns_and_starts_anew_when_a_signed_checkpoint_has_another_tensor(
    name: str, whole: dict[str, bytes], tmp_path: Path, checkpoint: bytes
) -> None:
    place = with_checkpoint(tmp_path, checkpoint)
    header, tensors = unpacked(place)
    place.write_bytes(packed(header, {**tensors, name: torch.zeros(7)}))
    assert_starts_anew(tmp_path, whole)


def test_train_fits_anew_to_all_data_when_that_part_of_the_checkpoint_is_of_no_use(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(tmp_path, monkeypatch, REFIT).code == 143
    place = tmp_path / "d" / CHECKPOINT
    header, tensors = unpacked(place)
    place.write_bytes(packed(header, {**tensors, "1.order": torch.zeros(7)}))
    assert_starts_anew(tmp_path, whole)


@pytest.mark.parametrize(
    ("changed", "command", "kept"),
    [(False, "train", False), (False, "update", True), (True, "update", False)],
)
def test_drop_checkpoint_removes_what_is_of_this_command_or_of_no_use(
    changed: bool, command: str, kept: bool, tmp_path: Path, checkpoint: bytes
) -> None:
    place = with_checkpoint(tmp_path, checkpoint[:-1] if changed else checkpoint)
    drop_checkpoint(place.parent, command)
    assert place.exists() == kept
    drop_checkpoint(tmp_path, command)  # where there is none


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        ("torch.get_num_threads", lambda: 7, "number of threads was 1, is 7"),
        ("torch.__version__", "9.9.0", r"version of torch was \S+, is 9.9.0"),
        pytest.param(
            "rnnforecast.workflows.identity.kernels_of",
            lambda config, device: "float16",
            r"compiled kernels was \w+, is float16",
        ),
        (
            "rnnforecast.workflows.identity.__version__",
            "9.9",
            r"version of rnnforecast was \S+, is",
        ),
    ],
)
def test_train_starts_anew_when_machine_or_programs_are_others(
    place: str,
    value: object,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: bytes,
) -> None:
    with_checkpoint(tmp_path, checkpoint)
    monkeypatch.setattr(place, value)
    run = run_here(tmp_path, *SHORT, "--out", "d", "--resume")
    assert run.code == 0
    assert re.search(f"warning: .* is of another run: {what}", run.stderr)
    assert "going on" not in run.stderr


def test_train_searches_its_own_rate_when_the_checkpoint_is_of_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(tmp_path, monkeypatch, SECOND, "--find-lr").code == 143
    place = tmp_path / "d" / CHECKPOINT
    header, tensors = unpacked(place)
    header["identity"]["given"]["sha256 of the data"] = "0" * 64
    header["learning_rate"] = 0.123
    place.write_bytes(packed(header, tensors))
    run = run_here(tmp_path, *SHORT, "--find-lr", "--out", "d", "--resume")
    assert run.code == 0 and "found in" in run.stderr
    artifact = load_artifact(tmp_path / "d", torch.device("cpu"))
    assert artifact.forecaster.config.training.learning_rate != 0.123


def test_train_writes_no_checkpoint_when_the_reader_of_its_lines_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Checkpoints) -> None:
        raise Interrupted(signal.SIGPIPE)

    monkeypatch.setattr(Checkpoints, "write_when_due", gone)
    assert run_here(tmp_path, *SHORT, "--out", "d").code == 141
    assert not (tmp_path / "d" / CHECKPOINT).exists()


def test_train_leaves_no_checkpoint_when_it_diverges_or_is_gated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "SPACING", 0.0)
    run = run_here(tmp_path, *SHORT, "--out", "d", "--fail-if", "mase>0.001")
    assert (run.code, os.listdir(tmp_path)) == (6, [])
    flags = ["--learning-rate", "1e30", "--no-log", "--model", "rnn-relu", "--clip-norm", "inf"]
    run = run_here(tmp_path, *SHORT, "--out", "d", *flags)
    assert (run.code, os.listdir(tmp_path)) == (5, [])


def test_train_ends_at_once_when_a_second_signal_comes(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "from rnnforecast.cli.app import main\n"
        "from rnnforecast.workflows.checkpoints import Checkpoints\n"
        "def twice(self):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    time.sleep(0.3)\n"  # later than an echo of the first
        "    signal.raise_signal(signal.SIGINT)\n"
        "Checkpoints.write_when_due = twice\n"
        "main()"
    )
    command = [sys.executable, "-c", code, *map(str, SHORT), "--out", "d", "--quiet"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted\n")
    assert os.listdir(tmp_path / "d") == [".lock"]


def limited(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    *flags: str,
    data: Path = PASSENGERS,
    reading: float = 0.0,
) -> Run:
    """A run in which nothing but reading takes time, and a step: a second."""
    clock = [0.0]
    read, written = workflow.read_and_prepare, Checkpoints.write_when_due

    def slow(*given: Any) -> Any:
        clock[0] += reading
        return read(*given)

    def stepping(self: Checkpoints) -> None:
        clock[0] += 1.0
        written(self)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.time, "monotonic", lambda: clock[0])
        patch.setattr(checkpoints, "write_files", lambda contents: None)
        patch.setattr(Checkpoints, "write_when_due", stepping)
        patch.setattr(workflow, "read_and_prepare", slow)
        arguments = ["train", data, *SHORT[2:], "--out", "d", "--time-limit", limit]
        return run_here(directory, *arguments, *flags)


@pytest.mark.parametrize(
    ("limit", "flags", "epochs", "reason", "refitted"),
    [
        # Nine tenths of the limit, and two fifths of these for a first fit of 48 steps.
        ("0.001", ["--no-refit"], 1, "time limit", None),
        ("50", ["--no-refit"], 3, "time limit", None),
        ("1.2m", ["--no-refit"], 3, "epochs", None),
        ("40", [], 1, "time limit", True),
        ("0.02h", [], 2, "time limit", True),
        ("10", [], 1, "time limit", False),
        ("10m", [], 3, "epochs", True),
    ],
)
def test_train_keeps_a_whole_model_when_its_time_runs_out(
    limit: str,
    flags: list[str],
    epochs: int,
    reason: str,
    refitted: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = limited(tmp_path, monkeypatch, limit, *flags)
    assert run.code == 0
    history = pd.read_csv(tmp_path / "d" / "history.csv")
    assert len(history) == epochs
    record = load_artifact(tmp_path / "d", torch.device("cpu")).record
    assert record["stop_reason"] == reason
    told = f"the time limit ended training in epoch {epochs}; the best was epoch "
    assert (told in run.stderr) == (reason == "time limit")
    kept = "the model that is kept is the one that was scored, which has not seen the newest values"
    assert (kept in run.stderr) == (refitted is False)
    assert sorted(os.listdir(tmp_path / "d")) == sorted([".lock", "history.csv", *KEPT])
    forecast = run_here(tmp_path, "forecast", "d")
    assert forecast.stdout.encode() == (tmp_path / "d" / "forecasts.csv").read_bytes()


def test_train_counts_the_time_of_reading_when_it_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limited(tmp_path, monkeypatch, "60", "--no-refit", reading=40).code == 0
    assert len(pd.read_csv(tmp_path / "d" / "history.csv")) == 2  # 18 steps


def test_train_writes_the_same_model_when_its_time_does_not_run_out(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limited(tmp_path, monkeypatch, "1000").code == 0
    assert contents(tmp_path / "d") == whole


def test_train_refits_whole_when_the_scored_model_cannot_read_the_newest_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PASSENGERS.read_text().replace("1960-12-01,432", "1960-12-01,0")
    (tmp_path / "zero.csv").write_text(data)
    run = limited(tmp_path, monkeypatch, "10", data=tmp_path / "zero.csv")
    assert run.code == 0
    assert "works on plain values" in run.stderr and "the one that was scored" not in run.stderr
    assert run_here(tmp_path, "forecast", "d").code == 0


def test_train_ends_about_then_when_it_has_a_time_limit(tmp_path: Path) -> None:
    began = time.monotonic()
    flags = ["--epochs", "100000", "--patience", "100000", "--time-limit", "1.5"]
    assert run_here(tmp_path, *SHORT, *flags, "--out", "d").code == 0
    assert 0.5 < time.monotonic() - began < 60  # where the machine is busy, and not for days


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), (" 10 m", 600), ("1.5h", 5400), (".5m", 30), ("2d", 172800)],
)
def test_time_limit_is_read_as_seconds_when_it_has_a_unit(text: str, seconds: float) -> None:
    assert RunOptions(time_limit=text).control().time_limit == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1e3", "10 minutes", "m", "inf", "nan", "1h30m"])
def test_time_limit_is_refused_when_it_is_no_time(text: str) -> None:
    message = f"^time_limit must be a time such as 90s, 10m or 1.5h, got '{text}'$"
    with pytest.raises(ConfigError, match=message):
        RunOptions(time_limit=text).control()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--time-limit", "0"], "error: time_limit must be positive, got 0.0"),
        (["--time-limit", "soon"], "error: time_limit must be a time such as 90s, 10m or 1.5h"),
        (["--if-locked", "cry"], "error: if_locked must be one of fail, wait, skip, got 'cry'"),
    ],
)
def test_train_ends_with_2_when_a_run_option_cannot_be_used(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    run = run_here(tmp_path, *SHORT, *flags)
    assert (run.code, run.stdout, os.listdir(tmp_path)) == (2, "", [])
    assert run.stderr.startswith(message)
