"""The training loop: `fit` runs epochs, an epoch runs steps, a step follows the gradient once."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.training.schedules import one_cycle

Loss = Callable[[Tensor], Tensor]
"""The mean loss of the windows at these places [batch]: one forward pass."""

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
        learning_rate: Of the epoch's last step.
        seconds: Since training began.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    gradient_norm: float
    clip_rate: float
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
    """Train with AdamW under a one-cycle schedule; restore the best weights on validation.

    Args:
        network: Trained in place.
        config: How long, how fast, how clipped.
        loss: One forward pass of `network` over training windows.
        windows: How many training windows there are.
        validate: The validation loss of `network`; None keeps the weights of the last epoch.
        generator: Of the order of windows.
        stop_after: The epoch to stop after, while the schedule spans `config.epochs`.
        on_epoch: Called with each epoch's record.

    Raises:
        TrainingError: A loss, the validation loss or a gradient is not finite.
    """
    optimizer = AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * config.batches_per_epoch
    schedule = LambdaLR(optimizer, lambda step: one_cycle(step, steps))
    batches = shuffled_batches(windows, config.batch_size, generator)
    history: list[EpochRecord] = []
    best_epoch, best_loss, best_weights = 0, math.inf, None
    began = time.perf_counter()
    epochs = config.epochs if stop_after is None else stop_after
    for epoch in range(1, epochs + 1):
        network.train()
        epoch_batches = islice(batches, config.batches_per_epoch)
        record = run_epoch(network, loss, epoch_batches, optimizer, schedule, config, epoch)
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
            raise _diverged(where, record.learning_rate)
        elif held_out < best_loss:
            best_epoch, best_loss = epoch, held_out
            best_weights = copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= config.patience:
            break
    if best_weights is not None:
        network.load_state_dict(best_weights)
    stop_reason: StopReason = "patience" if len(history) < epochs else "epochs"
    return FitResult(history=tuple(history), best_epoch=best_epoch, stop_reason=stop_reason)


def run_epoch(
    network: nn.Module,
    loss: Loss,
    batches: Iterator[Tensor],
    optimizer: Optimizer,
    schedule: LRScheduler,
    config: TrainConfig,
    epoch: int,
) -> EpochRecord:
    """Follow the gradient once for each batch; nothing is validated or timed here."""
    losses, norms, clipped, windows, steps, rate = 0.0, 0.0, 0, 0, 0, 0.0
    for steps, batch in enumerate(batches, start=1):
        rate = optimizer.param_groups[0]["lr"]
        step = train_step(network, loss, batch, optimizer, config)
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            what = f"loss {step.loss:.4g}, gradient norm {step.gradient_norm:.4g}"
            raise _diverged(f"epoch {epoch}, batch {steps}: {what}", rate)
        schedule.step()
        losses += step.loss * len(batch)
        norms += step.gradient_norm
        clipped += step.clipped
        windows += len(batch)
    return EpochRecord(
        epoch=epoch,
        train_loss=losses / windows,
        gradient_norm=norms / steps,
        clip_rate=clipped / steps,
        learning_rate=rate,
    )


def _diverged(where: str, learning_rate: float) -> TrainingError:
    return TrainingError(
        f"training diverged in {where}, learning rate {learning_rate:.3g}; "
        "lower --learning-rate, clip with --clip-norm 1, or take a gated model such as gru"
    )


def train_step(
    network: nn.Module, loss: Loss, batch: Tensor, optimizer: Optimizer, config: TrainConfig
) -> StepResult:
    """Forward, backward, clip, step; the gradient's norm is the one before clipping."""
    optimizer.zero_grad()
    value = loss(batch)
    value.backward()  # type: ignore[no-untyped-call]
    norm, clipped = clip_gradient(network, config.clip_norm, config.clip_value)
    result = StepResult(loss=value.item(), gradient_norm=norm, clipped=clipped)
    if math.isfinite(norm):
        optimizer.step()
    return result


def clip_gradient(network: nn.Module, clip_norm: float, clip_value: float) -> tuple[float, bool]:
    """Bound the gradient in place, entries first, then its norm (Pascanu et al. 2013).

    Returns:
        Its norm as it was, and whether anything was bounded.
    """
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = float(get_total_norm(gradients))
    clipped = norm > clip_norm
    if clip_value < math.inf:
        clipped |= any(float(gradient.abs().max()) > clip_value for gradient in gradients)
        clip_grad_value_(network.parameters(), clip_value)
    if clip_norm < math.inf:
        clip_grad_norm_(network.parameters(), clip_norm)
    return norm, clipped


def shuffled_batches(windows: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches: every window once in an order drawn anew, then again."""
    while True:
        yield from torch.split(torch.randperm(windows, generator=generator), batch_size)
