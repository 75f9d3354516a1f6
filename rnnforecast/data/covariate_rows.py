"""From rows of a table to covariates of a panel.

    role     known                       rows that tell of it
    -------  --------------------------  ---------------------------------------------------------
    static   of the series               all of the series, which must agree
    past     up to the cutoff            those from the first to the last value of the series
    future   ahead                       these, and those after the last value

Where several rows fall on one step, as with `--resample`, the last by time of their categories is
kept, and with `--agg last` of their numbers. Otherwise these are averaged: a price or a temperature
of parts of a step is no summand, even where the target is summed. As with the target, of rows that
have one time the greater value is the later, so that the order of the rows in a file is no matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.arrays import IntArray, ends_of
from rnnforecast.columns import DataConfig
from rnnforecast.data.cells import Cells
from rnnforecast.data.covariate_cells import Read, read_cells
from rnnforecast.data.covariates import Covariate, Covariates
from rnnforecast.data.faults import Fault, LocatedError, RowError
from rnnforecast.data.gridding import SPARSEST, Gridded
from rnnforecast.data.panel import Panel
from rnnforecast.data.resampling import join
from rnnforecast.data.schema import MISSING

# Steps after the last value that rows may skip without doubt about their times.
FEW_STEPS = 1000


class Grid(NamedTuple):
    """Where the rows of a table lie on the series of a panel.

    Attributes:
        panel: The series.
        series: The index of the series of each row, -1 where it is of none [row].
        positions: Steps after its first value [row].
        times: When each row was, where several may lie on one step [row].
    """

    panel: Panel
    series: IntArray
    positions: IntArray
    times: IntArray | None = None


def read_covariates(
    cells: Cells, config: DataConfig, gridded: Gridded, times: IntArray
) -> Covariates | None:
    """The covariates of the rows of a table; None where no column is said to be one.

    Columns that the table lacks are left out: another may have them. `times` are those of the rows
    of the table before any were joined to steps.

    Raises:
        DataError: A cell cannot be used, or what is static changes; it names the line.
    """
    if not config.covariates:
        return None
    names = [name for name in config.covariates if name in cells.header]
    read = read_columns(cells, config, names, dict.fromkeys(config.categorical_columns, True))
    grid = Grid(gridded.panel, gridded.series, gridded.positions)
    if config.resample is not None:
        grid = grid._replace(times=np.tile(times, len(gridded.series) // max(len(times), 1)))
    return lay(read, grid, config, cells)


def read_columns(
    cells: Cells, config: DataConfig, names: Sequence[str], categorical: Mapping[str, bool]
) -> dict[str, Read]:
    """The cells of some columns, one row a row of the table.

    Raises:
        DataError: A cell cannot be used; it names the line.
    """
    texts = cells.text(names) if names else pd.DataFrame()
    missing = (*MISSING, *config.na_values)
    read = {}
    for name in names:
        try:
            read[name] = read_cells(
                texts[name],
                missing,
                cells.decimal,
                categorical=categorical.get(name),
                column=name,
            )
        except RowError as error:
            raise LocatedError(cells, error, name) from None
    return read


def lay(read: Mapping[str, Read], grid: Grid, config: DataConfig, cells: Cells) -> Covariates:
    """Columns of a table on the panel of `grid`, whose rows are those of the table.

    In wide form, these are the rows of the table for one series after the other.

    Raises:
        DataError: What is static changes, or a row lies too far ahead; it names the line.
    """
    panel = grid.panel
    count = max((len(part.values) for part in read.values()), default=0)
    columns = [
        Covariate(
            name=name,
            role=config.role_of(name),
            values=np.tile(part.values, len(grid.series) // max(count, 1)),
            texts=part.texts,
        )
        for name, part in read.items()
    ]
    column = config.time_column
    try:
        reach = _reach(grid, [each for each in columns if each.role == "future"])
        offsets, laid = {"past": panel.offsets, "future": ends_of(reach)}, []
        for each in columns:
            column, how = each.name, "last" if config.aggregate == "last" else "mean"
            static = each.role == "static"
            laid.append(_of_series(each, grid) if static else _of_steps(each, grid, offsets, how))
    except RowError as error:
        raise LocatedError(cells, error, column, count) from None
    return Covariates(
        columns=tuple(laid),
        starts=panel.starts,
        offsets=panel.offsets,
        future_offsets=offsets["future"],
    )


def _reach(grid: Grid, columns: Sequence[Covariate]) -> IntArray:
    """Steps of each series up to the last at which one of the columns is known, or its end."""
    lengths = grid.panel.lengths
    known = np.zeros(len(grid.series), dtype=bool)
    for column in columns:
        known |= column.observed
    ahead = grid.positions - lengths[grid.series]
    known &= (ahead >= 0) & (grid.series >= 0)
    reach = lengths.copy()
    np.maximum.at(reach, grid.series[known], grid.positions[known] + 1)
    beyond = reach - lengths
    counts = np.bincount(grid.series[known], minlength=len(lengths))
    far = (beyond > FEW_STEPS) & (counts < SPARSEST * beyond)
    if far.any():
        at = int(np.argmax(far))
        row = int(np.argmax(known & (grid.series == at) & (ahead == beyond[at] - 1)))
        raise RowError(
            row,
            f"series '{grid.panel.ids[at]}' has no value in the {beyond[at]} steps up to this row, "
            "and few rows between; correct the time or remove the row",
        )
    return reach


def _of_steps(column: Covariate, grid: Grid, ends: Mapping[str, IntArray], how: str) -> Covariate:
    """A past or future column beside the steps of each series, which end where its role says.

    Numbers of one step are joined as `how` says, `mean` or `last`.
    """
    offsets = ends[column.role]
    lengths = np.diff(offsets)[grid.series]
    used = column.observed & (grid.series >= 0)
    used &= (grid.positions >= 0) & (grid.positions < lengths)
    places = offsets[grid.series[used]] + grid.positions[used]
    values = column.values[used].astype(np.float64)
    order = np.arange(len(places))
    if grid.times is not None:
        order = np.lexsort((values, grid.times[used], places))
    how = how if column.texts is None else "last"
    joined = join(values, places, order, how, int(offsets[-1]))
    if column.texts is None:
        return replace(column, values=joined)
    return replace(column, values=np.where(np.isnan(joined), -1, joined).astype(np.int64))


def _of_series(column: Covariate, grid: Grid) -> Covariate:
    """The one value of each series.

    Raises:
        RowError: A series has two.
    """
    observed = np.flatnonzero(column.observed & (grid.series >= 0))
    values, series = column.values[observed], grid.series[observed]
    missing = np.nan if column.texts is None else -1
    laid = np.full(len(grid.panel), missing, dtype=column.values.dtype)
    # Of equal places the last that is written stays: here the first of the table.
    laid[series[::-1]] = values[::-1]
    differs = values != laid[series]
    if differs.any():

        def shown(value: float | int) -> str:
            return f"{value:g}" if column.texts is None else f"'{column.texts[int(value)]}'"

        def fault(at: int) -> Fault:
            name = grid.panel.ids[series[at]]
            own, first = shown(values[at]), shown(laid[series[at]])
            problem = f"series '{name}' has {own} here and {first} before, but is to be static"
            remedy = "correct it, or pass the column as --past or --future"
            return Fault(int(observed[at]), problem, remedy, series=name)

        rows = np.flatnonzero(differs)
        first = fault(int(rows[0]))
        raise RowError(
            int(observed[rows[0]]),
            f"{first.problem}; {first.remedy}",
            faults=lambda: [fault(int(row)) for row in rows],
            left_out=lambda: observed[rows],
        )
    return replace(column, values=laid)
