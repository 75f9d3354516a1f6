"""Covariates from tables beside the one of the series: values known ahead, and static ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.arrays import IntArray
from rnnforecast.columns import DataConfig, Encoding
from rnnforecast.data.calendar import OffGridError
from rnnforecast.data.cells import Cells, open_cells
from rnnforecast.data.covariate_rows import Grid, lay, read_columns
from rnnforecast.data.covariates import Covariates, Spot
from rnnforecast.data.dialects import id_name, time_name
from rnnforecast.data.faults import LocatedError, RowError, split_message
from rnnforecast.data.other_tables import other_kind, own_format
from rnnforecast.data.panel import Panel
from rnnforecast.data.rows import read_times
from rnnforecast.data.schema import listed
from rnnforecast.data.source import open_source
from rnnforecast.data.zones import at_clock
from rnnforecast.errors import DataError

TRAIN_IN_ZONE = "train with --time-zone"


class Merged(NamedTuple):
    """Covariates with those of a second table.

    Attributes:
        covariates: Of both tables.
        unknown: Rows of ids that the panel has no series of; they were left out.
        contradicted: Where the second has another value than the first, which was kept.
        unused: Columns of the second that were not read.
        lacking: Columns that neither has, where the second is to tell of them.
    """

    covariates: Covariates
    unknown: int
    contradicted: Spot | None
    unused: tuple[str, ...]
    lacking: tuple[str, ...]


@contextmanager
def _own_remedies() -> Iterator[None]:
    """Name no option that only tells how DATA are read: what it would settle is to be corrected."""
    try:
        yield
    except DataError as error:
        problem, remedy = split_message(str(error))
        if "--" not in remedy or "-data" in remedy or remedy == TRAIN_IN_ZONE:
            raise
        others = [way for way in remedy.split(", or ") if "--" not in way]
        raise DataError(f"{problem}; {', or '.join(others) or 'correct the file'}") from None


@_own_remedies()
def with_future_data(
    path: str,
    panel: Panel,
    config: DataConfig,
    covariates: Covariates | None = None,
    encodings: tuple[Encoding, ...] = (),
) -> Merged:
    """Take the values of future covariates in the file at `path` where none are known, and ahead.

    It has a column of times, one of ids or, where its rows hold for all series, none, and some of
    `config.future_columns`. Columns of `encodings` are of their kind.

    Raises:
        DataError: The file cannot be used; it names the line.
    """
    cells = _open(path, config)
    time = _column(cells, (str(config.time_column), time_name(config)), "time")
    identifier = _id_column(cells, config)
    series = _series(cells, panel, identifier)
    times = _times(cells, replace(config, time_column=time), panel)
    if identifier is None and config.id_column is not None and len(np.unique(times)) < len(times):
        # Rows of several series, whose column of ids bears another name.
        _column(cells, (config.id_column,), "id")
    repeats = len(series) // len(times)
    times = np.tile(times, repeats)
    positions = np.full(len(times), -1)
    known = np.flatnonzero(series >= 0)
    try:
        positions[known] = panel.frequency.positions(times[known], panel.starts[series[known]])
    except OffGridError as error:
        row = int(known[error.row]) % (len(times) // repeats)
        problem = f"the series have a row every {panel.frequency}, but this one lies between two"
        raise cells.fault(row, f"{problem}; correct the time", time) from None
    _check_unique(cells, time, [series, times], "this time", len(times) // repeats)
    reader = _Reader(cells, config, "future", (identifier, time), encodings)
    return _merged(reader, Grid(panel, series, positions), covariates)


@_own_remedies()
def with_static_data(
    path: str,
    panel: Panel,
    config: DataConfig,
    covariates: Covariates | None = None,
    encodings: tuple[Encoding, ...] = (),
) -> Merged:
    """Take the values of static covariates in the file at `path` where none are known.

    It has a column of ids, a row a series, and some of `config.static_columns`. Columns of
    `encodings` are of their kind.

    Raises:
        DataError: The file cannot be used; it names the line.
    """
    cells = _open(path, config)
    identifier = _id_column(cells, config)
    if identifier is None:
        raise cells.fault(-1, f"there is no column '{id_name(config)}' of ids; add it")
    series = _series(cells, panel, identifier)
    _check_unique(cells, identifier, [series], "a row", len(series))
    grid = Grid(panel, series, np.zeros(len(series), dtype=np.int64))
    return _merged(_Reader(cells, config, "static", (identifier,), encodings), grid, covariates)


def _open(path: str, config: DataConfig) -> Cells:
    """The table; its separator and decimal mark are its own."""
    own = replace(config, separator=None, decimal=None)
    return open_cells(open_source(path, config.encoding), own)


def _column(cells: Cells, names: Sequence[str], kind: str) -> str:
    """The first of `names` that the table has."""
    for name in names:
        if name in cells.header:
            return name
    raise cells.fault(
        -1,
        f"there is no {kind} column '{names[0]}'; name one so, the header has "
        f"{listed(cells.header)}",
    )


def _id_column(cells: Cells, config: DataConfig) -> str | None:
    names = (config.id_column, id_name(config))
    return next((name for name in names if name is not None and name in cells.header), None)


def _series(cells: Cells, panel: Panel, identifier: str | None) -> IntArray:
    """The index of the series of each row, -1 where the panel has none of its id.

    Without a column of ids the rows stand for one series after the other.
    """
    if identifier is None:
        count = len(cells.text(cells.header[:1]))
        return np.repeat(np.arange(len(panel)), count)
    codes, names = pd.factorize(cells.text([identifier])[identifier])
    places = {name: place for place, name in enumerate(panel.ids)}
    known = np.array([places.get(str(name), -1) for name in names], dtype=np.int64)
    return known[codes]


def _times(cells: Cells, config: DataConfig, panel: Panel) -> IntArray:
    """The time of each row, as the frequency of the panel counts."""
    column = str(config.time_column)
    texts = cells.text([column])[column]
    config = replace(config, time_format=own_format(cells, config))
    identifier = _id_column(cells, config)
    series = None if identifier is None else cells.text([identifier])[identifier]
    found = read_times(cells, config, texts, series)
    if wrong := other_kind(found.integer, panel.frequency, "series"):
        raise cells.fault(0, wrong, column)
    frequency = panel.frequency
    if found.became_utc and not frequency.offset:
        problem = "the offsets from UTC vary, and the times of the series have none"
        raise cells.fault(0, f"{problem}; {TRAIN_IN_ZONE}", column)
    return frequency.counted(at_clock(found.times, found.offset, frequency.offset))


def _check_unique(
    cells: Cells, column: str, key: Sequence[IntArray], what: str, count: int
) -> None:
    """Raise DataError where two rows of one series have one key; `count` rows are a table's."""
    twice = pd.DataFrame(dict(enumerate(key))).duplicated().to_numpy() & (key[0] >= 0)
    if twice.any():
        row = int(np.argmax(twice)) % count
        problem = f"the series has {what} twice; remove one of the rows"
        raise LocatedError(cells, RowError(row, problem), column)


class _Reader(NamedTuple):
    """What is read of a table: columns of one role, beside those that tell whose they are."""

    cells: Cells
    config: DataConfig
    role: str
    keys: tuple[str | None, ...]
    encodings: tuple[Encoding, ...]


def _merged(reader: _Reader, grid: Grid, covariates: Covariates | None) -> Merged:
    """The columns of one role, and what there was before."""
    cells, config, role = reader.cells, reader.config, reader.role
    wished = config.future_columns if role == "future" else config.static_columns
    names = [name for name in wished if name in cells.header]
    if not names:
        problem, remedy = f"no column is read as {role}", f"drop --{role}-data"
        if wished:
            problem = f"the table has none of the {role} columns {listed(wished)}"
            remedy = f"name one so, the header has {listed(cells.header)}"
        raise DataError(f"{cells.source.name}: {problem}; {remedy}")
    kinds = {each.name: bool(each.categories) for each in reader.encodings}
    for column in () if covariates is None else covariates.columns:
        if column.observed.any():
            kinds[column.name] = column.texts is not None
    kinds |= dict.fromkeys(config.categorical_columns, True)
    laid = lay(read_columns(cells, config, names, kinds), grid, config, cells)
    laid = laid.beside(cells.source.name)
    contradicted, whole = None, laid
    if covariates is not None:
        contradicted = covariates.contradicted(laid, grid.panel)
        whole = covariates.with_added(laid, config)
    return Merged(
        covariates=whole,
        unknown=int(np.count_nonzero(grid.series < 0)),
        contradicted=contradicted,
        unused=tuple(name for name in cells.header if name not in (*names, *reader.keys)),
        lacking=tuple(name for name in wished if name not in names and not whole.knows_ahead(name)),
    )
