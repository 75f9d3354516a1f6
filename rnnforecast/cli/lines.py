"""Progress as lines: one every so often, and one at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rnnforecast.cli.events import tell

if TYPE_CHECKING:
    from rnnforecast.training.loop import Progress
    from rnnforecast.training.state import EpochRecord

# Seconds between two lines.
LINE_INTERVAL = 10.0


@contextmanager
def counting_lines(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A line every so often: how much is done, and the time left if the rest takes as long."""
    began = told = time.monotonic()
    finished = 0

    def count(done: int) -> None:
        nonlocal told, finished
        finished += done
        now = time.monotonic()
        if now - told >= LINE_INTERVAL:
            told = now
            left = (now - began) * (total - finished) / finished
            line = f"{title}: {finished} of {total} windows, {left:.0f} s left"
            tell("progress", line, task=title, done=finished, total=total, seconds_left=left)

    yield count


@contextmanager
def training_lines(title: str, *, every_epoch: bool = False) -> Iterator[Progress]:
    """A line every so often or for every epoch, and one for the last."""
    told = time.monotonic()
    pending: tuple[EpochRecord, int] | None = None

    def on_epoch(record: EpochRecord, epochs: int) -> None:
        nonlocal told, pending
        pending = (record, epochs)
        if every_epoch or time.monotonic() - told >= LINE_INTERVAL:
            told, pending = time.monotonic(), None
            _tell_epoch(title, record, epochs, in_full=every_epoch)

    yield on_epoch
    if pending is not None:
        _tell_epoch(title, *pending, in_full=False)


def _tell_epoch(title: str, record: EpochRecord, epochs: int, *, in_full: bool) -> None:
    line = f"{title}: epoch {record.epoch} of {epochs}, {describe_epoch(record)}"
    if in_full:
        line += (
            f", {record.clip_rate:.0%} clipped, learning rate {record.learning_rate:.3g}, "
            f"{record.seconds:.1f} s"
        )
    tell("epoch", line, task=title, epochs=epochs, **asdict(record))


def describe_epoch(record: EpochRecord) -> str:
    """What was measured, in short."""
    validation = record.validation_loss
    shown = "" if validation is None else f"validation {validation:.4f}, "
    return f"loss {record.train_loss:.4f}, {shown}gradient norm {record.gradient_norm:.3g}"
