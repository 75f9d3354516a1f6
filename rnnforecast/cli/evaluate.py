"""`rnnforecast evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import choose_format, print_scored
from rnnforecast.errors import ConfigError


@options.grouped
def evaluate(
    forecasts: Annotated[
        str, typer.Argument(metavar="FORECASTS", help="CSV file of forecasts, or - for stdin.")
    ],
    actuals: Annotated[
        list[str],
        typer.Argument(
            metavar="ACTUALS...",
            help="CSV files of what happened; with what lies before the forecasts, mase and the "
            "baselines are there too.",
        ),
    ],
    columns: options.ColumnOptions,
    log: LogOptions,
    season: Annotated[
        int | None,
        typer.Option(min=1, help="Steps in a season, and owa.", show_default="found from the data"),
    ] = None,
    coverage: Annotated[
        float, typer.Option(help="Of the interval in Prophet's files, in percent.")
    ] = 80.0,
    after: Annotated[
        str | None, typer.Option(help="Leave out forecasts up to this time.", metavar="TIME")
    ] = None,
    by: options.By = "model",
    fail_if: options.FailIf = None,
    format: options.Format = None,
) -> None:
    """Score any tool's forecasts by what happened, beside the baselines.

    Columns are named as Nixtla's tools, Prophet, AutoGluon or rnnforecast name them. A window is a
    series from one cutoff on; without a column 'cutoff', from its first forecast on.
    """
    with log.reporting(forecasts, *actuals) as reporter:
        form = choose_format(format)
        options.check_grouping(by)
        if not 0.5 < (100 + coverage) / 200 < 1:
            raise ConfigError(f"coverage must be a percentage between 0 and 100, got {coverage:g}")
        asked = columns.data_config()
        with loading():
            from rnnforecast.workflows.evaluate import EvaluateRequest
            from rnnforecast.workflows.evaluate import evaluate as run

        request = EvaluateRequest(
            forecasts=forecasts,
            actuals=tuple(actuals),
            data=asked,
            season=season,
            coverage=coverage,
            after=after,
            by=by,
            fail_if=tuple(fail_if or ()),
        )
        print_scored(run(request, reporter), form)
