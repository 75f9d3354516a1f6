"""What is known of the future: its part of the forecast, for every decoder alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class KnownFuture(nn.Module):
    """What covariates that are known ahead add to each step, by one map for all steps.

    The local decoder of MQ-RNN (Wen et al. 2017): a layer of ReLU units reads the covariates of the
    step, their distance from their mean over the lookback, and what the encoder has read. It starts
    at zero, so that a network starts as its linear skip.

    Args:
        features: Numbers known ahead of each step.
        summary_size: Numbers in a summary.
        hidden_size: Units.
    """

    def __init__(self, features: int, summary_size: int, hidden_size: int) -> None:
        super().__init__()
        self.features = nn.Linear(2 * features, hidden_size)
        self.summary = nn.Linear(summary_size, hidden_size, bias=False)
        self.location = nn.Linear(hidden_size, 1, bias=False)
        nn.init.zeros_(self.location.weight)

    def forward(self, future: Tensor, lookback: int, summary: Tensor) -> Tensor:
        """From covariates [batch, lookback + horizon, feature] and summary [batch, summary].

        Returns:
            What is added to the linear skip's forecast [batch, horizon].
        """
        ahead = future[:, lookback:]
        change = ahead - future[:, :lookback].mean(1, keepdim=True)
        read = self.features(torch.cat([ahead, change], dim=-1)) + self.summary(summary)[:, None]
        added: Tensor = self.location(torch.relu(read)).squeeze(-1)
        return added
