"""Bounds on a gradient: on its entries, on its norm, and on its norm by the norms before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from rnnforecast.config import TrainConfig


class Clipper:
    """Clips the gradients of one training, whose norms it keeps.

    Attributes:
        norms: The finite norms before clipping; empty where no percentile is asked for.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.largest_norm = config.clip_norm
        self.largest_entry = config.clip_value
        self.percentile = config.clip_percentile
        self.norms: list[float] = []

    def clip(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Bound the gradient in place, entries first, then its norm (Pascanu et al. 2013).

        The norm is held to a constant and to a percentile of all norms so far, this one's included
        (AutoClip, Seetharaman et al. 2020); for this one alone a GPU is waited for.

        Returns:
            Its norm as it was, and whether anything was bounded: scalars, where the gradient is.
        """
        weights = [p for p in network.parameters() if p.grad is not None]
        gradients = [p.grad for p in weights if p.grad is not None]
        norm = left = get_total_norm(gradients)
        limit = min(self.largest_norm, self._typical_norm(norm))
        clipped = norm > limit
        if self.largest_entry < math.inf:
            clipped = clipped | (get_total_norm(gradients, math.inf) > self.largest_entry)
            clip_grad_value_(weights, self.largest_entry)
            left = get_total_norm(gradients)
        if limit < math.inf:
            # By a norm of 0 nothing is scaled: what is within its bounds keeps every bit.
            clip_grads_with_norm_(weights, limit, torch.where(clipped, left, 0.0))
        return norm, clipped

    def _typical_norm(self, norm: Tensor) -> float:
        """The percentile of all norms with this one; infinity where there is none."""
        if self.percentile == 100:
            return math.inf
        if bool(norm.isfinite()):
            self.norms.append(float(norm))
        if not self.norms:
            return math.inf
        norms = torch.tensor(self.norms, dtype=torch.float64)
        return float(norms.quantile(self.percentile / 100))
