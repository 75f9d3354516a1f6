"""A process that has loaded the program and forks a run of it for each request.

A run costs a fork where it would cost a start of Python and torch. `python -m tests.faults.warm`
reads requests as lines of JSON and answers each with how its run ended.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

# What torch would load in each fork anew, once a network is made or trained.
import torch._dynamo
import torch.fx.experimental.symbolic_shapes  # noqa: F401

import rnnforecast.workflows.backtest
import rnnforecast.workflows.forecast
import rnnforecast.workflows.update  # noqa: F401
from rnnforecast.cli.app import main
from rnnforecast.workflows import checkpoints
from tests.cli.command import Run


def _full(handle: int) -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), handle)


def _closed(handle: int) -> None:
    """As Python finds a stream that its caller has closed."""
    os.close(handle)
    setattr(sys, ("stdin", "stdout", "stderr")[handle], None)


def fill(directory: Path) -> Path:
    """Leave nothing of a small disk; the file that takes it."""
    with (directory / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    return directory / "filler"


def _disk_full_at_checkpoints() -> None:
    """A checkpoint is due before every step, and whenever it is written the disk is full."""
    write = checkpoints.Checkpoints._write

    def write_where_full(self: checkpoints.Checkpoints) -> bool:
        filler = fill(Path())
        try:
            return write(self)
        finally:
            filler.unlink()

    checkpoints.INTERVAL = checkpoints.SPACING = 0.0
    checkpoints.Checkpoints._write = write_where_full  # type: ignore[method-assign]


CONDITIONS: dict[str, Callable[[], object]] = {
    "no terminal": os.setsid,
    "closed input": lambda: _closed(0),
    "closed output": lambda: _closed(1),
    "closed error": lambda: _closed(2),
    "full output": lambda: _full(1),
    "full error": lambda: _full(2),
    "disk full at checkpoints": _disk_full_at_checkpoints,
    "small files only": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
}


class Warm:
    """The process, and how to run the program in it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, directory: Path, *arguments: str | Path, conditions: Sequence[str] = ()) -> Run:
        """Run the program in a directory, under some of CONDITIONS."""
        assert self.process.stdin is not None and self.process.stdout is not None
        request = {"directory": str(directory), "arguments": [*map(str, arguments)]}
        print(
            json.dumps({**request, "conditions": conditions}), file=self.process.stdin, flush=True
        )
        return Run(*json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def _run(request: dict[str, Any], streams: Sequence[int]) -> None:
    os.chdir(request["directory"])
    for handle, stream in enumerate(streams):
        os.dup2(stream, handle)
    sys.argv = ["rnnforecast", *request["arguments"]]
    for name in request["conditions"]:
        CONDITIONS[name]()
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    finally:
        os._exit(-1)


def _answer(request: dict[str, Any]) -> tuple[int, str, str]:
    """The exit code, and what came on standard output and error, which a pipe can hold."""
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        _run(request, (nothing, to_out, to_err))
    for handle in (nothing, to_out, to_err):
        os.close(handle)
    texts = []
    for handle in (out, err):
        with open(handle, encoding="utf-8") as file:
            texts.append(file.read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), texts[0], texts[1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
