"""Attention over the states of an encoder: which steps matter to what is asked."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """A mean of the states, weighted by how well each answers a query.

    Args:
        query_size: Numbers in a query.
        state_size: Numbers in a state.
    """

    def __init__(self, query_size: int, state_size: int) -> None:
        super().__init__()
        self.query_map = nn.Linear(query_size, state_size, bias=False)

    def forward(self, query: Tensor, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Ask states [batch, time, state_size], of which the first `lengths` [batch] count.

        Args:
            query: [batch, query, query_size].
            states: What is asked.
            lengths: Steps of each row that count; the others have no weight.

        Returns:
            The context [batch, query, state_size] and the weights [batch, query, time], which sum
            to 1 over time.
        """
        padding = torch.arange(states.shape[1], device=states.device) >= lengths[:, None]
        scores = self.score(query, states).masked_fill(padding[:, None], -math.inf)
        weights = scores.softmax(-1)
        # What a fused kernel leaves in the padding is finite, so that a weight of zero drops it.
        return weights @ states, weights

    @abstractmethod
    def score(self, query: Tensor, states: Tensor) -> Tensor:
        """How well states [batch, time, state_size] answer each query [batch, query, query_size].

        Returns:
            [batch, query, time].
        """


class AdditiveAttention(Attention):
    """score = vᵀ tanh(W q + U h + b) (Bahdanau et al. 2015)."""

    def __init__(self, query_size: int, state_size: int) -> None:
        super().__init__(query_size, state_size)
        self.state_map = nn.Linear(state_size, state_size)
        self.direction = nn.Linear(state_size, 1, bias=False)

    def score(self, query: Tensor, states: Tensor) -> Tensor:
        """[batch, query, time]."""
        joined = self.query_map(query)[:, :, None] + self.state_map(states)[:, None]
        scores: Tensor = self.direction(torch.tanh(joined)).squeeze(-1)
        return scores


class DotProductAttention(Attention):
    """score = hᵀ W q / √d: Luong et al. 2015's general form, scaled by Vaswani et al. 2017."""

    def score(self, query: Tensor, states: Tensor) -> Tensor:
        """[batch, query, time]."""
        scores: Tensor = self.query_map(query) @ states.transpose(1, 2)
        return scores / math.sqrt(states.shape[2])
