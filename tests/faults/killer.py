"""Runs the program in children of one process that has loaded it, and kills them when told to.

They write checkpoints far more often than the program does by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NoReturn

import torch

from rnnforecast.cli.app import main
from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.workflows import checkpoints
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.train import TrainRequest, train
from rnnforecast.workflows.update import UpdateRequest, update
from tests.cli.command import SAMPLES

INTERVAL = 0.02


@dataclass(frozen=True)
class Ended:
    """A run: its exit code, negative where a signal killed it, its seconds and its errors."""

    code: int
    seconds: float
    errors: str


class Killer:
    """Such a process, for the block in which it is used."""

    def __enter__(self) -> Killer:
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.killer"],
            env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.communicate()

    def run(
        self, directory: Path, *arguments: str | Path, after: float | str | None = None
    ) -> Ended:
        """Run the program in a directory, and kill it after so many seconds.

        With a pattern such as "d/*.tmp" in place of seconds, as soon as there is such a file.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        order = [str(directory), [str(argument) for argument in arguments], after]
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return Ended(*json.loads(self.process.stdout.readline()))


def _serve() -> None:
    torch.set_num_threads(1)
    _warm_up()
    checkpoints.INTERVAL, checkpoints.SPACING = INTERVAL, 0.0
    for line in sys.stdin:
        directory, arguments, after = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(Path(directory), arguments)
        status = _wait(child, Path(directory), after)
        errors = (Path(directory) / "errors").read_text()
        answer = [os.waitstatus_to_exitcode(status), time.monotonic() - began, errors]
        print(json.dumps(answer), flush=True)


def _warm_up() -> None:
    """Let all be loaded that is loaded on its first use, once and for every child."""
    settings = Settings(horizon=12, preset="fast", hidden_size=2, epochs=1)
    data = SAMPLES / "passengers.csv"
    with TemporaryDirectory() as name:
        rows = data.read_text().splitlines(keepends=True)
        older, directory = Path(name) / "older.csv", Path(name) / "d"
        older.write_text("".join(rows[:-3]))
        request = TrainRequest(
            path=str(older), directory=directory, data=DataConfig(), settings=settings
        )
        train(request, Mute())
        update(UpdateRequest(directory=directory, path=str(data)), Mute())


def _wait(child: int, directory: Path, after: float | str | None) -> int:
    """The status with which the child ends; it is killed when its moment has come."""
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(child, 0 if after is None else os.WNOHANG)
        if ended:
            return status
        if isinstance(after, str):
            due = any(directory.glob(after))
        else:
            due = after is not None and time.monotonic() - began >= after
        if due:
            os.kill(child, signal.SIGKILL)
            after = None
        else:
            time.sleep(1e-4)


def _run(directory: Path, arguments: list[Any]) -> NoReturn:
    os.chdir(directory)
    for name, handle in (("output", 1), ("errors", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), handle)
    sys.argv = ["rnnforecast", *arguments]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
    finally:
        os._exit(-1)


if __name__ == "__main__":
    _serve()
