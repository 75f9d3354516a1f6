"""Yearly seasonality of days and of parts of them: the course that a series takes through the year.

A window of days seldom spans a year, so that nothing in it tells what the next month of the year
brings. Where a series goes through the year alike again, that course is taken out of it before
windows are cut, and put back on what is forecast: a dynamic harmonic regression (Young et al. 1999;
Hyndman & Athanasopoulos 2021, section 12.1) whose errors the network forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray, ends_of
from rnnforecast.columns import YEARLY_ORDERS, YearlyCourse
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.calendar_features import of_year
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import Course

# Days that a series must last, and the share of them that must be observed.
LEAST_DAYS, LEAST_OBSERVED = 731, 0.5
# The share of a series that a course is fitted to, more than a year, to be judged by what follows;
# and days of one that has a course because it is asked for.
FITTED_SHARE, LEAST_FORCED = 0.6, 365
# It is judged by the change of the mean of so many days after so many: a year is slow, and a change
# from day to day mostly chance. It is believed where at most this share of the changes is left, and
# one that was believed is no longer where more than the second one is.
LEVEL_DAYS, CHANGE_DAYS, BELIEVED, DISBELIEVED = 28, 91, 0.6, 0.8
# How many roundings of the largest value are no change.
ROUNDINGS = 64
# Where it is believed of no more than this share of the series, it is chance; so many series tell.
MINORITY, SAMPLED_SERIES = 1 / 6, 60


class Daily(NamedTuple):
    """A series by days.

    Attributes:
        first: The day of the first value, counted from 1970.
        values: The mean of each day, NaN where nothing was observed [day].
    """

    first: int
    values: FloatArray

    @property
    def days(self) -> IntArray:
        """Counted from 1970 [day]."""
        return self.first + np.arange(len(self.values))


class Fit(NamedTuple):
    """A line and a course that were fitted to days.

    Attributes:
        slope: Of the line, in units of the series a day.
        coefficients: Of the course [2 * order].
    """

    slope: float
    coefficients: FloatArray


def laid_out(courses: Sequence[YearlyCourse], panel: Panel, horizon: int) -> Course:
    """The courses of series to `horizon` steps after their last values, 0 of one without any."""
    places = {name: place for place, name in enumerate(panel.ids)}
    found = {places[each.id]: each.coefficients for each in courses if each.id in places}
    offsets = ends_of(panel.lengths + horizon)
    values = np.zeros(int(offsets[-1]))
    if found:
        series = np.array(sorted(found))
        first, last = (
            _days_at(panel, series, positions)
            for positions in (np.zeros_like(series), panel.lengths[series] + horizon)
        )
        begin = int(first.min())
        waves = _waves(np.arange(begin, int(last.max()) + 1))
        for index in series.tolist():
            positions = np.arange(offsets[index + 1] - offsets[index])
            days = _days_at(panel, np.full_like(positions, index), positions)
            values[offsets[index] : offsets[index + 1]] = waves[days - begin] @ found[index]
    return Course(values, offsets)


def _days_at(panel: Panel, series: IntArray, positions: IntArray) -> IntArray:
    """The days, counted from 1970, of steps of series; equal shapes."""
    days: IntArray = panel.frequency.local(panel.times(series, positions)) // DAY
    return days


def has_days(frequency: Frequency) -> bool:
    """Whether steps are days or shorter, of which a season of a year would be too many."""
    if frequency.unit == "business-day":
        return frequency.count == 1
    return frequency.unit == "microsecond" and frequency.count <= DAY


def days_of(panel: Panel) -> IntArray:
    """From the first to the last value of each series, in days [series]."""
    ends = panel.times(np.arange(len(panel)), panel.lengths - 1)
    days: IntArray = (ends - panel.starts) // DAY + 1
    return days


def find_courses(
    panel: Panel, *, log: bool = False, always: bool = False, left: float = BELIEVED
) -> tuple[YearlyCourse, ...]:
    """The courses of the series that go through the year alike again.

    A course fitted to the older part of a series must tell the newer one. Where any series is too
    short to be asked none has one: a network that has learned from what courses leave would not
    know what the year does to the others.

    Args:
        panel: Nothing of it lies after a cutoff that is scored.
        log: Whether courses are those of logarithms.
        always: Whether every series that lasts a year and was mostly observed has one, as the user
            knows.
        left: What share of the changes a course may leave.
    """
    if not has_days(panel.frequency):
        return ()
    if always:
        chosen = _observed(panel, np.flatnonzero(days_of(panel) >= LEAST_FORCED), log)
    elif days_of(panel).min() < LEAST_DAYS:
        return ()
    else:
        chosen = _shown(panel, log, left)
    return tuple(course for index in chosen if (course := _course(panel, index, log)) is not None)


def daily(panel: Panel, index: int, log: bool) -> Daily:
    """A series by days, as logarithms where these are asked for."""
    values = panel.series(index)
    if log:
        values = np.log(np.where(values > 0, values, np.nan))
    positions = np.arange(len(values))
    times = panel.times(np.full_like(positions, index), positions)
    days = panel.frequency.local(times) // DAY
    observed = ~np.isnan(values)
    place = days[observed] - days[0]
    size = int(days[-1] - days[0]) + 1
    sums = np.bincount(place, values[observed], minlength=size)
    counts = np.bincount(place, minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return Daily(int(days[0]), means)


def left_of_changes(series: Daily, until: int) -> float:
    """What share a course fitted to the days before `until` leaves of the changes after them.

    The changes are those beside the line that was fitted with it. NaN where there are none.
    """
    fit = _fitted(Daily(series.first, series.values[:until]))
    course = _waves(series.days) @ fit.coefficients
    known = ~np.isnan(series.values)
    actual, explained = (
        _changes(np.where(known, values, 0.0), known, until) for values in (series.values, course)
    )
    actual = actual - fit.slope * CHANGE_DAYS
    told = np.abs(actual[~np.isnan(actual)])
    if not len(told) or told.mean() <= _rounding(series.values):
        return np.nan
    return float(np.nansum(np.abs(actual - explained)) / told.sum())


def _observed(panel: Panel, series: IntArray, log: bool) -> list[int]:
    """Those of some series that were observed on enough of their days."""
    return [
        index
        for index in series.tolist()
        if _known_share(daily(panel, index, log).values) >= LEAST_OBSERVED
    ]


def _shown(panel: Panel, log: bool, left: float) -> list[int]:
    """The series that go through the year alike again, none where these are too few to believe."""
    parts = [np.arange(len(panel))]
    if len(panel) > SAMPLED_SERIES:
        sample = np.random.default_rng(0).choice(len(panel), SAMPLED_SERIES, replace=False)
        parts.insert(0, sample)
    for chosen in parts:
        shown = [index for index in chosen.tolist() if _is_shown(daily(panel, index, log), left)]
        if len(shown) <= MINORITY * len(chosen):
            return []
    return shown


def _is_shown(series: Daily, left: float) -> bool:
    until = int(FITTED_SHARE * len(series.values))
    parts = series.values[:until], series.values[until:]
    if min(map(_known_share, parts)) < LEAST_OBSERVED:
        return False
    return left_of_changes(series, until) <= left


def _known_share(values: FloatArray) -> float:
    return float(np.mean(~np.isnan(values)))


def _rounding(values: FloatArray) -> float:
    """Of values [day], what is no more than roundings leave."""
    return float(ROUNDINGS * np.finfo(float).eps * np.nanmax(np.abs(values)))


def _changes(values: FloatArray, known: FloatArray, until: int) -> FloatArray:
    """The change of the mean of known days after a quarter of a year, into days from `until` on.

    Takes values and whether they are known [day], returns [change], NaN where no day is known.
    """
    sums, counts = (np.cumsum(np.concatenate([[0.0], each])) for each in (values, known))
    sums, counts = (each[LEVEL_DAYS:] - each[:-LEVEL_DAYS] for each in (sums, counts))
    level: FloatArray = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    first = max(until, CHANGE_DAYS)
    return level[first:] - level[first - CHANGE_DAYS : len(level) - CHANGE_DAYS]


def _course(panel: Panel, index: int, log: bool) -> YearlyCourse | None:
    """That of a series; None of one that does not move."""
    series = daily(panel, index, log)
    coefficients = _fitted(series).coefficients
    if np.abs(coefficients).max() <= _rounding(series.values):
        return None
    return YearlyCourse(id=panel.ids[index], coefficients=tuple(coefficients.tolist()))


def _fitted(series: Daily) -> Fit:
    """By least squares; 0 where nothing is known."""
    known, count = np.flatnonzero(~np.isnan(series.values)), len(series.values)
    if not len(known):
        return Fit(0.0, np.zeros(2 * YEARLY_ORDERS))
    line = np.column_stack([np.ones(len(known)), known / count])
    design = np.column_stack([line, _waves(series.days[known])])
    found = np.linalg.lstsq(design, series.values[known], rcond=None)[0]
    return Fit(float(found[1]) / count, found[2:])


def _waves(days: IntArray) -> FloatArray:
    """Sine and cosine of each order at days counted from 1970 [day, 2 * order]."""
    turn = 2 * np.pi * of_year(days * DAY)
    orders = range(1, YEARLY_ORDERS + 1)
    waves: FloatArray = np.column_stack(
        [wave(order * turn) for order in orders for wave in (np.sin, np.cos)]
    )
    return waves
