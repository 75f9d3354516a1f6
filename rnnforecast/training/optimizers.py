"""The optimizers that `--optimizer` names."""

from __future__ import annotations

from torch import nn

from rnnforecast.config import TrainConfig
from rnnforecast.optimizers import SGD, AdamW, Optimizer

# AdamW divides a gradient by its size, so that only the learning rate bounds its step; the step of
# plain descent shrinks with a clipped gradient (Pascanu et al. 2013).
OPTIMIZERS: dict[str, type[Optimizer]] = {"adamw": AdamW, "sgd": SGD}


def build_optimizer(network: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimizer of all weights of `network`, at the peak of the learning rate."""
    optimizer = OPTIMIZERS[config.optimizer]
    return optimizer(network.parameters(), config.learning_rate, config.weight_decay)
