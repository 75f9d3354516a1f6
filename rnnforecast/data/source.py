"""The bytes of a table: read whole, checked to be text, its dialect and its lines found."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from rnnforecast.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Source:
    """A table as UTF-8 text without a byte-order mark, and the name to call it by in messages."""

    name: str
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """The hash of the text."""
        return sha256(self.data).hexdigest()

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

    def line_of(self, row: int, separator: str) -> int:
        """The line on which data row `row` starts, the first after the header being 0."""
        return next(line for at, (line, _) in enumerate(self.rows(separator)) if at == row + 1)


def open_source(path: str) -> Source:
    """Read a file, or standard input for "-"; gzip is recognised by its first bytes.

    Raises:
        DataError: It is absent, unreadable, empty or no text.
    """
    if path == "-":
        source = read_stdin()
        if source is None:
            raise DataError("stdin: no data arrived; it needs a header line and rows")
        return source
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: {reason}; pass a readable CSV file or - for stdin") from None
    text = _as_utf8(path, data)
    if not text.strip():
        raise DataError(f"{path}: the file is empty; it needs a header line and rows")
    # A name that is no UTF-8 could not be stored with the model.
    return Source(os.fsencode(path).decode("utf-8", "replace"), text)


def read_stdin() -> Source | None:
    """Standard input as a table, or None where nothing arrives.

    Raises:
        DataError: It is no text.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    text = _as_utf8("stdin", data)
    return Source("stdin", text) if text.strip() else None


def find_separator(source: Source) -> str:
    """The separator that splits the header line, outside quotes; a comma where nothing does."""
    header = source.data.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(SEPARATORS, key=re.sub(r'"[^"]*"', "", header).count)


def check_rectangular(source: Source, separator: str) -> None:
    """Raise DataError, naming the line, unless every row has as many cells as the header.

    Without quotes, counting separators is enough; else the rows are parsed.
    """
    rows = source.rows(separator)
    width = len(next(rows)[1])
    mark = separator.encode()
    if b'"' not in source.data:
        lines = io.BytesIO(source.data)
        if all(line.count(mark) == width - 1 for line in lines if line.strip(b" \r\n")):
            return
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(
                f"{source.name}:{line}: {len(cells)} cells, but the header has {width}; "
                "complete the row or correct its separators"
            )


def _as_utf8(name: str, data: bytes) -> bytes:
    """Unpack gzip, drop a byte-order mark; raise DataError where bytes are no text."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name}: {error}; pass a whole gzip file") from None
    encoding = BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = encoding.removesuffix("-sig").upper()
        raise DataError(
            f"{name}:{line}: byte 0x{data[error.start]:02x} is not {kind} text; "
            "pass a CSV file saved as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}:{line}: a zero byte is no text; pass a CSV file saved as UTF-8")
    return text.encode("utf-8")
