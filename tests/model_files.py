"""Small models, their files, and signing what was changed in one as anyone can."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from rnnforecast.artifact import MODEL_FILE, Artifact, pack_artifact
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.files import write_files
from rnnforecast.data.panel import Panel
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.runtime import seed_everything
from tests.short_training import short_training

KEY = "rnnforecast"
TRAINING = short_training()

Header = dict[str, Any]
Tensors = dict[str, Tensor]


def make_artifact(lookback: int = 6, **changed: Any) -> Artifact:
    """A calibrated network with random weights, and two ragged series, one with a gap."""
    model = ModelSpec(**{"model": "gru", "hidden_size": 4, "segment_length": 2, **changed})
    config = RunConfig(
        data=DataConfig(id_column="shop", time_column="day", target_columns=("sold",)),
        windows=WindowSpec(lookback=lookback, horizon=3, seasons=(2, 4)),
        model=model,
        training=TRAINING,
    )
    seed_everything(3)
    network = Ensemble(config.model, config.windows)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights) / 8)
    panel = Panel(
        ids=("007", 'Zürich, "Süd"\n'),
        values=np.array([3.0, 1.5, np.nan, 1 / 3, 12345.678, 2.0, 7.0]),
        offsets=np.array([0, 5, 7]),
        starts=np.array([0, 86_400_000_000]),
        frequency=Frequency(unit="microsecond", count=86_400_000_000, date_only=True),
    )
    record = {"best_epoch": 4, "metrics": [{"model": "gru", "mase": None, "mae": 0.1 + 0.2}]}
    factors = np.geomspace(0.1, 10, 3 * len(model.levels)).reshape(3, -1)
    forecaster = Forecaster(config, network, factors)
    return Artifact(forecaster=forecaster, panel=panel, record=record)


def save_artifact(artifact: Artifact, directory: Path) -> None:
    """Write the model file of a run directory."""
    write_files({directory / MODEL_FILE: pack_artifact(artifact)})


def unpacked(path: Path) -> tuple[Header, Tensors]:
    """The header without its digest, and copies of the tensors."""
    with safe_open(path, framework="pt") as file:
        header: Header = json.loads(file.metadata()[KEY])
        del header["sha256"]
        return header, {name: file.get_tensor(name).clone() for name in file.keys()}


def signed(text: str, tensors: Tensors) -> bytes:
    """A file with this JSON, an object, and the digest that it then must bear."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist()))
    return save(tensors, {KEY: f'{{"sha256": "{digest.hexdigest()}", {text[1:]}'})


def packed(header: Header, tensors: Tensors) -> bytes:
    """A file of this header and these tensors, signed."""
    return signed(json.dumps(header, sort_keys=True, ensure_ascii=False), tensors)
