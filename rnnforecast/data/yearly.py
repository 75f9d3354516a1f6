"""The course of the year in series of days and of parts of them.

A window of days seldom spans a year, so that nothing in it tells what the next month of the year
brings. Where a series goes through the year alike again, that course is taken out of it before
windows are cut, and put back on what is forecast: a dynamic harmonic regression (Young et al. 1999;
Hyndman & Athanasopoulos 2021, section 12.1) whose errors the network forecasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import YEARLY_ORDERS, YearlyCourse
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.calendar_features import of_year
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY, WEEK
from rnnforecast.data.windows import WindowIndex

# Days that a series must last, and the share of them that must be observed.
LEAST_DAYS, LEAST_OBSERVED = 640, 0.5
# The share of a series that a course is fitted to, a year at least, to be judged by what follows.
FITTED_SHARE, LEAST_FORCED = 0.6, 365
# It is judged by the change of the mean of so many days after so many: a year is slow, and a change
# from day to day mostly chance. It is believed where at most this share of the changes is left.
LEVEL_DAYS, CHANGE_DAYS, BELIEVED = 28, 91, 0.6
# How many roundings of the largest value are no change.
ROUNDINGS = 64
# Where it is believed of a lower share of the series that last long enough, it is chance; so many
# series tell.
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
        slope: Of the line, a day.
        coefficients: Of the course [2 * order].
    """

    slope: float
    coefficients: FloatArray


class Courses:
    """The courses of the series of a panel, of which some have none.

    Args:
        found: Of series by their ids, which may be others.
        panel: The series.
    """

    def __init__(self, found: Sequence[YearlyCourse], panel: Panel) -> None:
        places = {name: place for place, name in enumerate(panel.ids)} if found else {}
        self.panel = panel
        self.coefficients = np.zeros((len(panel), 2 * YEARLY_ORDERS))
        for course in found:
            if course.id in places:
                self.coefficients[places[course.id]] = course.coefficients

    def ahead(self, index: WindowIndex, horizon: int) -> FloatArray:
        """What they are at the steps after the cutoffs of windows [window, step]."""
        found = np.zeros((len(index), horizon))
        rows = np.flatnonzero(self.coefficients[index.series].any(axis=1))
        if len(rows):
            positions = index.cutoffs[rows, None] + np.arange(horizon)
            series = np.broadcast_to(index.series[rows, None], positions.shape)
            found[rows] = self._at(series, positions)
        return found

    def taken_out(self) -> Panel:
        """The panel without them."""
        values = self.panel.values.copy()
        for index in np.flatnonzero(self.coefficients.any(axis=1)).tolist():
            start, stop = self.panel.offsets[index : index + 2]
            positions = np.arange(stop - start)
            values[start:stop] -= self._at(np.full_like(positions, index), positions)
        return replace(self.panel, values=values)

    def _at(self, series: IntArray, positions: IntArray) -> FloatArray:
        """What the courses of `series` are at `positions`, of equal shapes and not empty."""
        days = self.panel.frequency.local(self.panel.times(series, positions)) // DAY
        first = int(days.min())
        waves = _waves(np.arange(first, int(days.max()) + 1))
        found: FloatArray = (waves[days - first] * self.coefficients[series]).sum(-1)
        return found


def has_days(frequency: Frequency) -> bool:
    """Whether steps are days or shorter, of which a season of a year would be too many."""
    short = frequency.unit == "microsecond" and frequency.count < WEEK
    return short or frequency.unit == "business-day"


def find_courses(
    panel: Panel, *, log: bool = False, always: bool = False
) -> tuple[YearlyCourse, ...]:
    """The courses of the series that go through the year alike again.

    Of a series that last long enough, a course fitted to its older part must tell the newer one.

    Args:
        panel: What may be seen.
        log: Whether courses are those of logarithms.
        always: Whether every series that lasts a year has one, as the user knows.
    """
    if not has_days(panel.frequency):
        return ()
    ends = panel.times(np.arange(len(panel)), np.maximum(panel.lengths - 1, 0))
    spans = (ends - panel.starts) // DAY + 1
    long = np.flatnonzero(spans >= (LEAST_FORCED if always else LEAST_DAYS))
    if always:
        return tuple(_course(panel, index, log) for index in long.tolist())
    if len(long) > SAMPLED_SERIES:
        sample = np.sort(np.random.default_rng(0).choice(long, SAMPLED_SERIES, replace=False))
        if _share(panel, sample, log) <= MINORITY:
            return ()
    shown = [index for index in long.tolist() if _is_shown(daily(panel, index, log))]
    if len(shown) <= MINORITY * len(long):
        return ()
    return tuple(_course(panel, index, log) for index in shown)


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
    nothing = ROUNDINGS * np.finfo(float).eps * np.nanmax(np.abs(series.values))
    if not len(told) or told.mean() <= nothing:
        return np.nan
    return float(np.nansum(np.abs(actual - explained)) / told.sum())


def _share(panel: Panel, chosen: IntArray, log: bool) -> float:
    return float(np.mean([_is_shown(daily(panel, index, log)) for index in chosen.tolist()]))


def _is_shown(series: Daily) -> bool:
    count = len(series.values)
    until = max(int(FITTED_SHARE * count), LEAST_FORCED)
    known = ~np.isnan(series.values)
    if min(known[:until].mean(), known[until:].mean()) < LEAST_OBSERVED:
        return False
    return left_of_changes(series, until) <= BELIEVED


def _changes(values: FloatArray, known: FloatArray, until: int) -> FloatArray:
    """The change of the mean of known days after a quarter of a year, into days from `until` on."""
    sums, counts = (np.cumsum(np.concatenate([[0.0], each])) for each in (values, known))
    sums, counts = (each[LEVEL_DAYS:] - each[:-LEVEL_DAYS] for each in (sums, counts))
    level: FloatArray = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    first = max(until, CHANGE_DAYS)
    return level[first:] - level[first - CHANGE_DAYS : len(level) - CHANGE_DAYS]


def _course(panel: Panel, index: int, log: bool) -> YearlyCourse:
    coefficients = tuple(_fitted(daily(panel, index, log)).coefficients.tolist())
    return YearlyCourse(id=panel.ids[index], coefficients=coefficients)


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
