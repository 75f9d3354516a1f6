"""Running the command line as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "sample_data"


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
