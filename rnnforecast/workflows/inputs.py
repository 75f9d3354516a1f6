"""Reading the series of a run, and saying in one line what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.clock_changes import zone_skipping
from rnnforecast.data.grid_faults import unobserved
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table, read_table
from rnnforecast.errors import DataError
from rnnforecast.forecaster import not_counted, without_logarithm
from rnnforecast.models.distributions import find_head
from rnnforecast.models.registry import find_model
from rnnforecast.workflows.covariates import NO_SIDES, SideTables, with_sides
from rnnforecast.workflows.facts import record_data
from rnnforecast.workflows.reporting import Reporter, some_series


def read_series(
    path: str | Sequence[str], asked: DataConfig, reporter: Reporter, sides: SideTables = NO_SIDES
) -> Table:
    """Read a table, and what stands beside it; tell of what is left out."""
    table = read_table(path, asked)
    record_data(table, reporter)
    warn_of_ignored(table, reporter)
    warn_of_clocks(table, reporter)
    return with_sides(table, sides, reporter)


def warn_of_ignored(table: Table, reporter: Reporter) -> None:
    """Name the columns and series that are left out; say what there is to say of the others."""
    if table.unobserved:
        reporter.warning(f"{table.name}: {unobserved(table.unobserved).problem}; left out")
    for note in table.notes:
        reporter.note(f"{table.name}: {note}")
    if table.ignored:
        shown = ", ".join(f"'{name}'" for name in table.ignored)
        reporter.warning(f"{table.name}: columns not used: {shown}")


def warn_of_clocks(table: Table, reporter: Reporter) -> None:
    """Name the zone whose clocks skip all the times that are missing."""
    panel = table.panel
    missing = np.flatnonzero(np.isnan(panel.values))
    if not panel.frequency.may_skip or not len(missing):
        return
    series = np.searchsorted(panel.offsets, missing, side="right") - 1
    times = np.unique(panel.times(series, missing - panel.offsets[series]))
    # Mostly the first one tells, and other gaps may be many.
    found = zone_skipping(times[:1]) and zone_skipping(times)
    if found is not None and found[1] == times.tolist():
        first = panel.frequency.format(times[:1])[0]
        reporter.warning(
            f"{table.name}: the time {first} is missing, as where clocks are set forward: every "
            f"one after it counts as an hour later; pass --time-zone {found[0]}"
        )


def check_logarithms(panel: Panel, settings: Settings, kept: bool = False) -> None:
    """Raise DataError where a value has no logarithm, but logarithms were asked for.

    The same where a model that works on them is to be `kept` as it is.
    """
    if (settings.log or kept) and (fault := without_logarithm(panel)):
        remedy = "drop --log" if settings.log else "pass --no-log"
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:g}, which has no logarithm; {remedy}"
        )


def check_counts(panel: Panel, head: str) -> None:
    """Raise DataError where a value is no count, but the head's distribution is of these."""
    if find_head(head).counts and (fault := not_counted(panel)):
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:.15g}, which is no count, as head "
            f"{head} needs; pass another --head"
        )


def tell_of_ends(panel: Panel, reporter: Reporter) -> None:
    """Say so where series end at different times, as each has cutoffs of its own."""
    ends = panel.times(np.arange(len(panel)), panel.lengths - 1)
    if panel.frequency.unit != "step" and len(np.unique(ends)) > 1:
        reporter.note(
            "series end at different times: what follows the cutoff of one may be known to models "
            "from others"
        )


def tell_of_past(panel: Panel, horizon: int, reporter: Reporter) -> None:
    """Name the series that ended so early that all of their forecast is of times now past."""
    if panel.frequency.unit == "step":  # each series may count its own
        return
    series = np.arange(len(panel))
    ends, aims = (panel.times(series, panel.lengths - 1 + ahead) for ahead in (0, horizon))
    latest = int(ends.argmax())
    past = np.flatnonzero(aims <= ends[latest])
    if len(past):
        last = panel.written(series[[latest]], panel.lengths[[latest]] - 1)[0]
        reporter.note(
            f"{some_series(panel, past)} forecast for times up to {last} alone, where series "
            f"'{panel.ids[latest]}' ends; leave out what has ended, or correct that time"
        )


@contextmanager
def naming(table: Table) -> Iterator[None]:
    """Put the file's name before what is wrong with its series as a whole."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from None


def describe_data(table: Table) -> str:
    """The series, their lengths, their frequency and the columns they were read from."""
    panel, config = table.panel, table.config
    count = f"{len(panel)} series" if len(panel) > 1 else "one series"
    shortest, longest = int(panel.lengths.min()), int(panel.lengths.max())
    rows = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    columns = (config.id_column, config.time_column, *config.target_columns[:4])
    named = ", ".join(name for name in columns if name is not None)
    more = ", …" if len(config.target_columns) > 4 else ""
    step = ""
    if panel.frequency.unit != "step":
        every = str(panel.frequency)
        step = f", one {'an' if every == 'hour' else 'a'} {every}"
    return f"{table.name}: {count} of {rows} values{step} ({named}{more})"


def describe_config(config: RunConfig) -> str:
    """What the rules have settled."""
    windows, model = config.windows, config.model
    if windows.seasons == (1,):
        season = "no season"
    else:
        season = "season " + " and ".join(str(length) for length in windows.seasons)
    if config.yearly:
        season += f", yearly seasonality taken out of {config.yearly.count} series"
    reads = f"reads {windows.lookback} values"
    if find_model(model.model).cell:
        one_by_one = model.segment_length == 1
        steps = "step by step" if one_by_one else f"in segments of {model.segment_length}"
        reads = f"with {model.hidden_size} units {reads} {steps}"
    log = ", on logarithms" if model.log else ", nothing below 0" if model.nonnegative else ""
    members = f", median of {len(model.lookbacks)} members" if model.lookbacks else ""
    return f"{season}; {model.model} {reads}{log}{members}"
