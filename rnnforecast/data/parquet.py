"""Parquet files as the text of a table, by pyarrow, which is optional.

Numbers are written so that they read back as they were, times as ISO 8601 by the clock of their
zone and with its offset from UTC, and what is missing as an empty cell.
"""

from __future__ import annotations

import io
from typing import Any

from rnnforecast.errors import DataError

MAGIC = b"PAR1"


def parquet_as_csv(name: str, data: bytes) -> bytes:
    """A Parquet file as CSV, a line a row beside those within cells.

    Raises:
        DataError: It cannot be read, a column is none of text, numbers or times, or pyarrow is not
            installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import csv, parquet
    except ModuleNotFoundError:
        raise DataError(
            f"{name}: Parquet files need pyarrow: pip install 'rnnforecast[parquet]', "
            "or pass a CSV file"
        ) from None
    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{name}: {problem}; pass a whole Parquet file") from None
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if kind == pa.string_view():
            column = column.cast(pa.string())
        if pa.types.is_nested(kind) or kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
            raise DataError(
                f"{name}: column '{field.name}': {kind} is none of text, numbers and times; "
                "leave the column out of the file"
            )
        columns.append(_as_written(column, kind) if pa.types.is_timestamp(kind) else column)
    text = io.BytesIO()
    csv.write_csv(pa.table(columns, names=table.column_names), text)
    return text.getvalue()


def _as_written(times: Any, kind: Any) -> Any:
    """Times without a fraction of zeros, and with their offset where they have a zone."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        times = times.cast(pa.timestamp("s", kind.tz))
    except pa.ArrowInvalid:
        pass
    if kind.tz is None:
        return times
    return compute.strftime(times, format="%Y-%m-%dT%H:%M:%S%Ez")
