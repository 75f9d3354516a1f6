"""What a yearly component, fitted to the older part of a series, tells of the newer one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.data.yearly import Daily, fitted, rounding_of, waves_at

# The share of a series that a component is fitted to, and that of either part's days that must be
# observed.
FITTED_SHARE, LEAST_OBSERVED = 0.6, 0.5
# It is judged by the change of the mean of so many days after so many: a year is slow, and a change
# from day to day mostly chance.
LEVEL_DAYS, CHANGE_DAYS = 28, 91


class Trial(NamedTuple):
    """The newer part of a series, and the component that was fitted to the older one.

    Attributes:
        first: The day of the first change, counted from 1970.
        coefficients: Of the component [2 * order].
        changes: Of the level, beside the line that was fitted with the component [day], NaN where
            there are none, or all are no more than roundings leave.
        waves: Changes of the component that has a coefficient of 1 and no other [day, 2 * order].
    """

    first: int
    coefficients: FloatArray
    changes: FloatArray
    waves: FloatArray

    @property
    def moves(self) -> bool:
        """Whether there are any changes."""
        return not bool(np.isnan(self.changes).all())

    def left_by(self, coefficients: FloatArray) -> float:
        """What share of the changes a component leaves; NaN where there are none."""
        if not self.moves:
            return np.nan
        left = np.abs(self.changes - self.waves @ coefficients)
        return float(np.nansum(left) / np.nansum(np.abs(self.changes)))


def left_of_changes(series: Daily, until: int) -> float:
    """What share a component fitted to the days before `until` leaves of the changes after them.

    The changes are those beside the line that was fitted with it. NaN where there are none.
    """
    trial = tried(series, until)
    return trial.left_by(trial.coefficients)


def left_of_median(trials: Sequence[Trial], coefficients: FloatArray) -> float:
    """What share of the changes of the median series, day by day, a component leaves; or NaN."""
    begin = min(trial.first for trial in trials)
    end = max(trial.first + len(trial.changes) for trial in trials)
    told, left = np.full((2, len(trials), end - begin), np.nan)
    for place, trial in enumerate(trials):
        days = slice(trial.first - begin, trial.first - begin + len(trial.changes))
        told[place, days] = trial.changes
        left[place, days] = trial.changes - trial.waves @ coefficients
    known = ~np.isnan(told).all(axis=0)
    sums = [np.abs(np.nanmedian(each[:, known], axis=0)).sum() for each in (told, left)]
    return float(sums[1] / sums[0]) if sums[0] else np.nan


def fitted_days(series: Daily) -> int | None:
    """To how many days a component is fitted; None where too few, or too few after, are known."""
    until = int(FITTED_SHARE * len(series.values))
    parts = series.values[:until], series.values[until:]
    known = min(Daily(series.first, values).known_share() for values in parts)
    return until if known >= LEAST_OBSERVED else None


def tried(series: Daily, until: int) -> Trial:
    """A component fitted to the days before `until`, and the changes after them."""
    fit = fitted(Daily(series.first, series.values[:until]))
    changes = _changes(series.values, until) - fit.slope * CHANGE_DAYS
    known = ~np.isnan(changes)
    if np.abs(changes[known]).sum() <= known.sum() * rounding_of(series.values):
        changes[:] = np.nan
    waves = np.where(np.isnan(series.values), np.nan, waves_at(series.days).T)
    return Trial(
        first=series.first + len(series.values) - len(changes),
        coefficients=fit.coefficients,
        changes=changes,
        waves=np.stack([_changes(wave, until) for wave in waves], axis=1),
    )


def _changes(values: FloatArray, until: int) -> FloatArray:
    """The change of the mean of known days after a quarter of a year, into days from `until` on.

    Takes values [day], returns [change], NaN where no day is known.
    """
    known = ~np.isnan(values)
    parts = np.where(known, values, 0.0), known
    sums, counts = (np.cumsum(np.concatenate([[0.0], each])) for each in parts)
    sums, counts = (each[LEVEL_DAYS:] - each[:-LEVEL_DAYS] for each in (sums, counts))
    level: FloatArray = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    first = max(until, CHANGE_DAYS)
    return level[first:] - level[first - CHANGE_DAYS : len(level) - CHANGE_DAYS]
