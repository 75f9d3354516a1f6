"""Losses over the observed part of a target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pinball_loss(
    quantiles: Tensor, target: Tensor, mask: Tensor, levels: Sequence[float]
) -> Tensor:
    """Twice the quantile loss (Koenker & Bassett 1978), so that the median's is the absolute error.

    Args:
        quantiles: Forecast quantiles [batch, step, quantile].
        target: What happened [batch, step].
        mask: Where it was observed [batch, step].
        levels: The level of each quantile.

    Returns:
        The mean over steps observed and quantiles; 0 where nothing was observed.
    """
    level = torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    error = target[..., None] - quantiles
    loss = torch.maximum(level * error, (level - 1) * error).mean(-1)
    observed = mask.to(loss.dtype)
    return 2 * (loss * observed).sum() / observed.sum().clamp(min=1)
