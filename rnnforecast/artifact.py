"""The model file: weights and the last lookback of every series, the rest as JSON in its header.

`model.safetensors` holds all that a forecast needs and nothing that can run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rnnforecast import __version__
from rnnforecast.config import DataConfig, ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.writing import atomic_write
from rnnforecast.errors import ArtifactError, ConfigError
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.network import ForecastNetwork

MODEL_FILE = "model.safetensors"
SCHEMA_VERSION = 1
KEY = "rnnforecast"
UNREADABLE = (
    SafetensorError,
    ConfigError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)
NETWORK, LOOKBACK = "network.", "lookback."


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model as it is stored.

    Attributes:
        forecaster: The network and its configuration.
        panel: The last lookback of every series it was trained on.
        record: What else is known of the run: data hash, metrics, chosen epoch.
    """

    forecaster: Forecaster
    panel: Panel
    record: dict[str, Any]


def save_artifact(artifact: Artifact, directory: Path) -> None:
    """Write `directory/model.safetensors`, atomically."""
    panel = artifact.panel
    header = {
        "schema_version": SCHEMA_VERSION,
        "versions": {"rnnforecast": __version__, "torch": torch.__version__},
        "config": asdict(artifact.forecaster.config),
        "frequency": asdict(panel.frequency),
        "ids": panel.ids,
        "record": artifact.record,
    }
    tensors = {
        f"{NETWORK}{name}": weights.detach().cpu().contiguous()
        for name, weights in artifact.forecaster.network.state_dict().items()
    }
    for name in ("values", "offsets", "starts"):
        tensors[f"{LOOKBACK}{name}"] = torch.from_numpy(getattr(panel, name))
    content = save(tensors, {KEY: json.dumps(header, sort_keys=True, ensure_ascii=False)})
    with atomic_write(directory / MODEL_FILE) as file:
        file.write(content)


def load_artifact(directory: Path, device: torch.device) -> Artifact:
    """Read what `save_artifact` has written.

    Raises:
        ArtifactError: The file is missing, damaged, or of a schema this version does not know.
    """
    path = directory / MODEL_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such model; run 'rnnforecast train' with --out first")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if header["schema_version"] != SCHEMA_VERSION:
            raise ArtifactError(
                f"{path}: schema {header['schema_version']} was written by rnnforecast "
                f"{header['versions']['rnnforecast']}, this is {__version__}; train again"
            )
        config = _config(header["config"])
        network = ForecastNetwork(config.model, config.windows)
        network.load_state_dict(_under(NETWORK, tensors))
        panel = Panel(
            ids=tuple(header["ids"]),
            frequency=Frequency(**header["frequency"]),
            **{name: np.asarray(value) for name, value in _under(LOOKBACK, tensors).items()},
        )
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    return Artifact(
        forecaster=Forecaster(config, network.to(device)), panel=panel, record=header["record"]
    )


def _config(fields: dict[str, Any]) -> RunConfig:
    """A configuration from JSON, where tuples are lists."""

    def part(name: str) -> dict[str, Any]:
        items = fields[name].items()
        return {key: tuple(value) if isinstance(value, list) else value for key, value in items}

    return RunConfig(
        data=DataConfig(**part("data")),
        windows=WindowSpec(**part("windows")),
        model=ModelSpec(**part("model")),
        training=TrainConfig(**part("training")),
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ArtifactError(f"{path}: not a model this version can read ({reason}); train again")
