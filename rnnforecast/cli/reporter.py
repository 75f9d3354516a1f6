"""Notes, warnings and progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from rnnforecast.training.loop import EpochRecord
    from rnnforecast.training.loop import Progress as OnEpoch

# Seconds between two lines of progress where standard error is no terminal.
LINE_INTERVAL = 10.0


class StderrReporter:
    """Shows what a workflow reports: a progress bar on a terminal, else a line every so often."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def note(self, message: str) -> None:
        if not self.quiet:
            print(message, file=sys.stderr)

    def warning(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    @contextmanager
    def counting(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        if self.quiet:
            yield lambda done: None
        elif sys.stderr.isatty():
            with _bar() as bar:
                task = bar.add_task(title, total=total, measures="")
                yield lambda done: bar.advance(task, done)
        else:
            yield _Counter(title, total).add

    @contextmanager
    def training(self, title: str) -> Iterator[OnEpoch]:
        if self.quiet:
            yield lambda record, epochs: None
        elif sys.stderr.isatty():
            with _bar() as bar:
                task = bar.add_task(title, total=None, measures="")
                yield lambda record, epochs: bar.update(
                    task, completed=record.epoch, total=epochs, measures=_measures(record)
                )
        else:
            with _lines(title) as on_epoch:
                yield on_epoch


@contextmanager
def _lines(title: str) -> Iterator[OnEpoch]:
    """A line every so often, and one for the last epoch."""
    told = time.monotonic()
    line, pending = "", False

    def on_epoch(record: EpochRecord, epochs: int) -> None:
        nonlocal told, line, pending
        line = f"{title}: epoch {record.epoch} of {epochs}, {_measures(record)}"
        pending = time.monotonic() - told < LINE_INTERVAL
        if not pending:
            told = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    yield on_epoch
    if pending:
        print(line, file=sys.stderr, flush=True)


class _Counter:
    """A line every so often: how much is done, and the time left if the rest takes as long."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.began = self.told = time.monotonic()

    def add(self, done: int) -> None:
        self.done += done
        now = time.monotonic()
        if now - self.told >= LINE_INTERVAL:
            self.told = now
            left = (now - self.began) * (self.total - self.done) / self.done
            line = f"{self.title}: {self.done} of {self.total} windows, {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)


def _bar() -> Progress:
    """A bar with the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Remaining(),
        TextColumn("{task.fields[measures]}"),
        console=Console(stderr=True),
    )


def _measures(record: EpochRecord) -> str:
    validation = record.validation_loss
    shown = "" if validation is None else f"validation {validation:.4f}, "
    return f"loss {record.train_loss:.4f}, {shown}gradient norm {record.gradient_norm:.3g}"
