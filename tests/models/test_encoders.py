"""Reversing and ending rows of unequal length."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from rnnforecast.models.cells import GRU, LSTM, Cell, TanhRNN
from rnnforecast.models.encoders import (
    ConstantSummary,
    RecurrentStack,
    SkipRecurrence,
    fold,
    last_step,
    reverse,
    unfold,
)
from rnnforecast.models.minimal import MinGRU


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


@settings(deadline=None)
@given(rows=rows(), dilation=st.integers(1, 9))
def test_fold_matches_naive_loop_when_dilation_is_arbitrary(
    rows: tuple[Tensor, Tensor], dilation: int
) -> None:
    sequence, _ = rows
    batch, time, channel = sequence.shape
    folded = fold(sequence, dilation)
    assert folded.shape == (batch * dilation, -(-time // dilation), channel)
    for row in range(batch):
        for step in range(time):
            place = folded[row * dilation + step % dilation, step // dilation]
            assert torch.equal(place, sequence[row, step])
    assert torch.equal(unfold(folded, dilation, time), sequence)


def test_stack_layer_follows_state_dilation_steps_back_when_dilated() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 2, 3, num_layers=3, dilated=True)
    assert stack.dilations == (1, 2, 4)
    x = torch.randn(1, 9, 2)
    states, _ = stack(x, torch.tensor([9]))
    first, second, third = stack.forward_layers
    below, _ = first(x)
    twice = torch.stack([second(below[:, t % 2 : t + 1 : 2])[0][:, -1] for t in range(9)], dim=1)
    top = [third(twice[:, t % 4 : t + 1 : 4])[0][:, -1] + twice[:, t] for t in range(9)]
    torch.testing.assert_close(states, torch.stack(top, dim=1))


def gradients(stack: RecurrentStack, x: Tensor, lengths: Tensor) -> list[Tensor]:
    stack.zero_grad()
    stack(x, lengths)[1].square().sum().backward()
    return [parameter.grad.clone() for parameter in stack.parameters()]


@pytest.mark.parametrize("cell", [GRU, LSTM, TanhRNN, MinGRU])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_stack_gradient_is_that_of_last_steps_when_truncated(cell: Cell, num_layers: int) -> None:
    """As of the last steps read alone, from the states that the steps before them led to."""
    torch.manual_seed(0)
    stack = RecurrentStack(cell, 2, 4, num_layers=num_layers, tbptt=4).double()
    x, lengths = torch.randn(3, 15, 2).double(), torch.tensor([15, 9, 2])
    actual = gradients(stack, x, lengths)
    stack.zero_grad()
    for row, length in enumerate(lengths.tolist()):
        start = max(0, length - 4)
        states: list[object] = [None] * num_layers
        if start:
            with torch.no_grad():
                _, states = stack._read(x[row : row + 1, :start], states)
        ended, _ = stack._read(x[row : row + 1, start:length], states)
        ended[:, -1].square().sum().backward()
    for gradient, parameter in zip(actual, stack.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [15, 16, 100])
def test_stack_gradient_is_whole_when_truncation_covers_the_lookback(steps: int) -> None:
    torch.manual_seed(0)
    whole = RecurrentStack(LSTM, 2, 4)
    truncated = RecurrentStack(LSTM, 2, 4, tbptt=steps)
    truncated.load_state_dict(whole.state_dict())
    x, lengths = torch.randn(3, 15, 2), torch.tensor([15, 9, 2])
    for one, other in zip(
        gradients(whole, x, lengths), gradients(truncated, x, lengths), strict=True
    ):
        assert torch.equal(one, other)


def test_skip_recurrence_joins_state_of_each_phase_when_season_passes() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 2, 8)
    encoder = SkipRecurrence(stack, GRU, 2, period=3)
    x, lengths = torch.randn(2, 8, 2), torch.tensor([8, 2])
    states, final = encoder(x, lengths)
    assert final.shape == (2, encoder.output_size) == (2, 8 + 3 * 4)
    assert torch.equal(states, stack(x, lengths)[0])
    phases = final[:, 8:].reshape(2, 3, 4)
    for place, step in enumerate([5, 6, 7]):
        expected = encoder.seasonal(x[:1, step % 3 : step + 1 : 3])[0][0, -1]
        torch.testing.assert_close(phases[0, place], expected)
    assert not phases[1, 0].any()
    torch.testing.assert_close(phases[1, 1], encoder.seasonal(x[1:, :1])[0][0, -1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_stack_adds_what_lies_below_before_dropout_when_it_is_trained_deep(
    bidirectional: bool,
) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(GRU, 2, 4, num_layers=4, bidirectional=bidirectional, dropout=0.5)
    x = torch.randn(2, 6, 2)
    torch.manual_seed(1)
    states, _ = stack(x, torch.tensor([6, 6]))
    torch.manual_seed(1)
    expected = x
    for depth, layer in enumerate(stack.forward_layers):
        below = expected
        dropped = functional.dropout(below, 0.5) if depth else below
        expected = layer(dropped)[0]
        if bidirectional:
            backward = stack.backward_layers[depth](dropped.flip(1))[0].flip(1)
            expected = torch.cat([expected, backward], dim=-1)
        if depth >= 2:
            expected = below + expected
    torch.testing.assert_close(states, expected)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_stack_drops_between_layers_alone_when_truncated_in_training(num_layers: int) -> None:
    """Where everything is dropped, what is read does not depend on chance."""
    torch.manual_seed(0)
    whole = RecurrentStack(LSTM, 2, 4, num_layers=num_layers, dropout=1.0)
    truncated = RecurrentStack(LSTM, 2, 4, num_layers=num_layers, dropout=1.0, tbptt=4)
    truncated.load_state_dict(whole.state_dict())
    x, lengths = torch.randn(3, 15, 2), torch.tensor([15, 9, 2])
    final = truncated(x, lengths)[1]
    torch.testing.assert_close(final, whole(x, lengths)[1])
    kept = truncated.eval()(x, lengths)[1]
    assert torch.allclose(final, kept) == (num_layers == 1)
