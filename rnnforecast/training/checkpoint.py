"""A training as tensors and JSON, from which another one goes on: on a CPU, to the same bits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from rnnforecast.training.state import EpochRecord, EpochSums, StopReason, Training

NETWORK, BEST, OPTIMIZER = "network.", "best.", "optimizer."
GENERATOR, ORDER, NORMS = "generator", "order", "norms"


class Packed(NamedTuple):
    """A training at rest: what of it are tensors, by name, and what can be written as JSON."""

    tensors: dict[str, Tensor]
    fields: dict[str, Any]


def pack_training(training: Training) -> Packed:
    """All that a training of the same configuration and windows needs to go on from here.

    Of one that is over, only what it has come to. Torch's global generator is stored as well, but
    for that of a GPU. The tensors may be those of the training: write them before it goes on.
    """
    tensors = _named(NETWORK, training.descent.network.state_dict())
    tensors[GENERATOR] = torch.get_rng_state()
    fields: dict[str, Any] = {
        "stop_reason": training.stop_reason,
        "best_epoch": training.best_epoch,
        "history": [asdict(record) for record in training.history],
        "seconds": time.perf_counter() - training.began,
    }
    if training.stop_reason is not None:
        return Packed(tensors, fields)
    optimizer = training.descent.optimizer
    for place, state in optimizer.state_dict()["state"].items():
        tensors |= _named(f"{OPTIMIZER}{place}.", state)
    tensors |= _named(BEST, training.best_weights or {})
    tensors[ORDER] = training.batches.drawn_from
    tensors[NORMS] = torch.tensor(training.descent.clipper.norms, dtype=torch.float64)
    fields |= {
        "best_loss": training.best_loss,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "schedule": training.schedule.state(),
        "taken": training.batches.taken,
        "sums": asdict(training.sums),
    }
    return Packed(tensors, fields)


def restore_training(training: Training, packed: Packed) -> None:
    """Set a training that has taken no step to where the packed one was.

    Raises:
        LookupError, TypeError, ValueError, RuntimeError: It was not one of this kind.
    """
    tensors, fields = packed
    network = training.descent.network
    weights = network.state_dict()
    network.load_state_dict(_fitting(weights, _under(NETWORK, tensors)))
    torch.set_rng_state(tensors[GENERATOR])
    if fields["stop_reason"] not in (None, *get_args(StopReason)):
        raise ValueError(f"unknown reason to stop '{fields['stop_reason']}'")
    training.stop_reason = fields["stop_reason"]
    training.best_epoch = fields["best_epoch"]
    training.history = [EpochRecord(**record) for record in fields["history"]]
    training.began = time.perf_counter() - fields["seconds"]
    if training.stop_reason is not None:
        network.eval()  # as an epoch would leave it
        return
    best = _under(BEST, tensors)
    training.best_weights = _fitting(weights, best) if best else None
    training.best_loss = fields["best_loss"]
    _restore_optimizer(training.descent.optimizer, _under(OPTIMIZER, tensors))
    training.descent.optimizer.param_groups[0]["lr"] = float(fields["learning_rate"])
    training.descent.clipper.norms = tensors[NORMS].tolist()
    training.schedule.restore(fields["schedule"])
    training.batches.restore(tensors[ORDER], fields["taken"])
    training.sums = EpochSums(**fields["sums"])


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give each weight what the optimizer knew of it; a count of steps is a single number."""
    weights: list[nn.Parameter] = optimizer.param_groups[0]["params"]
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, value in tensors.items():
        place, name = full_name.split(".")
        if value.shape not in (torch.Size(), weights[int(place)].shape):
            raise ValueError(f"{OPTIMIZER}{full_name} has the shape {list(value.shape)}")
        state.setdefault(int(place), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _fitting(weights: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is stored of these weights, where they are.

    Raises:
        ValueError: A name, shape or dtype is another one.
    """
    kinds = [{n: (t.shape, t.dtype) for n, t in each.items()} for each in (weights, stored)]
    if kinds[0] != kinds[1]:
        raise ValueError("it is of another network")
    return {name: stored[name].to(tensor.device) for name, tensor in weights.items()}


def _named(prefix: str, tensors: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {
        f"{prefix}{name}": tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if tensor is not None
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
