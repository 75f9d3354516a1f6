"""What a decoder is told of a window."""

from __future__ import annotations

import torch

from rnnforecast.models.attention import AdditiveAttention
from rnnforecast.models.summaries import AttentivePooling, FinalState

LENGTHS = torch.tensor([5, 1, 3])


def test_pooling_joins_final_state_and_context_when_asked() -> None:
    torch.manual_seed(0)
    attention, states = AdditiveAttention(4, 6), torch.randn(3, 5, 6)
    pooling = AttentivePooling(attention, 4, 6)
    final = torch.randn(3, 4)
    summary = pooling(states, final, LENGTHS)
    assert summary.shape == (3, pooling.output_size) == (3, 10)
    assert torch.equal(summary[:, :4], final)
    assert torch.equal(summary[:, 4:], attention(final[:, None], states, LENGTHS)[0].squeeze(1))


def test_final_state_is_the_summary_when_nothing_pools() -> None:
    final = torch.randn(3, 4)
    assert FinalState(4)(torch.randn(3, 5, 6), final, LENGTHS) is final
