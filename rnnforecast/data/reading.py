"""Reading a table into a panel, with every fault named by file, line and column."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.config import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel, RowError, build_panel
from rnnforecast.data.schema import MISSING, SAMPLE_ROWS, find_columns
from rnnforecast.data.source import Source, check_rectangular, find_separator, open_source
from rnnforecast.data.timestamps import parse_times
from rnnforecast.errors import DataError

Fail = Callable[[int, str, str], DataError]

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


def read_table(path: str, asked: DataConfig) -> Table:
    """Read the series in the CSV file at `path` ("-": standard input).

    Raises:
        DataError: The file, its columns, a cell or the times cannot be used.
    """
    return parse_table(open_source(path), asked)


def parse_table(source: Source, asked: DataConfig, frequency: Frequency | None = None) -> Table:
    """As `read_table`, from bytes already at hand; `frequency` holds the times to a known one."""
    separator = asked.separator or find_separator(source)
    header, sample = _sample(source, separator)
    decimal = asked.decimal or _find_decimal(sample, separator)
    check_rectangular(source, separator)
    read_text = partial(_read_text, source, separator, header)
    try:
        config = find_columns(sample, asked, decimal, read_text)
    except RowError as error:
        line = source.line_of(error.row, separator)
        raise DataError(f"{source.name}:{line}: {error}") from None
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    config = replace(config, separator=separator, decimal=decimal)
    if asked.time_column is None:
        _check_header(source, config)
    frame = _parse(source, config, header)
    used = (config.id_column, config.time_column, *config.target_columns)
    ignored = tuple(name for name in header if name not in used)
    panel, time_format = _panel(source, config, frame, frequency)
    config = replace(config, time_format=time_format)
    return Table(
        panel=panel, config=config, name=source.name, sha256=source.sha256, ignored=ignored
    )


def _sample(source: Source, separator: str) -> tuple[list[str], pd.DataFrame]:
    """The header and the first rows as text; rows of another width are left for later checks."""
    rows = list(islice(source.rows(separator), SAMPLE_ROWS + 1))
    first, header = rows[0][0], [name.strip() for name in rows[0][1]]
    whole = [cells for _, cells in rows[1:] if len(cells) == len(header)]
    if len(rows) == 1:
        raise DataError(f"{source.name}: there is a header but no row; add rows below it")
    if len(header) == 1:
        raise DataError(
            f"{source.name}:{first}: the header is a single column, '{header[0]}'; "
            "pass --sep, or remove the lines above the header"
        )
    if not whole:
        line, cells = rows[1]
        raise DataError(
            f"{source.name}:{line}: {len(cells)} cells, but the header has {len(header)}; "
            "complete the row or pass --sep"
        )
    return header, pd.DataFrame(whole, columns=pd.Index(header, dtype="str"), dtype="str")


def _find_decimal(sample: pd.DataFrame, separator: str) -> str:
    """A comma where cells such as 1,5 occur and none such as 1.5 does."""
    if separator == ",":
        return "."
    cells = pd.Series(sample.to_numpy().ravel(), dtype="str").str.strip()
    comma = bool(cells.str.fullmatch(r"[+-]?\d+,\d+").any())
    point = bool(cells.str.fullmatch(r"[+-]?\d+\.\d+").any())
    return "," if comma and not point else "."


def _check_header(source: Source, config: DataConfig) -> None:
    """Raise DataError where the first line holds a row rather than names."""
    assert config.separator is not None and config.time_column is not None
    name = config.time_column
    try:
        names = isinstance(parse_times(pd.Series([name], dtype="str")), int)
    except DataError:
        names = False
    if not names:
        line = source.line_of(-1, config.separator)
        raise DataError(
            f"{source.name}:{line}: the first line has values such as '{name}' rather than names; "
            "add a header line or pass --time-col"
        )


def _read_text(
    source: Source, separator: str, header: list[str], columns: Sequence[str]
) -> pd.DataFrame:
    """All rows of some columns as text, without the spaces around it."""
    frame = pd.read_csv(
        io.BytesIO(source.data),
        sep=separator,
        header=0,
        names=header,
        usecols=list(columns),
        dtype="str",
        keep_default_na=False,
        skipinitialspace=True,
        index_col=False,
    )
    stripped: pd.DataFrame = frame.apply(lambda cells: cells.str.strip())
    return stripped


def _parse(source: Source, config: DataConfig, header: list[str]) -> pd.DataFrame:
    """The used columns: id and time as text, targets as numbers."""
    targets = list(config.target_columns)
    texts = [name for name in (config.id_column, config.time_column) if name is not None]
    missing = [*MISSING, *config.na_values]
    try:
        frame = pd.read_csv(
            io.BytesIO(source.data),
            sep=config.separator,
            header=0,
            names=header,
            decimal=config.decimal or ".",
            usecols=[*texts, *targets],
            dtype={**dict.fromkeys(texts, "str"), **dict.fromkeys(targets, "float64")},
            keep_default_na=False,
            na_values={name: missing for name in targets},
            skipinitialspace=True,
            index_col=False,
            float_precision=FLOAT_PRECISION,
        )
    except (ValueError, OverflowError):
        return _parse_cells(source, config, header)
    for name in texts:
        frame[name] = frame[name].str.strip()
    return frame


def _parse_cells(source: Source, config: DataConfig, header: list[str]) -> pd.DataFrame:
    """As `_parse`, cell by cell; raises DataError for the first target that is no number."""
    assert config.separator is not None
    frame = _read_text(source, config.separator, header, header)
    targets = list(config.target_columns)
    cells = frame[targets]
    missing = cells.isin([*MISSING, *config.na_values])
    points = cells.apply(lambda texts: texts.str.replace(config.decimal or ".", ".", regex=False))
    bad = ~(missing | points.apply(lambda texts: texts.str.fullmatch(NUMBER))).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        name = targets[int(np.argmax(bad[row]))]
        line = source.line_of(row, config.separator)
        problem = "the header is repeated here; remove the row"
        if list(frame.iloc[row]) != header:
            problem = f"column '{name}': {_not_a_number(str(cells[name].iloc[row]))}"
        raise DataError(f"{source.name}:{line}: {problem}")
    frame[targets] = points.mask(missing, "nan").astype("float64")
    return frame


def _not_a_number(cell: str) -> str:
    if re.fullmatch(r"[+-]?\d[\d.,' ]*", cell):
        return f"'{cell}' is not a number; pass --decimal, or write it without thousands separators"
    return f"'{cell}' is not a number; pass --na-values '{cell}' or correct the cell"


def _panel(
    source: Source, config: DataConfig, frame: pd.DataFrame, frequency: Frequency | None
) -> tuple[Panel, str | None]:
    """Check the cells, join wide columns to one long table; the panel and the times' format."""
    assert config.separator is not None and config.time_column is not None
    separator = config.separator

    def fail(row: int, column: str, problem: str) -> DataError:
        line = source.line_of(row, separator)
        return DataError(f"{source.name}:{line}: column '{column}': {problem}")

    texts = frame[config.time_column]
    try:
        parsed = parse_times(texts, config.time_format)
    except DataError as error:
        raise DataError(f"{source.name}: column '{config.time_column}': {error}") from None
    if isinstance(parsed, int):
        raise fail(parsed, config.time_column, _no_time(texts.iloc[parsed], config.time_format))
    for name in config.target_columns:
        _check_size(frame[name].to_numpy(), partial(fail, column=name))
    keys, ids = _series_keys(config, frame, fail)
    values = np.concatenate([frame[name].to_numpy() for name in config.target_columns])
    try:
        panel = build_panel(
            keys=keys,
            ids=ids,
            times=np.tile(parsed.times, len(config.target_columns)),
            values=values,
            integer=parsed.integer,
            offset=parsed.offset,
            frequency=frequency,
        )
    except RowError as error:
        raise fail(error.row % len(frame), config.time_column, str(error)) from None
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    return panel, parsed.time_format


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


def _series_keys(
    config: DataConfig, frame: pd.DataFrame, fail: Fail
) -> tuple[IntArray, tuple[str, ...]]:
    """For each row the index of its series, and the ids in order of appearance."""
    if config.id_column is None:
        keys = np.repeat(np.arange(len(config.target_columns)), len(frame))
        return keys, config.target_columns
    texts = frame[config.id_column]
    blank = (texts == "").to_numpy()
    if blank.any():
        row = int(np.argmax(blank))
        raise fail(row, config.id_column, "the id is empty; name the series or remove the row")
    keys, ids = pd.factorize(texts)
    return keys.astype(np.int64), tuple(str(name) for name in ids)
