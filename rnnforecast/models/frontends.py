"""Front ends: how a lookback becomes the steps that the recurrent stack reads."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 2  # the value and whether it was observed; covariates come on top
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
    def cut(
        self, values: Tensor, mask: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to the content of each step, aligned left.

        Covariates, of a front end that was made for them, are [batch, lookback, feature].

        Returns:
            [batch, time, channel], and how many steps of each row count [batch].
        """

    def embed(self, steps: Tensor) -> Tensor:
        """From the content of steps [batch, time, channel] to [batch, time, output_size]."""
        return steps

    def forward(
        self, values: Tensor, mask: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """From values and mask [batch, lookback] to [batch, time, output_size] and lengths."""
        steps, lengths = self.cut(values, mask, covariates)
        return self.embed(steps), lengths


class Pointwise(FrontEnd):
    """One recurrent step for each observation."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.output_size = channels

    def cut(
        self, values: Tensor, mask: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The value, whether it was observed, and the covariates, at each step."""
        return left_aligned(_channels(values, mask, covariates), mask)


class Segments(FrontEnd):
    """One recurrent step for each segment of the lookback (SegRNN, Lin et al. 2023).

    A linear map and ReLU embed a segment; the first is padded where the lookback is no multiple.
    """

    def __init__(self, segment_length: int, output_size: int, channels: int = CHANNELS) -> None:
        super().__init__()
        self.segment_length = segment_length
        self.output_size = output_size
        self.embedding = nn.Linear(channels * segment_length, output_size)

    def cut(
        self, values: Tensor, mask: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Of each segment the values, the mask and each covariate, one after the other."""
        channels = _channels(values, mask, covariates).transpose(1, 2)
        segments = _segments(channels, self.segment_length).transpose(1, 2).flatten(2)
        return left_aligned(segments, _segments(mask, self.segment_length).any(-1))

    def embed(self, steps: Tensor) -> Tensor:
        """ReLU of a linear map of each segment."""
        return torch.relu(self.embedding(steps))


class Convolution(FrontEnd):
    """A causal convolution and ReLU, one recurrent step each segment (LSTNet, Lai et al. 2018).

    A kernel ends where its segment ends and reaches a segment further back, at least 6 values
    in all; before the lookback it reads zeros.
    """

    def __init__(self, segment_length: int, output_size: int, channels: int = CHANNELS) -> None:
        super().__init__()
        self.segment_length = segment_length
        self.output_size = output_size
        self.kernel_size = max(SHORTEST_KERNEL, 2 * segment_length)
        self.convolution = nn.Conv1d(channels, output_size, self.kernel_size)

    def cut(
        self, values: Tensor, mask: Tensor, covariates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the kernel covers at the end of each segment, channel after channel."""
        before = self.kernel_size - self.segment_length + -values.shape[1] % self.segment_length
        channels = _channels(values, mask, covariates).transpose(1, 2)
        padded = functional.pad(channels, (before, 0))
        covered = padded.unfold(2, self.kernel_size, self.segment_length).transpose(1, 2)
        return left_aligned(covered.flatten(2), _segments(mask, self.segment_length).any(-1))

    def embed(self, steps: Tensor) -> Tensor:
        """ReLU of the kernels' products with what each covers."""
        weight, bias = self.convolution.weight.flatten(1), self.convolution.bias
        return torch.relu(functional.linear(steps, weight, bias))


def _channels(values: Tensor, mask: Tensor, covariates: Tensor | None) -> Tensor:
    """What is read of each step: the value, whether it was observed, then the covariates."""
    observed = torch.stack([values, mask.to(values.dtype)], dim=-1)
    return observed if covariates is None else torch.cat([observed, covariates], dim=-1)


def _segments(sequence: Tensor, length: int) -> Tensor:
    """Of [..., lookback] the segments [..., segment, length], the first one padded."""
    padded = functional.pad(sequence, (-sequence.shape[-1] % length, 0))
    return padded.reshape(*padded.shape[:-1], -1, length)
