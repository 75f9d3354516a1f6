"""One writer a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rnnforecast.errors import ConfigError, LockedError
from rnnforecast.workflows.reporting import Reporter


@contextmanager
def locked_directory(directory: Path, if_locked: str, reporter: Reporter) -> Iterator[bool]:
    """Make the directory and hold it for the block; the system frees it should the process die.

    Yields whether it is held: never False but where `if_locked` is "skip".

    Raises:
        ConfigError: The directory cannot be made or written to, or its name not be stored.
        LockedError: Another run holds it.
    """
    if not str(directory).isprintable():
        raise ConfigError(f"{ascii(str(directory))} is no name for a directory; pass another --out")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedError(
            f"{directory}: another run is writing here; wait for it or pass another --out"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{directory}: {reason}; pass another --out") from None
    try:
        yield True
    finally:
        lock.release()
