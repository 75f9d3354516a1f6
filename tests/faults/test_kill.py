"""Runs that are killed at random moments: no model is torn, nothing stays behind, none is lost.

The tables beside a model are those of its run, or of the next where it was killed as it wrote.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnforecast.artifact import MODEL_FILE
from rnnforecast.container import opened
from rnnforecast.workflows.outputs import TABLES
from tests.cli.command import SAMPLES, TINY, run_here
from tests.faults.killer import run_until

pytestmark = pytest.mark.slow
PASSENGERS = SAMPLES / "passengers.csv"
SHAPE = ["--horizon", "12", *TINY, "--patience", "30", "--out", "d"]
# What wrote the model that was there, and what is killed while it replaces this.
COMMANDS = {
    "train": (
        ["train", "newer.csv", *SHAPE, "--epochs", "2", "--seed", "1"],
        # Slow to learn, so that the best epoch is a late one and the second fit as long.
        ["train", "newer.csv", *SHAPE, "--epochs", "8", "--learning-rate", "2e-4", "--resume"],
    ),
    "update": (
        ["train", "older.csv", *SHAPE, "--epochs", "6"],
        ["update", "d", "newer.csv", "--no-guard", "--resume"],
    ),
}
KEPT = ["model.safetensors", "forecasts.csv", "metrics.csv"]


@dataclass(frozen=True)
class Case:
    """A command over an existing model.

    Attributes:
        directory: Where the older model is.
        command: What replaces it.
        older: Its files.
        newer: The files that the command leaves where nothing kills it.
        seconds: How long that takes.
    """

    directory: Path
    command: list[str]
    older: dict[str, bytes]
    newer: dict[str, bytes]
    seconds: float


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / "d" / name).read_bytes() for name in KEPT}


@pytest.fixture(scope="module", params=COMMANDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    before, command = COMMANDS[request.param]
    older = tmp_path_factory.mktemp(request.param)
    rows = PASSENGERS.read_text().splitlines(keepends=True)
    (older / "older.csv").write_text("".join(rows[:-3]))
    (older / "newer.csv").write_text("".join(rows))
    assert run_until(older, *before).code == 0
    newer = older.with_name(f"{older.name}-newer")
    shutil.copytree(older, newer)
    ended = run_until(newer, *command)
    assert ended.code == 0, ended.errors
    assert contents(older) != contents(newer)
    return Case(older, command, contents(older), contents(newer), ended.seconds)


def moment(attempt: int, seconds: float) -> float | str:
    """When to kill a run: at any time, or as soon as one of its files is being written."""
    chance = random.Random(attempt)
    if attempt % 4 == 1:
        name = "model.safetensors" if chance.random() < 0.6 else "checkpoint.safetensors"
        return f"d/.{name}.*.tmp"
    return chance.random() * seconds


def phase(directory: Path, case: Case) -> str:
    """What a run was at when it was killed, by what it has left."""
    if contents(directory)["model.safetensors"] == case.newer["model.safetensors"]:
        return "model written"
    if [name for name in os.listdir(directory / "d") if name.startswith(".model.")]:
        return "model being written"
    checkpoint = directory / "d" / "checkpoint.safetensors"
    if not checkpoint.exists():
        return "before any checkpoint"
    with opened(checkpoint) as file:
        file.check_digest()
        return f"fit {len(file.header['trainings'])}"


def test_run_ends_as_if_never_killed_when_it_is_killed_at_any_moment(
    case: Case,
    tmp_path: Path,
    trials: Callable[[int, int], int],
) -> None:
    phases: Counter[str] = Counter()
    unfinished, seconds, wished = 0, case.seconds, trials(2, 25)
    for attempt in range(3 * wished):
        directory = tmp_path / str(attempt)
        shutil.copytree(case.directory, directory)
        killed = run_until(directory, *case.command, after=moment(attempt, seconds))
        if killed.code == 0:  # the machine is less busy than it was
            seconds = killed.seconds
            continue
        assert killed.code == -9, killed.errors
        phases[phase(directory, case)] += 1
        unfinished += any(name.endswith(".tmp") for name in os.listdir(directory / "d"))
        forecast = run_here(directory, "forecast", "d")
        model = contents(directory)["model.safetensors"]
        whole = next(c for c in (case.older, case.newer) if c["model.safetensors"] == model)
        assert (forecast.code, forecast.stdout.encode()) == (0, whole["forecasts.csv"])
        if whole is case.newer:  # a new model vouches for its tables
            assert contents(directory) == case.newer
        if attempt % 2:
            run_until(directory, *case.command, after=moment(-attempt - 1, seconds))
        ended = run_until(directory, *case.command)
        assert ended.code == 0, ended.errors
        assert contents(directory) == case.newer
        assert sorted(os.listdir(directory / "d")) == sorted([".lock", "history.csv", *KEPT])
        if phases.total() == wished:
            break
    assert phases.total() == wished
    print(f"{case.command[0]}: {dict(phases)}, with temporary files {unfinished}")


def test_run_has_written_all_tables_when_its_model_appears(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there before each file takes its place is what a kill at that moment would leave."""
    directory, rename = tmp_path / "run", os.replace
    shutil.copytree(case.directory, directory)
    seen: list[dict[str, bytes]] = []

    def watch(source: str, place: Path) -> None:
        seen.append(files_of_run(directory))
        rename(source, place)

    monkeypatch.setattr(os, "replace", watch)
    assert run_here(directory, *case.command, "--quiet").code == 0
    whole = [files_of_run(case.directory), files_of_run(directory)]
    assert whole[0].keys() == whole[1].keys() and len(seen) >= len(whole[0])
    assert any(found not in whole for found in seen)
    for found in seen:
        assert found in whole or found[MODEL_FILE] == whole[0][MODEL_FILE]


def files_of_run(directory: Path) -> dict[str, bytes]:
    return {name: (directory / "d" / name).read_bytes() for name in (*TABLES, MODEL_FILE)}


@pytest.mark.parametrize(
    ("name", "signum"),
    [*zip([*TABLES, MODEL_FILE], itertools.cycle((signal.SIGINT, signal.SIGTERM)), strict=False)],
)
def test_run_ends_with_all_files_new_when_a_signal_comes_as_it_writes_them(
    name: str, signum: int, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, rename = tmp_path / "run", os.replace
    shutil.copytree(case.directory, directory)

    def interrupted(source: str, place: Path) -> None:
        if place == directory / "d" / name:
            os.kill(os.getpid(), signum)
        rename(source, place)

    monkeypatch.setattr(os, "replace", interrupted)
    run = run_here(directory, *case.command, "--quiet")
    assert (run.code, run.stderr.splitlines()[-1]) == (128 + signum, "interrupted")
    assert contents(directory) == case.newer
    assert not [found for found in os.listdir(directory / "d") if found.endswith(".tmp")]
