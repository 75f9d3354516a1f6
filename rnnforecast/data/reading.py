"""Reading a table into a panel, with every fault named by file, line and column."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from rnnforecast.config import DataConfig
from rnnforecast.data.calendar import IntArray, parse_times
from rnnforecast.data.panel import Panel, RowError, build_panel
from rnnforecast.data.schema import MISSING, SAMPLE_ROWS, find_columns
from rnnforecast.data.source import Source, check_rectangular, find_separator, open_source
from rnnforecast.errors import DataError

Fail = Callable[[int, str, str], DataError]


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


def parse_table(source: Source, asked: DataConfig) -> Table:
    """As `read_table`, from bytes already at hand."""
    separator = asked.separator or find_separator(source)
    header, sample = _sample(source, separator)
    decimal = asked.decimal or _find_decimal(sample, separator)
    check_rectangular(source, separator)
    try:
        config = find_columns(sample, asked, decimal, partial(_read_text, source, separator))
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    config = replace(config, separator=separator, decimal=decimal)
    frame = _parse(source, config)
    used = (config.id_column, config.time_column, *config.target_columns)
    ignored = tuple(name for name in header if name not in used)
    panel = _panel(source, config, frame)
    return Table(
        panel=panel, config=config, name=source.name, sha256=source.sha256, ignored=ignored
    )


def _sample(source: Source, separator: str) -> tuple[list[str], pd.DataFrame]:
    """The header and the first rows as text; rows of another width are left for later checks."""
    rows = list(islice(source.rows(separator), SAMPLE_ROWS + 1))
    header = rows[0][1]
    whole = [cells for _, cells in rows[1:] if len(cells) == len(header)]
    if len(rows) == 1:
        raise DataError(f"{source.name}: there is a header but no row; add rows below it")
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


def _read_text(source: Source, separator: str, columns: Sequence[str]) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(source.data),
        sep=separator,
        usecols=list(columns),
        dtype="str",
        keep_default_na=False,
        skipinitialspace=True,
        index_col=False,
    )


def _parse(source: Source, config: DataConfig) -> pd.DataFrame:
    """The used columns: id and time as text, targets as numbers."""
    targets = list(config.target_columns)
    texts = [name for name in (config.id_column, config.time_column) if name is not None]
    missing = [*MISSING, *config.na_values]
    try:
        return pd.read_csv(
            io.BytesIO(source.data),
            sep=config.separator,
            decimal=config.decimal or ".",
            usecols=[*texts, *targets],
            dtype={**dict.fromkeys(texts, "str"), **dict.fromkeys(targets, "float64")},
            keep_default_na=False,
            na_values={name: missing for name in targets},
            skipinitialspace=True,
            index_col=False,
            float_precision="round_trip",
        )
    except (ValueError, OverflowError) as error:
        _explain_bad_number(source, config)
        raise DataError(f"{source.name}: {error}; correct the file") from None


def _explain_bad_number(source: Source, config: DataConfig) -> None:
    """Raise DataError for the first target cell that is no number."""
    assert config.separator is not None
    rows = source.rows(config.separator)
    header = next(rows)[1]
    missing = (*MISSING, *config.na_values)
    for line, cells in rows:
        for name in config.target_columns:
            cell = cells[header.index(name)].strip()
            if cell in missing:
                continue
            try:
                float(cell.replace(config.decimal or ".", "."))
            except ValueError:
                raise DataError(
                    f"{source.name}:{line}: column '{name}': '{cell}' is not a number; "
                    f"pass --na-values '{cell}' or correct the cell"
                ) from None


def _panel(source: Source, config: DataConfig, frame: pd.DataFrame) -> Panel:
    """Check the cells, join wide columns to one long table, and build the panel."""
    assert config.separator is not None and config.time_column is not None
    separator, rows = config.separator, len(frame)

    def fail(row: int, column: str, problem: str) -> DataError:
        line = source.line_of(row % rows, separator)
        return DataError(f"{source.name}:{line}: column '{column}': {problem}")

    texts = frame[config.time_column]
    parsed = parse_times(texts, config.time_format)
    if isinstance(parsed, int):
        cell = texts.iloc[parsed]
        problem = f"'{cell}' is no time in the format of the other rows"
        raise fail(parsed, config.time_column, f"{problem}; correct it or pass --time-format")
    times, integer, offset = parsed
    for name in config.target_columns:
        infinite = np.isinf(frame[name].to_numpy())
        if infinite.any():
            row = int(np.argmax(infinite))
            raise fail(row, name, "the value is infinite; correct the cell or leave it empty")
    keys, ids = _series_keys(config, frame, fail)
    values = np.concatenate([frame[name].to_numpy() for name in config.target_columns])
    try:
        return build_panel(
            keys=keys,
            ids=ids,
            times=np.tile(times, len(config.target_columns)),
            values=values,
            integer=integer,
            offset=offset,
        )
    except RowError as error:
        raise fail(error.row, config.time_column, str(error)) from None
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None


def _series_keys(
    config: DataConfig, frame: pd.DataFrame, fail: Fail
) -> tuple[IntArray, tuple[str, ...]]:
    """For each row the index of its series, and the ids in order of appearance."""
    if config.id_column is None:
        keys = np.repeat(np.arange(len(config.target_columns)), len(frame))
        return keys, config.target_columns
    texts = frame[config.id_column]
    blank = (texts.str.strip() == "").to_numpy()
    if blank.any():
        row = int(np.argmax(blank))
        raise fail(row, config.id_column, "the id is empty; name the series or remove the row")
    keys, ids = pd.factorize(texts)
    return keys.astype(np.int64), tuple(str(name) for name in ids)
