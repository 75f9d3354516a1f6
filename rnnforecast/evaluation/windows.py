"""What metrics are computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnforecast.arrays import FloatArray


def coverages(levels: Sequence[float]) -> list[float]:
    """The nominal coverages in percent of the intervals between symmetric levels, widest first."""
    lower = levels[: len(levels) // 2]
    return [100 - 200 * level for level in lower]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Forecasts of one model for windows whose outcome is known.

    Attributes:
        actual: NaN where unknown, or not to be scored [window, step].
        quantiles: In ascending order of level [window, step, quantile].
        levels: Of the quantiles, symmetric about 0.5; (0.5,) for a point forecast, of which
            everything that needs more than the median is NaN.
        absolute_scale: `seasonal_scale` of each window's history [window]; NaN where undefined.
        square_scale: That of order 2 [window].
        shared: The levels at which quantiles are scored, those that all models compared have;
            None for all of `levels`.
    """

    actual: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    absolute_scale: FloatArray
    square_scale: FloatArray
    shared: tuple[float, ...] | None = None

    @property
    def scored_levels(self) -> tuple[float, ...]:
        """The levels that quantile losses are taken at."""
        return self.levels if self.shared is None else self.shared

    @property
    def forecast(self) -> FloatArray:
        """The median [window, step]."""
        return self.quantiles[..., self.levels.index(0.5)]

    @cached_property
    def error(self) -> FloatArray:
        """forecast - actual [window, step]."""
        return self.forecast - self.actual

    @cached_property
    def pinball(self) -> FloatArray:
        """The quantile loss without the factor 2 [window, step, scored level]."""
        levels = self.scored_levels
        if levels == (0.5,) or self.levels == (0.5,):
            return np.full((*self.actual.shape, len(levels)), np.nan)
        places = [self.levels.index(level) for level in levels]
        error = self.actual[..., None] - self.quantiles[..., places]
        level = np.asarray(levels)
        return np.maximum(level * error, (level - 1) * error)

    def bounds(self, coverage: float) -> tuple[FloatArray, FloatArray]:
        """Of the interval that should cover `coverage` percent [window, step], NaN without one."""
        for place, held in enumerate(coverages(self.levels)):
            if math.isclose(held, coverage):
                return self.quantiles[..., place], self.quantiles[..., -1 - place]
        absent = np.full_like(self.actual, np.nan)
        return absent, absent
