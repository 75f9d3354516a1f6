"""The model file: weights and the last lookback of every series, the rest as JSON in its header.

`model.safetensors` holds all that a forecast needs and nothing that can run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rnnforecast import __version__
from rnnforecast.arrays import FloatArray
from rnnforecast.config import DataConfig, ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.data.calendar import Frequency, Unit
from rnnforecast.data.panel import Panel
from rnnforecast.errors import ArtifactError, ConfigError
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.network import ForecastNetwork

MODEL_FILE = "model.safetensors"
SCHEMA_VERSION = 3
KEY = "rnnforecast"
UNREADABLE = (
    SafetensorError,
    ConfigError,
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
    TypeError,
    AttributeError,
    RuntimeError,
)
NETWORK, LOOKBACK, FACTORS = "network.", "lookback.", "intervals.factors"


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


def pack_artifact(artifact: Artifact) -> bytes:
    """The content of a model file."""
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
    if artifact.forecaster.factors is not None:
        tensors[FACTORS] = torch.from_numpy(artifact.forecaster.factors)
    for name in ("values", "offsets", "starts"):
        tensors[f"{LOOKBACK}{name}"] = torch.from_numpy(getattr(panel, name))
    content: bytes = save(tensors, {KEY: json.dumps(header, sort_keys=True, ensure_ascii=False)})
    return content


def load_artifact(directory: Path, device: torch.device) -> Artifact:
    """Read what `pack_artifact` has packed, from the model file of a run directory.

    Raises:
        ArtifactError: The file is missing, damaged, or of a schema this version does not know.
    """
    path = directory / MODEL_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such model; run 'rnnforecast train' with --out first")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            # Copies lie on aligned addresses, where sums come out as they did in training.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        if header["schema_version"] != SCHEMA_VERSION:
            raise ArtifactError(
                f"{path}: schema {header['schema_version']} was written by rnnforecast "
                f"{header['versions']['rnnforecast']}, this is {__version__}; train again"
            )
        config = _config(header["config"])
        with torch.device("meta"):
            network = ForecastNetwork(config.model, config.windows)
        network.load_state_dict(_under(NETWORK, tensors), assign=True)
        panel, record = _panel(header, tensors), header["record"]
        factors = _factors(config, tensors)
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    forecaster = Forecaster(config, network.to(device), factors)
    return Artifact(forecaster=forecaster, panel=panel, record=record)


def _panel(header: dict[str, Any], tensors: dict[str, Tensor]) -> Panel:
    """The stored panel.

    Raises:
        ValueError: Its parts do not fit together.
    """
    ids, frequency = header["ids"], Frequency(**header["frequency"])
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise ValueError("ids are not a list of text")
    if frequency.unit not in get_args(Unit) or frequency.count < 1:
        raise ValueError("unknown frequency")
    arrays = {name: value.numpy() for name, value in _under(LOOKBACK, tensors).items()}
    panel = Panel(ids=tuple(ids), frequency=frequency, **arrays)
    kinds = [array.dtype.name for array in (panel.values, panel.offsets, panel.starts)]
    shapes = (panel.offsets.shape, panel.starts.shape, panel.values.shape)
    expected = ((len(ids) + 1,), (len(ids),), (int(panel.offsets[-1]),))
    if kinds != ["float64", "int64", "int64"] or shapes != expected:
        raise ValueError("ids and values do not fit together")
    if not ids or panel.offsets[0] != 0 or panel.lengths.min() < 1:
        raise ValueError("a series has no values")
    return panel


def _factors(config: RunConfig, tensors: dict[str, Tensor]) -> FloatArray | None:
    """The factors of the intervals, if any.

    Raises:
        ValueError: They do not fit the configuration.
    """
    if FACTORS not in tensors:
        return None
    factors: FloatArray = tensors[FACTORS].numpy()
    expected = (config.windows.horizon, len(config.model.levels))
    if factors.shape != expected or factors.dtype != np.float64:
        raise ValueError("the factors of the intervals do not fit the model")
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError("a factor of the intervals is no size")
    return factors


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
