"""What a workflow tells while it runs; `cli/` decides how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rnnforecast.arrays import IntArray
from rnnforecast.data.panel import Panel
from rnnforecast.data.schema import listed
from rnnforecast.training.loop import Progress

NAMED_SERIES = 5


class Reporter(Protocol):
    def note(self, message: str) -> None:
        """Something worth knowing."""

    def warning(self, message: str) -> None:
        """Something to look at, though the run goes on."""

    def record(self, **facts: object) -> None:
        """Facts of the run, for its summary: plain values, and lists and dictionaries of these."""

    def counting(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """What to call with every number of things done, of `total`, while the block runs."""

    def training(self, title: str) -> AbstractContextManager[Progress]:
        """What to call after each epoch while the block runs."""


class Mute:
    """Tells nobody."""

    def note(self, message: str) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""

    def record(self, **facts: object) -> None:
        """Nothing."""

    def counting(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Nothing is shown."""
        return nullcontext(lambda done: None)

    def training(self, title: str) -> AbstractContextManager[Progress]:
        """Nothing is shown."""
        return nullcontext(lambda record, epochs: None)


MUTE = Mute()


def some_series(panel: Panel, chosen: IntArray) -> str:
    """How many of the series these are, with the first names, and the verb."""
    names = listed([panel.ids[place] for place in chosen], NAMED_SERIES)
    verb = "is" if len(chosen) == 1 else "are"
    return f"{len(chosen)} of {len(panel)} series ({names}) {verb}"
