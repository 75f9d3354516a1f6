"""The baselines against hand-worked numbers, loops over cutoffs, and the textbook's formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.evaluation.baselines import (
    BASELINES,
    REFERENCES,
    Baseline,
    drift,
    mean,
    naive,
    naive2,
    seasonal_drift,
    seasonal_naive,
    window_average,
    without_gaps,
)

NAN = math.nan
EVERY = BASELINES | REFERENCES


def series(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def from_the_end(baseline: Baseline, history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The forecast [step] of what follows the history."""
    return baseline(history, np.array([len(history)]), horizon, season).point[0]


@st.composite
def histories(draw: st.DrawFn) -> np.ndarray:
    """Series with gaps, at either end too; some constant, some never observed."""
    level = draw(st.sampled_from(((NAN, -3.0, 0.0, 1.5, 8.0), (NAN, 0.1), (0.1,))))
    return series(*draw(st.lists(st.sampled_from(level), min_size=1, max_size=20)))


Known = list[tuple[int, float]]


def known(history: np.ndarray) -> Known:
    return [(place, float(v)) for place, v in enumerate(history) if not math.isnan(v)]


def root_mean_square(residuals: list[float], parameters: int = 0) -> float:
    return math.sqrt(sum(e * e for e in residuals) / max(len(residuals) - parameters, 1))


def copied(history: np.ndarray, place: int, season: int) -> int:
    """Where the newest observed value lies whole seasons before `place`, else the last one."""
    source = place
    while source >= len(history) or (source >= 0 and math.isnan(history[source])):
        source -= season
    return source if source >= 0 else known(history)[-1][0]


def slope_and_span(history: np.ndarray) -> tuple[float, int]:
    (x0, y0), (x1, y1) = known(history)[0], known(history)[-1]
    return (0.0, 1) if x0 == x1 else ((y1 - y0) / (x1 - x0), x1 - x0)


def rises(history: np.ndarray, lag: int) -> list[float]:
    """The differences between observed values `lag` steps apart."""
    observed = dict(known(history))
    return [v - observed[place - lag] for place, v in observed.items() if place - lag in observed]


Step = tuple[float, float]


def seasonal_naive_loop(history: np.ndarray, place: int, season: int) -> Step:
    source = copied(history, place, season)
    sigma = root_mean_square(rises(history, season))
    return float(history[source]), sigma * math.sqrt(math.ceil((place - source) / season))


def seasonal_drift_loop(history: np.ndarray, place: int, season: int) -> Step:
    source = copied(history, place, season)
    slope, span = slope_and_span(history)
    residuals = [rise - slope * season for rise in rises(history, season)]
    seasons = math.ceil((place - source) / season)
    growth = seasons * (1 + seasons / (span / season))
    point = history[source] + slope * (place - source)
    return float(point), root_mean_square(residuals, parameters=1) * math.sqrt(growth)


def mean_loop(history: np.ndarray, place: int, season: int) -> Step:
    values = [v for _, v in known(history)]
    average = math.fsum(values) / len(values)
    sigma = root_mean_square([v - average for v in values], parameters=1)
    return average, sigma * math.sqrt(1 + 1 / len(values))


def window_average_loop(history: np.ndarray, place: int, season: int) -> Step:
    def average(until: int) -> float:
        window = known(history[max(until - (season if season > 1 else 4), 0) : until])
        return math.fsum(v for _, v in window) / len(window) if window else NAN

    errors = [v - average(place) for place, v in known(history)]
    point = average(len(history))
    last = known(history)[-1][1]
    sigma = root_mean_square([e for e in errors if not math.isnan(e)])
    return last if math.isnan(point) else point, sigma


LOOPS: dict[str, Callable[[np.ndarray, int, int], Step]] = {
    "seasonal-naive": seasonal_naive_loop,
    "naive": lambda history, place, season: seasonal_naive_loop(history, place, 1),
    "drift": lambda history, place, season: seasonal_drift_loop(history, place, 1),
    "mean": mean_loop,
    "window-average": window_average_loop,
    "seasonal-drift": seasonal_drift_loop,
}


@settings(deadline=None)
@given(whole=histories(), horizon=st.integers(1, 15), season=st.integers(1, 24))
@pytest.mark.parametrize("name", BASELINES)
def test_baseline_equals_a_loop_over_cutoffs_when_series_have_gaps(
    name: str, whole: np.ndarray, horizon: int, season: int
) -> None:
    """Every cutoff at once, up to the whole length."""
    before = whole.copy()
    cutoffs = np.arange(1, len(whole) + 1)
    found = BASELINES[name](whole, cutoffs, horizon, season)
    for cutoff, *window in zip(cutoffs, *found, strict=True):
        history = whole[:cutoff]
        steps = [(NAN, 0.0)] * horizon
        if known(history):
            steps = [LOOPS[name](history, cutoff + step, season) for step in range(horizon)]
        expected = np.array(steps).T
        np.testing.assert_allclose(window, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(whole, before)


@settings(deadline=None)
@given(whole=histories(), season=st.integers(1, 24))
@pytest.mark.parametrize("name", EVERY)
def test_baseline_is_finite_when_anything_was_observed(
    name: str, whole: np.ndarray, season: int
) -> None:
    cutoffs = np.arange(1, len(whole) + 1)
    point, deviation = EVERY[name](whole, cutoffs, 5, season)
    empty = np.cumsum(~np.isnan(whole)) == 0
    assert np.isnan(point[empty]).all() and (deviation[empty] == 0).all()
    assert np.isfinite(point[~empty]).all() and np.isfinite(deviation).all()
    assert (deviation >= 0).all()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_baseline_sees_only_the_past_when_the_future_is_changed(name: str, missing: float) -> None:
    """Bit for bit, the windows up to the change among them all."""
    rng = np.random.default_rng(3)
    whole = 100 + 20 * np.sin(np.arange(90) * np.pi / 3) + rng.normal(size=90)
    whole[rng.random(90) < missing] = NAN
    cutoffs = rng.permutation(np.arange(1, 91))
    expected = EVERY[name](whole, cutoffs, 8, 6)
    for cutoff in range(1, 90):
        changed = whole.copy()
        changed[cutoff:] = 1e9
        found = EVERY[name](changed, cutoffs, 8, 6)
        unseen = cutoffs <= cutoff
        np.testing.assert_array_equal(found.point[unseen], expected.point[unseen])
        np.testing.assert_array_equal(found.deviation[unseen], expected.deviation[unseen])
        assert (found.point[~unseen] != expected.point[~unseen]).any()


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
    np.testing.assert_array_equal(from_the_end(naive, history, horizon, 3), expected)


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
    np.testing.assert_array_equal(from_the_end(seasonal_naive, history, horizon, season), expected)


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
    np.testing.assert_array_equal(from_the_end(drift, history, horizon, 1), expected)


def test_seasonal_drift_rises_from_the_copied_value_when_the_series_has_a_slope() -> None:
    """From 0 to 10 in 5 steps is 2 a step, over 2, 2, 4 and 4 steps."""
    history = series(0, 5, 3, 8, 6, 10)
    expected = [6 + 4, 10 + 4, 6 + 8, 10 + 8]
    np.testing.assert_array_equal(from_the_end(seasonal_drift, history, 4, 2), expected)


@pytest.mark.parametrize(
    ("season", "expected"), [(1, 5.0), (2, 6.5), (3, 6.0), (7, 27 / 7), (50, 27 / 7)]
)
def test_window_average_takes_the_last_season_when_there_is_one(
    season: int, expected: float
) -> None:
    found = from_the_end(window_average, series(0, 3, 4, 2, 5, 6, 7), 2, season)
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-15)


@pytest.mark.parametrize(("season", "horizon"), [(1, 6), (4, 8), (12, 18), (1, 13), (24, 48)])
def test_baselines_follow_the_textbook_when_series_are_of_m4_frequencies(
    season: int, horizon: int
) -> None:
    """Formulas of Hyndman & Athanasopoulos 2021, 5.2 and 5.5, with T values and h = 1, 2, ...

    On M4 itself the points give the published sMAPE and MASE: 13.912 and 1.193 for the seasonal
    naive and 18.383 and 2.395 for Naive2 on the hourly series, 9.161 and 2.777 on the weekly.
    """
    rng = np.random.default_rng(season * horizon)
    y = 1000 + np.cumsum(rng.normal(size=7 * season + 5)) + 50 * np.sin(np.arange(7 * season + 5))
    last, h = len(y), np.arange(1, horizon + 1)
    k = (h - 1) // season
    steps, slope = np.diff(y), (y[-1] - y[0]) / (last - 1)
    yearly = y[season:] - y[:-season]
    sigma = math.sqrt(np.mean(steps**2))
    expected = {
        "naive": (np.full(horizon, y[-1]), sigma * np.sqrt(h)),
        "seasonal-naive": (
            y[last + h - season * (k + 1) - 1],
            math.sqrt(np.mean(yearly**2)) * np.sqrt(k + 1),
        ),
        "drift": (y[-1] + h * slope, np.std(steps, ddof=1) * np.sqrt(h * (1 + h / (last - 1)))),
        "mean": (
            np.full(horizon, y.mean()),
            np.full(horizon, np.std(y, ddof=1) * math.sqrt(1 + 1 / last)),
        ),
    }
    for name, forecast in expected.items():
        found = BASELINES[name](y, np.array([last]), horizon, season)
        np.testing.assert_allclose([found.point[0], found.deviation[0]], forecast, rtol=1e-12)


@pytest.mark.parametrize("baseline", [naive, drift])
def test_deviation_is_that_of_the_errors_when_the_series_is_a_random_walk(
    baseline: Baseline,
) -> None:
    """2000 walks of 40 steps, forecast 20 steps from the 20th: a share of 0.02 is chance."""
    walks = np.random.default_rng(0).normal(size=(2000, 40)).cumsum(axis=1)
    forecasts = [baseline(walk, np.array([20]), 20, 1) for walk in walks]
    errors = np.array([f.point[0] for f in forecasts]) - walks[:, 20:]
    promised = np.array([f.deviation[0] for f in forecasts])
    ratio = np.sqrt(np.mean(errors**2, axis=0) / np.mean(promised**2, axis=0))
    np.testing.assert_allclose(ratio, 1.0, atol=0.07)


@pytest.mark.parametrize("baseline", [mean, window_average])
def test_deviation_is_that_of_the_errors_when_values_vary_about_a_level(
    baseline: Baseline,
) -> None:
    noise = np.random.default_rng(0).normal(size=(2000, 40))
    forecasts = [baseline(values, np.array([30]), 10, 5) for values in noise]
    errors = np.array([f.point[0] for f in forecasts]) - noise[:, 30:]
    promised = np.array([f.deviation[0] for f in forecasts])
    ratio = np.sqrt(np.mean(errors**2, axis=0) / np.mean(promised**2, axis=0))
    np.testing.assert_allclose(ratio, 1.0, atol=0.07)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("slope", [0.0, 1000.0])
def test_deviation_keeps_its_digits_when_the_level_dwarfs_the_spread(
    name: str, slope: float
) -> None:
    """Multiples of 2^-20 are exact at either level, so that nothing but the sums can differ."""
    rng = np.random.default_rng(1)
    times = np.arange(5000)
    spread = np.round(rng.normal(size=5000) * 2**20) / 2**20 + slope * times
    cutoffs = np.array([2, 50, 333, 5000])
    near = BASELINES[name](spread, cutoffs, 3, 12).deviation
    far = BASELINES[name](spread + 2.0**20, cutoffs, 3, 12).deviation
    np.testing.assert_allclose(far, near, rtol=1e-9)
    if name == "drift":
        noise = np.diff(spread)
        expected = np.std(noise, ddof=1) * math.sqrt(1 + 1 / 4999)
        np.testing.assert_allclose(far[-1, 0], expected, rtol=1e-9)


def test_window_average_forgets_when_a_huge_value_is_past() -> None:
    history = np.random.default_rng(2).normal(size=60)
    history[20] = 1e15
    found = from_the_end(window_average, history, 1, 7)
    np.testing.assert_allclose(found, history[-7:].mean(), rtol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_baseline_repeats_the_value_without_doubt_when_the_series_is_constant(name: str) -> None:
    """Exactly, so that an interval without width holds the value."""
    point, deviation = EVERY[name](np.full(500, 0.1), np.arange(1, 501), 9, 7)
    np.testing.assert_array_equal(point, 0.1)
    np.testing.assert_array_equal(deviation, 0.0)


def decomposed(history: np.ndarray, season: int) -> list[float]:
    """The indices of R's decompose(type = "multiplicative"), value by value."""
    ratios: dict[int, list[float]] = {phase: [] for phase in range(season)}
    for place in range(season // 2, len(history) - season // 2):
        around = [float(v) for v in history[place - season // 2 : place + season // 2 + 1]]
        if season % 2 == 0:
            around[0], around[-1] = around[0] / 2, around[-1] / 2
        ratios[place % season].append(float(history[place]) / (sum(around) / season))
    figure = [sum(ratios[phase]) / len(ratios[phase]) for phase in range(season)]
    return [index / (sum(figure) / season) for index in figure]


@pytest.mark.parametrize("season", [2, 3, 4, 7, 12])
@pytest.mark.parametrize("more", [0, 1])
def test_naive2_adjusts_for_the_season_when_the_series_is_seasonal(season: int, more: int) -> None:
    rng = np.random.default_rng(season)
    times = np.arange(8 * season + more)
    pattern = 1 + 0.4 * np.cos(2 * np.pi * times / season)
    history = (50 + 0.1 * times) * pattern * np.exp(0.01 * rng.normal(size=len(times)))
    indices, last = decomposed(history, season), len(history) - 1
    adjusted = history[-1] / indices[last % season]
    expected = [adjusted * indices[(last + h) % season] for h in range(1, 2 * season + 1)]
    found = naive2(history, np.array([len(history)]), 2 * season, season)
    np.testing.assert_allclose(found.point[0], expected, rtol=1e-12)
    same = naive(history, np.array([len(history)]), 2 * season, season)
    np.testing.assert_array_equal(found.deviation, same.deviation)


def test_naive2_continues_the_pattern_when_it_is_exact() -> None:
    """A level of 10 times 0.5, 1, 1.5, seen with gaps at both ends and one more within."""
    pattern = np.tile([5.0, 10.0, 15.0], 12)
    pattern[13] = NAN
    gaps = np.concatenate([[NAN, NAN], pattern, [NAN, NAN]])
    filled = pattern.copy()
    filled[13] = 10.0
    expected = from_the_end(naive2, filled, 7, 3)
    np.testing.assert_allclose(expected[:3], [5, 10, 15], rtol=1e-12)
    np.testing.assert_allclose(from_the_end(naive2, gaps, 5, 3), expected[2:], rtol=1e-12)


def test_naive2_adjusts_where_the_autocorrelation_passes_its_limit_when_seasons_fade() -> None:
    """SeasonalityTest of M4 by plain sums, from no season to one larger than the noise."""
    noise = np.random.default_rng(5).normal(size=60)
    decisions = []
    for share in np.linspace(0, 1.5, 61):
        history = 10 + share * np.tile([1.0, 0.0, -1.0, 0.0], 15) + noise
        centred = history - history.mean()
        acf = [sum(centred[k:] * centred[: 60 - k]) / sum(centred**2) for k in range(5)]
        limit = 1.645 / math.sqrt(60) * math.sqrt(1 + 2 * sum(r * r for r in acf[1:4]))
        decisions.append(abs(acf[4]) > limit)
        found = from_the_end(naive2, history, 4, 4)
        assert (found != history[-1]).any() == decisions[-1]
    assert 10 < sum(decisions) < 51


@pytest.mark.parametrize(
    ("history", "season"),
    [
        pytest.param(np.tile([30.0] + [10.0] * 11, 3)[:35], 12, id="under three seasons"),
        pytest.param(np.tile([5.0, 0.0, 15.0], 12), 3, id="a zero"),
        pytest.param(np.tile([5.0, -10.0, 15.0], 12), 3, id="negative values"),
        pytest.param(np.tile([5.0, 10.0, 15.0], 12), 1, id="no season"),
        pytest.param(np.tile([8.0], 12), 3, id="constant"),
        pytest.param(np.tile([1e-170, 2e-170, 1e-170], 12), 3, id="squares that are zero"),
    ],
)
def test_naive2_is_the_naive_when_it_cannot_adjust(history: np.ndarray, season: int) -> None:
    np.testing.assert_array_equal(from_the_end(naive2, history, 4, season), [history[-1]] * 4)


@pytest.mark.parametrize(
    ("history", "expected", "since"),
    [
        (series(1, NAN, NAN, 4), [1, 2, 3, 4], 0),
        (series(NAN, 1, NAN, 3, NAN, NAN), [1, 2, 3], 2),
        (series(NAN, NAN), [], 2),
    ],
)
def test_without_gaps_interpolates_between_observed_values_when_some_miss(
    history: np.ndarray, expected: list[float], since: int
) -> None:
    found, steps = without_gaps(history)
    np.testing.assert_array_equal(found, expected)
    assert steps == since


def test_baselines_start_with_the_seasonal_naive_when_listed() -> None:
    first = ["seasonal-naive", "naive", "drift"]
    assert list(BASELINES) == [*first, "mean", "window-average", "seasonal-drift"]
    assert list(REFERENCES) == ["naive2"]
