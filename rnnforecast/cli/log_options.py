"""The options of what a run tells, which all commands that read data share."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from rnnforecast import __version__
from rnnforecast.cli.events import choose_form, lines_are_json, tell
from rnnforecast.cli.options import OUTPUT
from rnnforecast.cli.render import check_apart
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.cli.summary import command_line, peak_memory, summarising
from rnnforecast.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What is told on standard error, and kept of the run."""

    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Only warnings and errors.", rich_help_panel=OUTPUT),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="A line for every epoch.", rich_help_panel=OUTPUT),
    ] = False
    json_logs: Annotated[
        bool,
        typer.Option(
            "--json-logs",
            help="What is told on standard error is one JSON object a line.",
            # Eager, so that what is wrong with any other option is told so, too.
            is_eager=True,
            callback=choose_form,
            rich_help_panel=OUTPUT,
        ),
    ] = False
    summary: Annotated[
        Path | None,
        typer.Option(
            help="Write what the run was, found and ended with to this JSON file.",
            rich_help_panel=OUTPUT,
        ),
    ] = None

    @contextmanager
    def reporting(self, *read: str | Path | None) -> Iterator[StderrReporter]:
        """What the run in this block reports to, and whose summary is written at its end.

        Args:
            read: The files that the run reads, which the summary must not replace.
        """
        if self.quiet and self.verbose:
            raise ConfigError("--quiet and --verbose exclude each other; drop one of them")
        for path in read:
            check_apart("--summary", self.summary, path)
        reporter = StderrReporter(quiet=self.quiet, verbose=self.verbose)
        kept = nullcontext() if self.summary is None else summarising(self.summary, reporter)
        with self._framed(), kept, _python_warnings_told(reporter):
            yield reporter

    @contextmanager
    def _framed(self) -> Iterator[None]:
        """An event before the run and one after it, if it comes to a good end."""
        told = not self.quiet and (self.verbose or lines_are_json())
        command, arguments = command_line()
        began = time.monotonic()
        if told:
            tell(
                "start",
                f"rnnforecast {__version__}: {' '.join(arguments)}",
                command=command,
                arguments=arguments,
                version=__version__,
            )
        yield
        if told:
            seconds, memory = time.monotonic() - began, peak_memory()
            held = "" if memory is None else f", with at most {memory:.0f} MiB of memory"
            tell(
                "end",
                f"done in {seconds:.1f} s{held}",
                exit_code=0,
                seconds=seconds,
                peak_memory_mib=memory,
            )


@contextmanager
def _python_warnings_told(reporter: StderrReporter) -> Iterator[None]:
    """Warnings of libraries take one line, as all others do."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        reporter.warning(f"{category.__name__}: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
