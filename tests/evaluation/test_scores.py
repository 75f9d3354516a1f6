"""Scores that are added block by block against loops over all windows at once."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.evaluation.metrics import metrics_for
from rnnforecast.evaluation.scores import StepScores, WindowScores
from rnnforecast.evaluation.windows import Windows

NAN = math.nan
LEVELS = (0.1, 0.5, 0.9)
METRICS = metrics_for(LEVELS)
GROUPS = 3
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}


@st.composite
def any_windows(draw: st.DrawFn) -> Windows:
    """Windows with gaps, zeros and scales that are 0 or unknown; there may be none."""
    count, steps = draw(st.integers(0, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    actual = rng.integers(-2, 6, (count, steps)).astype(float)
    quantiles = np.sort(rng.normal(2, 2, (count, steps, 3)), axis=-1)
    actual[rng.random(actual.shape) < 0.4] = np.nan
    quantiles[rng.random(quantiles.shape) < 0.1] = np.nan
    scales = rng.choice([0.0, 0.5, 3.0, np.nan], (2, count))
    return Windows(
        actual=actual,
        quantiles=quantiles,
        levels=LEVELS,
        absolute_scale=scales[0],
        square_scale=scales[1],
    )


def part(windows: Windows, places: np.ndarray | slice) -> Windows:
    """Some of the windows."""
    arrays = {f.name: getattr(windows, f.name)[places] for f in fields(windows) if _is_array(f)}
    return replace(windows, **arrays)


def _is_array(field: object) -> bool:
    return getattr(field, "name", "") not in ("levels", "shared")


def blocks(windows: Windows, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, len(windows.actual), size)]


def assert_same(first: WindowScores | StepScores, second: WindowScores | StepScores) -> None:
    for name, values in first.values().items():
        np.testing.assert_allclose(values, second.values()[name], **TOLERANCE)
        np.testing.assert_array_equal(first.counts()[name], second.counts()[name])
    np.testing.assert_array_equal(first.observed(), second.observed())
    np.testing.assert_array_equal(first.windows(), second.windows())


def scored(windows: Windows) -> np.ndarray:
    """Where an actual value has a forecast [window, step]."""
    return ~np.isnan(windows.actual) & ~np.isnan(windows.quantiles[..., 1])


@settings(deadline=None)
@given(windows=any_windows(), size=st.integers(1, 5), seed=st.integers(0, 99))
def test_window_scores_are_the_same_when_added_in_one_block_or_in_many(
    windows: Windows, size: int, seed: int
) -> None:
    group = np.random.default_rng(seed).integers(0, GROUPS, len(windows.actual))
    whole, parts = WindowScores(METRICS, GROUPS), WindowScores(METRICS, GROUPS)
    whole.add(windows, group)
    for block in blocks(windows, size):
        parts.add(part(windows, block), group[block])
    assert_same(whole, parts)


@settings(deadline=None)
@given(windows=any_windows(), size=st.integers(1, 5))
def test_step_scores_are_the_same_when_added_in_one_block_or_in_many(
    windows: Windows, size: int
) -> None:
    steps = windows.actual.shape[1]
    whole, parts = StepScores(METRICS, steps), StepScores(METRICS, steps)
    whole.add(windows)
    for block in blocks(windows, size):
        parts.add(part(windows, block))
    assert_same(whole, parts)


@settings(deadline=None)
@given(windows=any_windows(), seed=st.integers(0, 99))
def test_window_scores_equal_a_loop_over_windows_when_groups_are_any(
    windows: Windows, seed: int
) -> None:
    group = np.random.default_rng(seed).integers(0, GROUPS, len(windows.actual))
    scores = WindowScores(METRICS, GROUPS)
    scores.add(windows, group)
    for metric in METRICS:
        by_window = metric.by_window(windows)
        for place in range(GROUPS):
            known = [float(v) for v in by_window[group == place] if not math.isnan(v)]
            mean = math.fsum(known) / len(known) if known else NAN
            terms = metric.terms(part(windows, group == place))
            assert scores.terms()[metric.name][place] == np.count_nonzero(~np.isnan(terms[0]))
            if metric.pooled and known:
                mean = math.fsum(terms[0][~np.isnan(terms[0])])
                mean /= math.fsum(terms[1][~np.isnan(terms[1])])
            np.testing.assert_allclose(scores.values()[metric.name][place], mean, **TOLERANCE)
            assert scores.counts()[metric.name][place] == len(known)
    for place in range(GROUPS):
        assert scores.windows()[place] == np.count_nonzero(group == place)
        assert scores.observed()[place] == np.count_nonzero(scored(windows)[group == place])


@settings(deadline=None)
@given(windows=any_windows())
def test_step_scores_equal_a_loop_over_cells_when_windows_are_any(windows: Windows) -> None:
    count, steps = windows.actual.shape
    scores = StepScores(METRICS, steps)
    scores.add(windows)
    for metric in METRICS:
        for step in range(steps):
            known = []
            for window in range(count):
                one = part(windows, slice(window, window + 1))
                cell = replace(
                    one,
                    actual=one.actual[:, step : step + 1],
                    quantiles=one.quantiles[:, step : step + 1],
                )
                terms = [float(term[0, 0]) for term in metric.terms(cell)]
                if not math.isnan(terms[0]):
                    known.append(terms)
            means = [np.array(math.fsum(term) / len(known)) for term in zip(*known, strict=True)]
            value = metric.combine(*means) if known else NAN
            np.testing.assert_allclose(scores.values()[metric.name][step], value, **TOLERANCE)
            assert scores.counts()[metric.name][step] == len(known)
    np.testing.assert_array_equal(scores.observed(), scored(windows).sum(0))
    np.testing.assert_array_equal(scores.windows(), [count] * steps)


def two_windows() -> Windows:
    """Forecasts of 2 for (1, 5) and (-4, unknown), on scales of 1 and 2."""
    return Windows(
        actual=np.array([[1, 5], [-4, NAN]]),
        quantiles=np.full((2, 2, 1), 2.0),
        levels=(0.5,),
        absolute_scale=np.array([1.0, 2.0]),
        square_scale=np.array([1.0, 2.0]),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", [3.5, 3]),
        ("rmse", [math.sqrt((1 + 36) / 2), 3]),
        ("bias", [3.5, -3]),
        ("wape", [100 * 7 / 5, 60]),
        ("mase", [(1 + 3) / 2, 3]),
        ("rmsse", [math.sqrt((1 + 9) / 2), 3]),
        ("pinball", [NAN, NAN]),
    ],
)
def test_step_scores_are_the_hand_worked_numbers_when_windows_are_small(
    name: str, expected: list[float]
) -> None:
    scores = StepScores(METRICS, 2)
    scores.add(two_windows())
    np.testing.assert_allclose(scores.values()[name], expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", [(2 + 6) / 2, NAN]),
        ("rmse", [(math.sqrt(5) + 6) / 2, NAN]),
        ("wape", [100 * (4 + 6) / (6 + 4), NAN]),
    ],
)
def test_window_scores_are_the_hand_worked_numbers_when_windows_are_small(
    name: str, expected: list[float]
) -> None:
    scores = WindowScores(METRICS, 2)
    scores.add(two_windows(), np.array([0, 0]))
    np.testing.assert_allclose(scores.values()[name], expected, rtol=1e-15)
    np.testing.assert_array_equal(scores.counts()[name], [2, 0])
    np.testing.assert_array_equal(scores.observed(), [3, 0])
    np.testing.assert_array_equal(scores.windows(), [2, 0])


@pytest.mark.parametrize("scores", (WindowScores(METRICS, 2), StepScores(METRICS, 2)))
def test_scores_are_undefined_when_nothing_was_added(scores: WindowScores | StepScores) -> None:
    assert list(scores.values()) == [metric.name for metric in METRICS]
    for values in scores.values().values():
        np.testing.assert_array_equal(values, [NAN, NAN])


def test_scores_keep_what_they_gave_when_more_is_added() -> None:
    scores = WindowScores(METRICS, 2)
    scores.add(two_windows(), np.array([0, 0]))
    values, counts, observed, windows = (
        scores.values()["mae"],
        scores.counts()["mae"],
        scores.observed(),
        scores.windows(),
    )
    scores.add(part(two_windows(), slice(0, 1)), np.array([1]))
    assert values[0] == 4 and math.isnan(values[1])
    np.testing.assert_array_equal([counts, observed, windows], [[2, 0], [3, 0], [2, 0]])


def test_window_scores_are_infinite_when_a_forecast_is() -> None:
    windows = replace(two_windows(), quantiles=np.array([[[2.0], [np.inf]], [[2.0], [2.0]]]))
    scores = WindowScores([metric for metric in METRICS if metric.name == "mae"], 1)
    scores.add(windows, np.array([0, 0]))
    assert scores.values()["mae"].tolist() == [np.inf]
