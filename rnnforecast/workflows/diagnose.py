"""`rnnforecast diagnose`: how gradients flow through time in a trained model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.data.dialects import id_name
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowIndex, windows_between
from rnnforecast.data.writing import check_names
from rnnforecast.diagnostics import (
    layer_findings,
    mean_by_lag,
    scope_of,
    training_findings,
)
from rnnforecast.errors import ConfigError, DataError
from rnnforecast.forecaster import Forecaster, check_values, gather_windows, prediction_batch
from rnnforecast.models.decoders import Truth
from rnnforecast.models.registry import MODELS, find_model
from rnnforecast.models.replay import LayerTrace, trace_attention, trace_layers
from rnnforecast.workflows.covariates import NO_SIDES, SideTables
from rnnforecast.workflows.facts import record_model
from rnnforecast.workflows.forecast import Opening, encoded, read_to_forecast
from rnnforecast.workflows.inputs import naming
from rnnforecast.workflows.machine import limit_threads_for
from rnnforecast.workflows.newest import acquainted
from rnnforecast.workflows.reporting import Reporter

# Their mean gradient is steady, and a replay of them takes seconds.
WINDOWS = 64
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Diagnosis:
    """The table of a run, and the attention weights where they were asked for."""

    table: pd.DataFrame
    attention: pd.DataFrame | None = None


def diagnose(
    directory: Path,
    opening: Opening | None,
    reporter: Reporter,
    *,
    sides: SideTables = NO_SIDES,
    by_lag: bool = False,
    attention: bool = False,
) -> Diagnosis:
    """Replay a model on the newest windows of the source, or of what it was trained on.

    Args:
        directory: Where the model is.
        opening: Opens data as those of training; None takes the last lookback that the model keeps.
        reporter: Told of what was read.
        sides: Files beside the source, with covariates.
        by_lag: A row of the table is a layer's step back rather than a measure.
        attention: Whether to give the attention weights at the end of each series, too.

    Raises:
        ArtifactError: There is no usable model in the directory.
        ConfigError: The model has no recurrence, or no attention though it was asked for.
        DataError: The source cannot be read, or holds nothing to forecast.
        TrainingError: A gradient is beyond all numbers.
    """
    artifact = load_artifact(directory, CPU)
    spec = artifact.forecaster.config.model
    _check_model(spec.model, attention)
    record_model(artifact, reporter)
    limit_threads_for(artifact.forecaster.config, CPU)
    source = None if opening is None else opening(artifact.forecaster.config.data.encoding)
    if source is None:
        if artifact.panel.lengths.max() < 2:
            raise DataError("the model keeps 1 value of each series; pass DATA")
        return _diagnosis(artifact, artifact.panel, reporter, by_lag, attention)
    read = read_to_forecast(source, artifact, sides, reporter)
    table = encoded(read, artifact.forecaster.config)
    forecaster = acquainted(artifact.forecaster, artifact.panel.ids, read.panel)
    artifact = replace(artifact, forecaster=forecaster)
    with naming(table):
        return _diagnosis(artifact, table.panel, reporter, by_lag, attention)


def _check_model(name: str, attention: bool) -> None:
    """Raise ConfigError where the model has nothing to look at."""
    row = find_model(name)
    if row.cell is None:
        raise ConfigError(
            f"model '{name}' has no recurrence, so no gradient flows through time in it; "
            "train a recurrent one, such as gru"
        )
    if attention and row.pooling is None and not row.attentive:
        others = [other.name for other in MODELS.values() if other.pooling or other.attentive]
        raise ConfigError(
            f"model '{name}' has no attention; drop --attention or train one of {', '.join(others)}"
        )


def _diagnosis(
    artifact: Artifact, panel: Panel, reporter: Reporter, by_lag: bool, attention: bool
) -> Diagnosis:
    """The tables for this panel."""
    forecaster = artifact.forecaster
    config = forecaster.config
    batch = _newest_windows(forecaster, panel)
    read = config.windows.lookback - int(batch.mask.any(0).int().argmax())
    windows = len(batch.values)
    count = f"{windows} windows" if windows > 1 else "one window"
    told = f"gradients of {count}, reading up to {read} values"
    if read < config.windows.lookback:
        told += f" of {config.windows.lookback}; pass longer DATA for whole ones"
    reporter.note(told)
    # Summed, so that a gradient is that of a window; the first member reads the whole lookback.
    truth = Truth(batch.target, batch.target_mask, share=0.0)
    traces = trace_layers(
        forecaster.network.members[0],
        lambda it: windows * it.loss(batch.values, batch.mask, truth, batch.inputs),
    )
    if by_lag:
        table = pd.concat([_lags(trace) for trace in traces], ignore_index=True)
    else:
        layers = [layer_findings(trace, scope_of(trace, config, read)) for trace in traces]
        course = training_findings(artifact.record.get("history", []), config.training)
        table = pd.DataFrame([asdict(row) for part in (*layers, course) for row in part])
    return Diagnosis(table, _attention_table(forecaster, panel) if attention else None)


def _newest_windows(forecaster: Forecaster, panel: Panel) -> Batch:
    """The newest windows whose target is known, those first that have a whole lookback.

    A series that is no longer than the horizon has its last value as target.

    Raises:
        DataError: There is none, or the network works on logarithms and a value has none.
    """
    if panel.lengths.max() < 2:
        raise DataError("no series has two values, one to read and one to forecast; pass more")
    config = forecaster.config
    lookback, horizon = config.windows.lookback, config.windows.horizon
    each = max(1, WINDOWS // len(panel))
    check_values(panel.tail(lookback + horizon + each), config.model)
    lengths = panel.lengths
    last = np.where(lengths > horizon, lengths - horizon, lengths - 1)
    first = np.maximum(last - each + 1, np.minimum(lookback, last))
    index = windows_between(first, last).thinned(WINDOWS)
    windows = gather_windows(panel, index, config, device=CPU)
    batch = windows.gather(torch.arange(len(index)))
    told = batch.mask.any(1) & batch.target_mask.any(1)
    if not told.any():
        raise DataError(
            "the newest windows hold no observation to read, or none to forecast; "
            "pass DATA whose newest values are observed"
        )
    return batch.where(told)


def _lags(trace: LayerTrace) -> pd.DataFrame:
    """A row a step back of one layer."""
    norms = mean_by_lag(trace)
    largest = norms.max()
    return pd.DataFrame(
        {
            "part": trace.name,
            "lag": np.arange(len(norms)),
            "gradient": norms,
            "share": norms / largest if largest else norms,
        }
    )


def _attention_table(forecaster: Forecaster, panel: Panel) -> pd.DataFrame:
    """The attention weights of the forecast after each series, one row a query and step back.

    A decoder's queries count from 1, one for each of its steps; that of the summary is 0.
    """
    config = forecaster.config
    key = id_name(config.data)
    check_names([key, "query", "lag", "weight"])
    index = WindowIndex(series=np.arange(len(panel)), cutoffs=panel.lengths)
    windows = gather_windows(panel, index, config, device=CPU)
    network = forecaster.network.eval().members[0]
    ids, tables = np.asarray(panel.ids, dtype=object), []
    for places in torch.split(torch.arange(len(index)), prediction_batch(config.windows)):
        batch = windows.gather(places)
        with torch.inference_mode():
            traces = trace_attention(
                network, partial(network, batch.values, batch.mask, inputs=batch.inputs)
            )
        for trace in traces:
            counts = np.arange(trace.weights.shape[2]) < trace.lengths[:, None, None]
            row, query, lag = np.nonzero(np.broadcast_to(counts, trace.weights.shape))
            columns = {
                key: ids[places.numpy()[row]],
                "query": query + (trace.name == "decoder"),
                "lag": lag,
                "weight": trace.weights[row, query, lag],
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
