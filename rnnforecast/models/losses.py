"""Losses over the observed part of a target."""

from __future__ import annotations

import math
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
    return 2 * _mean(loss, mask)


def normal_loss(location: Tensor, scale: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Negative log likelihood of a normal distribution: z²/2 + log σ + log(2π)/2.

    Args:
        location: Its mean [batch, step].
        scale: Its standard deviation, above 0 [batch, step].
        target: What happened [batch, step].
        mask: Where it was observed [batch, step].

    Returns:
        The mean over steps observed; 0 where nothing was observed.
    """
    z = (target - location) / scale
    return _mean(z**2 / 2 + scale.log() + math.log(2 * math.pi) / 2, mask)


def student_t_loss(
    location: Tensor, scale: Tensor, freedom: Tensor, target: Tensor, mask: Tensor
) -> Tensor:
    """Negative log likelihood of Student's t distribution (Lange et al. 1989).

    (ν + 1)/2 log(1 + z²/ν) + log σ + log(νπ)/2 - log Γ((ν + 1)/2) + log Γ(ν/2).

    Args:
        location: Its median [batch, step].
        scale: Its scale, above 0 [batch, step].
        freedom: Its degrees of freedom ν, above 0 [batch, step].
        target: What happened [batch, step].
        mask: Where it was observed [batch, step].

    Returns:
        The mean over steps observed; 0 where nothing was observed.
    """
    z = (target - location) / scale
    kernel = (freedom + 1) / 2 * torch.log1p(z**2 / freedom)
    volume = scale.log() + (freedom * math.pi).log() / 2 - _log_gamma_half_step(freedom / 2)
    return _mean(kernel + volume, mask)


def _log_gamma_half_step(x: Tensor) -> Tensor:
    """log Γ(x + 1/2) - log Γ(x) for x > 0, to 1e-6.

    In single precision the difference of two lgamma is noise where x is large. Stirling's series
    of the difference is exact there; four steps of Γ(x + 1) = x Γ(x) bring a small x there.
    """
    steps = torch.arange(4, dtype=x.dtype, device=x.device)
    stepped = torch.log1p(0.5 / (x[..., None] + steps)).sum(-1)
    y = x + len(steps)
    return y.log() / 2 - 1 / (8 * y) + 1 / (192 * y**3) - stepped


def _mean(loss: Tensor, mask: Tensor) -> Tensor:
    """The mean of loss [batch, step] where mask is True; 0 where it nowhere is."""
    observed = mask.to(loss.dtype)
    return (loss * observed).sum() / observed.sum().clamp(min=1)
