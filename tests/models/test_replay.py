"""Total derivatives by recurrent states, against finite differences and results by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.arrays import FloatArray
from rnnforecast.models.attention import AdditiveAttention
from rnnforecast.models.cells import GRU, LSTM, Cell, ReLURNN, TanhRNN
from rnnforecast.models.encoders import RecurrentStack, SkipRecurrence
from rnnforecast.models.registry import MODELS
from rnnforecast.models.replay import LayerTrace, Replay, trace_attention, trace_layers
from tests.models.test_network import HORIZON, LOOKBACK
from tests.models.test_network import build as build_network

BATCH, TIME, CHANNELS, HIDDEN = 3, 7, 2, 4
LENGTHS = torch.tensor([7, 2, 5])
RECURRENT = [name for name, row in MODELS.items() if row.cell is not None]


class ForeignCell(nn.Module):
    """c' = f c + tanh(W x + U h), h' = tanh(c'), f = σ(V x): no more than a layer has to have."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(input_size, hidden_size)
        self.candidate = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        zeros = x.new_zeros(1, len(x), self.recurrent.in_features)
        h, c = (zeros, zeros) if state is None else state
        outputs = []
        for now in x.split(1, dim=1):
            now = now.transpose(0, 1)
            c = torch.sigmoid(self.gate(now)) * c
            c = c + torch.tanh(self.candidate(now) + self.recurrent(h))
            h = torch.tanh(c)
            outputs.append(h)
        return torch.cat(outputs).transpose(0, 1), (h, c)


CELLS: list[Cell] = [TanhRNN, ReLURNN, GRU, LSTM, ForeignCell]


class LinearStep(NamedTuple):
    state: tuple[Tensor, ...]
    gates: dict[str, Tensor]


class LinearRNN(nn.Module):
    """h' = h W + x V: gradients through it are powers of W."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size, bias=False)
        self.recurrent = nn.Parameter(torch.eye(hidden_size))

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None) -> LinearStep:
        h = x.new_zeros(len(x), len(self.recurrent)) if state is None else state[0]
        return LinearStep((h @ self.recurrent + self.input(x),), {})

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        states = [] if state is None else [state[0]]
        for now in x.unbind(1):
            states.append(self.step(now, (states[-1],) if states else None).state[0])
        output = torch.stack(states[0 if state is None else 1 :], dim=1)
        return output, output[:, -1][None]


class Reader(nn.Module):
    """An encoder, and a loss of what it read that no symmetry makes simple."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def loss(self, x: Tensor, lengths: Tensor, *, everywhere: bool) -> Tensor:
        """Of the final states; of those at all steps that count too where `everywhere`."""
        states, final = self.encoder(x, lengths)
        loss = (final * torch.arange(1.0, final.shape[1] + 1)).sin().sum()
        if everywhere:
            counts = (torch.arange(states.shape[1]) < lengths[:, None])[..., None]
            loss = loss + (states * counts).tanh().square().sum()
        return loss


def build(cell: Cell, **options: Any) -> Reader:
    torch.manual_seed(0)
    return Reader(RecurrentStack(cell, CHANNELS, HIDDEN, **options)).eval()


def sequences() -> Tensor:
    return torch.randn(BATCH, TIME, CHANNELS, generator=torch.Generator().manual_seed(1))


def traces(reader: Reader, *, everywhere: bool = False) -> dict[str, LayerTrace]:
    x = sequences().double()
    found = trace_layers(reader, lambda copy: copy.loss(x, LENGTHS, everywhere=everywhere))
    return {trace.name: trace for trace in found}


class Perturbed(nn.Module):
    """A cell whose state after one step of one row is moved by `delta` [part, hidden_size]."""

    def __init__(self, cell: nn.Module, step: int, row: int, delta: Tensor) -> None:
        super().__init__()
        self.cell = cell
        self.step, self.row, self.delta = step, row, delta

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs = []
        for step, now in enumerate(x.split(1, dim=1)):
            state = self.cell(now, state)[1]
            if step == self.step:
                parts = [state] if isinstance(state, Tensor) else list(state)
                for part, delta in zip(parts, self.delta, strict=True):
                    part.view(-1, HIDDEN)[self.row] += delta
            outputs.append((state if isinstance(state, Tensor) else state[0]).view(-1, HIDDEN))
        return torch.stack(outputs, dim=1), state


def finite_difference(
    reader: Reader, layers: nn.ModuleList, depth: int, step: int, row: int, everywhere: bool
) -> float:
    """The norm of the loss's derivative by a whole state, from losses on both sides of it."""
    cell, width = layers[depth], 1e-6
    parts = 2 if isinstance(cell, LSTM | ForeignCell) else 1
    slopes = []
    with torch.no_grad():
        for place in range(parts * HIDDEN):
            losses = []
            for sign in (1, -1):
                delta = torch.zeros(parts * HIDDEN, dtype=torch.float64)
                delta[place] = sign * width
                layers[depth] = Perturbed(cell, step, row, delta.reshape(parts, HIDDEN))
                x = sequences().double()
                losses.append(float(reader.loss(x, LENGTHS, everywhere=everywhere)))
            slopes.append((losses[0] - losses[1]) / (2 * width))
    layers[depth] = cell
    return float(np.linalg.norm(slopes))


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_trace_matches_finite_differences_when_layers_read_both_ways(
    cell: Cell, everywhere: bool
) -> None:
    reader = build(cell, num_layers=2, bidirectional=True).double()
    found = traces(reader, everywhere=everywhere)
    assert list(found) == [
        f"encoder layer {layer} {way}" for layer in (1, 2) for way in ("forward", "backward")
    ]
    for row, step in ((0, 6), (0, 3), (1, 0), (2, 1)):
        for depth in (0, 1):
            for way in ("forward", "backward"):
                layers = reader.encoder.get_submodule(f"{way}_layers")
                assert isinstance(layers, nn.ModuleList)
                expected = finite_difference(reader, layers, depth, step, row, everywhere)
                gradients = found[f"encoder layer {depth + 1} {way}"].gradients
                lag = int(LENGTHS[row]) - 1 - step
                assert gradients[row, lag] == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_trace_matches_finite_differences_when_layers_are_dilated(cell: Cell) -> None:
    reader = build(cell, num_layers=2, dilated=True).double()
    found = traces(reader)["encoder layer 2 forward"].gradients
    layers = reader.encoder.get_submodule("forward_layers")
    assert isinstance(layers, nn.ModuleList)
    for row, step in ((0, 6), (0, 4), (0, 1), (1, 1), (2, 0), (2, 3)):
        # Step 2s + r of a row is step s of the folded row 2 row + r.
        folded = (1, step // 2, 2 * row + step % 2)
        expected = finite_difference(reader, layers, *folded, everywhere=False)
        lag = int(LENGTHS[row]) - 1 - step
        assert found[row, lag] == pytest.approx(expected, rel=1e-5, abs=1e-8)
        assert (found[row, lag] == 0) == (lag % 2 == 1)


def test_trace_is_nan_beyond_the_first_step_when_lengths_differ() -> None:
    for trace in traces(build(GRU, bidirectional=True)).values():
        counts = np.arange(TIME) < LENGTHS.numpy()[:, None]
        np.testing.assert_array_equal(np.isnan(trace.gradients), ~counts)


def test_trace_keeps_only_steps_with_gradient_when_training_is_truncated() -> None:
    whole = traces(build(GRU))["encoder layer 1 forward"].gradients
    cut = traces(build(GRU, tbptt=3))["encoder layer 1 forward"].gradients
    np.testing.assert_allclose(cut, whole[:, :3], rtol=1e-12)


@pytest.mark.parametrize("period", [1, 3])
def test_trace_has_the_seasonal_recurrence_when_there_is_one(period: int) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, CHANNELS, HIDDEN)
    found = traces(Reader(SkipRecurrence(stack, GRU, CHANNELS, period)))
    assert list(found) == ["encoder seasonal", "encoder layer 1 forward"]
    gradients = found["encoder seasonal"].gradients
    assert gradients.shape == (BATCH, TIME)
    assert (gradients[0] > 0).all()
    # The newest state of each phase is read as it is, the older ones through it alone.
    assert gradients[0, :period].min() > gradients[0, period:].max()


@pytest.mark.parametrize("rho", [0.5, 1.0, 1.5])
def test_trace_is_powers_of_the_radius_when_the_recurrence_is_linear(rho: float) -> None:
    reader = build(LinearRNN)
    cell = reader.encoder.get_submodule("forward_layers.0")
    assert isinstance(cell, LinearRNN)
    with torch.no_grad():
        cell.recurrent.copy_(rho * torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0])
    gradients = traces(reader)["encoder layer 1 forward"].gradients
    for row, length in enumerate(LENGTHS.tolist()):
        expected = gradients[row, 0] * rho ** np.arange(length)
        np.testing.assert_allclose(gradients[row, :length], expected, rtol=1e-5)


def test_trace_differs_from_the_gradient_of_a_fused_output_when_time_passes() -> None:
    reader = build(GRU)
    total = traces(reader)["encoder layer 1 forward"].gradients
    direct: list[Tensor] = []

    def keep(module: nn.Module, given: object, returned: tuple[Tensor, Tensor]) -> None:
        returned[0].retain_grad()
        direct.append(returned[0])

    reader.double().encoder.get_submodule("forward_layers.0").register_forward_hook(keep)
    loss = reader.loss(sequences().double(), LENGTHS, everywhere=False)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = direct[0].grad
    assert gradient is not None
    norms = gradient.norm(dim=2).numpy()
    for row, length in enumerate(LENGTHS.tolist()):
        assert norms[row, length - 1] == pytest.approx(total[row, 0], rel=1e-9)
        assert (norms[row, : length - 1] == 0).all() and (total[row, :length] > 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_replay_gives_what_the_cell_gives_when_state_is_passed_on(cell: Cell) -> None:
    torch.manual_seed(0)
    layer, x = cell(CHANNELS, HIDDEN), sequences()
    replay = Replay(layer)
    half, state = replay(x[:, :3])
    rest, after = replay(x[:, 3:], state)
    output, expected = layer(x)
    torch.testing.assert_close(torch.cat([half, rest], dim=1), output, rtol=0, atol=1e-6)
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    assert len(replay.states) == TIME


def test_trace_leaves_the_network_as_it_was_when_done() -> None:
    reader = build(LSTM, num_layers=2)
    before = {name: weights.clone() for name, weights in reader.state_dict().items()}
    traces(reader)
    assert list(reader.state_dict()) == list(before)
    for name, weights in reader.state_dict().items():
        assert weights.dtype == torch.float32 and torch.equal(weights, before[name])
    assert all(weights.grad is None for weights in reader.parameters())


@pytest.mark.parametrize("segment_length", [1, 4])
@pytest.mark.parametrize("name", RECURRENT)
def test_trace_runs_the_network_as_it_is_when_the_model_is_any(
    name: str, segment_length: int
) -> None:
    network = build_network(name, segment_length=segment_length)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn(weights.shape, generator=generator) / 5)
    values = torch.randn(4, LOOKBACK, generator=generator).double()
    mask = torch.ones_like(values, dtype=torch.bool)
    mask[1, :9], mask[2, 5] = False, False
    replayed = []

    def loss(copy: nn.Module) -> Tensor:
        parameters: Tensor = copy(values * mask, mask)[0]
        replayed.append(parameters)
        return parameters.square().sum()

    found = trace_layers(network, loss)
    with torch.no_grad():
        expected = network(values * mask, mask)[0]
    assert replayed[0].shape[:2] == (4, HORIZON)
    torch.testing.assert_close(replayed[0].float(), expected, rtol=1e-5, atol=1e-6)
    assert all((trace.gradients[:, 0] > 0).all() for trace in found)


def by_hand(reader: Reader) -> tuple[FloatArray, FloatArray]:
    """Outputs and forget gates of an LSTM layer at the steps that count, by NumPy."""
    layer = reader.encoder.get_submodule("forward_layers.0")
    w, u, b, c = (weights.detach().double().numpy() for weights in layer.parameters())
    outputs, forgets = [], []
    for row, length in enumerate(LENGTHS.tolist()):
        h = m = np.zeros(HIDDEN)
        for x in sequences()[row, :length].double().numpy():
            i, f, g, o = np.split(w @ x + b + u @ h + c, 4)
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            m = f * m + i * np.tanh(g)
            h = o * np.tanh(m)
            outputs.append(h)
            forgets.append(f)
    return np.concatenate(outputs), np.concatenate(forgets)


def test_trace_holds_gates_and_outputs_of_counted_steps_when_rows_are_padded() -> None:
    reader = build(LSTM)
    trace = traces(reader)["encoder layer 1 forward"]
    outputs, forgets = by_hand(reader)
    np.testing.assert_allclose(trace.outputs, outputs, atol=1e-7)
    np.testing.assert_allclose(trace.gates["f"], forgets, atol=1e-7)
    assert set(trace.gates) == {"i", "f", "o"} and set(trace.matrices) == {"i", "f", "g", "o"}


@pytest.mark.parametrize(
    ("cell", "nonlinearity"),
    [(TanhRNN, "tanh"), (ReLURNN, "relu"), (GRU, None), (ForeignCell, None)],
)
def test_trace_names_the_nonlinearity_when_the_cell_is_plain(
    cell: Cell, nonlinearity: str | None
) -> None:
    trace = traces(build(cell))["encoder layer 1 forward"]
    assert trace.nonlinearity == nonlinearity
    assert bool(trace.gates) == (cell is GRU)


class Asking(nn.Module):
    """Two questions, one after the other, to the same states."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = AdditiveAttention(HIDDEN, CHANNELS)

    def forward(self, queries: Tensor, states: Tensor) -> list[Tensor]:
        return [self.attention(query, states, LENGTHS)[1] for query in queries.split(1, dim=1)]


def test_attention_counts_back_from_the_last_step_when_lengths_differ() -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"decoder": Asking()})
    queries, weights = torch.randn(BATCH, 2, HIDDEN), []

    def ask() -> None:
        weights.extend(network["decoder"](queries, sequences()))

    (trace,) = trace_attention(network, ask)
    assert trace.name == "decoder" and trace.weights.shape == (BATCH, 2, TIME)
    for row, length in enumerate(LENGTHS.tolist()):
        for query in (0, 1):
            expected = weights[query][row, 0, :length].flip(0).detach()
            np.testing.assert_allclose(trace.weights[row, query, :length], expected)
    np.testing.assert_allclose(trace.weights.sum(2), 1, rtol=1e-6)
    assert not network["decoder"].get_submodule("attention")._forward_hooks
