"""SIGINT and SIGTERM: the first interrupts what runs, when that allows it; the next end it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
# Seconds within which a signal that comes twice is one.
ECHO = 0.2
Handler = Callable[[int, FrameType | None], None]


class Interrupted(BaseException):
    """A signal ends the process with 128 and its number; SIGPIPE, silently."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class _Signals:
    """What has come and waits, and the blocks, one in another, for whose end it does so."""

    received: int | None = None
    deferring = 0


def watch_signals(at_once: Handler) -> None:
    """From now on the first signal raises Interrupted, and a later one calls `at_once`."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        first = time.monotonic()

        def again(number: int, frame: FrameType | None) -> None:
            # timeout(1) and shells send a signal to the process and to its group.
            if time.monotonic() - first > ECHO:
                at_once(number, frame)

        _handle(again)
        if not _Signals.deferring:
            raise Interrupted(signum)
        _Signals.received = signum

    _Signals.received = None
    _handle(interrupt)


def ignore_signals() -> None:
    """At Python's end, one would show a traceback."""
    _handle(signal.SIG_IGN)


@contextmanager
def deferring_signals() -> Iterator[Callable[[], None]]:
    """In the block, a first signal waits until what this yields is called, or for its end.

    In a block within another, it waits for what the outer one says.

    Raises:
        Interrupted: By that call, or at the end of the block, where a signal has come.
    """

    def heed() -> None:
        signum, _Signals.received = _Signals.received, None
        if signum is not None:
            raise Interrupted(signum)

    _Signals.deferring += 1
    try:
        yield heed
    finally:
        _Signals.deferring -= 1
    if not _Signals.deferring:
        heed()


def _handle(handler: Handler | signal.Handlers) -> None:
    for number in ENDING:
        signal.signal(number, handler)
