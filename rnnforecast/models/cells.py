"""Recurrent layers: torch's fused kernels, started so that gradients neither vanish nor explode.

Recurrent matrices are orthogonal (Saxe et al. 2014), or the identity under ReLU (Le et al. 2015);
input matrices follow Glorot & Bengio 2010; an LSTM's forget gates start open (Jozefowicz et al.
2015). Each layer maps x [batch, time, input_size] and a state to an output
[batch, time, hidden_size] and the state after the last step.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn


class Cell(Protocol):
    """The class of a recurrent layer, as a row of the registry names it."""

    def __call__(self, input_size: int, hidden_size: int) -> nn.Module: ...


class TanhRNN(nn.RNN):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman 1990)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="tanh", batch_first=True)

    def reset_parameters(self) -> None:
        _initialise(self)


class ReLURNN(nn.RNN):
    """h_t = max(0, W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), W_hh starting as I (Le et al. 2015)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, nonlinearity="relu", batch_first=True)

    def reset_parameters(self) -> None:
        _initialise(self)
        nn.init.eye_(cast(Tensor, self.weight_hh_l0))


class GRU(nn.GRU):
    """Gated recurrent unit (Cho et al. 2014), the reset gate after the matrix product.

    r = σ(W_ir x + b_ir + W_hr h + b_hr), z likewise, n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
    h' = (1 - z) n + z h. Rows of the weights are stacked in the order r, z, n.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def reset_parameters(self) -> None:
        _initialise(self)


class LSTM(nn.LSTM):
    """Long short-term memory with forget gates (Gers et al. 2000).

    i, f, o = σ(W x + b + U h + c), g = tanh(...), c' = f c + i g, h' = o tanh(c'). Rows of the
    weights are stacked in the order i, f, g, o.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def reset_parameters(self) -> None:
        _initialise(self)
        with torch.no_grad():
            forget = slice(self.hidden_size, 2 * self.hidden_size)
            cast(Tensor, self.bias_ih_l0)[forget].fill_(1.0)


def _initialise(cell: Any) -> None:
    """Orthogonal recurrent and Glorot input matrices gate by gate, biases zero."""
    for gate in cell.weight_hh_l0.split(cell.hidden_size):
        nn.init.orthogonal_(gate)
    for gate in cell.weight_ih_l0.split(cell.hidden_size):
        nn.init.xavier_uniform_(gate)
    nn.init.zeros_(cell.bias_ih_l0)
    nn.init.zeros_(cell.bias_hh_l0)
