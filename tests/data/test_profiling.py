"""Counts of series, against naive loops and published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.data.profiling import CLASSES, Profile, gaps, mann_kendall, runs
from tests.panels import make_panel

NAN = math.nan
VALUES = st.lists(st.sampled_from([NAN, -2.0, -0.5, 0.0, 1.0, 3.0]), min_size=1, max_size=12)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_profile_counts_as_a_loop_does(series: list[list[float]]) -> None:
    series = [[1.0, *values, 2.0] for values in series]
    profile = Profile(make_panel(*series))
    seen = [[value for value in values if not math.isnan(value)] for values in series]
    assert profile.counts.tolist() == [len(values) for values in seen]
    assert profile.missing.tolist() == [
        len(whole) - len(values) for whole, values in zip(series, seen, strict=True)
    ]
    assert profile.zeros.tolist() == [values.count(0.0) for values in seen]
    assert profile.negative.tolist() == [sum(v < 0 for v in values) for values in seen]
    assert profile.lowest.tolist() == [min(values) for values in seen]
    assert profile.highest.tolist() == [max(values) for values in seen]
    assert profile.whole.tolist() == [all(v == int(v) for v in values) for values in seen]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([5, 6, 5, 4, 5, 6, 5, 4], "smooth"),
        ([1, 20, 1, 1, 30, 1, 2, 1], "erratic"),
        ([5, 0, 0, 6, 0, 0, 5, 0], "intermittent"),
        ([1, 0, 0, 40, 0, 0, 1, 0], "lumpy"),
    ],
)
def test_classes_of_demand_are_those_of_syntetos_and_boylan(values: list[int], name: str) -> None:
    assert CLASSES[Profile(make_panel([*map(float, values)])).classes[0]] == name


def test_classes_are_of_demand_alone_when_values_are_negative_or_all_zero() -> None:
    assert Profile(make_panel([1.0, -1.0, 2.0], [0.0, 0.0, 0.0])).classes.tolist() == [-1, -1]


@given(VALUES)
def test_runs_and_gaps_are_those_of_a_loop(values: list[float]) -> None:
    lengths: list[int] = []
    before: float | None = None
    for value in values:
        if value == before:
            lengths[-1] += 1
        else:
            lengths.append(1)
        before = value
    assert runs(np.array(values)).tolist() == lengths
    firsts, sizes = gaps(np.array(values))
    missing = [
        k for first, size in zip(firsts, sizes, strict=True) for k in range(first, first + size)
    ]
    assert missing == [k for k, value in enumerate(values) if math.isnan(value)]
    assert all(first == 0 or not math.isnan(values[first - 1]) for first in firsts)


def test_mann_kendall_is_that_of_the_formula_when_values_are_tied() -> None:
    # S = 8 of 10 pairs, one of which is tied: var = (5 * 4 * 15 - 2 * 1 * 9) / 18 = 47 / 3.
    values = np.array([1.0, 3.0, 2.0, 3.0, 4.0])
    pairs = [np.sign(b - a) for k, a in enumerate(values) for b in values[k + 1 :]]
    assert sum(pairs) == 7
    assert mann_kendall(values) == pytest.approx((7 - 1) / math.sqrt(47 / 3))
    assert mann_kendall(values[::-1].copy()) == pytest.approx(-(7 - 1) / math.sqrt(47 / 3))


def test_mann_kendall_sums_phases_when_they_are_told_apart() -> None:
    rising, falling = np.array([1.0, 2.0, 3.0]), np.array([9.0, 8.0, 7.0])
    assert mann_kendall(rising, rising + 5) == pytest.approx((6 - 1) / math.sqrt(2 * 11 / 3))
    assert mann_kendall(rising, falling) == 0


def test_mann_kendall_is_zero_when_values_are_few_or_equal() -> None:
    assert mann_kendall(np.array([1.0, 2.0, 3.0])) == mann_kendall(np.ones(9)) == 0
