"""What tells one run from another, so that none goes on from the checkpoint of a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rnnforecast import __version__
from rnnforecast.config import RunConfig
from rnnforecast.workflows.machine import kernels_of

PARTS = ("data", "windows", "model", "training")
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All that the weights of a run depend on, by name; a run that differs cannot go on from it.

    Attributes:
        given: What a run that is started again finds: newer data, another version. Then the
            checkpoint is of no use.
        asked: What its user decides. Then the flags may be wrong.
    """

    given: dict[str, Any]
    asked: dict[str, Any]


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing in which that part of one identity differs from that of another."""
    for name in {**now, **before}:
        if before.get(name) != now.get(name):
            return f"{name} was {before.get(name)}, is {now.get(name)}"
    return None


def identity_of(
    command: str,
    sha256: str,
    config: RunConfig,
    device: torch.device,
    *,
    find_lr: bool = False,
    start: Mapping[str, Any] = NOTHING,
) -> Identity:
    """That of a run.

    Args:
        command: "train" or "update".
        sha256: Of the data.
        config: Before any search for a learning rate.
        device: Where the network is fitted.
        find_lr: Whether a learning rate is searched.
        start: What else the run finds, such as the weights that it starts from.
    """
    return Identity(
        given={
            "command": command,
            "version of rnnforecast": __version__,
            "version of torch": torch.__version__,
            "sha256 of the data": sha256,
            "device": device.type,
            "number of threads": torch.get_num_threads(),
            "compiled kernels": kernels_of(config, device),
            **start,
        },
        asked={
            "find_lr": find_lr,
            # Before what follows from them.
            "model": config.model.model,
            "horizon": config.windows.horizon,
            **{name: value for part in PARTS for name, value in asdict(config)[part].items()},
            "encodings": [asdict(encoding) for encoding in config.encodings],
        },
    )
