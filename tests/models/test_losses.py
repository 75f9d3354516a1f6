"""The pinball loss against a naive loop, the likelihoods against SciPy's densities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from rnnforecast.models.losses import (
    negative_binomial_loss,
    normal_loss,
    pinball_loss,
    student_t_loss,
)

numbers = st.floats(-1e4, 1e4, allow_nan=False)
level_sets = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4)


def naive_pinball(
    quantiles: list, target: list, mask: list[list[bool]], levels: list[float]
) -> float:
    total, count = 0.0, 0
    for row, steps in enumerate(mask):
        for step, observed in enumerate(steps):
            if not observed:
                continue
            count += 1
            for place, level in enumerate(levels):
                error = target[row][step] - quantiles[row][step][place]
                loss = level * error if error >= 0 else (1 - level) * -error
                total += 2 * loss / len(levels)
    return total / count if count else 0.0


@settings(deadline=None)
@given(data=st.data(), levels=level_sets, batch=st.integers(1, 3), horizon=st.integers(1, 4))
def test_pinball_loss_matches_naive_loop_when_values_are_arbitrary(
    data: st.DataObject, levels: list[float], batch: int, horizon: int
) -> None:
    def draw(of: st.SearchStrategy, *shape: int) -> list:
        if not shape:
            return data.draw(of)
        return [draw(of, *shape[1:]) for _ in range(shape[0])]

    quantiles = draw(numbers, batch, horizon, len(levels))
    target, mask = draw(numbers, batch, horizon), draw(st.booleans(), batch, horizon)
    actual = pinball_loss(
        torch.tensor(quantiles, dtype=torch.float64),
        torch.tensor(target, dtype=torch.float64),
        torch.tensor(mask),
        levels,
    )
    expected = naive_pinball(quantiles, target, mask, levels)
    assert actual.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_pinball_loss_is_absolute_error_when_level_is_median() -> None:
    quantiles, target = torch.randn(5, 3, 1), torch.randn(5, 3)
    actual = pinball_loss(quantiles, target, torch.ones(5, 3, dtype=torch.bool), (0.5,))
    torch.testing.assert_close(actual, (target - quantiles[..., 0]).abs().mean())


def test_pinball_loss_is_zero_without_gradient_when_nothing_is_observed() -> None:
    quantiles = torch.randn(2, 3, 3, requires_grad=True)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    loss = pinball_loss(quantiles, torch.zeros(2, 3), mask, (0.1, 0.5, 0.9))
    loss.backward()
    assert loss.item() == 0
    assert not quantiles.grad.any()


def test_pinball_loss_ignores_target_when_step_is_masked() -> None:
    quantiles, target = torch.randn(2, 3, 3), torch.randn(2, 3)
    mask = torch.tensor([[True, False, True], [False, True, True]])
    levels = (0.1, 0.5, 0.9)
    other = torch.where(mask, target, 1e9)
    assert torch.equal(
        pinball_loss(quantiles, target, mask, levels), pinball_loss(quantiles, other, mask, levels)
    )


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_loss_is_least_at_empirical_quantile_when_forecast_is_constant(
    level: float,
) -> None:
    target = torch.arange(101.0)[:, None]
    candidates = torch.arange(101.0)
    losses = [
        pinball_loss(torch.full((101, 1, 1), float(q)), target, target >= 0, (level,)).item()
        for q in candidates
    ]
    assert abs(losses.index(min(losses)) - 100 * level) <= 1


singles = st.floats(-1e3, 1e3, width=32)
scales = st.floats(np.float32(1e-3).item(), 1e3, width=32)
freedoms = st.floats(np.float32(2.001).item(), 1e8, width=32)


def naive_likelihood(densities: list[float], mask: list[bool]) -> float:
    observed = [density for density, seen in zip(densities, mask, strict=True) if seen]
    return -sum(observed) / len(observed) if observed else 0.0


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


@settings(deadline=None)
@given(st.lists(st.tuples(singles, scales, singles, st.booleans()), min_size=1, max_size=5))
def test_normal_loss_matches_scipy_when_values_are_arbitrary(
    steps: list[tuple[float, float, float, bool]],
) -> None:
    location, scale, target, mask = zip(*steps, strict=True)
    actual = normal_loss(column(location), column(scale), column(target), column(mask) > 0)
    densities = [stats.norm.logpdf(y, m, s) for m, s, y, _ in steps]
    assert actual.item() == pytest.approx(naive_likelihood(densities, mask), rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(
    st.lists(st.tuples(singles, scales, freedoms, singles, st.booleans()), min_size=1, max_size=5)
)
def test_student_t_loss_matches_scipy_when_values_are_arbitrary(
    steps: list[tuple[float, float, float, float, bool]],
) -> None:
    location, scale, freedom, target, mask = zip(*steps, strict=True)
    columns = (column(part) for part in (location, scale, freedom, target))
    actual = student_t_loss(*columns, column(mask) > 0)
    densities = [stats.t.logpdf(y, df, m, s) for m, s, df, y, _ in steps]
    assert actual.item() == pytest.approx(naive_likelihood(densities, mask), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [
        # -log t(1; ν) by hand: π(1 + 1) at ν = 1, (2 + 1)^1.5 at ν = 2.
        (1.0, np.log(2 * np.pi)),
        (2.0, 1.5 * np.log(3)),
        (1e30, 0.5 + np.log(2 * np.pi) / 2),  # the normal's
    ],
)
def test_student_t_loss_is_known_when_freedom_is_special(freedom: float, expected: float) -> None:
    one = torch.ones(1, 1)
    actual = student_t_loss(0 * one, one, freedom * one, one, one > 0)
    assert actual.item() == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("freedom", [2.001, 30.0, 1e4, 1e8])
def test_student_t_loss_gradients_match_differences_when_freedom_is_any(freedom: float) -> None:
    """Central differences of SciPy's density in float64, the step a share of each parameter."""
    location, scale, target = 0.3, 0.7, 2.0
    at = torch.tensor([location, scale, freedom], requires_grad=True)
    m, s, df = at.reshape(3, 1, 1).unbind(0)
    student_t_loss(m, s, df, torch.full((1, 1), target), torch.ones(1, 1) > 0).backward()
    for place in range(3):
        ends = []
        step = np.zeros(3)
        step[place] = 1e-3 * at[place].item()
        for sign in (1, -1):
            m, s, df = np.array([location, scale, freedom]) + sign * step
            ends.append(-stats.t.logpdf(target, df, m, s))
        expected = (ends[0] - ends[1]) / (2 * step[place])
        assert at.grad[place].item() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_likelihoods_are_zero_without_gradient_when_nothing_is_observed() -> None:
    parameters = torch.rand(3, 2, 4, requires_grad=True)
    location, scale, freedom = parameters.unbind(0)
    target, mask = torch.full((2, 4), 1e9), torch.zeros(2, 4, dtype=torch.bool)
    loss = normal_loss(location, scale, target, mask)
    loss = loss + student_t_loss(location, scale, freedom, target, mask)
    loss.backward()
    assert loss.item() == 0
    assert not parameters.grad.any()


def single(*values: float) -> list[Tensor]:
    return [torch.tensor([[value]], dtype=torch.float64) for value in values]


def naive_log_probability(mean: float, dispersion: float, count: int) -> float:
    """The product over the counts below; SciPy's loses half its digits at a mean of a millionth."""
    size, odds = 1 / dispersion, dispersion * mean
    factors = [math.log((size + k) / (k + 1)) for k in range(count)]
    return math.fsum([*factors, count * math.log(odds), -(count + size) * math.log1p(odds)])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(1e-6, 1e4), st.floats(1e-3, 1e3), st.integers(0, 10_000), st.booleans()
        ),
        min_size=1,
        max_size=5,
    )
)
@example([(1e-6, 1e-3, 1, True)])
@example([(1e4, 1e-3, 10_000, True)])
def test_negative_binomial_loss_equals_a_product_over_counts_when_values_are_arbitrary(
    steps: list[tuple[float, float, int, bool]],
) -> None:
    mean, dispersion, target, mask = zip(*steps, strict=True)
    exact = torch.tensor([mean, dispersion, target], dtype=torch.float64)[..., None]
    actual = negative_binomial_loss(*exact, column(mask) > 0)
    densities = [naive_log_probability(m, a, y) for m, a, y, _ in steps]
    assert actual.item() == pytest.approx(naive_likelihood(densities, mask), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "mean", "dispersion", "expected"),
    [
        # -log of the probability in arithmetic of 60 digits; SciPy's float64 loses half of them.
        (1_000_003, 1e6, 1e-6, 8.1732720274604074),
        (999_999_937, 1e9, 1e-3, 18.188410500992335),
        (123_456_789, 1e9, 2.0, 20.658000730508955),
        (0, 1e9, 1.0, 20.723265837946411),
        (7, 3.5, 1e-12, 3.2558205815952133),
        (3, 1e-9, 0.5, 62.862944693899179),
    ],
)
def test_negative_binomial_loss_keeps_its_digits_when_terms_are_large(
    count: int, mean: float, dispersion: float, expected: float
) -> None:
    m, a, y = single(mean, dispersion, count)
    assert negative_binomial_loss(m, a, y, y >= 0).item() == pytest.approx(expected, rel=1e-11)


@settings(deadline=None)
@given(mean=st.floats(1e-3, 1e6), count=st.integers(0, 2_000_000))
def test_negative_binomial_loss_is_poissons_when_dispersion_vanishes(
    mean: float, count: int
) -> None:
    m, a, y = single(mean, 1e-15, count)
    actual = negative_binomial_loss(m, a, y, y >= 0).item()
    # The next term of the series in α is α/2 times the square of the distance.
    slack = 1e-15 * ((count - mean) ** 2 + count)
    expected = -stats.poisson.logpmf(count, mean)
    assert actual == pytest.approx(expected, rel=1e-9, abs=1e-9 + slack)


def test_negative_binomial_probabilities_sum_to_one_when_all_counts_are_taken() -> None:
    counts = torch.arange(3000, dtype=torch.float64)
    losses = [
        negative_binomial_loss(*single(20.0, 0.7), count.reshape(1, 1), torch.ones(1, 1) > 0)
        for count in counts
    ]
    assert torch.stack(losses).neg().exp().sum().item() == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("count", [0.0, 1.0, 4.0, 5.0, 1000.0])
@pytest.mark.parametrize(("mean", "dispersion"), [(5.0, 0.3), (0.02, 2.0), (900.0, 0.05)])
def test_negative_binomial_loss_gradients_match_differences_when_parameters_are_any(
    count: float, mean: float, dispersion: float
) -> None:
    m, a, y = single(mean, dispersion, count)

    def loss(mean: Tensor, dispersion: Tensor) -> Tensor:
        return negative_binomial_loss(mean, dispersion, y, y >= 0)

    assert torch.autograd.gradcheck(loss, (m.requires_grad_(), a.requires_grad_()))


@pytest.mark.parametrize("count", [0.0, 1.0, 999.0, 1000.0, 1e9])
@pytest.mark.parametrize("dispersion", [1e-6, 1e-3, 1.0])
def test_negative_binomial_loss_gradients_are_known_when_counts_are_large(
    count: float, dispersion: float
) -> None:
    """By the mean (μ - y) / (μ + αμ²); by α, in Poisson's limit, (y - (y - μ)²) / 2."""
    m, a, y = single(1000.0, dispersion, count)
    negative_binomial_loss(m.requires_grad_(), a.requires_grad_(), y, y >= 0).backward()
    expected = (1000 - count) / (1000 * (1 + 1000 * dispersion))
    assert m.grad.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if dispersion == 1e-6 and count <= 1000:
        limit = (count - (count - 1000) ** 2) / 2
        assert a.grad.item() == pytest.approx(limit, rel=2e-3, abs=1)


def test_negative_binomial_loss_is_zero_without_gradient_when_nothing_is_observed() -> None:
    m, a, y = single(3.0, 0.5, 0.0)
    loss = negative_binomial_loss(m.requires_grad_(), a.requires_grad_(), y, y > 0)
    loss.backward()
    assert loss.item() == 0
    assert not m.grad.any() and not a.grad.any()


@pytest.mark.parametrize(
    ("mean", "dispersion", "target"),
    [(1e6, 0.1, 2e6), (1e6, 1e-6, 1e6), (1e8, 1e3, 0.0), (1e-6, 1e-6, 1e7), (3.0, 0.5, 2.0)],
)
def test_negative_binomial_gradient_is_finite_when_single(
    mean: float, dispersion: float, target: float
) -> None:
    parameters = [torch.tensor([[value]], requires_grad=True) for value in (mean, dispersion)]
    loss = negative_binomial_loss(*parameters, torch.tensor([[target]]), torch.ones(1, 1) > 0)
    loss.backward()
    assert loss.isfinite()
    for parameter in parameters:
        assert parameter.grad.isfinite().all()
