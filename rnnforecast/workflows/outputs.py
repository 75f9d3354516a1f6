"""The tables of forecasts that commands give, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from rnnforecast.arrays import BoolArray, FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.ahead import missing_ahead
from rnnforecast.data.dialects import id_name, time_name
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import check_names, forecast_table, interval_names
from rnnforecast.forecaster import Forecaster, check_values
from rnnforecast.workflows.covariates import check_known
from rnnforecast.workflows.reporting import MUTE, Reporter, some_series

# What a run writes beside its model file, in this order.
TABLES = ("forecasts.csv", "metrics.csv", "history.csv")
# Series whose forecasts are made and written at once.
AT_ONCE = 4096
# Ranges of what is read beyond which no bound of a forecast should lie, and values that tell one.
FAR, TELLING = 10, 5


def end_forecasts(
    forecaster: Forecaster,
    panel: Panel,
    alias: str | None = None,
    reporter: Reporter = MUTE,
) -> Iterator[pd.DataFrame]:
    """The forecast after the last value of each series, a table of some series after the other.

    At last a reporter is told of series whose intervals lie far from all that they are made of.

    Raises:
        ConfigError: The alias is the name of another column.
        DataError: The model cannot read the end of a series, or does not know what it is to know
            of the time ahead; before the first table.
        TrainingError: A forecast is beyond all numbers; before the table that it is in.
    """
    config = forecaster.config
    check_known(panel, config)
    name = config.model.model if alias is None else alias
    check_forecast_names(config.data, [name], config.model.levels)
    panel = panel.tail(config.windows.lookback)
    check_values(panel, config.model)
    if config.model.nonnegative and (fault := panel.first_where(panel.values < 0)):
        reporter.note(
            f"series '{fault[0]}' has the value {fault[1]:g}, but no forecast of the model is "
            "below 0; train with --no-nonnegative to lift that"
        )
    far = np.zeros(len(panel), dtype=bool)
    for first in range(0, len(panel), AT_ONCE):
        part = panel.part(first, first + AT_ONCE)
        index = WindowIndex(series=first + np.arange(len(part)), cutoffs=part.lengths)
        quantiles = forecaster.predict(part)
        far[index.series] = _far(quantiles, part)
        yield forecast_table(panel, index, {name: quantiles}, config.model.levels, config.data)
    if far.any():
        reporter.warning(
            f"{some_series(panel, np.flatnonzero(far))} forecast with intervals that reach more "
            f"than {FAR} times the range of the values read beyond them, as after a change of "
            "level: do not rely on these"
        )


def _far(quantiles: FloatArray, panel: Panel) -> BoolArray:
    """Which series have quantiles [series, step, quantile] far from their own values."""
    lowest = np.fmin.reduceat(panel.values, panel.offsets[:-1])
    highest = np.fmax.reduceat(panel.values, panel.offsets[:-1])
    told = np.add.reduceat(~np.isnan(panel.values), panel.offsets[:-1], dtype=int) >= TELLING
    with np.errstate(over="ignore"):
        room = FAR * (highest - lowest)
    beyond = (quantiles.max((1, 2)) > highest + room) | (quantiles.min((1, 2)) < lowest - room)
    return np.asarray(told & (room > 0) & beyond)


def stored_forecasts(
    forecaster: Forecaster, panel: Panel, reporter: Reporter = MUTE
) -> pd.DataFrame:
    """All of them as a run directory holds them: no row where too little is known ahead."""
    config = forecaster.config
    if missing_ahead(panel, config.encodings, config.windows.horizon) is None:
        return pd.concat(end_forecasts(forecaster, panel, reporter=reporter), ignore_index=True)
    none = np.empty(0, dtype=np.int64)
    shape = (0, config.windows.horizon, len(config.model.quantile_levels))
    return forecast_table(
        panel,
        WindowIndex(series=none, cutoffs=none),
        {forecaster.name: np.empty(shape)},
        config.model.levels,
        config.data,
    )


def check_forecast_names(
    data: DataConfig, models: list[str], levels: tuple[float, ...], *more: str
) -> None:
    """Raise ConfigError where forecasts of these models would overwrite another column."""
    forecasts = [name for model in models for name in interval_names(model, levels, data.dialect)]
    check_names([id_name(data), time_name(data), *more, *forecasts])
