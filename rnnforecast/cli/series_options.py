"""The options of what is made of the rows of a table, and of what is read beside the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rnnforecast.cli.options import ColumnOptions
from rnnforecast.columns import Aggregate, DataConfig, Missing

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
            ConfigError: A value cannot be used.
        """
        return columns.data_config(
            missing=self.missing,
            resample=self.resample,
            aggregate=self.agg,
            static_columns=tuple(self.static or ()),
            past_columns=tuple(self.past or ()),
            future_columns=tuple(self.future or ()),
            categorical_columns=tuple(self.categorical or ()),
            calendar=self.calendar,
            holidays=self.holidays,
        )


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

    def tables(self) -> SideTables:
        """The files, for a workflow."""
        from rnnforecast.workflows.covariates import SideTables

        return SideTables(future=self.future_data, static=self.static_data)
