"""The tables of forecasts that commands give, and what is to be said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import check_names, forecast_table, id_name, interval_names
from rnnforecast.forecaster import Forecaster

# What a run writes beside its model file, in this order.
TABLES = ("forecasts.csv", "metrics.csv", "history.csv")


def end_forecasts(forecaster: Forecaster, panel: Panel, alias: str | None = None) -> pd.DataFrame:
    """The forecast after the last value of each series.

    Raises:
        ConfigError: The alias is the name of another column.
        DataError: The model cannot read the end of a series.
    """
    config = forecaster.config
    name = config.model.model if alias is None else alias
    check_forecast_names(config.data, [name], config.model.levels)
    index = WindowIndex(series=np.arange(len(panel)), cutoffs=panel.lengths)
    models = {name: forecaster.predict(panel)}
    return forecast_table(panel, index, models, config.model.levels, config.data)


def check_forecast_names(
    data: DataConfig, models: list[str], levels: tuple[float, ...], *more: str
) -> None:
    """Raise ConfigError where forecasts of these models would overwrite another column."""
    forecasts = [name for model in models for name in interval_names(model, levels)]
    check_names([id_name(data), str(data.time_column), *more, *forecasts])
