"""The linear skip: a map from lookback to horizon, beside which the network learns what is left."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Values that the skip reads, where no season asks for more: each of ten thousand weights would move
# as far in a step of the optimizer as each of a hundred, and their sum far too far.
SKIP_LOOKBACK = 1024
# How far the skip moves in a step, as a share of other weights: it starts near where it belongs.
STEP_SHARE = 0.1


class LinearSkip(nn.Module):
    """A linear map from lookback to horizon (Zeng et al. 2023): a start, and what is learned of it.

    Of a long lookback it reads the newest values. It starts as the seasonal naive, or where
    `start_at` puts it; weight decay draws it back to there.

    Attributes:
        start: The map that it starts as [horizon, read].
        change: What is learned, in tenths [horizon, read].
        bias: Added to each step, in tenths [horizon].
    """

    start: Tensor

    def __init__(self, lookback: int, horizon: int, season: int) -> None:
        super().__init__()
        season = min(season, lookback)
        self.read = min(lookback, max(SKIP_LOOKBACK, season))
        self.register_buffer("start", torch.zeros(horizon, self.read))
        self.change = nn.Parameter(torch.zeros(horizon, self.read))
        self.bias = nn.Parameter(torch.zeros(horizon))
        # Without memory of its own it is yet to be filled, and such an index takes a second to ask.
        if not self.start.is_meta:
            step = torch.arange(horizon)
            self.start[step, self.read - season + step % season] = 1.0

    def start_at(self, start: Tensor) -> None:
        """Start as this map [horizon, read]."""
        self.start.copy_(start)

    def forward(self, values: Tensor) -> Tensor:
        """From values [batch, lookback] to [batch, horizon]."""
        weight = self.start + STEP_SHARE * self.change
        return functional.linear(values[:, -self.read :], weight, STEP_SHARE * self.bias)
