"""Tables of many rows, read by pyarrow where it is installed.

Only what is in every respect ordinary is read: UTF-8 text without quotes below the header, ids,
integer steps or naive ISO 8601 times, and plain numbers. All else, faults among it, is left for
`reading.parse_table`, which reads ordinary tables to the same result.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.cells import find_dialect
from rnnforecast.data.panel import Panel
from rnnforecast.data.regular import Block, Keys, regular_panel
from rnnforecast.data.schema import LARGEST_VALUE, MISSING, SAMPLE_ROWS, find_columns
from rnnforecast.data.source import LargeFile, Source
from rnnforecast.errors import DataError

# Bytes that are parsed at once; the rows of a block are also worked on at once.
BLOCK = 1 << 20
STEP, TIME = r"-?\d{1,18}", r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"
# Whole numbers that may be dates such as 20200131, or months such as 202001.
COMPACT = ((190_001, 209_912), (19_000_101, 20_991_231))
LONGEST_STEP = 10**18
# Years that all versions of pandas have nanoseconds, and so times, of.
YEARS = np.array(["1700", "2200"], dtype="datetime64[us]").astype(np.int64)


class Regular(NamedTuple):
    """An ordinary table of regular series.

    Attributes:
        panel: The series.
        config: The columns and the dialect, with nothing left open.
        header: The names of all columns.
        sha256: The hash of the text.
        unobserved: The ids of series that are left out, as they have no observed value.
    """

    panel: Panel
    config: DataConfig
    header: list[str]
    sha256: str
    unobserved: tuple[str, ...]


class _UnusualError(Exception):
    """There is something that this module does not read."""


def read_regular(source: Source, asked: DataConfig, frequency: Frequency | None) -> Regular | None:
    """Read a table, or return None where it is not ordinary, or pyarrow not installed."""
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError:
        return None
    try:
        return _read(source, asked, frequency)
    except (DataError, UnicodeDecodeError, _UnusualError):
        return None


def _read(source: Source, asked: DataConfig, frequency: Frequency | None) -> Regular | None:
    _check_asked(source, asked)
    head = source.head if isinstance(source, LargeFile) else source
    cells = find_dialect(head, asked)
    if head is not source and len(cells.sample) < SAMPLE_ROWS:
        raise _UnusualError
    config = find_columns(cells.sample, asked, cells.decimal, partial(_first_of, cells.sample))
    if any(map(str.isdigit, str(config.time_column))):
        raise _UnusualError
    sample = cells.sample[str(config.time_column)]
    integer = bool(sample.str.fullmatch(STEP).all())
    if not (integer or sample.str.fullmatch(TIME).all()) or cells.decimal != ".":
        raise _UnusualError
    if asked.time_format not in (None if integer else "ISO8601", None):
        raise _UnusualError
    config = replace(
        config,
        separator=cells.separator,
        decimal=cells.decimal,
        time_format=None if integer else "ISO8601",
    )
    line, _ = next(head.rows(cells.separator))
    with _Text(source, _header(head.data, line), integer=integer) as text:
        blocks, ids = _blocks(text, cells.header, config, integer=integer)
        digest = text.sha256.hexdigest()
    panel = regular_panel(blocks, ids, integer=integer, frequency=frequency)
    if panel is None:
        return None
    kept = set(panel.ids)
    left_out = tuple(name for name in ids if name not in kept)
    return Regular(panel, config, cells.header, digest, left_out)


def _check_asked(source: Source, asked: DataConfig) -> None:
    """Raise _UnusualError where more is asked for than ids, times and targets."""
    more = (asked.static_columns, asked.past_columns, asked.future_columns, asked.na_values)
    if any(more) or asked.resample or asked.time_zone:
        raise _UnusualError


def _first_of(sample: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The first rows of one column, times that are to be alone: later ones are when they are laid.

    What needs all rows of more is left for the other way.
    """
    if len(columns) > 1:
        raise _UnusualError
    return sample[list(columns)]


class _Text(io.RawIOBase):
    """The text below the header, hashed with it and checked while it is read."""

    def __init__(self, source: Source, header: bytes, *, integer: bool) -> None:
        """`integer`: whether to refuse hexadecimal numbers, which pyarrow reads."""
        self.file: Any = (
            open(source.path, "rb", buffering=0)
            if isinstance(source, LargeFile)
            else io.BytesIO(source.data)
        )
        self.sha256, self.integer, self.last = sha256(header), integer, b""
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        if self.file.read(len(header)) != header:
            raise _UnusualError

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file, too."""
        self.file.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        """The next bytes; raises _UnusualError where they are not ordinary."""
        text: bytes = self.file.read(size)
        self.sha256.update(text)
        if not text or not text.isascii() or self.decoder.getstate()[0]:
            try:
                self.decoder.decode(text, final=not text)
            except UnicodeDecodeError:
                raise _UnusualError from None
        if b'"' in text or b"\0" in text:
            raise _UnusualError
        if self.integer and (b"x" in text or b"X" in text):
            if re.search(rb"0[xX]", self.last + text):
                raise _UnusualError
        self.last = text[-1:]
        return text


def _header(head: bytes, line: int) -> bytes:
    """The bytes up to the end of a line."""
    end = 0
    for _ in range(line):
        end = head.find(b"\n", end) + 1
        if not end:
            raise _UnusualError
    header = head[:end]
    if header.count(b"\r") != header.count(b"\r\n"):
        raise _UnusualError
    return header


def _blocks(
    text: _Text, header: list[str], config: DataConfig, *, integer: bool
) -> tuple[list[Block], list[str]]:
    """The rows of each series, and the ids in order of appearance."""
    import pyarrow as pa
    from pyarrow import csv

    time, targets, column = str(config.time_column), config.target_columns, config.id_column
    kinds = {} if column is None else {column: pa.dictionary(pa.int32(), pa.string())}
    kinds |= {time: pa.int64() if integer else pa.timestamp("us")}
    kinds |= dict.fromkeys(targets, pa.float64())
    try:
        table = csv.read_csv(
            pa.PythonFile(text, mode="r"),
            csv.ReadOptions(column_names=header, block_size=BLOCK),
            csv.ParseOptions(delimiter=config.separator, quote_char=False),
            csv.ConvertOptions(
                include_columns=list(kinds),
                column_types=kinds,
                null_values=list(MISSING),
                timestamp_parsers=[csv.ISO8601],
            ),
            # As fast as arrow's own, which keeps tens of MiB of what was freed.
            memory_pool=pa.system_memory_pool(),
        )
    except pa.ArrowException as error:
        raise _UnusualError from error
    times = table[time].chunks
    if column is None:
        keys = [[np.broadcast_to(np.int32(i), len(t)) for t in times] for i in range(len(targets))]
        ids = list(targets)
    else:
        keys, ids = _keys(table[column])
    blocks = [
        _block(*chunks, integer=integer)
        for name, own in zip(targets, keys, strict=True)
        for chunks in zip(own, times, table[name].chunks, strict=True)
    ]
    if not blocks:
        raise _UnusualError
    return blocks, ids


def _keys(column: Any) -> tuple[list[list[Keys]], list[str]]:
    """The index of the series of each row, chunk by chunk, of the one target; and the ids."""
    column = column.unify_dictionaries()
    ids = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    if column.null_count or any(name != name.strip() or not name for name in ids):
        raise _UnusualError
    return [[chunk.indices.to_numpy() for chunk in column.chunks]], ids


def _block(keys: Keys, times: Any, values: Any, *, integer: bool) -> Block:
    """The rows of a block, without a copy where no value is missing."""
    if times.null_count:
        raise _UnusualError
    block = Block(
        keys=keys,
        times=times.to_numpy().view(np.int64),
        values=values.to_numpy(zero_copy_only=False),
    )
    if np.count_nonzero(np.isnan(block.values)) != values.null_count:
        raise _UnusualError
    if np.nanmax(np.abs(block.values), initial=0) > LARGEST_VALUE:
        raise _UnusualError
    for least, most in COMPACT if integer else ():
        if ((block.times >= least) & (block.times <= most)).any():
            raise _UnusualError
    least, most = (-LONGEST_STEP, LONGEST_STEP) if integer else YEARS
    if block.times.min() <= least or block.times.max() >= most:
        raise _UnusualError
    return block
