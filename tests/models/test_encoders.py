"""Reversing and ending rows of unequal length."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.models.cells import GRU
from rnnforecast.models.encoders import ConstantSummary, RecurrentStack, last_step, reverse


@st.composite
def rows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Sequences [batch, time, channel] of distinct numbers, and their lengths [batch]."""
    batch, time, channel = (draw(st.integers(1, most)) for most in (4, 8, 3))
    lengths = draw(st.lists(st.integers(1, time), min_size=batch, max_size=batch))
    sequence = torch.arange(float(batch * time * channel)).reshape(batch, time, channel)
    return sequence, torch.tensor(lengths)


@settings(deadline=None)
@given(rows=rows())
def test_reverse_matches_naive_loop_when_lengths_are_arbitrary(rows: tuple[Tensor, Tensor]) -> None:
    sequence, lengths = rows
    actual = reverse(sequence, lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = [*reversed(sequence[row, :length]), *sequence[row, length:]]
        assert torch.equal(actual[row], torch.stack(expected))
    assert torch.equal(reverse(actual, lengths), sequence)


@settings(deadline=None)
@given(rows=rows())
def test_last_step_matches_naive_loop_when_lengths_are_arbitrary(
    rows: tuple[Tensor, Tensor],
) -> None:
    sequence, lengths = rows
    expected = [sequence[row, length - 1] for row, length in enumerate(lengths.tolist())]
    assert torch.equal(last_step(sequence, lengths), torch.stack(expected))


def test_stack_final_joins_both_ends_when_bidirectional() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 2, 3, bidirectional=True)
    lengths = torch.tensor([6, 2])
    states, final = stack(torch.randn(2, 6, 2), lengths)
    assert stack.output_size == states.shape[2] == final.shape[1] == 6
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(final[row, :3], states[row, length - 1, :3])
        assert torch.equal(final[row, 3:], states[row, 0, 3:])


def test_constant_summary_is_one_when_steps_are_any() -> None:
    x = torch.randn(3, 5, 2)
    states, summary = ConstantSummary()(x, torch.tensor([5, 1, 3]))
    assert torch.equal(states, x)
    assert torch.equal(summary, torch.ones(3, ConstantSummary.output_size))
