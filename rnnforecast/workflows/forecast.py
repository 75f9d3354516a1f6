"""`rnnforecast forecast`: what follows, by a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from rnnforecast.artifact import load_artifact
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import parse_table
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.workflows.train import end_forecasts


def forecast(
    directory: Path, source: Source | None, *, device: str = "auto", alias: str | None = None
) -> pd.DataFrame:
    """The forecast after the end of each series, those of training where no source is given.

    Raises:
        ArtifactError: There is no usable model in the directory.
        DataError: The source cannot be read, or has another frequency than the training data.
    """
    artifact = load_artifact(directory, select_device(device))
    forecaster, panel = artifact.forecaster, artifact.panel
    config = forecaster.config
    limit_threads(config.model.hidden_size, config.training.batch_size)
    if source is not None:
        columns = replace(config.data, separator=None, decimal=None)
        fresh = parse_table(source, columns).panel
        _check_frequency(source.name, panel, fresh)
        panel = fresh.tail(config.windows.lookback)
    table = end_forecasts(forecaster, panel, alias)
    unknown = table.iloc[:, 2].isna()
    if unknown.any():
        name = table.iloc[:, 0][unknown].iloc[0]
        raise DataError(
            f"series '{name}': its last {config.windows.lookback} values are none that "
            "the model can read (missing, or not positive under --log); train with --no-log"
        )
    return table


def _check_frequency(name: str, trained: Panel, fresh: Panel) -> None:
    """Both must count the same steps; how times are written may differ."""
    expected = replace(trained.frequency, offset="", date_only=False)
    if replace(fresh.frequency, offset="", date_only=False) != expected:
        raise DataError(
            f"{name}: one value a {fresh.frequency}, but the model was trained on one a "
            f"{trained.frequency}; pass data of that frequency or train again"
        )
