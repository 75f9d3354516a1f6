"""Tables of forecasts, and tables as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.errors import ConfigError


def check_names(names: Sequence[str]) -> None:
    """Raise ConfigError where two columns of an output would have one name, or one has none."""
    for name in names:
        if not name.isprintable():
            raise ConfigError(f"a column cannot be called {ascii(name)}; rename it")
        if names.count(name) > 1 or not name:
            raise ConfigError(
                f"two columns of the output would be called '{name}'; rename that column of the "
                "data (or, in forecast, pass another --alias)"
                if name
                else "the forecast column needs a name; pass another --alias"
            )


def interval_names(model: str, levels: Sequence[float]) -> list[str]:
    """The columns of a model's forecasts: its median, and the bounds of each interval."""
    bounds = [(f"{model}-lo-{level:g}", f"{model}-hi-{level:g}") for level in levels]
    return [model, *(name for pair in bounds for name in pair)]


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
        outward = [middle]
        for distance in range(1, middle + 1):
            outward += [middle - distance, middle + distance]
        names = interval_names(name, levels[:middle])
        columns |= {name: flat[:, at] for name, at in zip(names, outward, strict=True)}
    return pd.DataFrame(columns)


def id_name(config: DataConfig) -> str:
    """What the column that names the series is called in outputs."""
    return config.id_column or "unique_id"


def to_csv(frame: pd.DataFrame, *, header: bool = True) -> str:
    """A table as CSV text: a header even for no rows, floats that round-trip, LF."""
    text: str = frame.to_csv(index=False, header=header, lineterminator="\n")
    return text
