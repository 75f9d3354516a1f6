"""`rnnforecast forecast`: what follows, by a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError
from rnnforecast.runtime import limit_threads, select_device
from rnnforecast.workflows.facts import record_data, record_model
from rnnforecast.workflows.inputs import naming, warn_of_ignored
from rnnforecast.workflows.outputs import end_forecasts
from rnnforecast.workflows.reporting import Reporter


def forecast(
    directory: Path,
    source: Source | None,
    reporter: Reporter,
    *,
    device: str = "auto",
    alias: str | None = None,
) -> pd.DataFrame:
    """The forecast after the end of each series, those of training where no source is given.

    Raises:
        ArtifactError: There is no usable model in the directory.
        DataError: The source cannot be read, or has another frequency than the training data.
    """
    artifact = load_artifact(directory, select_device(device))
    config = artifact.forecaster.config
    record_model(artifact, reporter)
    limit_threads(config.model.hidden_size, config.training.batch_size)
    if source is None:
        return end_forecasts(artifact.forecaster, artifact.panel, alias)
    table = read_as_trained(source, artifact)
    record_data(table, reporter)
    warn_of_ignored(table, reporter)
    with naming(table):
        tail = table.panel.tail(config.windows.lookback)
        return end_forecasts(artifact.forecaster, tail, alias)


def read_as_trained(source: Source, artifact: Artifact) -> Table:
    """Read by the dialect and formats of the training data; by what the file has, failing that."""
    trained, frequency = artifact.forecaster.config.data, artifact.panel.frequency
    try:
        return parse_table(source, trained, frequency)
    except DataError:
        columns = replace(trained, separator=None, decimal=None, time_format=None)
        return parse_table(source, columns, frequency)
