"""The model file: weights and the last lookback of every series, the rest as JSON in its header.

`model.safetensors` holds all that a forecast needs and nothing that can run. It bears a digest
against damage; against malice, everything is checked before it is used, and before it is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from rnnforecast import __version__
from rnnforecast.arrays import FloatArray
from rnnforecast.config import RunConfig
from rnnforecast.container import Container, Shape, opened, pack
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.errors import ArtifactError, ConfigError
from rnnforecast.forecaster import Forecaster
from rnnforecast.limits import (
    built,
    check_clock,
    check_panel,
    check_record,
    check_times,
    check_work,
    run_config,
)
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.registry import find_model
from rnnforecast.stored_panel import panel_shapes, panel_tensors, stored_panel

MODEL_FILE = "model.safetensors"
SCHEMA_VERSION = 13
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
NETWORK, FACTORS = "network.", "intervals.factors"
SCORED_NETWORK, SCORED_FACTORS = "scored.network.", "scored.factors"
DTYPES = {torch.float32: "F32", torch.float64: "F64"}
PARTS = {"schema_version", "versions", "config", "scored", "frequency", "ids", "record"}
# Where the scored network is: beside the other, the other itself, or not kept.
APART, SAME, NONE = "apart", "same", "none"
PROGRAMS = {"rnnforecast", "torch"}
LONGEST_REASON = 200


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model as it is stored.

    Attributes:
        forecaster: The network and its configuration.
        panel: The last lookback of every series it was trained on.
        record: What else is known of the run: data hash, metrics, chosen epoch.
        scored: The network as it was scored, before any fit to the values that it was scored on;
            None where it is of no use to the one that is kept: it worked on logarithms and that one
            does not, or by another season.
        versions: Of the programs that wrote it.
    """

    forecaster: Forecaster
    panel: Panel
    record: dict[str, Any]
    scored: Forecaster | None = None
    versions: dict[str, str] = field(
        default_factory=lambda: {"rnnforecast": __version__, "torch": torch.__version__}
    )


def pack_artifact(artifact: Artifact) -> bytes:
    """The content of a model file.

    Raises:
        ConfigError: It would be refused: its times or the work of a forecast know no bounds.
    """
    panel, config = artifact.panel, artifact.forecaster.config
    kept, scored = artifact.forecaster, artifact.scored
    where = NONE if scored is None else SAME if scored.network is kept.network else APART
    header = {
        "schema_version": SCHEMA_VERSION,
        "versions": artifact.versions,
        "config": asdict(config),
        "scored": where,
        "frequency": asdict(panel.frequency),
        "ids": panel.ids,
        "record": artifact.record,
    }
    tensors = _weights(NETWORK, kept.network)
    if scored is not None and where == APART:
        tensors |= _weights(SCORED_NETWORK, scored.network)
    for name, factors in ((FACTORS, kept.factors), (SCORED_FACTORS, scored and scored.factors)):
        if factors is not None:
            tensors[name] = torch.from_numpy(factors)
    content = pack(header, tensors | panel_tensors(panel))
    check_times(panel, config.windows.horizon)
    check_work(config, panel)
    return content


def load_artifact(
    directory: Path, device: torch.device, passed: Callable[[str], None] = lambda stage: None
) -> Artifact:
    """Read what `pack_artifact` has packed, from the model file of a run directory.

    Args:
        directory: Where the file is.
        device: Where the network goes.
        passed: Called with each of "file", "schema", "digest" and "content" that is as it must be.

    Raises:
        ArtifactError: The file is missing, damaged, or of a schema this version does not know.
    """
    path = directory / MODEL_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such model; run 'rnnforecast train' with --out first")
    try:
        before = path.stat()
        with opened(path) as stored:
            passed("file")
            _check_schema(stored.header, path)
            passed("schema")
            stored.check_digest()
            passed("digest")
            artifact = _unpacked(stored)
            passed("content")
    except UNREADABLE as error:
        if path.is_file() and path.stat().st_ino != before.st_ino:
            return load_artifact(directory, device, passed)  # a run has replaced it meanwhile
        raise _damaged(path, error) from None
    artifact.forecaster.network.to(device)
    if artifact.scored is not None:
        artifact.scored.network.to(device)
    return artifact


def _check_schema(header: dict[str, Any], path: Path) -> None:
    """Raise ArtifactError where another version wrote the file in another way."""
    schema, version = header["schema_version"], header["versions"]["rnnforecast"]
    if type(schema) is not int or not isinstance(version, str):
        raise ValueError("its schema is no number")
    if schema != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema {schema} was written by rnnforecast {_plain(version)}, "
            f"this is {__version__}; train again"
        )


def _unpacked(stored: Container) -> Artifact:
    """What the file holds; each part is checked before it is copied.

    Raises:
        ValueError, ConfigError: A part is not what it must be, or does not fit the others.
    """
    header, shapes = stored.header, stored.shapes
    versions = header["versions"]
    if set(header) != PARTS or set(versions) != PROGRAMS:
        raise ValueError("its header has other parts")
    if not all(isinstance(version, str) for version in versions.values()):
        raise ValueError("a version is no text")
    check_record(header["record"])
    config = run_config(header["config"])
    frequency = built(Frequency, header["frequency"])
    check_clock(config, frequency)
    ids = header["ids"]
    if not isinstance(ids, list):
        raise ValueError("the ids are no list")
    where = header["scored"]
    if where not in (APART, SAME, NONE):
        raise ValueError("where the scored network is is not known")
    prefixes = [NETWORK, SCORED_NETWORK] if where == APART else [NETWORK]
    networks = [_unfilled(config, len(shapes)) for _ in prefixes]
    expected = {
        f"{prefix}{name}": Shape(DTYPES[weight.dtype], tuple(weight.shape))
        for prefix in prefixes
        for name, weight in networks[0].state_dict().items()
    } | _expected(config, len(ids), shapes, FACTORS if where == NONE else SCORED_FACTORS)
    for name in sorted(set(expected) | set(shapes)):
        if expected.get(name) != shapes.get(name):
            raise ValueError(f"the tensor {name} is not that of the configuration")
    panel = stored_panel(stored, ids, frequency, config)
    check_panel(panel, config.windows.lookback)
    check_times(panel, config.windows.horizon)
    check_work(config, panel)
    for prefix, network in zip(prefixes, networks, strict=True):
        _fill(network, stored, prefix)
    return Artifact(
        forecaster=Forecaster(config, networks[0], _factors(stored, FACTORS)),
        panel=panel,
        record=header["record"],
        scored=None
        if where == NONE
        else Forecaster(config, networks[-1], _factors(stored, SCORED_FACTORS)),
        versions=versions,
    )


def _expected(
    config: RunConfig, series: int, shapes: Mapping[str, Shape], last_factors: str
) -> dict[str, Shape]:
    """What the tensors beside the weights must be; those of factors need not be there."""
    expected = panel_shapes(config, series, shapes)
    for name in (FACTORS, last_factors):
        if name in shapes:
            expected[name] = Shape("F64", (config.windows.horizon, len(config.model.levels)))
    return expected


def _weights(prefix: str, network: Ensemble) -> dict[str, Tensor]:
    """The weights of a network under names of their own."""
    return {
        f"{prefix}{name}": weights.detach().cpu().contiguous()
        for name, weights in network.state_dict().items()
    }


def _unfilled(config: RunConfig, tensors: int) -> Ensemble:
    """The network without any memory for its weights."""
    layers = config.model.num_layers if find_model(config.model.model).cell else 1
    layers *= max(1, len(config.model.lookbacks))
    if layers > tensors:
        raise ValueError(f"{layers} layers in {tensors} tensors")
    with torch.device("meta"):
        return Ensemble(config.model, config.windows)


def _fill(network: Ensemble, stored: Container, prefix: str) -> None:
    """Give a network the weights of this prefix.

    Raises:
        ValueError: One is not finite, or what shrinks forecasts is not possible.
    """
    filled = {name: _finite(stored, f"{prefix}{name}") for name in network.state_dict()}
    if not 0 <= filled["shrinkage"] <= 1:
        raise ValueError(f"the shrinkage is no share: {float(filled['shrinkage']):g}")
    if not (filled["spread"].diff(dim=1) >= 0).all():
        raise ValueError("quantiles of the start are not in order")
    network.load_state_dict(filled, assign=True)


def _finite(stored: Container, name: str) -> Tensor:
    weights = stored.tensor(name)
    if not weights.isfinite().all():
        raise ValueError(f"a weight of {name} is not finite")
    return weights


def _factors(stored: Container, name: str) -> FloatArray | None:
    """The factors of intervals, where there are any.

    Raises:
        ValueError: One is no size.
    """
    if name not in stored.shapes:
        return None
    factors: FloatArray = stored.tensor(name).numpy()
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError("a factor of the intervals is no size")
    return factors


def _damaged(path: Path, error: Exception) -> ArtifactError:
    reason = _plain(str(error) or type(error).__name__)
    return ArtifactError(
        f"{path}: damaged, or no model this version can read ({reason}); train again"
    )


def _plain(text: str) -> str:
    """The first line of what may come from the file, harmless on a terminal."""
    line = text.strip().splitlines()[0][:LONGEST_REASON] if text.strip() else "?"
    return "".join(letter if letter.isprintable() else "?" for letter in line)
