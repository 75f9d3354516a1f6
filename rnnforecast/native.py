"""A C++ file of this package as a library for this very processor, compiled on its first use."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
# Seconds that a compiler is given; it takes about one.
PATIENCE = 60


@cache
def load_library(source: Path) -> ctypes.CDLL:
    """Compile a file and load it, or load what an earlier process has compiled of it.

    The compiler is `CXX` of the environment, else `c++`. What it makes is kept in a folder of the
    user's cache, and made anew if it cannot be loaded; where it can be neither kept nor loaded
    from there, it is compiled for this process alone.

    Raises:
        OSError: There is no compiler, or what it makes cannot be loaded; says why.
    """
    command = [*_compiler(), *FLAGS, str(source)]
    folder = _own_folder()
    if folder is not None:
        with suppress(OSError):
            return _kept(command, folder / f"{source.stem}-{_digest(source, command)}.so")
    with tempfile.TemporaryDirectory() as directory:
        return ctypes.CDLL(str(_compile(command, Path(directory) / "library.so")))


def _compiler() -> list[str]:
    """The words that begin its command; raises OSError where there is none."""
    named = os.environ.get("CXX", "c++")
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise OSError(f"CXX is no command: {named}") from error
    found = shutil.which(words[0]) if words else None
    if found is None:
        raise OSError(f"there is no C++ compiler {named}".rstrip())
    return [found, *words[1:]]


def _kept(command: list[str], library: Path) -> ctypes.CDLL:
    """The library that lies there, or that is put there now."""
    with suppress(OSError):
        return ctypes.CDLL(str(library))
    with tempfile.TemporaryDirectory(dir=library.parent) as directory:
        os.replace(_compile(command, Path(directory) / library.name), library)
    return ctypes.CDLL(str(library))


def _compile(command: list[str], library: Path) -> Path:
    """Run the compiler; raises OSError with the first error that it has written."""
    try:
        subprocess.run(
            [*command, "-o", str(library)],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        first = next((line for line in lines if "error" in line), lines[-1])
        raise OSError(f"{command[0]} failed: {first}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} took more than {PATIENCE} s") from error
    return library


def _own_folder() -> Path | None:
    """The folder for libraries; None where there is none that the user alone can write to."""
    if not hasattr(os, "getuid"):
        return None
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = (root if root.is_absolute() else Path.home() / ".cache") / "rnnforecast"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        own = status.st_uid == os.getuid()
        shared = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    except (OSError, RuntimeError):
        return None
    return folder if own and not shared else None


def _digest(source: Path, command: list[str]) -> str:
    """What tells libraries apart: the source, the command and the processor."""
    told = "\0".join([source.read_text(), *command, platform.machine(), _processor()])
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:32]


def _processor() -> str:
    """The instructions that the processor has, where Linux lists them, else names."""
    unlisted = platform.processor() + platform.node()
    try:
        with open("/proc/cpuinfo") as lines:
            listed = (line for line in lines if line.startswith(("flags", "Features")))
            return next(listed, unlisted)
    except OSError:
        return unlisted
