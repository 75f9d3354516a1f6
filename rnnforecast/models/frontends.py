"""Front ends: how a lookback becomes the steps that the recurrent stack reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 2  # the value and whether it was observed


def left_aligned(steps: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Drop each row's leading steps without observation, so that the padding comes last.

    Args:
        steps: [batch, time, channel].
        observed: Whether a step holds an observation [batch, time].

    Returns:
        The rows from their first observed step on, then padding [batch, time, channel], and
        their lengths, at least 1 [batch].
    """
    time = steps.shape[1]
    leading = (observed.cumsum(1) == 0).sum(1).clamp(max=time - 1)
    place = (torch.arange(time, device=steps.device) + leading[:, None]) % time
    return steps.gather(1, place[..., None].expand_as(steps)), time - leading


class Pointwise(nn.Module):
    """One recurrent step for each observation."""

    output_size = CHANNELS

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to steps [batch, time, channel] and lengths."""
        return left_aligned(torch.stack([values, mask.to(values.dtype)], dim=-1), mask)


class Segments(nn.Module):
    """One recurrent step for each segment of the lookback (SegRNN, Lin et al. 2023).

    A linear map and ReLU embed a segment; the first is padded where the lookback is no multiple.
    """

    def __init__(self, segment_length: int, output_size: int) -> None:
        super().__init__()
        self.segment_length = segment_length
        self.output_size = output_size
        self.embedding = nn.Linear(CHANNELS * segment_length, output_size)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to steps [batch, time, channel] and lengths."""
        pad = -values.shape[1] % self.segment_length
        values, mask = functional.pad(values, (pad, 0)), functional.pad(mask, (pad, 0))
        shape = (len(values), -1, self.segment_length)
        values, mask = values.reshape(shape), mask.reshape(shape)
        segments = torch.cat([values, mask.to(values.dtype)], dim=-1)
        aligned, lengths = left_aligned(segments, mask.any(-1))
        return torch.relu(self.embedding(aligned)), lengths
