"""The summary of a run: what it was, what it found and how it ended, as a JSON file."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnforecast import __version__
from rnnforecast.cli.endings import DONE, Ending, ending_of
from rnnforecast.cli.events import finite, tell_finally, timestamp
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.errors import ConfigError, OutputError
from rnnforecast.signals import Interrupted

LIBRARIES = ("torch", "numpy", "pandas")
# Of what getrusage counts memory in: bytes on macOS, KiB elsewhere.
MEBIBYTE = 2**20 if sys.platform == "darwin" else 2**10


def command_line() -> tuple[str, list[str]]:
    """The command and all arguments of this process."""
    arguments = sys.argv[1:]
    return next(word for word in arguments if not word.startswith("-")), arguments


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MiB; None where nothing tells."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE


@contextmanager
def summarising(place: Path, reporter: StderrReporter) -> Iterator[None]:
    """Write the summary when the block ends, in whatever way that is.

    A file of an earlier run stays until then; its "started" tells.

    Raises:
        ConfigError: There can be no such file.
        OutputError: It cannot be written at the end of a run that went well.
    """
    from rnnforecast.data.files import check_place

    if place.suffix != ".json":
        raise ConfigError(f"--summary {place} is no name of a JSON file; let it end in .json")
    check_place(place)
    summary = _Summary(place, reporter)
    try:
        yield
    except BaseException as error:
        try:
            summary.write(ending_of(error))
        except OutputError as fault:
            tell_finally("error", str(fault))
        raise
    try:
        summary.write(DONE)
    except Interrupted as interruption:
        summary.write(ending_of(interruption))
        raise


class _Summary:
    """What is known of a run as it begins."""

    def __init__(self, place: Path, reporter: StderrReporter) -> None:
        self.place, self.reporter = place, reporter
        self.started, self.began = timestamp(), time.monotonic()

    def write(self, ending: Ending) -> None:
        """Put the file in its place, whole."""
        from rnnforecast.data.files import write_files

        command, arguments = command_line()
        memory = peak_memory()
        loaded = {name: sys.modules[name].__version__ for name in LIBRARIES if name in sys.modules}
        content = {
            "command": command,
            "arguments": arguments,
            "versions": {
                "rnnforecast": __version__,
                "python": platform.python_version(),
                **loaded,
            },
            "started": self.started,
            "ended": timestamp(),
            "seconds": round(time.monotonic() - self.began, 3),
            "peak_memory_mib": None if memory is None else round(memory, 1),
            "exit_code": ending.code,
            "error": ending.message,
            "warnings": self.reporter.warnings,
            **self.reporter.facts,
        }
        text = json.dumps(finite(content), indent=1, default=str)
        write_files({self.place: f"{text}\n".encode()})
