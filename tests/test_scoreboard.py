"""The table of metrics against loops and groupings of single errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.backtest import Origins, held_out_origins
from rnnforecast.config import WindowSpec
from rnnforecast.contenders import BaselineContender
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import WindowIndex, actual_values
from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.baselines import BASELINES, naive2
from rnnforecast.evaluation.metrics import seasonal_scale
from rnnforecast.evaluation.significance import diebold_mariano
from rnnforecast.scoreboard import (
    LEAST_COMPARED,
    NAIVE2,
    SEASONAL_NAIVE,
    Block,
    Forecasts,
    Scoreboard,
)
from tests.panels import make_panel

NAN = math.nan
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
POINT = (0.5,)
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12, "equal_nan": True}
Quantiles = Mapping[str, tuple[np.ndarray, tuple[float, ...]]]


def scored(
    panel: Panel,
    origins: Origins,
    quantiles: Quantiles,
    *,
    season: int = 1,
    by: str = "model",
    size: int | None = None,
) -> Scoreboard:
    """A board to which all windows were added, `size` at a time."""
    horizon = next(iter(quantiles.values()))[0].shape[1]
    board = Scoreboard(
        panel,
        {name: levels for name, (_, levels) in quantiles.items()},
        horizon=horizon,
        season=season,
        cutoffs=cutoff_times(panel, origins),
        by=by,
    )
    for start in range(0, len(origins), size or len(origins)):
        places = np.arange(start, min(start + (size or len(origins)), len(origins)))
        index = origins.windows(places)
        forecasts = {
            name: Forecasts(values[places], levels) for name, (values, levels) in quantiles.items()
        }
        board.add(
            Block(
                index=index,
                actual=actual_values(panel, index, horizon),
                forecasts=forecasts,
            )
        )
    return board


def cutoff_times(panel: Panel, origins: Origins) -> np.ndarray:
    """The last times known at all cutoffs."""
    index = origins.windows(np.arange(len(origins)))
    return panel.times(index.series, index.cutoffs - 1)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[Panel, Origins, Quantiles]:
    """Ragged series with gaps that begin at different times, forecast by four models."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    horizon, stride, count = (draw(st.integers(1, most)) for most in (3, 3, 3))
    least = horizon + (count - 1) * stride + 2
    lengths = draw(st.lists(st.integers(least, least + 6), min_size=1, max_size=3))
    series = [rng.integers(0, 6, length).astype(float) for length in lengths]
    for values in series:
        values[rng.random(len(values)) < 0.2] = NAN
        values[:-1] = values[0] if rng.random() < 0.2 else values[:-1]
    panel = make_panel(*(values.tolist() for values in series))
    panel = replace(panel, starts=rng.integers(0, 3, len(panel)))
    origins = held_out_origins(panel, horizon, count, stride)
    quantiles = {}
    for name, levels in (
        ("gru", LEVELS),
        ("point", POINT),
        (SEASONAL_NAIVE, LEVELS),
        (NAIVE2, LEVELS),
    ):
        values = np.sort(rng.integers(-1, 8, (len(origins), horizon, len(levels))) * 1.0, axis=-1)
        values[rng.random(values.shape[:2]) < 0.1] = NAN
        values[rng.random(len(values)) < 0.1] = NAN
        quantiles[name] = (values, levels)
    return panel, origins, quantiles


def elementwise(panel: Panel, origins: Origins, quantiles: Quantiles, season: int) -> pd.DataFrame:
    """One row a model, window and step, with the terms of some metrics."""
    rows = []
    index = origins.windows(np.arange(len(origins)))
    for window, (series, cutoff) in enumerate(zip(index.series, index.cutoffs, strict=True)):
        values = panel.series(int(series))
        scales = [seasonal_scale(values[:cutoff], season, order) for order in (1, 2)]
        scales = [scale if scale > 0 else NAN for scale in scales]
        for step in range(next(iter(quantiles.values()))[0].shape[1]):
            actual = values[cutoff + step]
            for forecasts, levels in quantiles.values():
                if math.isnan(forecasts[window, step, len(levels) // 2]):
                    actual = NAN
            for name, (forecasts, levels) in quantiles.items():
                row = forecasts[window, step]
                error = row[len(levels) // 2] - actual
                size = abs(actual) + abs(row[len(levels) // 2])
                losses = [
                    max(level * (actual - value), (level - 1) * (actual - value))
                    for level, value in zip(levels, row, strict=True)
                ]
                interval = levels == LEVELS and not math.isnan(actual)
                rows.append(
                    {
                        "model": name,
                        "series": panel.ids[int(series)],
                        "cutoff": panel.starts[series] + cutoff - 1,
                        "rank": int(origins.ranks(np.array([window]))[0]),
                        "step": step + 1,
                        "n": not math.isnan(error),
                        "size": abs(actual) if not math.isnan(error) else NAN,
                        "mae": abs(error),
                        "rmse": error**2,
                        "bias": error,
                        "smape": 200 * abs(error) / size if size != 0 else 0.0,
                        "mase": abs(error) / scales[0],
                        "rmsse": (error / scales[1]) ** 2,
                        "pinball": np.mean(losses) if interval else NAN,
                        "coverage-80": 100.0 * (row[1] <= actual <= row[3]) if interval else NAN,
                        "width-95": row[4] - row[0] if interval else NAN,
                    }
                )
    return pd.DataFrame(rows)


METRICS = ("mae", "rmse", "bias", "smape", "mase", "rmsse", "pinball", "coverage-80", "width-95")
ROOTS = ("rmse", "rmsse")
GROUP_COLUMNS = {"model": "all", "series": "series", "step": "step", "cutoff": "cutoff"}


def naive_table(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Means of the means of windows, but for steps; model and group are the index."""
    rows = rows.assign(all=0)
    group = ["model", GROUP_COLUMNS[by]]
    metrics = list(METRICS)
    if by == "step":
        table = rows.groupby(group)[metrics].mean()
        table[list(ROOTS)] **= 0.5
        table["windows"] = rows.groupby(group).size()
    else:
        windows = rows.groupby(["model", "series", "cutoff", "all"])[metrics].mean()
        windows[list(ROOTS)] **= 0.5
        table = windows.reset_index().groupby(group)[metrics].mean()
        table["windows"] = windows.groupby(group).size()
    table["n"] = rows.groupby(group)["n"].sum()
    sums = rows.groupby(group)[["mae", "size"]].sum()
    table["wape"] = 100 * sums["mae"] / sums["size"].where(sums["size"] > 0)
    return table


@pytest.mark.parametrize("by", GROUP_COLUMNS)
@settings(max_examples=15, deadline=None)
@given(case=comparisons(), size=st.integers(1, 9), season=st.integers(1, 3))
def test_table_equals_a_grouping_of_single_errors_when_blocks_are_of_any_size(
    by: str, case: tuple[Panel, Origins, Quantiles], size: int, season: int
) -> None:
    panel, origins, quantiles = case
    board = scored(panel, origins, quantiles, season=season, by=by, size=size)
    table = board.table()
    expected = naive_table(elementwise(panel, origins, quantiles, season), by)
    assert len(table) == len(expected)
    columns = ["model", {"model": "all"}.get(by, board.column)]
    found = table.assign(all=0).set_index(columns).reindex(expected.index)
    for name in expected.columns:
        np.testing.assert_allclose(
            found[name].astype(float), expected[name].astype(float), **TOLERANCE, err_msg=name
        )
    positive = {
        (name, metric): expected.xs(name)[metric].where(expected.xs(name)[metric] > 0)
        for name, metric in ((SEASONAL_NAIVE, "mase"), (NAIVE2, "smape"), (NAIVE2, "mase"))
    }
    for name in quantiles:
        own, rows = expected.xs(name), found.xs(name)
        skill = 1 - own["mase"] / positive[SEASONAL_NAIVE, "mase"]
        np.testing.assert_allclose(rows["skill"], skill, **TOLERANCE)
        shares = [own[metric] / positive[NAIVE2, metric] for metric in ("smape", "mase")]
        np.testing.assert_allclose(rows["owa"], (shares[0] + shares[1]) / 2, **TOLERANCE)


@settings(max_examples=15, deadline=None)
@given(case=comparisons())
def test_scoreboard_counts_windows_without_forecast_when_any_model_has_none(
    case: tuple[Panel, Origins, Quantiles],
) -> None:
    panel, origins, quantiles = case
    board = scored(panel, origins, quantiles, size=3)
    index = origins.windows(np.arange(len(origins)))
    expected = {}
    for name, (values, _) in quantiles.items():
        without = [
            w for w in range(len(origins)) if np.isnan(values[w, :, values.shape[-1] // 2]).all()
        ]
        if without:
            expected[name] = (len(without), panel.ids[int(index.series[without[0]])])
    assert (board.windows, board.unread) == (len(origins), expected)


def test_scoreboard_names_the_first_series_when_windows_of_several_have_no_forecast() -> None:
    panel = make_panel(*[[1.0, 2, 4, 8, 16, 5]] * 3)
    quantiles = np.zeros((6, 1, 1))
    quantiles[[1, 3, 5]] = NAN
    board = scored(panel, held_out_origins(panel, 1, 2), {"gru": (quantiles, POINT)}, size=3)
    assert (board.unread, board.windows) == ({"gru": (3, "s1")}, 6)


@settings(max_examples=15, deadline=None)
@given(case=comparisons())
def test_undefined_counts_values_that_only_some_metrics_have_when_scales_are_missing(
    case: tuple[Panel, Origins, Quantiles],
) -> None:
    panel, origins, quantiles = case
    rows = elementwise(panel, origins, quantiles, 1)
    defined = rows[rows["model"] == "gru"][list(METRICS)].notna().sum()
    undefined = scored(panel, origins, quantiles).undefined()
    for name in METRICS:
        expected = defined["mae"] - defined[name] if defined[name] < defined["mae"] else None
        assert undefined.get(name) == expected


@pytest.mark.parametrize("by", ["model", "series", "step", "cutoff"])
def test_group_by_gives_what_tables_are_labelled_with_when_series_are_ragged(by: str) -> None:
    """s1 begins a day later and ends two days earlier than s0."""
    panel = replace(
        make_panel([1, 2, 3, 4, 5, 6], [3, 1, 2]),
        starts=np.array([0, DAY]),
        frequency=Frequency(unit="microsecond", count=DAY, date_only=True),
    )
    origins = held_out_origins(panel, 1)
    quantiles = {"gru": (np.zeros((2, 1, 1)), POINT), "naive": (np.ones((2, 1, 1)), POINT)}
    board = scored(panel, origins, quantiles, by=by)
    table = board.table()
    labels = {
        "model": [],
        "series": ["s0", "s0", "s1", "s1"],
        "step": [1, 1],
        "cutoff": ["1970-01-03", "1970-01-03", "1970-01-05", "1970-01-05"],
    }
    column = {"series": "unique_id"}.get(by, by)
    assert table.columns[0] == column
    assert by == "model" or table[column].tolist() == labels[by]
    assert table["model"].tolist() == ["gru", "naive"] * (1 if by in ("model", "step") else 2)
    assert table["n"].sum() == len(quantiles) * len(panel)


def test_table_leaves_series_out_when_they_are_not_scored() -> None:
    panel = make_panel([1, 2, 3, 4, 5, 6], [1, 2], [6, 5, 4, 3, 2, 1])
    origins = held_out_origins(panel, 2)
    quantiles = {"gru": (np.zeros((2, 2, 1)), POINT)}
    assert scored(panel, origins, quantiles, by="series").table()["unique_id"].tolist() == [
        "s0",
        "s2",
    ]


def test_by_model_is_over_all_windows_when_rows_stand_for_series() -> None:
    panel = make_panel([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])
    origins = held_out_origins(panel, 2)
    quantiles = {"gru": (np.zeros((2, 2, 5)), LEVELS)}
    by_series, whole = (scored(panel, origins, quantiles, by=way) for way in ("series", "model"))
    pd.testing.assert_frame_equal(by_series.by_model(), whole.table())


def table_of(
    panel: Panel,
    origins: Origins,
    quantiles: np.ndarray,
    *,
    season: int = 1,
    levels: tuple[float, ...] = LEVELS,
    more: bool = False,
) -> pd.DataFrame:
    """The table of a model beside the baselines, and Naive2 with `more`."""
    windows = WindowSpec(lookback=4, horizon=quantiles.shape[1], seasons=(season,))
    index = origins.windows(np.arange(len(origins)))
    forecasts = {"gru": (quantiles, levels)}
    chosen = {name: BASELINES[name] for name in (SEASONAL_NAIVE, "naive", "drift")}
    for name, baseline in (chosen | ({NAIVE2: naive2} if more else {})).items():
        contender = BaselineContender(name=name, baseline=baseline, windows=windows, levels=levels)
        forecasts[name] = (contender.predict_at(panel, index), levels)
    return scored(panel, origins, forecasts, season=season).by_model().set_index("model")


def test_table_has_one_row_a_model_when_models_and_baselines_are_scored() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    quantiles = np.array([[[0, 8, 9, 9, 9], [0, 1, 9, 10, 16.0]]])
    table = table_of(panel, held_out_origins(panel, 2), quantiles)
    assert table.index.tolist() == ["gru", SEASONAL_NAIVE, "naive", "drift"]
    assert ",".join(table.columns) == (
        "n,windows,mae,rmse,bias,mape,smape,wape,mase,rmsse,pinball,wql,crps,"
        "coverage-80,coverage-95,width-80,width-95,msis-80,msis-95,skill"
    )
    gru = table.loc["gru"]
    assert (gru["n"], gru["windows"]) == (2, 1)
    assert gru["mae"] == pytest.approx((1 + 7) / 2)
    assert gru["bias"] == pytest.approx((1 - 7) / 2)
    assert gru["mase"] == pytest.approx(4 / 1.5)
    assert gru["skill"] == pytest.approx(1 - 4 / ((4 + 12) / 2))
    assert (gru["coverage-80"], gru["coverage-95"]) == (50, 100)


def test_table_gives_the_seasonal_naive_no_skill_and_naive2_an_owa_of_one_when_scored() -> None:
    panel = make_panel([1, 2, 4, 8, 16, 5, 3], [5, 9, 2, 7, 7, 1, 8])
    table = table_of(panel, held_out_origins(panel, 2), np.zeros((2, 2, 5)), season=2, more=True)
    assert table.loc[SEASONAL_NAIVE, "skill"] == 0
    assert table.loc[NAIVE2, "owa"] == 1
    assert table.loc["gru", "skill"] < 1
    assert table.loc["gru", "owa"] == pytest.approx(
        (200 / table.loc[NAIVE2, "smape"] + table.loc["gru", "mase"] / table.loc[NAIVE2, "mase"])
        / 2
    )


def test_table_has_no_comparison_when_the_other_model_was_not_scored() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    quantiles = {"gru": (np.zeros((1, 2, 5)), LEVELS)}
    table = scored(panel, held_out_origins(panel, 2), quantiles).by_model()
    assert table["skill"].isna().all()
    assert "owa" not in table


def test_table_counts_only_values_held_against_a_forecast_when_some_are_missing() -> None:
    panel = make_panel([1, 2, 4, NAN, 16], [1, 2, 4, 8, 16], [3, 2, 4, 1, 6])
    quantiles = np.ones((3, 2, 5))
    quantiles[2] = NAN
    table = table_of(panel, held_out_origins(panel, 2), quantiles)
    assert table["n"].tolist() == [3, 3, 3, 3]
    assert table["windows"].tolist() == [3, 3, 3, 3]
    assert table.loc["gru", "mae"] == pytest.approx(np.mean([15, (7 + 15) / 2]))


def test_table_is_the_mean_over_windows_when_they_differ_in_scale() -> None:
    panel = make_panel([1, 2, 1, 2, 3], [1000, 2000, 1000, 2000, 9000])
    table = table_of(panel, held_out_origins(panel, 1), np.zeros((2, 1, 5)))
    assert table.loc["gru", "mase"] == pytest.approx((3 / 1 + 9000 / 1000) / 2)
    assert table.loc["gru", "mae"] == pytest.approx((3 + 9000) / 2)


def test_table_leaves_scaled_errors_undefined_when_histories_are_constant() -> None:
    panel = make_panel([5, 5, 5, 5, 6], [2, 2, 2, 2, 2])
    table = table_of(panel, held_out_origins(panel, 1), np.full((2, 1, 5), 5.0), more=True)
    scaled = ["mase", "rmsse", "msis-80", "msis-95", "skill", "owa"]
    assert table[scaled].isna().all(axis=None)
    assert table["mae"].notna().all()


def test_table_passes_constant_histories_over_when_others_vary() -> None:
    panel = make_panel([5, 5, 5, 5, 6], [1, 2, 1, 2, 3])
    table = table_of(panel, held_out_origins(panel, 1), np.full((2, 1, 5), 5.0))
    assert table.loc["gru", "mase"] == pytest.approx(2)
    assert table.loc["gru", "skill"] == pytest.approx(-1)


def test_table_leaves_skill_undefined_when_the_seasonal_naive_is_perfect() -> None:
    panel = make_panel([1, 2, 1, 3, 3])
    table = table_of(panel, held_out_origins(panel, 1), np.full((1, 1, 5), 3.0))
    assert table.loc[SEASONAL_NAIVE, "mase"] == 0
    assert table["skill"].isna().all()


def test_table_has_no_number_when_nothing_can_be_scored() -> None:
    panel = make_panel([1, 2, NAN, 4])
    origins = Origins(series=np.array([0]), last=np.array([2]), count=1, stride=1)
    quantiles = {"gru": (np.zeros((1, 1, 5)), LEVELS)}
    board = scored(panel, origins, quantiles)
    table = board.by_model()
    assert table[["n", "windows"]].values.tolist() == [[0, 1]]
    assert table.drop(columns=["model", "n", "windows"]).isna().all(axis=None)
    assert board.undefined() == {}
    assert board.unread == {}


def test_table_is_of_no_window_when_none_was_added() -> None:
    board = Scoreboard(
        make_panel([1, 2, 3]), {"gru": LEVELS}, horizon=1, season=1, cutoffs=np.array([0])
    )
    table = board.by_model()
    assert table[["n", "windows"]].values.tolist() == [[0, 0]]
    assert table["mae"].isna().all()


def test_table_is_defined_when_a_series_has_two_values_and_the_horizon_is_one() -> None:
    panel = make_panel([5, 7])
    origins = Origins(series=np.array([0]), last=np.array([1]), count=1, stride=1)
    table = table_of(panel, origins, np.full((1, 1, 5), 6.0))
    assert table["mae"].tolist() == [1, 2, 2, 2]
    assert table["mase"].isna().all()


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((0.1, 0.5, 0.9), ["coverage-80"]),
        ((0.025, 0.1, 0.5, 0.9, 0.975), ["coverage-80", "coverage-95"]),
        ((0.0025, 0.05, 0.5, 0.95, 0.9975), ["coverage-90", "coverage-99.5"]),
        ((0.5,), []),
    ],
)
def test_table_names_coverage_by_level_when_levels_are_any(
    levels: tuple[float, ...], expected: list[str]
) -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    table = table_of(
        panel, held_out_origins(panel, 1), np.zeros((1, 1, len(levels))), levels=levels
    )
    assert [name for name in table.columns if name.startswith("coverage")] == expected


@pytest.mark.parametrize("order", [("point", "gru"), ("gru", "point")])
def test_table_has_no_interval_metrics_for_a_point_forecast_when_others_have_intervals(
    order: tuple[str, str],
) -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    both = {
        "point": (np.full((1, 2, 1), 9.0), POINT),
        "gru": (np.array([[[0, 8, 9, 9, 9], [0, 1, 9, 10, 16.0]]]), LEVELS),
    }
    board = scored(panel, held_out_origins(panel, 2), {name: both[name] for name in order})
    table = board.by_model().set_index("model")
    intervals = [name for name in table if name not in ("n", "windows", "skill")][8:]
    assert intervals[0] == "pinball"
    assert table.loc["point", intervals].isna().all()
    assert table.loc["gru", intervals].notna().all()
    assert table.loc["point", "mae"] == table.loc["gru", "mae"]
    assert board.undefined() == {}


def test_table_has_the_intervals_of_every_model_when_their_levels_differ() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    quantiles = {
        "inner": (np.array([[[0, 9, 9], [1, 9, 10.0]]]), LEVELS[1:4]),
        "outer": (np.array([[[0, 9, 9], [1, 9, 20.0]]]), LEVELS[::2]),
    }
    board = scored(panel, held_out_origins(panel, 2), quantiles)
    table = board.by_model().set_index("model")
    assert table.loc["inner", "coverage-80"] == 50
    assert table.loc["outer", "coverage-95"] == 100
    assert math.isnan(table.loc["inner", "width-95"]) and math.isnan(table.loc["outer", "width-80"])
    assert board.undefined() == dict.fromkeys(("pinball", "wql", "crps"), 2)


def errors_of_two(
    cutoffs: int, series: int, *, horizon: int = 1, constant: bool = False
) -> tuple[Panel, Origins, Quantiles]:
    """Two models that err at random by cutoff and series."""
    rng = np.random.default_rng(5)
    history = np.ones(60) if constant else rng.normal(size=60)
    after = cutoffs + horizon - 1
    panel = make_panel(*[[*history, *rng.normal(size=after)] for _ in range(series)])
    origins = held_out_origins(panel, horizon, cutoffs)
    return (
        panel,
        origins,
        {
            name: (rng.normal(scale=scale, size=(len(origins), horizon, 1)), POINT)
            for name, scale in (("first", 1.0), ("second", 1.5))
        },
    )


@pytest.mark.parametrize(
    ("cutoffs", "series", "overlap", "kind"),
    [
        pytest.param(LEAST_COMPARED, 2, 0, "cutoffs", id="enough cutoffs"),
        pytest.param(30, 12, 0, "cutoffs", id="enough of both"),
        pytest.param(3 * LEAST_COMPARED, 2, 2, "cutoffs", id="enough that overlap"),
        pytest.param(3 * LEAST_COMPARED - 1, LEAST_COMPARED, 2, "series", id="too few overlap"),
        pytest.param(LEAST_COMPARED - 1, LEAST_COMPARED, 0, "series", id="enough series"),
    ],
)
def test_compare_tests_mean_differences_of_scaled_errors_when_there_are_enough(
    cutoffs: int, series: int, overlap: int, kind: str
) -> None:
    panel, origins, quantiles = errors_of_two(cutoffs, series, horizon=overlap + 1)
    rows = elementwise(panel, origins, quantiles, 1)
    column = "rank" if kind == "cutoffs" else "series"
    losses = rows.pivot_table(index=column, columns="model", values="mase", sort=False)
    differences = (losses["first"] - losses["second"]).to_numpy()
    expected = diebold_mariano(differences, overlap if kind == "cutoffs" else 0)
    comparison, found = scored(panel, origins, quantiles).compare("first", "second")
    assert (found, expected is None) == (kind, False)
    assert comparison is not None and expected is not None
    assert comparison.n == expected.n == (cutoffs if kind == "cutoffs" else series)
    assert comparison.statistic == pytest.approx(expected.statistic)
    assert comparison.p_value == pytest.approx(expected.p_value)


def test_compare_says_nothing_when_cutoffs_and_series_are_few() -> None:
    panel, origins, quantiles = errors_of_two(LEAST_COMPARED - 1, LEAST_COMPARED - 1)
    assert scored(panel, origins, quantiles).compare("first", "second") == (None, "")


def test_compare_is_of_absolute_errors_when_no_history_varies() -> None:
    panel, origins, quantiles = errors_of_two(1, LEAST_COMPARED, constant=True)
    actual = np.array([panel.series(series)[-1] for series in range(len(panel))])
    losses = [np.abs(values[:, 0, 0] - actual) for values, _ in quantiles.values()]
    expected = diebold_mariano(losses[0] - losses[1], 0)
    comparison, kind = scored(panel, origins, quantiles).compare("first", "second")
    assert kind == "series"
    assert comparison is not None and expected is not None
    assert comparison.p_value == pytest.approx(expected.p_value)


def test_scoreboard_passes_over_a_block_when_it_is_empty() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    board = Scoreboard(panel, {"gru": LEVELS}, horizon=2, season=1, cutoffs=np.array([0]))
    none = WindowIndex(series=np.zeros(0, np.int64), cutoffs=np.zeros(0, np.int64))
    forecasts = {"gru": Forecasts(np.zeros((0, 2, 5)), LEVELS)}
    board.add(Block(index=none, actual=np.zeros((0, 2)), forecasts=forecasts))
    assert (board.windows, board.unread) == (0, {})


@pytest.mark.parametrize("by", ["step", "cutoff", "series"])
def test_table_is_in_order_of_groups_and_models_when_series_begin_at_any_time(by: str) -> None:
    count = 40
    panel = make_panel(*[[3.0, 1, 4, 1, 5, 9, 2]] * count)
    panel = replace(panel, starts=np.random.default_rng(0).permutation(count))
    origins = held_out_origins(panel, 2, 2)
    zeros = np.zeros((len(origins), 2, 1))
    quantiles = {name: (zeros, POINT) for name in ("gru", "drift", "naive")}
    board = scored(panel, origins, quantiles, by=by)
    table = board.table()
    expected = {"step": [1, 2], "cutoff": [*range(3, count + 4)], "series": [*panel.ids]}[by]
    assert table[board.column].tolist() == [label for label in expected for _ in range(3)]
    assert table["model"].tolist() == ["gru", "drift", "naive"] * len(expected)


@pytest.mark.parametrize("column", ["model", "n", "mase", "owa"])
def test_scoreboard_raises_when_the_ids_have_the_name_of_another_column(column: str) -> None:
    panel = make_panel([1, 2, 3])
    cutoffs = np.array([0])
    with pytest.raises(ConfigError, match=f"two columns of the output would be called '{column}'"):
        Scoreboard(
            panel,
            {"gru": (0.5,)},
            horizon=1,
            season=1,
            cutoffs=cutoffs,
            by="series",
            series_column=column,
        )


def test_overlap_counts_cutoffs_of_all_series_when_these_end_at_different_times() -> None:
    panel = make_panel(*[[1.0, 2, 4, 3, 5, 6]] * 5)
    panel = replace(panel, starts=np.array([0, 1, 2, 3, 9]))
    origins = held_out_origins(panel, 3)
    board = scored(panel, origins, {"gru": (np.zeros((5, 3, 1)), POINT)})
    assert board.overlap == 2


def test_quantile_losses_are_of_the_shared_levels_when_models_have_different_ones() -> None:
    panel = make_panel([1, 2, 4, 8, 16])
    origins = held_out_origins(panel, 1)
    wide = np.array([[[0, 8, 9, 10, 20.0]]])
    quantiles = {"wide": (wide, LEVELS), "narrow": (wide[..., 1:4], LEVELS[1:4])}
    table = scored(panel, origins, quantiles).by_model().set_index("model")
    losses = ["pinball", "wql", "crps"]
    assert table.loc["wide", losses].notna().all()
    assert table.loc["wide", losses].tolist() == table.loc["narrow", losses].tolist()
    apart = {"wide": (wide[..., ::2], LEVELS[::2]), "narrow": quantiles["narrow"]}
    table = scored(panel, origins, apart).by_model()
    assert table[losses].isna().all(axis=None)
