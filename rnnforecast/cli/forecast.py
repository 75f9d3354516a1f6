"""`rnnforecast forecast`."""

from __future__ import annotations

import os
import stat
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import check_output, choose_format, print_tables, write_output
from rnnforecast.cli.series_options import COVARIATES, SideOptions

if TYPE_CHECKING:
    from rnnforecast.cli.reporter import StderrReporter
    from rnnforecast.data.source import Source


@options.grouped
def forecast(
    directory: options.Directory,
    sides: SideOptions,
    log: LogOptions,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA]...",
            help="Files to forecast from, or -; without, standard input where it is a file or "
            "a pipe with rows, else the series as they were when trained.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the CSV to this file instead.", rich_help_panel=options.OUTPUT),
    ] = None,
    alias: Annotated[
        str | None,
        typer.Option(help="Name of the forecast column.", rich_help_panel=options.OUTPUT),
    ] = None,
    template: Annotated[
        bool,
        typer.Option(
            "--template",
            help="Print, in place of forecasts, the rows to fill in for --future-data.",
            rich_help_panel=COVARIATES,
        ),
    ] = False,
    device: options.Device = "auto",
    format: options.Format = None,
) -> None:
    """Forecast what follows each series, by the model in DIR.

    Prints one row a series and step: the median, and the bounds of each interval.
    """
    with log.reporting(*data or ()) as reporter:
        form = choose_format(format)
        check_output(output, data or (), format)
        with loading():
            from rnnforecast.workflows.forecast import forecast as run

        tables = run(
            directory,
            partial(_source, data, reporter, "-" in (sides.future_data, sides.static_data)),
            reporter,
            sides=sides.tables(data or ()),
            device=device,
            alias=alias,
            as_template=template,
        )
        if output is None:
            print_tables(tables, form)
        else:
            write_output(tables, output)


def _source(
    data: list[str] | None, reporter: StderrReporter, taken: bool, encoding: str | None
) -> Source | None:
    """What to forecast from; standard input may be `taken` by a table beside it."""
    from rnnforecast.data.source import open_source, read_stdin

    if data:
        return open_source(data, encoding)
    if taken or not _stdin_is_redirected():
        return None
    source = read_stdin(encoding)
    if source is None:
        reporter.note("standard input is empty: forecasting from the series as they were trained")
    return source


def _stdin_is_redirected() -> bool:
    """Whether standard input is a file or a pipe, and not a terminal or, as under cron, nothing."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)
