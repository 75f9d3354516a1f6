"""Covariates as a table has them: what is known beside the values of a panel, not yet encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnnforecast.arrays import BoolArray, IntArray, ends_of, steps_of
from rnnforecast.columns import DataConfig
from rnnforecast.data.panel import Panel

# Numbers with NaN where missing, or codes of categories with -1 where missing.
CellValues = npt.NDArray[Any]
# Of the spread of a column: templates, and what models keep, are rounded to a few millionths.
ROUNDING = 2e-5


class Spot(NamedTuple):
    """The first of some cells, and how many there are.

    Attributes:
        column: The covariate's.
        series: The id.
        time: As forecasts write it; "" of a static covariate.
        cells: In all.
    """

    column: str
    series: str
    time: str
    cells: int

    def __str__(self) -> str:
        at = f" at {self.time}" if self.time else ""
        more = f" (and {self.cells - 1} more)" if self.cells > 1 else ""
        return f"column '{self.column}' of series '{self.series}'{at}{more}"


class Beside(NamedTuple):
    """What a table beside that of the series told.

    Attributes:
        table: The name of its file.
        told: Which values these are, in the shape of the column's.
    """

    table: str
    told: BoolArray


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """One column.

    Attributes:
        name: The column's.
        role: When it is known.
        values: Of a past one beside each value of the panel [total], of a future one as
            `Covariates.future_offsets` says [row], of a static one [series]; numbers with NaN where
            missing, or codes of categories with -1 where missing.
        texts: What each code means, ascending; None of numbers.
        beside: Those of another table; None: all are of one.
    """

    name: str
    role: str
    values: CellValues
    texts: tuple[str, ...] | None
    beside: Beside | None = None

    @property
    def observed(self) -> BoolArray:
        """Where a value is known, in the shape of `values`."""
        known: BoolArray = ~np.isnan(self.values) if self.texts is None else self.values >= 0
        return known


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """Covariates of the series of a panel.

    Attributes:
        columns: In the order of DataConfig: static, past, future.
        starts: The time of the first value of each series of the panel [series].
        offsets: As of the panel [series + 1].
        future_offsets: What is known ahead of series `i` from its first value on is
            `values[future_offsets[i]:future_offsets[i + 1]]` [series + 1].
    """

    columns: tuple[Covariate, ...]
    starts: IntArray
    offsets: IntArray
    future_offsets: IntArray

    @cached_property
    def by_name(self) -> dict[str, Covariate]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @property
    def categorical(self) -> tuple[str, ...]:
        """The names of those that are categories."""
        return tuple(column.name for column in self.columns if column.texts is not None)

    def beside(self, table: str) -> Covariates:
        """These, as the table beside that of the series told, which is so called."""
        columns = (replace(each, beside=Beside(table, each.observed)) for each in self.columns)
        return replace(self, columns=tuple(columns))

    def with_added(self, added: Covariates, config: DataConfig) -> Covariates:
        """These and those of another table of the same panel.

        Where both have a value these hold, but ahead of a series the others: plans are revised.
        """
        older, newer = self._on_one_grid(added)
        columns = dict(older.by_name)
        for column in newer.columns:
            filled, told = column, column.observed
            if (first := columns.get(column.name)) is not None:
                told = told & (older._revisable(first) | ~first.observed)
                filled = _filled(first, column, told)
            beside = column.beside and column.beside._replace(told=told)
            columns[column.name] = replace(filled, beside=beside)
        ordered = tuple(columns[name] for name in config.covariates if name in columns)
        return replace(older, columns=ordered)

    def by_table(self, main: str) -> Iterator[tuple[str, Covariates]]:
        """Each table by its name, that of the series, `main`, first, with what is of it alone."""
        beside = [each.beside.table for each in self.columns if each.beside is not None]
        for table in (None, *dict.fromkeys(beside)):
            columns = tuple(_told_by(table, each) for each in self.columns)
            yield main if table is None else table, replace(self, columns=columns)

    def knows_ahead(self, name: str) -> bool:
        """Whether there is a value of this column that forecasts may read after the ends."""
        column = self.by_name.get(name)
        if column is None:
            return False
        ahead = column.role == "static" or self._revisable(column)
        return bool(np.any(column.observed & ahead))

    def contradicted(self, added: Covariates, panel: Panel) -> Spot | None:
        """Where another table of the same panel has other values than these, which hold."""
        older, newer = self._on_one_grid(added)
        return older.first(
            {
                column.name: _differing(column, newer.by_name[column.name])
                & ~older._revisable(column)
                for column in older.columns
                if column.name in newer.by_name
            },
            panel,
        )

    def first(self, marked: Mapping[str, BoolArray], panel: Panel) -> Spot | None:
        """The first of the cells marked, each column in the shape of its values; None: no one.

        The panel is the one that the covariates were read with, or a part of it.
        """
        cells = sum(int(np.count_nonzero(each)) for each in marked.values())
        for name, each in marked.items():
            if each.any():
                series, time = int(np.argmax(each)), ""
                role = self.by_name[name].role
                if role != "static":
                    offsets = self.offsets if role == "past" else self.future_offsets
                    row = series
                    series = int(np.searchsorted(offsets, row, side="right")) - 1
                    position = np.array([row - offsets[series]])
                    at = panel.frequency.times(self.starts[[series]], position)
                    time = str(panel.frequency.format(at)[0])
                return Spot(name, panel.ids[series], time, cells)
        return None

    def _revisable(self, column: Covariate) -> BoolArray:
        """Which values lie ahead of their series, in the shape of the column's."""
        if column.role != "future":
            return np.zeros(len(column.values), dtype=bool)
        known = np.diff(self.future_offsets)
        lengths: IntArray = np.diff(self.offsets)
        return steps_of(known) >= np.repeat(lengths, known)

    def _on_one_grid(self, added: Covariates) -> tuple[Covariates, Covariates]:
        """These and others, with room for what either knows ahead."""
        lengths = np.maximum(np.diff(self.future_offsets), np.diff(added.future_offsets))
        offsets = ends_of(lengths)
        older, newer = (
            replace(
                part,
                columns=tuple(_moved(each, part.future_offsets, offsets) for each in part.columns),
                future_offsets=offsets,
            )
            for part in (self, added)
        )
        return older, newer


def _moved(column: Covariate, offsets: IntArray, longer: IntArray) -> Covariate:
    """A future column with room for what is known further ahead."""
    if column.role != "future":
        return column
    missing = np.nan if column.texts is None else -1
    values = np.full(int(longer[-1]), missing, dtype=column.values.dtype)
    lengths = np.diff(offsets)
    shift = np.repeat(longer[:-1] - offsets[:-1], lengths)
    values[np.arange(len(column.values)) + shift] = column.values
    return replace(column, values=values)


def _told_by(table: str | None, column: Covariate) -> Covariate:
    """A column with what the table beside that is so called told alone; None: the main one."""
    other = np.zeros(len(column.values), dtype=bool)
    if column.beside is not None and table in (None, column.beside.table):
        other = column.beside.told
    missing = np.nan if column.texts is None else -1
    return replace(column, values=np.where(other == (table is not None), column.values, missing))


def _filled(older: Covariate, newer: Covariate, told: BoolArray) -> Covariate:
    """The newer where it is told of, else the older.

    Without any value, either has no kind.
    """
    if not older.observed.any():
        return newer
    if not newer.observed.any():
        return older
    older, newer = _of_one_code(older, newer)
    return replace(older, values=np.where(told, newer.values, older.values))


def _differing(older: Covariate, newer: Covariate) -> BoolArray:
    """Where both are known and are not the same."""
    both: BoolArray = older.observed & newer.observed
    if not both.any():
        return both
    older, newer = _of_one_code(older, newer)
    if older.texts is not None:
        both &= older.values != newer.values
        return both
    slack = ROUNDING * float(np.std(older.values[older.observed]))
    return both & ~np.isclose(older.values, newer.values, rtol=ROUNDING, atol=slack)


def _of_one_code(older: Covariate, newer: Covariate) -> tuple[Covariate, Covariate]:
    """Categories with the texts of both, numbers as they are."""
    if older.texts is None or newer.texts is None:
        return older, newer
    texts = tuple(sorted({*older.texts, *newer.texts}))
    one, other = (
        replace(part, values=_recoded(part, texts), texts=texts) for part in (older, newer)
    )
    return one, other


def _recoded(column: Covariate, texts: Sequence[str]) -> IntArray:
    places = {text: place for place, text in enumerate(texts)}
    codes = np.array([*(places[text] for text in column.texts or ()), -1])
    recoded: IntArray = codes[column.values.astype(np.int64)]
    return recoded


def with_categories(config: DataConfig, covariates: Covariates | None) -> DataConfig:
    """A configuration that tells which columns were found to be categories, too."""
    found = () if covariates is None else covariates.categorical
    return replace(
        config, categorical_columns=tuple(dict.fromkeys((*config.categorical_columns, *found)))
    )
