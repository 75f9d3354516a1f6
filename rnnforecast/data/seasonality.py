"""Season lengths, found from the data."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnnforecast.arrays import FloatArray
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY, WEEK

# A sample this large finds the season of a panel; more would only cost time.
SAMPLED_SERIES = 60
SAMPLED_STEPS = 4000
LONGEST_LAG = 400
# Seasons that a series must last; more where every lag is tried, for one of many fits by chance.
REPEATS, STEP_REPEATS = 3, 5
# Of shorter ones, pairs of values a season apart that must be there, beside half a season of them.
PAIRS = 6
# The autocorrelation at the season, with the level taken off, from which a season is believed, and
# the same of so few pairs.
BELIEVED, BELIEVED_OF_PAIRS = 0.3, 0.5
# How many roundings of the largest value, and what share of all variation, is nothing.
ROUNDINGS, SMALLEST = 64, 1e-6
# The shares of the autocorrelation at the season: what half the season must stay below, and what
# two seasons must keep.
SMOOTH, LASTING = 0.95, 0.5
# What share of the strongest season's autocorrelation the main, the shortest, season needs.
MAIN_SHARE = 0.7
# What a multiple of the season must add to be a season of its own, such as the week over the day.
ADDED = 0.03
# The same of one series, and the share of the series in which it must, where most do without.
ADDED_TO_ONE, MINORITY = 0.05, 1 / 6


class Course(NamedTuple):
    """A series to look for seasons in.

    Attributes:
        values: At most 1 in size, without gaps.
        rounding: What may be but the rounding of values that had a level.
    """

    values: FloatArray
    rounding: float

    def beyond_rounding(self, rest: FloatArray) -> FloatArray:
        """What is left of the values, 0 where it is but their rounding."""
        return rest if float(np.mean(rest**2)) > self.rounding**2 else 0.0 * rest


def find_seasons(panel: Panel) -> tuple[int, ...]:
    """Ascending season lengths in steps: (1,) where there is none, else one or two.

    A candidate is believed where the series, less their moving average over the candidate, repeat
    after it. Candidates are those of the calendar; for integer steps, all lags. Where none is, one
    of the calendar may be of which too few repeats are there for such an average.
    """
    rng = np.random.default_rng(0)
    chosen = np.arange(len(panel))
    if len(panel) > SAMPLED_SERIES:
        chosen = np.sort(rng.choice(len(panel), SAMPLED_SERIES, replace=False))
    sample = [_prepared(panel.series(int(i))[-SAMPLED_STEPS:]) for i in chosen]
    integer = panel.frequency.unit == "step"
    repeats = STEP_REPEATS if integer else REPEATS
    strength = {lag: _strength(sample, lag, repeats) for lag in _candidates(panel)}
    told = {lag: -1.0 if value is None else value for lag, value in strength.items()}
    believed = {lag: value for lag, value in told.items() if value >= BELIEVED}
    if integer:
        believed = {lag: value for lag, value in believed.items() if _is_peak(told, lag)}
    if not believed:
        untold = sorted(lag for lag, value in strength.items() if value is None)
        return (1,) if integer else (_shortly_seen(sample, untold),)
    strongest = max(believed.values())
    main = min(lag for lag, value in believed.items() if value >= MAIN_SHARE * strongest)
    enough = believed[main] + ADDED
    longer = {
        lag: value
        for lag, value in believed.items()
        if lag % main == 0 and (value >= enough or _some_gain(sample, main, lag))
    }
    if not longer:
        return (main,)
    highest = max(longer.values())
    return (main, min(lag for lag, value in longer.items() if value >= highest - ADDED))


def _candidates(panel: Panel) -> tuple[int, ...]:
    """The lags to try: those of the calendar, or all where time is an integer step."""
    frequency = panel.frequency
    if frequency.unit == "step":
        return tuple(range(2, LONGEST_LAG + 1))
    if frequency.unit == "month":
        return (12 // frequency.count,) if frequency.count in (1, 2, 3, 4, 6) else ()
    if frequency.unit == "business-day":
        return (5,)
    # A year of days is left out: its length is no whole number, and a lookback of two is too long.
    periods = (DAY, WEEK) if frequency.count < WEEK else (52 * WEEK,)
    whole = (period // frequency.count for period in periods if period % frequency.count == 0)
    return tuple(lag for lag in whole if lag > 1)


def _is_peak(strength: dict[int, float], lag: int) -> bool:
    """Whether the autocorrelation fell before it rose to a maximum at `lag`, as smooth series' does
    not at their shortest lags."""
    neighbours = [strength.get(lag + step) for step in (-1, 1, 2)]
    higher = all(value is not None and value <= strength[lag] for value in neighbours)
    fell = min((value for other, value in strength.items() if other < lag), default=1.0)
    return higher and fell < strength[lag] / 2


def _strength(sample: list[Course], lag: int, repeats: int) -> float | None:
    """The median over series of the autocorrelation at `lag` of what the moving average leaves.

    None unless half of the series last `repeats` seasons; 0 where it is within its standard error.
    """
    long = [series for series in sample if len(series.values) >= repeats * lag]
    value = _of_half([_autocorrelation(series, lag) for series in long], sample)
    pairs = sum(len(series.values) - 2 * lag + lag % 2 for series in long)
    return value if value is None or value * math.sqrt(pairs) >= 1 else 0.0


def _of_half(values: list[float], sample: list[Course]) -> float | None:
    """The median, None unless half of the series have a value."""
    return float(np.median(values)) if len(values) >= max(1, len(sample) / 2) else None


def _some_gain(sample: list[Course], main: int, lag: int) -> bool:
    """Whether some series repeat after `lag` more than after `main`, as those of a few shops that
    close on Sundays do; each window is forecast by the season that it keeps to."""
    gains = [
        _autocorrelation(series, lag) - _autocorrelation(series, main)
        for series in sample
        if lag > main and len(series.values) >= REPEATS * lag
    ]
    return sum(gain >= ADDED_TO_ONE for gain in gains) > MINORITY * len(gains)


def _shortly_seen(sample: list[Course], lags: list[int]) -> int:
    """The first of ascending lags after which series repeat that are too short for `_strength`.

    1 where there is none.
    """
    for lag in lags:
        least = lag + max(PAIRS, lag // 2)
        long = [series for series in sample if len(series.values) >= least]
        value = _of_half([_alike(series, lag) for series in long], sample)
        if value is not None and value >= BELIEVED_OF_PAIRS:
            return lag
    return 1


def _alike(series: Course, lag: int) -> float:
    """The correlation of what lies `lag` apart, less a line through either side."""
    once, half = (
        _correlation(_detrended(series, slice(by, None)), _detrended(series, slice(None, -by)))
        for by in (lag, lag // 2)
    )
    return 0.0 if half >= SMOOTH * once else once


def _detrended(series: Course, part: slice) -> FloatArray:
    """A part of a series less its line of least squares."""
    values = series.values[part]
    step = np.arange(len(values)) - (len(values) - 1) / 2
    rest = values - np.mean(values)
    return series.beyond_rounding(rest - step * (np.dot(step, rest) / np.dot(step, step)))


def _autocorrelation(series: Course, lag: int) -> float:
    """Of the series less its centred moving average over one season (two joined where even)."""
    sums = np.cumsum(np.concatenate([[0.0], series.values]))
    average = (sums[lag:] - sums[:-lag]) / lag
    if lag % 2 == 0:
        average = (average[1:] + average[:-1]) / 2
    first = lag // 2
    rest = series.beyond_rounding(series.values[first : first + len(average)] - average)
    # A curve leaves a constant.
    rest = rest - np.mean(rest)
    once, half, twice = (_correlation(rest[by:], rest[:-by]) for by in (lag, lag // 2, 2 * lag))
    # Smooth curves resemble themselves as much after half the lag; chance cycles fade after two.
    smooth = half >= SMOOTH * once
    fading = len(rest) >= 3 * lag and twice < LASTING * once
    return 0.0 if smooth or fading else once


def _correlation(after: FloatArray, before: FloatArray) -> float:
    power = float(np.sum(after**2) * np.sum(before**2))
    return float(np.sum(after * before)) / math.sqrt(power) if power > 0 else 0.0


def _prepared(values: FloatArray) -> Course:
    """Less its level and at most 1 in size, so that neither drowns a season, and gaps filled
    linearly: only to look for seasons, never to train."""
    missing = np.isnan(values)
    if missing.all():
        return Course(np.zeros_like(values), 1.0)
    largest = float(np.max(np.abs(values[~missing]))) or 1.0
    values = values / largest
    values = values - np.median(values[~missing])
    size = float(np.max(np.abs(values[~missing]))) or 1.0
    values = values / size
    if missing.any():
        steps: npt.NDArray[np.intp] = np.arange(len(values))
        values = np.interp(steps, steps[~missing], values[~missing])
    return Course(values, max(SMALLEST, ROUNDINGS * np.finfo(float).eps / size))
