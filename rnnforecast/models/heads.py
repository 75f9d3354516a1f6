"""Heads: what the network says of the future."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class QuantileHead(nn.Module):
    """Quantiles of every step of the horizon at once, which cannot cross.

    The median is free; each further quantile lies a softplus beyond its inner neighbour.
    The median's map starts at zero, so that the network starts as its linear skip alone.
    """

    def __init__(self, input_size: int, horizon: int, num_levels: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.num_levels = num_levels
        self.median = nn.Linear(input_size, horizon)
        self.spread = nn.Linear(input_size, horizon * 2 * num_levels)
        nn.init.zeros_(self.median.weight)
        nn.init.zeros_(self.median.bias)

    def forward(self, summary: Tensor, baseline: Tensor) -> Tensor:
        """Add to baseline [batch, horizon] what summary [batch, input_size] tells.

        Returns:
            Quantiles in ascending order of level [batch, horizon, 2 * num_levels + 1].
        """
        median = (baseline + self.median(summary))[..., None]
        shape = (len(summary), self.horizon, 2, self.num_levels)
        lower, upper = functional.softplus(self.spread(summary)).reshape(shape).cumsum(-1).unbind(2)
        return torch.cat([median - lower.flip(-1), median, median + upper], dim=-1)
