"""Running the command line as a user does."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnforecast.cli.app import main

SAMPLES = Path(__file__).parents[2] / "sample_data"
# A network and a training as small as can be.
TINY = ["--epochs", "1", "--hidden-size", "4"]


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


@dataclass(frozen=True)
class Run:
    code: int
    stdout: str
    stderr: str


def run_here(directory: Path, *arguments: str | Path) -> Run:
    """Run the program in this process, which costs no start, and put back what it changes."""
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGPIPE]
    handlers = [signal.getsignal(number) for number in signals]
    told, errors = io.StringIO(), io.StringIO()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(errors),
            pytest.raises(SystemExit) as end,
        ):
            patch.chdir(directory)
            patch.setattr(sys, "argv", ["rnnforecast", *map(str, arguments)])
            main()
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)
    return Run(int(end.value.code or 0), told.getvalue(), errors.getvalue())
