"""sLSTM beyond what test_cells.py asks of every cell: its stabiliser, its start and its memory."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.models.cells import Layer, initialise
from rnnforecast.models.slstm import SLSTM
from tests.models.unrolled import unroll

INPUT, HIDDEN = 3, 4
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def by_biases(hidden_size: int) -> SLSTM:
    """In float64, without weights, and so without input and recurrence."""
    cell = SLSTM(INPUT, hidden_size).double()
    with torch.no_grad():
        for parameter in (cell.weight_ih_l0, cell.weight_hh_l0):
            parameter.zero_()
    return cell


def kept_share(cell: SLSTM, time: int) -> Tensor:
    """What each step leaves of a difference in c / n, n once settled [time, hidden_size]."""
    nothing = torch.zeros(1, time, INPUT, dtype=torch.float64)
    f = cell.step(nothing[:, 0]).gates["f"].detach()
    zero = torch.zeros_like(f)
    low, high = (unroll(cell, nothing, (zero, zero + c, 1 / (1 - f), zero)) for c in (1.0, 2.0))
    settled = torch.cat([step.state[2] for step in low])
    torch.testing.assert_close(settled, (1 / (1 - f)).expand(time, -1))
    by_step = zip(low, high, strict=True)
    means = [two.state[1] / two.state[2] - one.state[1] / one.state[2] for one, two in by_step]
    return (torch.cat(means) * settled).detach()


@pytest.mark.parametrize("time", [1, 2, 17, 400])
def test_slstm_equals_its_equations_and_gradients_when_sequence_is_long(time: int) -> None:
    torch.manual_seed(time)
    cell = SLSTM(INPUT, HIDDEN).double()
    x = torch.randn(2, time, INPUT, dtype=torch.float64, requires_grad=True)
    output, state = cell(x)
    steps = unroll(cell, x)
    expected = torch.stack([step.state[0] for step in steps], dim=1)
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(output, expected, **close)
    torch.testing.assert_close(tuple(part[0] for part in state), steps[-1].state, **close)
    weights, by = torch.randn_like(output), [x, *cell.parameters()]
    actual = torch.autograd.grad((output * weights).sum(), by)
    wanted = torch.autograd.grad((expected * weights).sum(), by)
    torch.testing.assert_close(actual, wanted, rtol=1e-10, atol=1e-10)


@every_dtype
@pytest.mark.parametrize("size", [30, 1e3])
def test_slstm_stays_finite_and_bounded_when_inputs_are_large(
    size: float, dtype: torch.dtype
) -> None:
    """exp(a_i) itself would overflow from 89 on in single, from 710 on in double precision."""
    torch.manual_seed(0)
    cell = SLSTM(INPUT, HIDDEN).to(dtype)
    x = size * (2 * torch.rand(2, 2000, INPUT, dtype=dtype) - 1)
    x[:, :5], x[:, 5:9] = size, -size
    x.requires_grad_()
    output, state = cell(x)
    output.square().sum().backward()
    assert output.abs().max() <= 1
    for part in (output, *state, x.grad, *(parameter.grad for parameter in cell.parameters())):
        assert part.isfinite().all()


def test_slstm_keeps_single_precision_when_it_remembers_long() -> None:
    torch.manual_seed(0)
    cell = SLSTM(INPUT, HIDDEN)
    cell.remember(torch.tensor([2.0, 30.0, 400.0, 5000.0]))
    x = torch.randn(2, 2000, INPUT)
    actual = cell(x)[0].double()
    expected = cell.double()(x.double())[0]
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-20, 20))
def test_slstm_output_is_equal_when_state_is_stabilised_otherwise(seed: int, shift: float) -> None:
    """What a state says is c exp(m) and n exp(m)."""
    torch.manual_seed(seed)
    cell = SLSTM(INPUT, HIDDEN).double()
    x = torch.randn(2, 5, INPUT, dtype=torch.float64)
    h, c, n, m = cell(x)[1]
    scaled = h, c * math.exp(shift), n * math.exp(shift), m - shift
    torch.testing.assert_close(cell(x, scaled)[0], cell(x, (h, c, n, m))[0], rtol=0, atol=1e-10)


@every_dtype
@pytest.mark.parametrize("m", [0.0, -1e4, 1e4])
def test_slstm_starts_anew_when_nothing_was_read(m: float, dtype: torch.dtype) -> None:
    """Whatever m is, also where exp(a_i) underflows beside it."""
    torch.manual_seed(0)
    cell, x = SLSTM(INPUT, HIDDEN).to(dtype), 200 * torch.randn(2, 6, INPUT, dtype=dtype)
    zeros = torch.zeros(1, 2, HIDDEN, dtype=dtype)
    output, state = cell(x)
    other_output, other_state = cell(x, (zeros, zeros, zeros, zeros + m))
    assert torch.equal(output, other_output)
    assert all(map(torch.equal, state, other_state))
    assert output.isfinite().all()


@settings(deadline=None)
@given(seed=st.integers(0, 1000), size=st.floats(0, 1e3))
def test_slstm_normaliser_is_at_least_one_when_anything_was_read(seed: int, size: float) -> None:
    torch.manual_seed(seed)
    cell = SLSTM(INPUT, HIDDEN)
    steps = unroll(cell, size * torch.randn(2, 8, INPUT))
    assert all((step.state[2] >= 1).all() for step in steps)
    for step in steps:
        assert all(((values >= 0) & (values <= 1)).all() for values in step.gates.values())


def test_slstm_holds_weighted_mean_when_forget_gate_is_open() -> None:
    """c / n of inputs z with the weights exp(a_i), by hand."""
    cell = SLSTM(2, 1).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih_l0[0, 0] = 1.0
        cell.weight_ih_l0[2, 1] = 1.0
        cell.bias_ih_l0[1] = 50.0
    x = torch.tensor([[[0.0, 0.3], [1.0, -0.2], [-2.0, 0.9]]], dtype=torch.float64)
    weights = [1.0, math.e, math.exp(-2)]
    values = [math.tanh(z) for z in (0.3, -0.2, 0.9)]
    for t, step in enumerate(unroll(cell, x), start=1):
        total = sum(weights[:t])
        mean = sum(w * z for w, z in zip(weights[:t], values[:t], strict=True)) / total
        assert step.state[0].item() == pytest.approx(0.5 * mean, rel=1e-12)
        assert step.gates["i"].item() == pytest.approx(weights[t - 1] / total, rel=1e-12)


def test_slstm_revises_what_it_holds_when_input_gate_outweighs_it() -> None:
    """With its forget gate open an LSTM would add to it."""
    cell = by_biases(1)
    cell.remember(torch.tensor([1e4]))
    with torch.no_grad():
        cell.weight_ih_l0[0, 0] = 1.0
        cell.weight_ih_l0[2, 1] = 1.0
    x = torch.zeros(1, 101, INPUT, dtype=torch.float64)
    x[:, :, 1] = 1.0
    x[:, -1] = torch.tensor([40.0, -1.0, 0.0])
    c, n = (part.item() for part in cell(x[:, :-1])[1][1:3])
    assert c / n == pytest.approx(math.tanh(1))
    c, n = (part.item() for part in cell(x)[1][1:3])
    assert c / n == pytest.approx(-math.tanh(1))


def test_slstm_remember_leaves_one_in_e_of_state_when_so_many_steps_have_passed() -> None:
    steps = [10, 25, 100, 400]
    cell = by_biases(len(steps))
    cell.remember(torch.tensor(steps))
    share = kept_share(cell, max(steps))
    for unit, count in enumerate(steps):
        assert share[0, unit].item() == pytest.approx(1 - 1 / count, rel=1e-6)
        assert share[count - 1, unit].item() == pytest.approx(math.exp(-1), rel=0.06)


@pytest.mark.parametrize("longest", [1, 2, 3, 50])
def test_slstm_spreads_memory_up_to_longest_when_chrono(longest: int) -> None:
    torch.manual_seed(0)
    cell = by_biases(500)
    initialise(Layer(cell, longest, 500), "chrono")
    steps = 1 / (1 - kept_share(cell, 1)[0])
    most = max(2, longest)
    assert steps.min() >= 2 - 1e-6 and steps.max() <= most + 1e-4
    assert steps.max() - steps.min() >= 0.95 * (most - 2)


def test_slstm_maps_are_orthogonal_and_glorot_when_new() -> None:
    torch.manual_seed(0)
    cell = SLSTM(20, 30)
    assert list(cell.recurrent_matrices()) == ["i", "f", "z", "o"]
    for matrix in cell.recurrent_matrices().values():
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(30), rtol=0, atol=1e-5)
    bound = math.sqrt(6 / (20 + 30))
    for gate in cell.weight_ih_l0.detach().split(30):
        assert 0.95 * bound < gate.abs().max() <= bound
    i, f, z, o = (cell.bias_ih_l0 + cell.bias_hh_l0).detach().split(30)
    assert torch.equal(f, torch.ones(30))
    assert not torch.cat([i, z, o]).any()


@pytest.mark.parametrize("read", ["f", "o", "if"])
def test_slstm_recurrent_matrices_are_what_gates_read_when_set_to_zero(read: str) -> None:
    """The share i of what is new follows the forget gate, too."""
    torch.manual_seed(0)
    cell = SLSTM(INPUT, HIDDEN).double()
    with torch.no_grad():
        for gate in read:
            cell.recurrent_matrices()[gate].zero_()
    x, one = torch.randn(1, INPUT, dtype=torch.float64), torch.ones(1, HIDDEN).double()
    gates, others = (cell.step(x, (h * one, one, one, one)).gates for h in (-1.0, 1.0))
    assert {gate for gate in gates if torch.equal(gates[gate], others[gate])} == set(read)
