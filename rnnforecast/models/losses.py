"""Losses over the observed part of a target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rnnforecast.runtime import bring


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
    # Made there, a tensor of numbers would be waited for.
    level = bring(torch.tensor(levels, dtype=quantiles.dtype), quantiles.device)
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


def negative_binomial_loss(
    mean: Tensor, dispersion: Tensor, target: Tensor, mask: Tensor
) -> Tensor:
    """Negative log likelihood of a negative binomial distribution (Salinas et al. 2020).

    log Γ(y + 1) + log Γ(1/α) - log Γ(y + 1/α) + (y + 1/α) log(1 + αμ) - y log αμ, whose terms are
    far larger than their sum where counts are large or α is small. It is computed as half of the
    deviance and errors of Stirling's formula, which are not (Loader 2000, for the binomial).

    Args:
        mean: Its mean μ, above 0 [batch, step].
        dispersion: Its α, above 0, of the variance μ + αμ² [batch, step].
        target: The count y that happened [batch, step].
        mask: Where it was observed [batch, step].

    Returns:
        The mean over steps observed, in the target's precision; 0 where nothing was observed.
    """
    mean, dispersion = mean.to(target.dtype), dispersion.to(target.dtype)
    size, count = 1 / dispersion, target.clamp(min=1)  # of a target of 0 its own terms vanish
    ratio = torch.log1p((count - mean) / (mean * (1 + dispersion * count)))
    # Each serves one side only; on the other, its argument would come to -1 and its slope to NaN.
    above = torch.log1p(dispersion * (target - mean).clamp(min=0) / (1 + dispersion * mean))
    below = torch.log1p(dispersion * (mean - target).clamp(min=0) / (1 + dispersion * target))
    half_deviance = target * ratio - size * torch.where(target < mean, -below, above)
    errors = _stirling_error(size) + _stirling_error(count) - _stirling_error(size + count)
    volume = torch.log(2 * math.pi * count * (1 + dispersion * count)) / 2 + errors
    return _mean(half_deviance + torch.where(target > 0, volume, 0), mask)


def _stirling_error(x: Tensor) -> Tensor:
    """log Γ(x + 1) - (x + 1/2) log x + x - log(2π)/2 for x > 0, to 1e-11.

    By its series from 8 on; the recurrence of Γ brings a small x there.
    """
    steps = x[..., None] + torch.arange(8, dtype=x.dtype, device=x.device)
    stepped = ((steps + 0.5) * torch.log1p(1 / steps) - 1).sum(-1)
    y = x + steps.shape[-1]
    square = 1 / y**2  # by powers of it, as those of y may be beyond all numbers
    series = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))
    return series / y + stepped


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
