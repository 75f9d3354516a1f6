"""Which series go through the year alike again: each by itself, or as the others do.

What a course that was fitted to the older part of a series tells of the newer one decides. Noise
hides the course of one series where it does not hide that of many, and a series that is new has
shown none: where they go through the year alike, each has a mean of its own course and of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import NO_YEARLY, Yearly, YearlyCourse
from rnnforecast.data.panel import Panel
from rnnforecast.data.yearly import (
    Daily,
    daily,
    days_of,
    fitted,
    has_days,
    rounding_of,
    waves_at,
)

# Days that a series must last, and the share of them that must be observed.
LEAST_DAYS, LEAST_OBSERVED = 731, 0.5
# The share of a series that a course is fitted to, more than a year, to be judged by what follows;
# and days of one that has a course because it is asked for.
FITTED_SHARE, LEAST_FORCED = 0.6, 365
# It is judged by the change of the mean of so many days after so many: a year is slow, and a change
# from day to day mostly chance. It is believed where at most this share of the changes is left, and
# one that was believed is no longer where more than the second one is.
LEVEL_DAYS, CHANGE_DAYS, BELIEVED, DISBELIEVED = 28, 91, 0.6, 0.8
# Where it is believed of no more than this share of the series, it is chance; so many series tell.
MINORITY, SAMPLED_SERIES = 1 / 6, 60
# How much of each one's own course there may be in what it has, the rest being the mean of all. Of
# what these explain, the mean of the others must explain this share, so that series are alike.
WEIGHTS, ALIKE = (0.0, 0.25, 0.5, 0.75, 1.0), 1 / 2


class Trial(NamedTuple):
    """What is told of the newer part of a series by a course that was fitted to the older one.

    Attributes:
        first: The first day of the newer part, counted from 1970.
        coefficients: Of the course [2 * order].
        changes: Of the level, beside the line that was fitted with the course [day], NaN where
            there are none, or all are no more than roundings leave.
        waves: Changes of the course that has a coefficient of 1 and no other [day, 2 * order].
    """

    first: int
    coefficients: FloatArray
    changes: FloatArray
    waves: FloatArray

    def left_by(self, coefficients: FloatArray) -> FloatArray:
        """What a course leaves of the changes [day]."""
        left: FloatArray = self.changes - self.waves @ coefficients
        return left


def find_courses(
    panel: Panel, *, log: bool = False, always: bool = False, left: float = BELIEVED
) -> Yearly:
    """The courses of the series that go through the year alike again.

    Where these are not alike and any series is too short to be asked none has one: a network that
    has learned from what courses leave would not know what the year does to the others.

    Args:
        panel: Nothing of it lies after a cutoff that is scored.
        log: Whether courses are those of logarithms.
        always: Whether series have one though nothing shows it, as the user knows: their own where
            they last a year and were mostly observed, the others the mean of these.
        left: What share of the changes a course may leave.
    """
    if not has_days(panel.frequency):
        return NO_YEARLY
    days = days_of(panel)
    if always:
        return _alike(panel, np.flatnonzero(days >= LEAST_FORCED), 1.0, log)
    long = np.flatnonzero(days >= LEAST_DAYS)
    weight = _weight(panel, long, log, left)
    if weight is not None:
        return _alike(panel, long, weight, log)
    if len(long) < len(panel):
        return NO_YEARLY
    shown = _shown(panel, log, left)
    courses = {index: fitted(daily(panel, index, log)).coefficients for index in shown}
    return Yearly(own=_named(courses, panel))


def with_shared(yearly: Yearly, panel: Panel, new: IntArray, log: bool) -> Yearly:
    """With the course that series share, where they do, for those of a panel that are new."""
    if not yearly.shared:
        return yearly
    shared = np.array(yearly.shared)
    courses = {index: _level(daily(panel, index, log), log) * shared for index in new.tolist()}
    return Yearly(own=(*yearly.own, *_named(courses, panel)), shared=yearly.shared)


def left_of_changes(series: Daily, until: int) -> float:
    """What share a course fitted to the days before `until` leaves of the changes after them.

    The changes are those beside the line that was fitted with it. NaN where there are none.
    """
    trial = _tried(series, until)
    told = np.nansum(np.abs(trial.changes))
    return float(np.nansum(np.abs(trial.left_by(trial.coefficients))) / told) if told else np.nan


def _shown(panel: Panel, log: bool, left: float) -> list[int]:
    """The series that go through the year alike again, none where these are too few to believe."""
    parts = [np.arange(len(panel))]
    if len(panel) > SAMPLED_SERIES:
        parts.insert(0, _sampled(parts[0]))
    for chosen in parts:
        shown = [index for index in chosen.tolist() if _is_shown(daily(panel, index, log), left)]
        if len(shown) <= MINORITY * len(chosen):
            return []
    return shown


def _is_shown(series: Daily, left: float) -> bool:
    until = _fitted_days(series)
    return until is not None and left_of_changes(series, until) <= left


def _weight(panel: Panel, long: IntArray, log: bool, left: float) -> float | None:
    """How much of its own course a series has, the rest being that of all; None if not alike.

    The mean course must tell the mean changes of all, and that of the others those of each.
    """
    if len(long) < 2:
        return None
    sample = _sampled(long) if len(long) > SAMPLED_SERIES else long
    trials = list(_trials(panel, sample, log))
    if len(trials) < 2:
        return None
    own = np.stack([trial.coefficients for trial in trials])
    others = (own.sum(axis=0) - own) / (len(own) - 1)
    courses = [0 * own, *(weight * own + (1 - weight) * others for weight in WEIGHTS)]
    left_by = [
        sum(
            np.nansum(np.abs(trial.left_by(course)))
            for trial, course in zip(trials, each, strict=True)
        )
        for each in courses
    ]
    explained = left_by[0] - np.array(left_by[1:])
    if not explained[0] >= ALIKE * explained.max() > 0:
        return None
    return WEIGHTS[int(explained.argmax())] if _left_of_mean(trials) <= left else None


def _trials(panel: Panel, series: IntArray, log: bool) -> Iterator[Trial]:
    """Of those of some series that move and were observed enough, in shares of their levels."""
    for index in series.tolist():
        days = daily(panel, index, log)
        level, until = _level(days, log), _fitted_days(days)
        if level and until is not None:
            trial = _tried(Daily(days.first, days.values / level), until)
            if not np.isnan(trial.changes).all():
                yield trial


def _left_of_mean(trials: Sequence[Trial]) -> float:
    """What share of the changes of the mean of all series is left by the mean of their courses."""
    mean = np.mean([trial.coefficients for trial in trials], axis=0)
    begin = min(trial.first for trial in trials)
    end = max(trial.first + len(trial.changes) for trial in trials)
    sums, counts = np.zeros((2, end - begin)), np.zeros(end - begin)
    for trial in trials:
        known = np.flatnonzero(~np.isnan(trial.changes))
        place = trial.first - begin + known
        sums[0, place] += trial.changes[known]
        sums[1, place] += trial.left_by(mean)[known]
        counts[place] += 1
    told, left = np.abs(sums[:, counts > 0] / counts[counts > 0]).sum(axis=1)
    return float(left / told)


def _alike(panel: Panel, fitted_to: IntArray, weight: float, log: bool) -> Yearly:
    """The courses of all series: of those that one is fitted to, so much of its own."""
    levels, asked = np.zeros(len(panel)), set(fitted_to.tolist())
    own: dict[int, FloatArray] = {}
    for index in range(len(panel)):
        series = daily(panel, index, log)
        levels[index] = _level(series, log)
        if index in asked and levels[index] and series.known_share() >= LEAST_OBSERVED:
            coefficients = fitted(series).coefficients
            if np.abs(coefficients).max() > rounding_of(series.values):
                own[index] = coefficients / levels[index]
    if not own:
        return NO_YEARLY
    shared: FloatArray = np.mean(list(own.values()), axis=0)
    courses = {
        index: levels[index] * (weight * own.get(index, shared) + (1 - weight) * shared)
        for index in range(len(panel))
    }
    return Yearly(own=_named(courses, panel), shared=tuple(shared.tolist()))


def _named(courses: dict[int, FloatArray], panel: Panel) -> tuple[YearlyCourse, ...]:
    """Those that are not 0, with the names of their series."""
    return tuple(
        YearlyCourse(id=panel.ids[index], coefficients=tuple(coefficients.tolist()))
        for index, coefficients in courses.items()
        if coefficients.any()
    )


def _sampled(series: IntArray) -> IntArray:
    chosen: IntArray = np.random.default_rng(0).choice(series, SAMPLED_SERIES, replace=False)
    return chosen


def _level(series: Daily, log: bool) -> float:
    """What the courses of series are in shares of: the mean absolute value; 1 of logarithms."""
    if log:
        return 1.0
    known = series.values[~np.isnan(series.values)]
    return float(np.abs(known).mean()) if len(known) else 0.0


def _fitted_days(series: Daily) -> int | None:
    """How many days a course is fitted to; None where too few of them or after them are known."""
    until = int(FITTED_SHARE * len(series.values))
    older, newer = (
        Daily(series.first, values) for values in (series.values[:until], series.values[until:])
    )
    enough = min(older.known_share(), newer.known_share()) >= LEAST_OBSERVED
    return until if enough else None


def _tried(series: Daily, until: int) -> Trial:
    """A course fitted to the days before `until`, and the changes after them."""
    fit = fitted(Daily(series.first, series.values[:until]))
    changes = _changes(series.values, until)
    changes -= fit.slope * CHANGE_DAYS
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
