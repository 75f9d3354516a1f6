"""`rnnforecast backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.render import check_output, choose_format, print_table, write_output
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.errors import ConfigError


@options.grouped
def backtest(
    data: options.Data,
    horizon: options.Horizon,
    fit: options.FitOptions,
    columns: options.ColumnOptions,
    models: Annotated[str, typer.Option(help="Networks to compare, such as gru,bilstm.")] = "gru",
    windows: Annotated[int, typer.Option(min=1, help="Cutoffs of each series.")] = 3,
    step: Annotated[
        int | None,
        typer.Option(min=1, help="Values between two cutoffs [default: the horizon]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write every forecast, with its cutoff and the actual value, to this CSV file.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    device: options.Device = "auto",
    format: options.Format = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare networks and baselines from several cutoffs on, by what happened after each.

    Each network is fitted once, on what lies before the first cutoff.
    """
    form = choose_format(format)
    check_output(output, data)
    names = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    if not names:
        raise ConfigError(f"models must be names such as gru,bilstm, got '{models}'")
    settings = tuple(fit.settings(horizon, name) for name in names)
    asked = columns.data_config()
    from rnnforecast.workflows.backtest import BacktestRequest
    from rnnforecast.workflows.backtest import backtest as run

    request = BacktestRequest(
        path=data,
        data=asked,
        settings=settings,
        windows=windows,
        step=step,
        device=device,
    )
    metrics, forecasts = run(request, StderrReporter(quiet=quiet))
    print_table(metrics, form)
    if output is not None:
        write_output(forecasts, output)
