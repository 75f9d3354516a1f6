"""`rnnforecast train`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnforecast.cli import options
from rnnforecast.cli.config_text import settled_options, to_toml
from rnnforecast.cli.fit_options import TRAINING, FitOptions
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import choose_format, print_rows, print_scored
from rnnforecast.cli.run_options import RunOptions
from rnnforecast.cli.series_options import SeriesOptions, SideOptions
from rnnforecast.cli.summary import peak_memory
from rnnforecast.errors import ConfigError

# Options that say what to do with all others.
PACKED = re.compile(r"(\.csv|\.parquet)?(\.gz|\.zst)?$")
UNWRITTEN = ("config", "dry_run", "write_config")


@options.grouped
def train(
    context: typer.Context,
    data: options.Data,
    horizon: options.Horizon,
    fit: FitOptions,
    columns: options.ColumnOptions,
    series: SeriesOptions,
    sides: SideOptions,
    control: RunOptions,
    log: LogOptions,
    model: Annotated[
        str,
        typer.Option(
            help="The network; 'rnnforecast models' lists them.",
            autocompletion=options.complete_model,
        ),
    ] = "gru",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the model and its tables.",
            show_default="DATA's name and the model's",
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit",
            help="Fit to all data as well before the forecast.",
            rich_help_panel=TRAINING,
        ),
    ] = True,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Find the learning rate first, by a range test on the training windows.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    fail_if: options.FailIf = None,
    device: options.Device = "auto",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what would be done, and the seconds and memory that a short probe tells; "
            "train and write nothing.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    write_config: Annotated[
        bool,
        typer.Option(
            "--write-config",
            help="Print all settings as TOML for --config; train and write nothing.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    format: options.Format = None,
) -> None:
    """Fit a network to the series in DATA; print its metrics beside the baselines'.

    The directory receives model.safetensors, forecasts.csv, metrics.csv and history.csv. The
    metrics are those of the newest HORIZON values, which the scored network has not seen; the
    network that is kept has been fitted again on everything. Where --fail-if is met, DIR stays as
    it was.
    """
    with log.reporting(*data) as reporter:
        form = choose_format(format)
        if dry_run and write_config:
            raise ConfigError("dry_run cannot go with --write-config; drop one of them")
        if find_lr and fit.learning_rate is not None:
            raise ConfigError(
                f"learning_rate must be left out with --find-lr, got {fit.learning_rate:g}"
            )
        settings, asked = fit.settings(horizon, model, refit=refit), series.data_config(columns)
        with loading():
            from rnnforecast.workflows.planning import plan
            from rnnforecast.workflows.train import TrainRequest, resolve_request
            from rnnforecast.workflows.train import train as run

        request = TrainRequest(
            path=data,
            directory=out or _default_directory(data, model),
            data=asked,
            settings=settings,
            sides=sides.tables(data),
            find_lr=find_lr,
            fail_if=tuple(fail_if or ()),
            device=device,
            control=control.control(),
        )
        if dry_run:
            found, memory = plan(request, reporter), peak_memory()
            if memory is not None:
                found["peak memory in MiB"] = round(memory)
            print_rows(["property", "value"], [list(row) for row in found.items()], form)
        elif write_config:
            config = resolve_request(request, reporter).config
            print(_written(context, settled_options(config, request.directory)), end="", flush=True)
        else:
            print_scored(run(request, reporter), form)


def _written(context: typer.Context, settled: Mapping[str, tuple[Any, str]]) -> str:
    """The settings as TOML, but for those that say what to do with them."""
    names = [parameter.name for parameter in context.command.params]
    values = {name: context.params[name] for name in names if name not in UNWRITTEN}
    if len(values["data"]) == 1:
        (values["data"],) = values["data"]
    return to_toml("train", values, settled)


def _default_directory(data: list[str], model: str) -> Path:
    """sales.csv.gz and gru become sales-gru, in the working directory; so does sales/*.csv."""
    path = Path(data[0])
    if len(data) > 1 or "*" in path.name:
        path = path.parent if path.parent.name else Path("files")
    stem = "stdin" if data == ["-"] else PACKED.sub("", path.name)
    return Path(f"{stem}-{model}")
