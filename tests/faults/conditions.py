"""What may befall a run of the program, by name, before it begins."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rnnforecast.models.registry import MODELS
from rnnforecast.workflows import checkpoints
from tests.toy_cell import ROW


def fill(directory: Path) -> Path:
    """Leave nothing of a small disk; the file that takes it."""
    with (directory / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    return directory / "filler"


def _closed(handle: int) -> None:
    """As Python finds a stream that its caller has closed."""
    os.close(handle)
    setattr(sys, ("stdin", "stdout", "stderr")[handle], None)


def _full(handle: int) -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), handle)


def _wait_for_input_to_end() -> None:
    os.read(0, 1)


def _checkpoints_at_once() -> None:
    """Far more often than the program writes them by itself."""
    checkpoints.INTERVAL, checkpoints.SPACING = 0.02, 0.0


def _disk_full_at_checkpoints() -> None:
    """A checkpoint is due before every step, and whenever it is written the disk is full."""
    write = checkpoints.Checkpoints._write

    def write_where_full(self: checkpoints.Checkpoints) -> bool:
        filler = fill(Path())
        try:
            return write(self)
        finally:
            filler.unlink()

    checkpoints.INTERVAL = checkpoints.SPACING = 0.0
    checkpoints.Checkpoints._write = write_where_full  # type: ignore[method-assign]


def _toy_cell() -> None:
    """The program knows the model of tests/toy_cell.py, too."""
    MODELS[ROW.name] = ROW


CONDITIONS: dict[str, Callable[[], object]] = {
    "no terminal": os.setsid,
    "closed input": lambda: _closed(0),
    "closed output": lambda: _closed(1),
    "closed error": lambda: _closed(2),
    "full output": lambda: _full(1),
    "full error": lambda: _full(2),
    "once its input has ended": _wait_for_input_to_end,
    "checkpoints at once": _checkpoints_at_once,
    "disk full at checkpoints": _disk_full_at_checkpoints,
    "small files only": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    "toy cell": _toy_cell,
}
