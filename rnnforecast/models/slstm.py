"""sLSTM, the recurrent cell of xLSTM that can revise what it holds (Beck et al. 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.cells import Stacked, Step, chrono_bias


class SLSTM(Stacked, nn.Module):
    """LSTM with an exponential input gate (Beck et al. 2024, section 2.2, equations 8 to 17).

    a = W x + b + U h + c of each gate, f, o = σ(a), z = tanh(a_z), and in the stabilised form

        m' = max(log f + m, a_i)
        c' = exp(log f + m - m') c + exp(a_i - m') z
        n' = exp(log f + m - m') n + exp(a_i - m')
        h' = o c' / n'

    so that c / n is a mean of all z met, weighted by exp(a_i) and what f has left of it. A new one
    can outweigh all others, whatever f. Rows of the weights are stacked in the order i, f, z, o.

    Of the two forget gates of equation 13 this is σ. With exp, which may exceed 1, old weights grow
    and a unit holds to its first inputs: with biases of 1, no new one has counted 20 steps on.

    A state is (h, c, n, m), each [1, batch, hidden_size]. n = 0 says that nothing was read, so that
    zeros are the state before the first step, and any m then counts as -inf. After a step n is at
    least 1, as one of the two exponentials is 1.
    """

    gates = ("i", "f", "z", "o")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        rows = len(self.gates) * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))
        self.reset_parameters()
        self._set_bias("f", 1.0)

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read x [batch, time, input_size] in a state; None is zeros.

        Returns:
            The outputs h after all steps [batch, time, hidden_size] and the state after the last.
        """
        parts = self._before(x, None if state is None else tuple(part[0] for part in state))
        outputs = []
        for a in self._input(x).unbind(dim=1):
            parts = _advance(a + self._recurrent(parts[0]), *parts[1:])
            outputs.append(parts[0])
        return torch.stack(outputs, dim=1), tuple(part[None] for part in parts)

    def step(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> Step:
        """Read x [batch, input_size] in a state of parts [batch, hidden_size]; None is zeros.

        Of the gates, i is the share of the new z in c / n, exp(a_i - m') / n', as exp(a_i) itself
        has no upper bound.
        """
        h, c, n, m = self._before(x, state)
        a = self._input(x) + self._recurrent(h)
        h, c, n, m = _advance(a, c, n, m)
        a_i, a_f, _, a_o = a.chunk(4, dim=-1)
        gates = {"i": torch.exp(a_i - m) / n, "f": torch.sigmoid(a_f), "o": torch.sigmoid(a_o)}
        return Step((h, c, n, m), gates)

    def remember(self, steps: Tensor) -> None:
        """Set b_f so that, without input, c and n keep 1 - 1 / steps[i] [hidden_size] a step.

        So does c / n once n has settled; no bias of i would change c / n.
        """
        self._set_bias("f", chrono_bias(steps))

    def _before(self, x: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        """What a step follows, parts [batch, hidden_size]: m is -inf where nothing was read."""
        h, c, n, m = state or (self._zeros(x),) * 4
        return h, c, n, m.masked_fill(n == 0, -math.inf)


def _advance(a: Tensor, c: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, ...]:
    """The next (h, c, n, m) [batch, hidden_size], from a [batch, 4 * hidden_size]."""
    a_i, a_f, a_z, a_o = a.chunk(4, dim=-1)
    kept = functional.logsigmoid(a_f) + m
    m = torch.maximum(kept, a_i)
    f, i = torch.exp(kept - m), torch.exp(a_i - m)
    c = f * c + i * torch.tanh(a_z)
    n = f * n + i
    return torch.sigmoid(a_o) * c / n, c, n, m
