"""The kinds of arrays that parts hand to each other, and how series lie end to end in one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def ends_of(lengths: IntArray) -> IntArray:
    """Where parts of these lengths end that lie one after the other, from 0 on [part + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def steps_of(lengths: IntArray) -> IntArray:
    """For each row of series of these lengths, laid end to end, its step within its own."""
    steps: IntArray = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return steps


def within_series(offsets: IntArray) -> BoolArray:
    """Which two neighbouring rows lie in one series; the inverse are where one begins [row - 1].

    Series `i` are the rows from `offsets[i]` to before `offsets[i + 1]`.
    """
    within = np.ones(max(int(offsets[-1]) - 1, 0), dtype=bool)
    within[offsets[1:-1] - 1] = False
    return within
