"""Standard output and error, guarded: where one takes no more, the program ends as it should."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

from rnnforecast.errors import OutputError
from rnnforecast.signals import Interrupted

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def open_streams() -> None:
    """Guard standard output and error; what is told on an error stream that is closed is lost."""
    _fill_descriptors()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None and name == "stdout":
            sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed()), encoding="utf-8")
        elif stream is None:
            sys.stderr = open(os.devnull, "w")
        elif stream is getattr(sys, f"__{name}__"):
            guarded = io.TextIOWrapper(
                io.BufferedWriter(_Stream(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
            )
            setattr(sys, name, guarded)


def _fill_descriptors() -> None:
    """Keep the numbers of closed streams from files, into which libraries could then write."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


class _Stream(io.FileIO):
    """A standard stream that ends the program where it takes no more.

    SIGPIPE itself would leave no time to remove temporary files, and libraries make an end of
    their own of a BrokenPipeError.
    """

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            # Python would try again to flush at its end, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if isinstance(error, BrokenPipeError):
                raise Interrupted(signal.SIGPIPE) from None
            name = "output" if self.fileno() == 1 else "error"
            raise OutputError(f"standard {name}: {error.strerror}; free space there") from None


class _Closed(io.RawIOBase):
    """Standard output that the caller has closed: who writes to it is told so once."""

    told = False

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        if not self.told:
            self.told = True
            raise OutputError("standard output is closed; redirect it, if only to /dev/null")
        return memoryview(content).nbytes
