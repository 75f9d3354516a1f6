"""Tables on standard output, in the format that was asked for."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rnnforecast.cli.events import finite
from rnnforecast.errors import ConfigError, GateError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.table import Table

    from rnnforecast.workflows.scoring import Scored

FORMATS = ("table", "csv", "json")
ABSENT = "-"
SECONDARY = frozenset(
    ("n", "windows", "rmse", "bias", "mape", "wape", "rmsse")
    + ("pinball", "wql", "crps", "width", "msis")
)


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


def check_output(output: Path | None, data: Sequence[str | None], form: str | None = None) -> None:
    """Raise ConfigError where a CSV file cannot be put at `output`, or should not.

    Args:
        output: The file, if any.
        data: The files that are read, which must stay.
        form: The format that was asked.
    """
    if output is None:
        return
    for path in data:
        check_apart("--output", output, path)
    from rnnforecast.data.files import check_place

    if form not in (None, "csv"):
        raise ConfigError(f"--output writes CSV, got --format {form}; drop one of them")
    check_place(output)


def check_apart(flag: str, output: Path | None, read: str | Path | None) -> None:
    """Raise ConfigError where what `flag` names is the file that is read."""
    if output is None or read is None or read == "-" or not output.exists():
        return
    with suppress(OSError):  # a file that is not there is told of by who reads it
        if output.samefile(read):
            raise ConfigError(f"{flag} {output} is the file that is read; pass another")


def write_output(tables: Iterable[pd.DataFrame], output: Path) -> None:
    """Write tables of equal columns, one below the other, to a CSV file, whole or not at all."""
    from rnnforecast.data.files import replacing
    from rnnforecast.data.writing import to_csv

    with replacing(output) as write:
        for place, table in enumerate(tables):
            write(to_csv(table, header=place == 0).encode())


def print_scored(scored: Scored, form: str) -> None:
    """Write a table of metrics to standard output; on a terminal, the main ones.

    Raises:
        GateError: The run fails a gate.
        OutputError: Standard output takes no more.
    """
    metrics = scored.metrics
    if form == "table":
        hidden = SECONDARY | ({"smape"} if "owa" in metrics else set())  # it is in owa
        metrics = metrics[
            [name for name in metrics.columns if str(name).split("-")[0] not in hidden]
        ]
    print_table(metrics, form)
    if scored.failure is not None:
        raise GateError(scored.failure)


def print_table(table: pd.DataFrame, form: str) -> None:
    """Write a table to standard output.

    Raises:
        OutputError: It takes no more, as on a full disk.
    """
    print_tables([table], form)


def print_tables(tables: Iterable[pd.DataFrame], form: str) -> None:
    """Write tables of equal columns to standard output, as one; as CSV, each as it comes.

    What fails in a later table leaves the rows of those before it.

    Raises:
        OutputError: It takes no more, as on a full disk.
    """
    if form == "csv":
        from rnnforecast.data.writing import to_csv

        for place, table in enumerate(tables):
            _write(to_csv(table, header=place == 0))
    else:
        every = list(tables)
        rows = [row for table in every for row in table.astype(object).to_numpy().tolist()]
        print_rows([str(name) for name in every[0].columns], rows, form)


def print_rows(columns: list[str], rows: list[list[Any]], form: str) -> None:
    """Write rows of plain values to standard output."""
    if form == "json":
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        _write(json.dumps(finite(records), ensure_ascii=False, indent=1) + "\n")
    elif form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        _write(text.getvalue())
    else:
        _print_rich(columns, rows)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _print_rich(columns: list[str], rows: list[list[Any]]) -> None:
    """A table upright, or on its side where it fits the terminal that way alone; never cut."""
    from rich.console import Console

    console = Console()
    lines = [columns, *([_cell(value) for value in row] for row in rows)]
    cells = [[_harmless(cell) for cell in line] for line in lines]
    table = _rich_table(cells)
    needed, wanted = _widths(table)
    if wanted > console.width > len(cells):
        turned = _rich_table([list(column) for column in zip(*cells, strict=True)])
        if _widths(turned)[1] <= console.width:
            table, needed = turned, 0
    console.width = max(console.width, needed)
    console.print(table)


def _widths(table: Table) -> tuple[int, int]:
    """The characters that a table needs, with its sentences folded, and those that it wants."""
    from rich.console import Console
    from rich.measure import Measurement

    unbounded = Console(width=sys.maxsize)
    measured = Measurement.get(unbounded, unbounded.options, table)
    return measured.minimum, measured.maximum


def _rich_table(cells: list[list[str]]) -> Table:
    """The first row is the header; columns of numbers are flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, 1))
    for place, name in enumerate(cells[0]):
        column = [row[place] for row in cells[1:]]
        numeric = all(cell[-1:].isdigit() or cell in (ABSENT, "inf") for cell in column)
        table.add_column(
            Text(name),
            justify="right" if numeric else "left",
            no_wrap=not any(" " in cell for cell in column),
            overflow="fold",
        )
    for row in cells[1:]:
        table.add_row(*map(Text, row))  # as it is, not as markup
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ABSENT
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def _harmless(cell: str) -> str:
    """Without what a terminal would take for a command or an end of line."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in cell
    )
