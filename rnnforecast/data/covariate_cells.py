"""Cells of a covariate as numbers, or as the codes of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.arrays import BoolArray, FloatArray, IntArray
from rnnforecast.data.faults import Fault, RowError
from rnnforecast.data.schema import LARGEST_VALUE

# The share of numbers from which a column is one of numbers, and other cells are faults.
MOSTLY = 0.5


class Read(NamedTuple):
    """The cells of one column.

    Attributes:
        values: Numbers, NaN where missing, or codes, -1 where missing [row].
        texts: What each code means, ascending; None of numbers.
    """

    values: FloatArray | IntArray
    texts: tuple[str, ...] | None


def read_cells(
    cells: pd.Series[str],
    missing: Sequence[str],
    decimal: str,
    *,
    categorical: bool | None = None,
    column: str,
) -> Read:
    """Read a column, as numbers if every observed cell is one.

    Args:
        cells: All of them, as text [row].
        missing: The texts that mean none.
        decimal: The decimal mark.
        categorical: Whether they are categories, where that is known.
        column: The name, for messages.

    Raises:
        RowError: A cell is no number though they are to be, or most others are; or infinite.
    """
    # Covariates repeat few cells, and to read each of these once is enough.
    codes, distinct = pd.factorize(cells)
    texts = pd.Series(distinct, dtype="str")
    observed = ~texts.isin(missing).to_numpy()
    numbers = _numbers(texts, decimal)
    unread = observed & np.isnan(numbers)
    if categorical is None:
        rows = np.bincount(codes, minlength=len(texts))
        mostly = rows[observed & ~unread].sum() > MOSTLY * rows[observed].sum()
        categorical = bool(unread.any()) and not mostly
    if categorical:
        return _categories(codes, texts, observed)
    if unread.any():
        remedy = f"correct it, pass it as --na-values, or pass --categorical {column}"
        raise _fault(cells, unread[codes], "'{}' is not a number", remedy)
    numbers[~observed] = np.nan
    large = np.abs(numbers) > LARGEST_VALUE
    if large.any():
        remedy = "correct the cell or leave it empty"
        raise _fault(cells, large[codes], "'{}' is infinite or too large to square", remedy)
    return Read(numbers[codes], None)


def _numbers(texts: pd.Series[str], decimal: str) -> FloatArray:
    """The texts as numbers, NaN where one is none."""
    points = texts.str.replace(decimal, ".", regex=False) if decimal != "." else texts
    # pandas would read true and false as 1 and 0.
    flags = points.str.lower().isin(("true", "false"))
    numbers: FloatArray = pd.to_numeric(points.mask(flags, "no"), errors="coerce").to_numpy(
        dtype=np.float64, copy=True
    )
    return numbers


def _categories(codes: IntArray, texts: pd.Series[str], observed: BoolArray) -> Read:
    """Codes in the order of the texts, which no row that comes later changes."""
    names = sorted(texts[observed])
    places = {name: place for place, name in enumerate(names)}
    recoded = np.array([places.get(name, -1) for name in texts], dtype=np.int64)
    return Read(recoded[codes], tuple(names))


def _fault(cells: pd.Series[str], faulty: BoolArray, problem: str, remedy: str) -> RowError:
    """Of the first faulty row; told of all."""
    rows = np.flatnonzero(faulty)

    def fault(row: int) -> Fault:
        return Fault(row, problem.format(cells.iloc[row]), remedy)

    first = fault(int(rows[0]))
    return RowError(
        int(rows[0]),
        f"{first.problem}; {remedy}",
        faults=lambda: [fault(int(row)) for row in rows],
        left_out=lambda: rows,
    )
