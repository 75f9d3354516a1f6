"""A table as text: its dialect found, its cells not yet read, and faults named by line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.faults import ShapeError
from rnnforecast.data.schema import SAMPLE_ROWS
from rnnforecast.data.source import Source, check_rectangular, find_separator
from rnnforecast.errors import DataError

# Cells among which marks of thousands are looked for, and rows of however many columns.
MARKED_CELLS, MARKED_ROWS = 50_000, 30


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table whose dialect is known, before any cell is read as more than text.

    Attributes:
        source: Its bytes.
        separator: Between cells.
        decimal: The decimal mark.
        decimal_asked: Whether the user has named it.
        header: The names of the columns.
        sample: The first rows, as text.
    """

    source: Source
    separator: str
    decimal: str
    decimal_asked: bool
    header: list[str]
    sample: pd.DataFrame

    def text(self, columns: Sequence[str]) -> pd.DataFrame:
        """All rows of some columns as text, without the spaces around it."""
        frame = pd.read_csv(
            io.BytesIO(self.source.data),
            sep=self.separator,
            header=0,
            names=self.header,
            usecols=list(columns),
            dtype="str",
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
        stripped: pd.DataFrame = frame.apply(lambda cells: cells.str.strip())
        return stripped

    def fault(self, row: int, problem: str, column: str | None = None) -> DataError:
        """An error that names the line of a row, -1 for the header, and the column."""
        file, line = self.source.place(row, self.separator)
        place = "" if column is None else f" column '{column}':"
        return DataError(f"{file}:{line}:{place} {problem}")


def open_cells(source: Source, asked: DataConfig) -> Cells:
    """Find the dialect, and check that every row has as many cells as the header."""
    cells = find_dialect(source, asked)
    check_rectangular(source, cells.separator)
    return cells


def find_dialect(source: Source, asked: DataConfig) -> Cells:
    """Find the separator, the decimal mark and the columns from the first rows."""
    separator = asked.separator or find_separator(source)
    header, sample = _sample(source, separator)
    decimal = asked.decimal or _find_decimal(sample, separator)
    return Cells(
        source=source,
        separator=separator,
        decimal=decimal,
        decimal_asked=asked.decimal is not None,
        header=header,
        sample=sample,
    )


def _sample(source: Source, separator: str) -> tuple[list[str], pd.DataFrame]:
    """The header and the first rows as text; rows of another width are left for later checks."""
    rows = list(islice(source.rows(separator), SAMPLE_ROWS + 1))
    if not rows:
        raise DataError(f"{source.name}: there is no header; add one and rows below it")
    first, header = rows[0][0], [name.strip() for name in rows[0][1]]
    whole = [cells for _, cells in rows[1:] if len(cells) == len(header)]
    if len(rows) == 1:
        raise DataError(f"{source.name}: there is a header but no row; add rows below it")
    if len(header) == 1:
        raise ShapeError(
            f"{source.name}:{first}: the header is a single column, '{header[0]}'; "
            "pass --sep, or remove the lines above the header",
            "title",
        )
    if not whole:
        line, cells = rows[1]
        raise ShapeError(
            f"{source.name}:{line}: {len(cells)} cells, but the header has {len(header)}; "
            "complete the row or pass --sep",
            "ragged",
        )
    return header, pd.DataFrame(whole, columns=pd.Index(header, dtype="str"), dtype="str")


class Marked(NamedTuple):
    """A number that may have a mark of thousands: its row, its column and its text."""

    row: int
    column: str
    text: str


def _find_decimal(sample: pd.DataFrame, separator: str) -> str:
    """A comma where cells such as 1,5 occur and none such as 1.5 does."""
    if separator == ",":
        return "."
    cells = pd.Series(sample.to_numpy().ravel(), dtype="str").str.strip()
    comma = bool(cells.str.fullmatch(r"[+-]?\d+,\d+").any())
    point = bool(cells.str.fullmatch(r"[+-]?\d+\.\d+").any())
    return "," if comma and not point else "."


def marked_thousands(cells: Cells, names: Sequence[str]) -> Iterator[Marked]:
    """Of each column whose decimal marks all stand before three digits, as those of thousands do.

    Only where others of its numbers have none, so that fractions would have to end there, or where
    the mark is a comma, which is as often one of thousands; never where the user has named it.
    """
    if cells.decimal_asked:
        return
    mark, sample = re.escape(cells.decimal), cells.sample
    # All columns at once, and fewer rows of many, as there may be thousands.
    sample = sample[: max(MARKED_ROWS, MARKED_CELLS // len(names))]
    texts = pd.Series(sample[list(names)].to_numpy().ravel(), dtype="str").str.strip()
    shape = -1, len(names)
    marked = texts.str.contains(cells.decimal, regex=False).to_numpy().reshape(shape)
    plain = texts.str.fullmatch(r"[+-]?[1-9]\d{0,2}").to_numpy().reshape(shape)
    whole = texts.str.fullmatch(rf"[+-]?[1-9]\d{{0,2}}({mark}\d{{3}})+").to_numpy().reshape(shape)
    told = plain.any(0) | (cells.decimal == ",")
    doubtful = (marked.sum(0) >= 3) & told & (whole | ~marked).all(0)
    for place in np.flatnonzero(doubtful).tolist():
        first = int(np.argmax(marked[:, place]))
        text = str(sample[names[place]].iloc[first]).strip()
        yield Marked(int(sample.index[first]), names[place], text)
