"""Recurrent layers: fused kernels, started so that gradients neither vanish nor explode.

Recurrent matrices are orthogonal (Saxe et al. 2014), or the identity under ReLU (Le et al. 2015);
input matrices follow Glorot & Bengio 2010; an LSTM's forget gates start open (Jozefowicz et al.
2015). Each layer maps x [batch, time, input_size] and a state to an output
[batch, time, hidden_size] and the state after the last step; beside the kernel, `step` holds the
layer's equations in plain torch.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models import kernels


class Cell(Protocol):
    """The class of a recurrent layer, as a row of the registry names it."""

    def __call__(self, input_size: int, hidden_size: int) -> nn.Module: ...


class Step(NamedTuple):
    """What one recurrent step gives.

    Attributes:
        state: Tensors [batch, hidden_size], the first one the output.
        gates: The activations of each gate in (0, 1) [batch, hidden_size]; none in a plain layer.
    """

    state: tuple[Tensor, ...]
    gates: dict[str, Tensor]


class Recurrence(Protocol):
    """What the layers of this package offer beside torch's calling convention."""

    hidden_size: int

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        """Read x [batch, input_size] in this state, parts [batch, hidden_size]; None is zeros."""

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """What multiplies the state, by gate [hidden_size, hidden_size]."""


@runtime_checkable
class Gated(Recurrence, Protocol):
    """A layer whose gates decide how long it remembers."""

    def remember(self, steps: Tensor) -> None:
        """Set biases so that, without input, unit i keeps 1 - 1 / steps[i] of its state a step.

        After `steps` steps about 1 / e is left (chrono initialisation, Tallec & Ollivier 2018).

        Args:
            steps: [hidden_size]; below 2 counts as 2, where the gate is half open.
        """


class Layer(NamedTuple):
    """A recurrent layer of a network.

    Attributes:
        cell: What reads.
        longest: Steps of the longest sequence that it reads.
        hidden_size: Its units.
    """

    cell: nn.Module
    longest: int
    hidden_size: int


def initialise(layer: Layer, init: str) -> None:
    """Start a layer anew in the way that the user named.

    Args:
        layer: As constructed.
        init: "orthogonal" leaves it so. "chrono" lets gated units remember over 2 to `longest`
            steps, b_f = log U(1, longest - 1) (Tallec & Ollivier 2018), and leaves others as
            they are. "uniform" is torch's: all weights and biases from U(±1 / sqrt(hidden_size)).
    """
    cell, longest, hidden_size = layer
    if init == "chrono" and isinstance(cell, Gated):
        cell.remember(1 + torch.empty(hidden_size).uniform_(1, max(1, longest - 1)))
    elif init == "uniform":
        bound = 1 / math.sqrt(hidden_size)
        for parameter in cell.parameters():
            nn.init.uniform_(parameter, -bound, bound)


def chrono_bias(steps: Tensor) -> Tensor:
    """log(steps - 1): the gate σ(bias) keeps 1 - 1 / steps of a state; `steps` from 2 on."""
    return (steps.clamp(min=2) - 1).log()


class Stacked:
    """What torch's layers share, and others like them: weights whose rows are stacked by gate.

    Attributes:
        gates: Their names, in the order of the rows.
        weight_ih_l0: What multiplies the input [gate * hidden_size, input_size].
        weight_hh_l0: What multiplies the state [gate * hidden_size, hidden_size].
        bias_ih_l0: [gate * hidden_size].
        bias_hh_l0: [gate * hidden_size].
    """

    gates: ClassVar[tuple[str, ...]]
    hidden_size: int
    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def reset_parameters(self) -> None:
        """Orthogonal recurrent and Glorot input matrices gate by gate, biases zero."""
        for gate in self.weight_hh_l0.chunk(len(self.gates)):
            nn.init.orthogonal_(gate)
        for gate in self.weight_ih_l0.chunk(len(self.gates)):
            nn.init.xavier_uniform_(gate)
        nn.init.zeros_(self.bias_ih_l0)
        nn.init.zeros_(self.bias_hh_l0)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """What multiplies the state, by gate [hidden_size, hidden_size]."""
        return dict(zip(self.gates, self.weight_hh_l0.chunk(len(self.gates)), strict=True))

    def _input(self, x: Tensor) -> Tensor:
        """W x + b of all gates, from x [..., input_size] [..., gate * hidden_size]."""
        return functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)

    def _recurrent(self, h: Tensor) -> Tensor:
        """U h + c of all gates, from h [batch, hidden_size] [batch, gate * hidden_size]."""
        return functional.linear(h, self.weight_hh_l0, self.bias_hh_l0)

    def _zeros(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), self.hidden_size)

    @torch.no_grad()
    def _set_bias(self, gate: str, bias: Tensor | float) -> None:
        """Make `bias` the sum of a gate's two biases."""
        start = self.gates.index(gate) * self.hidden_size
        self.bias_ih_l0[start : start + self.hidden_size] = bias
        self.bias_hh_l0[start : start + self.hidden_size] = 0.0


class TanhRNN(Stacked, nn.RNN):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman 1990)."""

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="tanh", batch_first=True)

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        (h,) = state or (self._zeros(x),)
        return Step((torch.tanh(self._input(x) + self._recurrent(h)),), {})


class ReLURNN(Stacked, nn.RNN):
    """h_t = max(0, W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), W_hh starting as I (Le et al. 2015)."""

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="relu", batch_first=True)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.eye_(self.weight_hh_l0)

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        (h,) = state or (self._zeros(x),)
        return Step((torch.relu(self._input(x) + self._recurrent(h)),), {})


class GRU(Stacked, nn.GRU):
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the matrix product.

    r = σ(W_ir x + b_ir + W_hr h + b_hr), z likewise, n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
    h' = (1 - z) n + z h. Rows of the weights are stacked in the order r, z, n.
    """

    gates = ("r", "z", "n")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def forward(  # type: ignore[override]
        self, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read x [batch, time, input_size] in a state [1, batch, hidden_size]; None is zeros."""
        if not kernels.serves(x, self.weight_hh_l0):
            output, after = super().forward(x, state)
            return output, after
        first = self._zeros(x) if state is None else state[0]
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        states = kernels.gru(x, weights, first)
        return states, states[None, :, -1]

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        (h,) = state or (self._zeros(x),)
        a_r, a_z, a_n = self._input(x).chunk(3, dim=-1)
        m_r, m_z, m_n = self._recurrent(h).chunk(3, dim=-1)
        r = torch.sigmoid(a_r + m_r)
        z = torch.sigmoid(a_z + m_z)
        n = torch.tanh(a_n + r * m_n)
        return Step(((1 - z) * n + z * h,), {"r": r, "z": z})

    def remember(self, steps: Tensor) -> None:
        self._set_bias("z", chrono_bias(steps))


class LSTM(Stacked, nn.LSTM):
    """Long short-term memory with forget gates (Gers et al. 2000).

    i, f, o = σ(W x + b + U h + c), g = tanh(...), c' = f c + i g, h' = o tanh(c'). Rows of the
    weights are stacked in the order i, f, g, o.
    """

    gates = ("i", "f", "g", "o")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self._set_bias("f", 1.0)

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        h, c = state or (self._zeros(x), self._zeros(x))
        a_i, a_f, a_g, a_o = (self._input(x) + self._recurrent(h)).chunk(4, dim=-1)
        i, f, o = torch.sigmoid(a_i), torch.sigmoid(a_f), torch.sigmoid(a_o)
        c = f * c + i * torch.tanh(a_g)
        return Step((o * torch.tanh(c), c), {"i": i, "f": f, "o": o})

    def remember(self, steps: Tensor) -> None:
        self._set_bias("f", chrono_bias(steps))
        self._set_bias("i", -chrono_bias(steps))
