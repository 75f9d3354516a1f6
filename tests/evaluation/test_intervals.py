"""Intervals against naive loops, what conformal prediction promises, and no look-ahead."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.evaluation.intervals import (
    CREDIBLE,
    LARGEST_FACTOR,
    LEAST_SCORES,
    RATE,
    AdaptiveFactors,
    bounds,
    conformity,
    outside,
    relative_widths,
    split_factors,
    widen,
)

NAN, INF = math.nan, math.inf
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
COVERAGES = (80.0, 95.0)
MIDDLE = 2


@st.composite
def scored_windows(draw: st.DrawFn, *, log: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Actual values and quantiles on a coarse grid, so that many are equal; some are unknown."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 3)))
    quantiles = np.sort(rng.integers(-2, 4, (*shape, len(LEVELS))) / 2, axis=-1)
    actual = rng.integers(-4, 6, shape) / 2
    if log:
        quantiles = np.exp(quantiles)
        actual = np.where(rng.random(shape) < 0.5, np.exp(actual), actual)
    actual[rng.random(shape) < 0.2] = NAN
    quantiles[rng.random(shape) < 0.1] = NAN
    return actual, quantiles


def naive_conformity(actual: float, row: np.ndarray, interval: int, *, log: bool) -> float:
    """The score of one step and interval, counted from the innermost."""
    if math.isnan(actual) or np.isnan(row).any():
        return NAN
    if log:
        if actual <= 0:
            point = row[MIDDLE + 1 + interval] == row[MIDDLE - 1 - interval]
            return NAN if point else INF
        actual, row = math.log(actual), np.log(row)
    error = actual - row[MIDDLE]
    if row[MIDDLE + 1 + interval] == row[MIDDLE - 1 - interval]:
        return NAN
    if error == 0:
        return 0.0
    bound = row[MIDDLE + 1 + interval] if error > 0 else row[MIDDLE - 1 - interval]
    width = abs(bound - row[MIDDLE])
    return abs(error) / width if width > 0 else INF


@pytest.mark.parametrize("log", [False, True])
@settings(deadline=None)
@given(data=st.data())
def test_conformity_equals_a_loop_when_half_widths_are_zero_or_values_are_missing(
    log: bool, data: st.DataObject
) -> None:
    actual, quantiles = data.draw(scored_windows(log=log))
    scores = conformity(actual, quantiles, log=log)
    assert scores.shape == (*actual.shape, len(COVERAGES))
    for window, step, interval in np.ndindex(scores.shape):
        expected = naive_conformity(
            float(actual[window, step]), quantiles[window, step], interval, log=log
        )
        np.testing.assert_allclose(scores[window, step, interval], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(3.0, [0, 0]), (5.0, [1, 0.5]), (1.0, [2, 2 / 3]), (NAN, [NAN, NAN])],
)
def test_conformity_counts_half_widths_of_its_side_when_an_interval_is_askew(
    actual: float, expected: list[float]
) -> None:
    scores = conformity(np.array([[actual]]), np.array([[[0.0, 2, 3, 5, 7]]]))
    np.testing.assert_allclose(scores, [[expected]], rtol=1e-15)


@pytest.mark.parametrize("actual", [0.0, -3.0])
def test_conformity_is_infinite_when_a_value_has_no_logarithm(actual: float) -> None:
    scores = conformity(np.array([[actual]]), np.array([[[1.0, 2, 3, 5, 7]]]), log=True)
    assert scores.tolist() == [[[INF, INF]]]


def test_conformity_is_one_at_the_bounds_when_widths_are_those_of_logarithms() -> None:
    quantiles = np.array([[[0.5, 1, 2, 4, 32]]]).repeat(4, axis=0)
    scores = conformity(np.array([[1.0], [0.5], [4], [32]]), quantiles, log=True)
    np.testing.assert_allclose(scores[:, 0], [[1, 0.5], [2, 1], [1, 0.25], [4, 1]])


def test_conformity_is_infinite_when_the_quotient_is_beyond_all_numbers() -> None:
    quantiles = np.array([[[-1e-300, -1e-300, 0, 1e-300, 1e-300]]])
    assert conformity(np.array([[1e300]]), quantiles).tolist() == [[[INF, INF]]]


def naive_factor(scores: list[float], coverage: float, weights: list[float]) -> float:
    """The weighted order statistic, drawn towards 1; 1 where too few scores have one."""
    known = sorted((s, w) for s, w in zip(scores, weights, strict=True) if not math.isnan(s))
    if not known:
        return 1.0
    total = math.fsum(weight for _, weight in known)
    if (total + 1) * coverage / 100 * (1 - 1e-9) > total:
        return 1.0
    held, factor = 0.0, known[-1][0]
    for score, weight in known:
        held += weight
        if held >= (total + 1) * coverage / 100 * (1 - 1e-9):
            factor = score
            break
    factor = min(max(factor, 1 / LARGEST_FACTOR), LARGEST_FACTOR)
    return math.exp(math.log(factor) * total / (total + CREDIBLE))


def random_scores(seed: int, windows: int, steps: int, missing: float) -> np.ndarray:
    """Scores with ties, zeros and infinities [window, step, interval]."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 40, (windows, steps, len(COVERAGES))) / 8
    scores[rng.random(scores.shape) < 0.05] = INF
    scores[rng.random((windows, steps)) < missing] = NAN
    return scores


# The loop and cumulated sums of such weights are exact, so that no place hangs on rounding.
WEIGHTS = (0.25, 0.5, 1.0)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    windows=st.integers(140, 180),
    steps=st.integers(1, 3),
)
def test_split_factors_equal_a_weighted_order_statistic_when_each_step_has_enough_scores(
    seed: int, windows: int, steps: int
) -> None:
    scores = random_scores(seed, windows, steps, missing=0.1)
    assert (~np.isnan(scores)).sum(axis=0).min() >= LEAST_SCORES
    weights = np.random.default_rng(seed).choice(WEIGHTS, windows)
    factors = split_factors(scores, COVERAGES, weights)
    assert factors.shape == scores.shape[1:]
    for step, interval in np.ndindex(factors.shape):
        expected = naive_factor(
            scores[:, step, interval].tolist(), COVERAGES[interval], weights.tolist()
        )
        assert factors[step, interval] == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    windows=st.integers(1, LEAST_SCORES - 1),
    steps=st.sampled_from([1, 2, 4]),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_split_factors_are_shared_by_all_steps_when_one_has_few_scores(
    seed: int, windows: int, steps: int, missing: float
) -> None:
    scores = random_scores(seed, windows, steps, missing)
    weights = np.random.default_rng(seed).choice(WEIGHTS, windows)
    factors = split_factors(scores, COVERAGES, weights)
    assert factors.shape == scores.shape[1:]
    for interval, coverage in enumerate(COVERAGES):
        expected = naive_factor(
            scores[..., interval].ravel().tolist(),
            coverage,
            [weight / steps for weight in weights for _ in range(steps)],
        )
        np.testing.assert_allclose(factors[:, interval], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("count", "places"), [(1, (0, 0)), (4, (4, 0)), (9, (8, 0)), (19, (16, 19)), (99, (80, 95))]
)
def test_split_factors_take_the_split_conformal_place_when_weights_are_one(
    count: int, places: tuple[int, int]
) -> None:
    """The ⌈(n + 1) coverage⌉-th smallest to the power n/(n+30), 1 where there are fewer."""
    ascending = 1 + np.arange(1, count + 1) / 100
    scores = np.random.default_rng(0).permutation(ascending)[:, None, None].repeat(2, axis=2)
    factors = split_factors(scores, COVERAGES, np.ones(count))
    expected = [
        ascending[place - 1] ** (count / (count + CREDIBLE)) if place else 1.0 for place in places
    ]
    np.testing.assert_allclose(factors, [expected], rtol=1e-12)


@pytest.mark.parametrize(("least", "shared"), [(LEAST_SCORES - 1, True), (LEAST_SCORES, False)])
def test_split_factors_are_shared_when_one_step_has_fewer_than_a_hundred_scores(
    least: int, shared: bool
) -> None:
    scores = np.stack([np.full((150, 2), 2.0), np.full((150, 2), 0.5)], axis=1)
    scores[least:, 1] = NAN
    factors = split_factors(scores, COVERAGES, np.ones(150))
    assert (factors[0] == factors[1]).all() == shared
    assert (factors[0] > 1).all()


def test_split_factors_take_the_exact_place_when_sums_of_weights_are_rounded() -> None:
    """Nine windows of three steps: the 24th of 27 scores holds 8 of the 9 + 1 exactly."""
    scores = (1 + np.arange(27) / 100).reshape(9, 3, 1)
    factors = split_factors(scores, COVERAGES[:1], np.ones(9))
    np.testing.assert_allclose(factors, 1.23 ** (9 / (9 + CREDIBLE)), rtol=1e-12)


def test_split_factors_are_one_when_no_score_is_known() -> None:
    factors = split_factors(np.full((4, 3, 2), NAN), COVERAGES, np.ones(4))
    np.testing.assert_array_equal(factors, np.ones((3, 2)))


@pytest.mark.parametrize(("score", "limit"), [(INF, LARGEST_FACTOR), (0.0, 1 / LARGEST_FACTOR)])
def test_split_factors_stay_within_limits_when_scores_have_none(score: float, limit: float) -> None:
    factors = split_factors(np.full((200, 1, 2), score), COVERAGES, np.ones(200))
    np.testing.assert_allclose(factors, limit ** (200 / 230), rtol=1e-12)


def test_split_factors_leave_the_scores_as_they_were() -> None:
    scores = random_scores(0, 150, 2, missing=0.1)
    before = scores.copy()
    split_factors(scores, COVERAGES, np.ones(150))
    np.testing.assert_array_equal(scores, before)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    windows=st.integers(80, 250),
    log=st.booleans(),
    weighted=st.booleans(),
)
def test_widen_holds_the_nominal_share_of_the_scored_outcomes_when_factors_are_not_shrunk(
    seed: int, windows: int, log: bool, weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    inner = rng.uniform(0.5, 1.5, (windows, 2))
    outer = inner * rng.uniform(1, 2, (windows, 2))
    median = rng.normal(size=(windows, 1))
    half_widths = [-outer[:, :1], -inner[:, :1], np.zeros((windows, 1)), inner[:, 1:], outer[:, 1:]]
    quantiles = (median + np.concatenate(half_widths, axis=1))[:, None]
    # Every score lies within the limits of factors.
    actual = median + (inner * [-1, 1])[np.arange(windows), rng.integers(0, 2, windows), None] * (
        rng.uniform(0, 9, (windows, 1))
    )
    if log:
        actual, quantiles = np.exp(actual), np.exp(quantiles)
    weights = rng.choice(WEIGHTS, windows) if weighted else np.ones(windows)
    scores = conformity(actual, quantiles, log=log)
    assert scores.max() < LARGEST_FACTOR
    total = weights.sum()
    unshrunk = split_factors(scores, COVERAGES, weights) ** ((total + CREDIBLE) / total)
    # A bound lies on the outcome that set it, but for rounding.
    beyond = outside(actual, widen(quantiles, unshrunk * (1 + 1e-9), log=log))
    inside = weights @ (1 - beyond[:, 0]) / total
    assert (inside >= np.array(COVERAGES) / 100 - 1e-12).all()


@pytest.mark.parametrize("log", [False, True])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_widen_keeps_the_order_and_the_median_to_the_bit_when_factors_are_any(
    log: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(100, 30, (5, 3, len(LEVELS))), axis=-1)
    quantiles[0] = quantiles[0, :, :1]
    quantiles = np.maximum(quantiles, 1 / 3) if log else quantiles
    factors = rng.choice([0.0, 0.1, 1.0, 3.0, 10.0], (3, 2))
    widened = widen(quantiles, factors, log=log)
    assert widened.shape == quantiles.shape
    assert (np.diff(widened, axis=-1) >= 0).all()
    assert widened[..., MIDDLE].tobytes() == quantiles[..., MIDDLE].tobytes()


def test_widen_multiplies_half_widths_and_keeps_outer_ones_around_when_factors_cross() -> None:
    quantiles = np.array([[[0.0, 2, 3, 5, 7]]])
    crossed = widen(quantiles, np.array([[4.0, 0.5]]))
    np.testing.assert_array_equal(crossed, [[[-1, -1, 3, 11, 11]]])
    nested = widen(quantiles, np.array([[0.5, 2.0]]))
    np.testing.assert_array_equal(nested, [[[-3, 2.5, 3, 4, 11]]])


def test_widen_takes_the_factors_of_each_step_when_these_differ() -> None:
    quantiles = np.array([[-2.0, -1, 0, 1, 2], [-2.0, -1, 0, 1, 2]])[None]
    widened = widen(quantiles, np.array([[1.0, 1], [3, 2]]))
    np.testing.assert_array_equal(widened, [[[-2, -1, 0, 1, 2], [-4, -3, 0, 3, 4]]])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_widen_is_that_of_logarithms_when_half_widths_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logarithms = np.sort(rng.normal(size=(4, 3, len(LEVELS))), axis=-1)
    factors = rng.uniform(0.1, 10, (3, 2))
    np.testing.assert_allclose(
        widen(np.exp(logarithms), factors, log=True),
        np.exp(widen(logarithms, factors)),
        rtol=1e-12,
    )


@pytest.mark.parametrize("log", [False, True])
def test_widen_passes_unknown_forecasts_on_when_a_window_has_none(log: bool) -> None:
    quantiles = np.array([[[1.0, 2, 3, 5, 7]], [[NAN] * 5]])
    widened = widen(quantiles, np.ones((1, 2)), log=log)
    np.testing.assert_allclose(widened, quantiles)


@pytest.mark.parametrize("log", [False, True])
def test_widen_leaves_a_point_forecast_when_there_is_no_interval(log: bool) -> None:
    point = np.array([[[3.0], [4.0]]])
    np.testing.assert_array_equal(widen(point, np.ones((2, 0)), log=log), point)


def test_bounds_are_counted_from_the_innermost_when_levels_ascend() -> None:
    median, lower, upper = bounds(np.array([[[0.0, 2, 3, 5, 7]]]))
    assert (median.tolist(), lower.tolist(), upper.tolist()) == ([[3]], [[[2, 0]]], [[[5, 7]]])


@settings(deadline=None)
@given(case=scored_windows())
def test_outside_equals_a_loop_when_values_lie_on_bounds_or_are_missing(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    actual, quantiles = case
    beyond = outside(actual, quantiles)
    for window, step, interval in np.ndindex(beyond.shape):
        row, value = quantiles[window, step], actual[window, step]
        low, high = row[MIDDLE - 1 - interval], row[MIDDLE + 1 + interval]
        unknown = math.isnan(value + low + high) or low == high
        expected = NAN if unknown else float(not low <= value <= high)
        np.testing.assert_equal(beyond[window, step, interval], expected)


def normal_quantiles(windows: int, steps: int) -> np.ndarray:
    """Those of the standard normal at every step."""
    row = [NormalDist().inv_cdf(level) for level in LEVELS]
    return np.tile(row, (windows, steps, 1))


@pytest.mark.parametrize(("log", "spread"), [(False, 2.0), (True, 2.0), (False, 0.3)])
def test_split_factors_bring_nominal_coverage_to_fresh_data_when_windows_are_exchangeable(
    log: bool, spread: float
) -> None:
    calibrating, fresh, steps = 4000, 4000, 2
    rng = np.random.default_rng(7)
    # Student's t with 3 degrees of freedom: a shape that the model's own quantiles do not have.
    actual = spread * rng.standard_t(3, (calibrating + fresh, steps))
    quantiles = normal_quantiles(calibrating + fresh, steps)
    if log:
        actual, quantiles = np.exp(actual), np.exp(quantiles)
    scores = conformity(actual[:calibrating], quantiles[:calibrating], log=log)
    factors = split_factors(scores, COVERAGES, np.ones(calibrating))
    beyond = outside(actual[calibrating:], widen(quantiles[calibrating:], factors, log=log))
    inside = 1 - beyond.mean(axis=0)
    nominal = np.array(COVERAGES) / 100
    deviation = np.sqrt(nominal * (1 - nominal) * (1 / calibrating + 1 / fresh))
    assert (np.abs(inside - nominal) < 4 * deviation).all()


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """What lay outside [cutoff, window, step, interval], and the stride of the cutoffs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.integers(1, 7))
    beyond = rng.integers(0, 2, (draw(st.integers(1, 20)), 3, steps, len(COVERAGES))) * 1.0
    beyond[rng.random(beyond.shape[:3]) < 0.3] = NAN
    beyond[rng.random(len(beyond)) < 0.2] = NAN
    return beyond, draw(st.integers(1, 9))


def adaptive_factors(beyond: np.ndarray, start: np.ndarray, stride: int) -> np.ndarray:
    """The factors at each cutoff [cutoff, step, interval]."""
    adaptive = AdaptiveFactors(start, COVERAGES, stride)
    factors = []
    for cutoff in beyond:
        factors.append(adaptive.factors)
        adaptive.observe(cutoff)
        adaptive.advance()
    return np.array(factors)


def naive_adaptive_factors(beyond: np.ndarray, start: np.ndarray, stride: int) -> np.ndarray:
    """Every outcome is kept, and counts at the first cutoff that is after its value."""
    shift = np.zeros_like(start)
    factors = []
    for now in range(len(beyond)):
        for cutoff, step, interval in np.ndindex(len(beyond), *start.shape):
            delay = math.ceil((step + 1) / stride)
            known = beyond[cutoff, :, step, interval]
            known = known[~np.isnan(known)]
            if cutoff + delay == now and len(known):
                excess = known.mean() - (1 - COVERAGES[interval] / 100)
                shift[step, interval] += RATE / math.sqrt(delay) * excess
        factors.append(start * np.exp(shift))
    return np.array(factors)


@settings(deadline=None)
@given(case=outcomes())
def test_adaptive_factors_equal_a_loop_that_keeps_all_when_strides_are_any(
    case: tuple[np.ndarray, int],
) -> None:
    beyond, stride = case
    start = np.linspace(0.5, 2, beyond[0, 0].size).reshape(beyond.shape[2:])
    np.testing.assert_allclose(
        adaptive_factors(beyond, start, stride),
        naive_adaptive_factors(beyond, start, stride),
        rtol=1e-12,
    )


@settings(deadline=None)
@given(case=outcomes(), now=st.integers(0, 19))
def test_adaptive_factors_are_bit_equal_when_what_is_not_yet_known_is_changed(
    case: tuple[np.ndarray, int], now: int
) -> None:
    beyond, stride = case
    changed = beyond.copy()
    for cutoff, step in np.ndindex(len(beyond), beyond.shape[2]):
        if cutoff * stride + step >= now * stride:
            changed[cutoff, :, step] = 1 - np.nan_to_num(changed[cutoff, :, step])
    start = np.ones(beyond.shape[2:])
    first = adaptive_factors(beyond, start, stride)[: now + 1]
    second = adaptive_factors(changed, start, stride)[: now + 1]
    assert first.tobytes() == second.tobytes()


@settings(deadline=None)
@given(case=outcomes(), split=st.integers(0, 3))
def test_adaptive_factors_are_bit_equal_when_windows_of_a_cutoff_come_in_parts(
    case: tuple[np.ndarray, int], split: int
) -> None:
    beyond, stride = case
    start = np.ones(beyond.shape[2:])
    whole, parts = (AdaptiveFactors(start, COVERAGES, stride) for _ in range(2))
    for cutoff in beyond:
        whole.observe(cutoff)
        parts.observe(cutoff[:split])
        parts.observe(cutoff[split:])
        assert whole.factors.tobytes() == parts.factors.tobytes()
        whole.advance()
        parts.advance()


@pytest.mark.parametrize(
    ("stride", "known"),
    [
        pytest.param(1, [1, 2, 3], id="every value"),
        pytest.param(2, [1, 1, 2], id="between"),
        pytest.param(3, [1, 1, 1], id="a horizon"),
        pytest.param(5, [1, 1, 1], id="beyond the horizon"),
    ],
)
def test_adaptive_factors_move_when_a_value_is_first_known(stride: int, known: list[int]) -> None:
    beyond = np.full((5, 1, 3, 2), NAN)
    beyond[0] = 1
    moved = adaptive_factors(beyond, np.ones((3, 2)), stride) > 1
    assert np.argmax(moved, axis=0).tolist() == [[cutoff] * 2 for cutoff in known]


def test_adaptive_factors_rise_and_fall_as_in_the_paper_when_coverage_is_off() -> None:
    adaptive = AdaptiveFactors(np.array([[2.0, 3.0]]), COVERAGES, 1)
    adaptive.observe(np.array([[[1.0, 0.0]]]))
    adaptive.advance()
    expected = [2 * math.exp(RATE * 0.8), 3 * math.exp(-RATE * 0.05)]
    np.testing.assert_allclose(adaptive.factors, [expected], rtol=1e-12)


@pytest.mark.parametrize(("steps", "stride"), [(1, 1), (6, 1), (6, 4), (2, 3)])
def test_adaptive_factors_bring_coverage_back_when_the_spread_doubles(
    steps: int, stride: int
) -> None:
    cutoffs, windows = 1200, 10
    rng = np.random.default_rng(3)
    quantiles = normal_quantiles(windows, steps)
    adaptive = AdaptiveFactors(np.ones((steps, 2)), COVERAGES, stride)
    inside, unadapted = [], []
    for cutoff in range(cutoffs):
        actual = rng.normal(scale=1 if cutoff < cutoffs // 3 else 2, size=(windows, steps))
        beyond = outside(actual, widen(quantiles, adaptive.factors))
        adaptive.observe(beyond)
        adaptive.advance()
        inside.append(100 - 100 * beyond.mean(axis=0))
        unadapted.append(100 - 100 * outside(actual, quantiles).mean(axis=0))
    settled = slice(cutoffs // 2, None)
    np.testing.assert_allclose(np.mean(inside[settled], axis=0), [COVERAGES] * steps, atol=1.5)
    assert (np.mean(unadapted[settled], axis=0) < np.array(COVERAGES) - 15).all()
    np.testing.assert_allclose(adaptive.factors, 2, rtol=0.25)


def test_split_factors_stay_near_the_prior_when_scores_weigh_little() -> None:
    scores = np.full((6, 2, 1), 4.0)
    prior = np.array([[2.0], [3.0]])
    weights = np.full(6, 1.0)
    credibility = 6 / (6 + CREDIBLE)
    expected = 4**credibility * prior ** (1 - credibility)
    np.testing.assert_allclose(split_factors(scores, (80,), weights, prior), expected, rtol=1e-12)
    np.testing.assert_allclose(split_factors(scores, (95,), weights, prior), prior, rtol=1e-12)
    unknown = np.full((6, 2, 1), np.nan)
    np.testing.assert_array_equal(split_factors(unknown, (80,), weights, prior), prior)


@pytest.mark.parametrize("every", [1, 20, 1000])
def test_coverage_holds_under_drift_when_models_are_fitted_anew(every: int) -> None:
    """The spread has trebled; few scores tell of it each time."""
    rng = np.random.default_rng(3)
    levels = (80, 95)
    outcomes = 3 * rng.normal(size=1000)
    normal = np.array([-1.96, -1.2816, 0, 1.2816, 1.96])
    adaptive = AdaptiveFactors(np.ones((1, 2)), levels, 1)
    beyond = []
    for cutoff, outcome in enumerate(outcomes):
        adaptive.go_to(cutoff)
        if cutoff and cutoff % every == 0:
            newest = np.abs(outcomes[max(0, cutoff - 4) : cutoff, None, None]) / normal[3:]
            factors = split_factors(newest, levels, np.ones(len(newest)), adaptive.factors)
            adaptive.restart(factors)
        quantiles = widen(normal[None, None], adaptive.factors)
        beyond.append(outside(np.array([[outcome]]), quantiles)[0, 0])
        adaptive.observe(beyond[-1][None, None])
    covered = 100 - 100 * np.mean(beyond[200:], axis=0)
    np.testing.assert_allclose(covered, levels, atol=4)


def test_widen_keeps_bounds_from_the_least_value_when_one_is_given() -> None:
    quantiles = np.array([[[0.0, 1.0, 3.0, 4.0, 9.0]]])
    factors = np.array([[2.0, 3.0]])
    assert widen(quantiles, factors, least=0.0).tolist() == [[[0, 0, 3, 5, 21]]]
    assert widen(quantiles, factors).tolist() == [[[-6, -1, 3, 5, 21]]]


def test_widen_rounds_bounds_outwards_when_values_are_whole() -> None:
    quantiles, factors = np.array([[[0.0, 2, 3, 4, 9]]]), np.array([[0.5, 1.1]])
    assert widen(quantiles, factors, whole=True).tolist() == [[[-1, 2, 3, 4, 10]]]
    assert widen(quantiles, np.ones((1, 2)), whole=True).tolist() == quantiles.tolist()


@pytest.mark.parametrize("log", [False, True])
def test_relative_widths_are_medians_over_the_windows_that_have_two_intervals(log: bool) -> None:
    rng = np.random.default_rng(4)
    others, own = (np.sort(rng.normal(size=(5, 3, 5)), axis=-1) for _ in range(2))
    expected = np.array(
        [
            [
                np.median(
                    [
                        (others[place, step, 3 + interval] - others[place, step, 1 - interval])
                        / (own[place, step, 3 + interval] - own[place, step, 1 - interval])
                        for place in (0, 3, 4)
                    ]
                )
                for interval in range(2)
            ]
            for step in range(3)
        ]
    )
    own[1] = NAN
    own[2] = own[2][..., 2:3]  # points
    if log:
        others, own = np.exp(others), np.exp(own)
    np.testing.assert_allclose(relative_widths(others, own, log=log), expected)


def test_relative_widths_make_an_interval_as_wide_as_another() -> None:
    other, own = (np.array([[row]]) for row in ([0.0, 2, 5, 6, 9], [4.0, 4.9, 5, 5.3, 6]))
    found = widen(own, relative_widths(other, own))
    assert found[0, 0, 3] - found[0, 0, 1] == pytest.approx(4)
    assert found[0, 0, 4] - found[0, 0, 0] == pytest.approx(9)


def test_relative_widths_are_one_when_nothing_can_be_compared() -> None:
    own = np.tile([1.0, 2, 3, 4, 5], (2, 1, 1))
    for others in (np.full((2, 1, 5), NAN), np.full((2, 1, 5), 3.0)):
        np.testing.assert_array_equal(relative_widths(others, own), [[1.0, 1.0]])
        np.testing.assert_array_equal(relative_widths(own, others), [[1.0, 1.0]])
    empty = np.empty((0, 2, 5))
    np.testing.assert_array_equal(relative_widths(empty, empty), np.ones((2, 2)))
