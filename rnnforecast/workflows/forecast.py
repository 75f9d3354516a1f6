"""`rnnforecast forecast`: what follows, by a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rnnforecast.arrays import IntArray
from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.config import RunConfig
from rnnforecast.data.ahead import template
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError
from rnnforecast.forecaster import Forecaster, check_values
from rnnforecast.runtime import select_device
from rnnforecast.workflows.covariates import (
    NO_SIDES,
    SideTables,
    encode_table,
    tell_of_categories,
    tell_of_far,
    with_future,
    with_sides,
)
from rnnforecast.workflows.facts import record_data, record_model
from rnnforecast.workflows.inputs import naming, tell_of_past, warn_of_ignored
from rnnforecast.workflows.machine import limit_threads_for
from rnnforecast.workflows.newest import acquainted
from rnnforecast.workflows.outputs import end_forecasts
from rnnforecast.workflows.reporting import Reporter, some_series

Opening = Callable[[str | None], Source | None]
"""What opens data in an encoding; None where there are none after all."""


def forecast(
    directory: Path,
    opening: Opening | None,
    reporter: Reporter,
    *,
    sides: SideTables = NO_SIDES,
    device: str = "auto",
    alias: str | None = None,
    as_template: bool = False,
) -> Iterator[pd.DataFrame]:
    """The forecast after the end of each series, those of training where no source is given.

    Tables of some series, one after the other. As a template, the table of what is to be known
    ahead, with a row for each of its rows.

    Raises:
        ArtifactError: There is no usable model in the directory.
        DataError: The source cannot be read, or has another frequency than the training data.
    """
    artifact = load_artifact(directory, select_device(device))
    config = artifact.forecaster.config
    record_model(artifact, reporter)
    limit_threads_for(config, artifact.forecaster.device)
    source = None if opening is None else opening(config.data.encoding)
    if source is None:
        panel = with_future(artifact.panel, sides, config, reporter)
        yield from _tables(artifact.forecaster, panel, alias, as_template, reporter)
        return
    table = read_to_forecast(source, artifact, sides, reporter)
    forecaster = acquainted(artifact.forecaster, artifact.panel.ids, table.panel)
    table = encoded(replace(table, panel=table.panel.tail(config.windows.lookback)), config)
    short = lacking_history(table.panel, artifact.panel)
    if len(short) and not as_template:
        reporter.warning(
            f"{some_series(table.panel, short)} shorter than half of what the model keeps of them, "
            "and forecast by what is there alone; pass their whole history"
        )
    met = set(artifact.panel.ids)
    new = np.flatnonzero([name not in met for name in table.panel.ids])
    if len(new) and config.yearly and not config.yearly.shared and not as_template:
        reporter.warning(
            f"{some_series(table.panel, new)} new to the model, which takes yearly seasonality "
            "out of others: what the year does to these is not forecast; train again with them"
        )
    with naming(table):
        check_values(table.panel, config.model, _without_logarithms(artifact))
        yield from _tables(forecaster, table.panel, alias, as_template, reporter)


def _without_logarithms(artifact: Artifact) -> str:
    """What to do where a value has no logarithm: `update` drops those that the rules have taken."""
    settings = artifact.record.get("settings")
    mends = isinstance(settings, dict) and not settings.get("log") and settings.get("refit")
    return ("update the model with these values or " if mends else "") + "train with --no-log"


def _tables(
    forecaster: Forecaster,
    panel: Panel,
    alias: str | None,
    as_template: bool,
    reporter: Reporter,
) -> Iterator[pd.DataFrame]:
    config = forecaster.config
    if as_template:
        return iter([template(panel, config.encodings, config.windows.horizon, config.data)])
    tell_of_past(panel, config.windows.horizon, reporter)
    return end_forecasts(forecaster, panel, alias, reporter)


def lacking_history(panel: Panel, kept: Panel) -> IntArray:
    """The series that hold less than half of what a model has kept of them [series].

    As in a file of their newest rows alone; one that the model has not kept is none of them.
    """
    before = dict(zip(kept.ids, kept.lengths, strict=True))
    least = np.array([before.get(name, 0) for name in panel.ids]) / 2
    return np.flatnonzero(panel.lengths < least)


def read_to_forecast(
    source: Source, artifact: Artifact, sides: SideTables, reporter: Reporter
) -> Table:
    """Read as the training data were, and tell of what is not used."""
    config = artifact.forecaster.config
    table = with_sides(read_as_trained(source, artifact), sides, reporter, config.encodings)
    record_data(table, reporter)
    warn_of_ignored(table, reporter)
    tell_of_categories(table.name, table.covariates, config.encodings, reporter)
    tell_of_far(table.name, table.covariates, table.panel, config.encodings, reporter)
    return table


def encoded(table: Table, config: RunConfig) -> Table:
    """The table with its covariates encoded as those of the training data were."""
    with naming(table):
        return encode_table(table, config.encodings, config.windows.horizon)


def read_as_trained(source: Source, artifact: Artifact) -> Table:
    """Read by the dialect and formats of the training data; by what the file has, failing that."""
    trained, frequency = artifact.forecaster.config.data, artifact.panel.frequency
    try:
        return parse_table(source, trained, frequency)
    except DataError:
        columns = replace(trained, separator=None, decimal=None, time_format=None)
        return parse_table(source, columns, frequency)
