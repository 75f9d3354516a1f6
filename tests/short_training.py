"""Training in a few batches, without clipping, for tests that need it short and exact."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings, TrainConfig
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.train import TrainRequest, train


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


def trained_on(table: pd.DataFrame, place: Path, **asked: Any) -> Artifact:
    """The model in `place`/model after a short training a week ahead on `place`/days.csv."""
    table.to_csv(place / "days.csv", index=False)
    short = {"horizon": 7, "preset": "fast", "hidden_size": 4, "epochs": 2}
    request = TrainRequest(
        path=str(place / "days.csv"),
        directory=place / "model",
        data=DataConfig(),
        settings=Settings(**short | asked),
    )
    train(request, Mute())
    return load_artifact(place / "model", torch.device("cpu"))
