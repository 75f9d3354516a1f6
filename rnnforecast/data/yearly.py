"""Yearly seasonality of days and of parts of them, a component that is taken out of series.

A window of days seldom spans a year, so that nothing in it tells what the next month of the year
brings. Where a series goes through the year alike again, that component is taken out before windows
are cut, and put back on what is forecast: a dynamic harmonic regression (Young et al. 1999;
Hyndman & Athanasopoulos 2021, section 12.1) whose errors the network forecasts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray, ends_of
from rnnforecast.columns import YEARLY_ORDERS, Yearly, YearlyScale
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.calendar_features import of_year
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import Component

# The least that the level of a season is taken to be, in shares of that of a year: what is divided
# by less is mostly noise.
LEAST_SHARE = 0.25
# How many roundings of the largest value are no change.
ROUNDINGS = 64


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

    def level(self) -> float:
        """The mean absolute value of what was observed; 0 where nothing was."""
        known = self.values[~np.isnan(self.values)]
        return float(np.abs(known).mean()) if len(known) else 0.0

    def known_share(self) -> float:
        """Of the days, those on which something was observed."""
        return float(np.mean(~np.isnan(self.values)))


class Fit(NamedTuple):
    """A line and a yearly component that were fitted to days.

    Attributes:
        slope: Of the line, in units of the series a day.
        coefficients: Of the component [2 * order].
    """

    slope: float
    coefficients: FloatArray


def laid_out(yearly: Yearly, panel: Panel, horizon: int) -> Component:
    """The components of series, to `horizon` steps after the last values; neutral without one."""
    places = {name: place for place, name in enumerate(panel.ids)}
    found = {places[each.id]: each.coefficients for each in yearly.own if each.id in places}
    offsets = ends_of(panel.lengths + horizon)
    values = np.zeros(int(offsets[-1]))
    if found:
        series = np.array(sorted(found))
        first, last = (
            _days_at(panel, series, positions)
            for positions in (np.zeros_like(series), panel.lengths[series] + horizon)
        )
        begin = int(first.min())
        waves = waves_at(np.arange(begin, int(last.max()) + 1))
        for index in series.tolist():
            positions = np.arange(offsets[index + 1] - offsets[index])
            days = _days_at(panel, np.full_like(positions, index), positions)
            values[offsets[index] : offsets[index + 1]] = waves[days - begin] @ found[index]
    if yearly.scale == "shares":
        return Component(np.maximum(1 + values, LEAST_SHARE), offsets, divides=True)
    return Component(values, offsets)


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


def daily(panel: Panel, index: int, scale: YearlyScale) -> Daily:
    """A series by days, as its logarithms or in shares of its level where components are."""
    values = panel.series(index)
    if scale == "logarithms":
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
    found = Daily(int(days[0]), means)
    if scale == "shares" and (level := found.level()):
        return Daily(found.first, means / level)
    return found


def rounding_of(values: FloatArray) -> float:
    """Of values [day], what is no more than roundings leave."""
    return float(ROUNDINGS * np.finfo(float).eps * np.nanmax(np.abs(values)))


def fitted(series: Daily) -> Fit:
    """By least squares; 0 where nothing is known."""
    known, count = np.flatnonzero(~np.isnan(series.values)), len(series.values)
    if not len(known):
        return Fit(0.0, np.zeros(2 * YEARLY_ORDERS))
    line = np.column_stack([np.ones(len(known)), known / count])
    design = np.column_stack([line, waves_at(series.days[known])])
    found = np.linalg.lstsq(design, series.values[known], rcond=None)[0]
    return Fit(float(found[1]) / count, found[2:])


def waves_at(days: IntArray) -> FloatArray:
    """Sine and cosine of each order at days counted from 1970 [day, 2 * order]."""
    turn = 2 * np.pi * of_year(days * DAY)
    orders = range(1, YEARLY_ORDERS + 1)
    waves: FloatArray = np.column_stack(
        [wave(order * turn) for order in orders for wave in (np.sin, np.cos)]
    )
    return waves
