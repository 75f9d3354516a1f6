"""Covariates of a run: the tables beside the main one, their encodings, what is not known ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnnforecast.columns import Encoding, sizes_of
from rnnforecast.config import RunConfig
from rnnforecast.data.ahead import missing_ahead, unknown_ahead
from rnnforecast.data.covariate_doubts import far_values
from rnnforecast.data.covariates import Covariate, Covariates, Spot, with_categories
from rnnforecast.data.encoding import (
    FARTHEST,
    contradicted_ahead,
    encode,
    encode_ahead,
    fit_encodings,
    unknown_categories,
)
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.schema import listed
from rnnforecast.data.side_tables import with_future_data, with_static_data
from rnnforecast.errors import DataError
from rnnforecast.workflows.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class SideTables:
    """Files beside the one that holds the series.

    Attributes:
        future: Values of covariates that are known ahead; else those of rows without a target.
        static: One row a series.
    """

    future: str | None = None
    static: str | None = None


NO_SIDES = SideTables()


def with_sides(
    table: Table,
    sides: SideTables,
    reporter: Reporter,
    encodings: tuple[Encoding, ...] = (),
) -> Table:
    """A table with what stands in the files beside it, columns of `encodings` in their kind.

    Raises:
        DataError: One cannot be read, or does not fit the series.
    """
    covariates, config = table.covariates, table.config
    for path, merge in ((sides.static, with_static_data), (sides.future, with_future_data)):
        if path is None:
            continue
        merged = merge(path, table.panel, config, covariates, encodings)
        tell_of_unused(path, merged.unused, merged.lacking, reporter)
        tell_of_strangers(path, merged.unknown, reporter)
        tell_of_contradiction(path, merged.contradicted, reporter)
        covariates = merged.covariates
        config = with_categories(config, covariates)
    return replace(table, covariates=covariates, config=config)


def tell_of_unused(
    path: str, unused: Sequence[str], lacking: Sequence[str], reporter: Reporter
) -> None:
    """Say which columns of a file are not read, and which it may have misspelt."""
    if unused:
        lacks = f"; it has none of {listed(lacking)}" if lacking else ""
        reporter.warning(f"{path}: columns not used: {listed(unused)}{lacks}")


def tell_of_strangers(path: str, rows: int, reporter: Reporter) -> None:
    """Say how many rows of a file are of series that the data have no value of."""
    if rows:
        reporter.warning(
            f"{path}: {rows} rows are of series that the data have no value of; not used"
        )


def tell_of_contradiction(path: str, spot: Spot | None, reporter: Reporter) -> None:
    """Say where a file has other values than the data, or than what a model keeps of these."""
    if spot is not None:
        reporter.warning(f"{path}: {spot} contradicts what is known already, which is kept")


def fit_encodings_to(table: Table, known: Panel, reporter: Reporter) -> tuple[Encoding, ...]:
    """Encodings of the covariates by what is `known` alone; say what they leave out."""
    encodings = fit_encodings(table.covariates, known, table.config)
    fitted = {each.name for each in encodings}
    columns = () if table.covariates is None else table.covariates.columns
    for column in columns:
        file = table.name if column.beside is None else column.beside.table
        if column.name not in fitted:
            reporter.warning(
                f"{file}: column '{column.name}' has no value that training may see; not used"
            )
        elif column.role == "static":
            tell_of_absent(file, column, table, reporter)
    tell_of_categories(table.name, table.covariates, encodings, reporter)
    tell_of_far(table.name, table.covariates, table.panel, encodings, reporter)
    return encodings


def tell_of_absent(file: str, column: Covariate, table: Table, reporter: Reporter) -> None:
    """Say which series have no value of a static column."""
    assert table.covariates is not None
    if spot := table.covariates.first({column.name: ~column.observed}, table.panel):
        reporter.warning(f"{file}: {spot} has no value; fill it in")


def tell_of_categories(
    name: str,
    covariates: Covariates | None,
    encodings: tuple[Encoding, ...],
    reporter: Reporter,
) -> None:
    """Say which categories the network does not tell apart from none, `name` that of the series."""
    for file, part in () if covariates is None else covariates.by_table(name):
        if unknown := unknown_categories(part, encodings):
            shown = ", ".join(f"{column} '{category}'" for column, category in unknown[:5])
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            reporter.warning(
                f"{file}: categories that training did not meet count as none: {shown}{more}"
            )


def tell_of_far(
    name: str,
    covariates: Covariates | None,
    panel: Panel,
    encodings: tuple[Encoding, ...],
    reporter: Reporter,
) -> None:
    """Say which numbers are too far off for the network to read, `name` that of the series."""
    for file, part in () if covariates is None else covariates.by_table(name):
        if spot := far_values(part, panel, encodings):
            reporter.warning(
                f"{file}: {spot} is more than {FARTHEST:g} standard deviations from the mean of "
                f"the training data; read as {FARTHEST:g}"
            )


def encode_table(table: Table, encodings: tuple[Encoding, ...], horizon: int) -> Table:
    """With a panel that has the covariates beside its values."""
    return replace(table, panel=encode(table.panel, table.covariates, encodings, horizon))


def reading(config: RunConfig, encodings: tuple[Encoding, ...]) -> RunConfig:
    """A configuration whose network reads covariates of these encodings."""
    model = replace(config.model, inputs=sizes_of(encodings))
    return replace(config, model=model, encodings=encodings)


def with_future(panel: Panel, sides: SideTables, config: RunConfig, reporter: Reporter) -> Panel:
    """The series that a model keeps, with what a file knows of the time ahead.

    Raises:
        DataError: It cannot be read, or does not fit the series.
    """
    if sides.static is not None:
        raise DataError(
            f"{sides.static}: the model keeps its series with their static values; pass DATA, too"
        )
    if sides.future is None:
        return panel
    encodings, horizon = config.encodings, config.windows.horizon
    merged = with_future_data(sides.future, panel, config.data, encodings=encodings)
    unknown = unknown_ahead(panel, encodings, horizon)
    lacking = [name for name in merged.lacking if name in unknown]
    tell_of_unused(sides.future, merged.unused, lacking, reporter)
    tell_of_strangers(sides.future, merged.unknown, reporter)
    tell_of_categories(sides.future, merged.covariates, encodings, reporter)
    tell_of_far(sides.future, merged.covariates, panel, encodings, reporter)
    given = panel, merged.covariates, encodings, horizon
    tell_of_contradiction(sides.future, contradicted_ahead(*given), reporter)
    return encode_ahead(*given)


def tell_of_unknown(panel: Panel, config: RunConfig, reporter: Reporter) -> None:
    """Say so where no forecast can be written, as values that are to be known ahead are not."""
    if missing := missing_ahead(panel, config.encodings, config.windows.horizon):
        reporter.warning(
            f"a future value is missing: {missing}: forecasts.csv will hold no row; fill in what "
            "'rnnforecast forecast DIR --template' prints and pass it to forecast as --future-data"
        )


def check_known(panel: Panel, config: RunConfig) -> None:
    """Raise DataError where a value that is to be known ahead is not."""
    if missing := missing_ahead(panel, config.encodings, config.windows.horizon):
        raise DataError(
            f"a future value is missing: {missing}; fill in what 'rnnforecast forecast DIR "
            "--template' prints and pass it as --future-data"
        )
