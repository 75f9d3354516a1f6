"""A panel: many series of unequal length in one flat array, never padded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import BoolArray, FloatArray, IntArray
from rnnforecast.data.calendar import Frequency


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series on a regular grid of time, each from its first to its last observed value.

    Attributes:
        ids: The names of the series, in order of first appearance.
        values: All observations in one array [total]; NaN where one is missing.
        offsets: Series `i` is `values[offsets[i]:offsets[i + 1]]` [series + 1].
        starts: The time of the first value of each series [series]; see `data/calendar.py`.
        frequency: The distance between two values.
    """

    ids: tuple[str, ...]
    values: FloatArray
    offsets: IntArray
    starts: IntArray
    frequency: Frequency

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> IntArray:
        """Steps from the first to the last value of each series [series]."""
        return np.diff(self.offsets)

    def series(self, index: int) -> FloatArray:
        """The values of one series, a view [length]."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def first_where(self, faulty: BoolArray) -> tuple[str, float] | None:
        """The series and the value of the first observation where `faulty` [total] is True."""
        if not faulty.any():
            return None
        at = int(np.argmax(faulty))
        series = int(np.searchsorted(self.offsets, at, side="right")) - 1
        return self.ids[series], float(self.values[at])

    def times(self, series: IntArray, positions: IntArray) -> IntArray:
        """The times of steps `positions` of `series`; a position may lie after the last value."""
        return self.frequency.times(self.starts[series], positions)

    def cut(self, first: IntArray, last: IntArray) -> Panel:
        """A copy that keeps the positions from `first` to before `last` of each series."""
        parts = [self.series(i)[first[i] : last[i]] for i in range(len(self))]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        starts = self.times(np.arange(len(self)), first)
        values = np.concatenate(parts)
        return replace(self, values=values, offsets=offsets.astype(np.int64), starts=starts)

    def before(self, cutoffs: IntArray) -> Panel:
        """The panel as it was when each series had only its first `cutoffs` values."""
        return self.cut(np.zeros_like(cutoffs), cutoffs)

    def tail(self, length: int) -> Panel:
        """The last `length` values of each series, or all it has."""
        return self.cut(np.maximum(self.lengths - length, 0), self.lengths)
