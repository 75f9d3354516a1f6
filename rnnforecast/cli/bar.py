"""Progress bars, with the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnforecast.cli.lines import describe_epoch

if TYPE_CHECKING:
    from rich.progress import Progress

    from rnnforecast.training.loop import Progress as OnEpoch


@contextmanager
def counting_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that goes on by every number of things done, of `total`."""
    with _bar() as bar:
        task = bar.add_task(title, total=total, measures="")
        yield lambda done: bar.advance(task, done)


@contextmanager
def training_bar(title: str) -> Iterator[OnEpoch]:
    """A bar that goes on by every epoch, with what was measured in it."""
    with _bar() as bar:
        task = bar.add_task(title, total=None, measures="")
        yield lambda record, epochs: bar.update(
            task, completed=record.epoch, total=epochs, measures=describe_epoch(record)
        )


def _bar() -> Progress:
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
