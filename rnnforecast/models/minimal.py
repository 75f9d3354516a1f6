"""Recurrent layers whose gates see the input only, so that all steps are read at once.

Without a state in its gates a recurrence is linear in the state, h_t = keep_t h_{t-1} + write_t,
and a scan computes it with few operations that each span many steps (Feng et al. 2024).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.cells import Step, chrono_bias


class Terms(NamedTuple):
    """What the input alone decides of h_t = keep_t h_{t-1} + write_t.

    Attributes:
        keep: [..., hidden_size], in (0, 1).
        write: [..., hidden_size], at least 0.
        gates: The activations of each gate [..., hidden_size].
    """

    keep: Tensor
    write: Tensor
    gates: dict[str, Tensor]


class MinimalCell(nn.Module, ABC):
    """A recurrence that is linear in its state; rows of the weights are stacked by gate."""

    maps: ClassVar[int]
    """How many linear maps of the input there are, those of gates first."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.linear = nn.Linear(input_size, self.maps * hidden_size)
        for part in self.linear.weight.chunk(self.maps):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.linear.bias)

    @abstractmethod
    def terms(self, x: Tensor) -> Terms:
        """The equations of the gates, from x [..., input_size]."""

    @abstractmethod
    def remember(self, steps: Tensor) -> None:
        """Set biases so that unit i keeps its state about steps[i] [hidden_size] steps."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read x [batch, time, input_size] in a state [1, batch, hidden_size]; None is zeros.

        Returns:
            The states after all steps [batch, time, hidden_size] and after the last one
            [1, batch, hidden_size].
        """
        keep, write, _ = self.terms(x)
        h = scan(keep, write, torch.zeros_like(write[:, 0]) if state is None else state[0])
        return h, h[:, -1][None]

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        """Read x [batch, input_size] in a state ([batch, hidden_size],); None is zeros."""
        keep, write, gates = self.terms(x)
        (h,) = state or (torch.zeros_like(write),)
        return Step((keep * h + write,), gates)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """None: no matrix multiplies the state."""
        return {}

    @torch.no_grad()
    def _set_bias(self, place: int, bias: Tensor) -> None:
        """Of the gate at this place among the maps."""
        start = place * self.hidden_size
        self.linear.bias[start : start + self.hidden_size] = bias


class MinGRU(MinimalCell):
    """minGRU (Feng et al. 2024, section 3.1).

    z = σ(W_z x + b_z), h' = (1 - z) h + z g(W_h x + b_h). Here z lets go of the state, where in
    torch's GRU it keeps it. Rows of the weights are stacked in the order z, h.
    """

    maps = 2

    def terms(self, x: Tensor) -> Terms:
        """z and z g(h̃)."""
        a_z, a_h = self.linear(x).chunk(2, dim=-1)
        z = torch.sigmoid(a_z)
        return Terms(1 - z, z * positive(a_h), {"z": z})

    def remember(self, steps: Tensor) -> None:
        """Set b_z so that unit i keeps its state about steps[i] [hidden_size] steps."""
        self._set_bias(0, -chrono_bias(steps))


class MinLSTM(MinimalCell):
    """minLSTM with gates that add up to 1, whatever the length (Feng et al. 2024, section 3.2).

    f = σ(W_f x + b_f), i likewise, f' = f / (f + i), i' = i / (f + i),
    h' = f' h + i' g(W_h x + b_h). Rows of the weights are stacked in the order f, i, h.
    """

    maps = 3

    def terms(self, x: Tensor) -> Terms:
        """f' and i' g(h̃), with f / (f + i) = σ(log f - log i), as both may underflow."""
        a_f, a_i, a_h = self.linear(x).chunk(3, dim=-1)
        odds = functional.logsigmoid(a_f) - functional.logsigmoid(a_i)
        f, i = torch.sigmoid(odds), torch.sigmoid(-odds)
        return Terms(f, i * positive(a_h), {"f": f, "i": i})

    def remember(self, steps: Tensor) -> None:
        """Set b_f and b_i so that unit i keeps its state about steps[i] [hidden_size] steps."""
        self._set_bias(0, chrono_bias(steps))
        self._set_bias(1, -chrono_bias(steps))


def positive(a: Tensor) -> Tensor:
    """g(a) = a + 0.5 from 0 on, σ(a) below (Feng et al. 2024, appendix B)."""
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))


def scan(keep: Tensor, write: Tensor, start: Tensor) -> Tensor:
    """h_t = keep_t h_{t-1} + write_t for all steps, in about 2 sqrt(time) operations in a row.

    The steps are cut into sqrt(time) pieces. All pieces are read side by side, each from zero; then
    each is given what the one before has come to (Blelloch 1990, section 1.4). In log space, a
    cumsum and a logcumsumexp would do (Heinsen 2023); on a CPU these take several times as long,
    and in single precision the gradients through a long sequence are lost, as the difference of
    numbers as large as the sum of all log keep.

    Args:
        keep: [batch, time, hidden_size], in [0, 1].
        write: [batch, time, hidden_size].
        start: The state before the first step [batch, hidden_size].

    Returns:
        [batch, time, hidden_size].
    """
    batch, time, hidden_size = write.shape
    size = math.isqrt(time - 1) + 1
    pieces = [
        functional.pad(term, (0, 0, 0, -time % size)).reshape(batch, -1, size, hidden_size)
        for term in (keep, write)
    ]
    keeps, writes = (list(steps.unbind(2)) for steps in pieces)
    for t in range(1, size):
        writes[t] = keeps[t] * writes[t - 1] + writes[t]
        keeps[t] = keeps[t] * keeps[t - 1]
    kept, written = torch.stack(keeps, dim=2), torch.stack(writes, dim=2)
    states = [start[:, None]]
    for keep, write in zip(kept.unbind(1), written.unbind(1), strict=True):
        states.append(keep * states[-1][:, -1:] + write)
    return torch.cat(states[1:], dim=1)[:, :time]
