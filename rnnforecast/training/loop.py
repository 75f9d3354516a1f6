"""The training loop: `fit` runs epochs, an epoch runs steps, a step follows the gradient once."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.runtime import tensor_cores, together
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

# Steps that a GPU is given before it is asked what came of them, as to ask is to wait for it; and
# the seconds that they are not to take together, so that signals and time limits are heeded.
STEPS_AHEAD, LONGEST_AHEAD = {"cuda": 16, "mps": 16}, 0.5


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
        """Whether the step about to be taken shall be the last, as time has run out.

        On a GPU this is asked before some steps at once.
        """
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
        on_epoch: Called with each epoch's record.
        watch: Looks on; where it ends an epoch before its time, this counts as one nevertheless.

    Raises:
        TrainingError: A loss, the validation loss or a gradient is not finite.
    """
    device = next(network.parameters()).device
    batches = ShuffledBatches(windows, config.batch_size, generator, device)
    training = begin_training(network, config, loss, batches)
    watch.begin(training, config)
    while training.stop_reason is None:
        network.train()
        with tensor_cores(device):
            record, out_of_time = run_epoch(training, config, watch)
        network.eval()
        held_out = validate() if validate else None
        seconds = time.perf_counter() - training.began
        training.history.append(replace(record, validation_loss=held_out, seconds=seconds))
        if on_epoch:
            on_epoch(training.history[-1], config.epochs)
        if held_out is None:
            training.best_epoch = record.epoch
        elif not math.isfinite(held_out):
            where = f"epoch {record.epoch}: validation loss {held_out:.4g}"
            raise _diverged(where, record.learning_rate, config)
        elif held_out < training.best_loss:
            training.best_epoch, training.best_loss = record.epoch, held_out
            training.best_weights = copy.deepcopy(network.state_dict())
        training.stop_reason = _reason_to_stop(training, config, out_of_time)
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
    training: Training, config: TrainConfig, out_of_time: bool
) -> StopReason | None:
    """Why an epoch was the last, even if it was cut short; None where it was not."""
    done, whole = len(training.history), training.sums.steps == config.batches_per_epoch
    if whole and done >= config.epochs:
        return "epochs"
    if done - training.best_epoch >= config.patience:
        return "patience"
    return "time limit" if out_of_time else None


def run_epoch(training: Training, config: TrainConfig, watch: Watch) -> tuple[EpochRecord, bool]:
    """Take the epoch's steps, or those that are left of it; nothing is validated or timed here.

    Returns:
        The record of the epoch, and whether the watch has ended it.
    """
    descent, sums, out_of_time = training.descent, training.sums, False
    ahead = STEPS_AHEAD.get(next(descent.network.parameters()).device.type, 1)
    rate, before = 0.0, []
    while sums.steps < config.batches_per_epoch and not out_of_time:
        out_of_time = watch.before_step(training)
        others = 0 if out_of_time else config.batches_per_epoch - sums.steps - 1
        if not others:
            rate = descent.optimizer.rate
            before = [weights.detach().clone() for weights in descent.network.parameters()]
        began = time.perf_counter()
        take_steps(training, config, max(1, min(others, ahead)))
        if time.perf_counter() - began > LONGEST_AHEAD:
            ahead = max(1, ahead // 2)
    record = EpochRecord(
        epoch=len(training.history) + 1,
        train_loss=sums.losses / sums.windows,
        gradient_norm=sums.gradient_norms / sums.steps,
        clip_rate=sums.clipped / sums.steps,
        update_ratio=_update_ratio(before, descent.network),
        learning_rate=rate,
    )
    return record, out_of_time


def take_steps(training: Training, config: TrainConfig, count: int) -> None:
    """Take some steps of an epoch, and then look what came of them.

    Raises:
        TrainingError: A loss or a gradient is not finite.
    """
    descent, sums, done = training.descent, training.sums, len(training.history)
    taken, planned = (epochs * config.batches_per_epoch for epochs in (done, config.epochs))
    steps = []
    for step in range(taken + sums.steps, taken + sums.steps + count):
        rate, batch = descent.optimizer.rate, next(training.batches)
        steps.append((train_step(descent, batch, step / planned), len(batch), rate))
        training.schedule.after_step()
    found = torch.stack([torch.stack(result) for result, _, _ in steps]).tolist()
    for (loss, norm, clipped), (_, windows, rate) in zip(found, steps, strict=True):
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"loss {loss:.4g}, gradient norm {norm:.4g}"
            raise _diverged(f"epoch {done + 1}, batch {sums.steps + 1}: {what}", rate, config)
        sums.add(loss, norm, bool(clipped), windows)


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

    Losses may come with gradients that are found already, which `backward` then hands out. By a
    gradient that is not finite nothing is moved. A GPU is not waited for, but to clip by a
    percentile of norms and under truncation, which reads how long each row is.
    """
    descent.optimizer.zero_grad()
    losses = descent.loss(batch, progress)
    together(Tensor.backward, [loss / len(losses) for loss in losses])
    norm, clipped = descent.clipper.clip(descent.network)
    descent.optimizer.step(held=(~norm.isfinite()).float())
    loss = torch.stack([loss.detach() for loss in losses]).mean()
    return StepResult(loss=loss, gradient_norm=norm, clipped=clipped)
