"""Reading a table into a panel, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.arrow import read_regular
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.cells import marked_thousands
from rnnforecast.data.covariate_rows import read_covariates
from rnnforecast.data.covariates import Covariates, with_categories
from rnnforecast.data.grid_faults import none_observed, off_clock
from rnnforecast.data.gridding import Gridded, build_panel
from rnnforecast.data.missing import fill
from rnnforecast.data.panel import Panel
from rnnforecast.data.resampling import parse_step, resample
from rnnforecast.data.rows import Rows, find_rows
from rnnforecast.data.source import Source, open_source
from rnnforecast.data.timestamps import BECAME_UTC, Times, kept_as_trained
from rnnforecast.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """What was read.

    Attributes:
        panel: The series.
        config: The columns and the dialect, with nothing left open.
        name: What messages call the file.
        sha256: Of the table's text.
        ignored: Columns that are neither id, time nor target.
        unobserved: The ids of series that are left out, as they have no observed value.
        covariates: The columns that are read beside the target, aligned with the panel.
        notes: What is to be said of how it was read.
    """

    panel: Panel
    config: DataConfig
    name: str
    sha256: str
    ignored: tuple[str, ...]
    unobserved: tuple[str, ...] = ()
    covariates: Covariates | None = None
    notes: tuple[str, ...] = ()


def read_table(paths: str | Sequence[str], asked: DataConfig) -> Table:
    """Read the series in a file ("-": standard input), or in several as one table.

    Raises:
        DataError: The file, its columns, a cell or the times cannot be used.
    """
    return parse_table(open_source(paths, asked.encoding, asked.separator), asked)


def parse_table(source: Source, asked: DataConfig, frequency: Frequency | None = None) -> Table:
    """As `read_table`, from bytes already at hand; `frequency` holds the times to a known one."""
    if source.is_large and (table := _parse_regular(source, asked, frequency)) is not None:
        return table
    return lay_rows(find_rows(source, asked), asked, frequency)


def lay_rows(rows: Rows, asked: DataConfig, frequency: Frequency | None = None) -> Table:
    """The series of rows that have been read, and what stands beside them."""
    series = rows.series()
    times, note = rows.times, BECAME_UTC if rows.times.became_utc else None
    if frequency is not None:
        joined = asked.resample is not None
        times, note = kept_as_trained(times, frequency, joined=joined) or (times, note)
    try:
        gridded, left_out = _grid(rows, series, times, asked, frequency)
        if gridded.unobserved and asked.missing == "error":
            raise _refused(gridded, rows.config)
        panel = fill(gridded.panel, asked.missing)
    except DataError as error:
        raise rows.located(_clock_fault(rows, asked, error, frequency) or error) from None
    covariates = read_covariates(rows.cells, rows.config, gridded, times.times)
    return Table(
        panel=panel,
        config=with_categories(_kept(rows.config, panel), covariates),
        name=rows.cells.source.name,
        sha256=rows.cells.source.sha256,
        ignored=ignored_columns(rows),
        unobserved=gridded.unobserved,
        covariates=covariates,
        notes=(*([note] if note else []), *left_out, *_fractions(rows)),
    )


def _refused(gridded: Gridded, config: DataConfig) -> DataError:
    """The error of series without a value where none may be missing."""
    remedy = "fill in values, or pass --missing mask to leave out the series"
    if config.id_column is None:
        columns = {"target_columns": gridded.panel.ids}
        return none_observed(gridded.unobserved, remedy, settled=columns)
    return none_observed(
        gridded.unobserved, remedy, left_out=lambda: np.flatnonzero(gridded.series < 0)
    )


def _kept(config: DataConfig, panel: Panel) -> DataConfig:
    """In wide form, without the columns that are left out: newer data may lack them."""
    return config if config.id_column else replace(config, target_columns=panel.ids)


def _fractions(rows: Rows) -> Iterator[str]:
    """Which numbers were read as fractions though their marks may be those of thousands."""
    for _, name, text in marked_thousands(rows.cells, rows.config.target_columns):
        yield (
            f"'{text}' in column '{name}' is read as a fraction; if its mark is of thousands, "
            f"write the numbers without such marks, else pass --decimal '{rows.cells.decimal}'"
        )


def _grid(
    rows: Rows,
    series: tuple[IntArray, tuple[str, ...]],
    found: Times,
    asked: DataConfig,
    frequency: Frequency | None,
) -> tuple[Gridded, list[str]]:
    """The rows at the times found, and what is said of steps that are left out."""
    keys, ids = series
    times, values = np.tile(found.times, len(rows.config.target_columns)), rows.values
    left_out = []
    if asked.resample is not None:
        step = parse_step(asked.resample, integer=found.integer, offset=found.offset)
        times, values, late, early = resample(
            keys=keys, times=times, values=values, frequency=step, how=asked.aggregate
        )
        frequency = frequency or step
        left_out = [
            f"the rows of {len(series)} series {edge} within a step of {asked.resample}: this "
            f"{which} step is left out"
            for series, edge, which in ((late, "begin", "first"), (early, "stop", "last"))
            if len(series)
        ]
    gridded = build_panel(
        keys=keys,
        ids=ids,
        times=times,
        values=values,
        joined=asked.resample is not None,
        integer=found.integer,
        offset=found.offset,
        frequency=frequency,
    )
    return gridded, left_out


def _clock_fault(
    rows: Rows, asked: DataConfig, error: DataError, known: Frequency | None
) -> DataError | None:
    """The error of rows that are regular by the clocks whose offsets they bear alone, if any."""
    if rows.times.written is None:
        return None
    zone = rows.times.find_zone()
    local = rows.times.times + (0 if zone else rows.times.written)
    times = rows.times._replace(times=local, offset=zone or "")
    try:
        gridded, _ = _grid(rows, rows.series(), times, asked, None)
    except DataError:
        return None
    column = str(rows.config.time_column)
    return off_clock(gridded.panel.frequency, zone, column, error, trained=known is not None)


def _parse_regular(source: Source, asked: DataConfig, frequency: Frequency | None) -> Table | None:
    """The same table in a fraction of the time, where it is an ordinary one of regular series."""
    regular = read_regular(source, asked, frequency)
    if regular is None or (regular.unobserved and asked.missing == "error"):
        return None
    try:
        panel = fill(regular.panel, asked.missing)
    except DataError:  # which has to name a line
        return None
    return Table(
        panel=panel,
        config=_kept(regular.config, panel),
        name=source.name,
        sha256=regular.sha256,
        ignored=_unused(regular.header, regular.config),
        unobserved=regular.unobserved,
    )


def ignored_columns(rows: Rows) -> tuple[str, ...]:
    """The columns that are neither id, time, target nor covariates."""
    return _unused(rows.cells.header, rows.config)


def _unused(header: Sequence[str], config: DataConfig) -> tuple[str, ...]:
    used = (config.id_column, config.time_column, *config.target_columns, *config.covariates)
    return tuple(name for name in header if name not in used)
