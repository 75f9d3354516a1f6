"""The training loop: `fit` runs epochs, an epoch runs steps, a step follows the gradient once."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.runtime import together
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.state import (
    Descent,
    EpochRecord,
    EpochSums,
    Loss,
    StepResult,
    StopReason,
    Training,
    begin_training,
)


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How training went; the network holds the weights of `best_epoch`."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stop_reason: StopReason


class Progress(Protocol):
    """What `fit` calls after each epoch."""

    def __call__(self, record: EpochRecord, epochs: int) -> None: ...


class Watch:
    """Looks on at a training, and may set it back to where it was once; this one lets it be."""

    def begin(self, training: Training, config: TrainConfig) -> None:
        """Called before the first step."""

    def before_step(self, training: Training) -> bool:
        """Whether the step about to be taken shall be the last, as time has run out."""
        return False

    def end(self, training: Training) -> None:
        """Called when the network has the weights of the best epoch."""


UNWATCHED = Watch()


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
    watch: Watch = UNWATCHED,
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
        watch: Looks on; where it ends an epoch before its time, this counts as one nevertheless.

    Raises:
        TrainingError: A loss, the validation loss or a gradient is not finite.
    """
    batches = ShuffledBatches(windows, config.batch_size, generator)
    training = begin_training(network, config, loss, batches)
    watch.begin(training, config)
    epochs = config.epochs if stop_after is None else stop_after
    while training.stop_reason is None:
        network.train()
        record, out_of_time = run_epoch(training, config, watch)
        network.eval()
        held_out = validate() if validate else None
        seconds = time.perf_counter() - training.began
        training.history.append(replace(record, validation_loss=held_out, seconds=seconds))
        if on_epoch:
            on_epoch(training.history[-1], epochs)
        if held_out is None:
            training.best_epoch = record.epoch
        elif not math.isfinite(held_out):
            where = f"epoch {record.epoch}: validation loss {held_out:.4g}"
            raise _diverged(where, record.learning_rate, config)
        elif held_out < training.best_loss:
            training.best_epoch, training.best_loss = record.epoch, held_out
            training.best_weights = copy.deepcopy(network.state_dict())
        training.stop_reason = _reason_to_stop(training, config, epochs, out_of_time)
        training.schedule.after_epoch(record.train_loss if held_out is None else held_out)
        training.sums = EpochSums()
    if training.best_weights is not None:
        network.load_state_dict(training.best_weights)
    watch.end(training)
    return FitResult(
        history=tuple(training.history),
        best_epoch=training.best_epoch,
        stop_reason=training.stop_reason,
    )


def _reason_to_stop(
    training: Training, config: TrainConfig, epochs: int, out_of_time: bool
) -> StopReason | None:
    """Why an epoch was the last, even if it was cut short; None where it was not."""
    done, whole = len(training.history), training.sums.steps == config.batches_per_epoch
    if whole and done >= epochs:
        return "epochs"
    if done - training.best_epoch >= config.patience:
        return "patience"
    return "time limit" if out_of_time else None


def run_epoch(training: Training, config: TrainConfig, watch: Watch) -> tuple[EpochRecord, bool]:
    """Take the epoch's steps, or those that are left of it; nothing is validated or timed here.

    Returns:
        The record of the epoch, and whether the watch has ended it.
    """
    descent, sums, epoch = training.descent, training.sums, len(training.history) + 1
    planned = config.epochs * config.batches_per_epoch
    taken = (epoch - 1) * config.batches_per_epoch
    rate, before, out_of_time = 0.0, [], False
    while sums.steps < config.batches_per_epoch and not out_of_time:
        out_of_time = watch.before_step(training)
        rate = descent.optimizer.rate
        if out_of_time or sums.steps == config.batches_per_epoch - 1:
            before = [weights.detach().clone() for weights in descent.network.parameters()]
        batch = next(training.batches)
        step = train_step(descent, batch, (taken + sums.steps) / planned)
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            what = f"loss {step.loss:.4g}, gradient norm {step.gradient_norm:.4g}"
            raise _diverged(f"epoch {epoch}, batch {sums.steps + 1}: {what}", rate, config)
        training.schedule.after_step()
        sums.add(step, len(batch))
    record = EpochRecord(
        epoch=epoch,
        train_loss=sums.losses / sums.windows,
        gradient_norm=sums.gradient_norms / sums.steps,
        clip_rate=sums.clipped / sums.steps,
        update_ratio=_update_ratio(before, descent.network),
        learning_rate=rate,
    )
    return record, out_of_time


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
    """Forward, backward, clip, step; the gradient's norm is the one before clipping.

    Losses may come with gradients that are found already, which `backward` then hands out.
    """
    descent.optimizer.zero_grad()
    losses = descent.loss(batch, progress)
    together(Tensor.backward, [loss / len(losses) for loss in losses])
    norm, clipped = descent.clipper.clip(descent.network)
    value = fmean(loss.item() for loss in losses)
    result = StepResult(loss=value, gradient_norm=norm, clipped=clipped)
    if math.isfinite(norm):
        descent.optimizer.step()
    return result
