"""Rolling origins: which cutoffs are scored, and what models may see before them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.backtest import (
    BLOCK,
    Origins,
    held_out_origins,
    panel_before,
    training_ends,
    validation_windows,
)
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.errors import DataError
from tests.panels import make_panel


def ramps(*lengths: int) -> Panel:
    return make_panel(*[[float(value) for value in range(length)] for length in lengths])


def all_windows(origins: Origins) -> WindowIndex:
    return origins.windows(np.arange(len(origins)))


def pairs(index: WindowIndex) -> list[tuple[int, int]]:
    return list(zip(index.series.tolist(), index.cutoffs.tolist(), strict=True))


@pytest.mark.parametrize(
    ("lengths", "horizon", "windows", "step", "expected"),
    [
        pytest.param((10,), 3, 1, 1, [(0, 7)], id="one window"),
        pytest.param((10, 8), 2, 2, 2, [(0, 6), (1, 4), (0, 8), (1, 6)], id="ragged"),
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
    origins = held_out_origins(ramps(*lengths), horizon, windows, step)
    assert pairs(all_windows(origins)) == expected


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


@settings(deadline=None)
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
        origins = held_out_origins(panel, horizon, windows, step)
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
    index = all_windows(origins)
    assert len(index) == len(origins) == windows * len(origins.series) > 0
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


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    horizon=st.integers(1, 10),
    most=st.integers(1, 30),
)
def test_validation_windows_lie_after_the_training_ends_when_lengths_are_any(
    lengths: list[int], horizon: int, most: int
) -> None:
    ends = training_ends(np.array(lengths), horizon)
    expected = [
        (series, cutoff)
        for series, length in enumerate(lengths)
        if ends is not None and ends[series] < length
        for cutoff in range(ends[series], length - horizon + 1)
    ]
    found = pairs(validation_windows(np.array(lengths), horizon, most))
    assert len(found) == min(most, len(expected))
    assert set(found) <= set(expected)
    assert found == sorted(set(found))
    if len(expected) <= most:
        assert found == expected


def test_validation_windows_are_spread_over_all_series_when_they_are_too_many() -> None:
    index = validation_windows(np.full(10, 200), 5, 20)
    np.testing.assert_array_equal(np.bincount(index.series), np.full(10, 2))


@st.composite
def any_origins(draw: st.DrawFn) -> Origins:
    """Cutoffs of some series of a panel."""
    scored = draw(st.lists(st.integers(0, 400), min_size=1, max_size=30, unique=True))
    last = draw(st.lists(st.integers(50, 99), min_size=len(scored), max_size=len(scored)))
    return Origins(
        series=np.array(sorted(scored)),
        last=np.array(last),
        count=draw(st.integers(1, 30)),
        stride=draw(st.integers(1, 9)),
    )


@settings(deadline=None)
@given(origins=any_origins())
def test_origins_count_every_series_and_cutoff_once_when_taken_in_blocks(origins: Origins) -> None:
    blocks = list(origins.blocks(0, origins.count))
    places = np.concatenate(blocks)
    np.testing.assert_array_equal(places, np.arange(len(origins)))
    assert all(len(block) == BLOCK for block in blocks[:-1]) and 0 < len(blocks[-1]) <= BLOCK
    found = [pair for block in blocks for pair in pairs(origins.windows(block))]
    assert found == [
        (series, last - back * origins.stride)
        for back in reversed(range(origins.count))
        for series, last in zip(origins.series.tolist(), origins.last.tolist(), strict=True)
    ]


@settings(deadline=None)
@given(origins=any_origins(), data=st.data())
def test_origins_give_the_cutoffs_of_a_rank_when_blocks_begin_and_end_at_any(
    origins: Origins, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, origins.count - 1))
    last = data.draw(st.integers(first, origins.count))
    ranks = []
    for places in origins.blocks(first, last):
        index = origins.windows(places)
        for rank, (series, cutoff) in zip(origins.ranks(places), pairs(index), strict=True):
            assert cutoff == origins.cutoffs(rank)[origins.series.tolist().index(series)]
            ranks.append(rank)
    assert ranks == [rank for rank in range(first, last) for _ in origins.series]


def test_panel_before_ends_at_the_cutoffs_of_a_rank_when_series_are_scored() -> None:
    panel = ramps(6, 4, 5)
    origins = Origins(series=np.array([0, 2]), last=np.array([5, 4]), count=3, stride=1)
    known = panel_before(panel, origins)
    np.testing.assert_array_equal(known.values, [0, 1, 2, 0, 1, 2, 3, 0, 1])
    assert known.ids == panel.ids
    for rank, lengths in enumerate([[3, 4, 2], [4, 4, 3], [5, 4, 4]]):
        np.testing.assert_array_equal(panel_before(panel, origins, rank).lengths, lengths)
    np.testing.assert_array_equal(panel.lengths, [6, 4, 5])


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_panel_before_is_bit_equal_when_the_future_is_changed(rank: int) -> None:
    panel, changed = ramps(12, 9), ramps(12, 9)
    origins = held_out_origins(panel, 2, 3, 2)
    for series, cutoff in zip(origins.series, origins.cutoffs(rank), strict=True):
        changed.series(int(series))[cutoff:] = 1e9
    first, second = panel_before(panel, origins, rank), panel_before(changed, origins, rank)
    assert first.values.tobytes() == second.values.tobytes()
    assert first.offsets.tobytes() == second.offsets.tobytes()
