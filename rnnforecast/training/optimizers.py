"""The optimizers that `--optimizer` names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from rnnforecast.config import TrainConfig

# AdamW divides a gradient by its size, so that only the learning rate bounds its step; the step of
# plain descent shrinks with a clipped gradient (Pascanu et al. 2013).
# Fused, a step is one pass over all weights rather than ten over each.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": partial(AdamW, fused=True),
    "sgd": partial(SGD, momentum=0.9, fused=True),
}


def build_optimizer(network: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimizer of all weights of `network`, at the peak of the learning rate."""
    optimizer = OPTIMIZERS[config.optimizer]
    return optimizer(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
