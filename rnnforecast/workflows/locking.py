"""One writer a run directory."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rnnforecast.data.files import remove_dead
from rnnforecast.errors import ConfigError, LockedError
from rnnforecast.workflows.reporting import Reporter

LOCK = ".lock"
# Seconds between two attempts of a run that waits.
POLL_INTERVAL = 0.25
# Others that remove a directory at once after it is made do so less often in turn.
ATTEMPTS = 10


@contextmanager
def locked_directory(directory: Path, if_locked: str, reporter: Reporter) -> Iterator[bool]:
    """Make the directory and hold it for the block; the system frees it should the process die.

    What killed runs have left there unfinished is removed; at the end, so are a directory that was
    made for the block and has nothing in it, and its parents likewise. Yields whether it is held:
    never False but where `if_locked` is "skip".

    Raises:
        ConfigError: The directory cannot be made or written to, or its name not be stored.
        LockedError: Another run holds it, and `if_locked` is "fail".
    """
    if not str(directory).isprintable():
        raise ConfigError(f"{ascii(str(directory))} is no name for a directory; pass another --out")
    lock, made = _attempt(directory)
    if lock is None and if_locked == "fail":
        raise LockedError(
            f"{directory}: another run is writing here; wait for it (--if-locked wait) or pass "
            "another --out"
        )
    if lock is None and if_locked == "skip":
        reporter.note(f"{directory}: another run is writing here, so this one does nothing")
        yield False
        return
    if lock is None:
        reporter.note(f"{directory}: another run is writing here; waiting for its end")
    while lock is None:
        time.sleep(POLL_INTERVAL)
        lock, made = _attempt(directory)
    try:
        remove_dead(directory)
        yield True
    finally:
        _remove_if_empty(made)
        lock.release()


def _attempt(directory: Path) -> tuple[FileLock | None, list[Path]]:
    """The lock if it could be had, and what was made for it: the directory, then its parents."""
    try:
        place = Path(os.path.realpath(directory))
        absent = [path for path in (place, *place.parents) if not path.exists()]
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(place.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        # Where its maker removes it again just now, it may be found and then be gone.
        _make(place)
        with suppress(Timeout, FileExistsError, FileNotFoundError):
            lock = FileLock(place / LOCK)
            lock.acquire(timeout=0)
            return lock, absent
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{directory}: {reason}; pass another --out") from None
    return None, []


def _make(place: Path) -> None:
    """Make a directory and its parents, which others may be removing; raise where it cannot be."""
    for left in reversed(range(ATTEMPTS)):
        try:
            place.mkdir(parents=True, exist_ok=True)
            return
        except (FileExistsError, FileNotFoundError):
            if not left:
                raise


def _remove_if_empty(made: list[Path]) -> None:
    """Remove a directory that holds nothing but its lock, which is held, and then its parents.

    A run that waits for this very lock finds its file gone and makes another; one that comes
    between two removals makes the second fail.
    """
    with suppress(OSError):
        if made and os.listdir(made[0]) == [LOCK]:
            (made[0] / LOCK).unlink()
            for path in made:
                path.rmdir()
