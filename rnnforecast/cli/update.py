"""`rnnforecast update`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import choose_format, print_scored
from rnnforecast.cli.run_options import RunOptions
from rnnforecast.cli.series_options import SideOptions
from rnnforecast.config import LARGEST


@options.grouped
def update(
    directory: options.Directory,
    data: options.Data,
    sides: SideOptions,
    control: RunOptions,
    log: LogOptions,
    allow_loss: Annotated[
        bool,
        typer.Option(
            "--allow-loss",
            help="Go on where series are gone, end earlier than they did, as in a file that was "
            "cut off, or hold less than half of what the model keeps of them.",
        ),
    ] = False,
    guard: Annotated[
        bool,
        typer.Option(
            "--guard/--no-guard",
            help="Keep the weights that were there where the newer ones forecast worse.",
        ),
    ] = True,
    retrain_after: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST - 1,
            help="Updates after which the next one trains from scratch.",
            show_default="never",
        ),
    ] = None,
    drift: Annotated[
        float,
        typer.Option(
            help="Train from scratch where the model's mase, or mae where there is none, is more "
            "than this many times what it was after the last training from scratch; inf: never."
        ),
    ] = 2.0,
    fail_if: options.FailIf = None,
    device: options.Device = "auto",
    format: options.Format = None,
) -> None:
    """Let the model in DIR go on learning from DATA: more rows, corrected rows, new series.

    The newest HORIZON values are held out, which neither the updated model nor the one that was
    there has seen when they are scored; it is replaced only if its successor forecasts them no
    worse. Either way the files in DIR become those of DATA. Where nothing is new, or --fail-if is
    met, DIR stays as it was.
    """
    with log.reporting(*data) as reporter:
        form = choose_format(format)
        with loading():
            from rnnforecast.workflows.update import UpdateRequest
            from rnnforecast.workflows.update import update as run

        request = UpdateRequest(
            directory=directory,
            path=data,
            sides=sides.tables(data),
            allow_loss=allow_loss,
            guard=guard,
            retrain_after=retrain_after,
            drift=drift,
            fail_if=tuple(fail_if or ()),
            device=device,
            control=control.control(),
        )
        print_scored(run(request, reporter), form)
