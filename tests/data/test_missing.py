"""Policies for gaps: what they change in a panel, what networks read of it, and what is scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.data.calendar import Frequency
from rnnforecast.data.missing import fill
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import WindowGatherer, WindowIndex, actual_values
from rnnforecast.errors import DataError
from rnnforecast.models.filling import POLICIES


def panel_of(*series: list[float]) -> Panel:
    """Daily series from 1970 on, each a day later than the one before."""
    offsets = np.cumsum([0, *map(len, series)]).astype(np.int64)
    return Panel(
        ids=tuple("abcdef"[: len(series)]),
        values=np.concatenate([np.array(values, dtype=np.float64) for values in series]),
        offsets=offsets,
        starts=DAY * np.arange(len(series)),
        frequency=Frequency(unit="microsecond", count=DAY, date_only=True),
    )


GAP = float("nan")
gapped = st.lists(st.one_of(st.just(GAP), st.floats(-9, 9)), max_size=8)
lists = st.lists(gapped.map(lambda inner: [1.0, *inner, 2.0]), min_size=1, max_size=4)


@given(lists, st.sampled_from(["mask", "interpolate", "ffill"]))
def test_fill_leaves_values_missing_when_the_policy_is_of_inputs(
    series: list[list[float]], policy: str
) -> None:
    panel = panel_of(*series)
    assert np.array_equal(fill(panel, policy).values, panel.values, equal_nan=True)


@given(lists)
def test_fill_makes_gaps_zero_and_keeps_the_rest_when_the_policy_is_zero(
    series: list[list[float]],
) -> None:
    panel = panel_of(*series)
    filled = fill(panel, "zero")
    observed = ~np.isnan(panel.values)
    assert np.array_equal(filled.values[observed], panel.values[observed])
    assert not filled.values[~observed].any()
    assert filled.lengths.tolist() == panel.lengths.tolist()


def test_fill_names_series_and_first_missing_time_when_the_policy_is_error() -> None:
    panel = panel_of([1, 2, 3], [4, GAP, 5, GAP, 6])
    with pytest.raises(
        DataError, match=r"^series 'b' has no value at 1970-01-03; .*--missing mask"
    ):
        fill(panel, "error")
    assert fill(panel_of([1, 2, 3]), "error").values.tolist() == [1, 2, 3]


@pytest.mark.parametrize("policy", POLICIES)
def test_gatherer_fills_inputs_and_no_target_when_a_window_has_gaps_on_both_sides(
    policy: str,
) -> None:
    panel = panel_of([1, GAP, 3, GAP, 7, GAP, 9])
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([4, 3]))
    gatherer = WindowGatherer(
        panel,
        index,
        lookback=4,
        horizon=3,
        device=torch.device("cpu"),
        dtype=torch.float64,
        fill=POLICIES[policy],
    )
    batch = gatherer.gather(torch.tensor([0, 1]))
    # The gap just before the first cutoff has only what comes after it on its other side.
    last = [3.0, True] if policy == "ffill" else [0.0, False]
    second = 1.0 if policy == "ffill" else 2.0
    assert batch.values.tolist() == [[1, second, 3, last[0]], [0, 1, second, 3]]
    assert batch.mask.tolist() == [[True, True, True, last[1]], [False, True, True, True]]
    assert batch.target.tolist() == [[7, 0, 9], [0, 7, 0]]
    assert batch.target_mask.tolist() == [[True, False, True], [False, True, False]]
    scored = actual_values(panel, index, 3)
    assert np.isnan(scored).tolist() == [[False, True, False], [True, False, True]]
