"""The options of what is made of the rows of a table, and of what is read beside the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rnnforecast.cli.options import ColumnOptions
from rnnforecast.columns import Aggregate, DataConfig, Missing
from rnnforecast.data.dialects import as_repeated
from rnnforecast.errors import ConfigError

if TYPE_CHECKING:
    from rnnforecast.workflows.covariates import SideTables

SERIES, COVARIATES = "Series", "Covariates"


@dataclass(frozen=True, kw_only=True)
class SeriesOptions:
    """How rows become regular series, and which columns tell of them."""

    missing: Annotated[
        str,
        typer.Option(
            help=f"What becomes of gaps: {', '.join(get_args(Missing))}.", rich_help_panel=SERIES
        ),
    ] = DataConfig.missing
    resample: Annotated[
        str | None,
        typer.Option(
            help="Join irregular rows to steps of this length, such as 5min.",
            metavar="FREQ",
            rich_help_panel=SERIES,
        ),
    ] = None
    agg: Annotated[
        str,
        typer.Option(
            help=f"How rows of one step are joined: {', '.join(get_args(Aggregate))}.",
            rich_help_panel=SERIES,
        ),
    ] = DataConfig.aggregate
    static: Annotated[
        list[str] | None,
        typer.Option(help="Column that is one value a series.", rich_help_panel=COVARIATES),
    ] = None
    past: Annotated[
        list[str] | None,
        typer.Option(help="Column that is known up to now.", rich_help_panel=COVARIATES),
    ] = None
    future: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that is known ahead, as of plans and holidays.", rich_help_panel=COVARIATES
        ),
    ] = None
    categorical: Annotated[
        list[str] | None,
        typer.Option(
            help="One of these columns that is a category, though it reads as a number.",
            rich_help_panel=COVARIATES,
        ),
    ] = None
    calendar: Annotated[
        bool,
        typer.Option(
            "--calendar", help="Read the time of day, week and year.", rich_help_panel=COVARIATES
        ),
    ] = False
    holidays: Annotated[
        str | None,
        typer.Option(
            help="Read the holidays of this country, such as FR.",
            metavar="CC",
            rich_help_panel=COVARIATES,
        ),
    ] = None

    def data_config(self, columns: ColumnOptions) -> DataConfig:
        """These and the columns.

        Raises:
            ConfigError: A value cannot be used, or two options name one column.
        """
        self._check_apart(columns)
        return columns.data_config(
            missing=self.missing,
            resample=self.resample,
            aggregate=self.agg,
            static_columns=tuple(dict.fromkeys(self.static or ())),
            past_columns=tuple(dict.fromkeys(self.past or ())),
            future_columns=tuple(dict.fromkeys(self.future or ())),
            categorical_columns=tuple(self.categorical or ()),
            calendar=self.calendar,
            holidays=self.holidays,
        )

    def _check_apart(self, columns: ColumnOptions) -> None:
        """Raise ConfigError where a column is asked for twice, or several are passed as one."""
        covariates = {"--static": self.static, "--past": self.past, "--future": self.future}
        options = {
            "--id-col": [columns.id_col],
            "--time-col": [columns.time_col],
            "--target-col": columns.target_col,
            **covariates,
        }
        taken: dict[str | None, str] = {None: ""}
        for option, names in options.items():
            for name in names or ():
                first = taken.setdefault(name, option)
                if name is not None and first != option:
                    raise ConfigError(
                        f"column '{name}' is passed as {first} and as {option}; drop one of them"
                    )
        for name in self.categorical or ():
            if "," in name and taken.get(name) not in covariates:
                remedy = as_repeated("--categorical", name)
                raise ConfigError(f"there is no covariate '{name}'; {remedy}")


@dataclass(frozen=True, kw_only=True)
class SideOptions:
    """Files beside the one that holds the series."""

    future_data: Annotated[
        str | None,
        typer.Option(
            help="CSV file of the --future columns ahead, a row a series and step; else these are "
            "the rows of DATA without a target.",
            metavar="FILE",
            rich_help_panel=COVARIATES,
        ),
    ] = None
    static_data: Annotated[
        str | None,
        typer.Option(
            help="CSV file of the --static columns, a row a series.",
            metavar="FILE",
            rich_help_panel=COVARIATES,
        ),
    ] = None

    def tables(self, data: Sequence[str]) -> SideTables:
        """The files, for a workflow.

        Raises:
            ConfigError: Standard input is to be two tables, that of `data` among them.
        """
        from rnnforecast.workflows.covariates import SideTables

        paths = {"--future-data": self.future_data, "--static-data": self.static_data}
        read = ["DATA"] * ("-" in data) + [name for name, path in paths.items() if path == "-"]
        if len(read) > 1:
            raise ConfigError(
                f"{read[0]} and {read[1]} cannot both be standard input; write one to a file"
            )
        return SideTables(future=self.future_data, static=self.static_data)
