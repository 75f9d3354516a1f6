"""Ancestral sampling: a decoder that forecasts by paths drawn step after step."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from rnnforecast.models.decoders import DecoderSizes, Memory, SequenceToSequence, Truth
from rnnforecast.models.heads import Head
from rnnforecast.models.normalisation import WindowScale

PATHS = 100
# Numbers drawn at once: what bounds the memory of a forecast.
DRAWN_AT_ONCE = 2**21
SEED = 0
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
EDGE = 1e-6
# What a level times a number of paths may be off by.
ROUNDING = 1e-9


class Ancestral(SequenceToSequence):
    """Value after value, each drawn from the distribution that the one before led to.

    As DeepAR (Salinas et al. 2020), but that the decoder's weights are its own. Training reads the
    truth alone, so that the loss is the likelihood of the whole path; the quantiles of a forecast
    are those of paths drawn.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__(replace(sizes, segment_length=1))

    def forward(
        self, memory: Memory, skip: Tensor, truth: Truth | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder.forward`, one pass over the truth, whatever its share; skip where unknown."""
        if truth is None:
            return super().forward(memory, skip)
        known = torch.where(truth.mask, truth.values, skip)
        fed = functional.pad(known[:, :-1], (1, 0))
        features, _ = self.cell(self.embed(fed[..., None]), self.bridge(memory.summary))
        location, spread = self.projection(features.flatten(0, 1))
        return skip + location.reshape_as(skip), spread.reshape(*skip.shape, -1)

    def quantiles(self, memory: Memory, skip: Tensor, head: Head, scale: WindowScale) -> Tensor:
        """Of each step those of the paths, in units of the windows [batch, horizon, quantile]."""
        level = torch.tensor(head.levels, device=skip.device, dtype=scale.scale.dtype)
        uniform = lattice(PATHS, skip.shape[1]).to(skip)
        rows = max(1, DRAWN_AT_ONCE // uniform.numel())
        parts = zip(*(torch.split(part, rows) for part in (*memory, skip, *scale)), strict=True)
        quantiles = []
        for *read, skip_part, shift, spread in parts:
            part = WindowScale(shift, spread)
            paths = self.paths(Memory(*read), skip_part, head, part, uniform)
            values = part.inverse(paths)
            quantiles.append(
                least_counts(values.round(), level) if head.counts else hazen(values, level)
            )
        return torch.cat(quantiles)

    def paths(
        self, memory: Memory, skip: Tensor, head: Head, scale: WindowScale, uniform: Tensor
    ) -> Tensor:
        """Paths on the scale of the windows, drawn with common random numbers.

        Args:
            memory: What was read of each window.
            skip: The linear skip's forecasts [batch, horizon].
            head: The distribution of a step.
            scale: Of the windows.
            uniform: Numbers in (0, 1), the same for every window [path, horizon, 2].

        Returns:
            [batch, horizon, path].
        """
        batch, paths = len(skip), len(uniform)
        scale = WindowScale(*(part.repeat_interleave(paths, dim=0) for part in scale))
        state = self.bridge(memory.summary.repeat_interleave(paths, dim=0))
        fed = skip.new_zeros(batch * paths, 1)
        drawn = []
        baselines = torch.split(skip.repeat_interleave(paths, dim=0), 1, dim=1)
        for step, baseline in enumerate(baselines):
            features, state = self.advance(self.embed(fed), state, memory)
            location, spread = self.projection(features)
            parameters = head(baseline + location, spread)
            fed = head.sample(parameters, uniform[:, step : step + 1].repeat(batch, 1, 1), scale)
            drawn.append(fed)
        return torch.cat(drawn, dim=1).reshape(batch, paths, -1).transpose(1, 2)


def hazen(paths: Tensor, level: Tensor) -> Tensor:
    """Quantiles that take path k of n, ordered, for that of the level (k - 1/2) / n (Hazen 1914).

    So none is biased where a path lies in each of n strata.

    Args:
        paths: [batch, step, path].
        level: In (0, 1) [quantile].

    Returns:
        Linear between two paths [batch, step, quantile].
    """
    last = paths.shape[2] - 1
    place = (level * paths.shape[2] - 0.5).clamp(0, last)
    below = place.long()
    ordered = paths.sort(dim=2).values
    lower, upper = ordered[..., below], ordered[..., (below + 1).clamp(max=last)]
    return torch.lerp(lower, upper, (place - below).to(paths))


def least_counts(paths: Tensor, level: Tensor) -> Tensor:
    """Of paths [batch, step, path] the least value that a share `level` [quantile] is not above.

    Returns:
        Never -0 [batch, step, quantile].
    """
    rank = (level * paths.shape[2] - ROUNDING).ceil().long()
    return paths.sort(dim=2).values[..., rank - 1] + 0.0


def lattice(paths: int, steps: int) -> Tensor:
    """Pairs of numbers that fill the unit square evenly, in an order drawn anew at every step.

    At each step they are the points (i / paths, i φ mod 1) of the golden ratio φ (Niederreiter
    1992, Kronecker sequences), shifted at random: a few of them tell of a distribution as much as
    many that are drawn independently.

    Returns:
        In (0, 1), the same at every call [path, step, 2].
    """
    generator = torch.Generator().manual_seed(SEED)
    place = torch.arange(paths, dtype=torch.float64)[:, None]
    points = torch.stack([place / paths, place * GOLDEN_RATIO], dim=-1).expand(-1, steps, -1)
    shift = torch.rand(steps, 2, generator=generator, dtype=torch.float64)
    order = torch.rand(paths, steps, generator=generator).argsort(0)
    shuffled = ((points + shift) % 1).gather(0, order[..., None].expand(-1, -1, 2))
    return shuffled.clamp(EDGE, 1 - EDGE)
