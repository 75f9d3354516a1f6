"""Each window on a scale of its own, so that one network serves series of any level and spread."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnnforecast.config import Typical

# Roundings of the level up to which a spread counts as none: they are not blown up to signal.
NOISE = 64
# The share that stands for none: by nothing, what follows a constant would be infinitely far away.
SCALE_FLOOR = 1e-3
# Of the scale, how far from the shift a value may lie: what follows a window that hardly varies may
# be any number of scales away, and outweigh all others.
FARTHEST = 1e4
# From so many observations on, a window's own spread is all that counts.
ENOUGH = 5
NOTHING_TYPICAL = Typical()


class WindowScale(NamedTuple):
    """What was taken out of each window, in its own units [batch, 1]."""

    shift: Tensor
    scale: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Values [batch, step] on the window's scale, in single precision, none past `FARTHEST`."""
        return ((values - self.shift) / self.scale).clamp(-FARTHEST, FARTHEST).to(torch.float32)

    def inverse(self, values: Tensor) -> Tensor:
        """Values [batch, step, ...] of the window's scale in its own units again."""
        extra = (1,) * (values.dim() - 2)
        scale, shift = self.scale.reshape(-1, 1, *extra), self.shift.reshape(-1, 1, *extra)
        return values.to(self.scale.dtype) * scale + shift


def window_scale(
    values: Tensor, mask: Tensor, season: int, log: bool = False, typical: Typical = NOTHING_TYPICAL
) -> WindowScale:
    """Level and spread of what each window observed (after Kim et al. 2022, RevIN).

    The shift is the mean of the last season (without one, the last value), so that it follows the
    level but not the season; the scale is the mean absolute deviation from it, or a thousandth of
    the mean magnitude where that is no more than roundings leave. A logarithm's spread is a share
    of the level already.

    One observation says nothing of a spread, and a few say little: their floor is the share that is
    typical of the training series, less by a quarter for each observation after the first, so that
    from five on nothing is borrowed. A window of zeros, or without any observation, has no level
    to take a share of; its scale is the typical spread.

    Args:
        values: The lookback, 0 where missing [batch, lookback].
        mask: Which values were observed [batch, lookback].
        season: Steps in a season.
        log: Whether the values are logarithms.
        typical: What the training series are like.
    """
    observed = mask.to(values.dtype)
    later = observed.flip(1).cumsum(1).flip(1)
    recent = observed * (later <= season)
    shift = (values * recent).sum(1, keepdim=True) / recent.sum(1, keepdim=True).clamp(min=1)
    count = observed.sum(1, keepdim=True).clamp(min=1)
    deviation = ((values - shift).abs() * observed).sum(1, keepdim=True) / count
    level = 1.0 if log else values.abs().sum(1, keepdim=True) / count
    borrowed = typical.share * ((ENOUGH - count) / (ENOUGH - 1))
    noise = NOISE * torch.finfo(values.dtype).eps
    least = SCALE_FLOOR * (deviation <= noise * level).to(deviation)
    floor = level * torch.maximum(borrowed, least) * observed.any(1, keepdim=True)
    scale = torch.maximum(deviation, floor)
    return WindowScale(shift, torch.where(scale > 0, scale, typical.spread))
