"""Options that several commands share: each group is a dataclass, declared once.

`grouped` lets a command take a group as one parameter, where typer knows single options only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from rnnforecast.columns import DataConfig
from rnnforecast.errors import ConfigError
from rnnforecast.models.registry import MODELS

COLUMNS, OUTPUT = "Columns", "Output"


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Give typer the fields of each dataclass parameter of `command` as options of their own."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            options = get_type_hints(groups[name], include_extras=True)
            for field in fields(groups[name]):
                default = inspect.Parameter.empty if field.default is MISSING else field.default
                parameters.append(_keyword(field.name, default, options[field.name]))
        else:
            parameters.append(_keyword(name, parameter.default, hints[name]))

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="CSV or Parquet files (.gz, .zst too), which are read as one table, a quoted pattern "
        "such as 'sales/*.csv', or - for standard input.",
    ),
]
Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The directory that train has written.")
]
Horizon = Annotated[int, typer.Option(help="Steps to forecast.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Format = Annotated[
    str | None,
    typer.Option(
        help="table, csv or json.",
        show_default="table on a terminal, else csv",
        rich_help_panel=OUTPUT,
    ),
]
GROUPINGS = ("model", "series", "step", "cutoff")
By = Annotated[
    str,
    typer.Option(
        help="A row of the table is a model, or a model's series, step or cutoff.",
        metavar="|".join(GROUPINGS),
        rich_help_panel=OUTPUT,
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        help="End with 6 if a network's metrics meet this, such as 'mase>1' or 'skill<0'.",
        metavar="CONDITION",
        rich_help_panel=OUTPUT,
    ),
]


def parse_names(text: str) -> tuple[str, ...]:
    """Names such as "gru,bilstm", each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def check_grouping(by: str) -> None:
    """Raise ConfigError where tables have no such rows."""
    if by not in GROUPINGS:
        raise ConfigError(f"by must be one of {', '.join(GROUPINGS)}, got '{by}'")


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Names of models for shell completion, with their summaries."""
    rows = MODELS.values()
    return [(row.name, row.summary) for row in rows if row.name.startswith(incomplete)]


@dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """How the table is written; what is left out is found from it."""

    id_col: Annotated[
        str | None, typer.Option(help="Column that names the series.", rich_help_panel=COLUMNS)
    ] = None
    time_col: Annotated[
        str | None,
        typer.Option(help="Column of timestamps or integer steps.", rich_help_panel=COLUMNS),
    ] = None
    target_col: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to forecast; in wide form several times, one column a series.",
            rich_help_panel=COLUMNS,
        ),
    ] = None
    sep: Annotated[
        str | None, typer.Option(help="Character between cells.", rich_help_panel=COLUMNS)
    ] = None
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, . or ,", rich_help_panel=COLUMNS)
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Encoding of the characters, such as latin-1.",
            show_default="UTF-8, or UTF-16 by its mark",
            rich_help_panel=COLUMNS,
        ),
    ] = None
    na_values: Annotated[
        list[str] | None,
        typer.Option(
            help="Cell that means a missing value, beside the empty one, NaN, NA and null.",
            rich_help_panel=COLUMNS,
        ),
    ] = None
    time_format: Annotated[
        str | None,
        typer.Option(help="Format of the times, such as %d/%m/%Y.", rich_help_panel=COLUMNS),
    ] = None

    time_zone: Annotated[
        str | None,
        typer.Option(
            help="Zone whose clock the times are of, such as Europe/Paris.", rich_help_panel=COLUMNS
        ),
    ] = None
    dialect: Annotated[
        str,
        typer.Option(
            help="Names of columns, in and out: nixtla, prophet or autogluon.",
            rich_help_panel=COLUMNS,
        ),
    ] = DataConfig.dialect

    def data_config(self, **more: Any) -> DataConfig:
        return DataConfig(
            id_column=self.id_col,
            time_column=self.time_col,
            target_columns=tuple(self.target_col or ()),
            separator=self.sep,
            decimal=self.decimal,
            encoding=self.encoding,
            na_values=tuple(self.na_values or ()),
            time_format=self.time_format,
            time_zone=self.time_zone,
            dialect=self.dialect,
            **more,
        )
