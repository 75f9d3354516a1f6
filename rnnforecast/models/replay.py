"""A network run once more, step by step, to see how its loss depends on every recurrent state.

The gradient of a fused layer's output tells of the direct path only: of what reads that output.
Here each state is a node that the next one follows from, so that its gradient is the total
derivative, through all later steps (backpropagation through time, Werbos 1990).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from rnnforecast.arrays import FloatArray
from rnnforecast.models.attention import Attention
from rnnforecast.models.decoders import Decoder
from rnnforecast.models.encoders import RecurrentStack, SkipRecurrence, reverse, unfold

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class LayerTrace:
    """What one direction of one layer did while it read some windows.

    Attributes:
        name: Where it is, such as "encoder layer 1 forward".
        gradients: Norm of the loss's total derivative by the recurrent state, by steps back from
            the last one that counts; NaN where a window has no such step [window, lag].
        gates: The activations of each gate at the steps that count, in (0, 1) [value].
        outputs: What the layer gave at those steps [value].
        matrices: The recurrent matrix of each gate [hidden_size, hidden_size].
        nonlinearity: Of a plain cell, "tanh" or "relu"; None of another.
    """

    name: str
    gradients: FloatArray
    gates: dict[str, FloatArray]
    outputs: FloatArray
    matrices: dict[str, FloatArray]
    nonlinearity: str | None


class AttentionTrace(NamedTuple):
    """Where an attention looked.

    Attributes:
        name: Where it is, such as "decoder".
        weights: By steps back from the last one, 0 beyond the first [window, query, lag].
        lengths: Steps of each window that count [window].
    """

    name: str
    weights: FloatArray
    lengths: FloatArray


class Replay(nn.Module):
    """A cell that reads step by step and, where gradients flow, keeps what it met.

    A cell without `step` is called with one step after another.
    """

    cell: Any

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.states: list[tuple[Tensor, ...]] = []
        self.gates: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As the cell's: x [batch, time, input_size] to its output and a state."""
        outputs = []
        for now in torch.split(x, 1, dim=1):
            after, gates = self._advance(now, state)
            # Copies, as the gradient of a part would hold that of a part computed from it: of an
            # LSTM, that of c the one of h.
            parts = tuple(part.clone() for part in _parts(after))
            if torch.is_grad_enabled():
                for part in parts:
                    part.retain_grad()
                self.states.append(parts)
                self.gates.append(gates)
            state = parts[0] if isinstance(after, Tensor) else parts
            outputs.append(_output(parts))
        return torch.stack(outputs, dim=1), state

    def _advance(self, x: Tensor, state: Any) -> tuple[Any, dict[str, Tensor]]:
        """The state after x [batch, 1, input_size], as the cell returns it, and its gates."""
        if not hasattr(self.cell, "step"):
            return self.cell(x, state)[1], {}
        before = None if state is None else tuple(part.squeeze(0) for part in _parts(state))
        step = self.cell.step(x.squeeze(1), before)
        after = tuple(part[None] for part in step.state)
        return (after if len(after) > 1 else after[0]), step.gates


class _Place(NamedTuple):
    """A replayed cell, what it reads every how many steps, and the module that knows lengths."""

    name: str
    replay: Replay
    dilation: int
    reader: nn.Module | None


def trace_layers(network: Network, loss: Callable[[Network], Tensor]) -> list[LayerTrace]:
    """Run a copy of the network in double precision, and its recurrent cells step by step.

    Args:
        network: Left as it is.
        loss: The loss of the network it is given, which lies on the CPU and is in evaluation mode.

    Returns:
        One trace for each layer and direction that gradients reached; that of a decoder counts
        its own steps. Dilated layers count in undilated steps.
    """
    copied = copy.deepcopy(network).cpu().double().eval()
    lengths: dict[nn.Module, Tensor] = {}
    for child in copied.children():
        child.register_forward_pre_hook(_in_double)
    places = list(_replaced(copied))
    for reader in {place.reader for place in places if place.reader is not None}:
        reader.register_forward_pre_hook(lambda module, x: lengths.update({module: x[1]}))
    with torch.enable_grad():
        loss(copied).backward()  # type: ignore[no-untyped-call]
    return [
        _trace(place, lengths[place.reader] if place.reader is not None else None)
        for place in places
        if place.replay.states
    ]


def trace_attention(network: nn.Module, forecast: Callable[[], object]) -> list[AttentionTrace]:
    """Where each attention of the network looks while `forecast` runs."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def keep(name: str, given: tuple[Tensor, ...], returned: tuple[Tensor, Tensor]) -> None:
        lengths, weights = given[2], returned[1]
        by_lag = reverse(weights.transpose(1, 2), lengths).transpose(1, 2)
        seen.setdefault(name, []).append((by_lag, lengths))

    handles = [
        module.register_forward_hook(lambda _, x, y, name=name: keep(name, x, y))
        for name, module in network.named_modules()
        if isinstance(module, Attention)
    ]
    try:
        forecast()
    finally:
        for handle in handles:
            handle.remove()
    return [
        AttentionTrace(
            name.split(".")[0],
            torch.cat([weights for weights, _ in calls], dim=1).detach().double().cpu().numpy(),
            calls[0][1].cpu().numpy(),
        )
        for name, calls in seen.items()
    ]


def _parts(state: Any) -> tuple[Tensor, ...]:
    """The tensors [1, batch, hidden_size] of a state, the first one the output's."""
    return (state,) if isinstance(state, Tensor) else tuple(state)


def _output(parts: tuple[Tensor, ...]) -> Tensor:
    """What a step gave [batch, hidden_size]."""
    return parts[0].reshape(-1, parts[0].shape[-1])


def _in_double(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, those in single precision in double."""
    return tuple(
        value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for value in given
    )


def _replaced(network: nn.Module) -> Iterator[_Place]:
    """Put a replay in the place of each recurrent cell."""
    for path, module in list(network.named_modules()):
        part = path.split(".")[0]
        if isinstance(module, RecurrentStack):
            directions = {"forward": module.forward_layers, "backward": module.backward_layers}
            for depth, dilation in enumerate(module.dilations):
                for direction, layers in directions.items():
                    if layers:
                        layers[depth] = replay = Replay(layers[depth])
                        name = f"{part} layer {depth + 1} {direction}"
                        yield _Place(name, replay, dilation, module)
        elif isinstance(module, SkipRecurrence):
            module.seasonal = replay = Replay(module.seasonal)
            yield _Place(f"{part} seasonal", replay, module.period, module)
        elif isinstance(module, Decoder) and "cell" in dict(module.named_children()):
            replay = Replay(module.get_submodule("cell"))
            module.register_module("cell", replay)
            yield _Place(part, replay, 1, None)


def _trace(place: _Place, lengths: Tensor | None) -> LayerTrace:
    """What a replay has kept, as numbers."""
    replay, cell = place.replay, place.replay.cell

    def in_order(folded: list[Tensor]) -> Tensor:
        """What each step [row, channel] gave, by undilated steps [window, time, channel]."""
        rows = torch.stack(folded, dim=1).detach()
        return unfold(rows, place.dilation, rows.shape[1] * place.dilation)

    norms = in_order([_gradient_norm(parts) for parts in replay.states])
    windows, time, _ = norms.shape
    lengths = torch.full((windows,), time) if lengths is None else lengths.clamp(max=time)
    counts = torch.arange(time) < lengths[:, None]
    by_lag = reverse(norms, lengths).squeeze(2).masked_fill(~counts, torch.nan)
    matrices = cell.recurrent_matrices() if hasattr(cell, "recurrent_matrices") else {}
    return LayerTrace(
        name=place.name,
        gradients=by_lag[:, : int(lengths.max())].numpy(),
        gates={
            name: in_order([gates[name] for gates in replay.gates])[counts].flatten().numpy()
            for name in replay.gates[0]
        },
        outputs=in_order([_output(parts) for parts in replay.states])[counts].flatten().numpy(),
        matrices={name: matrix.detach().numpy() for name, matrix in matrices.items()},
        nonlinearity=getattr(cell, "nonlinearity", None),
    )


def _gradient_norm(parts: tuple[Tensor, ...]) -> Tensor:
    """The norm of the gradient by a whole state, zero where the loss does not see it [batch, 1]."""
    gradients = [torch.zeros_like(part) if part.grad is None else part.grad for part in parts]
    norm: Tensor = torch.linalg.vector_norm(torch.cat(gradients, dim=-1), dim=-1)
    return norm.reshape(-1, 1)
