"""`rnnforecast evaluate`: the metrics of any tool's forecasts, beside the baselines'."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.backtest import validation_windows
from rnnforecast.columns import DataConfig
from rnnforecast.config import WindowSpec, quantile_levels
from rnnforecast.contenders import BaselineContender, calibration
from rnnforecast.data.actuals import read_actuals
from rnnforecast.data.dialects import id_name
from rnnforecast.data.forecasts import ForecastRows, read_forecasts
from rnnforecast.data.joining import Joined, Missing, join
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.seasonality import find_seasons
from rnnforecast.errors import ConfigError, DataError
from rnnforecast.evaluation.baselines import BASELINES
from rnnforecast.evaluation.intervals import widen
from rnnforecast.scoreboard import Block, Forecasts, Scoreboard
from rnnforecast.workflows.facts import record_data, record_metrics
from rnnforecast.workflows.fitting import CALIBRATION_WINDOWS, baseline_contenders
from rnnforecast.workflows.inputs import describe_data, warn_of_ignored
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import (
    Scored,
    failed_gate,
    parse_gates,
    tell_of_losses,
    tell_of_undefined,
    tell_the_best,
)

# Of baselines, where the forecasts have no intervals.
LEVELS = (80.0, 95.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What `rnnforecast evaluate` was asked.

    Attributes:
        forecasts: The CSV file of forecasts, "-" for standard input.
        actuals: The CSV files of what happened, before the forecasts too.
        data: Columns and dialect, as far as they were named.
        season: Steps in a season; None finds it in what lies before the forecasts.
        coverage: Of Prophet's intervals, in percent.
        after: Forecasts up to this time are left out.
        by: What the rows of the table stand for: "model", "series", "step" or "cutoff".
        fail_if: Conditions such as mase>1 under which the run fails.
    """

    forecasts: str
    actuals: tuple[str, ...]
    data: DataConfig
    season: int | None = None
    coverage: float = 80.0
    after: str | None = None
    by: str = "model"
    fail_if: tuple[str, ...] = ()


def evaluate(request: EvaluateRequest, reporter: Reporter) -> Scored:
    """Score every model of a table of forecasts against what happened.

    The baselines forecast the same windows from what lies before them, where every one has that.
    """
    table = read_actuals(request.actuals, request.data)
    record_data(table, reporter)
    warn_of_ignored(table, reporter)
    asked = _columns(request.data, table.config)
    rows = read_forecasts(request.forecasts, asked, request.coverage, request.after)
    joined = join(rows, table.panel)
    reporter.record(
        forecasts=rows.name,
        models=[model.name for model in rows.models],
        windows={"scored": len(joined.index), "horizon": joined.horizon},
    )
    _tell_of_join(rows, joined, table, reporter)
    _check_common(rows, joined)
    _tell_of_history(rows, joined, table.panel, request.after, reporter)
    known = _known(table.panel, joined)
    windows = WindowSpec(
        lookback=1, horizon=joined.horizon, seasons=_seasons(known, request.season)
    )
    beside = int(joined.index.cutoffs.min()) > 0
    naive2 = beside and request.season is not None
    levels = tuple(sorted(set().union(*joined.coverages.values()))) or (LEVELS if beside else ())
    gates = parse_gates(request.fail_if, levels, owa=naive2)
    forecasts = {
        name: Forecasts(quantiles, quantile_levels(joined.coverages[name]))
        for name, quantiles in joined.quantiles.items()
    }
    if beside:
        for contender in baseline_contenders(windows, quantile_levels(levels), naive2=naive2):
            if contender.name not in forecasts:
                quantiles = _forecast(contender, table.panel, known, joined, levels)
                forecasts[contender.name] = Forecasts(quantiles, contender.levels)
    board = _score(joined, forecasts, table, windows, request.by)
    metrics = board.by_model()
    record_metrics(metrics, reporter)
    # A file may hold baselines alone, which are then what it is about.
    models = [name for name in joined.quantiles if name not in BASELINES] or [*joined.quantiles]
    tell_of_undefined(board, reporter)
    tell_of_losses(metrics, models, reporter)
    tell_the_best(board, reporter)
    return Scored(board.table(), failed_gate(metrics, models, gates))


def _columns(asked: DataConfig, found: DataConfig) -> DataConfig:
    """What was asked, and where nothing was, the columns of the actual values."""
    return replace(
        asked,
        id_column=asked.id_column or found.id_column,
        time_column=asked.time_column or found.time_column,
        target_columns=asked.target_columns or found.target_columns,
    )


def _check_common(rows: ForecastRows, joined: Joined) -> None:
    """Raise DataError where no actual value has a forecast of every model."""
    middles = [quantiles[..., quantiles.shape[-1] // 2] for quantiles in joined.quantiles.values()]
    if np.isnan(np.sum(middles, axis=0) + joined.actual).all():
        name = max(joined.lacking, key=lambda model: joined.lacking[model].count)
        raise DataError(
            f"{rows.name}: no actual value has a forecast of every model, and only such values are "
            f"scored; fill in or remove the forecasts of '{name}'"
        )


def _known(panel: Panel, joined: Joined) -> Panel:
    """The panel up to the first window of each series, which some may have nothing before."""
    ends = panel.lengths.copy()
    np.minimum.at(ends, joined.index.series, joined.index.cutoffs)
    return panel.before(ends)


def _seasons(known: Panel, asked: int | None) -> tuple[int, ...]:
    """Those found in what lies before the forecasts, or the one asked.

    Raises:
        ConfigError: No series is as long as a season.
    """
    longest = int(known.lengths.max())
    if asked is None or not longest:
        return find_seasons(known)
    if asked > longest:
        raise ConfigError(
            f"season must be at most {longest}, the values of the longest series before the "
            f"forecasts, got {asked}"
        )
    return (asked,)


def _forecast(
    contender: BaselineContender,
    panel: Panel,
    known: Panel,
    joined: Joined,
    levels: tuple[float, ...],
) -> FloatArray:
    """A baseline's quantiles of every window, calibrated on the newest before all of them."""
    newest = validation_windows(known.lengths, joined.horizon, CALIBRATION_WINDOWS)
    factors = calibration(contender, known, newest, levels, joined.horizon)
    return widen(contender.predict_at(panel, joined.index), factors)


def _score(
    joined: Joined,
    forecasts: dict[str, Forecasts],
    table: Table,
    windows: WindowSpec,
    by: str,
) -> Scoreboard:
    """All windows on a board."""
    panel, index = table.panel, joined.index
    board = Scoreboard(
        panel,
        {name: forecast.levels for name, forecast in forecasts.items()},
        horizon=windows.horizon,
        season=windows.season,
        cutoffs=panel.times(index.series, index.cutoffs - 1),
        by=by,
        series_column=id_name(table.config),
    )
    board.add(Block(index=index, actual=joined.actual, forecasts=forecasts))
    return board


def _tell_of_join(rows: ForecastRows, joined: Joined, table: Table, reporter: Reporter) -> None:
    """Name what one side has and the other lacks, and what is odd about the forecasts."""
    count = "one window" if len(joined.index) == 1 else f"{len(joined.index)} windows"
    steps = f"of up to {joined.horizon} steps in {rows.name}"
    reporter.note(f"{describe_data(table)}; {count} {steps}")
    if rows.fitted:
        reporter.note(f"{rows.name}: rows left out, not after their cutoff: {rows.fitted}")
    if rows.ignored:
        shown = ", ".join(f"'{name}'" for name in rows.ignored)
        reporter.note(f"{rows.name}: columns not used: {shown}")
    _tell_of_missing(joined.unmatched, "forecasts without an actual value", reporter)
    for name, missing in joined.lacking.items():
        _tell_of_missing(missing, f"actual values without a forecast of {name}", reporter)
    if joined.left_out:
        first = f"the first of which is '{joined.left_out[0]}'"
        reporter.warning(f"series without a forecast: {len(joined.left_out)}, {first}")
    for model in rows.models:
        if model.crossed:
            reporter.warning(
                f"{rows.name}: rows of {model.name} with a bound on the wrong side of another "
                f"one: {model.crossed}"
            )


def _tell_of_missing(missing: Missing, what: str, reporter: Reporter) -> None:
    if missing.count:
        more = ", …" if missing.count > len(missing.first) else ""
        reporter.warning(f"{what}: {missing.count}, {', '.join(missing.first)}{more}")


def _tell_of_history(
    rows: ForecastRows, joined: Joined, panel: Panel, after: str | None, reporter: Reporter
) -> None:
    """Say where nothing is known before a window, and where fitted values could be taken for one.

    Without cutoffs a fitted value looks like a forecast, and flatters the model.
    """
    marked = rows.cutoffs is not None or after is not None
    first = int(np.argmin(joined.index.cutoffs))
    if not joined.index.cutoffs[first]:
        remedy = "" if marked else ", or pass --after if fitted values come first"
        reporter.warning(
            f"no value is known before the forecasts of '{panel.ids[joined.index.series[first]]}', "
            "so that there are no baselines, and no mase of it; name the file that has earlier "
            f"values as well{remedy}"
        )
    elif not marked:
        reporter.note(
            f"{rows.name} has no column 'cutoff': each series is one forecast from its first row "
            "on; pass --after if fitted values come first"
        )
