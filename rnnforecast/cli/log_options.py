"""The options of what a run tells, which all commands that read data share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from rnnforecast.cli.options import OUTPUT
from rnnforecast.cli.reporter import StderrReporter


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What is told on standard error."""

    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Only warnings and errors.", rich_help_panel=OUTPUT),
    ] = False

    @contextmanager
    def reporting(self) -> Iterator[StderrReporter]:
        """What the run in this block reports to."""
        yield StderrReporter(quiet=self.quiet)
