"""SIGINT and SIGTERM: the first interrupts what runs, when that allows it; the next end it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], None]


class Interrupted(BaseException):
    """A signal ends the process with 128 and its number; SIGPIPE, silently."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class _Watch:
    """What has come, and whether it may interrupt where it finds the program."""

    received: int | None = None
    deferring = False


def watch_signals(at_once: Handler) -> None:
    """From now on the first signal raises Interrupted, and the next ones call `at_once`."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        _Watch.received = signum
        _handle(at_once)
        if not _Watch.deferring:
            raise Interrupted(signum)

    _Watch.received = None
    _handle(interrupt)


def ignore_signals() -> None:
    """At Python's end, one would show a traceback."""
    _handle(signal.SIG_IGN)


@contextmanager
def deferring_signals() -> Iterator[Callable[[], None]]:
    """In the block, a first signal waits until what this yields is called, or for its end.

    Raises:
        Interrupted: By that call, or at the end of the block, where a signal has come.
    """

    def heed() -> None:
        if _Watch.received is not None:
            raise Interrupted(_Watch.received)

    _Watch.deferring = True
    try:
        yield heed
    finally:
        _Watch.deferring = False
    heed()


def _handle(handler: Handler | signal.Handlers) -> None:
    for number in ENDING:
        signal.signal(number, handler)
