"""Which series go through the year alike again: each by itself, or as the others do.

Noise hides the yearly component of one series where it does not hide that of many, and a series
that is new has shown none. So where series go through the year alike, each has a mean of its own
component and of everybody's, which is their median.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import NO_YEARLY, Yearly, YearlyComponent, YearlyScale
from rnnforecast.data.panel import Panel
from rnnforecast.data.yearly import (
    LEAST_SHARE,
    Daily,
    daily,
    days_of,
    fitted,
    has_days,
    rounding_of,
    waves_at,
)
from rnnforecast.data.yearly_trials import (
    LEAST_OBSERVED,
    Trial,
    fitted_days,
    left_of_changes,
    left_of_median,
    tried,
)

# Days that a series must last, so that a component is fitted to more than a year of them; and days
# of one that has a component because it is asked for.
LEAST_DAYS, LEAST_FORCED = 731, 365
# Where it is believed of no more than this share of the series, it is chance; so many series tell.
MINORITY, SAMPLED_SERIES = 1 / 6, 60
# How much of each one's own component there may be in what it has, the rest being everybody's.
WEIGHTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


class Belief(NamedTuple):
    """When a component is believed.

    Attributes:
        left: What share of the changes it may leave.
        alike: Of what own components and everybody's explain together, what everybody's must
            explain for series to be alike.
    """

    left: float
    alike: float


# What was believed is believed for longer, so that chance does not decide time and again.
BELIEVED, DISBELIEVED = Belief(0.6, 1 / 2), Belief(0.8, 1 / 3)


class Alike(NamedTuple):
    """What is found of series that go through the year alike.

    Attributes:
        weight: How much of its own component each has.
        older: The coefficients of the older part of some, in shares of their level [2 * order], by
            their places.
    """

    weight: float
    older: dict[int, FloatArray]

    def component_of(self, index: int, own: FloatArray) -> FloatArray:
        """What a series would have, if everybody's were that of the others."""
        others = [each for place, each in self.older.items() if place != index]
        mixed: FloatArray = self.weight * own + (1 - self.weight) * np.median(others, axis=0)
        return mixed


def find_yearly(
    panel: Panel,
    *,
    log: bool = False,
    always: bool = False,
    belief: Belief = BELIEVED,
) -> Yearly:
    """The components of the series that go through the year alike again.

    Where these are not alike and any series is too short to be asked none has one: a network that
    has learned from what components leave would not know what the year does to the others.

    Args:
        panel: Nothing of it lies after a cutoff that is scored.
        log: Whether components are those of logarithms.
        always: Whether series have one though nothing shows it, as the user knows: their own where
            they last a year and were mostly observed, the others the median of these.
        belief: When a component is believed.
    """
    if not has_days(panel.frequency):
        return NO_YEARLY
    days, scale = days_of(panel), _scale(panel, log)
    if always:
        return _shared(panel, np.flatnonzero(days >= LEAST_FORCED), None, scale, belief)
    long = np.flatnonzero(days >= LEAST_DAYS)
    alike = _alike(panel, long, scale, belief)
    if alike is not None:
        return _shared(panel, long, alike, scale, belief)
    if len(long) < len(panel):
        return NO_YEARLY
    shown = _shown(panel, scale, belief)
    if not shown:
        return NO_YEARLY
    components = {index: fitted(daily(panel, index, scale)).coefficients for index in shown}
    return Yearly(scale=scale, own=_named(components, panel))


def with_shared(yearly: Yearly, panel: Panel, met: set[str]) -> Yearly:
    """With the component that series share, if any, for those of a panel that were not met."""
    if not yearly.shared:
        return yearly
    known = met | {component.id for component in yearly.own}
    new = [index for index, name in enumerate(panel.ids) if name not in known]
    scale, shared = yearly.scale, np.array(yearly.shared)
    components = {index: _as_new(daily(panel, index, scale), shared, scale) for index in new}
    return replace(yearly, own=(*yearly.own, *_named(components, panel)))


def _scale(panel: Panel, log: bool) -> YearlyScale:
    """Of sales and the like, which are never negative, shares of their level."""
    if log:
        return "logarithms"
    return "shares" if np.nanmin(panel.values) >= 0 else "units"


def _shown(panel: Panel, scale: YearlyScale, belief: Belief) -> list[int]:
    """The series that go through the year alike again, none where these are too few to believe."""
    parts = [np.arange(len(panel))]
    if len(panel) > SAMPLED_SERIES:
        parts.insert(0, _sampled(parts[0]))
    for chosen in parts:
        shown = [
            index for index in chosen.tolist() if _is_shown(daily(panel, index, scale), belief)
        ]
        if len(shown) <= MINORITY * len(chosen):
            return []
    return shown


def _is_shown(series: Daily, belief: Belief) -> bool:
    until = fitted_days(series)
    return until is not None and left_of_changes(series, until) <= belief.left


def _alike(panel: Panel, long: IntArray, scale: YearlyScale, belief: Belief) -> Alike | None:
    """Whether long series go through the year alike.

    The median component must tell the changes of the median series, and that of the others those of
    most.
    """
    sample = _sampled(long) if len(long) > SAMPLED_SERIES else long
    every = {index: _tried(daily(panel, index, scale), scale) for index in sample.tolist()}
    trials = {index: trial for index, trial in every.items() if trial is not None and trial.moves}
    if len(trials) < 2:
        return None
    older = {index: trial.coefficients for index, trial in trials.items()}
    left = [
        np.median([trial.left_by(mix.component_of(at, older[at])) for at, trial in trials.items()])
        for mix in (Alike(weight, older) for weight in WEIGHTS)
    ]
    explained = 1 - np.array(left)
    if not explained[0] >= belief.alike * explained.max() > 0:
        return None
    median = np.median(list(older.values()), axis=0)
    if not left_of_median(list(trials.values()), median) <= belief.left:
        return None
    return Alike(float(WEIGHTS[explained.argmax()]), older)


def _shared(
    panel: Panel, fitted_to: IntArray, alike: Alike | None, scale: YearlyScale, belief: Belief
) -> Yearly:
    """Components of all series: those that are fitted, and their median for the others.

    Those that one is fitted to have their own where `alike` is None. Elsewhere those whose newer
    part is told by what they would have go along; the others have their own, if it is believed.
    """
    own: dict[int, FloatArray] = {}
    apart: dict[int, FloatArray] = {}
    levels = np.zeros(len(panel))
    for index in fitted_to.tolist():
        series = daily(panel, index, scale)
        levels[index] = _level(series, scale)
        if not levels[index] or series.known_share() < LEAST_OBSERVED:
            continue
        coefficients = fitted(series).coefficients
        moves = np.abs(coefficients).max() > rounding_of(series.values)
        if moves and _goes_along(index, series, alike, scale):
            own[index] = coefficients / levels[index]
        else:
            shown = moves and _is_shown(series, belief)
            apart[index] = coefficients if shown else np.zeros_like(coefficients)
    if not own:
        return NO_YEARLY
    shared: FloatArray = np.median(list(own.values()), axis=0)
    weight = 1.0 if alike is None else alike.weight
    components = apart | {
        index: levels[index] * (weight * each + (1 - weight) * shared)
        for index, each in own.items()
    }
    for index in range(len(panel)):
        if index not in components:
            components[index] = _as_new(daily(panel, index, scale), shared, scale)
    return Yearly(scale=scale, own=_named(components, panel), shared=tuple(shared.tolist()))


def _goes_along(index: int, series: Daily, alike: Alike | None, scale: YearlyScale) -> bool:
    """Whether what a series would have tells more of its newer part than nothing does."""
    trial = None if alike is None else _tried(series, scale)
    if alike is None or trial is None:
        return True
    return trial.left_by(alike.component_of(index, trial.coefficients)) < 1


def _tried(series: Daily, scale: YearlyScale) -> Trial | None:
    """In shares of its level; None where too little is known."""
    level, until = _level(series, scale), fitted_days(series)
    if not level or until is None:
        return None
    return tried(Daily(series.first, series.values / level), until)


def _as_new(series: Daily, shared: FloatArray, scale: YearlyScale) -> FloatArray:
    """The component of a series known for a part of a year, in which all are high or low."""
    days, level = series.days[~np.isnan(series.values)], _level(series, scale)
    if scale == "units" and len(days):
        level /= max(LEAST_SHARE, np.abs(1 + waves_at(days) @ shared).mean())
    return level * shared


def _named(components: dict[int, FloatArray], panel: Panel) -> tuple[YearlyComponent, ...]:
    """With the names of their series."""
    return tuple(
        YearlyComponent(id=panel.ids[index], coefficients=tuple(components[index].tolist()))
        for index in sorted(components)
    )


def _sampled(series: IntArray) -> IntArray:
    chosen: IntArray = np.random.default_rng(0).choice(series, SAMPLED_SERIES, replace=False)
    return chosen


def _level(series: Daily, scale: YearlyScale) -> float:
    """By what the components of series are compared, where they are in units of these."""
    return series.level() if scale == "units" else 1.0
