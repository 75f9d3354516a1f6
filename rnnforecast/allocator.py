"""What the C library does with freed memory where it is glibc; elsewhere nothing is changed.

Options and functions are those of its malloc.h.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
# What a call raises where the C library is another one, or is not found as on Windows.
NOT_GLIBC = (OSError, AttributeError, TypeError)


def use_one_arena() -> None:
    """Let all threads take memory from one place, where each finds what another one has freed.

    Called before there are any: an arena that a reader's thread has had for itself goes to one that
    trains, and is filled anew.
    """
    _set({M_ARENA_MAX: 1})


def keep_freed_memory() -> None:
    """Keep what is freed: each step asks for the same again.

    Else large arrays are mapped and cleared anew at every step, a fifth of a step of a large
    network.
    """
    _set({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**22})


def release_freed_memory() -> None:
    """Return what a phase of a run has freed, which the next one asks for otherwise."""
    with suppress(*NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)


def _set(options: dict[int, int]) -> None:
    with suppress(*NOT_GLIBC):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in options.items():
            mallopt(option, value)
