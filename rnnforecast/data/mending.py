"""Tables without their faults, so that reading goes on: lines keep their numbers.

Lines that are left out become blank, which readers pass over, and faulty cells become empty.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnforecast.columns import DataConfig
from rnnforecast.data.decoding import BYTE_ORDER_MARKS, GZIP, ZSTANDARD, as_text, unpack
from rnnforecast.data.faults import Finding, Findings, finding_of
from rnnforecast.data.parquet import MAGIC as PARQUET
from rnnforecast.data.source import SEPARATORS, Source, open_source
from rnnforecast.errors import DataError

WINDOWS = "cp1252"


class Record(NamedTuple):
    """A row of a table: its part, and its cells on the lines from `line` to before `after`."""

    part: int
    row: int
    line: int
    after: int | None
    cells: list[str]


class Mended(NamedTuple):
    """The text of a file as far as it is text, and the encoding that would settle the rest."""

    source: Source | None
    encoding: str | None = None


def open_mended(path: str, asked: DataConfig, findings: Findings) -> Mended:
    """The text of one file, or of standard input for "-"; what is wrong with it is noted."""
    name = "stdin" if path == "-" else os.fsencode(path).decode("utf-8", "replace")
    data = sys.stdin.buffer.read() if path == "-" and sys.stdin is not None else None
    try:
        if data is None:
            source = open_source(path, asked.encoding)
        else:
            source = Source(name, as_text(name, unpack(name, data), asked.encoding))
        if source.data.strip():
            return Mended(source)
        raise DataError("stdin: no data arrived; it needs a header line and rows")
    except DataError as error:
        findings.add(finding_of(error, name))
    if data is None:
        try:
            data = Path(path).read_bytes() if os.path.isfile(path) else b""
        except OSError:
            return Mended(None)
    if data.startswith(GZIP):
        data = _what_unpacks(data)
        line, problem = data.count(b"\n") + 1, "the packed file breaks off within this line"
        findings.add(
            Finding(severity="error", file=name, line=line, problem=problem, remedy="pack it anew")
        )
    readable = not data.startswith((PARQUET, ZSTANDARD)) and data[:2] not in BYTE_ORDER_MARKS
    if not readable or asked.encoding is not None:
        return Mended(None)
    return _readable(name, data, findings)


def _what_unpacks(data: bytes) -> bytes:
    """The whole lines of a gzip file that was cut off."""
    try:
        text = zlib.decompressobj(31).decompress(data)
    except zlib.error:
        return b""
    return text[: text.rfind(b"\n") + 1]


def _readable(name: str, data: bytes, findings: Findings) -> Mended:
    """The lines that are UTF-8; all of them where they are of the usual encoding of Windows."""
    lines = data.splitlines(keepends=True)
    spoilt = [number for number, line in enumerate(lines) if not _is_text(line)]
    for number in spoilt[1:]:
        zero = b"\0" in lines[number]
        problem = "a zero byte is no text" if zero else "the line is not UTF-8 text"
        remedy = "pass --encoding, or save the file as UTF-8"
        findings.add(
            Finding(severity="error", file=name, line=number + 1, problem=problem, remedy=remedy)
        )
    if not spoilt:
        return Mended(_source(name, data))
    try:
        data.decode(WINDOWS)
        others = b"".join(line for number, line in enumerate(lines) if number not in set(spoilt))
        encoding = WINDOWS if others.isascii() and b"\0" not in data else None
    except UnicodeDecodeError:
        encoding = None
    if encoding is not None:
        return Mended(_source(name, as_text(name, data, encoding)), encoding)
    for number in spoilt:
        lines[number] = _end(lines[number])
    return Mended(_source(name, b"".join(lines)))


def _source(name: str, text: bytes) -> Source | None:
    return Source(name, text) if text.strip() else None


def _is_text(line: bytes) -> bool:
    try:
        return "\0" not in line.decode("utf-8")
    except UnicodeDecodeError:
        return False


def records(parts: Sequence[Source], separator: str, rows: Collection[int]) -> Iterator[Record]:
    """Some rows, counted over all parts without their headers; -1 is the header of each."""
    first = 0
    for place, part in enumerate(parts):
        before: Record | None = None
        number = -1
        for number, (line, cells) in enumerate(part.rows(separator), start=-1):
            if before is not None:
                yield before._replace(after=line)
            row = number if number < 0 else first + number
            before = Record(place, row, line, None, cells) if row in rows else None
        if before is not None:
            yield before
        first += number + 1


def mend(
    parts: Sequence[Source],
    separator: str,
    left_out: Collection[int],
    emptied: Collection[tuple[int, str]],
) -> list[Source]:
    """The parts without some rows, and with some cells of others, by row and column, empty."""
    columns: dict[int, set[str]] = {}
    for row, column in emptied:
        columns.setdefault(row, set()).add(column)
    lines = [part.data.splitlines(keepends=True) for part in parts]
    headers: dict[int, list[str]] = {}
    for record in records(parts, separator, {-1, *left_out, *columns}):
        if record.row == -1:
            headers[record.part] = [name.strip() for name in record.cells]
            continue
        text = lines[record.part]
        after = len(text) + 1 if record.after is None else record.after
        text[record.line - 1 : after - 1] = map(_end, text[record.line - 1 : after - 1])
        if record.row not in left_out:
            kept = _without(record.cells, headers[record.part], columns[record.row], separator)
            text[record.line - 1] = kept + text[record.line - 1]
    return [_with_text(part, text) for part, text in zip(parts, lines, strict=True)]


def _with_text(part: Source, lines: Sequence[bytes]) -> Source:
    return Source(part.name, b"".join(lines), numbered=part.numbered)


def _without(cells: list[str], header: list[str], columns: set[str], separator: str) -> bytes:
    """A row as one line, with some cells empty; no row where it takes several lines."""
    kept = ["" if name in columns else cell for name, cell in zip(header, cells, strict=True)]
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerow(kept)
    line = text.getvalue().removesuffix("\n")
    return line.encode() if not {"\n", "\r"} & set(line) else b""


def _end(line: bytes) -> bytes:
    """The mark that ends a line: what is left of it where it is blank."""
    return line[len(line.rstrip(b"\r\n")) :]


def without_lines(part: Source, lines: Collection[int]) -> Source:
    """A part in which some lines are blank."""
    text = part.data.splitlines(keepends=True)
    for line in lines:
        if 0 < line <= len(text):
            text[line - 1] = _end(text[line - 1])
    return _with_text(part, text)


def ragged(part: Source, separator: str) -> Iterator[tuple[int, int, int]]:
    """The line and the number of cells of each row that has others than the header, which has as
    many as are told last; up to the first fault of quotes."""
    rows = part.rows(separator)
    try:
        width = len(next(rows)[1])
        for line, cells in rows:
            if len(cells) != width:
                yield line, len(cells), width
    except (DataError, StopIteration):
        return


def titles_above(part: Source) -> int | None:
    """The line of a title that stands where the header should, None where there is none."""
    for separator in SEPARATORS:
        try:
            rows = part.rows(separator)
            (line, title), (_, header) = next(rows), next(rows)
        except (DataError, StopIteration):
            continue
        if len(title) == 1 < len(header):
            return line
    return None
