"""What takes part in a comparison: its quantiles, its calibration, and that it sees no outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.backtest import Origins, held_out_origins, panel_before
from rnnforecast.config import WindowSpec
from rnnforecast.contenders import BaselineContender, Calibrated, calibration
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex, actual_values, windows_between
from rnnforecast.evaluation.baselines import BASELINES, naive
from rnnforecast.evaluation.intervals import CREDIBLE, RATE
from tests.panels import make_panel

NAN = math.nan
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
COVERAGES = (80.0, 95.0)


def contender(name: str = "naive", horizon: int = 2, season: int = 2) -> BaselineContender:
    return BaselineContender(
        name=name,
        baseline=BASELINES[name],
        windows=WindowSpec(lookback=4, horizon=horizon, seasons=(season,)),
        levels=LEVELS,
    )


@dataclass(frozen=True)
class Fixed:
    """The same half-widths, 1 and 2, about 0, or about 1 and as factors of 10 on logarithms."""

    horizon: int
    log: bool = False
    least: float = -math.inf
    whole: bool = False
    name: str = "fixed"

    def predict_at(self, panel: Panel, index: WindowIndex) -> np.ndarray:
        quantiles = np.tile([-2.0, -1, 0, 1, 2], (len(index), self.horizon, 1))
        return 10**quantiles if self.log else quantiles


def walks(seed: int, lengths: list[int]) -> Panel:
    """Random walks with gaps and stretches that stand still, whose first value is known."""
    rng = np.random.default_rng(seed)
    series = []
    for length in lengths:
        values = np.cumsum(rng.integers(-1, 2, length) * rng.choice([0, 1, 5], length)) * 1.0
        values[1:][rng.random(length - 1) < 0.2] = NAN
        series.append(values.tolist())
    return make_panel(*series)


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_contender_adds_normal_quantiles_when_windows_are_in_any_order(name: str) -> None:
    panel = walks(0, [30, 25, 28])
    index = windows_between(np.array([3, 5, 20]), np.array([8, 9, 22]))
    shuffled = np.random.default_rng(1).permutation(len(index))
    index = WindowIndex(series=index.series[shuffled], cutoffs=index.cutoffs[shuffled])
    quantiles = contender(name).predict_at(panel, index)
    assert quantiles.shape == (len(index), 2, len(LEVELS))
    for window, (series, cutoff) in enumerate(zip(index.series, index.cutoffs, strict=True)):
        point, deviation = BASELINES[name](
            panel.series(int(series)), np.array([cutoff]), horizon=2, season=2
        )
        for step, level in np.ndindex(2, len(LEVELS)):
            expected = point[0, step] + deviation[0, step] * NormalDist().inv_cdf(LEVELS[level])
            assert quantiles[window, step, level] == pytest.approx(expected, rel=1e-12)
    assert (
        quantiles[..., 2].tobytes()
        == np.array(
            [
                BASELINES[name](panel.series(int(series)), np.array([cutoff]), 2, 2).point[0]
                for series, cutoff in zip(index.series, index.cutoffs, strict=True)
            ]
        ).tobytes()
    )


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_contender_sees_only_the_past_when_the_future_is_changed(name: str) -> None:
    panel, changed = walks(2, [12, 9]), walks(2, [12, 9])
    origins = held_out_origins(panel, 3)
    index = origins.windows(np.arange(len(origins)))
    for series, cutoff in zip(index.series, index.cutoffs, strict=True):
        changed.series(int(series))[cutoff:] = 1e9
    first, second = (contender(name, 3).predict_at(data, index) for data in (panel, changed))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seasonal-naive", [[3, 4], [4, 5]]),
        ("naive", [[4, 4], [5, 5]]),
        ("drift", [[5, 6], [6, 7]]),
    ],
)
def test_baseline_contender_has_the_point_forecast_as_median_when_a_series_is_a_ramp(
    name: str, expected: list[list[float]]
) -> None:
    panel = make_panel([1, 2, 3, 4, 5, 6, 7])
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([4, 5]))
    np.testing.assert_array_equal(contender(name).predict_at(panel, index)[..., 2], expected)


def test_baseline_contender_stays_at_the_least_value_when_one_is_given() -> None:
    panel = make_panel([9, 5, 6, 1])
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([4]))
    free = contender("drift").predict_at(panel, index)
    bound = replace(contender("drift"), least=0.0).predict_at(panel, index)
    assert (free < 0).any() and (free > 0).any()
    np.testing.assert_array_equal(bound, np.where(free < 0, 0, free))


def test_baseline_contender_gives_no_forecast_when_nothing_was_observed() -> None:
    panel = make_panel([NAN, NAN, 3, 4])
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([2, 3]))
    quantiles = contender().predict_at(panel, index)
    assert np.isnan(quantiles[0]).all()
    assert (quantiles[1] == 3).all()


def test_baseline_contender_gives_nothing_when_there_is_no_window() -> None:
    none = WindowIndex(series=np.zeros(0, np.int64), cutoffs=np.zeros(0, np.int64))
    assert contender().predict_at(make_panel([1, 2, 3]), none).shape == (0, 2, len(LEVELS))


def test_baseline_contender_forecasts_when_a_series_has_two_values_and_the_horizon_is_one() -> None:
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([1]))
    quantiles = contender(horizon=1).predict_at(make_panel([5, 7]), index)
    np.testing.assert_array_equal(quantiles, np.full((1, 1, len(LEVELS)), 5.0))


def test_calibration_is_one_when_there_is_no_window() -> None:
    none = WindowIndex(series=np.zeros(0, np.int64), cutoffs=np.zeros(0, np.int64))
    factors = calibration(contender(), make_panel([1, 2, 3]), none, COVERAGES, 2)
    np.testing.assert_array_equal(factors, np.ones((2, 2)))


def test_calibration_is_one_when_no_outcome_is_known() -> None:
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([1]))
    factors = calibration(contender(), make_panel([1, NAN, NAN, 2]), index, COVERAGES, 2)
    np.testing.assert_array_equal(factors, np.ones((2, 2)))


@pytest.mark.parametrize(
    ("horizon", "cutoffs", "weight"),
    [
        pytest.param(1, range(5, 25), 20, id="windows share no step"),
        pytest.param(4, range(5, 26), 6, id="windows overlap"),
        pytest.param(2, range(5, 30, 6), 5, id="windows lie apart"),
        pytest.param(4, [5], 1, id="one window"),
    ],
)
def test_calibration_believes_windows_by_the_steps_they_do_not_share(
    horizon: int, cutoffs: Sequence[int], weight: float
) -> None:
    """All outcomes lie 3 half-widths of the inner interval away, 1.5 of the outer one."""
    panel = make_panel([3.0] * 40, [3.0] * 40)
    index = WindowIndex(
        series=np.repeat([0, 1], len(cutoffs)), cutoffs=np.tile(np.array(cutoffs), 2)
    )
    factors = calibration(Fixed(horizon), panel, index, COVERAGES, horizon)
    share = 2 * weight / (2 * weight + CREDIBLE)
    expected = [3**share if 2 * weight >= 4 else 1, 1.5**share if 2 * weight >= 19 else 1]
    np.testing.assert_allclose(factors, [expected] * horizon, rtol=1e-12)


def test_calibration_takes_half_widths_of_logarithms_when_the_contender_does() -> None:
    panel = make_panel([1000.0] * 40)
    index = windows_between(np.array([5]), np.array([24]))
    factors = calibration(Fixed(1, log=True), panel, index, COVERAGES, 1)
    np.testing.assert_allclose(factors, [[3**0.4, 1.5**0.4]], rtol=1e-12)


@st.composite
def rolled(draw: st.DrawFn) -> tuple[Panel, Origins, int]:
    """A ragged panel with gaps, cutoffs of it at any stride, and a horizon."""
    horizon, stride = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    count = draw(st.integers(1, 8))
    least = horizon + (count - 1) * stride + 2
    lengths = draw(st.lists(st.integers(least, least + 8), min_size=1, max_size=4))
    panel = walks(draw(st.integers(0, 2**32 - 1)), lengths)
    return panel, held_out_origins(panel, horizon, count, stride), horizon


def forecast(
    panel: Panel, origins: Origins, horizon: int, size: int | None, *, log: bool = False
) -> np.ndarray:
    """All windows, `size` at a time; None for those of one cutoff at a time."""
    base = Fixed(horizon, log=True) if log else contender("naive", horizon)
    calibrated = Calibrated(base, np.full((horizon, 2), 1.5), COVERAGES, origins.stride)
    parts = []
    for start in range(0, len(origins), size or len(origins.series)):
        places = np.arange(start, min(start + (size or len(origins.series)), len(origins)))
        index = origins.windows(places)
        actual = actual_values(panel, index, horizon)
        parts.append(calibrated.forecast(panel, index, origins.ranks(places), actual))
    return np.concatenate(parts)


@settings(deadline=None)
@given(case=rolled(), size=st.integers(1, 40), log=st.booleans())
def test_calibrated_forecasts_are_bit_equal_when_blocks_are_of_any_size(
    case: tuple[Panel, Origins, int], size: int, log: bool
) -> None:
    panel, origins, horizon = case
    expected = forecast(panel, origins, horizon, None, log=log)
    assert forecast(panel, origins, horizon, size, log=log).tobytes() == expected.tobytes()


@settings(deadline=None)
@given(case=rolled(), size=st.integers(1, 40), data=st.data())
def test_calibrated_forecasts_are_bit_equal_when_what_follows_a_cutoff_is_changed(
    case: tuple[Panel, Origins, int], size: int, data: st.DataObject
) -> None:
    panel, origins, horizon = case
    rank = data.draw(st.integers(0, origins.count - 1))
    expected = forecast(panel, origins, horizon, size)
    for series, cutoff in zip(origins.series, origins.cutoffs(rank), strict=True):
        panel.series(int(series))[cutoff:] = 1e9
    seen = (rank + 1) * len(origins.series)
    assert forecast(panel, origins, horizon, size)[:seen].tobytes() == expected[:seen].tobytes()


def test_calibrated_forecasts_widen_from_the_cutoff_on_at_which_an_outcome_is_known() -> None:
    """The value at position 10 is step 0 of cutoff 10 and step 1 of cutoff 9, both known at 11."""
    values = [0.0] * 10 + [9.0] + [NAN] * 5
    panel = make_panel(values)
    origins = Origins(series=np.array([0]), last=np.array([13]), count=5, stride=1)
    index = origins.windows(np.arange(5))
    calibrated = Calibrated(Fixed(2), np.ones((2, 2)), COVERAGES, 1)
    actual = actual_values(panel, index, 2)
    half_widths = calibrated.forecast(panel, index, np.arange(5), actual)[..., 3]
    # The 0 at position 9, inside, is step 0 of cutoff 9.
    narrower, wider = math.exp(-0.2 * RATE), math.exp(0.6 * RATE)
    np.testing.assert_allclose(half_widths[:, 0], [1, narrower, wider, wider, wider], rtol=1e-12)
    wider = math.exp(0.8 * RATE / math.sqrt(2))
    np.testing.assert_allclose(half_widths[:, 1], [1, 1, wider, wider, wider], rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_calibrated_forecasts_start_from_the_factors_when_nothing_is_known_yet(log: bool) -> None:
    panel = make_panel([1.0] * 8)
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([4]))
    calibrated = Calibrated(Fixed(2, log), np.array([[2.0, 2], [3, 4]]), COVERAGES, 1)
    actual = actual_values(panel, index, 2)
    quantiles = calibrated.forecast(panel, index, np.array([0]), actual)
    expected = np.array([[[-4.0, -2, 0, 2, 4], [-8, -3, 0, 3, 8]]])
    np.testing.assert_allclose(quantiles, 10**expected if log else expected, rtol=1e-12)


def test_calibrated_forecasts_learn_of_all_that_is_known_when_a_cutoff_has_no_window() -> None:
    panel = make_panel([0.0] * 4 + [9.0] * 8)
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([4, 6]))
    calibrated = Calibrated(Fixed(2), np.ones((2, 2)), COVERAGES, 1)
    actual = actual_values(panel, index, 2)
    quantiles = calibrated.forecast(panel, index, np.array([0, 2]), actual)
    wider = [math.exp(0.8 * RATE), math.exp(0.8 * RATE / math.sqrt(2))]
    np.testing.assert_allclose(quantiles[..., 3], [[1, 1], wider], rtol=1e-12)


def test_calibrated_starts_from_the_new_factors_when_it_restarts() -> None:
    panel = make_panel([0.0] * 10 + [9.0] * 10)
    origins = held_out_origins(panel, 2, 8)
    calibrated = Calibrated(Fixed(2), np.ones((2, 2)), COVERAGES, 1)

    def upper_bounds(ranks: range) -> np.ndarray:
        places = np.arange(ranks.start, ranks.stop)
        index = origins.windows(places)
        actual = actual_values(panel, index, 2)
        return calibrated.forecast(panel, index, origins.ranks(places), actual)[..., 3]

    assert (upper_bounds(range(4))[-1] > 1).all()
    calibrated.restart(Fixed(2), np.full((2, 2), 0.25))
    first, second = upper_bounds(range(4, 6))
    # Outcomes of before arrive after it.
    assert (first > 0.25).all()
    assert (first < 0.3).all() and (second > first).all()


def test_calibrated_forecasts_with_the_contender_it_restarted_with() -> None:
    panel = make_panel([1.0, 2, 4, 8, 16, 32])
    calibrated = Calibrated(Fixed(2), np.ones((2, 2)), COVERAGES, 1)
    calibrated.restart(contender("naive"), np.ones((2, 2)))
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([4]))
    actual = actual_values(panel, index, 2)
    median = calibrated.forecast(panel, index, np.array([0]), actual)[..., 2]
    np.testing.assert_array_equal(median, naive(panel.series(0), index.cutoffs, 2, 1).point)


def test_calibrated_factors_stay_when_no_outcome_is_known() -> None:
    panel = make_panel([1.0, 3, *[NAN] * 8, 2])
    origins = held_out_origins(panel, 1, 6)
    known = panel_before(panel, origins, 5)
    index = origins.windows(np.arange(5))
    calibrated = Calibrated(Fixed(1), np.ones((1, 2)), COVERAGES, 1)
    actual = actual_values(known, index, 1)
    assert np.isnan(actual).all()
    quantiles = calibrated.forecast(known, index, np.arange(5), actual)
    np.testing.assert_array_equal(quantiles, Fixed(1).predict_at(known, index))


def test_calibrated_bounds_are_whole_when_the_contender_is_of_whole_numbers() -> None:
    panel = walks(4, [20])
    index = WindowIndex(series=np.array([0]), cutoffs=np.array([12]))
    calibrated = Calibrated(Fixed(3, whole=True), np.full((3, 2), 1.2), (80, 95), stride=1)
    found = calibrated.forecast(panel, index, np.array([0]), actual_values(panel, index, 3))
    assert found.tolist() == [[[-3, -2, 0, 2, 3]] * 3]
