"""What is known of the future: its part of the forecast, for every decoder alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# A calendar tells training windows apart by their dates, and they would be learnt by heart: so an
# encoder reads few numbers of it, and units are dropped.
EMBEDDED, DROPOUT = 4, 0.3


def embedded_size(features: int) -> int:
    """How many numbers an encoder reads of a step of which so many are known ahead."""
    return min(features, EMBEDDED)


class CovariateEmbedding(nn.Linear):
    """What an encoder reads of covariates [..., feature] that are known ahead [..., embedded].

    Of categories, this is an entity embedding (Guo & Berkhahn 2016). It has no bias: where nothing
    is known, nothing is read.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, embedded_size(features), bias=False)


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
        self.dropout = nn.Dropout(DROPOUT)
        self.location = nn.Linear(hidden_size, 1, bias=False)
        nn.init.zeros_(self.location.weight)

    def forward(self, future: Tensor, mask: Tensor, summary: Tensor) -> Tensor:
        """Read covariates [batch, lookback + horizon, feature] and summary [batch, summary].

        Args:
            future: The covariates.
            mask: Which values of the lookback were observed [batch, lookback]; the mean is that of
                the covariates beside these.
            summary: What the encoder has read.

        Returns:
            What is added to the linear skip's forecast [batch, horizon].
        """
        seen, ahead = future[:, : mask.shape[1]], future[:, mask.shape[1] :]
        weight = mask.to(seen)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
        change = ahead - (seen * weight[..., None]).sum(1, keepdim=True)
        read = self.features(torch.cat([ahead, change], dim=-1)) + self.summary(summary)[:, None]
        added: Tensor = self.location(self.dropout(torch.relu(read))).squeeze(-1)
        return added
