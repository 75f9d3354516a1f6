"""The baselines against hand-worked numbers, plain loops, and the textbook's formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rnnforecast.evaluation.baselines import BASELINES, drift, naive, seasonal_naive

NAN = math.nan


def series(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


@st.composite
def histories(draw: st.DrawFn) -> np.ndarray:
    """Series with gaps, at either end too, and at least one observed value."""
    values = draw(st.lists(st.sampled_from((NAN, -3.0, 0.0, 1.5, 8.0)), min_size=1, max_size=20))
    history = series(*values)
    assume(not np.isnan(history).all())
    return history


def seasonal_loop(history: np.ndarray, horizon: int, season: int) -> list[float]:
    """The newest observed value that lies whole seasons before each step."""
    observed = [float(value) for value in history if not math.isnan(value)]
    forecast = []
    for step in range(horizon):
        place = len(history) + step
        while place >= len(history) or (place >= 0 and math.isnan(history[place])):
            place -= season
        forecast.append(float(history[place]) if place >= 0 else observed[-1])
    return forecast


def drift_loop(history: np.ndarray, horizon: int) -> list[float]:
    """Point by point along the line through the outermost observed values."""
    known = [(place, float(v)) for place, v in enumerate(history) if not math.isnan(v)]
    (x0, y0), (x1, y1) = known[0], known[-1]
    slope = 0.0 if x0 == x1 else (y1 - y0) / (x1 - x0)
    return [y1 + slope * (place - x1) for place in range(len(history), len(history) + horizon)]


@pytest.mark.parametrize(
    ("history", "horizon", "expected"),
    [
        (series(1, 2, 7), 2, [7, 7]),
        (series(1, 2, NAN), 3, [2, 2, 2]),
        (series(4), 1, [4]),
    ],
)
def test_naive_repeats_the_last_observed_value_when_asked(
    history: np.ndarray, horizon: int, expected: list[float]
) -> None:
    np.testing.assert_array_equal(naive(history, horizon, 1), expected)


@pytest.mark.parametrize(
    ("history", "horizon", "season", "expected"),
    [
        pytest.param(series(1, 2, 3, 4, 5, 6), 3, 3, [4, 5, 6], id="whole seasons"),
        pytest.param(series(9, 1, 2, 3, 4), 2, 2, [3, 4], id="a started season"),
        pytest.param(series(1, 2, 3, 4), 5, 2, [3, 4, 3, 4, 3], id="horizon beyond a season"),
        pytest.param(series(1, 2, 3, 4), 1, 3, [2], id="horizon within a season"),
        pytest.param(series(1, 2, 3, NAN, 5, NAN), 3, 3, [1, 5, 3], id="gaps"),
        pytest.param(series(1, NAN, 3, NAN), 2, 2, [3, 3], id="a phase never observed"),
        pytest.param(series(1, 2), 5, 4, [2, 2, 1, 2, 2], id="history within a season"),
        pytest.param(series(7), 3, 4, [7, 7, 7], id="one value"),
        pytest.param(series(1, 2, 3), 2, 1, [3, 3], id="no season"),
    ],
)
def test_seasonal_naive_repeats_the_last_value_of_the_phase_when_asked(
    history: np.ndarray, horizon: int, season: int, expected: list[float]
) -> None:
    np.testing.assert_array_equal(seasonal_naive(history, horizon, season), expected)


@pytest.mark.parametrize(
    ("history", "horizon", "expected"),
    [
        (series(1, 9, 5), 2, [7, 9]),
        (series(1, NAN, 5, NAN, NAN), 2, [11, 13]),
        (series(NAN, 1, 3), 1, [5]),
        (series(4), 2, [4, 4]),
        (series(NAN, 4, NAN), 2, [4, 4]),
        (series(2, 2, 2), 1, [2]),
    ],
)
def test_drift_continues_the_line_when_asked(
    history: np.ndarray, horizon: int, expected: list[float]
) -> None:
    np.testing.assert_array_equal(drift(history, horizon, 1), expected)


@settings(max_examples=200, deadline=None)
@given(history=histories(), horizon=st.integers(1, 15), season=st.integers(1, 24))
def test_baselines_equal_plain_loops_when_histories_have_gaps(
    history: np.ndarray, horizon: int, season: int
) -> None:
    before = history.copy()
    last = [float(value) for value in history if not math.isnan(value)][-1]
    np.testing.assert_array_equal(naive(history, horizon, season), [last] * horizon)
    np.testing.assert_array_equal(
        seasonal_naive(history, horizon, season), seasonal_loop(history, horizon, season)
    )
    np.testing.assert_allclose(
        drift(history, horizon, season), drift_loop(history, horizon), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_array_equal(history, before)


@settings(max_examples=50, deadline=None)
@given(history=histories(), horizon=st.integers(1, 5))
def test_seasonal_naive_is_the_naive_when_there_is_no_season(
    history: np.ndarray, horizon: int
) -> None:
    np.testing.assert_array_equal(seasonal_naive(history, horizon, 1), naive(history, horizon, 1))


@pytest.mark.parametrize(("season", "horizon"), [(1, 6), (4, 8), (12, 18), (1, 13), (24, 48)])
def test_baselines_follow_the_textbook_when_series_are_of_m4_frequencies(
    season: int, horizon: int
) -> None:
    """Formulas of Hyndman & Athanasopoulos 2021, 5.2, with T values and steps h = 1, 2, ...

    On M4 itself these functions and `metrics` give the published figures: sMAPE 13.912 and MASE
    1.193 for the seasonal naive on the hourly series, 9.161 and 2.777 for the naive on the weekly.
    """
    rng = np.random.default_rng(season * horizon)
    y = 1000 + np.cumsum(rng.normal(size=7 * season + 5)) + 50 * np.sin(np.arange(7 * season + 5))
    last = len(y)
    cycles = [(h - 1) // season for h in range(1, horizon + 1)]
    seasonal = [y[last + h - season * (k + 1) - 1] for h, k in enumerate(cycles, start=1)]
    line = [y[-1] + h * (y[-1] - y[0]) / (last - 1) for h in range(1, horizon + 1)]
    np.testing.assert_array_equal(naive(y, horizon, season), np.full(horizon, y[-1]))
    np.testing.assert_array_equal(seasonal_naive(y, horizon, season), seasonal)
    np.testing.assert_allclose(drift(y, horizon, season), line, rtol=1e-12)


def test_baselines_start_with_the_seasonal_naive_when_listed() -> None:
    assert list(BASELINES) == ["seasonal-naive", "naive", "drift"]
