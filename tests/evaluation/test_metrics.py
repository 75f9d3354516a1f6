"""Every metric against utilsforecast's, and against a plain loop where values are missing.

utilsforecast (Nixtla) and this package differ in these definitions, and in no other:

    metric         utilsforecast                      here
    smape          |e| / (|y| + |f|), 0 to 1          200 times that, 0 to 200 (M4)
    mape, wape     a share                            in percent
    coverage       a share; a missing y is outside    in percent; a missing y is left out
    mase, rmsse    inf or NaN where the scale is 0    NaN there
    wql            scaled_crps; huge where all y 0    NaN there
    msis           winkler_score, without a scale     over the scale of mase
    any            no row for a series without y      NaN for it

In both, pinball has no factor 2, bias is forecast - actual, mape leaves out steps whose actual
value is 0, wape is NaN where all are, and a step on which forecast and actual value are both 0 has
a smape of 0. width and crps it has not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from utilsforecast import losses

from rnnforecast.evaluation.metrics import (
    COMPARISONS,
    Metric,
    interval_metrics,
    metrics_for,
    nanmean,
    seasonal_scale,
    seasonal_scales,
)
from rnnforecast.evaluation.scores import WindowScores
from rnnforecast.evaluation.windows import Windows

NAN = math.nan
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
BOUNDS = {"95": (0, 4), "80": (1, 3)}
METRICS = {metric.name: metric for metric in metrics_for(LEVELS)}
QUANTILE_NAMES = ("pinball", "wql", "crps")
FACTORS = {"smape": 200, "mape": 100, "wape": 100, "coverage-80": 100, "coverage-95": 100}
NOT_IN_UTILSFORECAST = ("crps", "width-80", "width-95")


@dataclass(frozen=True, kw_only=True)
class Example:
    """Windows with the histories, unequal in length, that their scales come from."""

    windows: Windows
    histories: tuple[np.ndarray, ...]
    season: int


def example_of(
    actual: np.ndarray, quantiles: np.ndarray, histories: list[np.ndarray], season: int
) -> Example:
    absolute, square = (
        np.array([seasonal_scale(history, season, order) for history in histories])
        for order in (1, 2)
    )
    windows = Windows(
        actual=actual,
        quantiles=quantiles,
        levels=LEVELS,
        absolute_scale=absolute,
        square_scale=square,
    )
    return Example(windows=windows, histories=tuple(histories), season=season)


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
        quantiles[rng.random(quantiles.shape) < 0.05] = np.nan
        for history in histories:
            history[rng.random(len(history)) < 0.3] = np.nan
    return example_of(actual, quantiles, histories, season)


def needed(name: str) -> tuple[int, ...]:
    """The places of the quantiles that a metric reads."""
    if name in QUANTILE_NAMES:
        return tuple(range(len(LEVELS)))
    return BOUNDS[name[-2:]] if name[-2:] in BOUNDS else (2,)


def assert_equals(name: str, example: Example, expected: np.ndarray | list[float]) -> None:
    """Within 1e-9; errors of either sign cancel in a bias only."""
    windows = example.windows
    known = [0.0, *windows.actual[~np.isnan(windows.actual)], *_known(windows.quantiles)]
    tolerance = 1e-14 * float(np.abs(known).max()) if name == "bias" else 0.0
    ours = METRICS[name].by_window(windows)
    assert ours.shape == (len(windows.actual),)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=tolerance, equal_nan=True)


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def oracle(name: str, example: Example) -> np.ndarray:
    """What utilsforecast says [window], by the conversions at the top of this file."""
    windows, count = example.windows, len(example.windows.actual)
    steps = windows.actual.shape[1]
    quantiles = ["m-lo-95", "m-lo-80", "m", "m-hi-80", "m-hi-95"]
    columns = {
        "unique_id": np.repeat(np.arange(count), steps),
        "ds": np.tile(np.arange(steps), count),
        "y": windows.actual.ravel(),
        **{column: windows.quantiles[..., i].ravel() for i, column in enumerate(quantiles)},
    }
    frame = pd.DataFrame(columns).dropna(subset=["y", *(quantiles[i] for i in needed(name))])
    kind, _, level = name.partition("-")
    if kind in ("mase", "rmsse"):
        parts = [
            pd.DataFrame({"unique_id": i, "ds": np.arange(len(history)), "y": history})
            for i, history in enumerate(example.histories)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            table = getattr(losses, kind)(
                frame, models=["m"], seasonality=example.season, train_df=pd.concat(parts)
            )
    elif kind in ("pinball", "wql"):
        function = losses.mqloss if kind == "pinball" else losses.scaled_crps
        table = function(frame, models={"m": quantiles}, quantiles=np.array(LEVELS))
    elif level:
        function = losses.coverage if kind == "coverage" else losses.winkler_score
        table = function(frame, models=["m"], level=int(level))
    else:
        table = getattr(losses, kind)(frame, models=["m"])
    values = table.set_index("unique_id")["m"].reindex(range(count)).to_numpy(dtype=float)
    if kind == "wql":
        sizes = frame["y"].abs().groupby(frame["unique_id"]).sum().reindex(range(count))
        values = np.where(sizes > 0, values, np.nan)
    if kind == "msis":
        values = values / np.where(windows.absolute_scale == 0, np.nan, windows.absolute_scale)
    if kind in ("mase", "rmsse"):
        values = np.where(windows.absolute_scale == 0, np.nan, values)
    return FACTORS.get(name, 1) * values


SHARED = [name for name in METRICS if name not in NOT_IN_UTILSFORECAST]


@pytest.mark.parametrize("missing", (False, True))
@pytest.mark.parametrize("name", SHARED)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_metric_equals_utilsforecast_of_observed_rows_when_panels_are_any(
    name: str, missing: bool, data: st.DataObject
) -> None:
    example = data.draw(examples(missing=missing))
    assert_equals(name, example, oracle(name, example))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else NAN


def _over(numerator: float, denominator: float) -> float:
    return NAN if denominator == 0 else numerator / denominator


def loop_scale(history: np.ndarray, season: int, order: int) -> float:
    errors = []
    for place in range(season, len(history)):
        now, before = float(history[place]), float(history[place - season])
        if not (math.isnan(now) or math.isnan(before)):
            errors.append(abs(now - before) ** order)
    return _mean(errors) ** (1 / order)


def loop_smape(y: float, forecast: float) -> float:
    return 0.0 if y == forecast == 0 else 200 * abs(forecast - y) / (abs(y) + abs(forecast))


def loop_losses(y: float, row: list[float]) -> list[float]:
    return [
        level * (y - quantile) if y >= quantile else (1 - level) * (quantile - y)
        for level, quantile in zip(LEVELS, row, strict=True)
    ]


def loop_crps(y: float, row: list[float]) -> float:
    """Cells of the levels: to 0.0625, to 0.3, to 0.7, to 0.9375, to 1."""
    cells = (0.0625, 0.2375, 0.4, 0.2375, 0.0625)
    return 2 * math.fsum(c * loss for c, loss in zip(cells, loop_losses(y, row), strict=True))


def loop_interval_score(y: float, lower: float, upper: float, coverage: int) -> float:
    outside = lower - y if y < lower else y - upper if y > upper else 0.0
    return upper - lower + 2 / (1 - coverage / 100) * outside


def loop(name: str, example: Example, window: int) -> float:
    """The metric of one window, one step at a time."""
    places = list(needed(name))
    pairs = zip(example.windows.actual[window], example.windows.quantiles[window], strict=True)
    steps = [
        (float(y), [float(q) for q in row])
        for y, row in pairs
        if not math.isnan(y) and not np.isnan(row[places]).any()
    ]
    kind, _, level = name.partition("-")
    scale = loop_scale(example.histories[window], example.season, 2 if kind == "rmsse" else 1)
    size = math.fsum(abs(y) for y, _ in steps)
    if kind in QUANTILE_NAMES:
        mean = _mean([_mean(loop_losses(y, row)) for y, row in steps])
        if kind == "crps":
            return _mean([loop_crps(y, row) for y, row in steps])
        return mean if kind == "pinball" else _over(2 * mean * len(steps), size)
    if level:
        bounded = [(y, row[places[0]], row[places[1]]) for y, row in steps]
        if kind == "coverage":
            return _mean([100.0 * (lower <= y <= upper) for y, lower, upper in bounded])
        if kind == "width":
            return _mean([upper - lower for _, lower, upper in bounded])
        return _over(_mean([loop_interval_score(*b, int(level)) for b in bounded]), scale)
    errors = [row[2] - y for y, row in steps]
    absolute, square = _mean([abs(e) for e in errors]), _mean([e * e for e in errors])
    return {
        "mae": absolute,
        "rmse": math.sqrt(square),
        "bias": _mean(errors),
        "mape": _mean([100 * abs(row[2] - y) / abs(y) for y, row in steps if y != 0]),
        "smape": _mean([loop_smape(y, row[2]) for y, row in steps]),
        "wape": 100 * _over(math.fsum(map(abs, errors)), size),
        "mase": _over(absolute, scale),
        "rmsse": _over(math.sqrt(square), scale),
    }[name]


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None)
@given(example=examples(missing=True))
def test_metric_equals_plain_loop_when_values_are_missing(name: str, example: Example) -> None:
    windows = range(len(example.windows.actual))
    assert_equals(name, example, [loop(name, example, window) for window in windows])


@settings(deadline=None)
@given(example=examples(missing=True))
def test_terms_are_missing_at_the_same_places_when_a_metric_has_several(example: Example) -> None:
    for metric in METRICS.values():
        first, *others = metric.terms(example.windows)
        assert first.shape == example.windows.actual.shape
        for other in others:
            np.testing.assert_array_equal(np.isnan(first), np.isnan(other))


def row(*values: float) -> np.ndarray:
    return np.array([values], dtype=float)


def point_windows(
    actual: np.ndarray, forecast: np.ndarray, absolute: float = 1.0, square: float = 1.0
) -> Windows:
    return Windows(
        actual=actual,
        quantiles=forecast[..., None],
        levels=(0.5,),
        absolute_scale=np.full(len(actual), absolute),
        square_scale=np.full(len(actual), square),
    )


@pytest.mark.parametrize(
    ("name", "actual", "forecast", "expected"),
    [
        ("mae", row(1, 2, 6), row(2, 2, 2), 5 / 3),
        ("rmse", row(1, 2, 6), row(2, 2, 2), math.sqrt(17 / 3)),
        ("bias", row(1, 2, 6), row(2, 2, 2), -1),
        ("bias", row(1, NAN), row(3, 9), 2),
        ("smape", row(0, 1), row(0, -1), 100),
        ("smape", row(0.0), row(3.0), 200),
        ("smape", row(0, 0), row(0, 0), 0),
        ("mape", row(0, 0), row(0, 0), NAN),
        ("wape", row(0, 0), row(0, 0), NAN),
        ("mae", row(0, 0), row(0, 3), 1.5),
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
    value = METRICS[name].by_window(point_windows(actual, forecast))
    np.testing.assert_allclose(value, [expected], rtol=1e-15)


def test_metrics_of_demand_are_the_hand_worked_numbers_when_a_series_is_all_zeros() -> None:
    histories = [np.array([0.0, 4, 0, 0]), np.zeros(4)]
    forecast = np.array([[1.0, 1], [0, 1]])
    quantiles = np.repeat(forecast[..., None], len(LEVELS), axis=2)
    windows = example_of(np.array([[0.0, 3], [0, 0]]), quantiles, histories, 1).windows
    assert windows.absolute_scale[0] == pytest.approx(8 / 3)
    expected = {
        "mae": [1.5, 0.5],
        "mape": [200 / 3, NAN],
        "smape": [(200 + 100) / 2, 100],
        "mase": [1.5 / (8 / 3), NAN],
        "rmsse": [math.sqrt(2.5 / (32 / 3)), NAN],
        "msis-80": [(10 * 2 + 10 * 1) / 2 / (8 / 3), NAN],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(METRICS[name].by_window(windows), values, rtol=1e-12)
    scores = WindowScores([METRICS[name] for name in (*expected, "wape")], 1)
    scores.add(windows, np.zeros(2, np.int64))
    pooled = {name: values[0] for name, values in scores.values().items()}
    for name, values in expected.items():
        assert pooled[name] == pytest.approx(np.nanmean(values), rel=1e-12)
    assert pooled["wape"] == pytest.approx(100 * (1 + 2 + 0 + 1) / 3, rel=1e-12)


def five_quantiles(actual: list[float], bounds: list[float]) -> Windows:
    """The same five quantiles at each step; the history's errors are 2 on the mean."""
    quantiles = np.tile(np.array(bounds, dtype=float), (1, len(actual), 1))
    return example_of(row(*actual), quantiles, [np.array([0.0, 1, 4])], 1).windows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coverage-80", 50),
        ("coverage-95", 75),
        ("width-80", 4),
        ("width-95", 8),
        ("msis-80", (4 + (0 + 0 + 10 * 2 + 10 * 3) / 4) / 2),
        ("msis-95", (8 + (0 + 0 + 0 + 40 * 1) / 4) / 2),
    ],
)
def test_interval_metric_is_the_hand_worked_number_when_values_lie_on_and_beyond_bounds(
    name: str, expected: float
) -> None:
    windows = five_quantiles([0, 2, 4, -5], [-4, -2, 0, 2, 4])
    np.testing.assert_allclose(METRICS[name].by_window(windows), [expected], rtol=1e-12)


def test_crps_is_the_closed_form_when_levels_are_dense() -> None:
    """Of a standard normal forecast at y: y (2 F(y) - 1) + 2 f(y) - 1 / sqrt(pi)."""
    from scipy.stats import norm

    levels = tuple((np.arange(2001) + 0.5) / 2001)
    actual = row(-1.5, 0.0, 0.3, 4.0)
    windows = Windows(
        actual=actual,
        quantiles=np.broadcast_to(norm.ppf(levels), (1, 4, 2001)),
        levels=tuple(0.5 if i == 1000 else level for i, level in enumerate(levels)),
        absolute_scale=np.ones(1),
        square_scale=np.ones(1),
    )
    exact = actual * (2 * norm.cdf(actual) - 1) + 2 * norm.pdf(actual) - 1 / math.sqrt(math.pi)
    np.testing.assert_allclose(METRICS["crps"].terms(windows)[0], exact, atol=1e-3)


@pytest.mark.parametrize("name", list(METRICS)[8:])
def test_metric_of_quantiles_is_undefined_when_the_forecast_is_a_point(name: str) -> None:
    value = METRICS[name].by_window(point_windows(row(1, 2), row(1, 3)))
    np.testing.assert_array_equal(value, [NAN])


def test_interval_metrics_are_undefined_when_the_levels_lack_their_coverage() -> None:
    windows = five_quantiles([0, 2], [-4, -2, 0, 2, 4])
    for metric in interval_metrics(90):
        np.testing.assert_array_equal(metric.by_window(windows), [NAN])


@pytest.mark.parametrize("name", ("mase", "rmsse", "msis-80"))
@pytest.mark.parametrize("history", ([5, 5, 5], [5], [1, NAN, 2]))
def test_scaled_metric_is_undefined_when_history_is_constant_or_too_short(
    name: str, history: list[float]
) -> None:
    example = example_of(row(1, 2), np.ones((1, 2, 5)), [np.array(history, dtype=float)], 1)
    np.testing.assert_array_equal(METRICS[name].by_window(example.windows), [NAN])


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
    scale = seasonal_scale(np.array(history, dtype=float), season, order)
    assert scale == pytest.approx(expected, rel=1e-15, nan_ok=True)


@st.composite
def series(draw: st.DrawFn) -> np.ndarray:
    values = st.sampled_from((NAN, -3.0, 0.0, 0.1, 1.5, 8e5))
    return np.array(draw(st.lists(values, min_size=0, max_size=30)), dtype=float)


@settings(deadline=None)
@given(values=series(), season=st.integers(1, 8), order=st.sampled_from((1, 2)))
def test_seasonal_scales_equal_a_plain_loop_before_each_cutoff_when_values_are_missing(
    values: np.ndarray, season: int, order: int
) -> None:
    cutoffs = np.arange(len(values) + 1)[::-1]
    scales = seasonal_scales(values, cutoffs, season, order)
    looped = [loop_scale(values[:cutoff], season, order) for cutoff in cutoffs]
    np.testing.assert_allclose(scales, looped, rtol=1e-9, equal_nan=True)
    alone = [seasonal_scale(values[:cutoff], season, order) for cutoff in cutoffs]
    np.testing.assert_array_equal(scales, alone)


@settings(deadline=None)
@given(
    values=series(),
    season=st.integers(1, 8),
    cutoff=st.integers(0, 30),
    after=st.sampled_from((NAN, 1e9)),
)
def test_seasonal_scales_keep_every_bit_when_what_follows_the_cutoff_changes(
    values: np.ndarray, season: int, cutoff: int, after: float
) -> None:
    cutoffs = np.arange(min(cutoff, len(values)) + 1)
    changed = values.copy()
    changed[cutoffs[-1] :] = after
    for order in (1, 2):
        np.testing.assert_array_equal(
            seasonal_scales(values, cutoffs, season, order),
            seasonal_scales(changed, cutoffs, season, order),
        )


def test_nanmean_is_taken_over_the_last_axis_when_values_have_several() -> None:
    values = np.array([[[1, 3], [NAN, 5]], [[NAN, NAN], [2, 2]]])
    np.testing.assert_array_equal(nanmean(values), [[2, 5], [NAN, 2]])


def test_nanmean_is_nan_when_nothing_is_there() -> None:
    assert np.isnan(nanmean(np.array([])))


def test_metrics_leave_their_windows_as_they_were_when_computed() -> None:
    windows = five_quantiles([1, NAN, 3], [-4, -2, 0, 2, 4])
    before = {field.name: getattr(windows, field.name) for field in fields(windows)}
    copies = {name: np.array(value) for name, value in before.items()}
    for metric in METRICS.values():
        metric.by_window(windows)
    for name, value in before.items():
        np.testing.assert_array_equal(value, copies[name])


def test_metrics_stand_in_the_order_of_the_table_when_levels_make_two_intervals() -> None:
    names = "mae rmse bias mape smape wape mase rmsse pinball wql crps coverage-80 coverage-95"
    assert list(METRICS) == [*names.split(), "width-80", "width-95", "msis-80", "msis-95"]


def test_interval_metrics_find_their_bounds_when_levels_are_not_exact() -> None:
    levels = ((100 - 99.9) / 200, (100 - 42) / 200, 0.5, (100 + 42) / 200, (100 + 99.9) / 200)
    names = [metric.name for metric in metrics_for(levels)]
    assert names[-6:-4] == ["coverage-42", "coverage-99.9"]
    windows = Windows(
        actual=row(0),
        quantiles=row(-3, -1, 0, 1, 3)[None],
        levels=levels,
        absolute_scale=np.ones(1),
        square_scale=np.ones(1),
    )
    widths = [interval_metrics(coverage)[1].by_window(windows) for coverage in (42, 99.9)]
    np.testing.assert_array_equal(widths, [[2], [6]])


@pytest.mark.parametrize("metric", [*METRICS.values(), *COMPARISONS], ids=lambda row: row.name)
def test_definition_is_told_whole_when_listed(metric: Metric) -> None:
    assert metric.summary and metric.undefined
    assert any(character.isdigit() for character in metric.reference)
