"""A training as tensors and JSON, from which another one goes on: on a CPU, to the same bits."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from rnnforecast.config import TrainConfig
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.optimizers import build_optimizer
from rnnforecast.training.state import EpochRecord, EpochSums, StopReason, Training

NETWORK, BEST, OPTIMIZER = "network.", "best.", "optimizer."
GENERATOR, ORDER, NORMS = "generator", "order", "norms"


@dataclass(frozen=True, kw_only=True)
class Course:
    """What of a training can be written as JSON.

    Attributes:
        stop_reason: As of `Training`, like the next two, and sums.
        best_epoch: See there.
        history: See there.
        seconds: Since it began.
        learning_rate: Of the step to come.
        schedule: All else of it that changes.
        taken: Batches taken of the present order.
        sums: Of the epoch that runs.
    """

    stop_reason: StopReason | None
    best_epoch: int
    history: list[EpochRecord]
    seconds: float
    learning_rate: float
    schedule: dict[str, float]
    taken: int
    sums: EpochSums

    @classmethod
    def read(cls, values: Any) -> Course:
        """What JSON says; raises ValueError where a value is missing or of another kind."""
        course: Course = _cast(cls, values)
        return course


class Packed(NamedTuple):
    """A training at rest: what of it are tensors, by name, and the rest."""

    tensors: dict[str, Tensor]
    course: Course


def pack_training(training: Training) -> Packed:
    """All that a training of the same configuration and windows needs to go on from here.

    Of one that is over, only the tensors that it has come to. Torch's global generator is stored as
    well, but for that of a GPU. The tensors may be those of the training: write them before it goes
    on.
    """
    optimizer = training.descent.optimizer
    course = Course(
        stop_reason=training.stop_reason,
        best_epoch=training.best_epoch,
        history=list(training.history),
        seconds=time.perf_counter() - training.began,
        learning_rate=optimizer.rate,
        schedule=training.schedule.state(),
        taken=training.batches.taken,
        sums=training.sums,
    )
    tensors = _named(NETWORK, training.descent.network.state_dict())
    tensors[GENERATOR] = torch.get_rng_state()
    if training.stop_reason is None:
        for place, state in optimizer.state.items():
            tensors |= _named(f"{OPTIMIZER}{place}.", state)
        tensors |= _named(BEST, training.best_weights or {})
        tensors[ORDER] = training.batches.drawn_from
        tensors[NORMS] = torch.tensor(training.descent.clipper.norms, dtype=torch.float64)
    return Packed(tensors, course)


def restore_training(training: Training, config: TrainConfig, packed: Packed) -> None:
    """Set a training that has taken no step to where the packed one was, or leave it as it is.

    Raises:
        LookupError, TypeError, ValueError, RuntimeError: It was not one of this kind.
    """
    tensors, course = packed
    _check(course, training, config)
    network = training.descent.network
    weights = _fitting(network.state_dict(), _under(NETWORK, tensors))
    drawn = _generator(tensors[GENERATOR]).get_state()
    if course.stop_reason is None:
        _restore_descent(training, config, packed)
    else:
        network.eval()  # as an epoch would leave it
    # All has been checked: from here on nothing fails.
    network.load_state_dict(weights)
    torch.set_rng_state(drawn)
    training.stop_reason, training.best_epoch = course.stop_reason, course.best_epoch
    training.history = list(course.history)
    training.began = time.perf_counter() - course.seconds


def _restore_descent(training: Training, config: TrainConfig, packed: Packed) -> None:
    """The same for what changes only while a training goes on; all is checked before any is set."""
    tensors, course = packed
    descent, there = training.descent, training.batches
    best, best_loss = _under(BEST, tensors), _best_loss(course)
    if bool(best) != (best_loss is not None):
        raise ValueError("the best weights are not those of its history")
    best = _fitting(descent.network.state_dict(), best) if best else best
    state = _optimizer_state(training, config, _under(OPTIMIZER, tensors))
    norms = tensors[NORMS]
    if norms.dtype != torch.float64 or norms.dim() != 1 or not norms.isfinite().all():
        raise ValueError("the norms are none")
    generator = _generator(tensors[ORDER])
    batches = ShuffledBatches(there.windows, config.batch_size, generator, there.device)
    batches.restore(tensors[ORDER], course.taken)
    descent.optimizer.state, descent.optimizer.rate = state, course.learning_rate
    descent.clipper.norms = norms.tolist()
    training.schedule.restore(course.schedule)
    training.batches, training.sums = batches, course.sums
    if best_loss is not None:
        training.best_weights, training.best_loss = best, best_loss


def _check(course: Course, training: Training, config: TrainConfig) -> None:
    """Raise ValueError where it is not that of a training of this configuration."""
    epochs, over, sums = len(course.history), course.stop_reason is not None, course.sums
    sound = (
        [record.epoch for record in course.history] == list(range(1, epochs + 1))
        and over <= epochs < config.epochs + over
        and min(1, epochs) <= course.best_epoch <= epochs
        and 0 <= sums.clipped <= sums.steps < config.batches_per_epoch
        and sums.steps <= sums.windows <= sums.steps * config.batch_size
        and all(map(math.isfinite, (sums.losses, sums.gradient_norms, course.seconds)))
        and 0 <= course.learning_rate < math.inf
    )
    if not sound:
        raise ValueError("its numbers are not those of such a training")
    schedules = (course.schedule, training.schedule.state())
    kinds = [{name: type(value) for name, value in each.items()} for each in schedules]
    step = epochs * config.batches_per_epoch + sums.steps
    if kinds[0] != kinds[1] or not (over or course.schedule.get("step", step) == step):
        raise ValueError("it is of another schedule")


def _best_loss(course: Course) -> float | None:
    """That of the best epoch; None before any, and without validation."""
    return course.history[course.best_epoch - 1].validation_loss if course.best_epoch else None


def _optimizer_state(
    training: Training, config: TrainConfig, tensors: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """What the optimizer knew of each weight, held against what one knows after a step."""
    network = copy.deepcopy(training.descent.network)
    for weights in network.parameters():
        weights.grad = torch.zeros_like(weights)
    trial = build_optimizer(network, config)
    trial.step()
    stored = {
        place: (state, known)
        for place, state in trial.state.items()
        if (known := _under(f"{place}.", tensors))
    }
    if sum(len(known) for _, known in stored.values()) != len(tensors):
        raise ValueError("it is of another optimizer")
    return {place: _fitting(state, known) for place, (state, known) in stored.items()}


def _generator(state: Tensor) -> torch.Generator:
    """A generator in this state; RuntimeError or TypeError where it is none."""
    return torch.Generator().set_state(state)


def _fitting(weights: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is stored of these weights, where they are.

    Raises:
        ValueError: A name, shape or dtype is another one, or a value is not finite.
    """
    kinds = [{n: (t.shape, t.dtype) for n, t in each.items()} for each in (weights, stored)]
    if kinds[0] != kinds[1]:
        raise ValueError("it is of another network")
    if not all(tensor.isfinite().all() for tensor in stored.values()):
        raise ValueError("a weight is not finite")
    return {name: stored[name].to(tensor.device) for name, tensor in weights.items()}


def _named(prefix: str, tensors: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {
        f"{prefix}{name}": tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if tensor is not None
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _cast(kind: Any, value: Any) -> Any:
    """A value from JSON as one of this kind; ValueError where it is of another."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else _cast(options[0], value)
    if origin is Literal and value in options:
        return value
    if origin is list and isinstance(value, list):
        return [_cast(options[0], item) for item in value]
    if origin is dict and isinstance(value, dict):
        return {name: _cast(options[1], item) for name, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        if set(value) != set(hints):
            raise ValueError(f"{kind.__name__} has other fields than {', '.join(hints)}")
        return kind(**{name: _cast(hint, value[name]) for name, hint in hints.items()})
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ValueError("a value is of another kind")
