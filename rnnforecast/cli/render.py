"""Tables on standard output, in the format that was asked for."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from rnnforecast.errors import ConfigError, RnnForecastError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "csv", "json")


def choose_format(asked: str | None) -> str:
    """`asked`, or a table on a terminal and CSV elsewhere.

    Raises:
        ConfigError: It is none of the formats.
    """
    if asked is None:
        return "table" if sys.stdout.isatty() else "csv"
    if asked not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got '{asked}'")
    return asked


def print_table(table: pd.DataFrame, form: str) -> None:
    """Write a table to standard output.

    Raises:
        RnnForecastError: It takes no more, as on a full disk.
    """
    if form == "csv":
        from rnnforecast.data.writing import to_csv

        _write(to_csv(table))
    else:
        columns = [str(name) for name in table.columns]
        print_rows(columns, table.astype(object).to_numpy().tolist(), form)


def print_rows(columns: list[str], rows: list[list[Any]], form: str) -> None:
    """Write rows of plain values to standard output."""
    if form == "json":
        records = [dict(zip(columns, map(_json_value, row), strict=True)) for row in rows]
        _write(json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    elif form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        _write(text.getvalue())
    else:
        _print_rich(columns, rows)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Python would try again to flush at its end, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RnnForecastError(f"standard output: {error.strerror}; free space there") from None


def _print_rich(columns: list[str], rows: list[list[Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        numeric = bool(rows) and isinstance(rows[0][place], int | float)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    Console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def _json_value(value: Any) -> Any:
    """NaN and infinities are not JSON."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
