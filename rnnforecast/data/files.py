"""Files that appear whole or not at all: written beside the old ones, then renamed over them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rnnforecast.errors import ConfigError, OutputError


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write each path's content; all are complete on the disk before the first takes its place.

    Raises:
        OutputError: One cannot be written; then none is.
    """
    temporaries: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            temporaries[path] = _temporary(path)
            _write_through(temporaries[path], content)
        for path in contents:
            os.replace(temporaries[path], path)
            del temporaries[path]
    except OSError as error:
        remedy = "free space there" if error.errno == errno.ENOSPC else "pass another place"
        raise OutputError(f"{path}: {error.strerror or error}; {remedy}") from None
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise ConfigError where a file cannot be put, before work goes into its content."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _temporary(path).unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path}: {reason}; pass a file in a directory to write to") from None


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
