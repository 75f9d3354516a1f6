"""Tables of forecasts, and tables as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.dialects import forecast_columns, has_id, id_name, time_name
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


def interval_names(
    model: str, levels: Sequence[float], dialect: str = DataConfig.dialect
) -> list[str]:
    """The columns of a model's forecasts: its median, and the bounds of intervals."""
    return [name for name, _ in forecast_columns(model, levels, dialect)]


def forecast_table(
    panel: Panel,
    index: WindowIndex,
    models: Mapping[str, FloatArray],
    levels: tuple[float, ...],
    config: DataConfig,
) -> pd.DataFrame:
    """Forecasts in long form, one row a window and step, under the names of the dialect.

    Args:
        panel: Where the series are.
        index: The windows.
        models: For each model its quantiles [window, step, quantile], or its point forecasts
            [window, step, 1].
        levels: Nominal coverages of the intervals, in percent, ascending.
        config: The column names and the dialect.

    Raises:
        ConfigError: Two columns would have one name, as of two models where the dialect has one.
    """
    horizon = next(iter(models.values())).shape[1]
    positions = (index.cutoffs[:, None] + np.arange(horizon)).ravel()
    series = np.repeat(index.series, horizon)
    columns = key_columns(panel, series, positions, config)
    names = list(columns)
    for model, quantiles in models.items():
        flat = quantiles.reshape(len(series), quantiles.shape[-1])
        own = levels[: flat.shape[1] // 2]
        places = sorted(level for _, level in forecast_columns(model, own))
        for name, level in forecast_columns(model, own, config.dialect):
            names.append(name)
            columns[name] = flat[:, places.index(level)]
    check_names(names)
    return pd.DataFrame(columns)


def key_columns(
    panel: Panel, series: IntArray, positions: IntArray, config: DataConfig
) -> dict[str, object]:
    """The columns that tell of which series and time each row is, as outputs write them."""
    times = {time_name(config): panel.written(series, positions)}
    if not has_id(config, len(panel)):
        return dict(times)
    ids = np.array([panel.ids[place] for place in series.tolist()], dtype=object)
    return {id_name(config): ids, **times}


def to_csv(frame: pd.DataFrame, *, header: bool = True) -> str:
    """A table as CSV text: a header even for no rows, floats that round-trip, LF."""
    text: str = frame.to_csv(index=False, header=header, lineterminator="\n")
    return text
