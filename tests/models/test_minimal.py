"""minGRU and minLSTM: all steps at once against one after the other, at any length and size."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.models.minimal import MinGRU, MinimalCell, MinLSTM, positive, scan
from tests.models.unrolled import unroll

CELLS: list[type[MinimalCell]] = [MinGRU, MinLSTM]
EXACT = {torch.float32: 1e-5, torch.float64: 1e-10}

every_cell = pytest.mark.parametrize("cell_class", CELLS)
every_dtype = pytest.mark.parametrize("dtype", EXACT)


def assert_reads_as_unrolled(cell: MinimalCell, x: Tensor, start: Tensor, bound: float) -> None:
    """States and gradients, each to `bound` of its largest entry."""
    weights = torch.randn(x.shape[0], x.shape[1], cell.hidden_size, dtype=x.dtype)
    by = [x.requires_grad_(), start.requires_grad_(), *cell.parameters()]
    states, final = cell(x, start[None])
    expected = torch.stack([step.state[0] for step in unroll(cell, x, (start,))], dim=1)
    assert torch.equal(final[0], states[:, -1])
    actual = [states, *torch.autograd.grad((states * weights).sum(), by)]
    wanted = [expected, *torch.autograd.grad((expected * weights).sum(), by)]
    for one, other in zip(actual, wanted, strict=True):
        assert one.isfinite().all()
        assert (one - other).abs().max() <= bound * max(1, other.abs().max().item())


@every_cell
@every_dtype
@pytest.mark.parametrize("time", [1, 2, 17, 400, 2000])
def test_minimal_cell_reads_at_once_as_step_by_step_when_sequence_is_long(
    cell_class: type[MinimalCell], dtype: torch.dtype, time: int
) -> None:
    torch.manual_seed(time)
    cell = cell_class(3, 4).to(dtype)
    x, start = torch.randn(2, time, 3, dtype=dtype), torch.randn(2, 4, dtype=dtype)
    assert_reads_as_unrolled(cell, x, start, EXACT[dtype])


@every_cell
@every_dtype
@pytest.mark.parametrize("size", [30, 1e3])
def test_minimal_cell_stays_finite_and_exact_when_inputs_are_large(
    cell_class: type[MinimalCell], dtype: torch.dtype, size: float
) -> None:
    """The larger the inputs, the coarser a gate's argument is rounded before any state is met."""
    torch.manual_seed(0)
    cell = cell_class(3, 4).to(dtype)
    x = size * (2 * torch.rand(2, 2000, 3, dtype=dtype) - 1)
    x[:, :5], x[:, 5:9] = size, -size
    start = size * torch.randn(2, 4, dtype=dtype)
    assert_reads_as_unrolled(cell, x, start, EXACT[dtype] * size / 10)


@every_cell
def test_minimal_cell_keeps_single_precision_when_it_remembers_long(
    cell_class: type[MinimalCell],
) -> None:
    torch.manual_seed(0)
    cell = cell_class(3, 4)
    cell.remember(torch.tensor([2.0, 30.0, 400.0, 5000.0]))
    x = torch.randn(2, 2000, 3)
    actual = cell(x)[0].double()
    expected = cell.double()(x.double())[0]
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=0)


@settings(deadline=None)
@given(time=st.integers(1, 40), seed=st.integers(0, 1000), extreme=st.sampled_from([0.0, 0.5, 1.0]))
def test_scan_matches_naive_loop_when_time_is_arbitrary(
    time: int, seed: int, extreme: float
) -> None:
    """Also where a share of the steps forgets or keeps everything."""
    generator = torch.Generator().manual_seed(seed)
    keep, write = torch.rand(2, 2, time, 3, generator=generator, dtype=torch.float64)
    whole = torch.rand(keep.shape, generator=generator) < extreme
    keep = torch.where(whole, keep.round(), keep)
    start = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    actual = scan(keep, write, start)
    h = start
    for t in range(time):
        h = keep[:, t] * h + write[:, t]
        torch.testing.assert_close(actual[:, t], h, rtol=0, atol=1e-12)


@every_cell
def test_minimal_cell_is_zero_before_first_step_when_no_state_is_given(
    cell_class: type[MinimalCell],
) -> None:
    torch.manual_seed(0)
    cell, x = cell_class(3, 4), torch.randn(2, 6, 3)
    assert torch.equal(cell(x)[0], cell(x, torch.zeros(1, 2, 4))[0])
    assert cell.recurrent_matrices() == {}


@every_cell
def test_minimal_cell_gates_see_input_only_when_states_differ(
    cell_class: type[MinimalCell],
) -> None:
    cell, x = cell_class(3, 4), torch.randn(2, 3)
    gates = cell.step(x, (torch.randn(2, 4),)).gates
    assert gates
    for name, values in cell.step(x).gates.items():
        assert torch.equal(values, gates[name])


def test_minlstm_gates_add_up_to_one_when_both_underflow() -> None:
    cell = MinLSTM(1, 1)
    with torch.no_grad():
        cell.linear.bias.copy_(torch.tensor([-1000.0, -1001.0, 0.0]))
    gates = cell.step(torch.zeros(1, 1)).gates
    assert gates["f"].item() == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-6)
    assert gates["i"].item() == pytest.approx(1 / (1 + math.exp(1)), rel=1e-6)


def test_positive_follows_its_equation_when_of_either_sign() -> None:
    a = torch.tensor([-1000.0, -2.0, -1e-9, 0.0, 3.0], dtype=torch.float64)
    expected = [0.0, 1 / (1 + math.exp(2)), 0.5, 0.5, 3.5]
    assert positive(a).tolist() == pytest.approx(expected, abs=1e-8)


@every_cell
def test_minimal_cell_maps_fill_glorot_bounds_and_biases_are_zero_when_new(
    cell_class: type[MinimalCell],
) -> None:
    torch.manual_seed(0)
    cell = cell_class(20, 30)
    bound = math.sqrt(6 / (20 + 30))
    for part in cell.linear.weight.detach().split(30):
        assert 0.95 * bound < part.abs().max() <= bound
    assert not cell.linear.bias.any()
