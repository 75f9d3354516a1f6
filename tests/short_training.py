"""Training in a few batches, without clipping, for tests that need it short and exact."""

from __future__ import annotations

import math
from typing import Any

from rnnforecast.config import TrainConfig


def short_training(**changes: Any) -> TrainConfig:
    """One batch of 8 windows, unless `changes` say otherwise; it never stops early."""
    usual: dict[str, Any] = {
        "epochs": 1,
        "batches_per_epoch": 1,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "clip_norm": math.inf,
        "clip_value": math.inf,
        "patience": changes.get("epochs", 1),
        "seed": 0,
    }
    return TrainConfig(**{**usual, **changes})
