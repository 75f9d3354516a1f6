"""How a lookback becomes steps: what is dropped, what is padded, what a segment holds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.models.frontends import Convolution, Pointwise, Segments, left_aligned


@st.composite
def observations(draw: st.DrawFn) -> Tensor:
    """Whether each step was observed [batch, time]."""
    batch, time = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    cells = draw(st.lists(st.booleans(), min_size=batch * time, max_size=batch * time))
    return torch.tensor(cells).reshape(batch, time)


@settings(deadline=None)
@given(observed=observations())
def test_left_aligned_matches_naive_loop_when_observations_are_arbitrary(observed: Tensor) -> None:
    batch, time = observed.shape
    steps = torch.arange(1.0, batch * time * 2 + 1).reshape(batch, time, 2)
    aligned, lengths = left_aligned(steps, observed)
    assert aligned.shape == steps.shape
    for row in range(batch):
        first = 0
        while first < time - 1 and not observed[row, first]:
            first += 1
        assert lengths[row] == time - first
        assert torch.equal(aligned[row, : time - first], steps[row, first:])


def test_pointwise_keeps_gaps_as_zeros_when_values_are_missing_inside() -> None:
    values = torch.tensor([[0.0, 0, 5, 0, 7, 0]])
    mask = torch.tensor([[False, False, True, False, True, False]])
    steps, lengths = Pointwise()(values, mask)
    assert lengths.tolist() == [4]
    assert steps[0, :4].tolist() == [[5, 1], [0, 0], [7, 1], [0, 0]]


@pytest.mark.parametrize("front_end", [Pointwise(), Segments(3, 4), Convolution(3, 4)])
def test_front_end_keeps_one_step_when_nothing_is_observed(front_end: torch.nn.Module) -> None:
    steps, lengths = front_end(torch.zeros(2, 7), torch.zeros(2, 7, dtype=torch.bool))
    assert lengths.tolist() == [1, 1]
    assert steps.isfinite().all()


def naive_segments(front_end: Segments, values: list[float], mask: list[bool]) -> list[Tensor]:
    """The embedded segments of one row, from the first that holds an observation on."""
    length = front_end.segment_length
    while len(values) % length:
        values, mask = [0.0, *values], [False, *mask]
    embedded = []
    for start in range(0, len(values), length):
        seen = mask[start : start + length]
        if any(seen) or embedded:
            segment = torch.tensor([*values[start : start + length], *map(float, seen)])
            embedded.append(torch.relu(front_end.embedding(segment)))
    return embedded


@pytest.mark.parametrize("lookback", [1, 3, 7, 12])
@pytest.mark.parametrize("segment_length", [1, 3, 4, 12])
def test_segments_match_naive_loop_when_lookback_is_no_multiple(
    segment_length: int, lookback: int
) -> None:
    torch.manual_seed(lookback)
    front_end = Segments(segment_length, 5)
    mask = torch.rand(6, lookback) > 0.6
    mask[:, -1] = True
    values = torch.randn(6, lookback) * mask
    steps, lengths = front_end(values, mask)
    assert steps.shape[1] == -(-lookback // segment_length)
    for row in range(6):
        expected = naive_segments(front_end, values[row].tolist(), mask[row].tolist())
        assert lengths[row] == len(expected)
        torch.testing.assert_close(steps[row, : lengths[row]], torch.stack(expected))


@pytest.mark.parametrize("segment_length", [1, 3, 4])
@pytest.mark.parametrize("lookback", [1, 5, 12, 13])
def test_convolution_equals_naive_loop_when_kernel_ends_with_its_segment(
    segment_length: int, lookback: int
) -> None:
    torch.manual_seed(0)
    front_end = Convolution(segment_length, 5).double()
    values = torch.randn(2, lookback).double()
    mask = torch.ones(2, lookback, dtype=torch.bool)
    steps, lengths = front_end(values, mask)
    assert lengths.tolist() == [-(-lookback // segment_length)] * 2
    weight, bias = front_end.convolution.weight, front_end.convolution.bias
    assert weight.shape[2] == max(6, 2 * segment_length)
    for row in range(2):
        for back in range(1, int(lengths[0]) + 1):
            end = lookback - (back - 1) * segment_length
            expected = bias.clone()
            for place in range(weight.shape[2]):
                at = end - weight.shape[2] + place
                if at >= 0:
                    expected = (
                        expected + weight[:, 0, place] * values[row, at] + weight[:, 1, place]
                    )
            torch.testing.assert_close(steps[row, int(lengths[0]) - back], torch.relu(expected))
