"""Running `rnnforecast` in a process of its own, and what that takes."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


class CommandError(SystemExit):
    """A command failed; the message is the last line of its stderr. Uncaught, it ends a script."""


@dataclass(frozen=True)
class Run:
    """What a command wrote to stdout, and the seconds and peak memory of its whole process."""

    output: str
    seconds: float
    peak_mib: int

    @property
    def table(self) -> pd.DataFrame:
        """The output as a table."""
        return pd.read_csv(io.StringIO(self.output))


def run(*words: str) -> Run:
    """Run `rnnforecast` with these words, as `measured` does.

    Raises:
        CommandError: It ended with another code than 0.
    """
    return measured([sys.executable, "-m", "rnnforecast", *words], words[0])


def measured(command: list[str], name: str) -> Run:
    """Run a command quietly, which errors call `name`.

    The peak counts from that of the calling process on, which therefore is to stay small.

    Raises:
        CommandError: It ended with another code than 0.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (output, errors):
            file.seek(0)
        if process.returncode:
            lines = errors.read().decode().splitlines() or [""]
            raise CommandError(f"{name} ended with {process.returncode}: {lines[-1]}")
        return Run(output.read().decode(), seconds, usage.ru_maxrss // 1024)


def count_parameters(directory: Path) -> int:
    """The weights of the network in a directory that `rnnforecast train` has written."""
    with open(directory / "model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        math.prod(tensor["shape"]) for name, tensor in header.items() if name.startswith("network.")
    )


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, its cells as they are."""
    rule = ["---"] * table.shape[1]
    rows = [table.columns.tolist(), rule, *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
