"""The text of a table: where it comes from, its dialect, and the lines that rows stand on."""

from __future__ import annotations

import csv
import glob
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from rnnforecast.data.decoding import MARKS, as_text, unpack
from rnnforecast.data.faults import ShapeError
from rnnforecast.data.parquet import MAGIC as PARQUET
from rnnforecast.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
# A file from this size on is left on the disk until its text is asked for.
LARGE = 1 << 20
# What is looked at first of such a file.
HEAD = 1 << 20


@dataclass(frozen=True)
class Source:
    """A table as UTF-8 text without a byte-order mark, and the name to call it by in messages.

    Attributes:
        name: The file, or what several were called together.
        data: The text.
        parts: The files that it was joined from, where these are several.
        numbered: Whether messages tell rows rather than lines, as a Parquet file has none.
    """

    name: str
    data: bytes
    parts: tuple[Source, ...] = field(default=(), repr=False)
    numbered: bool = False

    @cached_property
    def sha256(self) -> str:
        """The hash of the text."""
        return sha256(self.data).hexdigest()

    @property
    def is_large(self) -> bool:
        """Whether it is worth while to read it by the fastest way."""
        return len(self.data) >= LARGE

    def rows(self, separator: str) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank as (line number, cells); the header is the first.

        As pandas does, it skips spaces after a separator, and lines of nothing but spaces.
        """
        text = io.TextIOWrapper(io.BytesIO(self.data), encoding="utf-8", newline="")
        reader = csv.reader(text, delimiter=separator, strict=True, skipinitialspace=True)
        line = 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{self.name}:{line}: {error}; correct the quotes there") from None
            if cells is None:
                return
            if len(cells) > 1 or any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1

    def place(self, row: int, separator: str) -> tuple[str, int]:
        """The file and the line of data row `row`, the first after the header being 0.

        The header itself is row -1. In a Parquet file the first row is 1, and the header 0.
        """
        if self.parts and row >= 0:
            for part in self.parts:
                count = sum(1 for _ in part.rows(separator)) - 1
                if row < count:
                    return part.place(row, separator)
                row -= count
        if self.parts:
            return self.parts[0].place(-1, separator)
        return self.name, row + 1 if self.numbered else self.line_of(row, separator)

    def line_of(self, row: int, separator: str) -> int:
        """The line of the text on which data row `row` starts."""
        return next(line for at, (line, _) in enumerate(self.rows(separator)) if at == row + 1)


class LargeFile(Source):
    """A file of UTF-8 text that is read when its text is first asked for.

    Its `head` is at hand: the lines with which it begins, as a table of their own.
    """

    def __init__(self, name: str, path: str, head: bytes) -> None:
        for attribute, value in (("name", name), ("parts", ()), ("numbered", False)):
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "path", path)
        whole_lines = head[: head.rfind(b"\n") + 1]
        object.__setattr__(self, "head", Source(name, whole_lines))

    path: str
    head: Source

    @property
    def is_large(self) -> bool:
        """It is, and this asks for no text."""
        return True

    @cached_property
    def data(self) -> bytes:
        """The text; raises DataError where it is none."""
        return as_text(self.name, _read(self.path))


def open_source(
    paths: str | Sequence[str], encoding: str | None = None, separator: str | None = None
) -> Source:
    """Read a file, or standard input for "-"; several files, or those of a glob, as one table.

    What packs them, and Parquet, is recognised by the first bytes.

    Args:
        paths: Files; a name with *, ? or [ that is no file stands for all that match it.
        encoding: Of the characters; UTF-8, or UTF-16 by its mark, where None.
        separator: Between cells, to tell the columns of several files; found where None.

    Raises:
        ConfigError: There is no such encoding.
        DataError: One is absent, unreadable, empty or no text, or has other columns.
    """
    given = [paths] if isinstance(paths, str) else list(paths)
    found = list(dict.fromkeys(path for pattern in given for path in _matching(pattern)))
    parts = [_open_one(path, encoding) for path in found]
    if len(parts) == 1:
        return parts[0]
    more = f" and {len(given) - 1} more" if len(given) > 2 else ""
    return join_sources(" and ".join(given[: 1 if more else 2]) + more, parts, separator)


def read_stdin(encoding: str | None = None) -> Source | None:
    """Standard input as a table, or None where nothing arrives.

    Raises:
        ConfigError: There is no such encoding.
        DataError: It is no text.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    source = _as_source("stdin", data, encoding)
    return source if source.data.strip() else None


def join_sources(name: str, parts: Sequence[Source], separator: str | None) -> Source:
    """One table of the rows of several, whose columns may stand in different orders.

    Raises:
        DataError: A row is not as wide as its header, or two have different columns.
    """
    separator = separator or find_separator(parts[0])
    header, _ = _below_header(parts[0], separator)
    text = [parts[0].data]
    for part in parts:
        check_rectangular(part, separator)
    for part in parts[1:]:
        own, rows = _below_header(part, separator)
        if sorted(own) != sorted(header):
            raise DataError(f"{part.name}: {_difference(own, header, parts[0].name)}")
        text.append(rows if own == header else _in_order(part, separator, own, header))
    joined = b"\n".join(lines.rstrip(b"\r\n") for lines in text)
    return Source(name, joined, tuple(parts))


def find_separator(source: Source) -> str:
    """The separator that splits the header line, outside quotes; a comma where nothing does."""
    line = re.match(rb"\s*([^\n]*)", source.data)
    header = line[1].decode("utf-8", "replace") if line else ""
    return max(SEPARATORS, key=re.sub(r'"[^"]*"', "", header).count)


def check_rectangular(source: Source, separator: str) -> None:
    """Raise DataError, naming the line, unless every row has as many cells as the header.

    Without quotes, counting separators is enough; else the rows are parsed.
    """
    if source.parts:  # which were checked before they were joined
        return
    rows = source.rows(separator)
    width = len(next(rows)[1])
    mark = separator.encode()
    if b'"' not in source.data:
        lines = io.BytesIO(source.data)
        if all(line.count(mark) == width - 1 for line in lines if line.strip(b" \r\n")):
            return
    for line, cells in rows:
        if len(cells) != width:
            raise ShapeError(
                f"{source.name}:{line}: {len(cells)} cells, but the header has {width}; "
                "complete the row or correct its separators",
                "ragged",
            )


def _matching(pattern: str) -> list[str]:
    """The files that a path stands for."""
    if pattern == "-" or os.path.lexists(pattern) or not glob.has_magic(pattern):
        return [pattern]
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        raise DataError(f"{pattern}: no file is called so; correct the pattern")
    return found


def _open_one(path: str, encoding: str | None) -> Source:
    if path == "-":
        source = read_stdin(encoding)
        if source is None:
            raise DataError("stdin: no data arrived; it needs a header line and rows")
        return source
    # A name that is no UTF-8 could not be stored with the model.
    name = os.fsencode(path).decode("utf-8", "replace")
    if encoding is None and (head := _head(path)):
        return LargeFile(name, path, head)
    source = _as_source(name, _read(path), encoding)
    if not source.data.strip():
        raise DataError(f"{name}: the file is empty; it needs a header line and rows")
    return source


def _as_source(name: str, data: bytes, encoding: str | None) -> Source:
    data = unpack(name, data)
    return Source(name, as_text(name, data, encoding), numbered=data.startswith(PARQUET))


def _read(path: str) -> bytes:
    if os.path.isdir(path):
        pattern = os.path.join(path, "*.csv")
        raise DataError(f"{path}: it is a directory; pass its files, such as '{pattern}'")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: {reason}; pass a readable CSV file or - for stdin") from None


def _head(path: str) -> bytes:
    """The first bytes of a large file of plain text; none of any other."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) < LARGE:
            return b""
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return b""
    return b"" if head.startswith(MARKS) or not head.strip() else head


def _below_header(source: Source, separator: str) -> tuple[list[str], bytes]:
    """The names of the columns, and the text below them."""
    text = io.TextIOWrapper(io.BytesIO(source.data), encoding="utf-8", newline="")
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        for line in text:
            length += len(line.encode())
            yield line

    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
    header = next((cells for cells in reader if any(cell.strip() for cell in cells)), [])
    return [name.strip() for name in header], source.data[length:]


def _in_order(source: Source, separator: str, own: list[str], header: list[str]) -> bytes:
    """The rows of a table with its columns in the order of `header`."""
    places = [own.index(name) for name in header]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows = source.rows(separator)
    next(rows)
    writer.writerows([cells[place] for place in places] for _, cells in rows)
    return text.getvalue().encode("utf-8")


def _difference(own: list[str], header: list[str], first: str) -> str:
    lacking = [name for name in header if name not in own]
    extra = [name for name in own if name not in header]
    if lacking:
        return f"it has no column '{lacking[0]}', which {first} has; make their columns alike"
    if extra:
        return f"it has a column '{extra[0]}', which {first} lacks; make their columns alike"
    return f"it repeats other columns than {first} does; make their columns alike"
