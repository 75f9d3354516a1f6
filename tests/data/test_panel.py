"""Ragged series: building, cutting, and the times of their values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.arrays import IntArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.faults import FaultError, RowError
from rnnforecast.data.gridding import build_panel
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import DataError

STEP = Frequency(unit="step", count=2)


def ragged(lengths: list[int]) -> Panel:
    """Series whose values tell which series and position they are."""
    offsets = np.cumsum([0, *lengths])
    values = [100.0 * i + k for i, length in enumerate(lengths) for k in range(length)]
    return Panel(
        ids=tuple(f"s{i}" for i in range(len(lengths))),
        values=np.array(values, dtype=np.float64),
        offsets=offsets.astype(np.int64),
        starts=10 * np.arange(len(lengths)),
        frequency=STEP,
    )


def build(keys: list[int], times: list[int], values: list[float]) -> Panel:
    built = build_panel(
        keys=np.array(keys),
        ids=["a", "b"][: max(keys) + 1],
        times=np.array(times),
        values=np.array(values, dtype=np.float64),
        integer=True,
    )
    return built.panel


@st.composite
def cut_panels(draw: st.DrawFn) -> tuple[Panel, IntArray, IntArray]:
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=6))
    first = [draw(st.integers(0, length)) for length in lengths]
    last = [draw(st.integers(low, length)) for low, length in zip(first, lengths, strict=True)]
    return ragged(lengths), np.array(first), np.array(last)


@given(cut_panels(), st.integers(0, 6), st.integers(1, 6))
def test_part_keeps_whole_series_when_they_are_from_first_to_before_last(
    case: tuple[Panel, IntArray, IntArray], first: int, count: int
) -> None:
    panel, _, _ = case
    first = min(first, len(panel) - 1)
    part = panel.part(first, first + count)
    assert part.ids == panel.ids[first : first + count]
    for place in range(len(part)):
        assert part.series(place).tolist() == panel.series(first + place).tolist()
    where = np.arange(len(part)), np.zeros(len(part), np.int64)
    assert part.times(*where).tolist() == panel.times(first + where[0], where[1]).tolist()


@given(cut_panels())
def test_cut_keeps_values_and_times_from_first_to_before_last(
    case: tuple[Panel, IntArray, IntArray],
) -> None:
    panel, first, last = case
    cut = panel.cut(first, last)
    assert (cut.ids, cut.frequency) == (panel.ids, panel.frequency)
    assert cut.lengths.tolist() == (last - first).tolist()
    for i in range(len(panel)):
        kept = np.arange(first[i], last[i])
        assert cut.series(i).tolist() == panel.series(i)[kept].tolist()
        series = np.full(len(kept), i)
        assert (cut.times(series, kept - first[i]) == panel.times(series, kept)).all()


@given(cut_panels(), st.integers(1, 12))
def test_before_and_tail_take_the_two_ends_of_each_series(
    case: tuple[Panel, IntArray, IntArray], length: int
) -> None:
    panel, _, cutoffs = case
    before, tail = panel.before(cutoffs), panel.tail(length)
    for i in range(len(panel)):
        whole = panel.series(i).tolist()
        assert before.series(i).tolist() == whole[: cutoffs[i]]
        assert tail.series(i).tolist() == whole[-length:]
    assert before.starts.tolist() == panel.starts.tolist()


def test_cut_copies_so_that_the_panel_stays_as_it_was() -> None:
    panel = ragged([3, 2])
    panel.tail(2).values[:] = -1
    assert panel.values.tolist() == [0, 1, 2, 100, 101]


def test_times_go_on_after_the_last_value() -> None:
    assert ragged([3, 2]).times(np.array([0, 1, 1]), np.array([2, 2, 5])).tolist() == [4, 14, 20]


def test_panel_is_ordered_and_its_gaps_are_nan_when_rows_are_neither() -> None:
    panel = build([1, 0, 1, 0, 1, 0], [9, 4, 5, 2, 7, 8], [3, 11, 1, 10, 2, 12])
    assert panel.ids == ("a", "b")
    assert np.array_equal(panel.values, [10, 11, np.nan, 12, 1, 2, 3], equal_nan=True)
    assert (panel.starts.tolist(), panel.frequency.count) == ([2, 5], 2)


@pytest.mark.parametrize(
    ("keys", "times", "row", "message"),
    [
        ([0, 0, 0, 0], [1, 2, 3, 2], 3, "series 'a' has this time twice; remove one of the rows"),
        ([1, 0, 1, 1], [1, 1, 2, 1], 3, "series 'b' has this time twice"),
        ([0, 0, 0, 0], [0, 9, 2, 4], 1, "series 'a' has a row every 2 steps, but this one lies"),
        (
            [0, 1] * 5 + [0],
            [0, 5, 1, 0, 2, 15, 3, 10, 4, 20, 5],
            3,
            "series 'b' has a row every 5 steps, the others every step; all series of a file",
        ),
    ],
)
def test_panel_raises_with_the_row_as_read_when_times_do_not_fit(
    keys: list[int], times: list[int], row: int, message: str
) -> None:
    with pytest.raises(RowError, match=message) as error:
        build(keys, times, [1] * len(keys))
    assert error.value.row == row


def test_panel_raises_when_values_are_lost_in_gaps() -> None:
    with pytest.raises(DataError, match="series 'b': only 3 of 1000001 values are there at one a"):
        build([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 10**6], [1] * 6)


def timed(minutes: list[list[int]], frequency: Frequency | None = None) -> Panel:
    """One series for each list of minutes after the start of 1970, held to a model's frequency."""
    times = np.array([minute for series in minutes for minute in series]) * 60_000_000
    built = build_panel(
        keys=np.repeat(np.arange(len(minutes)), [len(series) for series in minutes]),
        ids=["a", "b"][: len(minutes)],
        times=times,
        values=np.ones(len(times)),
        integer=False,
        frequency=frequency,
    )
    return built.panel


def test_panel_raises_with_the_first_row_when_all_others_agree() -> None:
    with pytest.raises(
        RowError, match="series 'b' has a row every hour, but this one lies"
    ) as error:
        timed([[60 * k for k in range(20)], [30, *(60 * k for k in range(1, 20))]])
    assert error.value.row == 20
    assert error.value.left_out is not None and error.value.left_out().tolist() == [20]


def test_panel_raises_with_the_step_to_join_to_when_times_are_irregular() -> None:
    sensor = np.cumsum([5, 6, 5, 4, 5, 10, 5, 3] * 12).tolist()
    message = (
        "series 'b': the rows come every 3 to 10 minutes \\(most often 5 minutes\\); "
        "pass --resample 5min"
    )
    with pytest.raises(FaultError, match=message) as error:
        timed([[5 * k for k in range(40)], sensor])
    assert error.value.settled == {"resample": "5min"}


DAILY, WEEKLY = (Frequency(unit="microsecond", count=days * DAY) for days in (1, 7))
MONTHLY, TRADING = Frequency(unit="month"), Frequency(unit="business-day")


@pytest.mark.parametrize(
    ("step", "frequency", "problem"),
    [
        (60, DAILY, "a row every hour, the model was trained on one every day; pass data of"),
        (10080, DAILY, "a row every week, the model was trained on one every day; pass data of"),
        (10080, MONTHLY, "a row every week, the model was trained on one every month; pass data"),
        (1440, TRADING, "a row every day, the model was trained on one every business day; pass"),
        (1440, WEEKLY, "a row every day, the model was trained on one every week; pass data of"),
    ],
)
def test_panel_names_both_steps_when_a_models_is_another(
    step: int, frequency: Frequency, problem: str
) -> None:
    with pytest.raises(RowError, match=f"^series 'a' has {problem}") as error:
        timed([[step * k for k in range(30)]], frequency)
    assert not error.value.settled


def test_panel_asks_for_no_other_step_when_times_are_irregular_and_it_is_a_models() -> None:
    uneven = np.cumsum([700, 1440, 1500, 1300] * 9).tolist()
    with pytest.raises(RowError, match="must, for this model, have a row every day") as error:
        timed([uneven], DAILY)
    assert "--resample" not in str(error.value) and not error.value.settled


def test_panel_points_at_the_stray_when_the_others_keep_to_a_models_step() -> None:
    with pytest.raises(RowError, match="have a row every day, but this one lies between") as error:
        timed([[1440 * k + (60 if k == 7 else 0) for k in range(30)]], DAILY)
    assert error.value.row == 7


def test_panel_raises_with_all_rows_when_several_series_have_other_steps() -> None:
    with pytest.raises(RowError, match="series 'b' has a row every 30 minutes") as error:
        timed([[10 * k for k in range(40)], [30 * k for k in range(9)]])
    assert error.value.left_out is not None
    assert error.value.left_out().tolist() == list(range(40, 49))


def test_panel_names_the_row_that_spreads_a_series_when_next_to_nothing_is_there() -> None:
    with pytest.raises(FaultError, match="only 20 of 100001 values are there") as error:
        timed([[*range(19), 100_000]])
    _, stray = error.value.faults()
    assert (stray.row, stray.series) == (19, "a")
    assert error.value.left_out is not None and error.value.left_out().tolist() == [19]
