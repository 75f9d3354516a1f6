"""Attention: weights against a naive loop, and padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnnforecast.models.attention import (
    AdditiveAttention,
    Attention,
    DotProductAttention,
)

KINDS = [AdditiveAttention, DotProductAttention]
every_kind = pytest.mark.parametrize("kind", KINDS)
LENGTHS = torch.tensor([5, 1, 3])


def example(kind: type[Attention]) -> tuple[Attention, Tensor, Tensor]:
    """An attention, queries [3, 2, 4] and states [3, 5, 6]."""
    torch.manual_seed(0)
    return kind(4, 6).double(), torch.randn(3, 2, 4).double(), torch.randn(3, 5, 6).double()


def naive_score(attention: Attention, query: Tensor, state: Tensor) -> float:
    asked = attention.query_map.weight @ query
    if isinstance(attention, DotProductAttention):
        return float(asked @ state) / math.sqrt(6)
    joined = torch.tanh(asked + attention.state_map(state))
    return float(attention.direction.weight[0] @ joined)


@every_kind
def test_attention_equals_naive_loop_when_rows_end_early(kind: type[Attention]) -> None:
    attention, query, states = example(kind)
    attention.requires_grad_(False)
    context, weights = attention(query, states, LENGTHS)
    assert context.shape == (3, 2, 6) and weights.shape == (3, 2, 5)
    for row, length in enumerate(LENGTHS.tolist()):
        for asked in range(2):
            scores = [naive_score(attention, query[row, asked], s) for s in states[row, :length]]
            shares = [math.exp(score) for score in scores]
            expected = torch.tensor([share / sum(shares) for share in shares]).double()
            torch.testing.assert_close(weights[row, asked, :length], expected, rtol=0, atol=1e-7)
            mean = (expected[:, None] * states[row, :length]).sum(0)
            torch.testing.assert_close(context[row, asked], mean, rtol=0, atol=1e-6)
            assert not weights[row, asked, length:].any()


@every_kind
def test_attention_gives_all_weight_to_state_that_answers_when_score_is_large(
    kind: type[Attention],
) -> None:
    attention, query, states = example(kind)
    with torch.no_grad():
        last = attention.query_map if kind is DotProductAttention else attention.direction
        last.weight.mul_(1e4)
    context, weights = attention(query, states, LENGTHS)
    best = weights.argmax(-1)
    rows = torch.arange(3)[:, None]
    torch.testing.assert_close(context, states[rows, best])
