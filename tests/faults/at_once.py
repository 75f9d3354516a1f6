"""Starts the program many times at the very same moment, from one process that has loaded it.

`python -m tests.faults.at_once COUNT ARGUMENT...` leaves what run K writes in K.out and K.err, in
the working directory, and prints all exit codes as JSON. Where an argument has {}, it is K.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

import rnnforecast.workflows.train  # noqa: F401
from rnnforecast.cli.app import main
from tests.cli.command import Run


@dataclass(frozen=True)
class Runs:
    """Runs that were started and may still go on."""

    directory: Path
    process: subprocess.Popen[str]

    def ends(self) -> list[Run]:
        """How each of them ended."""
        codes, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0
        texts = [
            [(self.directory / f"{k}.{name}").read_text() for name in ("out", "err")]
            for k in range(len(json.loads(codes)))
        ]
        return [Run(code, *text) for code, text in zip(json.loads(codes), texts, strict=True)]


def start(directory: Path, count: int, *arguments: str | Path) -> Runs:
    """Start the program `count` times at once in a directory."""
    command = [sys.executable, "-m", "tests.faults.at_once", str(count), *map(str, arguments)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    )
    return Runs(directory, process)


def _run(number: int, signal: int, arguments: list[str]) -> NoReturn:
    for name, handle in (("out", 1), ("err", 2)):
        os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), handle)
    sys.argv = ["rnnforecast", *(argument.replace("{}", str(number)) for argument in arguments)]
    os.read(signal, 1)
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    finally:
        os._exit(-1)


def _start_all(count: int, arguments: list[str]) -> list[int]:
    """The exit codes of all, which begin when the pipe that they read is closed."""
    torch.set_num_threads(1)
    signal, closed = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            os.close(closed)
            _run(number, signal, arguments)
        children.append(child)
    os.close(closed)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps(_start_all(int(sys.argv[1]), sys.argv[2:])))
