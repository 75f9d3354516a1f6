"""`rnnforecast selftest`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import choose_format, print_table
from rnnforecast.errors import RnnForecastError
from rnnforecast.models.registry import MODELS, find_model


@options.grouped
def selftest(
    log: LogOptions,
    models: Annotated[
        str, typer.Option(help="Networks to try, such as gru,bilstm.", show_default="all")
    ] = "",
    device: options.Device = "auto",
    format: options.Format = None,
) -> None:
    """Try on generated series that no network or baseline sees what follows its cutoff.

    Everything after a cutoff is changed; not a bit of what was forecast before may change with it.
    """
    with log.reporting() as reporter:
        form = choose_format(format)
        names = tuple(find_model(name).name for name in options.parse_names(models))
        with loading():
            from rnnforecast.workflows.selftest import BLIND
            from rnnforecast.workflows.selftest import selftest as run

        table = run(names or tuple(MODELS), reporter, device)
        print_table(table, form)
        failed = table[table["verdict"] != BLIND]
        if len(failed):
            row = failed.iloc[0]
            raise RnnForecastError(f"{row['model']} {row['verdict']}; trust none of its metrics")
