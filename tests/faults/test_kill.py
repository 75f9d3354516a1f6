"""Runs that are killed at random moments: no model is torn, nothing stays behind, none is lost."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnforecast.container import opened
from tests.cli.command import SAMPLES, run_here
from tests.faults.killer import Killer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
]
PASSENGERS = SAMPLES / "passengers.csv"
SHAPE = ["--horizon", "12", "--hidden-size", "4", "--patience", "30", "--out", "d"]
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


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer() as process:
        yield process


@pytest.fixture(scope="module", params=COMMANDS)
def case(
    request: pytest.FixtureRequest, killer: Killer, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    before, command = COMMANDS[request.param]
    older = tmp_path_factory.mktemp(request.param)
    rows = PASSENGERS.read_text().splitlines(keepends=True)
    (older / "older.csv").write_text("".join(rows[:-3]))
    (older / "newer.csv").write_text("".join(rows))
    assert killer.run(older, *before).code == 0
    newer = older.with_name(f"{older.name}-newer")
    shutil.copytree(older, newer)
    ended = killer.run(newer, *command)
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
    killer: Killer,
    tmp_path: Path,
    trials: Callable[[int, int], int],
) -> None:
    phases: Counter[str] = Counter()
    unfinished, seconds, wished = 0, case.seconds, trials(2, 25)
    for attempt in range(3 * wished):
        directory = tmp_path / str(attempt)
        shutil.copytree(case.directory, directory)
        killed = killer.run(directory, *case.command, after=moment(attempt, seconds))
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
        if attempt % 2:
            killer.run(directory, *case.command, after=moment(-attempt - 1, seconds))
        ended = killer.run(directory, *case.command)
        assert ended.code == 0, ended.errors
        assert contents(directory) == case.newer
        assert sorted(os.listdir(directory / "d")) == sorted([".lock", "history.csv", *KEPT])
        if phases.total() == wished:
            break
    assert phases.total() == wished
    print(f"{case.command[0]}: {dict(phases)}, with temporary files {unfinished}")
