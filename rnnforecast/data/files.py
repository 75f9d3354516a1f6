"""Files that appear whole or not at all: written beside the old ones, then renamed over them.

What is written is a temporary `.NAME.xxxxxxxx.tmp`, locked for as long as its writer lives, so that
those of killed processes can be told from others and be removed.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from rnnforecast.errors import ConfigError, OutputError
from rnnforecast.signals import deferring_signals

if sys.platform != "win32":
    import fcntl

TEMPORARY = r"\.{name}\.[a-z0-9_]{{8}}\.tmp"
REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EFBIG: "raise the limit that ulimit -f shows",
}


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write each path's content; all are complete on the disk before the first takes its place.

    They take their places in the order of the mapping. A signal waits until the last has done so.

    Raises:
        OutputError: One cannot be written; then none is. Or the system refuses one its place, as
            where another program holds the file there; then those before it are new.
        Interrupted: By a signal that has waited.
    """
    with ExitStack() as held:
        complete: list[tuple[Path, Path, IO[bytes]]] = []
        for path, content in contents.items():
            with _naming(path):
                place = _place(path)
                file = held.enter_context(_temporary(place))
                file.write(content)
                _write_through(file)
            complete.append((path, place, file))
        with deferring_signals():
            for path, place, file in complete:
                with _naming(path):
                    _put(file, place)


@contextmanager
def replacing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What writes a file piece by piece, which takes the place of `path` at the end of the block.

    Raises:
        OutputError: It cannot be written. As after any other error, `path` is as it was.
    """
    with ExitStack() as held:
        with _naming(path):
            place = _place(path)
            file = held.enter_context(_temporary(place))

        def write(content: bytes) -> None:
            with _naming(path):
                file.write(content)

        yield write
        with _naming(path):
            _write_through(file)
            _put(file, place)


def check_place(path: Path) -> None:
    """Raise ConfigError where a file cannot be put, before work goes into its content."""
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "is no file that could be replaced")
        with _temporary(_place(path)):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path}: {reason}; pass a file in a directory to write to") from None


def remove_dead(directory: Path, name: str | None = None) -> None:
    """Remove the temporaries of killed writers: those of the file `name`, or all in `directory`."""
    for path in dead_temporaries(directory, name):
        # What may not be removed stays.
        with suppress(OSError):
            path.unlink()


def dead_temporaries(directory: Path, name: str | None = None) -> Iterator[Path]:
    """The temporaries of killed writers, as for `remove_dead`, each held while it is looked at."""
    if sys.platform == "win32":
        return
    pattern = re.compile(TEMPORARY.format(name=r".+" if name is None else re.escape(name)), re.S)
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                # Locks on a network need a file that could be written to.
                with suppress(OSError), open(entry.path, "rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield Path(entry.path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of a failure which file it befell, and what to do."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "pass another place")
        raise OutputError(f"{path}: {error.strerror or error}; {remedy}") from None


def _place(path: Path) -> Path:
    """Where a link leads, so that it stays one."""
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return place


@contextmanager
def _temporary(path: Path) -> Iterator[IO[bytes]]:
    """An open file beside `path`, with the rights that a new file gets; removed unless renamed."""
    remove_dead(path.parent, path.name)
    while True:
        file = NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        )
        try:
            if _is_held(file):
                yield file
                return
        finally:
            # On a full disk, what is still to be written cannot be at its end either.
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                os.unlink(file.name)


def _is_held(file: IO[bytes]) -> bool:
    """Lock a file, where files can be, until it is closed; False if it was removed before that."""
    if sys.platform == "win32":
        return True
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    # Between its making and its locking another run may have taken it for dead.
    if not os.fstat(file.fileno()).st_nlink:
        return False
    mask = os.umask(0)
    os.umask(mask)
    os.fchmod(file.fileno(), 0o666 & ~mask)
    return True


def _write_through(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put(file: IO[bytes], place: Path) -> None:
    """Give a whole file its place, where it stays when the power fails."""
    if sys.platform == "win32":
        file.close()  # an open file cannot be renamed there
    os.replace(file.name, place)
    # What cannot be made sure of, as on some file systems, is done all the same.
    with suppress(OSError):
        directory = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
