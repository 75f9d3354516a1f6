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
    user's cache; where there can be none that is the user's alone, it is compiled for this process.
    What is damaged there is made anew.

    Raises:
        OSError: There is no compiler, or what it makes cannot be loaded; says why.
    """
    words = shlex.split(os.environ.get("CXX", "c++"))
    compiler = shutil.which(words[0]) if words else None
    if compiler is None:
        raise OSError(f"there is no C++ compiler {words[0] if words else ''}".rstrip())
    command = [compiler, *words[1:], *FLAGS, str(source)]
    folder = _own_folder()
    if folder is None:
        with tempfile.TemporaryDirectory() as directory:
            return ctypes.CDLL(str(_compile(command, Path(directory) / "library.so")))
    library = folder / f"{source.stem}-{_digest(source, command)}.so"
    with suppress(OSError):
        return ctypes.CDLL(str(library))
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        os.replace(_compile(command, Path(directory) / library.name), library)
    return ctypes.CDLL(str(library))


def _compile(command: list[str], library: Path) -> Path:
    """Run the compiler; raises OSError with the last line that it has written."""
    try:
        subprocess.run(
            [*command, "-o", str(library)],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise OSError(f"{command[0]} failed: {last}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} took more than {PATIENCE} s") from error
    return library


def _own_folder() -> Path | None:
    """The folder for libraries; None where no other user must not be able to write to it."""
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(root) / "rnnforecast"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        own = status.st_uid == os.getuid()
        shared = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
        writable = os.access(folder, os.W_OK)
    except (OSError, RuntimeError):
        return None
    return folder if own and writable and not shared else None


def _digest(source: Path, command: list[str]) -> str:
    """What tells libraries apart: the source, the command and the processor."""
    told = "\0".join([source.read_text(), *command, platform.machine(), _processor()])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _processor() -> str:
    """The instructions that the processor has, where Linux lists them, else its name."""
    try:
        with open("/proc/cpuinfo") as lines:
            listed = (line for line in lines if line.startswith(("flags", "Features")))
            return next(listed, "")
    except OSError:
        return platform.processor() + platform.node()
