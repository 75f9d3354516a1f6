"""The training loop: `fit` runs epochs, an epoch runs steps, a step follows the gradient once."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.training.clipping import Clipper
from rnnforecast.training.optimizers import build_optimizer
from rnnforecast.training.schedules import SCHEDULES, Schedule

Loss = Callable[[Tensor, float], Tensor]
"""The mean loss of the windows at these places [batch], one forward pass.

The number is the share of the planned steps that have been taken, in [0, 1).
"""

StopReason = Literal["epochs", "patience"]


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


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How training went; the network holds the weights of `best_epoch`."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stop_reason: StopReason


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """Loss and gradient norm before the step, and whether the gradient was clipped."""

    loss: float
    gradient_norm: float
    clipped: bool


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


class Progress(Protocol):
    """What `fit` calls after each epoch."""

    def __call__(self, record: EpochRecord, epochs: int) -> None: ...


def fit(
    network: nn.Module,
    config: TrainConfig,
    *,
    loss: Loss,
    windows: int,
    validate: Callable[[], float] | None,
    generator: torch.Generator,
    stop_after: int | None = None,
    on_epoch: Progress | None = None,
) -> FitResult:
    """Follow the gradient for some epochs; restore the best weights on validation.

    Args:
        network: Trained in place.
        config: How long, how fast, by which optimizer and schedule, how clipped.
        loss: One forward pass of `network` over training windows.
        windows: How many training windows there are.
        validate: The validation loss of `network`; None keeps the weights of the last epoch.
        generator: Of the order of windows.
        stop_after: The epoch to stop after, while the schedule spans `config.epochs`.
        on_epoch: Called with each epoch's record.

    Raises:
        TrainingError: A loss, the validation loss or a gradient is not finite.
    """
    descent = begin_descent(network, config, loss)
    steps = config.epochs * config.batches_per_epoch
    schedule = SCHEDULES[config.schedule](descent.optimizer, steps)
    batches = shuffled_batches(windows, config.batch_size, generator)
    history: list[EpochRecord] = []
    best_epoch, best_loss, best_weights = 0, math.inf, None
    began = time.perf_counter()
    epochs = config.epochs if stop_after is None else stop_after
    for epoch in range(1, epochs + 1):
        network.train()
        epoch_batches = list(islice(batches, config.batches_per_epoch))
        record = run_epoch(descent, epoch_batches, schedule, config, epoch)
        network.eval()
        held_out = validate() if validate else None
        seconds = time.perf_counter() - began
        history.append(replace(record, validation_loss=held_out, seconds=seconds))
        if on_epoch:
            on_epoch(history[-1], epochs)
        if held_out is None:
            best_epoch = epoch
        elif not math.isfinite(held_out):
            where = f"epoch {epoch}: validation loss {held_out:.4g}"
            raise _diverged(where, record.learning_rate, config)
        elif held_out < best_loss:
            best_epoch, best_loss = epoch, held_out
            best_weights = copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= config.patience:
            break
        schedule.after_epoch(record.train_loss if held_out is None else held_out)
    if best_weights is not None:
        network.load_state_dict(best_weights)
    stop_reason: StopReason = "patience" if len(history) < epochs else "epochs"
    return FitResult(history=tuple(history), best_epoch=best_epoch, stop_reason=stop_reason)


def run_epoch(
    descent: Descent,
    batches: Sequence[Tensor],
    schedule: Schedule,
    config: TrainConfig,
    epoch: int,
) -> EpochRecord:
    """Follow the gradient once for each batch; nothing is validated or timed here."""
    optimizer, network = descent.optimizer, descent.network
    planned = config.epochs * config.batches_per_epoch
    taken = (epoch - 1) * config.batches_per_epoch
    losses, norms, clipped, windows, rate = 0.0, 0.0, 0, 0, 0.0
    before: list[Tensor] = []
    for place, batch in enumerate(batches):
        rate = optimizer.param_groups[0]["lr"]
        if place == len(batches) - 1:
            before = [parameter.detach().clone() for parameter in network.parameters()]
        step = train_step(descent, batch, (taken + place) / planned)
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            what = f"loss {step.loss:.4g}, gradient norm {step.gradient_norm:.4g}"
            raise _diverged(f"epoch {epoch}, batch {place + 1}: {what}", rate, config)
        schedule.after_step()
        losses += step.loss * len(batch)
        norms += step.gradient_norm
        clipped += step.clipped
        windows += len(batch)
    return EpochRecord(
        epoch=epoch,
        train_loss=losses / windows,
        gradient_norm=norms / len(batches),
        clip_rate=clipped / len(batches),
        update_ratio=_update_ratio(before, network),
        learning_rate=rate,
    )


def _update_ratio(before: list[Tensor], network: nn.Module) -> float:
    """The norm of what was added to the weights over the norm that they had."""
    pairs = zip(network.parameters(), before, strict=True)
    update = get_total_norm([after.detach() - weights for after, weights in pairs])
    return float(update / get_total_norm(before))


def _diverged(where: str, learning_rate: float, config: TrainConfig) -> TrainingError:
    if config.clip_norm > 1:
        remedy = "clip with --clip-norm 1"
    elif config.optimizer == "sgd":
        remedy = f"clip with a --clip-norm below {config.clip_norm:g}"
    else:
        remedy = "take --optimizer sgd, whose steps clipping bounds"
    return TrainingError(
        f"training diverged in {where}, learning rate {learning_rate:.3g}; "
        f"lower --learning-rate, {remedy}, or take a gated model such as gru"
    )


def train_step(descent: Descent, batch: Tensor, progress: float) -> StepResult:
    """Forward, backward, clip, step; the gradient's norm is the one before clipping."""
    descent.optimizer.zero_grad()
    value = descent.loss(batch, progress)
    value.backward()  # type: ignore[no-untyped-call]
    norm, clipped = descent.clipper.clip(descent.network)
    result = StepResult(loss=value.item(), gradient_norm=norm, clipped=clipped)
    if math.isfinite(norm):
        descent.optimizer.step()
    return result


def shuffled_batches(windows: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches: every window once in an order drawn anew, then again."""
    while True:
        yield from torch.split(torch.randperm(windows, generator=generator), batch_size)
