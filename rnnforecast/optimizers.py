"""Gradient descent: AdamW, and descent with momentum.

They do what those of `torch.optim` do, by the same fused functions, but do not load torch's
compiler (a second and 70 MiB of every run), which those load to tell it to pass them by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

State = dict[str, Tensor]
BETAS, EPSILON = (0.9, 0.999), 1e-8


class Optimizer(ABC):
    """Weights, and what the steps so far have told of each.

    Attributes:
        weights: What is moved, each where it has a gradient.
        rate: The learning rate of the step to come.
        weight_decay: The share of a weight by which, times the rate, a step of AdamW makes it
            smaller, and which SGD adds to its gradient.
        state: What is known of a weight, by its place; nothing before its first gradient.
    """

    def __init__(self, weights: Iterable[Tensor], rate: float, weight_decay: float = 0.0) -> None:
        self.weights, self.rate, self.weight_decay = list(weights), rate, weight_decay
        self.state: dict[int, State] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self, held: Tensor | None = None) -> None:
        """Move the weights against their gradients, in place.

        Args:
            held: Whether all stays as it is instead: 1 or 0, a scalar in single precision where
                the weights are. Torch's AdamW for MPS does not heed it.
        """
        places = [place for place, weight in enumerate(self.weights) if weight.grad is not None]
        moved = [self.weights[place] for place in places]
        for place, weight in zip(places, moved, strict=True):
            if place not in self.state:
                self.state[place] = self.begin(weight)
        known = [self.state[place] for place in places]
        self.follow(moved, [weight.grad for weight in moved], known, held)  # type: ignore[misc]

    @abstractmethod
    def begin(self, weight: Tensor) -> State:
        """What is known of a weight before its first step."""

    @abstractmethod
    def follow(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        known: Sequence[State],
        held: Tensor | None,
    ) -> None:
        """Move some weights, and change what is known of them, unless they are held."""


class AdamW(Optimizer):
    """Steps of the gradient's mean over the root of its mean square (Loshchilov & Hutter 2019)."""

    def begin(self, weight: Tensor) -> State:
        """No steps, and no means."""
        means = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
        return {"step": torch.zeros((), device=weight.device), **means}

    def follow(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        known: Sequence[State],
        held: Tensor | None,
    ) -> None:
        """Equations 1 to 12 of the paper, algorithm 2."""
        means, squares, steps = _listed(known, "exp_avg", "exp_avg_sq", "step")
        options: dict[str, Any] = {"amsgrad": False, "maximize": False, "fused": True}
        options |= {"lr": self.rate, "weight_decay": self.weight_decay, "eps": EPSILON}
        options |= {"beta1": BETAS[0], "beta2": BETAS[1], "found_inf": held}
        adamw(list(weights), list(gradients), means, squares, [], steps, **options)


class SGD(Optimizer):
    """Steps of a sum of all gradients, each counting less and less (Polyak 1964).

    Attributes:
        momentum: What a gradient counts a step later, as a share.
    """

    momentum = 0.9

    def begin(self, weight: Tensor) -> State:
        """No sum."""
        return {"momentum_buffer": torch.zeros_like(weight)}

    def follow(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        known: Sequence[State],
        held: Tensor | None,
    ) -> None:
        """Equations 1 and 2 of Sutskever et al. 2013, the rate outside of the sum."""
        (sums,) = _listed(known, "momentum_buffer")
        options: dict[str, Any] = {"dampening": 0.0, "nesterov": False, "maximize": False}
        options |= {"lr": self.rate, "weight_decay": self.weight_decay, "momentum": self.momentum}
        sgd(list(weights), list(gradients), sums, fused=True, found_inf=held, **options)


def _listed(known: Sequence[State], *names: str) -> list[list[Any]]:
    """What is known by these names of every weight."""
    return [[state[name] for state in known] for name in names]
