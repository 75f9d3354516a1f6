"""All faults of a table at once: it is read as every command reads it, again and again.

Each reading stops at a fault, as a command does. What is faulty is then left out, or the setting
that settles it chosen, until the rest can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnforecast.columns import DataConfig
from rnnforecast.data.faults import (
    Fault,
    Finding,
    Findings,
    LocatedError,
    Severity,
    ShapeError,
    finding_of,
)
from rnnforecast.data.mending import (
    mend,
    open_mended,
    ragged,
    records,
    titles_above,
    without_lines,
)
from rnnforecast.data.reading import Table, lay_rows
from rnnforecast.data.rows import Rows, find_rows
from rnnforecast.data.source import Source, find_separator, join_sources
from rnnforecast.errors import ConfigError, DataError

# Readings, each of which settles faults of one kind.
ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What came of reading a table.

    Attributes:
        findings: What kept it from being read as it is.
        parts: The files, without what was left out.
        rows: Their rows, None where none can be read.
        table: Their series, None where there are none.
        settled: Settings of DataConfig with which the table was read.
        usable: Whether these alone make it readable.
    """

    findings: Findings
    parts: Sequence[Source]
    rows: Rows | None
    table: Table | None
    settled: dict[str, Any]
    usable: bool


def examine(paths: Sequence[str], asked: DataConfig) -> Examined:
    """Read a table of one or several files, and note everything that is wrong with it.

    Raises:
        ConfigError: A setting cannot be used.
    """
    reading = _Reading(asked)
    for path in paths:
        text = open_mended(path, asked, reading.findings)
        if text.source is not None:
            reading.parts += text.source.parts or (text.source,)
        if text.encoding is not None:
            reading.settled["encoding"] = text.encoding
        reading.usable &= text.encoding is not None or not reading.findings
    return reading.result()


def examine_anew(examined: Examined, asked: DataConfig) -> Examined:
    """Read a table again that could be read as it is, with other settings."""
    reading = _Reading(asked)
    reading.parts += examined.parts
    return reading.result()


class _Reading:
    """The state between two readings."""

    def __init__(self, asked: DataConfig) -> None:
        self.asked = asked
        self.findings = Findings()
        self.parts: list[Source] = []
        self.settled: dict[str, Any] = {}
        self.usable = True
        self.rows: Rows | None = None
        self.table: Table | None = None

    def result(self) -> Examined:
        """Read until nothing is wrong any more, or reading cannot go on; what is known then."""
        for _ in range(ROUNDS):
            if not self.parts or self._is_done():
                break
        return Examined(
            findings=self.findings,
            parts=self.parts,
            rows=self.rows,
            table=self.table,
            settled=self.settled,
            usable=self.usable and self.table is not None,
        )

    def _is_done(self) -> bool:
        """Read once; whether nothing is wrong any more, or reading cannot go on."""
        config = replace(self.asked, **self.settled)
        separator = config.separator or find_separator(self.parts[0])
        try:
            source = self.parts[0]
            if len(self.parts) > 1:
                source = join_sources(_joined_name(self.parts), self.parts, separator)
            self.rows = find_rows(source, config)
            self.table = lay_rows(self.rows, config)
        except LocatedError as error:
            return not self._settle_faults(error, separator)
        except ConfigError as error:
            if config == self.asked:
                raise
            self.findings.add(finding_of(DataError(str(error)), self.parts[0].name))
            return True
        except DataError as error:
            return not self._settle_line(error, separator)
        return True

    def _settle_faults(self, error: LocatedError, separator: str) -> bool:
        """Note the faults of rows, and leave them out; whether reading may go on."""
        faults, left_out = error.faults(), set(error.left_out().tolist())
        for finding in located(faults, self.parts, separator, error.cells.source.name, "error"):
            self.findings.add(finding)
        settled = {
            name: value
            for name, value in error.settled.items()
            if self.settled.get(name) != value and getattr(self.asked, name) != value
        }
        if settled:
            self.settled |= settled
            return True
        self.usable = False
        emptied = {
            (fault.row, fault.column)
            for fault in faults
            if fault.row is not None and fault.column is not None and fault.row not in left_out
        }
        spoilt = left_out | {row for row, _ in emptied}
        # Without a row that is whole, what follows would be found of what was emptied here.
        if not spoilt or (self.rows is None and len(spoilt) == self._count(separator)):
            return False
        self.parts = mend(self.parts, separator, left_out, emptied)
        return True

    def _count(self, separator: str) -> int:
        """Of the rows below the headers."""
        return sum(1 for part in self.parts for _ in part.rows(separator)) - len(self.parts)

    def _settle_line(self, error: DataError, separator: str) -> bool:
        """Note a fault that is known by its text, and leave its line out; whether to go on."""
        names = [part.name for part in self.parts]
        name = next((name for name in names if str(error).startswith(f"{name}:")), names[0])
        finding = finding_of(error, name)
        self.findings.add(finding)
        self.usable = False
        place = names.index(name)
        part = self.parts[place]
        lines = set() if finding.line is None else {finding.line}
        shape = error.shape if isinstance(error, ShapeError) else None
        if shape == "ragged":
            for line, count, width in ragged(part, separator):
                problem = f"{count} cells, but the header has {width}"
                if line not in lines:
                    self.findings.add(replace(finding, line=line, problem=problem))
                lines.add(line)
        elif shape == "title":
            title = titles_above(part)
            lines = set() if title is None else {title}
        elif shape == "headless":
            return False
        if not lines:
            return False
        self.parts[place] = without_lines(part, lines)
        return True


def located(
    faults: Sequence[Fault], parts: Sequence[Source], separator: str, name: str, severity: Severity
) -> Iterator[Finding]:
    """Faults of the rows of a table that is called `name`, with the files and lines of these."""
    named = {fault.row for fault in faults if fault.row is not None}
    places: dict[int | None, tuple[str, int | None]] = {None: (name, None)}
    for record in records(parts, separator, named) if named else ():
        part = parts[record.part]
        # What has no lines has numbered rows, of which the header is none.
        places[record.row] = part.name, record.line - 1 if part.numbered else record.line
    for fault in faults:
        file, line = places[fault.row]
        yield Finding(
            severity=severity,
            file=file,
            line=line,
            column=fault.column,
            series=fault.series,
            problem=fault.problem,
            remedy=fault.remedy,
        )


def _joined_name(parts: Sequence[Source]) -> str:
    """As `open_source` calls several files."""
    more = f" and {len(parts) - 1} more" if len(parts) > 2 else ""
    return " and ".join(part.name for part in parts[: 1 if more else 2]) + more
