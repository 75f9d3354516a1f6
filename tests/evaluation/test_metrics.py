"""Every metric against utilsforecast's, and against a plain loop where values are missing.

utilsforecast (Nixtla) and this package differ in these definitions, and in no other:

    metric         utilsforecast                      here
    smape          |e| / (|y| + |f|), 0 to 1          200 times that, 0 to 200 (M4)
    mape, wape     a share                            in percent
    coverage       a share; a missing y is outside    in percent; a missing y is left out
    mase, rmsse    inf or NaN where the scale is 0    NaN there
    any            no row for a series without y      NaN for it

In both, pinball has no factor 2, mape leaves out steps whose actual value is 0, wape is NaN where
all are, and a step on which forecast and actual value are both 0 has a smape of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from utilsforecast import losses

from rnnforecast.evaluation import metrics

LEVELS = (0.1, 0.5, 0.9)
TOLERANCE = {"rtol": 1e-9, "atol": 0.0, "equal_nan": True}


@dataclass(frozen=True, kw_only=True)
class Example:
    """Windows with their histories, which are unequal in length."""

    actual: np.ndarray
    quantiles: np.ndarray
    histories: tuple[np.ndarray, ...]
    season: int

    @property
    def forecast(self) -> np.ndarray:
        return self.quantiles[..., 1]

    def scale(self, order: int) -> np.ndarray:
        return np.array([metrics.seasonal_scale(h, self.season, order) for h in self.histories])


@st.composite
def examples(draw: st.DrawFn, missing: bool) -> Example:
    """Series on scales from 1e-3 to 1e6; zeros and constants are frequent, ties too."""
    windows, steps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    season = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** rng.integers(-3, 7, windows)

    def values(scale: float | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        spread = draw(st.sampled_from((0, 1, 50)))
        return scale * (rng.integers(-spread, spread + 1, shape) + draw(st.sampled_from((0, 7))))

    actual = values(scale[:, None], (windows, steps))
    quantiles = np.sort(values(scale[:, None, None], (windows, steps, len(LEVELS))), axis=-1)
    lengths = rng.integers(1, 12, windows)
    histories = [values(scale[i], (int(length),)) for i, length in enumerate(lengths)]
    if missing:
        actual[rng.random(actual.shape) < 0.4] = np.nan
        quantiles[rng.random(actual.shape) < 0.1] = np.nan
        for history in histories:
            history[rng.random(len(history)) < 0.3] = np.nan
    return Example(actual=actual, quantiles=quantiles, histories=tuple(histories), season=season)


def ours(name: str, example: Example) -> np.ndarray:
    actual, forecast = example.actual, example.forecast
    if name == "mase":
        return metrics.mase(actual, forecast, example.scale(1))
    if name == "rmsse":
        return metrics.rmsse(actual, forecast, example.scale(2))
    if name == "pinball":
        return metrics.pinball(actual, example.quantiles, LEVELS)
    if name == "coverage":
        return metrics.coverage(actual, example.quantiles[..., 0], example.quantiles[..., -1])
    function: Callable[[np.ndarray, np.ndarray], np.ndarray] = getattr(metrics, name)
    return function(actual, forecast)


NAMES = ("mae", "rmse", "smape", "mape", "wape", "mase", "rmsse", "pinball", "coverage")
FACTORS = {"smape": 200, "mape": 100, "wape": 100, "coverage": 100}


def oracle(name: str, example: Example) -> np.ndarray:
    """What utilsforecast says [window], by the conversions at the top of this file."""
    windows, steps = example.actual.shape
    columns = {
        "unique_id": np.repeat(np.arange(windows), steps),
        "ds": np.tile(np.arange(steps), windows),
        "y": example.actual.ravel(),
        "m": example.forecast.ravel(),
        "m-lo-80": example.quantiles[..., 0].ravel(),
        "m-hi-80": example.quantiles[..., -1].ravel(),
    }
    frame = pd.DataFrame(columns).dropna()
    if name in ("mase", "rmsse"):
        parts = [
            pd.DataFrame({"unique_id": i, "ds": np.arange(len(history)), "y": history})
            for i, history in enumerate(example.histories)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            table = getattr(losses, name)(
                frame, models=["m"], seasonality=example.season, train_df=pd.concat(parts)
            )
    elif name == "pinball":
        models = {"m": ["m-lo-80", "m", "m-hi-80"]}
        table = losses.mqloss(frame, models=models, quantiles=np.array(LEVELS))
    elif name == "coverage":
        table = losses.coverage(frame, models=["m"], level=80)
    else:
        table = getattr(losses, name)(frame, models=["m"])
    values = table.set_index("unique_id")["m"].reindex(range(windows)).to_numpy(dtype=float)
    if name in ("mase", "rmsse"):
        values = np.where(example.scale(1) == 0, np.nan, values)
    return FACTORS.get(name, 1) * values


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(example=examples(missing=False))
def test_metric_equals_utilsforecast_when_all_is_observed(name: str, example: Example) -> None:
    np.testing.assert_allclose(ours(name, example), oracle(name, example), **TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(example=examples(missing=True))
def test_metric_equals_utilsforecast_of_observed_rows_when_values_are_missing(
    name: str, example: Example
) -> None:
    np.testing.assert_allclose(ours(name, example), oracle(name, example), **TOLERANCE)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _over(numerator: float, denominator: float) -> float:
    return math.nan if denominator == 0 else numerator / denominator


def loop_scale(history: np.ndarray, season: int, order: int) -> float:
    errors = []
    for place in range(season, len(history)):
        now, before = float(history[place]), float(history[place - season])
        if not (math.isnan(now) or math.isnan(before)):
            errors.append(abs(now - before) ** order)
    return _mean(errors) ** (1 / order)


def loop(name: str, example: Example, window: int) -> float:
    """The metric of one window, one step at a time."""
    steps = [
        (float(y), [float(q) for q in row])
        for y, row in zip(example.actual[window], example.quantiles[window], strict=True)
        if not math.isnan(y) and not np.isnan(row).any()
    ]
    errors = [row[1] - y for y, row in steps]
    if name in ("mae", "mase"):
        mean = _mean([abs(error) for error in errors])
        scale = loop_scale(example.histories[window], example.season, 1)
        return mean if name == "mae" else _over(mean, scale)
    if name in ("rmse", "rmsse"):
        root = math.sqrt(_mean([error * error for error in errors]))
        scale = loop_scale(example.histories[window], example.season, 2)
        return root if name == "rmse" else _over(root, scale)
    if name == "smape":
        sizes = [abs(y) + abs(row[1]) for y, row in steps]
        return _mean([200 * abs(e) / s if s else 0.0 for e, s in zip(errors, sizes, strict=True)])
    if name == "mape":
        return _mean([100 * abs(row[1] - y) / abs(y) for y, row in steps if y != 0])
    if name == "wape":
        return 100 * _over(math.fsum(map(abs, errors)), math.fsum(abs(y) for y, _ in steps))
    if name == "coverage":
        return _mean([100.0 * (row[0] <= y <= row[-1]) for y, row in steps])
    terms = []
    for y, row in steps:
        for level, quantile in zip(LEVELS, row, strict=True):
            terms.append(level * (y - quantile) if y >= quantile else (1 - level) * (quantile - y))
    return _mean(terms)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(example=examples(missing=True))
def test_metric_equals_plain_loop_when_values_are_missing(name: str, example: Example) -> None:
    expected = [loop(name, example, window) for window in range(len(example.actual))]
    np.testing.assert_allclose(ours(name, example), expected, **TOLERANCE)


@pytest.mark.parametrize("order", (1, 2))
@settings(max_examples=60, deadline=None)
@given(example=examples(missing=True))
def test_seasonal_scale_equals_plain_loop_when_values_are_missing(
    order: int, example: Example
) -> None:
    expected = [loop_scale(history, example.season, order) for history in example.histories]
    np.testing.assert_allclose(example.scale(order), expected, **TOLERANCE)


def row(*values: float) -> np.ndarray:
    return np.array([values])


NAN = math.nan


@pytest.mark.parametrize(
    ("name", "actual", "forecast", "expected"),
    [
        ("mae", row(1, 2, 6), row(2, 2, 2), 5 / 3),
        ("rmse", row(1, 2, 6), row(2, 2, 2), math.sqrt(17 / 3)),
        ("smape", row(0, 1), row(0, -1), 100),
        ("smape", row(0.0), row(3.0), 200),
        ("mape", row(0, 2, -4), row(5, 3, -3), 37.5),
        ("mape", row(0, 0), row(1, 0), NAN),
        ("wape", row(0, 2, -6), row(1, 2, -3), 50),
        ("wape", row(0, 0), row(1, 1), NAN),
        ("wape", row(4, 100), row(5, NAN), 25),
        ("mae", row(NAN, NAN), row(1, 2), NAN),
        ("rmse", row(1.0), row(NAN), NAN),
    ],
)
def test_metric_is_the_hand_worked_number_when_windows_are_small(
    name: str, actual: np.ndarray, forecast: np.ndarray, expected: float
) -> None:
    np.testing.assert_allclose(getattr(metrics, name)(actual, forecast), [expected], rtol=1e-15)


@pytest.mark.parametrize(
    ("history", "season", "order", "expected"),
    [
        ([1, 4, 2, 8], 1, 1, 11 / 3),
        ([1, 4, 2, 8], 2, 1, 2.5),
        ([1, 4, 2, 8], 2, 2, math.sqrt(8.5)),
        ([1, NAN, 2, 8], 2, 1, 1),
        ([1, NAN, NAN, 8], 2, 1, NAN),
        ([5, 5, 5], 1, 1, 0),
        ([5], 1, 1, NAN),
        ([5, 6], 2, 1, NAN),
        ([5, 6], 12, 2, NAN),
    ],
)
def test_seasonal_scale_is_the_hand_worked_number_when_history_is_small(
    history: list[float], season: int, order: int, expected: float
) -> None:
    scale = metrics.seasonal_scale(np.array(history, dtype=float), season, order)
    assert scale == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize("name", ("mase", "rmsse"))
@pytest.mark.parametrize("scale", (0.0, NAN))
def test_scaled_metric_is_undefined_when_history_is_constant_or_too_short(
    name: str, scale: float
) -> None:
    value = getattr(metrics, name)(row(1, 2), row(1, 3), np.array([scale]))
    assert np.isnan(value).all()


def test_pinball_is_half_the_absolute_error_when_the_only_level_is_the_median() -> None:
    actual, forecast = row(1, 5, NAN), row(3, 4, 9)
    pinball = metrics.pinball(actual, forecast[..., None], (0.5,))
    np.testing.assert_array_equal(pinball, metrics.mae(actual, forecast) / 2)


def test_coverage_counts_the_bounds_as_inside_when_the_actual_value_lies_on_one() -> None:
    inside = metrics.coverage(row(1, 3, 0.9, 3.1), np.full((1, 4), 1.0), np.full((1, 4), 3.0))
    np.testing.assert_array_equal(inside, [50.0])


def test_coverage_leaves_a_step_out_when_a_bound_or_the_actual_value_is_missing() -> None:
    lower, upper = row(0, NAN, 0, 2), row(2, 2, NAN, 3)
    np.testing.assert_array_equal(metrics.coverage(row(1, 1, 1, 1), lower, upper), [50.0])
    np.testing.assert_array_equal(metrics.coverage(row(NAN, NAN), row(0, 0), row(1, 1)), [NAN])


def test_nanmean_is_taken_over_the_last_axis_when_values_have_several() -> None:
    values = np.array([[[1, 3], [NAN, 5]], [[NAN, NAN], [2, 2]]])
    np.testing.assert_array_equal(metrics.nanmean(values), [[2, 5], [NAN, 2]])


def test_nanmean_is_nan_when_nothing_is_there() -> None:
    assert np.isnan(metrics.nanmean(np.array([])))


def test_metrics_leave_their_arguments_as_they_were_when_called() -> None:
    actual, quantiles = row(1, NAN, 3), np.full((1, 3, 3), 2.0)
    example = Example(actual=actual, quantiles=quantiles, histories=(row(1, 2)[0],), season=1)
    for name in NAMES:
        ours(name, example)
    np.testing.assert_array_equal(actual, row(1, NAN, 3))
    np.testing.assert_array_equal(quantiles, np.full((1, 3, 3), 2.0))
