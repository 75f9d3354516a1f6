"""Summaries: what a decoder is told of a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnforecast.models.attention import Attention


class Summary(nn.Module):
    """What a decoder is told of a window: `output_size` numbers."""

    output_size: int


class FinalState(Summary):
    """The summary of a window is the encoder's final state."""

    def __init__(self, final_size: int) -> None:
        super().__init__()
        self.output_size = final_size

    def forward(self, states: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """The final state [batch, output_size] as it is."""
        return final


class AttentivePooling(Summary):
    """The summary of a window is the final state and what this finds among all states."""

    def __init__(self, attention: Attention, final_size: int, state_size: int) -> None:
        super().__init__()
        self.attention = attention
        self.output_size = final_size + state_size

    def forward(self, states: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """From states [batch, time, state] and final [batch, final] to [batch, output_size]."""
        context, _ = self.attention(final[:, None], states, lengths)
        return torch.cat([final, context.squeeze(1)], dim=-1)
