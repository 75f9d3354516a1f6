"""What is typical of a panel, as a plain loop finds it, and what is said of short series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnforecast.backtest import held_out_origins
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, Settings, Typical, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.short_series import tell_of_short, with_typical
from tests.panels import make_panel

NAN = math.nan


def configured(panel: Panel, *, lookback: int, horizon: int, log: bool = False) -> RunConfig:
    data = DataConfig(time_column="ds", target_columns=("y",))
    asked = Settings(horizon=horizon, lookback=lookback, season=1, log=log)
    return resolve(asked, find_facts(panel), data)


def mixed_panel(seed: int) -> Panel:
    """Series that vary, that are constant, that jump once and of single values, above 0."""
    rng = np.random.default_rng(seed)
    gappy = rng.integers(1, 9, 20) * 1.0
    gappy[1:-1][rng.random(18) < 0.4] = NAN
    jump = [4.0] * 8 + [6.0] * 7
    varied = rng.integers(10, 99, 25).tolist()
    return make_panel([5.0], gappy.tolist(), [3.0] * 9, jump, varied, [7.0, 7.0])


def naive_typical(panel: Panel, lookback: int, horizon: int, log: bool) -> Typical:
    """Every cutoff one by one; without a season, a window's shift is its last observation."""
    shares, spreads, same, known = [], [], 1, 1
    for place in range(len(panel)):
        values = panel.series(place)
        values = np.log(values) if log else values
        for cutoff in range(1, len(values)):
            window = values[max(0, cutoff - lookback) : cutoff]
            window = window[~np.isnan(window)].tolist()
            ahead = values[cutoff : cutoff + horizon]
            ahead = ahead[~np.isnan(ahead)].tolist()
            if len(window) >= 3 and len(set(window)) == 1:
                same, known = same + ahead.count(window[0]), known + len(ahead)
            if len(window) >= 5 and len(set(window)) > 1:
                spread = np.abs(np.array(window) - window[-1]).mean()
                shares.append(spread if log else spread / np.abs(window).mean())
                spreads.append(spread)
    return Typical(share=lower_median(shares), spread=lower_median(spreads), lasting=same / known)


def lower_median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_with_typical_equals_a_loop_over_cutoffs_when_series_are_mixed(
    seed: int, log: bool
) -> None:
    panel = mixed_panel(seed)
    config = configured(panel, lookback=6, horizon=3, log=log)
    found = with_typical(config, panel)
    expected = naive_typical(panel, 6, 3, log)
    assert 0 < expected.lasting < 1
    assert found.model.typical.share == pytest.approx(expected.share, rel=1e-9)
    assert found.model.typical.spread == pytest.approx(expected.spread, rel=1e-9)
    assert found.model.typical.lasting == pytest.approx(expected.lasting, rel=1e-9)


def test_with_typical_takes_the_fullest_windows_when_none_has_enough() -> None:
    panel = make_panel([10, 20, 40], [10, 30, 50])
    found = with_typical(configured(panel, lookback=2, horizon=1), panel).model.typical
    assert found.spread == 5
    assert found.share == pytest.approx(5 / 15)
    assert found.lasting == 1


@pytest.mark.parametrize("series", [([1.0], [2.0]), ([4.0] * 9, [0.0] * 9)])
def test_with_typical_borrows_nothing_when_no_window_varies(
    series: tuple[list[float], ...],
) -> None:
    panel = make_panel(*series)
    config = RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=4, horizon=2),
        model=ModelSpec(model="gru"),
        training=configured(make_panel([1, 2, 3]), lookback=2, horizon=1).training,
    )
    found = with_typical(config, panel).model.typical
    assert (found.share, found.spread) == (0.0, 1.0)


class Told(Mute):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def told_of(panel: Panel, *, lookback: int = 3, horizon: int = 2) -> Told:
    told = Told()
    windows = WindowSpec(lookback=lookback, horizon=horizon)
    tell_of_short(panel, held_out_origins(panel, horizon), windows, told)
    return told


def test_tell_of_short_says_nothing_when_every_series_is_long_enough() -> None:
    told = told_of(make_panel([1, 2, 3, 4, 5], [1, NAN, 3, 4]))
    assert (told.notes, told.warnings) == ([], [])


def test_tell_of_short_names_what_is_not_learned_from_when_a_gap_parts_the_values() -> None:
    apart = [1, *[NAN] * 5, 2]
    told = told_of(make_panel([1, 2, 3, 4, 5], [1], apart, [5, 6], [9, 8, 7, 6]))
    assert told.warnings == [
        "2 of 5 series ('s1', 's2') are too short to learn from: the forecast is what other "
        "series teach"
    ]
    assert told.notes == [
        "2 of 5 series ('s1', 's3') are too short to hold the newest values out: metrics are of "
        "the others"
    ]
    nearer = told_of(make_panel([1, 2, 3, 4, 5], [1], apart), lookback=6)
    assert nearer.warnings == [
        "1 of 3 series ('s1') is too short to learn from: the forecast is what other series teach"
    ]


def test_tell_of_short_counts_series_beyond_the_first_five() -> None:
    told = told_of(make_panel([1, 2, 3, 4], [1, 2, 3, 4], *[[1.0]] * 9))
    assert told.warnings[0].startswith(
        "9 of 11 series ('s2', 's3', 's4', 's5', 's6' and 4 more) are too"
    )


def test_tell_of_short_warns_when_one_series_alone_is_scored() -> None:
    told = told_of(make_panel([1, 2], [1, 2, 3, 4, 5], [1, 2]))
    assert told.notes == []
    assert told.warnings == [
        "only series 's1' is long enough to hold the newest values out: metrics are of it alone"
    ]


@pytest.mark.parametrize("lookback", [1, 2, 4])
def test_with_typical_takes_longer_windows_when_the_lookback_is_too_short_to_vary(
    lookback: int,
) -> None:
    panel = mixed_panel(0)
    spreads = [
        with_typical(configured(panel, lookback=length, horizon=3), panel).model.typical.spread
        for length in (lookback, 5)
    ]
    assert spreads[0] == spreads[1] > 1
