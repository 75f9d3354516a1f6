"""A panel: many series of unequal length in one flat array, never padded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import BoolArray, Float32Array, FloatArray, IntArray, ends_of
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import SECOND


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a network reads beside the values of a panel, encoded; see `data/encoding.py`.

    What is known ahead goes on after the last value of a series, as far as it is known.

    Attributes:
        past: Beside each value [total, feature], NaN where missing.
        future: Known ahead, from the first value of each series on [row, feature], NaN where
            missing.
        future_offsets: Those of series `i` are `future[future_offsets[i]:future_offsets[i + 1]]`
            [series + 1].
        static: Of each series [series, feature].
    """

    past: Float32Array
    future: Float32Array
    future_offsets: IntArray
    static: Float32Array

    @property
    def future_lengths(self) -> IntArray:
        """Steps of each series of which something is known ahead [series]."""
        return np.diff(self.future_offsets)

    def cut(self, offsets: IntArray, first: IntArray, last: IntArray) -> Features:
        """As `Panel.cut`, of series at `offsets`; all that is known ahead from `first` on stays."""
        ranges = zip(offsets[:-1] + first, offsets[:-1] + last, strict=True)
        past = [self.past[start:stop] for start, stop in ranges]
        known = np.minimum(self.future_offsets[:-1] + first, self.future_offsets[1:])
        ahead = zip(known, self.future_offsets[1:], strict=True)
        future = [self.future[start:stop] for start, stop in ahead]
        return replace(
            self,
            past=np.concatenate(past),
            future=np.concatenate(future),
            future_offsets=ends_of(np.array([len(part) for part in future])),
        )

    def part(self, offsets: IntArray, first: int, last: int) -> Features:
        """As `Panel.part`, of series at `offsets`."""
        ahead = self.future_offsets[first : last + 1]
        return Features(
            past=self.past[offsets[first] : offsets[last]],
            future=self.future[ahead[0] : ahead[-1]],
            future_offsets=ahead - ahead[0],
            static=self.static[first:last],
        )


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series on a regular grid of time, each from its first to its last observed value.

    Attributes:
        ids: The names of the series, in order of first appearance.
        values: All observations in one array [total]; NaN where one is missing.
        offsets: Series `i` is `values[offsets[i]:offsets[i + 1]]` [series + 1].
        starts: The time of the first value of each series [series]; see `data/calendar.py`.
        frequency: The distance between two values.
        features: What is known beside the values; None where there is nothing.
    """

    ids: tuple[str, ...]
    values: FloatArray
    offsets: IntArray
    starts: IntArray
    frequency: Frequency
    features: Features | None = None

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

    def written(self, series: IntArray, positions: IntArray) -> list[str] | IntArray:
        """The same as they are written, all times of a panel in one form."""
        frequency = self.frequency
        between = frequency.unit == "microsecond" and frequency.count % SECOND > 0
        fractions = between or bool(np.any(self.starts % SECOND))
        return frequency.format(self.times(series, positions), fractions=fractions)

    def cut(self, first: IntArray, last: IntArray) -> Panel:
        """A copy that keeps the positions from `first` to before `last` of each series."""
        parts = [self.series(i)[first[i] : last[i]] for i in range(len(self))]
        starts = self.times(np.arange(len(self)), first)
        return replace(
            self,
            values=np.concatenate(parts),
            offsets=ends_of(np.array([len(part) for part in parts])),
            starts=starts,
            features=self.features and self.features.cut(self.offsets, first, last),
        )

    def part(self, first: int, last: int) -> Panel:
        """The series from `first` to before `last`, which share memory with these."""
        last = min(last, len(self))
        offsets = self.offsets[first : last + 1]
        return replace(
            self,
            ids=self.ids[first:last],
            values=self.values[offsets[0] : offsets[-1]],
            offsets=offsets - offsets[0],
            starts=self.starts[first:last],
            features=self.features and self.features.part(self.offsets, first, last),
        )

    def before(self, cutoffs: IntArray) -> Panel:
        """The panel as it was when each series had only its first `cutoffs` values."""
        return self.cut(np.zeros_like(cutoffs), cutoffs)

    def tail(self, length: int) -> Panel:
        """The last `length` values of each series, or all it has."""
        return self.cut(np.maximum(self.lengths - length, 0), self.lengths)
