"""The rows of a table: its columns found and each used cell read, every fault with its line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.cell_faults import (
    NO_ID,
    check_sizes,
    row_faults,
    time_faults,
)
from rnnforecast.data.cells import Cells, open_cells
from rnnforecast.data.faults import (
    Fault,
    FaultError,
    LocatedError,
    RowError,
    ShapeError,
    split_message,
)
from rnnforecast.data.schema import find_columns
from rnnforecast.data.source import Source
from rnnforecast.data.timestamps import Times, parse_times
from rnnforecast.data.used_columns import parse_columns
from rnnforecast.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The used columns of a table, each cell read.

    Attributes:
        cells: The table.
        config: The columns and the dialect, with nothing left open.
        frame: Ids and times as text, targets as numbers, one row a row of the table.
        times: The times as numbers.
    """

    cells: Cells
    config: DataConfig
    frame: pd.DataFrame
    times: Times

    @property
    def values(self) -> FloatArray:
        """The targets, one column after the other [target * row]."""
        return self.frame[list(self.config.target_columns)].to_numpy().ravel(order="F")

    def series(self) -> tuple[IntArray, tuple[str, ...]]:
        """For each of `values` the index of its series, and the ids in order of appearance."""
        column = self.config.id_column
        if column is None:
            ids = self.config.target_columns
            return np.repeat(np.arange(len(ids)), len(self.frame)), ids
        texts = self.frame[column]
        blank = (texts == "").to_numpy()
        if blank.any():
            error = row_faults(np.flatnonzero(blank), *NO_ID)
            raise LocatedError(self.cells, error, column)
        keys, names = pd.factorize(texts)
        return keys.astype(np.int64), tuple(str(name) for name in names)

    def located(self, error: DataError) -> LocatedError:
        """An error of `values` as the user reads it."""
        return LocatedError(self.cells, error, self.config.time_column, len(self.frame))

    def fault(self, place: int, problem: str) -> DataError:
        """An error that names the line of one of `values`, and the time column."""
        return self.cells.fault(place % len(self.frame), problem, self.config.time_column)


def find_rows(source: Source, asked: DataConfig) -> Rows:
    """The rows of a table of series, whose columns are found."""
    cells = open_cells(source, asked)
    try:
        config = find_columns(cells.sample, asked, cells.decimal, cells.text)
    except DataError as error:
        raise LocatedError(cells, error) from None
    if asked.time_column is None:
        _check_header(cells, str(config.time_column))
    return read_rows(cells, config)


def read_rows(cells: Cells, config: DataConfig) -> Rows:
    """Read the columns that `config` names."""
    config = replace(config, separator=cells.separator, decimal=cells.decimal)
    frame = parse_columns(cells, config)
    series = None if config.id_column is None else frame[config.id_column]
    times = read_times(cells, config, frame[config.time_column], series)
    try:
        check_sizes(frame[list(config.target_columns)])
    except DataError as error:
        raise LocatedError(cells, error) from None
    config = replace(config, time_format=times.time_format)
    return Rows(cells=cells, config=config, frame=frame, times=times)


def read_times(
    cells: Cells, config: DataConfig, texts: pd.Series[str], series: pd.Series[str] | None = None
) -> Times:
    """A column of times as numbers; the column is `config.time_column`, in `config.time_format`."""
    column, time_format = str(config.time_column), config.time_format
    try:
        parsed = parse_times(texts, time_format, config.time_zone, series)
    except RowError as error:
        raise LocatedError(cells, error, column) from None
    except FaultError as error:
        fault = Fault(None, *split_message(str(error)), column)
        settled = error.settled
        told = FaultError(f"column '{column}': {error}", faults=lambda: [fault], settled=settled)
        raise LocatedError(cells, told) from None
    except DataError as error:
        raise DataError(f"{cells.source.name}: column '{column}': {error}") from None
    if isinstance(parsed, int):
        parse = partial(parse_times, time_format=time_format)
        raise LocatedError(cells, time_faults(texts, parsed, parse, time_format), column)
    return parsed


def _check_header(cells: Cells, name: str) -> None:
    """Raise DataError where the first line holds a row rather than names."""
    try:
        names = isinstance(parse_times(pd.Series([name], dtype="str")), int)
    except DataError:
        names = False
    if not names:
        problem = f"the first line has values such as '{name}' rather than names"
        error = cells.fault(-1, f"{problem}; add a header line or pass --time-col")
        raise ShapeError(str(error), "headless")
