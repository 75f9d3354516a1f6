"""What a workflow reports: told on standard error, and kept for the summary of the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rnnforecast.cli.bar import counting_bar, training_bar
from rnnforecast.cli.events import lines_are_json, tell
from rnnforecast.cli.lines import counting_lines, training_lines

if TYPE_CHECKING:
    from rnnforecast.training.loop import Progress


class StderrReporter:
    """Progress is a bar on a terminal, else a line every so often; `verbose`, one every epoch.

    Attributes:
        warnings: Those of the run.
        facts: What was recorded of it.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose
        self.warnings: list[str] = []
        self.facts: dict[str, object] = {}

    def note(self, message: str) -> None:
        if not self.quiet:
            tell("note", message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)
        tell("warning", message)

    def record(self, **facts: object) -> None:
        self.facts |= facts

    def counting(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        if self.quiet:
            return nullcontext(lambda done: None)
        return (counting_bar if self._draws() else counting_lines)(title, total)

    def training(self, title: str) -> AbstractContextManager[Progress]:
        if self.quiet:
            return nullcontext(lambda record, epochs: None)
        if self._draws():
            return training_bar(title)
        return training_lines(title, every_epoch=self.verbose)

    def _draws(self) -> bool:
        return sys.stderr.isatty() and not (self.verbose or lines_are_json())
