"""Windows gathered by index, compared with a plain loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.data.panel import Features, Panel
from rnnforecast.data.windows import (
    WindowGatherer,
    WindowIndex,
    actual_values,
    by_series,
    windows_between,
)
from tests.data.test_panel import ragged
from tests.panels import make_panel

CPU = torch.device("cpu")


def gather(panel: Panel, index: WindowIndex, lookback: int, horizon: int) -> WindowGatherer:
    return WindowGatherer(
        panel, index, lookback=lookback, horizon=horizon, device=CPU, dtype=torch.float64
    )


@given(st.lists(st.tuples(st.integers(-2, 6), st.integers(-2, 6)), min_size=1, max_size=6))
def test_windows_lie_between_both_cutoffs_of_each_series(bounds: list[tuple[int, int]]) -> None:
    first, last = (np.array(ends) for ends in zip(*bounds, strict=True))
    index = windows_between(first, last)
    expected = [(i, c) for i, (low, high) in enumerate(bounds) for c in range(low, high + 1)]
    assert list(zip(index.series.tolist(), index.cutoffs.tolist(), strict=True)) == expected
    assert len(index) == len(expected)


@st.composite
def gathered(draw: st.DrawFn) -> tuple[Panel, WindowIndex, int, int]:
    """A panel with gaps, windows at and past both ends of its series, and their lengths."""
    panel = ragged(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    gaps = draw(st.lists(st.booleans(), min_size=len(panel.values), max_size=len(panel.values)))
    panel.values[np.array(gaps)] = np.nan
    pairs = st.tuples(st.integers(0, len(panel) - 1), st.integers(-3, 12))
    series, cutoffs = zip(*draw(st.lists(pairs, min_size=1, max_size=8)), strict=True)
    index = WindowIndex(series=np.array(series), cutoffs=np.array(cutoffs))
    return panel, index, draw(st.integers(1, 8)), draw(st.integers(1, 5))


@given(gathered())
def test_gather_equals_a_loop_when_windows_meet_gaps_and_ends(
    case: tuple[Panel, WindowIndex, int, int],
) -> None:
    panel, index, lookback, horizon = case
    batch = gather(panel, index, lookback, horizon).gather(torch.arange(len(index)))
    values = torch.cat([batch.values, batch.target], dim=1)
    mask = torch.cat([batch.mask, batch.target_mask], dim=1)
    assert batch.values.shape == (len(index), lookback)
    assert batch.target.shape == (len(index), horizon)
    for window, (i, cutoff) in enumerate(zip(index.series, index.cutoffs, strict=True)):
        series = panel.series(int(i))
        for column, position in enumerate(range(cutoff - lookback, cutoff + horizon)):
            inside = 0 <= position < len(series)
            observed = inside and not np.isnan(series[position])
            assert bool(mask[window, column]) == observed
            assert values[window, column].item() == (series[position] if observed else 0)


@given(gathered(), st.integers(0, 4), st.integers(0, 2**16))
def test_gather_gives_covariates_as_a_loop_when_some_are_missing(
    case: tuple[Panel, WindowIndex, int, int], known: int, seed: int
) -> None:
    """Those known ahead go on for up to `known` steps after the end of a series."""
    panel, index, lookback, horizon = case
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(panel.lengths + rng.integers(0, known + 1))])

    def column(*shape: int) -> np.ndarray:
        drawn = rng.normal(size=shape).astype(np.float32)
        return np.where(rng.random(shape) < 0.2, np.float32(np.nan), drawn)

    past, future = column(len(panel.values), 2), column(int(offsets[-1]), 1)
    static = column(len(panel), 3)
    features = Features(past=past, future=future, future_offsets=offsets, static=static)
    windows = gather(replace(panel, features=features), index, lookback, horizon)
    inputs = windows.gather(torch.arange(len(index))).inputs
    assert inputs is not None
    assert inputs.past.shape == (len(index), lookback, 2)
    assert inputs.future.shape == (len(index), lookback + horizon, 1)
    for window, (i, cutoff) in enumerate(zip(index.series, index.cutoffs, strict=True)):
        before = past[panel.offsets[i] : panel.offsets[i + 1]]
        ahead = future[offsets[i] : offsets[i + 1]]
        for step, position in enumerate(range(cutoff - lookback, cutoff + horizon)):
            if step < lookback:
                inside = 0 <= position < len(before)
                expected = np.nan_to_num(before[position]) if inside else np.zeros(2)
                np.testing.assert_array_equal(inputs.past[window, step], expected)
            inside = 0 <= position < len(ahead)
            expected = np.nan_to_num(ahead[position]) if inside else np.zeros(1)
            np.testing.assert_array_equal(inputs.future[window, step], expected)
        np.testing.assert_array_equal(inputs.static[window], np.nan_to_num(static[i]))


def test_gather_takes_windows_in_the_order_asked_for() -> None:
    index = windows_between(np.array([1, 1]), np.array([4, 3]))
    windows = gather(ragged([5, 4]), index, 2, 1)
    batch = windows.gather(torch.tensor([6, 0, 6]))
    assert len(windows) == 7
    assert batch.values.tolist() == [[101, 102], [0, 0], [101, 102]]
    assert batch.mask.tolist() == [[True, True], [False, True], [True, True]]
    assert batch.target.tolist() == [[103], [1], [103]]


def test_gather_leaves_the_panel_as_it_was() -> None:
    panel = ragged([4])
    panel.values[1] = np.nan
    gather(panel, windows_between(np.array([1]), np.array([3])), 2, 1)
    assert np.array_equal(panel.values, [0, np.nan, 2, 3], equal_nan=True)


@pytest.mark.parametrize(("most", "kept"), [(9, 9), (20, 9), (5, 5), (1, 1)])
def test_thinned_windows_are_spread_evenly_when_there_are_too_many(most: int, kept: int) -> None:
    thinned = windows_between(np.array([0]), np.array([8])).thinned(most)
    assert len(thinned) == kept
    assert len(set(thinned.cutoffs.tolist())) == kept
    assert kept == 1 or np.ptp(np.diff(thinned.cutoffs)) <= 1


@given(st.lists(st.integers(0, 5), max_size=12))
def test_by_series_gives_each_series_its_places_in_order_when_windows_are_in_any(
    series: list[int],
) -> None:
    index = WindowIndex(
        series=np.array(series, dtype=np.int64), cutoffs=np.arange(len(series), dtype=np.int64)
    )
    found = [(name, places.tolist()) for name, places in by_series(index)]
    assert found == [
        (name, [place for place, other in enumerate(series) if other == name])
        for name in sorted(set(series))
    ]


def test_actual_values_are_what_followed_when_windows_are_of_several_series() -> None:
    panel = make_panel([0, 1, 2, 3], [10, 11, np.nan, 13, 14])
    index = WindowIndex(series=np.array([0, 1, 1]), cutoffs=np.array([2, 1, 3]))
    actual = actual_values(panel, index, 2)
    np.testing.assert_array_equal(actual, [[2, 3], [11, np.nan], [13, 14]])


def test_actual_values_are_a_copy_when_they_are_changed() -> None:
    panel = make_panel([0, 1, 2, 3])
    actual_values(panel, WindowIndex(series=np.array([0]), cutoffs=np.array([1])), 2)[:] = 9
    np.testing.assert_array_equal(panel.values, [0, 1, 2, 3])


def test_actual_values_are_unknown_when_a_window_reaches_beyond_its_series() -> None:
    panel = make_panel([1, 2, 3], [4, 5, 6])
    index = WindowIndex(series=np.array([0, 1]), cutoffs=np.array([2, 2]))
    expected = [[3, np.nan], [6, np.nan]]
    np.testing.assert_array_equal(actual_values(panel, index, 2), expected)
