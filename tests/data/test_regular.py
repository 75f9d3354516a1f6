"""Regular series laid without sorting: the panel of `build_panel`, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.data.gridding import build_panel
from rnnforecast.data.regular import Block, regular_panel
from rnnforecast.errors import DataError


def blocks_of(keys: list[int], times: list[int], values: list[float], size: int) -> list[Block]:
    columns = np.array(keys, np.int32), np.array(times, np.int64), np.array(values, np.float64)
    bounds = range(0, len(keys), size)
    return [Block(*(column[at : at + size] for column in columns)) for at in bounds]


def test_values_lie_in_their_places_when_rows_are_mixed() -> None:
    blocks = blocks_of([1, 0, 1, 0, 1], [7, 2, 3, 4, 5], [70, 20, np.nan, 40, 50], 2)
    assert regular_panel(blocks, ["a", "b"], integer=True) is None  # b begins without a value
    blocks = blocks_of([1, 0, 1, 0, 1], [7, 2, 3, 4, 5], [70, 20, 30, 40, np.nan], 2)
    panel = regular_panel(blocks, ["a", "b"], integer=True)
    assert panel is not None
    np.testing.assert_array_equal(panel.values, [20, 40, 30, np.nan, 70])
    assert (panel.offsets.tolist(), panel.starts.tolist()) == ([0, 2, 5], [2, 3])
    assert (panel.frequency.unit, panel.frequency.count) == ("step", 2)


@pytest.mark.parametrize(
    ("keys", "times"),
    [
        ([0, 0, 0, 0], [1, 2, 3, 3]),
        ([0, 0, 0, 0], [0, 2, 4, 5]),
        ([0, 0, 0, 1, 1], [0, 1, 2, 0, 2]),
        ([0, 0, 0, 0], [0, 1, 2, 900]),
        ([0, 1], [0, 1]),
    ],
)
def test_rows_are_left_to_the_other_way_when_steps_are_odd(
    keys: list[int], times: list[int]
) -> None:
    blocks = blocks_of(keys, times, [1.0] * len(keys), 3)
    assert regular_panel(blocks, ["a", "b"][: max(keys) + 1], integer=True) is None


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-4, 8), st.floats(-9, 9) | st.just(np.nan)),
        min_size=1,
        max_size=25,
        unique_by=lambda row: row[:2],
    ),
    scale=st.sampled_from([1, 3]),
    size=st.integers(1, 30),
)
def test_panel_is_that_of_sorted_rows_when_there_is_one(
    rows: list[tuple[int, int, float]], scale: int, size: int
) -> None:
    found = list(dict.fromkeys(row[0] for row in rows))
    keys = [found.index(row[0]) for row in rows]
    times, values = [row[1] * scale for row in rows], [row[2] for row in rows]
    ids = [f"s{key}" for key in found]
    panel = regular_panel(blocks_of(keys, times, values, size), ids, integer=True)
    if panel is None:
        return
    try:
        other = build_panel(
            keys=np.array(keys),
            ids=ids,
            times=np.array(times),
            values=np.array(values),
            integer=True,
        ).panel
    except DataError as error:  # pragma: no cover - what is refused there may not pass here
        pytest.fail(f"{rows}: {error}")
    assert (panel.ids, panel.frequency) == (other.ids, other.frequency)
    for name in ("values", "offsets", "starts"):
        assert getattr(panel, name).tobytes() == getattr(other, name).tobytes(), name
