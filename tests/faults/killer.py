"""Runs of the program that are killed, and that write checkpoints far more often than others."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tests.warm import warm


@dataclass(frozen=True)
class Ended:
    """A run: its exit code, negative where a signal killed it, its seconds and its errors."""

    code: int
    seconds: float
    errors: str


def run_until(directory: Path, *arguments: str | Path, after: float | str | None = None) -> Ended:
    """Run the program in a directory, and kill it after so many seconds.

    With a pattern such as "d/*.tmp" in place of seconds, as soon as there is such a file.
    """
    with open(os.devnull, "r+b") as nothing, TemporaryFile() as errors:
        began = time.monotonic()
        started = warm().start(
            directory,
            *arguments,
            streams=(nothing.fileno(), nothing.fileno(), errors.fileno()),
            conditions=["checkpoints at once"],
        )
        code = None if after is not None else started.wait()
        while code is None and not _due(directory, after, time.monotonic() - began):
            time.sleep(1e-4)
            code = started.poll()
        if code is None:
            os.kill(started.pid, signal.SIGKILL)
            code = started.wait()
        seconds = time.monotonic() - began
        errors.seek(0)
        return Ended(code, seconds, errors.read().decode())


def _due(directory: Path, after: float | str | None, seconds: float) -> bool:
    if isinstance(after, str):
        return any(directory.glob(after))
    return after is not None and seconds >= after
