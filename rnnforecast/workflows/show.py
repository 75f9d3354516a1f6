"""`rnnforecast show`: what a model is, from its file alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from rnnforecast.artifact import SCHEMA_VERSION, Artifact, load_artifact
from rnnforecast.columns import Role
from rnnforecast.config import Settings
from rnnforecast.data.panel import Panel
from rnnforecast.models.registry import find_model

SHOWN = 5
METRICS = ("mae", "smape", "mase", "skill")


def show(directory: Path) -> list[tuple[str, str | int | float | None]]:
    """The properties of the model in a directory, by name; None where one is not known.

    Raises:
        ArtifactError: There is no usable model.
    """
    artifact = load_artifact(directory, torch.device("cpu"))
    return [*_network(artifact), *_series(artifact), *_training(artifact)]


def _network(artifact: Artifact) -> list[tuple[str, Any]]:
    """What it is."""
    config, network = artifact.forecaster.config, artifact.forecaster.network
    windows, spec, entry = config.windows, config.model, find_model(config.model.model)
    recurrent = entry.cell is not None
    return [
        ("model", spec.model),
        ("summary", entry.summary),
        ("schema", SCHEMA_VERSION),
        ("rnnforecast", artifact.versions["rnnforecast"]),
        ("torch", artifact.versions["torch"]),
        ("horizon", windows.horizon),
        ("lookback", windows.lookback),
        ("seasons", "none" if windows.seasons == (1,) else _listed(windows.seasons)),
        ("yearly seasonality", f"in {config.yearly.count} series" if config.yearly else "none"),
        ("levels", _listed(f"{level:g}" for level in spec.levels)),
        ("log", _told(spec.log)),
        ("head", spec.head),
        ("hidden size", spec.hidden_size if recurrent else None),
        ("layers", spec.num_layers if recurrent else None),
        ("segment length", spec.segment_length if recurrent else None),
        ("shrinkage", round(float(network.shrinkage), 4)),
        ("parameters", sum(weights.numel() for weights in network.parameters())),
        ("calibrated", _told(artifact.forecaster.factors is not None)),
    ]


def _series(artifact: Artifact) -> list[tuple[str, Any]]:
    """What it was trained on."""
    panel, data = artifact.panel, artifact.forecaster.config.data
    source = artifact.record.get("data", {})
    return [
        ("series", len(panel)),
        ("ids", _first(panel.ids)),
        ("frequency", str(panel.frequency)),
        ("last time", _last_time(panel)),
        ("id column", data.id_column),
        ("time column", data.time_column),
        ("target columns", _first(data.target_columns)),
        *(
            (f"{role} columns", _listed(_columns(artifact, role)) or None)
            for role in get_args(Role)
        ),
        ("resampled", data.resample and f"{data.aggregate} of {data.resample}"),
        ("missing", data.missing),
        ("data", source.get("name")),
        ("data sha256", source.get("sha256")),
        ("values", source.get("values")),
    ]


def _training(artifact: Artifact) -> list[tuple[str, Any]]:
    """How it came to be, and how good it is."""
    record, training = artifact.record, artifact.forecaster.config.training
    name = artifact.forecaster.name
    rows: list[dict[str, Any]] = record.get("metrics", [])
    scores = next((row for row in rows if row.get("model") == name), {})
    asked = record.get("settings", {})
    given = (
        f"{field.name}={_plain(asked[field.name])}"
        for field in fields(Settings)
        if field.default is not MISSING and asked.get(field.name, field.default) != field.default
    )
    return [
        ("settings given", _listed(given) or "none"),
        ("seed", training.seed),
        ("epochs run", len(record["history"]) if "history" in record else None),
        ("best epoch", record.get("best_epoch")),
        ("stop reason", record.get("stop_reason")),
        ("updates", record.get("updates", 0)),
        *((measure, scores.get(measure)) for measure in METRICS),
    ]


def _columns(artifact: Artifact, role: str) -> list[str]:
    """The covariates of a role that the network reads, and of how many categories each is."""
    encodings = artifact.forecaster.config.encodings
    sizes = {code.name: len(code.categories) for code in encodings if code.role == role}
    return [f"{name} ({size} categories)" if size else name for name, size in sizes.items()]


def _last_time(panel: Panel) -> str | int:
    """The time of the newest value of all series, as it is written."""
    ends = panel.times(np.arange(len(panel)), panel.lengths - 1)
    last = panel.frequency.format(ends.max(keepdims=True))[0]
    return last if isinstance(last, str) else int(last)


def _first(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return _listed(names[:SHOWN]) + more


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))


def _plain(value: Any) -> str:
    return " ".join(map(_plain, value)) if isinstance(value, list) else f"{value}"


def _told(value: bool) -> str:
    return "yes" if value else "no"
