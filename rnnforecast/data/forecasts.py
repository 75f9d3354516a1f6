"""Tables of forecasts: what models said of which series and time, from any tool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.cells import open_cells
from rnnforecast.data.forecast_columns import ModelColumns, find_forecast_columns
from rnnforecast.data.other_tables import own_format
from rnnforecast.data.rows import Rows, read_rows, read_times
from rnnforecast.data.source import open_source
from rnnforecast.data.timestamps import Times, parse_times
from rnnforecast.data.zones import at_clock
from rnnforecast.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class ModelForecast:
    """What one model forecasts.

    Attributes:
        name: The model's.
        coverages: Nominal coverages of its intervals, in percent, ascending; often none.
        quantiles: Lower bounds from the widest interval on, the point, upper bounds
            [row, quantile]; as written, so that they may cross, and NaN where a cell is empty.
    """

    name: str
    coverages: tuple[float, ...]
    quantiles: FloatArray

    @property
    def crossed(self) -> int:
        """How many rows have a quantile below one of a lower level."""
        return int((np.diff(self.quantiles) < 0).any(axis=1).sum())


@dataclass(frozen=True, kw_only=True)
class ForecastRows:
    """A table of forecasts, without the rows that are no forecasts but fitted values.

    Attributes:
        ids: The names of the series in order of appearance; None where no column names them.
        keys: The index in `ids` of each row [row]; 0 without ids.
        times: The time of each row [row]; see `data/calendar.py`.
        integer: Whether times are integer steps.
        offset: The clock of the times; see `data/zones.py`.
        became_utc: Whether the times had other offsets, and so are local times no more.
        cutoffs: The last time that was known to each forecast [row], if a column says so.
        models: At least one.
        fitted: How many rows were dropped for being at or before their cutoff, or `after`.
        name: What messages call the file.
        config: The columns and the dialect; the target is a column of actual values, if any.
        ignored: The columns that were not read.
    """

    ids: tuple[str, ...] | None
    keys: IntArray
    times: IntArray
    integer: bool
    offset: str
    became_utc: bool
    cutoffs: IntArray | None
    models: tuple[ModelForecast, ...]
    fitted: int
    name: str
    config: DataConfig
    ignored: tuple[str, ...]


def read_forecasts(
    path: str, asked: DataConfig, coverage: float = 80.0, after: str | None = None
) -> ForecastRows:
    """Read the CSV file of forecasts at `path` ("-": standard input).

    Args:
        path: The file.
        asked: Columns and dialect; a column that the file lacks is looked for by its kind, as
            forecasts often have other names than what they forecast, and a time format that its
            first row is not in, by its times.
        coverage: Of Prophet's intervals, in percent, as its file does not tell.
        after: A time as text; rows at or before it are dropped.

    Raises:
        DataError: The file, its columns or a cell cannot be used.
        ConfigError: `after` is no time.
    """
    cells = open_cells(open_source(path, asked.encoding), asked)
    config, cutoff, models = find_forecast_columns(cells, asked, coverage)
    numbers = dict.fromkeys(name for model in models for name in model.outward())
    targets, time_format = tuple(numbers), own_format(cells, config)
    rows = read_rows(cells, replace(config, target_columns=targets, time_format=time_format))
    times = rows.times.times
    cutoffs = None if cutoff is None else _read_cutoffs(rows, cutoff)
    keys, ids = rows.series() if config.id_column else (np.zeros(len(times), dtype=np.int64), None)
    _check_unique(rows, keys, cutoffs)
    kept = np.ones(len(times), dtype=bool) if cutoffs is None else times > cutoffs
    if after is not None:
        kept &= times > _parse_after(after, rows)
    if not kept.any():
        bound = "their cutoffs" if after is None else f"--after {after}"
        raise DataError(
            f"{cells.source.name}: no forecast lies after {bound}; pass forecasts that do"
        )
    frame = rows.frame[kept]
    used = {config.id_column, config.time_column, cutoff, *numbers, *config.target_columns}
    return ForecastRows(
        ids=ids,
        keys=keys[kept],
        times=times[kept],
        integer=rows.times.integer,
        offset=rows.times.offset,
        became_utc=rows.times.became_utc,
        cutoffs=None if cutoffs is None else cutoffs[kept],
        models=tuple(_forecast_of(model, frame) for model in models),
        fitted=int(np.count_nonzero(~kept)),
        name=cells.source.name,
        config=replace(rows.config, target_columns=config.target_columns),
        ignored=tuple(name for name in cells.header if name not in used),
    )


def _forecast_of(model: ModelColumns, frame: pd.DataFrame) -> ModelForecast:
    quantiles = frame[model.outward()].to_numpy()
    return ModelForecast(
        name=model.name, coverages=tuple(sorted(model.bounds)), quantiles=quantiles
    )


def _read_cutoffs(rows: Rows, column: str) -> IntArray:
    """The column of cutoffs as times of the clock that the rows have [row]."""
    texts = rows.cells.text([column])[column]
    # One cutoff stands in many rows, whose order does not tell which of two times it is.
    config = replace(rows.config, time_column=column, time_zone=None)
    known = read_times(rows.cells, config, texts)
    if known.integer != rows.times.integer:
        problem = f"it and '{rows.config.time_column}' must both be times or both be integer steps"
        raise rows.cells.fault(0, f"{problem}; correct one", column)
    return at_clock(known.times, known.offset, rows.times.offset)


def _check_unique(rows: Rows, keys: IntArray, cutoffs: IntArray | None) -> None:
    """Raise DataError where two rows forecast one value from one cutoff."""
    columns = {"series": keys, "time": rows.times.times}
    twice = pd.DataFrame(columns if cutoffs is None else columns | {"cutoff": cutoffs}).duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        owner = "no column names the series, and one"
        if rows.config.id_column:
            owner = f"series '{rows.frame[rows.config.id_column].iloc[row]}'"
        cutoff = "" if cutoffs is None else " for one cutoff"
        remedy = "remove one of the rows" + ("" if rows.config.id_column else " or pass --id-col")
        raise rows.fault(row, f"{owner} has this time twice{cutoff}; {remedy}")


def _parse_after(after: str, rows: Rows) -> int:
    """The time of `--after`, in the format of the rows or in one that is found."""
    for time_format in (rows.config.time_format, None):
        try:
            parsed = parse_times(pd.Series([after], dtype="str"), time_format)
        except DataError:
            continue
        if isinstance(parsed, Times) and parsed.integer == rows.times.integer:
            return int(at_clock(parsed.times, parsed.offset, rows.times.offset)[0])
    example = rows.frame[rows.config.time_column].iloc[0]
    raise ConfigError(f"--after must be a time such as {example}, got '{after}'")
