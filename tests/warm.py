"""A process that has loaded the program and forks a run of it for each request.

A run costs a fork where it would cost a start of Python and torch. `python -m tests.warm HANDLE`
serves the other end of a socket until that is closed.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
# Bytes that are read at once; three streams go with a request that starts a run.
PIECE, STREAMS = 2**16, 3
# Seconds after which a run is taken to hang.
LONGEST = 300


@dataclass(frozen=True)
class Run:
    """How a run of the program ended: its exit code, negative where a signal killed it."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Started:
    """A run that may still go on."""

    pid: int
    warm: Warm
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        if self.code is None:
            self.code = self.warm.ask({"pid": self.pid})
        return self.code

    def wait(self) -> int:
        """Its exit code; waits for its end, and ends it where it hangs."""
        until = time.monotonic() + LONGEST
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                until = float("inf")
            time.sleep(1e-3)
        return code


class Warm:
    """The process, and how to run the program in it."""

    def __init__(self) -> None:
        self.socket, other = socket.socketpair()
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(other.fileno())],
                cwd=ROOT,
                # A process that has made use of a GPU has forks that cannot.
                env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
                pass_fds=[other.fileno()],
            )

    def ask(self, request: dict[str, Any], streams: Sequence[int] = ()) -> Any:
        """What the process answers."""
        line = json.dumps(request).encode() + b"\n"
        socket.send_fds(self.socket, [line[:1]], streams)
        self.socket.sendall(line[1:])
        answer = _line(self.socket)
        if not answer:
            warm.cache_clear()
            raise RuntimeError(f"the process of tests.warm has ended with {self.process.wait()}")
        return json.loads(answer)

    def start(
        self,
        directory: Path,
        *arguments: str | Path,
        streams: Sequence[int],
        conditions: Sequence[str] = (),
    ) -> Started:
        """Start the program in a directory, under some conditions of tests/faults.

        Args:
            directory: Where it works.
            arguments: What follows its name.
            streams: The handles of its standard input, output and error.
            conditions: What befalls it first.
        """
        request = {
            "directory": str(directory),
            "arguments": [*map(str, arguments)],
            "conditions": conditions,
            "environment": dict(os.environ),
        }
        return Started(self.ask(request, streams), self)

    def run(
        self,
        directory: Path,
        *arguments: str | Path,
        stdin: bytes | Path | None = None,
        conditions: Sequence[str] = (),
    ) -> Run:
        """Run it to its end; standard input is a file, piped bytes, or nothing as under cron."""
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        texts = [b"", b""]

        def read(place: int, handle: int) -> None:
            with open(handle, "rb") as file:
                texts[place] = file.read()

        threads = [Thread(target=read, args=each) for each in enumerate((out, err))]
        if isinstance(stdin, bytes):
            given, to_given = os.pipe()
            threads.append(Thread(target=_write, args=(to_given, stdin)))
        else:
            given = os.open(stdin or os.devnull, os.O_RDONLY)
        streams = (given, to_out, to_err)
        started = self.start(directory, *arguments, streams=streams, conditions=conditions)
        for handle in streams:
            os.close(handle)
        for thread in threads:
            thread.start()
        code = started.wait()
        for thread in threads:
            thread.join()
        return Run(code, *(text.decode() for text in texts))

    def close(self) -> None:
        """End the process."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


@functools.cache
def warm() -> Warm:
    """The one of this process, started when first needed."""
    process = Warm()
    atexit.register(process.close)
    return process


def _write(handle: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(handle, "wb") as file:
        file.write(content)


def _line(connection: socket.socket, begun: bytes = b"") -> bytes:
    """The rest of a line that has begun; nothing where the other end is closed."""
    while not begun.endswith(b"\n"):
        piece = connection.recv(PIECE)
        if not piece:
            return b""
        begun += piece
    return begun


def _serve(connection: socket.socket) -> None:
    _load()
    while True:
        begun, streams, _, _ = socket.recv_fds(connection, PIECE, STREAMS)
        line = _line(connection, begun) if begun else b""
        if not line:
            return
        request = json.loads(line)
        if "pid" in request:
            ended, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if answer == 0:
                connection.close()
                _run(request, streams)
        for handle in streams:
            os.close(handle)
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _load() -> None:
    """Let all be loaded that is loaded on its first use, once and for every run."""
    import torch

    import rnnforecast.cli.app
    import rnnforecast.workflows.backtest
    import rnnforecast.workflows.forecast  # noqa: F401
    import tests.faults.conditions  # noqa: F401
    from rnnforecast.columns import DataConfig
    from rnnforecast.config import Settings
    from rnnforecast.workflows.reporting import Mute
    from rnnforecast.workflows.train import TrainRequest, train
    from rnnforecast.workflows.update import UpdateRequest, update

    torch.set_num_threads(1)
    settings = Settings(horizon=12, preset="fast", hidden_size=2, epochs=1)
    data = ROOT / "sample_data" / "passengers.csv"
    with TemporaryDirectory() as name:
        rows = data.read_text().splitlines(keepends=True)
        older, directory = Path(name) / "older.csv", Path(name) / "d"
        older.write_text("".join(rows[:-3]))
        request = TrainRequest(
            path=str(older), directory=directory, data=DataConfig(), settings=settings
        )
        train(request, Mute())
        update(UpdateRequest(directory=directory, path=str(data)), Mute())


def _run(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    from rnnforecast.cli.app import main
    from tests.faults.conditions import CONDITIONS

    try:
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        for handle, stream in enumerate(streams):
            os.dup2(stream, handle)
            os.close(stream)
        sys.argv = ["rnnforecast", *request["arguments"]]
        for name in request["conditions"]:
            CONDITIONS[name]()
        main()
    except SystemExit as end:
        code = int(end.code or 0)
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:
            code = code or 120  # as Python ends
        os._exit(code)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(255)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        _serve(connection)
