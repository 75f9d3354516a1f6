"""Augmentation: windows that a training sees a little changed, each time anew."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnforecast.runtime import bring


def jitter(values: Tensor, mask: Tensor, season: int, share: float) -> Tensor:
    """Noise on what is read, of `share` of how rough each window is (after Um et al. 2017).

    Roughness is the mean absolute change of the change since a season before: windows that repeat
    themselves or grow in a line have none, and a smooth one little, of whatever level and spread.
    Noise on what a network reads holds its weights down (Bishop 1995); what is to be forecast stays
    as it is, for noise there would only teach wider intervals.

    It is drawn from torch's global generator of the CPU, which checkpoints keep, on every device.

    Args:
        values: The lookback, a season and two values or more, 0 where missing [batch, lookback].
        mask: Which values were observed [batch, lookback].
        season: Steps in a season, 1 where there is none.
        share: The deviation of the noise over the roughness; 0 draws nothing.
    """
    if not share:
        return values
    changes, known = values, mask
    for lag in (1, season):
        changes = changes[:, lag:] - changes[:, :-lag]
        known = known[:, lag:] & known[:, :-lag]
    count = known.sum(1, keepdim=True).clamp(min=1)
    roughness = (changes.abs() * known).sum(1, keepdim=True) / count
    noise = bring(torch.randn(values.shape, dtype=values.dtype), values.device)
    return values + share * roughness * noise * mask
