"""What the C library is asked to do with memory."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from rnnforecast import allocator
from rnnforecast.allocator import keep_freed_memory, release_freed_memory, use_one_arena


def test_memory_is_kept_or_left_when_asked_twice() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert torch.zeros(2**22).sum() == 0


@pytest.mark.parametrize("error", [None, OSError, AttributeError, TypeError])
def test_memory_is_released_or_left_when_the_c_library_is_any(
    error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def library(name: None) -> SimpleNamespace:
        if error is not None:
            raise error
        return SimpleNamespace(
            malloc_trim=asked.append, mallopt=lambda option, value: asked.append(option)
        )

    monkeypatch.setattr(allocator.ctypes, "CDLL", library)
    use_one_arena()
    release_freed_memory()
    keep_freed_memory()
    kept = [allocator.M_MMAP_MAX, allocator.M_TRIM_THRESHOLD, allocator.M_TOP_PAD]
    assert asked == ([allocator.M_ARENA_MAX, 0, *kept] if error is None else [])


ARENAS = """
import ctypes, sys, threading
from rnnforecast.allocator import use_one_arena
if sys.argv[1] == "one":
    use_one_arena()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
places = []
thread = threading.Thread(target=lambda: places.append(library.malloc(64)))
thread.start()
thread.join()
# Arenas beside the first begin at multiples of 64 MiB; its own memory goes on from the program's.
with open("/proc/self/maps") as maps:
    ranges = [line.split() for line in maps]
inside = [
    name[-1]
    for name in ranges
    if int(name[0].split("-")[0], 16) <= places[0] < int(name[0].split("-")[1], 16)
]
print(inside == ["[heap]"])
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(allocator.ctypes.CDLL(None), "mallopt"),
    reason="the C library is not glibc",
)
@pytest.mark.parametrize(("arenas", "expected"), [("one", "True"), ("many", "False")])
def test_threads_take_memory_from_the_heap_when_there_is_one_arena(
    arenas: str, expected: str
) -> None:
    command = [sys.executable, "-c", ARENAS, arenas]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [expected]
