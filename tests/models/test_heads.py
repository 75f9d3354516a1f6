"""Every head against the reference distributions: its start, its order, its quantiles, its loss."""

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

from rnnforecast.models.heads import SPREAD_FLOOR, Head, NormalHead, QuantileHead, StudentTHead
from rnnforecast.models.registry import HEADS, load_class

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
INPUT, HORIZON = 4, 3

every_head = pytest.mark.parametrize("name", HEADS)
level_sets = st.lists(
    st.floats(0.01, 99.99), min_size=1, max_size=4, unique_by=lambda level: f"{level:g}"
).map(lambda coverages: _around_median(sorted(coverages)))


def _around_median(coverages: Sequence[float]) -> tuple[float, ...]:
    lower = [(100 - coverage) / 200 for coverage in reversed(coverages)]
    return (*lower, 0.5, *((100 + coverage) / 200 for coverage in coverages))


def build(name: str, levels: Sequence[float] = LEVELS, *, input_size: int = INPUT) -> Head:
    torch.manual_seed(0)
    head: Head = load_class(HEADS[name].head)(input_size, HORIZON, levels)
    return head


def set_spreads(head: Head, *raw: float) -> None:
    """Make every step's spreads softplus(raw), whatever the summary."""
    with torch.no_grad():
        head.spread.weight.zero_()
        head.spread.bias.copy_(torch.tensor(raw).repeat(HORIZON))


def randomise(head: Head, std: float) -> None:
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=std)


@every_head
@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), LEVELS, _around_median((1, 20, 50, 80, 99))])
def test_head_median_is_baseline_when_new(name: str, levels: tuple[float, ...]) -> None:
    head, baseline = build(name, levels), torch.randn(6, HORIZON)
    quantiles = head.quantiles(head(torch.randn(6, INPUT), baseline))
    assert quantiles.shape == (6, HORIZON, len(levels))
    torch.testing.assert_close(quantiles[..., len(levels) // 2], baseline, rtol=0, atol=1e-6)


@every_head
@settings(deadline=None)
@given(levels=level_sets, level=st.floats(-1e6, 1e6), spread=st.sampled_from([0.0, 1.0, 100.0]))
def test_head_quantiles_ascend_when_weights_are_arbitrary(
    name: str, levels: tuple[float, ...], level: float, spread: float
) -> None:
    head = build(name, levels)
    randomise(head, spread)
    with torch.inference_mode():
        quantiles = head.quantiles(
            head(torch.randn(20, INPUT), torch.full((20, HORIZON), level, dtype=torch.float32))
        )
    assert quantiles.dtype == torch.float32
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_quantile_head_adds_softplus_outwards_when_spread_is_known() -> None:
    head = QuantileHead(1, 1, LEVELS)
    with torch.no_grad():
        head.spread.weight.zero_()
        # Inner then outer distance, lower side first: softplus(log(e^d - 1)) = d.
        head.spread.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).expm1().log())
        head.median.bias.fill_(0.5)
    quantiles = head.quantiles(head(torch.zeros(1, 1), torch.tensor([[10.0]])))
    expected = torch.tensor([10.5 - 1 - 2, 10.5 - 1, 10.5, 10.5 + 3, 10.5 + 3 + 4])
    torch.testing.assert_close(quantiles[0, 0], expected)


def reference(name: str, parameters: Tensor) -> Any:
    """SciPy's distributions of parameters [batch, horizon, parameter], each [batch, horizon, 1]."""
    columns = parameters.detach().double()[..., None].unbind(2)
    location, scale, *freedom = (column.numpy() for column in columns)
    family = {"normal": stats.norm, "student-t": stats.t}[name]
    return family(*freedom, loc=location, scale=scale)


@pytest.mark.parametrize("name", ["normal", "student-t"])
@pytest.mark.parametrize("std", [0.1, 3.0])
def test_head_quantiles_and_loss_match_scipy_when_weights_are_arbitrary(
    name: str, std: float
) -> None:
    head = build(name, _around_median((50, 80, 95, 99.9)))
    randomise(head, std)
    parameters = head(torch.randn(20, INPUT), torch.randn(20, HORIZON))
    target, mask = 3 * torch.randn(20, HORIZON), torch.rand(20, HORIZON) > 0.3
    known = reference(name, parameters)
    actual = head.quantiles(parameters).detach()
    np.testing.assert_allclose(actual, known.ppf(head.levels), rtol=2e-6, atol=1e-5)
    density = known.logpdf(target.double().numpy()[..., None])[..., 0]
    expected = -density[mask.numpy()].mean()
    assert head.loss(parameters, target, mask).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("raw", [-1e4, 0.0, 50.0])
def test_distribution_scale_keeps_its_floor_when_spread_is_any(raw: float) -> None:
    baseline = torch.zeros(1, HORIZON)
    softplus = np.logaddexp(0, raw)
    normal = NormalHead(1, HORIZON, LEVELS)
    set_spreads(normal, raw)
    parameters = normal(torch.zeros(1, 1), baseline)[0, 0].tolist()
    assert parameters == pytest.approx([0, softplus + SPREAD_FLOOR])
    student_t = StudentTHead(1, HORIZON, LEVELS)
    set_spreads(student_t, raw, raw)
    _, scale, freedom = student_t(torch.zeros(1, 1), baseline)[0, 0].tolist()
    assert scale == pytest.approx(softplus + SPREAD_FLOOR)
    assert freedom > 2
    assert freedom == pytest.approx(2 + softplus, abs=1.1 * SPREAD_FLOOR)


@every_head
@pytest.mark.parametrize("summary", [0.0, 1e4])
@pytest.mark.parametrize("baseline", [0.0, 1e6])
def test_head_and_its_gradients_are_finite_when_parameters_are_extreme(
    name: str, summary: float, baseline: float
) -> None:
    head = build(name)
    read = torch.full((2, INPUT), summary) * torch.tensor([[1.0], [-1.0]])
    read.requires_grad_()
    parameters = head(read, torch.full((2, HORIZON), baseline))
    loss = head.loss(parameters, torch.zeros(2, HORIZON), torch.ones(2, HORIZON) > 0)
    loss.backward()
    assert loss.isfinite() and head.quantiles(parameters).isfinite().all()
    for gradient in (read.grad, *(parameter.grad for parameter in head.parameters())):
        assert gradient is not None and gradient.isfinite().all()


@pytest.mark.parametrize("raw", [-1e4, -100.0, -20.0])
def test_student_t_head_gradient_is_finite_when_freedom_is_near_two(raw: float) -> None:
    head = StudentTHead(INPUT, HORIZON, LEVELS)
    set_spreads(head, raw, raw)
    parameters = head(torch.randn(5, INPUT), torch.zeros(5, HORIZON))
    head.loss(parameters, torch.randn(5, HORIZON), torch.ones(5, HORIZON) > 0).backward()
    assert head.median.weight.grad.any()
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())


@every_head
def test_head_loss_ignores_target_when_step_is_masked(name: str) -> None:
    head, target = build(name), torch.randn(5, HORIZON)
    mask = torch.rand(5, HORIZON) > 0.5
    parameters = head(torch.randn(5, INPUT), torch.zeros(5, HORIZON))
    loss = head.loss(parameters, target, mask)
    assert torch.equal(head.loss(parameters, torch.where(mask, target, 1e9), mask), loss)
    assert not torch.equal(head.loss(parameters, target, ~mask), loss)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        pytest.param("quantile", stats.expon(scale=2), id="quantile of a skewed one"),
        pytest.param("normal", stats.norm(3, 2), id="normal"),
        pytest.param("student-t", stats.t(df=3, loc=-1, scale=0.5), id="student-t"),
    ],
)
def test_head_learns_the_distribution_when_it_can_represent_it(name: str, draw: Any) -> None:
    """The quantiles of 4,000 samples are known to a few hundredths of the distribution's width."""
    head = build(name, input_size=1)
    target = torch.from_numpy(draw.rvs((4000, HORIZON), random_state=0)).float()
    summary, baseline = torch.ones(4000, 1), torch.zeros(4000, HORIZON)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = head.loss(head(summary, baseline), target, torch.ones_like(target) > 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    expected, width = draw.ppf(LEVELS), draw.ppf(0.9) - draw.ppf(0.1)
    actual = head.quantiles(head(summary[:1], baseline[:1]))[0].detach()
    np.testing.assert_allclose(actual, np.tile(expected, (HORIZON, 1)), rtol=0, atol=0.1 * width)
