"""Files that appear whole or not at all: written beside the old ones, then renamed over them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rnnforecast.errors import ConfigError, OutputError


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write each path's content; all are complete on the disk before the first takes its place.

    Raises:
        OutputError: One cannot be written; then none is.
    """
    temporaries: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            with _naming(path):
                temporaries[path] = _temporary(path)
                _write_through(temporaries[path], content)
        for path in contents:
            with _naming(path):
                os.replace(temporaries[path], path)
                del temporaries[path]
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What writes a file piece by piece, which takes the place of `path` at the end of the block.

    Raises:
        OutputError: It cannot be written. As after any other error, `path` is as it was.
    """
    with _naming(path):
        path = path.resolve()
        temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:

            def write(content: bytes) -> None:
                with _naming(path):
                    file.write(content)

            yield write
            with _naming(path):
                file.flush()
                os.fsync(file.fileno())
        with _naming(path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise ConfigError where a file cannot be put, before work goes into its content."""
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "is no file that could be replaced")
        _temporary(path).unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path}: {reason}; pass a file in a directory to write to") from None


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of a failure which file it befell, and what to do."""
    try:
        yield
    except OSError as error:
        remedy = "free space there" if error.errno == errno.ENOSPC else "pass another place"
        raise OutputError(f"{path}: {error.strerror or error}; {remedy}") from None


def _temporary(path: Path) -> Path:
    """An empty file beside `path`, with the rights that a new file gets."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    mask = os.umask(0)
    os.umask(mask)
    os.fchmod(handle, 0o666 & ~mask)
    os.close(handle)
    return Path(name)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
