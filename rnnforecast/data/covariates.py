"""Covariates as a table has them: what is known beside the values of a panel, not yet encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnforecast.arrays import BoolArray, IntArray
from rnnforecast.columns import DataConfig

# Numbers with NaN where missing, or codes of categories with -1 where missing.
CellValues = npt.NDArray[Any]


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
    """

    name: str
    role: str
    values: CellValues
    texts: tuple[str, ...] | None

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
    def names(self) -> tuple[str, ...]:
        """Of all columns."""
        return tuple(self.by_name)

    @property
    def categorical(self) -> tuple[str, ...]:
        """The names of those that are categories."""
        return tuple(column.name for column in self.columns if column.texts is not None)

    def with_added(self, added: Covariates, config: DataConfig) -> Covariates:
        """Those of another table of the same panel put over these, where it has a value."""
        lengths = np.maximum(np.diff(self.future_offsets), np.diff(added.future_offsets))
        offsets = ends_of(lengths)
        columns = {
            column.name: _moved(column, part.future_offsets, offsets)
            for part in (self, added)
            for column in part.columns
            if part is self or column.name not in self.by_name
        }
        for name in set(added.names) & set(self.names):
            newer = _moved(added.by_name[name], added.future_offsets, offsets)
            columns[name] = _put_over(columns[name], newer)
        ordered = tuple(columns[name] for name in config.covariates if name in columns)
        return replace(self, columns=ordered, future_offsets=offsets)


def ends_of(lengths: IntArray) -> IntArray:
    """Where parts of these lengths end that lie one after the other, from 0 on [part + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


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


def _put_over(older: Covariate, newer: Covariate) -> Covariate:
    """The newer where it is known, else the older; without any value, this has no kind."""
    if not older.observed.any():
        return newer
    if not newer.observed.any():
        return older
    if older.texts is None or newer.texts is None:
        return replace(older, values=np.where(newer.observed, newer.values, older.values))
    texts = sorted({*older.texts, *newer.texts})
    codes = [_recoded(part, texts) for part in (newer, older)]
    return replace(older, values=np.where(newer.observed, *codes), texts=tuple(texts))


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
