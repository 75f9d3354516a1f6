"""The checkpoints of a run: it goes on from the last one, stops when it must, and ends in time.

A workflow that fits networks, once it holds the lock of its directory:

    with run_checkpoints(directory, identity, control, reporter, spent=seconds) as checkpoints:
        with checkpoints.watching(FIRST_SHARE) as watch:
            forecaster, result = fit_forecaster(..., watch=watch)
        ...
        write_run(directory, ...)

Its fits are told apart by their order. One that the checkpoint holds as finished takes no step, so
that a run which is resumed goes through the same code to the same end. The checkpoint is removed at
the end of the block, when the model has been written or a gate has refused it, and where training
diverged, as it would again. It stays where the run was ended from outside: by a signal, a full disk
or the death of the process. A run that cannot use it starts anew.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from rnnforecast.artifact import UNREADABLE
from rnnforecast.config import TrainConfig
from rnnforecast.container import opened, pack
from rnnforecast.control import RunControl
from rnnforecast.data.files import write_files
from rnnforecast.errors import ArtifactError, ConfigError, OutputError, TrainingError
from rnnforecast.signals import ENDING, Interrupted, deferring_signals
from rnnforecast.training.checkpoint import Course, Packed, pack_training, restore_training
from rnnforecast.training.loop import Watch
from rnnforecast.training.state import Training
from rnnforecast.workflows.identity import Identity, difference
from rnnforecast.workflows.reporting import Reporter

CHECKPOINT_FILE = "checkpoint.safetensors"
SCHEMA_VERSION = 7
# Seconds from one checkpoint to the next, and how many times as long as it took to write.
INTERVAL, SPACING = 30.0, 50.0
# Of the time that is left, what a fit leaves to scoring and writing.
RESERVE = 0.1
# Of the time for two fits. The second takes no more epochs than the first, but whole ones.
# One that goes on from the first one's weights takes a fifth of the epochs that this one took.
FIRST_SHARE, LONG_SHARE = 0.4, 0.7
PARTS, COMMANDS = ("given", "asked"), ("train", "update")


@contextmanager
def run_checkpoints(
    directory: Path,
    identity: Identity,
    control: RunControl,
    reporter: Reporter,
    *,
    spent: float = 0.0,
) -> Iterator[Checkpoints]:
    """The checkpoints of a run that holds `directory`, for the block in which it fits and writes.

    Args:
        directory: Where the checkpoint is.
        identity: As of `identity_of`.
        control: Whether to go on from a checkpoint, and the time for all.
        reporter: Told what becomes of it.
        spent: Seconds of this time that have gone before.

    Raises:
        ConfigError: The checkpoint to go on from is of a run with other settings.
        Interrupted: By a signal; then it has been written.
    """
    path = directory / CHECKPOINT_FILE
    ends = time.monotonic() + control.time_limit - spent
    checkpoints = Checkpoints(path, identity, ends, reporter)
    if control.resume and path.exists():
        checkpoints.read()
    elif control.resume:
        reporter.note(f"{directory} has no checkpoint to go on from; the run starts anew")
    elif path.exists():
        reporter.note(f"{path} is not gone on from without --resume, and will be replaced")
    try:
        yield checkpoints
    except Interrupted as interruption:
        # These wait until a step is over and can be packed whole; a closed pipe waits for nothing.
        if interruption.signum in ENDING:
            checkpoints.stop()
        raise
    except TrainingError:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


class Checkpoints:
    """Those of one run, as `run_checkpoints` opens them.

    Attributes:
        learning_rate: What a search has found, if there was one; the run sets it.
    """

    def __init__(self, path: Path, identity: Identity, ends: float, reporter: Reporter) -> None:
        self.learning_rate: float | None = None
        self._path, self._ends, self._reporter = path, ends, reporter
        # As JSON gives it back, where tuples are lists.
        self._identity: dict[str, dict[str, Any]] = json.loads(json.dumps(asdict(identity)))
        self._stored: list[Packed] = []
        self._finished: list[Packed] = []
        self._running: Training | None = None
        self._due = time.monotonic() + INTERVAL

    @contextmanager
    def watching(self, share: float | None = 1.0) -> Iterator[Watch]:
        """What looks on at the next fit; in the block, a signal waits for the end of a step, on a
        GPU of some.

        `share` is that of the time left which the fit may take; None is all that it needs.
        """
        now = time.monotonic()
        left = math.inf if share is None else (self._ends - now) * (1 - RESERVE) * share
        with deferring_signals() as heed:
            yield _FitWatch(self, heed, now + left)

    def read(self) -> None:
        """Read the checkpoint of the run to go on from, unless it is of no use any more."""
        try:
            stored = read_checkpoint(self._path)
        except ArtifactError as error:
            return self._leave_aside(str(error))
        given, asked = (difference(stored.identity[part], self._identity[part]) for part in PARTS)
        if given is not None:
            return self._leave_aside(f"{self._path} is of another run: {given}")
        if asked is not None:
            raise ConfigError(
                f"{self._path} is of another run: {asked}; pass the flags of then, or leave out "
                "--resume to start anew"
            )
        self._stored, self.learning_rate = stored.trainings, stored.learning_rate

    def _leave_aside(self, reason: str) -> None:
        self._reporter.warning(f"{reason}; it is left aside, and this run starts anew")

    def begin(self, training: Training, config: TrainConfig) -> None:
        """A fit begins, or goes on from where the one in its place was."""
        self._running = training
        place = len(self._finished)
        if place >= len(self._stored):
            return
        try:
            with _reading(self._path):
                restore_training(training, config, self._stored[place])
        except ArtifactError as error:
            self._stored = []
            return self._leave_aside(str(error))
        if training.stop_reason is None:
            self._reporter.note(f"going on {_place_of(training)}")

    def write_when_due(self) -> None:
        """Write a checkpoint if the last one is old enough."""
        if time.monotonic() >= self._due:
            self._write()

    def finish(self, training: Training) -> None:
        """The fit is over."""
        self._finished.append(pack_training(training))
        self._running = None

    def stop(self) -> None:
        """Write the last checkpoint of a run that is ended, and tell how to go on."""
        if self._running is None and not self._finished:
            return
        place = _place_of(self._running or self._finished[-1].course)
        if self._write():
            self._reporter.note(f"stopped {place}; the same command with --resume goes on")

    def _write(self) -> bool:
        """Write what has been done so far; a disk that takes it not may take it later."""
        began = time.monotonic()
        trainings = list(self._finished)
        if self._running is not None:
            trainings.append(pack_training(self._running))
        header = {
            "checkpoint_schema": SCHEMA_VERSION,
            "identity": self._identity,
            "learning_rate": self.learning_rate,
            "trainings": [asdict(packed.course) for packed in trainings],
        }
        tensors = {
            f"{place}.{name}": tensor
            for place, packed in enumerate(trainings)
            for name, tensor in packed.tensors.items()
        }
        try:
            write_files({self._path: pack(header, tensors)})
        except OutputError as error:
            self._reporter.warning(f"no checkpoint could be written: {error}")
            return False
        finally:
            now = time.monotonic()
            self._due = now + max(INTERVAL, SPACING * (now - began))
        return True


class _FitWatch(Watch):
    """Looks on at one fit, which is to end at `until` on the clock of `time.monotonic`."""

    def __init__(self, checkpoints: Checkpoints, heed: Callable[[], None], until: float) -> None:
        self.checkpoints, self.heed, self.until = checkpoints, heed, until
        self.before = math.inf

    def begin(self, training: Training, config: TrainConfig) -> None:
        """Go on from the checkpoint."""
        self.checkpoints.begin(training, config)

    def before_step(self, training: Training) -> bool:
        """Heed signals, write what is due; whether what takes as long as before is the last."""
        self.heed()
        self.checkpoints.write_when_due()
        now = time.monotonic()
        last, self.before = max(0.0, now - self.before), now
        return now + last >= self.until

    def end(self, training: Training) -> None:
        """Keep what has come of it, and heed a signal that came since the last step."""
        self.checkpoints.finish(training)
        self.heed()


class StoredCheckpoint(NamedTuple):
    """What a checkpoint holds: whose it is, the learning rate it has found, and its fits."""

    identity: dict[str, dict[str, Any]]
    learning_rate: float | None
    trainings: list[Packed]

    @property
    def command(self) -> str:
        """That of the run, "train" or "update"."""
        return str(self.identity["given"]["command"])

    @property
    def place(self) -> str:
        """How far the run has come."""
        return f"in fit {len(self.trainings)}, {_place_of(self.trainings[-1].course)}"


def read_checkpoint(path: Path) -> StoredCheckpoint:
    """What a checkpoint says, each value of its kind; whether it fits a training is not known yet.

    Raises:
        ArtifactError: It is damaged, or of another schema.
    """
    with _reading(path), opened(path) as file:
        header = file.header
        if header["checkpoint_schema"] != SCHEMA_VERSION:
            raise ValueError(f"schema {header['checkpoint_schema']!r:.20}, not {SCHEMA_VERSION}")
        file.check_digest()
        identity, rate = header["identity"], header["learning_rate"]
        courses = [Course.read(values) for values in header["trainings"]]
        whole = all(isinstance(identity[part], dict) for part in PARTS)
        if not (courses and whole and identity["given"]["command"] in COMMANDS):
            raise ValueError("it is of no run")
        if rate is not None and not (type(rate) is float and 0 < rate < math.inf):
            raise ValueError("its learning rate is none")
        tensors: list[dict[str, Tensor]] = [{} for _ in courses]
        for name in file.shapes:
            place, own_name = name.split(".", 1)
            tensors[int(place)][own_name] = file.tensor(name)
        trainings = [Packed(*each) for each in zip(tensors, courses, strict=True)]
        return StoredCheckpoint(identity, rate, trainings)


def drop_checkpoint(directory: Path, command: str) -> None:
    """Remove the checkpoint of a directory, unless it is that of another command's run."""
    path = directory / CHECKPOINT_FILE
    with suppress(ArtifactError):
        if path.exists() and read_checkpoint(path).command != command:
            return
    path.unlink(missing_ok=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a checkpoint that cannot be used why."""
    try:
        yield
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{path}: not a checkpoint this version can read ({reason})") from None


def _place_of(course: Training | Course) -> str:
    if course.stop_reason is not None:
        return "between two fits"
    return f"after epoch {len(course.history)}, step {course.sums.steps}"
