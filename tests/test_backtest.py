"""Rolling origins: which cutoffs are scored, what models may see, and the table of metrics."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.backtest import (
    Scored,
    actual_values,
    baseline_forecasts,
    held_out_origins,
    metrics_table,
    panel_before,
    training_ends,
)
from rnnforecast.config import WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.errors import DataError
from rnnforecast.evaluation import metrics
from tests.panels import make_panel

NAN = math.nan
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def ramps(*lengths: int) -> Panel:
    return make_panel(*[[float(value) for value in range(length)] for length in lengths])


def pairs(index: WindowIndex) -> list[tuple[int, int]]:
    return list(zip(index.series.tolist(), index.cutoffs.tolist(), strict=True))


@pytest.mark.parametrize(
    ("lengths", "horizon", "windows", "step", "expected"),
    [
        pytest.param((10,), 3, 1, 1, [(0, 7)], id="one window"),
        pytest.param((10, 8), 2, 2, 2, [(0, 6), (0, 8), (1, 4), (1, 6)], id="ragged"),
        pytest.param((12,), 2, 3, 1, [(0, 8), (0, 9), (0, 10)], id="windows overlap"),
        pytest.param((20,), 2, 2, 5, [(0, 13), (0, 18)], id="windows apart"),
        pytest.param((20, 7, 8), 4, 1, 1, [(0, 16), (2, 4)], id="short series left out"),
        pytest.param((6, 5, 5), 4, 1, 1, [(0, 2)], id="two values are enough where all are short"),
        pytest.param((3,), 1, 1, 1, [(0, 2)], id="the shortest"),
    ],
)
def test_held_out_origins_are_the_newest_cutoffs_when_series_are_long_enough(
    lengths: tuple[int, ...],
    horizon: int,
    windows: int,
    step: int,
    expected: list[tuple[int, int]],
) -> None:
    assert pairs(held_out_origins(ramps(*lengths), horizon, windows, step)) == expected


@pytest.mark.parametrize(
    ("lengths", "horizon", "windows", "step", "message"),
    [
        (
            (5, 9),
            8,
            1,
            1,
            "horizon 8 is too long: 8 values are held out for scoring, and the longest series has "
            "9; pass a --horizon of at most 7",
        ),
        (
            (20,),
            7,
            3,
            7,
            "3 cutoffs are too many: 21 values are held out for scoring, and the longest series "
            "has 20; pass a --windows of at most 2",
        ),
        (
            (4,),
            50,
            3,
            7,
            "horizon 50 is too long: 64 values are held out for scoring, and the longest series "
            "has 4; pass a --horizon of at most 2",
        ),
        ((2, 1), 1, 1, 1, "the longest series has 2 values; pass longer series"),
    ],
)
def test_held_out_origins_raise_with_a_remedy_when_no_series_is_long_enough(
    lengths: tuple[int, ...], horizon: int, windows: int, step: int, message: str
) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        held_out_origins(ramps(*lengths), horizon, windows, step)


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    horizon=st.integers(1, 30),
    windows=st.integers(1, 4),
    step=st.integers(1, 8),
)
def test_held_out_origins_hold_their_promises_when_lengths_are_any(
    lengths: list[int], horizon: int, windows: int, step: int
) -> None:
    panel = ramps(*lengths)
    try:
        index = held_out_origins(panel, horizon, windows, step)
    except DataError as error:
        assert max(lengths) - horizon - (windows - 1) * step < 2
        remedy = re.search(r"--(horizon|windows) of at most (\d+)", str(error))
        if remedy is None:
            assert max(lengths) <= 2
        elif remedy[1] == "horizon":
            assert len(held_out_origins(panel, int(remedy[2])))
        else:
            assert len(held_out_origins(panel, horizon, int(remedy[2]), step))
            with pytest.raises(DataError):
                held_out_origins(panel, horizon, int(remedy[2]) + 1, step)
        return
    assert len(index) and len(index) % windows == 0
    for series in np.unique(index.series):
        cutoffs = index.cutoffs[index.series == series]
        assert cutoffs[-1] + horizon == lengths[series]
        assert cutoffs[0] >= 2
        assert np.all(np.diff(cutoffs) == step)


@pytest.mark.parametrize(
    ("lengths", "horizon", "expected"),
    [
        pytest.param([100], 3, [90], id="a tenth"),
        pytest.param([100], 30, [70], id="a horizon"),
        pytest.param([6], 3, [3], id="half"),
        pytest.param([3], 1, [2], id="two values remain"),
        pytest.param([100, 5], 3, [90, 5], id="a short series is only trained on"),
    ],
)
def test_training_ends_leave_a_horizon_or_a_tenth_when_series_are_long_enough(
    lengths: list[int], horizon: int, expected: list[int]
) -> None:
    ends = training_ends(np.array(lengths), horizon)
    assert ends is not None
    assert ends.tolist() == expected


@pytest.mark.parametrize(("lengths", "horizon"), [([5], 3), ([2], 1), ([1, 1], 1), ([9, 9], 5)])
def test_training_ends_are_none_when_no_series_leaves_anything(
    lengths: list[int], horizon: int
) -> None:
    assert training_ends(np.array(lengths), horizon) is None


def test_panel_before_ends_at_the_first_cutoff_when_a_series_is_scored() -> None:
    panel = ramps(6, 4)
    known = panel_before(panel, WindowIndex(series=np.array([0, 0]), cutoffs=np.array([5, 3])))
    np.testing.assert_array_equal(known.values, [0, 1, 2, 0, 1, 2, 3])
    np.testing.assert_array_equal(known.lengths, [3, 4])
    assert known.ids == panel.ids


def test_panel_before_is_bit_equal_when_the_future_is_changed() -> None:
    panel, changed = ramps(12, 9), ramps(12, 9)
    index = held_out_origins(panel, 2, 2, 2)
    for series, cutoff in pairs(index):
        changed.series(series)[cutoff:] = 1e9
    first, second = panel_before(panel, index), panel_before(changed, index)
    assert first.values.tobytes() == second.values.tobytes()
    assert first.offsets.tobytes() == second.offsets.tobytes()


def test_actual_values_are_what_followed_when_windows_are_of_several_series() -> None:
    panel = make_panel([0, 1, 2, 3], [10, 11, NAN, 13, 14])
    index = WindowIndex(series=np.array([0, 1, 1]), cutoffs=np.array([2, 1, 3]))
    actual = actual_values(panel, index, 2)
    np.testing.assert_array_equal(actual, [[2, 3], [11, NAN], [13, 14]])


def test_baseline_forecasts_see_only_the_past_when_the_future_is_changed() -> None:
    panel, changed = ramps(12, 9), ramps(12, 9)
    index = held_out_origins(panel, 3)
    for series, cutoff in pairs(index):
        changed.series(series)[cutoff:] = 1e9
    windows = WindowSpec(lookback=4, horizon=3, seasons=(2,))
    for first, second in zip(
        baseline_forecasts(panel, index, windows, LEVELS),
        baseline_forecasts(changed, index, windows, LEVELS),
        strict=True,
    ):
        assert first.quantiles.tobytes() == second.quantiles.tobytes()


def test_baseline_forecasts_stand_for_every_level_when_levels_are_several() -> None:
    panel = make_panel([1, 2, 3, 4, 5, 6, 7])
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([4, 5]))
    windows = WindowSpec(lookback=4, horizon=2, seasons=(2,))
    scored = {model.name: model for model in baseline_forecasts(panel, index, windows, LEVELS)}
    assert list(scored) == ["seasonal-naive", "naive", "drift"]
    np.testing.assert_array_equal(scored["seasonal-naive"].point, [[3, 4], [4, 5]])
    np.testing.assert_array_equal(scored["naive"].point, [[4, 4], [5, 5]])
    np.testing.assert_array_equal(scored["drift"].point, [[5, 6], [6, 7]])
    for model in scored.values():
        assert model.quantiles.shape == (2, 2, len(LEVELS))
        assert not model.intervals
        np.testing.assert_array_equal(model.quantiles, model.quantiles[..., :1].repeat(5, axis=2))


def table_of(
    panel: Panel,
    index: WindowIndex,
    quantiles: np.ndarray,
    *,
    season: int = 1,
    levels: tuple[float, ...] = LEVELS,
) -> pd.DataFrame:
    windows = WindowSpec(lookback=4, horizon=quantiles.shape[1], seasons=(season,))
    model = Scored(name="gru", quantiles=quantiles, levels=levels)
    baselines = baseline_forecasts(panel, index, windows, levels)
    return metrics_table(panel, index, windows, [model, *baselines]).set_index("model")


def test_metrics_table_has_one_row_a_model_when_models_and_baselines_are_scored() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    index = held_out_origins(panel, 2)
    quantiles = np.array([[[0, 8, 9, 9, 9], [0, 1, 9, 10, 16.0]]])
    table = table_of(panel, index, quantiles)
    assert table.index.tolist() == ["gru", "seasonal-naive", "naive", "drift"]
    assert ",".join(table.columns) == (
        "n,mae,rmse,smape,mape,wape,mase,rmsse,pinball,coverage-80,coverage-95,skill"
    )
    gru = table.loc["gru"]
    assert gru["n"] == 2
    assert gru["mae"] == pytest.approx((1 + 7) / 2)
    assert gru["mase"] == pytest.approx(4 / 1.5)
    assert gru["skill"] == pytest.approx(1 - 4 / ((4 + 12) / 2))
    assert (gru["coverage-80"], gru["coverage-95"]) == (50, 100)


def test_metrics_table_gives_the_seasonal_naive_no_skill_and_no_coverage_when_scored() -> None:
    panel = make_panel([1, 2, 4, 8, 16, 5, 3], [5, 9, 2, 7, 7, 1, 8])
    index = held_out_origins(panel, 2)
    table = table_of(panel, index, np.zeros((2, 2, 5)), season=2)
    assert table.loc["seasonal-naive", "skill"] == 0
    assert table.loc[["seasonal-naive", "naive", "drift"], ["coverage-80"]].isna().all(axis=None)
    assert table.loc["gru", "skill"] < 1


def test_metrics_table_counts_only_values_held_against_a_forecast_when_some_are_missing() -> None:
    panel = make_panel([1, 2, 4, NAN, 16], [1, 2, 4, 8, 16], [3, 2, 4, 1, 6])
    index = held_out_origins(panel, 2)
    quantiles = np.ones((3, 2, 5))
    quantiles[2] = NAN
    table = table_of(panel, index, quantiles)
    assert table["n"].tolist() == [3, 3, 3, 3]
    assert table.loc["gru", "mae"] == pytest.approx(np.mean([15, (7 + 15) / 2]))


def test_metrics_table_is_the_mean_over_windows_when_they_differ_in_scale() -> None:
    panel = make_panel([1, 2, 1, 2, 3], [1000, 2000, 1000, 2000, 9000])
    index = held_out_origins(panel, 1)
    table = table_of(panel, index, np.zeros((2, 1, 5)))
    assert table.loc["gru", "mase"] == pytest.approx((3 / 1 + 9000 / 1000) / 2)
    assert table.loc["gru", "mae"] == pytest.approx((3 + 9000) / 2)


def test_metrics_table_leaves_scaled_errors_undefined_when_histories_are_constant() -> None:
    panel = make_panel([5, 5, 5, 5, 6], [2, 2, 2, 2, 2])
    table = table_of(panel, held_out_origins(panel, 1), np.full((2, 1, 5), 5.0))
    assert table[["mase", "rmsse", "skill"]].isna().all(axis=None)
    assert table["mae"].notna().all()


def test_metrics_table_passes_constant_histories_over_when_others_vary() -> None:
    panel = make_panel([5, 5, 5, 5, 6], [1, 2, 1, 2, 3])
    table = table_of(panel, held_out_origins(panel, 1), np.full((2, 1, 5), 5.0))
    assert table.loc["gru", "mase"] == pytest.approx(2)
    assert table.loc["gru", "skill"] == pytest.approx(-1)


def test_metrics_table_leaves_skill_undefined_when_the_seasonal_naive_is_perfect() -> None:
    panel = make_panel([1, 2, 1, 3, 3])
    table = table_of(panel, held_out_origins(panel, 1), np.full((1, 1, 5), 3.0))
    assert table.loc["seasonal-naive", "mase"] == 0
    assert table["skill"].isna().all()


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((0.1, 0.5, 0.9), ["coverage-80"]),
        ((0.025, 0.1, 0.5, 0.9, 0.975), ["coverage-80", "coverage-95"]),
        ((0.0025, 0.05, 0.5, 0.95, 0.9975), ["coverage-90", "coverage-99.5"]),
        ((0.5,), []),
    ],
)
def test_metrics_table_names_coverage_by_level_when_levels_are_any(
    levels: tuple[float, ...], expected: list[str]
) -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    quantiles = np.zeros((1, 1, len(levels)))
    table = table_of(panel, held_out_origins(panel, 1), quantiles, levels=levels)
    assert [name for name in table.columns if name.startswith("coverage")] == expected


def test_metrics_table_agrees_with_the_metrics_when_windows_are_many() -> None:
    rng = np.random.default_rng(0)
    panel = make_panel(*[list(rng.normal(size=30)) for _ in range(4)])
    index = held_out_origins(panel, 3, windows=2, step=3)
    quantiles = np.sort(rng.normal(size=(8, 3, 5)), axis=-1)
    row = table_of(panel, index, quantiles, season=2).loc["gru"]
    actual = actual_values(panel, index, 3)
    for name in ("mae", "rmse", "smape", "mape", "wape"):
        expected = getattr(metrics, name)(actual, quantiles[..., 2]).mean()
        assert row[name] == pytest.approx(expected)
    assert row["pinball"] == pytest.approx(metrics.pinball(actual, quantiles, LEVELS).mean())
    scales = [
        metrics.seasonal_scale(panel.series(series)[:cutoff], 2, 2)
        for series, cutoff in pairs(index)
    ]
    rmsse = metrics.rmsse(actual, quantiles[..., 2], np.array(scales)).mean()
    assert row["rmsse"] == pytest.approx(rmsse)
