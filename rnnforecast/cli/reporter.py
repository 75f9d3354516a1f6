"""Notes, warnings and progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnforecast.training.loop import EpochRecord, Progress

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
    def training(self, title: str) -> Iterator[Progress]:
        if self.quiet:
            yield lambda record, epochs: None
        elif sys.stderr.isatty():
            with _bar(title) as on_epoch:
                yield on_epoch
        else:
            with _lines(title) as on_epoch:
                yield on_epoch


@contextmanager
def _lines(title: str) -> Iterator[Progress]:
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


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Remaining(),
    )
    measures = TextColumn("{task.fields[measures]}")
    with Progress(*columns, measures, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None, measures="")

        def on_epoch(record: EpochRecord, epochs: int) -> None:
            progress.update(task, completed=record.epoch, total=epochs, measures=_measures(record))

        yield on_epoch


def _measures(record: EpochRecord) -> str:
    validation = record.validation_loss
    shown = "" if validation is None else f"validation {validation:.4f}, "
    return f"loss {record.train_loss:.4f}, {shown}gradient norm {record.gradient_norm:.3g}"
