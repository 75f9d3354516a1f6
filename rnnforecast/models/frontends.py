"""Front ends: how a lookback becomes the steps that the recurrent stack reads."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 2  # the value and whether it was observed
SHORTEST_KERNEL = 6  # of the convolution, as in LSTNet


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


class FrontEnd(nn.Module, ABC):
    """What makes steps of `output_size` channels.

    In two parts, so that the second, which has weights, can be had of some steps alone.
    """

    output_size: int

    @abstractmethod
    def cut(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to the content of each step, aligned left.

        Returns:
            [batch, time, channel], and how many steps of each row count [batch].
        """

    def embed(self, steps: Tensor) -> Tensor:
        """From the content of steps [batch, time, channel] to [batch, time, output_size]."""
        return steps

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to [batch, time, output_size] and lengths."""
        steps, lengths = self.cut(values, mask)
        return self.embed(steps), lengths


class Pointwise(FrontEnd):
    """One recurrent step for each observation."""

    output_size = CHANNELS

    def cut(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The value and whether it was observed, at each step."""
        return left_aligned(torch.stack([values, mask.to(values.dtype)], dim=-1), mask)


class Segments(FrontEnd):
    """One recurrent step for each segment of the lookback (SegRNN, Lin et al. 2023).

    A linear map and ReLU embed a segment; the first is padded where the lookback is no multiple.
    """

    def __init__(self, segment_length: int, output_size: int) -> None:
        super().__init__()
        self.segment_length = segment_length
        self.output_size = output_size
        self.embedding = nn.Linear(CHANNELS * segment_length, output_size)

    def cut(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The values and the mask of each segment."""
        values, mask = _segments(values, self.segment_length), _segments(mask, self.segment_length)
        segments = torch.cat([values, mask.to(values.dtype)], dim=-1)
        return left_aligned(segments, mask.any(-1))

    def embed(self, steps: Tensor) -> Tensor:
        """ReLU of a linear map of each segment."""
        return torch.relu(self.embedding(steps))


class Convolution(FrontEnd):
    """A causal convolution and ReLU, one recurrent step each segment (LSTNet, Lai et al. 2018).

    A kernel ends where its segment ends and reaches a segment further back, at least 6 values
    in all; before the lookback it reads zeros.
    """

    def __init__(self, segment_length: int, output_size: int) -> None:
        super().__init__()
        self.segment_length = segment_length
        self.output_size = output_size
        self.kernel_size = max(SHORTEST_KERNEL, 2 * segment_length)
        self.convolution = nn.Conv1d(CHANNELS, output_size, self.kernel_size)

    def cut(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the kernel covers at the end of each segment, values before mask."""
        before = self.kernel_size - self.segment_length + -values.shape[1] % self.segment_length
        channels = torch.stack([values, mask.to(values.dtype)], dim=1)
        padded = functional.pad(channels, (before, 0))
        covered = padded.unfold(2, self.kernel_size, self.segment_length).transpose(1, 2)
        return left_aligned(covered.flatten(2), _segments(mask, self.segment_length).any(-1))

    def embed(self, steps: Tensor) -> Tensor:
        """ReLU of the kernels' products with what each covers."""
        weight, bias = self.convolution.weight.flatten(1), self.convolution.bias
        return torch.relu(functional.linear(steps, weight, bias))


def _segments(sequence: Tensor, length: int) -> Tensor:
    """Of [batch, lookback] the segments [batch, segment, length], the first one padded."""
    padded = functional.pad(sequence, (-sequence.shape[1] % length, 0))
    return padded.reshape(len(sequence), -1, length)
