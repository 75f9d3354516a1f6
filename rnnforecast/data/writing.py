"""Tables of forecasts, and files that are written beside the old one and renamed over it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray
from rnnforecast.config import DataConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.errors import RnnForecastError


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends well, and vanishes otherwise.

    Raises:
        RnnForecastError: The file cannot be written.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            temporary = Path(file.name)
            yield cast(BinaryIO, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise RnnForecastError(
            f"{path}: {error.strerror or error}; free space there or pass another place"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def forecast_table(
    panel: Panel,
    index: WindowIndex,
    models: Mapping[str, FloatArray],
    levels: tuple[float, ...],
    config: DataConfig,
) -> pd.DataFrame:
    """Forecasts in long form, one row a window and step, under the user's own column names.

    Args:
        panel: Where the series are.
        index: The windows.
        models: For each model its quantiles [window, step, quantile], or its point forecasts
            [window, step, 1].
        levels: Nominal coverages of the intervals, in percent, ascending.
        config: The column names.
    """
    horizon = next(iter(models.values())).shape[1]
    positions = (index.cutoffs[:, None] + np.arange(horizon)).ravel()
    series = np.repeat(index.series, horizon)
    columns: dict[str, object] = {
        id_name(config): np.asarray(panel.ids, dtype=object)[series],
        str(config.time_column): panel.frequency.format(panel.times(series, positions)),
    }
    for name, quantiles in models.items():
        flat = quantiles.reshape(len(series), quantiles.shape[-1])
        middle = flat.shape[1] // 2
        columns[name] = flat[:, middle]
        for distance, level in enumerate(levels[:middle], start=1):
            columns[f"{name}-lo-{level:g}"] = flat[:, middle - distance]
            columns[f"{name}-hi-{level:g}"] = flat[:, middle + distance]
    return pd.DataFrame(columns)


def id_name(config: DataConfig) -> str:
    """What the column that names the series is called in outputs."""
    return config.id_column or "unique_id"


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, atomically."""
    with atomic_write(path) as file:
        file.write(to_csv(frame).encode())


def to_csv(frame: pd.DataFrame) -> str:
    """A table as CSV text: a header even for no rows, floats that round-trip, LF."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
