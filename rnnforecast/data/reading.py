"""Reading a table into a panel, with every fault named by file, line and column."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.cells import Cells, open_cells
from rnnforecast.data.gridding import RowError, build_panel
from rnnforecast.data.panel import Panel
from rnnforecast.data.schema import MISSING, find_columns
from rnnforecast.data.source import Source, open_source
from rnnforecast.data.timestamps import Times, parse_times
from rnnforecast.errors import DataError

# Errors are squared, and levels exponentiated: beyond this a double would overflow.
LARGEST = 1e100
NUMBER = r"(?i)[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)"

# From 3.1 on pandas always reads floats exactly, and warns of being asked to.
FLOAT_PRECISION: Literal["round_trip"] | None = (
    None if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else "round_trip"
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """What was read.

    Attributes:
        panel: The series.
        config: The columns and the dialect, with nothing left open.
        name: What messages call the file.
        sha256: Of the table's text.
        ignored: Columns that are neither id, time nor target.
    """

    panel: Panel
    config: DataConfig
    name: str
    sha256: str
    ignored: tuple[str, ...]


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
            problem = "the id is empty; name the series or remove the row"
            raise self.cells.fault(int(np.argmax(blank)), problem, column)
        keys, names = pd.factorize(texts)
        return keys.astype(np.int64), tuple(str(name) for name in names)

    def fault(self, place: int, problem: str) -> DataError:
        """An error that names the line of one of `values`, and the time column."""
        return self.cells.fault(place % len(self.frame), problem, self.config.time_column)


def read_table(path: str, asked: DataConfig) -> Table:
    """Read the series in the CSV file at `path` ("-": standard input).

    Raises:
        DataError: The file, its columns, a cell or the times cannot be used.
    """
    return parse_table(open_source(path), asked)


def parse_table(source: Source, asked: DataConfig, frequency: Frequency | None = None) -> Table:
    """As `read_table`, from bytes already at hand; `frequency` holds the times to a known one."""
    rows = find_rows(source, asked)
    keys, ids = rows.series()
    try:
        gridded = build_panel(
            keys=keys,
            ids=ids,
            times=np.tile(rows.times.times, len(rows.config.target_columns)),
            values=rows.values,
            integer=rows.times.integer,
            offset=rows.times.offset,
            frequency=frequency,
        )
    except RowError as error:
        raise rows.fault(error.row, str(error)) from None
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    return Table(
        panel=gridded.panel,
        config=rows.config,
        name=source.name,
        sha256=source.sha256,
        ignored=ignored_columns(rows),
    )


def ignored_columns(rows: Rows) -> tuple[str, ...]:
    """The columns that are neither id, time nor target."""
    used = (rows.config.id_column, rows.config.time_column, *rows.config.target_columns)
    return tuple(name for name in rows.cells.header if name not in used)


def find_rows(source: Source, asked: DataConfig) -> Rows:
    """The rows of a table of series, whose columns are found."""
    cells = open_cells(source, asked)
    try:
        config = find_columns(cells.sample, asked, cells.decimal, cells.text)
    except RowError as error:
        raise cells.fault(error.row, str(error)) from None
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    if asked.time_column is None:
        _check_header(cells, str(config.time_column))
    return read_rows(cells, config)


def read_rows(cells: Cells, config: DataConfig) -> Rows:
    """Read the columns that `config` names."""
    config = replace(config, separator=cells.separator, decimal=cells.decimal)
    frame = _parse(cells, config)
    times = read_times(cells, config, frame[config.time_column])
    for name in config.target_columns:
        _check_size(frame[name].to_numpy(), partial(cells.fault, column=name))
    config = replace(config, time_format=times.time_format)
    return Rows(cells=cells, config=config, frame=frame, times=times)


def read_times(cells: Cells, config: DataConfig, texts: pd.Series[str]) -> Times:
    """A column of times as numbers; the column is `config.time_column`, in `config.time_format`."""
    column, time_format = str(config.time_column), config.time_format
    try:
        parsed = parse_times(texts, time_format)
    except DataError as error:
        raise DataError(f"{cells.source.name}: column '{column}': {error}") from None
    if isinstance(parsed, int):
        raise cells.fault(parsed, _no_time(texts.iloc[parsed], time_format), column)
    return parsed


def _check_header(cells: Cells, name: str) -> None:
    """Raise DataError where the first line holds a row rather than names."""
    try:
        names = isinstance(parse_times(pd.Series([name], dtype="str")), int)
    except DataError:
        names = False
    if not names:
        raise cells.fault(
            -1,
            f"the first line has values such as '{name}' rather than names; "
            "add a header line or pass --time-col",
        )


def _parse(cells: Cells, config: DataConfig) -> pd.DataFrame:
    """The used columns: id and time as text, targets as numbers."""
    targets = list(config.target_columns)
    texts = [name for name in (config.id_column, config.time_column) if name is not None]
    missing = [*MISSING, *config.na_values]
    try:
        frame = pd.read_csv(
            io.BytesIO(cells.source.data),
            sep=cells.separator,
            header=0,
            names=cells.header,
            decimal=cells.decimal,
            usecols=[*texts, *targets],
            dtype={**dict.fromkeys(texts, "str"), **dict.fromkeys(targets, "float64")},
            keep_default_na=False,
            na_values={name: missing for name in targets},
            skipinitialspace=True,
            index_col=False,
            float_precision=FLOAT_PRECISION,
        )
    except (ValueError, OverflowError):
        return _parse_cells(cells, config)
    for name in texts:
        frame[name] = frame[name].str.strip()
    return frame


def _parse_cells(cells: Cells, config: DataConfig) -> pd.DataFrame:
    """As `_parse`, cell by cell; raises DataError for the first target that is no number."""
    frame = cells.text(cells.header)
    targets = list(config.target_columns)
    found = frame[targets]
    missing = found.isin([*MISSING, *config.na_values])
    points = found.apply(lambda texts: texts.str.replace(cells.decimal, ".", regex=False))
    bad = ~(missing | points.apply(lambda texts: texts.str.fullmatch(NUMBER))).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        name = targets[int(np.argmax(bad[row]))]
        if list(frame.iloc[row]) == cells.header:
            raise cells.fault(row, "the header is repeated here; remove the row")
        raise cells.fault(row, _not_a_number(str(found[name].iloc[row])), name)
    frame[targets] = points.mask(missing, "nan").astype("float64")
    return frame


def _not_a_number(cell: str) -> str:
    if re.fullmatch(r"[+-]?\d[\d.,' ]*", cell):
        return f"'{cell}' is not a number; pass --decimal, or write it without thousands separators"
    return f"'{cell}' is not a number; pass --na-values '{cell}' or correct the cell"


def _check_size(values: FloatArray, fail: Callable[..., DataError]) -> None:
    large = np.abs(values) > LARGEST
    if large.any():
        row = int(np.argmax(large))
        if np.isinf(values[row]):
            raise fail(row, problem="the value is infinite; correct the cell or leave it empty")
        problem = f"{values[row]:g} is too large to square; divide the column by a power of ten"
        raise fail(row, problem=problem)


def _no_time(cell: str, time_format: str | None) -> str:
    if not cell:
        return "the time is empty; fill it in or remove the row"
    if time_format is not None:
        return f"'{cell}' is not in the format '{time_format}'; correct it or --time-format"
    return f"'{cell}' is no time in the format of the other rows; correct it or pass --time-format"
