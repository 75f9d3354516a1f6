"""Running the command line as a user does."""

from __future__ import annotations

import contextlib
import io
import math
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pytest
import torch

from rnnforecast.cli.app import main
from rnnforecast.cli.events import choose_form
from rnnforecast.config import Settings
from rnnforecast.defaults import LEAST_STEPS, PRESETS
from tests.warm import ROOT, Run, warm

SAMPLES = ROOT / "sample_data"
# A network and a training as small as can be.
TINY = ["--preset", "fast", "--epochs", "1", "--hidden-size", "4"]
# The gradient steps of its epochs.
TINY_BATCHES = math.ceil(PRESETS["fast"].effort * LEAST_STEPS / Settings.epochs)


def rnnforecast(
    *arguments: str | Path, cwd: Path | None = None, stdin: bytes | Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; standard input is a file, piped bytes, or nothing as under cron."""
    command = [sys.executable, "-m", "rnnforecast", *map(str, arguments)]
    if isinstance(stdin, Path):
        with stdin.open("rb") as file:
            run = subprocess.run(command, cwd=cwd, stdin=file, capture_output=True)
    elif stdin is not None:
        run = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True)
    else:
        run = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
    return subprocess.CompletedProcess(
        command, run.returncode, run.stdout.decode(), run.stderr.decode()
    )


def forked(
    directory: Path,
    *arguments: str | Path,
    stdin: bytes | Path | None = None,
    conditions: Sequence[str] = (),
) -> Run:
    """The same in a fork of a process that has loaded it, under some of tests/faults' conditions.

    Not for what `__main__` does, what imports read of the environment, or how Python decodes
    arguments and opens streams. Where there is a GPU, of which a fork cannot make use, a start.
    """
    if torch.cuda.is_available() and not conditions:
        run = rnnforecast(*arguments, cwd=directory, stdin=stdin)
        return Run(run.returncode, run.stdout, run.stderr)
    return warm().run(directory, *arguments, stdin=stdin, conditions=conditions)


def run_here(
    directory: Path,
    *arguments: str | Path,
    stdin: bytes | None = None,
    stderr: TextIO | None = None,
) -> Run:
    """Run the program in this process, which costs no start, and put back what it changes.

    It reads `stdin` where that is given, and what it tells on standard error goes to `stderr`.
    """
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGPIPE]
    handlers = [signal.getsignal(number) for number in signals]
    told, errors = io.StringIO(), io.StringIO()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(stderr or errors),
            pytest.raises(SystemExit) as end,
        ):
            patch.chdir(directory)
            patch.setattr(sys, "argv", ["rnnforecast", *map(str, arguments)])
            if stdin is not None:
                patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            main()
    finally:
        choose_form(False)
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)
    return Run(int(end.value.code or 0), told.getvalue(), errors.getvalue())


class Screen:
    """What has been written to a terminal."""

    text = ""

    def read(self, leader: int) -> None:
        with contextlib.suppress(OSError):  # EIO where the other end is closed
            while piece := os.read(leader, 65536):
                self.text += piece.decode(errors="replace")


@contextlib.contextmanager
def terminal() -> Iterator[tuple[TextIO, Screen]]:
    """A terminal to write to, and what has been written once the block is left."""
    leader, follower = pty.openpty()
    screen = Screen()
    reader = threading.Thread(target=screen.read, args=(leader,))
    reader.start()
    try:
        with os.fdopen(follower, "w") as stream:
            yield stream, screen
    finally:
        reader.join(10)
        os.close(leader)
