"""The yearly component: what is taken out of series and put back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import Yearly, YearlyComponent
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import HOUR
from rnnforecast.data.yearly import daily, laid_out
from tests.data.years import (
    BUSINESS,
    COEFFICIENTS,
    DAILY,
    HOURLY,
    business_component,
    component,
    component_at,
    noise,
    panel_of,
)


def test_daily_is_the_mean_of_what_was_observed_of_each_day() -> None:
    values = np.arange(60.0)
    values[[0, 1, *range(24, 48)]] = np.nan
    found = daily(panel_of(values, frequency=HOURLY, first=3), 0, "units")
    assert found.days.tolist() == [3, 4, 5]
    np.testing.assert_allclose(found.values, [12.5, np.nan, 53.5])


@given(
    first=st.integers(-2000, 20_000),
    length=st.integers(1, 40),
    horizon=st.integers(1, 400),
    frequency=st.sampled_from([DAILY, HOURLY, replace(HOURLY, offset="+02:00")]),
)
def test_laid_out_is_the_component_of_each_day_to_the_end_of_a_horizon(
    first: int, length: int, horizon: int, frequency: Frequency
) -> None:
    begin = datetime(1970, 1, 1) + timedelta(days=first)
    step = timedelta(microseconds=frequency.count)
    expected = [component_at(begin + place * step) for place in range(length + horizon)]
    panel = panel_of(noise(3), noise(length), frequency=frequency, first=first)
    components = tuple(
        YearlyComponent(id=name, coefficients=COEFFICIENTS) for name in ("gone", "s1")
    )
    found = laid_out(Yearly(own=components), panel, horizon)
    assert found.offsets.tolist() == [0, 3 + horizon, 3 + length + 2 * horizon]
    assert not found.values[: 3 + horizon].any()
    np.testing.assert_allclose(found.values[3 + horizon :], expected, atol=1e-9)


def test_laid_out_goes_by_business_days_when_steps_do() -> None:
    panel = panel_of(noise(30), frequency=BUSINESS)
    found = laid_out(Yearly(own=(YearlyComponent(id="s0", coefficients=COEFFICIENTS),)), panel, 20)
    np.testing.assert_allclose(found.values, business_component(50))


def test_laid_out_goes_by_the_days_that_the_clock_shows_when_times_are_of_a_zone() -> None:
    panel = panel_of(np.zeros(4), frequency=replace(HOURLY, offset="Europe/Paris"))
    panel = replace(panel, starts=np.array([21 * HOUR]))
    found = laid_out(Yearly(own=(YearlyComponent(id="s0", coefficients=COEFFICIENTS),)), panel, 1)
    np.testing.assert_allclose(found.values, component(2)[[0, 0, 1, 1, 1]])


def test_laid_out_is_nothing_when_no_component_is_of_these_series() -> None:
    components = (YearlyComponent(id="other", coefficients=COEFFICIENTS),)
    assert not laid_out(Yearly(own=components), panel_of(noise(9), noise(9)), 2).values.any()


def test_laid_out_is_what_is_divided_by_when_components_are_in_shares() -> None:
    components = (YearlyComponent(id="s1", coefficients=(0.6, 0.0, 0.0, 0.5)),)
    found = laid_out(Yearly(scale="shares", own=components), panel_of(noise(3), noise(400)), 2)
    expected = 1 + np.array(
        [
            component_at(datetime(1970, 1, 1) + timedelta(day), (0.6, 0, 0, 0.5))
            for day in range(402)
        ]
    )
    assert found.divides and (found.values[:5] == 1).all() and expected.min() < 0.25
    np.testing.assert_allclose(found.values[5:], expected.clip(0.25))


def test_daily_is_in_shares_of_its_level_when_components_are() -> None:
    panel = panel_of(np.array([2.0, np.nan, 6.0]), np.zeros(3))
    np.testing.assert_allclose(daily(panel, 0, "shares").values, [0.5, np.nan, 1.5])
    assert not daily(panel, 1, "shares").values.any()
