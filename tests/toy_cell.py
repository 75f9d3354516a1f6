"""A cell that the package does not know, of a model `toy`.

All that it takes is this class and the row below it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnforecast.models.registry import ModelEntry


class ToyCell(nn.Module):
    """h' = (1 - f) h + f tanh(W x + U h), f = σ(V x)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(input_size, hidden_size)
        self.candidate = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(len(x), self.recurrent.in_features) if state is None else state[0]
        outputs = []
        for step in x.unbind(1):
            f = torch.sigmoid(self.gate(step))
            h = (1 - f) * h + f * torch.tanh(self.candidate(step) + self.recurrent(h))
            outputs.append(h)
        return torch.stack(outputs, dim=1), h[None]


ROW = ModelEntry(
    name="toy",
    cell="tests.toy_cell:ToyCell",
    summary="A cell of the tests",
    reference="None",
)
