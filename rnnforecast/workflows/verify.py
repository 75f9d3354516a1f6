"""`rnnforecast verify`: whether the model file and the tables beside it are whole and agree."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray
from rnnforecast.artifact import MODEL_FILE, SCHEMA_VERSION, Artifact, load_artifact
from rnnforecast.data.files import dead_temporaries
from rnnforecast.data.writing import to_csv
from rnnforecast.errors import ArtifactError, RnnForecastError
from rnnforecast.runtime import select_device
from rnnforecast.workflows.checkpoints import CHECKPOINT_FILE, read_checkpoint
from rnnforecast.workflows.machine import limit_threads_for
from rnnforecast.workflows.outputs import stored_forecasts

PASSED, FAILED, NOTE, SKIPPED = "ok", "failed", "note", "skipped"
# What a forecast may differ by on another machine: this share of itself and of its column's mean.
TOLERANCE = 1e-4
# Columns of history.csv that the model file has not, as they differ from run to run.
UNRECORDED = ("seconds",)
STAGES = {
    "file": f"{MODEL_FILE} is readable",
    "schema": f"{SCHEMA_VERSION}, as this version writes it",
    "digest": "the content is that of its sha256",
    "content": "the tensors fit the configuration and are finite",
}


@dataclass(frozen=True)
class Check:
    """One row of the table; its result is "ok", "failed", "note" or "skipped"."""

    check: str
    result: str
    detail: str


def verify(directory: Path, device: str = "auto") -> list[Check]:
    """Check a run directory; the rows of the table, those that failed among them.

    Raises:
        ArtifactError: There is no model file.
        ConfigError: The device is unknown or absent.
    """
    target = select_device(device)
    passed: list[str] = []
    artifact, failure = None, ""
    try:
        artifact = load_artifact(directory, target, passed.append)
    except ArtifactError as error:
        if not (directory / MODEL_FILE).is_file():
            raise
        failure = str(error)
    checks = [Check(stage, PASSED, detail) for stage, detail in STAGES.items() if stage in passed]
    if artifact is None:
        checks.append(Check(list(STAGES)[len(checks)], FAILED, failure))
    for name, compare in TABLES.items():
        if artifact is None:
            checks.append(Check(name, SKIPPED, "there is no model to hold it against"))
        else:
            checks.append(_checked(name, partial(compare, directory / name, artifact)))
    checks.append(_checked("temporary files", partial(_no_temporaries, directory)))
    return [*checks, Check("checkpoint", NOTE, _checkpoint(directory / CHECKPOINT_FILE))]


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, PASSED, check())
    except OSError as error:
        return Check(name, FAILED, error.strerror or str(error))
    except (ValueError, RnnForecastError) as error:
        return Check(name, FAILED, str(error))


def _forecasts(path: Path, artifact: Artifact) -> str:
    """How equal the table of forecasts is; raises ValueError where it is not."""
    content, config = path.read_bytes(), artifact.forecaster.config
    limit_threads_for(config, artifact.forecaster.device)
    now = to_csv(stored_forecasts(artifact.forecaster, artifact.panel)).encode()
    if content == now:
        return "equal to the byte to what the model forecasts now"
    stored, expected = _read(content), _read(now)
    if list(stored) != list(expected) or not stored.iloc[:, :2].equals(expected.iloc[:, :2]):
        raise ValueError("it is of other columns, series or times than the model forecasts now")
    for name in list(expected)[2:]:
        one, other = _numbers(stored[name]), _numbers(expected[name])
        room = TOLERANCE * np.nanmean(np.abs(other)) if np.isfinite(other).any() else 0.0
        if not np.allclose(one, other, rtol=TOLERANCE, atol=room, equal_nan=True):
            raise ValueError(f"column '{name}' is not what the model forecasts now")
    return f"equal within {TOLERANCE:g} to what the model forecasts now, as on another machine"


def _recorded(part: str, path: Path, artifact: Artifact) -> str:
    """That a table is the one that the model file records; raises ValueError where it is not."""
    stored = _read(path.read_bytes()).drop(columns=list(UNRECORDED), errors="ignore")
    rows: list[dict[str, Any]] = artifact.record.get(part, [])
    names = set(stored)
    if len(rows) != len(stored) or any(set(row) != names for row in rows):
        raise ValueError("it has other rows or columns than the model file records")
    for name in stored:
        kept = [row[str(name)] for row in rows]
        if name == "model":
            same = stored[name].tolist() == kept
        else:
            recorded = np.array([np.nan if cell is None else cell for cell in kept], dtype=float)
            same = np.array_equal(_numbers(stored[name]), recorded, equal_nan=True)
        if not same:
            raise ValueError(f"column '{name}' is not as the model file records it")
    return "as the model file records it"


def _no_temporaries(directory: Path) -> str:
    """That there is none; raises ValueError where there is."""
    names = [path.name for path in dead_temporaries(directory)]
    if names:
        raise ValueError(f"{len(names)} left by a run that was killed; the next run removes them")
    return "none is left"


def _checkpoint(path: Path) -> str:
    """Of what run it is, and how far that came."""
    if not path.exists():
        return "there is none"
    try:
        stored = read_checkpoint(path)
    except ArtifactError as error:
        return f"there is one of no use: {error}"
    return f"there is one, of an ended {stored.command}, {stored.place}"


def _read(content: bytes) -> pd.DataFrame:
    """A table as text."""
    return pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False)


def _numbers(cells: pd.Series[str]) -> FloatArray:
    return np.array([float(cell) if cell else np.nan for cell in cells])


TABLES: dict[str, Callable[[Path, Artifact], str]] = {
    "forecasts.csv": _forecasts,
    "metrics.csv": partial(_recorded, "metrics"),
    "history.csv": partial(_recorded, "history"),
}
