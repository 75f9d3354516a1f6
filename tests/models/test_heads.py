"""Every head against the reference distributions: its order, its quantiles, its loss, its draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from rnnforecast.models.distributions import HEADS
from rnnforecast.models.heads import (
    SHARPNESS,
    SPREAD_FLOOR,
    Head,
    NegativeBinomialHead,
    NormalHead,
    QuantileHead,
    StudentTHead,
)
from rnnforecast.models.normalisation import WindowScale, window_scale
from rnnforecast.models.registry import load_class

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
STEPS = 3
FREE = [name for name, entry in HEADS.items() if not entry.counts]
DISTRIBUTIONS = [name for name, entry in HEADS.items() if entry.samples]

every_head = pytest.mark.parametrize("name", HEADS)
level_sets = st.lists(
    st.floats(0.01, 99.99), min_size=1, max_size=4, unique_by=lambda level: f"{level:g}"
).map(lambda coverages: _around_median(sorted(coverages)))


def _around_median(coverages: Sequence[float]) -> tuple[float, ...]:
    lower = [(100 - coverage) / 200 for coverage in reversed(coverages)]
    return (*lower, 0.5, *((100 + coverage) / 200 for coverage in coverages))


def build(name: str, levels: Sequence[float] = LEVELS) -> Head:
    head: Head = load_class(HEADS[name].head)(levels)
    return head


def scale_of(batch: int, *, shift: float = 0.0, scale: float = 1.0) -> WindowScale:
    one = torch.ones(batch, 1, dtype=torch.float64)
    return WindowScale(shift * one, scale * one)


def draw(head: Head, batch: int, std: float) -> Tensor:
    """Parameters of arbitrary locations and raw spreads [batch, STEPS, parameter]."""
    generator = torch.Generator().manual_seed(0)
    location = torch.randn(batch, STEPS, generator=generator)
    return head(location, std * torch.randn(batch, STEPS, head.spreads, generator=generator))


def raw(*spreads: float) -> Tensor:
    """What softplus makes these spreads of, for one step of one window [1, 1, spreads]."""
    return torch.tensor(spreads, dtype=torch.float64).expm1().log()[None, None].float()


@every_head
def test_head_samples_as_its_row_says_when_registered(name: str) -> None:
    head = build(name)
    assert head.samples == HEADS[name].samples
    assert head.counts == HEADS[name].counts
    assert not list(head.parameters())


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), LEVELS, _around_median((1, 20, 50, 80, 99))])
def test_head_median_is_location_when_spreads_are_arbitrary(
    name: str, levels: tuple[float, ...]
) -> None:
    head, location = build(name, levels), torch.randn(6, STEPS)
    scale = scale_of(6, shift=100, scale=10)
    quantiles = head.quantiles(head(location, torch.randn(6, STEPS, head.spreads)), scale)
    assert quantiles.shape == (6, STEPS, len(levels))
    median = quantiles[..., len(levels) // 2]
    torch.testing.assert_close(median, 100 + 10 * location.double(), rtol=0, atol=1e-5)


@every_head
@settings(deadline=None)
@given(levels=level_sets, level=st.floats(-1e6, 1e6), spread=st.sampled_from([0.0, 1.0, 100.0]))
def test_head_quantiles_ascend_when_parameters_are_arbitrary(
    name: str, levels: tuple[float, ...], level: float, spread: float
) -> None:
    head = build(name, levels)
    location = torch.full((20, STEPS), level, dtype=torch.float32)
    parameters = head(location, spread * torch.randn(20, STEPS, head.spreads))
    quantiles = head.quantiles(parameters, scale_of(20, shift=3, scale=2))
    assert quantiles.dtype == torch.float64
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_quantile_head_adds_softplus_outwards_when_spread_is_known() -> None:
    head = QuantileHead(LEVELS)
    # Inner then outer distance, lower side first.
    parameters = head(torch.tensor([[10.5]]), raw(1, 2, 3, 4))
    expected = torch.tensor([10.5 - 1 - 2, 10.5 - 1, 10.5, 10.5 + 3, 10.5 + 3 + 4])
    actual = head.quantiles(parameters, scale_of(1, shift=-5, scale=2))[0, 0]
    torch.testing.assert_close(actual, 2 * expected.double() - 5, rtol=1e-6, atol=0)


def reference(name: str, parameters: Tensor) -> Any:
    """SciPy's distributions of parameters [batch, step, parameter], each [batch, step, 1]."""
    columns = parameters.detach().double()[..., None].unbind(2)
    location, scale, *freedom = (column.numpy() for column in columns)
    family = {"normal": stats.norm, "student-t": stats.t}[name]
    return family(*freedom, loc=location, scale=scale)


@pytest.mark.parametrize("name", ["normal", "student-t"])
@pytest.mark.parametrize("std", [0.1, 3.0])
def test_head_quantiles_and_loss_match_scipy_when_parameters_are_arbitrary(
    name: str, std: float
) -> None:
    head, scale = build(name, _around_median((50, 80, 95, 99.9))), scale_of(20, shift=7, scale=3)
    parameters = draw(head, 20, std)
    normalised, mask = 3 * torch.randn(20, STEPS), torch.rand(20, STEPS) > 0.3
    known = reference(name, parameters)
    actual = head.quantiles(parameters, scale)
    np.testing.assert_allclose(actual, 7 + 3 * known.ppf(head.levels), rtol=2e-6, atol=1e-5)
    density = known.logpdf(normalised.double().numpy()[..., None])[..., 0]
    expected = -density[mask.numpy()].mean()
    target = scale.inverse(normalised)
    assert head.loss(parameters, scale, target, mask).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("spread", [-1e4, 0.0, 50.0])
def test_distribution_scale_keeps_its_floor_when_spread_is_any(spread: float) -> None:
    location, softplus = torch.zeros(1, 1), np.logaddexp(0, spread)
    both = torch.full((1, 1, 2), spread)
    parameters = NormalHead(LEVELS)(location, both[..., :1])[0, 0].tolist()
    assert parameters == pytest.approx([0, softplus + SPREAD_FLOOR])
    _, scale, freedom = StudentTHead(LEVELS)(location, both)[0, 0].tolist()
    assert scale == pytest.approx(softplus + SPREAD_FLOOR)
    assert freedom > 2
    assert freedom == pytest.approx(2 + softplus, abs=1.1 * SPREAD_FLOOR)
    parameters = NegativeBinomialHead(LEVELS)(location, both[..., :1])[0, 0].tolist()
    assert parameters == pytest.approx([0, softplus + SPREAD_FLOOR**2])


@every_head
@pytest.mark.parametrize("spread", [0.0, 100.0, -1e4, 1e4])
@pytest.mark.parametrize("location", [0.0, -20.0, 1e6])
def test_head_and_its_gradients_are_finite_when_parameters_are_extreme(
    name: str, spread: float, location: float
) -> None:
    head, scale = build(name), scale_of(2, shift=3, scale=2)
    read = [torch.full((2, STEPS), location), torch.full((2, STEPS, head.spreads), spread)]
    for part in read:
        part.requires_grad_()
    parameters = head(*read)
    target = torch.tensor([[0.0, 1.0, 1e6]]).repeat(2, 1).double()
    loss = head.loss(parameters, scale, target, target >= 0)
    loss.backward()
    assert loss.isfinite() and head.quantiles(parameters, scale).isfinite().all()
    assert all(part.grad.isfinite().all() for part in read)


@pytest.mark.parametrize("spread", [-1e4, -100.0, -20.0])
def test_student_t_head_gradient_is_finite_when_freedom_is_near_two(spread: float) -> None:
    head = StudentTHead(LEVELS)
    location = torch.zeros(5, STEPS, requires_grad=True)
    spreads = torch.full((5, STEPS, 2), spread, requires_grad=True)
    target = torch.randn(5, STEPS).double()
    head.loss(head(location, spreads), scale_of(5), target, target < 1e9).backward()
    assert location.grad.all()
    assert location.grad.isfinite().all() and spreads.grad.isfinite().all()


@every_head
def test_head_loss_ignores_target_when_step_is_masked(name: str) -> None:
    head, scale = build(name), scale_of(5, shift=2, scale=4)
    target, parameters = torch.randint(9, (5, STEPS)).double(), draw(head, 5, 1.0)
    mask = torch.tensor([[True, False, True]]).repeat(5, 1)
    loss = head.loss(parameters, scale, target, mask)
    other = torch.where(mask, target, 1e9)
    assert torch.equal(head.loss(parameters, scale, other, mask), loss)
    assert not torch.equal(head.loss(parameters, scale, target, ~mask), loss)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        pytest.param("quantile", stats.expon(scale=2), id="quantile of a skewed one"),
        pytest.param("normal", stats.norm(3, 2), id="normal"),
        pytest.param("student-t", stats.t(df=3, loc=-1, scale=0.5), id="student-t"),
        pytest.param("negative-binomial", stats.nbinom(2, 0.01), id="negative-binomial"),
    ],
)
def test_head_learns_the_distribution_when_it_can_represent_it(name: str, truth: Any) -> None:
    """The quantiles of 12,000 samples are known to a few hundredths of the distribution's width."""
    head = build(name)
    target = torch.from_numpy(truth.rvs((4000, STEPS), random_state=0)).double()
    scale = scale_of(4000, scale=100.0 if HEADS[name].counts else 1.0)
    # A count's mean near 0 has gradients that Adam would remember for most of these steps.
    location, spread = torch.ones(1, 1), torch.zeros(1, 1, head.spreads)
    learnt = [location.requires_grad_(), spread.requires_grad_()]
    optimizer = torch.optim.Adam(learnt, lr=0.05)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        parameters = head(*learnt).expand(4000, STEPS, -1)
        loss = head.loss(parameters, scale, target, torch.ones_like(target) > 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    expected, width = truth.ppf(LEVELS), truth.ppf(0.9) - truth.ppf(0.1)
    actual = head.quantiles(head(*learnt), WindowScale(*(part[:1] for part in scale)))[0, 0]
    np.testing.assert_allclose(actual.detach(), expected, rtol=0, atol=0.1 * width)


def counts_of(mean: Tensor, alpha: float) -> tuple[Tensor, WindowScale]:
    """Parameters of these means [batch, step] and a scale that is that of counts."""
    batch, steps = mean.shape
    parameters = torch.stack([mean, torch.full((batch, steps), alpha).double()], dim=-1)
    return parameters, scale_of(batch)


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("largest", [10.0, 1e3, 1e6])
def test_negative_binomial_quantile_is_the_smallest_count_when_mean_is_any(
    alpha: float, largest: float
) -> None:
    """As SciPy's inverse, away from ties, on which side of which that falls is chance."""
    head = NegativeBinomialHead(_around_median((1, 50, 80, 95, 99.9)))
    mean = largest * torch.linspace(0.2, 0.99, 50, dtype=torch.float64).reshape(10, 5)
    parameters, scale = counts_of(mean, alpha)
    mu = torch.nn.functional.softplus(mean, beta=SHARPNESS).numpy()[..., None]
    known = stats.nbinom(1 / alpha, 1 / (1 + alpha * mu))
    np.testing.assert_array_equal(head.quantiles(parameters, scale), known.ppf(head.levels))


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 1.0, 10.0])
def test_negative_binomial_quantile_is_near_its_limit_when_counts_are_huge(alpha: float) -> None:
    """αμ counts times a gamma distribution of shape 1/α, Poisson's noise being small beside it."""
    mean = 1e9
    parameters, scale = counts_of(torch.full((1, 1), mean, dtype=torch.float64), alpha)
    actual = NegativeBinomialHead(LEVELS).quantiles(parameters, scale)[0, 0]
    expected = stats.gamma(1 / alpha, scale=alpha * mean).ppf(LEVELS)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=10)
    assert torch.equal(actual, actual.round())


def test_negative_binomial_quantile_is_the_tie_when_the_function_meets_the_level() -> None:
    """Of α = 1 the function is 1 - q^(k + 1): a half, three quarters and so on for a mean of 1."""
    head = NegativeBinomialHead((0.25, 0.5, 0.75))
    location = torch.tensor(SHARPNESS, dtype=torch.float64).expm1().log() / SHARPNESS  # bent to 1
    parameters, scale = counts_of(location.reshape(1, 1), 1.0)
    assert head.quantiles(parameters, scale)[0, 0].tolist() == [0, 0, 1]


def test_negative_binomial_is_defined_when_window_is_of_zeros() -> None:
    head, zeros = NegativeBinomialHead(LEVELS), torch.zeros(1, 8, dtype=torch.float64)
    scale = window_scale(zeros, zeros == 0, season=1)
    location = torch.zeros(1, 1, requires_grad=True)
    parameters = head(location, torch.zeros(1, 1, 1))
    mean, alpha = np.log(2) / SHARPNESS, np.log(2) + SPREAD_FLOOR**2
    known = stats.nbinom(1 / alpha, 1 / (1 + alpha * mean))
    assert head.quantiles(parameters, scale)[0, 0].tolist() == known.ppf(LEVELS).tolist()
    for target in (0.0, 2.0):
        at = torch.full((1, 1), target, dtype=torch.float64)
        loss = head.loss(parameters, scale, at, at >= 0)
        assert loss.item() == pytest.approx(-known.logpmf(target), rel=1e-6)
        (gradient,) = torch.autograd.grad(loss, location, retain_graph=True)
        assert gradient.item() != 0


@pytest.mark.parametrize("location", [-15.0, -2.0, 0.0, 1.0, 50.0])
def test_negative_binomial_mean_rises_with_location_when_it_is_below_zero_too(
    location: float,
) -> None:
    """In counts a location of -15 scales is all but 0, and a count there still pulls it up."""
    head, scale = NegativeBinomialHead(LEVELS), scale_of(1, shift=40, scale=20)
    at = torch.tensor([[location - 2]], requires_grad=True)  # counts' zero lies at -2
    target = torch.full((1, 1), 3000.0, dtype=torch.float64)
    loss = head.loss(head(at, torch.zeros(1, 1, 1)), scale, target, target > 0)
    loss.backward()
    assert loss.isfinite() and at.grad.item() < -1e-3
    if location >= 1:
        alpha = np.log(2) + SPREAD_FLOOR**2
        known = stats.nbinom(1 / alpha, 1 / (1 + alpha * 20 * location))
        assert loss.item() == pytest.approx(-known.logpmf(3000), rel=0.02)


def uniform_pairs(count: int) -> Tensor:
    return torch.rand(1, count, 2, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("name", "spreads", "truth"),
    [
        pytest.param("normal", (0.5,), stats.norm(1, 0.501), id="normal"),
        pytest.param("student-t", (2.0, 0.1), stats.t(2.101, 1, 2.001), id="heavy-tailed t"),
        pytest.param("student-t", (2.0, 5.0), stats.t(7.001, 1, 2.001), id="student-t"),
        pytest.param("student-t", (2.0, 1e7), stats.norm(1, 2.001), id="all but normal t"),
    ],
)
def test_head_draws_its_distribution_when_uniform_numbers_are_many(
    name: str, spreads: tuple[float, ...], truth: Any
) -> None:
    """A Kolmogorov-Smirnov distance of 100,000 draws passes 0.0061 in one of a thousand."""
    head, count = build(name), 100_000
    # Softplus is the identity to single precision from 20 on, where expm1 would overflow.
    spread = torch.where(torch.tensor(spreads) > 20, torch.tensor(spreads), raw(*spreads)[0, 0])
    parameters = head(torch.ones(1, count), spread.expand(1, count, -1))
    drawn = head.sample(parameters, uniform_pairs(count), scale_of(1, shift=5, scale=9))
    assert drawn.shape == (1, count) and drawn.dtype == torch.float32
    assert stats.kstest(drawn[0].numpy(), truth.cdf).statistic < 0.0061


@pytest.mark.parametrize(("mean", "alpha"), [(0.3, 2.0), (8.0, 0.5), (8.0, 1e-6), (1e6, 0.01)])
def test_negative_binomial_head_draws_its_distribution_when_uniform_numbers_are_many(
    mean: float, alpha: float
) -> None:
    """As above; the distance is taken at the counts, between which both functions are level."""
    count = 100_000
    shown = WindowScale(*(torch.full((1, 1), part).double() for part in (2 * mean, mean)))
    # The location whose distance above zero softplus bends to 1 scale.
    location = torch.tensor(SHARPNESS).expm1().log() / SHARPNESS - 2
    parameters = torch.tensor([location, alpha]).expand(1, count, 2)
    drawn = NegativeBinomialHead(LEVELS).sample(parameters, uniform_pairs(count), shown)
    assert drawn.dtype == torch.float32
    counts = shown.inverse(drawn)[0].round().numpy()
    values, seen = np.unique(counts, return_counts=True)
    truth = stats.nbinom(1 / alpha, 1 / (1 + alpha * mean))
    assert np.abs(seen.cumsum() / count - truth.cdf(values)).max() < 0.0061


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("spread", [-1e4, 0.0, 50.0])
@pytest.mark.parametrize("location", [-3.0, 1e4])
def test_head_draws_finite_numbers_when_uniform_ones_are_at_their_ends(
    name: str, spread: float, location: float
) -> None:
    ends = torch.tensor([0.0, 1e-45, 1e-38, 2**-24, 0.5, 1 - 2**-24, 1.0])
    uniform = torch.cartesian_prod(ends, ends)[None]
    head, count = build(name), uniform.shape[1]
    spreads = torch.full((1, count, head.spreads), spread)
    parameters = head(torch.full((1, count), location), spreads)
    drawn = head.sample(parameters, uniform, scale_of(1, shift=2, scale=3))
    assert drawn.isfinite().all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_head_draws_alike_when_rows_are_alone_or_together(name: str) -> None:
    head, scale = build(name), WindowScale(torch.rand(6, 1).double(), 9 * torch.rand(6, 1).double())
    parameters, uniform = draw(head, 6, 1.0), torch.rand(6, STEPS, 2)
    together = head.sample(parameters, uniform, scale)
    for row in range(6):
        own = WindowScale(*(part[row : row + 1] for part in scale))
        alone = head.sample(parameters[row : row + 1], uniform[row : row + 1], own)
        # Vectorised and remaining elements differ in the last bit.
        torch.testing.assert_close(alone[0], together[row], rtol=1e-6, atol=1e-6)
    other = head.sample(parameters, 1 - uniform, scale)
    assert not torch.equal(other, together)


def test_quantile_head_refuses_to_draw_when_asked() -> None:
    head = QuantileHead(LEVELS)
    with pytest.raises(NotImplementedError, match="^QuantileHead is no distribution"):
        head.sample(draw(head, 2, 1.0), torch.rand(2, STEPS, 2), scale_of(2))
