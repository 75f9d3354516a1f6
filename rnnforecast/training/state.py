"""What a training is made of, and all of it that changes from step to step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor, nn

from rnnforecast.config import TrainConfig
from rnnforecast.optimizers import Optimizer
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.clipping import Clipper
from rnnforecast.training.optimizers import build_optimizer
from rnnforecast.training.schedules import SCHEDULES, Schedule

Loss = Callable[[Tensor, float], Sequence[Tensor]]
"""The mean losses of the windows at these places [batch], one forward pass; one or more.

The number is the share of the planned steps that have been taken, in [0, 1). Each loss is that of
other weights, and what is followed is their mean.
"""

StopReason = Literal["epochs", "patience", "time limit"]


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One row of history.csv.

    Attributes:
        epoch: Counted from 1.
        train_loss: Mean loss of the epoch's batches, each weighted by its windows.
        validation_loss: Loss of the validation windows after the epoch; None without any.
        gradient_norm: Mean norm of the gradient before clipping.
        clip_rate: Share of steps whose gradient was clipped.
        update_ratio: Norm of what the epoch's last step added to the weights over the norm of
            these.
        learning_rate: Of the epoch's last step.
        seconds: Since training began.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    gradient_norm: float
    clip_rate: float
    update_ratio: float
    learning_rate: float
    seconds: float = 0.0


class StepResult(NamedTuple):
    """Loss and gradient norm before the step, and whether the gradient was clipped: scalars.

    They lie where the network does: to read one is to wait for the device.
    """

    loss: Tensor
    gradient_norm: Tensor
    clipped: Tensor


@dataclass(frozen=True)
class Descent:
    """What follows the gradient; optimizer and clipper remember the steps before."""

    network: nn.Module
    loss: Loss
    optimizer: Optimizer
    clipper: Clipper


def begin_descent(network: nn.Module, config: TrainConfig, loss: Loss) -> Descent:
    """A descent that has taken no step."""
    return Descent(network, loss, build_optimizer(network, config), Clipper(config))


@dataclass
class EpochSums:
    """Over the steps that an epoch has taken; losses are weighted by their windows."""

    steps: int = 0
    windows: int = 0
    losses: float = 0.0
    gradient_norms: float = 0.0
    clipped: int = 0

    def add(self, loss: float, gradient_norm: float, clipped: bool, windows: int) -> None:
        """Count a step of so many windows."""
        self.steps += 1
        self.windows += windows
        self.losses += loss * windows
        self.gradient_norms += gradient_norm
        self.clipped += clipped


@dataclass
class Training:
    """All that changes from step to step, beside torch's global generator.

    Attributes:
        descent: The network, its optimizer and its clipper.
        schedule: Of the learning rate.
        batches: The windows of the steps to come.
        began: When it began, on the clock of `time.perf_counter`.
        sums: Of the epoch that runs.
        history: Of the epochs before it.
        best_epoch: The epoch whose weights served best; 0 before any has ended.
        best_loss: Its validation loss.
        best_weights: Its weights, where losses are validated.
        stop_reason: Why it is over; None while it goes on.
    """

    descent: Descent
    schedule: Schedule
    batches: ShuffledBatches
    began: float
    sums: EpochSums = field(default_factory=EpochSums)
    history: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Tensor] | None = None
    stop_reason: StopReason | None = None


def begin_training(
    network: nn.Module, config: TrainConfig, loss: Loss, batches: ShuffledBatches
) -> Training:
    """A training that has taken no step."""
    descent = begin_descent(network, config, loss)
    steps = config.epochs * config.batches_per_epoch
    schedule = SCHEDULES[config.schedule](descent.optimizer, steps)
    return Training(descent, schedule, batches, began=time.perf_counter())
