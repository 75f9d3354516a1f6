"""What is wrong or doubtful in a file, and where: what commands raise, and `check` lists.

A fault is raised where it is found, as one line. The error knows of all faults of its kind, of what
must be left out for reading to go on, and of the settings that settle it, so that `check`, which
reads the file again without them, names what every other command would stop at, one after another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from rnnforecast.arrays import IntArray
from rnnforecast.errors import DataError

# Findings of one kind that are told one by one.
MOST = 24
Severity = Literal["error", "doubt"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with a file, or doubtful; as text, the line of an error.

    Attributes:
        severity: An error keeps a file from being used, a doubt does not.
        file: What messages call it.
        line: Where, from 1.
        column: The name of the column.
        series: The id of the series.
        problem: What is wrong.
        remedy: What to do.
    """

    severity: Severity
    file: str
    problem: str
    remedy: str = ""
    line: int | None = None
    column: str | None = None
    series: str | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        column = "" if self.column is None else f" column '{self.column}':"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.file}{line}:{column} {self.problem}{remedy}"


class Fault(NamedTuple):
    """A fault of one row, counted from 0 in the order of reading; of no row, of the file.

    Attributes:
        zone: The time zone that settles it, where one does.
    """

    row: int | None
    problem: str
    remedy: str
    column: str | None = None
    series: str | None = None
    zone: str | None = None


Faults = Callable[[], Sequence[Fault]]
LeftOut = Callable[[], IntArray]


class FaultError(DataError):
    """Faults of one kind, the first of which is the message.

    Attributes:
        faults: Finds all of them.
        left_out: Finds the rows without which reading goes on; None where it cannot.
        settled: Settings of DataConfig with which it goes on.
    """

    def __init__(
        self,
        message: str,
        *,
        faults: Faults | None = None,
        left_out: LeftOut | None = None,
        settled: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.faults: Faults = faults or (lambda: [Fault(None, *split_message(message))])
        self.left_out = left_out
        self.settled = dict(settled or {})


Shape = Literal["ragged", "title", "headless"]


class ShapeError(DataError):
    """Text that is no table; the message names the line.

    Attributes:
        shape: Rows of other widths than the header; a header that is a title; or none.
    """

    def __init__(self, message: str, shape: Shape) -> None:
        super().__init__(message)
        self.shape = shape


class RowError(FaultError):
    """Faults of rows of the long table, which are left out or whose cells are taken as empty.

    Attributes:
        row: That of the message, counted from 0 in the order of reading.
        column: That of the message, where it is not the column of times.
    """

    def __init__(
        self,
        row: int,
        message: str,
        *,
        faults: Faults | None = None,
        left_out: LeftOut | None = None,
        settled: Mapping[str, Any] | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(
            message,
            faults=faults or (lambda: [Fault(row, *split_message(message), column)]),
            left_out=left_out or (lambda: np.array([row])),
            settled=settled,
        )
        self.row, self.column = row, column


class Located(Protocol):
    """A table that tells where its rows stand; see `data/cells.py`."""

    @property
    def source(self) -> Any:
        """The file."""

    def fault(self, row: int, problem: str, column: str | None = None) -> DataError:
        """An error that names the line of a row, and the column."""


class LocatedError(DataError):
    """Faults of a file, in the rows of its table; the message names the place of the first."""

    def __init__(
        self, cells: Located, error: DataError, column: str | None = None, rows: int | None = None
    ) -> None:
        """As the user reads an error: `column` is where faults are that name none, and `rows`
        how many the table has where `error` counts on from column to column."""
        message = f"{cells.source.name}: {error}"
        if isinstance(error, RowError):
            place = error.row if rows is None else error.row % rows
            message = str(cells.fault(place, str(error), error.column or column))
        super().__init__(message)
        self.cells, self.error, self.column, self.rows = cells, error, column, rows

    @property
    def settled(self) -> dict[str, Any]:
        """Settings of DataConfig with which reading goes on."""
        return self.error.settled if isinstance(self.error, FaultError) else {}

    def faults(self) -> list[Fault]:
        """All faults of this kind, in rows of the table, one a row and column."""
        if not isinstance(self.error, FaultError):
            return [Fault(None, *split_message(str(self.error)))]
        found: dict[tuple[int | None, str | None], Fault] = {}
        for number, fault in enumerate(self.error.faults()):
            if fault.row is None:
                found[-1 - number, None] = fault
                continue
            row = fault.row if self.rows is None else fault.row % self.rows
            column = fault.column or self.column
            found.setdefault((row, column), fault._replace(row=row, column=column))
        return list(found.values())

    def left_out(self) -> IntArray:
        """The rows of the table without which reading goes on; none where it cannot."""
        if not isinstance(self.error, FaultError) or self.error.left_out is None:
            return np.zeros(0, dtype=np.int64)
        rows = self.error.left_out()
        return np.unique(rows if self.rows is None else rows % self.rows)


class Findings:
    """All that is found, each kind told one by one up to MOST of it, and the rest counted."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], list[Finding]] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, finding: Finding) -> None:
        """Take note of it."""
        alike = re.sub(r"'[^']*'|[+-]?\d[\d.,e+-]*", "", finding.problem)
        kind = (finding.severity, finding.file, finding.column or "", alike)
        found = self._kinds.setdefault(kind, [])
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if len(found) < MOST:
            found.append(finding)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def listed(self) -> list[Finding]:
        """Those of one kind after each other, errors before doubts."""
        listed = []
        for kind, found in self._kinds.items():
            listed += found
            rest = self._counts[kind] - len(found)
            if rest > 0:
                last = found[-1]
                problem = f"{rest:,} more such: {last.problem}"
                listed.append(replace(last, line=None, series=None, problem=problem))
        return sorted(listed, key=lambda finding: finding.severity != "error")


def finding_of(error: DataError, name: str) -> Finding:
    """An error that only its text is known of, which begins with the name of its file."""
    found = re.fullmatch(
        rf"{re.escape(name)}(?::(?P<line>\d+))?:(?: column '(?P<column>.*?)':)? (?P<rest>.*)",
        str(error),
        re.DOTALL,
    )
    if found is None:
        problem, remedy = split_message(str(error))
        return Finding(severity="error", file=name, problem=problem, remedy=remedy)
    problem, remedy = split_message(found["rest"])
    series = re.match(r"series '(.*?)'", problem)
    return Finding(
        severity="error",
        file=name,
        line=int(found["line"]) if found["line"] else None,
        column=found["column"],
        series=series and series[1],
        problem=problem,
        remedy=remedy,
    )


def split_message(message: str) -> tuple[str, str]:
    """What is wrong, and the remedy."""
    problem, _, remedy = message.rpartition("; ")
    return (problem, remedy) if problem else (remedy, "")
