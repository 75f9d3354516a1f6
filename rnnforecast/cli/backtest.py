"""`rnnforecast backtest`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.fit_options import FitOptions
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import check_output, choose_format, print_scored
from rnnforecast.cli.series_options import SeriesOptions, SideOptions
from rnnforecast.config import LARGEST
from rnnforecast.errors import ConfigError


@options.grouped
def backtest(
    data: options.Data,
    horizon: options.Horizon,
    fit: FitOptions,
    columns: options.ColumnOptions,
    series: SeriesOptions,
    sides: SideOptions,
    log: LogOptions,
    models: Annotated[str, typer.Option(help="Networks to compare, such as gru,bilstm.")] = "gru",
    baselines: Annotated[
        str,
        typer.Option(
            help="Statistical models to compare as well: auto-ets, auto-theta, auto-arima "
            "(pip install 'rnnforecast\\[baselines]')."
        ),
    ] = "",
    windows: Annotated[
        int, typer.Option(min=1, max=LARGEST - 1, help="Cutoffs of each series.")
    ] = 3,
    step: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST - 1,
            help="Values between two cutoffs.",
            show_default="the horizon",
        ),
    ] = None,
    refit: Annotated[
        str,
        typer.Option(
            help="Fit anew before every Nth cutoff: a number, or never.", metavar="N|never"
        ),
    ] = "never",
    by: options.By = "model",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write every forecast, with its cutoff and the actual value, to this CSV file.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    fail_if: options.FailIf = None,
    device: options.Device = "auto",
    format: options.Format = None,
) -> None:
    """Compare networks and baselines from several cutoffs on, by what happened after each.

    A network is fitted on what lies before the first cutoff, and anew if --refit says so. At every
    cutoff it reads all values before it.
    """
    with log.reporting(*data) as reporter:
        form = choose_format(format)
        check_output(output, data)
        settings = tuple(fit.settings(horizon, name) for name in options.parse_names(models))
        if not settings:
            raise ConfigError(f"models must be names such as gru,bilstm, got '{models}'")
        asked = series.data_config(columns)
        options.check_grouping(by)
        with loading():
            from rnnforecast.workflows.backtest import BacktestRequest
            from rnnforecast.workflows.backtest import backtest as run

        request = BacktestRequest(
            path=data,
            data=asked,
            settings=settings,
            sides=sides.tables(data),
            baselines=options.parse_names(baselines),
            windows=windows,
            step=step,
            refit_every=_refit_every(refit),
            by=by,
            fail_if=tuple(fail_if or ()),
            output=output,
            device=device,
        )
        print_scored(run(request, reporter), form)


def _refit_every(text: str) -> int | None:
    """The number in "5" or "every 5"; None for "never"."""
    if text == "never":
        return None
    count = re.fullmatch(r"(?:every)?\s*0*([1-9][0-9]{0,8})\s*", text)
    if count is None:
        raise ConfigError(f"refit must be a number of cutoffs or never, got '{text}'")
    return int(count[1])
