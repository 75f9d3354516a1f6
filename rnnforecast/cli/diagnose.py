"""`rnnforecast diagnose`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import check_output, choose_format, print_table, write_output
from rnnforecast.cli.series_options import SideOptions
from rnnforecast.errors import ConfigError

GROUPINGS = ("measure", "lag")
# What a terminal shows though no verdict is on it.
UNJUDGED = ("half-life in values", "gradient norm")


@options.grouped
def diagnose(
    directory: options.Directory,
    sides: SideOptions,
    log: LogOptions,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="CSV file whose newest windows are read, or -; without, the last values that the "
            "model keeps of its training data.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            help="A row of the table is a measure of a layer, or a step back from its last one.",
            metavar="|".join(GROUPINGS),
            rich_help_panel=options.OUTPUT,
        ),
    ] = "measure",
    attention: Annotated[
        Path | None,
        typer.Option(
            help="Write the attention weights at the end of each series to this CSV file: a row a "
            "query (0 of the summary, a decoder's from 1 on) and lag (0 the newest step).",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    format: options.Format = None,
) -> None:
    """Show how gradients flow through time in the model in DIR, and what to change.

    The network is run once more, step by step, and the derivative of its loss by every recurrent
    state measured: whether it vanishes or explodes on its way back, and how far back it reaches.
    """
    with log.reporting(data) as reporter:
        form = choose_format(format)
        if by not in GROUPINGS:
            raise ConfigError(f"by must be one of {', '.join(GROUPINGS)}, got '{by}'")
        check_output(attention, [data])
        with loading():
            from rnnforecast.data.source import open_source
            from rnnforecast.workflows.diagnose import diagnose as run

        found = run(
            directory,
            None if data is None else partial(open_source, data),
            reporter,
            sides=sides.tables(data or ()),
            by_lag=by == "lag",
            attention=attention is not None,
        )
        if attention is not None and found.attention is not None:
            write_output([found.attention], attention)
        table = found.table
        if form == "table" and by == "measure":
            table = table[(table["verdict"] != "") | table["measure"].isin(UNJUDGED)]
        print_table(table, form)
