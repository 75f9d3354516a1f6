"""What a component leaves of the changes of a series, and of the median series."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from rnnforecast.data.yearly import Daily
from rnnforecast.data.yearly_trials import left_of_changes, left_of_median, tried
from tests.data.years import COEFFICIENTS, component, component_at, noise


@pytest.mark.parametrize("until", [365, 500])
def test_left_of_changes_equals_a_loop_when_days_are_missing(until: int) -> None:
    values = component(700) + noise(700) + 0.05 * np.arange(700)
    values[noise(700, 1) > 1] = np.nan
    known = ~np.isnan(values[:until])
    at = np.flatnonzero(known)
    turn = [
        component_at(datetime(1970, 1, 1) + timedelta(days=place), one)
        for one in np.eye(4)
        for place in range(700)
    ]
    waves = np.array(turn).reshape(4, 700).T
    design = np.column_stack([np.ones(len(at)), at, waves[at]])
    _, slope, *coefficients = np.linalg.lstsq(design, values[at], rcond=None)[0]
    fitted = waves @ coefficients
    left, whole = 0.0, 0.0
    for day in range(until, 700 - 27):
        changes = []
        for each in (values, np.where(np.isnan(values), np.nan, fitted)):
            levels = [np.nanmean(each[start : start + 28]) for start in (day - 91, day)]
            changes.append(levels[1] - levels[0])
        changes[0] -= 91 * slope
        left, whole = left + abs(changes[0] - changes[1]), whole + abs(changes[0])
    assert left_of_changes(Daily(0, values), until) == pytest.approx(left / whole, rel=1e-9)


def test_left_of_median_equals_a_loop_when_series_begin_and_end_apart() -> None:
    spans = ((0, 700), (40, 760), (90, 650))
    series = [
        Daily(first, component(last)[first:] + noise(last - first, first)) for first, last in spans
    ]
    series[1].values[500:530] = np.nan
    trials = [tried(each, 400) for each in series]
    told: dict[int, list[float]] = {}
    left: dict[int, list[float]] = {}
    for trial in trials:
        for place, change in enumerate(trial.changes):
            if not np.isnan(change):
                day = trial.first + place
                told.setdefault(day, []).append(change)
                explained = trial.waves[place] @ COEFFICIENTS
                left.setdefault(day, []).append(change - explained)
    sums = [sum(abs(np.median(each)) for each in days.values()) for days in (left, told)]
    found = left_of_median(trials, np.array(COEFFICIENTS))
    assert found == pytest.approx(sums[0] / sums[1])
    assert trials[1].first - trials[0].first == 40
