"""The Diebold-Mariano test against published and hand-worked numbers, loops, and its own level."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnnforecast.evaluation.significance import Comparison, diebold_mariano

NAN = math.nan


def drawn_without_return(count: int) -> np.ndarray:
    """What random.sample of Python 2 made of range(count)."""
    pool, drawn = list(range(count)), []
    for left in range(count, 0, -1):
        place = int(random.random() * left)
        drawn.append(pool[place])
        pool[place] = pool[left - 1]
    return np.array(drawn, dtype=float)


@pytest.mark.parametrize(
    ("loss", "statistic", "p_value"),
    [
        (np.abs, 1.3275742446369585, 0.18737195617455585),
        (np.square, 1.2112523589452902, 0.22868210381769466),
        (lambda error: error**4, 0.9124498079287283, 0.36374861695187799),
    ],
    ids=("absolute", "squared", "fourth power"),
)
def test_diebold_mariano_equals_published_numbers_when_steps_do_not_overlap(
    loss: Callable[[np.ndarray], np.ndarray], statistic: float, p_value: float
) -> None:
    """The example of J. Tsang's dm_test (github.com/johntwk/Diebold-Mariano-Test, h = 1)."""
    random.seed(123)
    actual, first, second = (drawn_without_return(100) for _ in range(3))
    found = diebold_mariano(loss(actual - first) - loss(actual - second), 0)
    assert found is not None and found.n == 100
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p_value == pytest.approx(p_value, rel=1e-12)


@pytest.mark.parametrize(
    ("differentials", "overlap", "statistic"),
    [
        # Mean 2, variance 5 / 2, first autocovariance 1 / 2: 2 / sqrt(3.5 / 4), corrected by
        # (4 + 1 - 4 + 2 / 4) / 4.
        pytest.param([0, 1, 4, 3], 1, 2 / math.sqrt(3.5 / 4) * math.sqrt(1.5 / 4), id="equal"),
        # Mean 1, variance 1, first autocovariance -3 / 4: equal weights sum to -1 / 2, those of
        # Bartlett, 1 and 1 / 2, to 1 / 4.
        pytest.param([2, 0, 2, 0], 1, 1 / math.sqrt(0.25 / 4) * math.sqrt(1.5 / 4), id="Bartlett"),
        # Mean 2, variance 1; of neighbours, 1 and 3 give -1 / 4, 3 and 3 give 1 / 4, and the gap
        # keeps the second 3 from the last 1.
        pytest.param([1, 3, 3, NAN, 1], 1, 2 / math.sqrt(1 / 4) * math.sqrt(1.5 / 4), id="gap"),
    ],
)
def test_diebold_mariano_is_the_hand_worked_number_when_steps_overlap(
    differentials: list[float], overlap: int, statistic: float
) -> None:
    found = diebold_mariano(np.array(differentials, dtype=float), overlap)
    assert found is not None and found.n == 4
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(statistic, 3), rel=1e-12)


def loop(differentials: list[float], overlap: int) -> tuple[float, float]:
    """Formulas 3 and 9 of Harvey, Leybourne & Newbold 1997, with h = overlap + 1."""
    known = [d for d in differentials if not math.isnan(d)]
    n, h = len(known), overlap + 1
    mean = math.fsum(known) / n
    covariances = []
    for lag in range(h):
        pairs = zip(differentials[lag:], differentials, strict=False)
        products = [(now - mean) * (before - mean) for now, before in pairs]
        covariances.append(math.fsum(p for p in products if not math.isnan(p)) / n)
    variance = (covariances[0] + 2 * math.fsum(covariances[1:])) / n
    if variance <= 1e-12 * covariances[0] / n:
        weighted = [(1 - lag / h) * covariances[lag] for lag in range(1, h)]
        variance = (covariances[0] + 2 * math.fsum(weighted)) / n
    corrected = mean / math.sqrt(variance) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return corrected, 2 * float(stats.t.sf(abs(corrected), n - 1))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(3, 40),
    overlap=st.integers(0, 12),
    scale=st.sampled_from((1e-6, 1.0, 1e6)),
    missing=st.sampled_from((0.0, 0.2)),
)
def test_diebold_mariano_equals_a_plain_loop_when_differentials_are_any(
    seed: int, n: int, overlap: int, scale: float, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    differentials = scale * (rng.normal(size=n) + rng.normal())
    differentials[rng.random(n) < missing] = np.nan
    found = diebold_mariano(differentials, overlap)
    pairs = np.count_nonzero(~np.isnan(differentials))
    if pairs < max(3, 2 * overlap + 2):
        assert found is None
    else:
        assert found is not None and found.n == pairs
        statistic, p_value = loop(differentials.tolist(), overlap)
        assert found.statistic == pytest.approx(statistic, rel=1e-9)
        assert found.p_value == pytest.approx(p_value, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 40))
def test_diebold_mariano_is_the_paired_t_test_when_steps_do_not_overlap(seed: int, n: int) -> None:
    """The correction for small samples is then that of the variance's n - 1."""
    first, second = np.random.default_rng(seed).normal(size=(2, n))
    found, paired = diebold_mariano(first - second, 0), stats.ttest_rel(first, second)
    assert found is not None
    assert found.statistic == pytest.approx(float(paired.statistic), rel=1e-9)
    assert found.p_value == pytest.approx(float(paired.pvalue), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), overlap=st.integers(0, 4))
def test_diebold_mariano_turns_its_sign_alone_when_the_models_change_places(
    seed: int, overlap: int
) -> None:
    differentials = np.random.default_rng(seed).normal(size=20)
    found, turned = (diebold_mariano(sign * differentials, overlap) for sign in (1, -1))
    assert found is not None and turned is not None
    assert (found.statistic, found.p_value) == (-turned.statistic, turned.p_value)


@pytest.mark.parametrize("overlap", (0, 1, 3))
def test_diebold_mariano_rejects_one_in_twenty_when_models_are_equal(overlap: int) -> None:
    """Differentials are moving averages, as errors of overlapping steps are; 3 sigma is 0.012."""
    rng = np.random.default_rng(1997)
    shocks = rng.normal(size=(3000, 400 + overlap))
    rejected = []
    for row in shocks:
        found = diebold_mariano(np.convolve(row, np.ones(overlap + 1), "valid"), overlap)
        assert found is not None
        rejected.append(found.p_value < 0.05)
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.015)


def test_diebold_mariano_rejects_when_one_model_is_better() -> None:
    differentials = np.random.default_rng(3).normal(size=100) - 1
    found = diebold_mariano(differentials, 3)
    assert found is not None and found.statistic < 0 and found.p_value < 1e-6


@pytest.mark.parametrize("zeros", ([0, 0, 0], [0, NAN, 0, 0]))
def test_diebold_mariano_finds_no_difference_when_all_differentials_are_zero(
    zeros: list[float],
) -> None:
    found = diebold_mariano(np.array(zeros, dtype=float), 0)
    assert found == Comparison(statistic=0.0, p_value=1.0, n=3)


@pytest.mark.parametrize(
    ("differentials", "overlap"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([1, 2], 0, id="two pairs"),
        pytest.param([1, NAN, 2, NAN], 0, id="two pairs and gaps"),
        pytest.param([1, 2, 3, 5, 8], 2, id="less than two stretches"),
        pytest.param([2, 2, 2, 2], 0, id="all equal"),
        pytest.param([0.1 + 0.2, 0.3, 0.3, 0.3], 0, id="equal but for rounding"),
    ],
)
def test_diebold_mariano_says_nothing_when_differentials_are_too_few_or_equal(
    differentials: list[float], overlap: int
) -> None:
    assert diebold_mariano(np.array(differentials, dtype=float), overlap) is None


def test_diebold_mariano_falls_back_when_autocovariances_cancel_but_for_rounding() -> None:
    """The variance is 0.005 and the autocovariance -0.0025, so that Bartlett's sum is 0.0025."""
    differentials = np.array([0.1, -0.1, 0.0, 0.0]) + 0.2
    found = diebold_mariano(differentials, 1)
    expected = 0.2 / math.sqrt(0.0025 / 4) * math.sqrt(1.5 / 4)
    assert found is not None and found.statistic == pytest.approx(expected)
