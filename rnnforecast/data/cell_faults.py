"""Cells that cannot be read as what their column holds: numbers and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from rnnforecast.arrays import BoolArray, IntArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.faults import MOST, Fault, RowError
from rnnforecast.data.schema import LARGEST_VALUE
from rnnforecast.data.timestamps import Times
from rnnforecast.errors import DataError

# Different texts of a file that may all stand for missing values.
FEW_MARKS = 3
HEADER = "the header is repeated here", "remove the row"
Parse = Callable[["pd.Series[str]"], Times | int]
NO_ID = "the id is empty", "name the series or remove the row"


def row_faults(rows: IntArray, problem: str, remedy: str) -> RowError:
    """The error of rows that all have one problem, ascending [fault]."""
    return RowError(
        int(rows[0]),
        f"{problem}; {remedy}",
        faults=lambda: [Fault(row, problem, remedy) for row in rows.tolist()],
        left_out=lambda: rows,
    )


def number_faults(table: pd.DataFrame, bad: BoolArray, config: DataConfig) -> RowError:
    """The error of cells that are no numbers.

    Args:
        table: All columns, as text.
        bad: Which cells of the target columns are none [row, target].
        config: The target columns, and what means a missing value.
    """
    targets, header = list(config.target_columns), list(map(str, table.columns))
    texts, rows = table.to_numpy(), np.flatnonzero(bad.any(axis=1))
    repeated = [row for row in rows.tolist() if texts[row].tolist() == header]
    places = [header.index(name) for name in targets]

    def faults() -> Iterator[Fault]:
        for row in rows.tolist():
            if row in headers:
                yield Fault(row, *HEADER)
                continue
            for target in np.flatnonzero(bad[row]).tolist():
                yield Fault(row, *_no_number(str(texts[row, places[target]])), targets[target])

    headers = set(repeated)
    kept = bad.copy()
    kept[repeated] = False
    marks = pd.unique(texts[:, places][kept])
    words = len(marks) <= FEW_MARKS and not any(re.search(r"\d", mark) for mark in marks)
    # A column of words alone is no target with missing values.
    few = words and len(marks) > 0 and bool(kept.mean(axis=0).max() < 0.5)
    first = next(faults())
    return RowError(
        int(rows[0]),
        f"{first.problem}; {first.remedy}",
        faults=lambda: list(faults()),
        left_out=lambda: np.array(repeated, dtype=np.int64),
        column=first.column,
        settled={"na_values": (*config.na_values, *map(str, marks))} if few else {},
    )


def _no_number(cell: str) -> tuple[str, str]:
    problem = f"'{cell}' is not a number"
    if re.fullmatch(r"[+-]?\d[\d.,' ]*", cell):
        apart = "write it without thousands separators"
        return problem, apart if len(set(cell) & set(".,' ")) > 1 else f"pass --decimal, or {apart}"
    if re.search(r"\d", cell):
        return problem, "write the number alone"
    return problem, f"pass --na-values '{cell}' or correct the cell"


def check_sizes(frame: pd.DataFrame) -> None:
    """Raise RowError where numbers of some columns are too large to be squared."""
    found = [
        (str(name), np.flatnonzero(np.abs(frame[name]) > LARGEST_VALUE)) for name in frame.columns
    ]
    faults = [
        Fault(row, *_too_large(float(frame[name].iloc[row])), name)
        for name, rows in found
        for row in rows.tolist()
    ]
    if faults:
        first = faults[0]
        raise RowError(
            first.row or 0,
            f"{first.problem}; {first.remedy}",
            faults=lambda: faults,
            left_out=lambda: np.zeros(0, dtype=np.int64),
            column=first.column,
        )


def _too_large(value: float) -> tuple[str, str]:
    if np.isinf(value):
        return "the value is infinite", "correct the cell or leave it empty"
    return f"{value:g} is too large to square", "divide the column by a power of ten"


def time_faults(
    texts: pd.Series[str], first: int, parse: Parse, time_format: str | None
) -> RowError:
    """The error of cells that are no times; `parse` cannot read row `first` nor, maybe, others."""

    def rows() -> IntArray:
        unread: list[str] = []
        rest = texts.drop_duplicates()
        while len(unread) < MOST and isinstance(row := _first_unread(rest, parse), int):
            unread.append(rest.iloc[row])
            rest = rest[rest != rest.iloc[row]]
        return np.flatnonzero(texts.isin(unread))

    problem, remedy = _no_time(texts.iloc[first], time_format)
    return RowError(
        first,
        f"{problem}; {remedy}",
        faults=lambda: [
            Fault(row, *_no_time(texts.iloc[row], time_format)) for row in rows().tolist()
        ],
        left_out=rows,
    )


def _first_unread(texts: pd.Series[str], parse: Parse) -> Times | int | None:
    try:
        return parse(texts) if len(texts) else None
    except DataError:
        return None


def _no_time(cell: str, time_format: str | None) -> tuple[str, str]:
    if not cell:
        return "the time is empty", "fill it in or remove the row"
    if time_format is not None:
        return f"'{cell}' is not in the format '{time_format}'", "correct it or --time-format"
    problem = f"'{cell}' is no time in the format of the other rows"
    return problem, "correct it or pass --time-format"
