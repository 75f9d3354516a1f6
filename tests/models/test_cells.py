"""Every cell and stack against the equations, in reference.py and its own, and torch's modules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnforecast.models import cells
from rnnforecast.models.encoders import RecurrentStack
from rnnforecast.models.minimal import MinimalCell
from rnnforecast.models.registry import MODELS, load_class
from tests.models.unrolled import unroll

from . import reference, slstm_reference

CELL_PATHS = sorted({entry.cell for entry in MODELS.values() if entry.cell})
FUSED = [path for path in CELL_PATHS if path.startswith("rnnforecast.models.cells:")]
PLAIN = ["rnnforecast.models.cells:TanhRNN", "rnnforecast.models.cells:ReLURNN"]
# What SLSTM remembers is a mean of what it met: test_slstm.py tells of it.
MEANS = ["rnnforecast.models.slstm:SLSTM"]
GATED = [path for path in CELL_PATHS if path not in PLAIN + MEANS]
REFERENCES = reference.CELLS | {"SLSTM": slstm_reference.SLSTM()}
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


def parameters_of(cell: nn.Module) -> dict[str, nn.Parameter]:
    """By their names in the equations of the reference."""
    if isinstance(cell, MinimalCell):
        return {"W": cell.linear.weight, "b_W": cell.linear.bias}
    names = {"W": "weight_ih", "U": "weight_hh", "b_W": "bias_ih", "b_U": "bias_hh"}
    return {symbol: getattr(cell, f"{name}_l0") for symbol, name in names.items()}


def weights_of(cell: nn.Module) -> reference.Weights:
    parts = {name: part.detach().numpy() for name, part in parameters_of(cell).items()}
    return reference.Weights(**{"U": np.zeros((0, HIDDEN)), "b_U": np.zeros(0)} | parts)


def random_cell(path: str, input_size: int, hidden_size: int, seed: int) -> nn.Module:
    """In float64, every weight and bias random."""
    torch.manual_seed(seed)
    cell: nn.Module = load_class(path)(input_size, hidden_size).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.5)
    return cell


def parts_of(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of a layer's state, each [batch, hidden_size]."""
    return tuple(part[0] for part in (state if isinstance(state, tuple) else (state,)))


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
        REFERENCES[path.split(":")[1]],
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
            for name, parameter in parameters_of(cell).items():
                part = getattr(gradient, name)
                np.testing.assert_allclose(parameter.grad.numpy(), part, **close)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("path", FUSED)
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


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.tuples(*(st.integers(1, most) for most in (3, 4, 6, 12))),
    given_state=st.booleans(),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("path", CELL_PATHS)
def test_cell_equals_unrolled_equations_and_gradients_when_sizes_are_arbitrary(
    path: str, sizes: tuple[int, int, int, int], given_state: bool, seed: int
) -> None:
    batch, input_size, hidden_size, time = sizes
    cell = random_cell(path, input_size, hidden_size, seed)
    x = torch.randn(batch, time, input_size, dtype=torch.float64, requires_grad=True)
    zeros = parts_of(cell(x)[1])
    state = tuple(torch.randn_like(part).requires_grad_() for part in zeros)
    output, after = (
        cell(x, state[0][None] if len(state) == 1 else tuple(part[None] for part in state))
        if given_state
        else cell(x)
    )
    steps = unroll(cell, x, state if given_state else None)
    expected = torch.stack([step.state[0] for step in steps], dim=1)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(output, expected, **close)
    torch.testing.assert_close(parts_of(after), steps[-1].state, **close)

    weights = torch.randn_like(output)
    by = [x, *cell.parameters(), *(state if given_state else ())]
    of_kernel = torch.autograd.grad((output * weights).sum() + parts_of(after)[-1].sum(), by)
    of_steps = torch.autograd.grad((expected * weights).sum() + steps[-1].state[-1].sum(), by)
    torch.testing.assert_close(of_kernel, of_steps, **close)


# Where the reference's trace of a step holds each gate.
GATES = {
    "TanhRNN": {},
    "ReLURNN": {},
    "GRU": {"r": 1, "z": 2},
    "LSTM": {"i": 2, "f": 3, "o": 5},
    "SLSTM": {"i": 9, "f": 4, "o": 6},
    "MinGRU": {"z": 2},
    "MinLSTM": {"f": 1, "i": 2},
}


@pytest.mark.parametrize("path", CELL_PATHS)
def test_step_gives_states_and_gates_of_reference_when_unrolled(path: str) -> None:
    name = path.split(":")[1]
    cell = random_cell(path, INPUT, HIDDEN, seed=1)
    x = torch.randn(1, TIME, INPUT, dtype=torch.float64)
    expected, trace = REFERENCES[name].forward(x[0].numpy(), weights_of(cell))
    for t, step in enumerate(unroll(cell, x)):
        np.testing.assert_allclose(step.state[0][0].detach().numpy(), expected[t], atol=1e-12)
        assert list(step.gates) == list(GATES[name])
        for gate, place in GATES[name].items():
            values = step.gates[gate][0].detach().numpy()
            np.testing.assert_allclose(values, trace[t][place], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "gates"), [("TanhRNN", "h"), ("ReLURNN", "h"), ("GRU", "rzn"), ("LSTM", "ifgo")]
)
def test_recurrent_matrices_are_all_there_is_when_read_by_gate(name: str, gates: str) -> None:
    cell = getattr(cells, name)(INPUT, HIDDEN)
    matrices = cell.recurrent_matrices()
    assert list(matrices) == list(gates)
    assert torch.equal(torch.cat(list(matrices.values())), cell.weight_hh_l0)


@pytest.mark.parametrize(
    ("name", "gate"), [("GRU", "r"), ("GRU", "z"), ("LSTM", "i"), ("LSTM", "f"), ("LSTM", "o")]
)
def test_recurrent_matrix_is_what_its_gate_reads_when_set_to_zero(name: str, gate: str) -> None:
    cell = random_cell(f"rnnforecast.models.cells:{name}", INPUT, HIDDEN, seed=2)
    with torch.no_grad():
        cell.recurrent_matrices()[gate].zero_()
    x = torch.randn(1, INPUT, dtype=torch.float64)
    parts = 2 if name == "LSTM" else 1
    gates, others = (
        cell.step(x, tuple(torch.randn(parts, 1, HIDDEN, dtype=torch.float64))).gates
        for _ in range(2)
    )
    assert {key for key in gates if torch.equal(gates[key], others[key])} == {gate}


def without_weights(cell: nn.Module) -> nn.Module:
    """The cell, its biases alone left."""
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if "weight" in name:
                parameter.zero_()
    return cell


def kept_share(cell: nn.Module, time: int) -> Tensor:
    """What is left of a difference of states after each step by biases [time, hidden_size]."""
    cell = without_weights(cell)
    nothing = torch.zeros(1, time, INPUT, dtype=torch.float64)
    parts = len(unroll(cell, nothing)[0].state)
    low, high = (
        unroll(cell, nothing, (torch.full((1, cell.hidden_size), level).double(),) * parts)
        for level in (1.0, 2.0)
    )
    # The last part of a state is what is carried: an LSTM's c.
    return torch.cat([b.state[-1] - a.state[-1] for a, b in zip(low, high, strict=True)]).detach()


@pytest.mark.parametrize("path", GATED)
def test_remember_leaves_one_in_e_of_state_when_so_many_steps_have_passed(path: str) -> None:
    steps = [10, 25, 100, 400]
    cell = random_cell(path, INPUT, len(steps), seed=3)
    cell.remember(torch.tensor(steps))
    share = kept_share(cell, max(steps))
    for unit, count in enumerate(steps):
        assert share[0, unit].item() == pytest.approx(1 - 1 / count, rel=1e-6)
        assert share[count - 1, unit].item() == pytest.approx(math.exp(-1), rel=0.06)


def test_remember_lets_in_what_it_lets_go_when_gates_are_two() -> None:
    cell = random_cell("rnnforecast.models.cells:LSTM", INPUT, 2, seed=3)
    cell.remember(torch.tensor([10, 400]))
    gates = without_weights(cell).step(torch.zeros(1, INPUT, dtype=torch.float64)).gates
    torch.testing.assert_close(gates["i"], 1 - gates["f"])


@pytest.mark.parametrize("path", GATED)
def test_remember_keeps_half_when_steps_are_two_or_less(path: str) -> None:
    cell = load_class(path)(INPUT, 2).double()
    cell.remember(torch.tensor([1.0, 2.0]))
    assert kept_share(cell, 1).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("path", CELL_PATHS)
def test_initialise_leaves_weights_when_orthogonal(path: str) -> None:
    cell = load_class(path)(INPUT, HIDDEN)
    before = [parameter.clone() for parameter in cell.parameters()]
    cells.initialise(cells.Layer(cell, 10, HIDDEN), "orthogonal")
    assert all(map(torch.equal, before, cell.parameters()))


@pytest.mark.parametrize("longest", [1, 2, 3, 50])
@pytest.mark.parametrize("path", GATED)
def test_initialise_spreads_memory_up_to_longest_when_chrono(path: str, longest: int) -> None:
    torch.manual_seed(0)
    cell = load_class(path)(INPUT, 500).double()
    cells.initialise(cells.Layer(cell, longest, 500), "chrono")
    steps = 1 / (1 - kept_share(cell, 1)[0])
    most = max(2, longest)
    assert steps.min() >= 2 - 1e-6 and steps.max() <= most + 1e-4
    assert steps.max() - steps.min() >= 0.95 * (most - 2)
    assert steps.mean().item() == pytest.approx((2 + most) / 2, rel=0.1)


@pytest.mark.parametrize("path", PLAIN)
def test_initialise_leaves_plain_layers_when_chrono(path: str) -> None:
    cell = load_class(path)(INPUT, HIDDEN)
    before = [parameter.clone() for parameter in cell.parameters()]
    cells.initialise(cells.Layer(cell, 10, HIDDEN), "chrono")
    assert all(map(torch.equal, before, cell.parameters()))


@pytest.mark.parametrize("path", CELL_PATHS)
def test_initialise_fills_torch_bounds_when_uniform(path: str) -> None:
    torch.manual_seed(0)
    cell = load_class(path)(20, 400)
    cells.initialise(cells.Layer(cell, 10, 400), "uniform")
    for parameter in cell.parameters():
        assert parameter.min() < -0.95 / 20 and 0.95 / 20 < parameter.max()
        assert parameter.abs().max() <= 1 / 20


@pytest.mark.parametrize("init", ["orthogonal", "chrono"])
def test_initialise_leaves_foreign_layer_when_it_tells_nothing_of_itself(init: str) -> None:
    cell = nn.Linear(INPUT, HIDDEN)
    before = cell.weight.clone()
    cells.initialise(cells.Layer(cell, 10, HIDDEN), init)
    assert torch.equal(cell.weight, before)


def test_initialise_fills_torch_bounds_when_uniform_and_layer_tells_nothing_of_itself() -> None:
    torch.manual_seed(0)
    cell = nn.Linear(20, 400)
    nn.init.zeros_(cell.weight)
    cells.initialise(cells.Layer(cell, 10, 400), "uniform")
    for parameter in cell.parameters():
        assert 0.95 / 20 < parameter.abs().max() <= 1 / 20


@pytest.mark.parametrize("hidden_size", [1, 8, 33])
@pytest.mark.parametrize("path", FUSED)
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


@pytest.mark.parametrize("path", FUSED)
def test_cell_input_gates_fill_glorot_bounds_when_new(path: str) -> None:
    torch.manual_seed(0)
    cell = load_class(path)(20, 30)
    bound = math.sqrt(6 / (20 + 30))
    for gate in cell.weight_ih_l0.detach().split(30):
        assert 0.95 * bound < gate.abs().max() <= bound


@pytest.mark.parametrize("path", FUSED)
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
