"""Every cell and stack against the equations in reference.py and against torch's own modules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.models import cells
from rnnforecast.models.encoders import RecurrentStack
from rnnforecast.models.registry import MODELS, load_class

from . import reference

CELL_PATHS = sorted({entry.cell for entry in MODELS.values() if entry.cell})
INPUT, HIDDEN, TIME = 3, 5, 7
LENGTHS = (7, 4, 1, 6)


def random_stack(path: str, num_layers: int, bidirectional: bool, seed: int = 0) -> RecurrentStack:
    """In float64, every weight and bias random, so that no term of an equation is zero."""
    torch.manual_seed(seed)
    stack = RecurrentStack(
        load_class(path), INPUT, HIDDEN, num_layers=num_layers, bidirectional=bidirectional
    ).double()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.normal_(std=0.5)
    return stack


def layers_of(stack: RecurrentStack) -> list[list[nn.Module]]:
    """The cells by layer and direction."""
    backward = stack.backward_layers or [None] * len(stack.forward_layers)
    pairs = zip(stack.forward_layers, backward, strict=True)
    return [[cell for cell in pair if cell is not None] for pair in pairs]


def parameters_of(cell: nn.Module) -> list[nn.Parameter]:
    return [cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0]


def weights_of(cell: nn.Module) -> reference.Weights:
    return reference.Weights(*(part.detach().numpy() for part in parameters_of(cell)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("path", CELL_PATHS)
def test_stack_matches_equations_and_their_gradients_when_rows_have_unequal_lengths(
    path: str, num_layers: int, bidirectional: bool
) -> None:
    stack = random_stack(path, num_layers, bidirectional)
    x = torch.randn(len(LENGTHS), TIME, INPUT, dtype=torch.float64, requires_grad=True)
    states, final = stack(x, torch.tensor(LENGTHS))
    counted = torch.arange(TIME) < torch.tensor(LENGTHS)[:, None]
    state_weights = torch.randn_like(states) * counted[..., None]
    final_weights = torch.randn_like(final)
    ((states * state_weights).sum() + (final * final_weights).sum()).backward()

    expected = reference.read(
        reference.CELLS[path.split(":")[1]],
        [[weights_of(cell) for cell in directions] for directions in layers_of(stack)],
        [x.detach().numpy()[row, :length] for row, length in enumerate(LENGTHS)],
        [state_weights.numpy()[row, :length] for row, length in enumerate(LENGTHS)],
        final_weights.numpy(),
    )
    close = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose(final.detach().numpy(), expected.finals, **close)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(
            states[row, :length].detach().numpy(), expected.states[row], **close
        )
        np.testing.assert_allclose(x.grad[row, :length].numpy(), expected.dx[row], **close)
        assert not x.grad[row, length:].any()
    for directions, gradients in zip(layers_of(stack), expected.gradients, strict=True):
        for cell, gradient in zip(directions, gradients, strict=True):
            parts = (gradient.W, gradient.U, gradient.b_W, gradient.b_U)
            for parameter, part in zip(parameters_of(cell), parts, strict=True):
                np.testing.assert_allclose(parameter.grad.numpy(), part, **close)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("path", CELL_PATHS)
def test_stack_equals_torch_module_when_rows_are_full(
    path: str, num_layers: int, bidirectional: bool
) -> None:
    stack = random_stack(path, num_layers, bidirectional)
    cell = stack.forward_layers[0]
    module = getattr(nn, cell.mode.split("_")[0])(
        INPUT,
        HIDDEN,
        num_layers,
        batch_first=True,
        bidirectional=bidirectional,
        **({"nonlinearity": cell.nonlinearity} if isinstance(cell, nn.RNN) else {}),
    ).double()
    for depth, directions in enumerate(layers_of(stack)):
        for cell, suffix in zip(directions, ("", "_reverse"), strict=False):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                ours = getattr(cell, f"{name}_l0").detach()
                getattr(module, f"{name}_l{depth}{suffix}").data.copy_(ours)

    x = torch.randn(4, TIME, INPUT, dtype=torch.float64)
    states, final = stack(x, torch.full((4,), TIME))
    expected, state = module(x)
    hidden = state[0] if isinstance(state, tuple) else state
    last_layer = hidden[-2:] if bidirectional else hidden[-1:]
    torch.testing.assert_close(states, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(final, torch.cat(list(last_layer), dim=-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("hidden_size", [1, 8, 33])
@pytest.mark.parametrize("path", CELL_PATHS)
def test_cell_recurrent_gates_are_orthogonal_when_new(path: str, hidden_size: int) -> None:
    cell = load_class(path)(4, hidden_size)
    for gate in cell.weight_hh_l0.detach().split(hidden_size):
        torch.testing.assert_close(gate @ gate.T, torch.eye(hidden_size), rtol=0, atol=1e-5)


def test_relu_rnn_recurrent_matrix_is_identity_when_new() -> None:
    assert torch.equal(cells.ReLURNN(4, 8).weight_hh_l0.detach(), torch.eye(8))


@pytest.mark.parametrize("name", ["TanhRNN", "GRU", "LSTM"])
def test_cell_recurrent_gates_differ_when_new(name: str) -> None:
    gates: tuple[Tensor, ...] = getattr(cells, name)(4, 8).weight_hh_l0.detach().split(8)
    assert all(not torch.allclose(gate, gates[0]) for gate in gates[1:])
    assert not torch.allclose(gates[0], torch.eye(8))


@pytest.mark.parametrize("path", CELL_PATHS)
def test_cell_input_gates_fill_glorot_bounds_when_new(path: str) -> None:
    torch.manual_seed(0)
    cell = load_class(path)(20, 30)
    bound = math.sqrt(6 / (20 + 30))
    for gate in cell.weight_ih_l0.detach().split(30):
        assert 0.95 * bound < gate.abs().max() <= bound


@pytest.mark.parametrize("path", CELL_PATHS)
def test_cell_biases_are_zero_but_for_forget_gate_when_new(path: str) -> None:
    cell = load_class(path)(4, 3)
    bias = (cell.bias_ih_l0 + cell.bias_hh_l0).detach()
    if isinstance(cell, nn.LSTM):
        input_, forget, candidate, output = bias.split(3)
        assert torch.equal(forget, torch.ones(3))
        bias = torch.cat([input_, candidate, output])
    assert not bias.any()


def test_stack_drops_only_between_layers_when_dropout_is_given() -> None:
    torch.manual_seed(0)
    x, lengths = torch.randn(2, TIME, INPUT), torch.tensor([TIME, 3])
    single = RecurrentStack(cells.GRU, INPUT, HIDDEN, dropout=0.9)
    assert torch.equal(single(x, lengths)[0], single.eval()(x, lengths)[0])
    double = RecurrentStack(cells.GRU, INPUT, HIDDEN, num_layers=2, dropout=0.9)
    first_pass = double(x, lengths)[0]
    assert not torch.equal(first_pass, double(x, lengths)[0])
    assert not torch.equal(first_pass, double.eval()(x, lengths)[0])
