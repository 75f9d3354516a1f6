"""Scoring as every command does it: forecasts from each cutoff, the table of metrics, the word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnforecast.backtest import Origins
from rnnforecast.config import ModelSpec, quantile_levels
from rnnforecast.contenders import Calibrated
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import actual_values
from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.gates import Gate, parse_gate
from rnnforecast.evaluation.metrics import COMPARISONS, metrics_for
from rnnforecast.scoreboard import NAIVE2, SEASONAL_NAIVE, Block, Forecasts, Scoreboard
from rnnforecast.workflows.reporting import Reporter

# The share of chance beyond which a difference is not called one.
SIGNIFICANT = 0.05
# Errors below this share of the values, in percent, are those of rounding.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Scored:
    """The table of metrics of a run, and what to say where it fails a gate."""

    metrics: pd.DataFrame
    failure: str | None = None


def forecast_origins(
    panel: Panel,
    origins: Origins,
    contenders: Collection[Calibrated],
    spec: ModelSpec,
    horizon: int,
    ranks: range,
) -> Iterator[Block]:
    """What each contender forecasts from the cutoffs of these ranks, some windows at a time."""
    for places in origins.blocks(ranks.start, ranks.stop):
        index, rank = origins.windows(places), origins.ranks(places)
        actual = actual_values(panel, index, horizon)
        forecasts = {
            calibrated.contender.name: Forecasts(
                calibrated.forecast(panel, index, rank, actual), spec.quantile_levels
            )
            for calibrated in contenders
        }
        yield Block(index=index, actual=actual, forecasts=forecasts)


def parse_gates(texts: Sequence[str], levels: tuple[float, ...], *, owa: bool) -> list[Gate]:
    """The gates of a run.

    Args:
        texts: Such as "mase>1".
        levels: Nominal coverages of the intervals, in percent.
        owa: Whether Naive2 is scored too.

    Raises:
        ConfigError: A text is no gate, or names a metric that is not computed.
    """
    computed = metrics_for(quantile_levels(levels))
    names = [definition.name for definition in (*computed, *COMPARISONS)]
    gates = [parse_gate(text, names) for text in texts]
    if not owa and any(gate.metric == "owa" for gate in gates):
        raise ConfigError(
            "fail-if names owa, which needs --season and what lies before the forecasts"
        )
    return gates


def failed_gate(metrics: pd.DataFrame, models: Sequence[str], gates: Sequence[Gate]) -> str | None:
    """What to say of the first of `models` that fails a gate; None where all pass."""
    rows = metrics.set_index("model")
    for model in models:
        for gate in gates:
            values = {gate.metric: float(rows[gate.metric][model])}
            if gate.fails(values):
                value = values[gate.metric]
                found = "undefined" if np.isnan(value) else f"{value:.4g}"
                return f"{model}: {gate.metric} is {found}, and the run is to fail if {gate}"
    return None


def tell_of_losses(metrics: pd.DataFrame, models: Sequence[str], reporter: Reporter) -> None:
    """Say so where a model is worse than the seasonal naive."""
    rows = metrics.set_index("model")
    if SEASONAL_NAIVE not in rows.index:
        return
    for name in models:
        measure = "mae" if np.isnan(rows["skill"][name]) else "mase"
        own, naive = float(rows[measure][name]), float(rows[measure][SEASONAL_NAIVE])
        if own > naive and not rows["wape"][name] < NEGLIGIBLE:
            reporter.warning(
                f"{name} is worse than the seasonal naive here: its {measure} is {own:.4g}, the "
                f"naive's {naive:.4g}"
            )


def tell_of_unread(board: Scoreboard, reporter: Reporter) -> None:
    """Say of which windows a model has no forecast, as where its lookback holds no value."""
    for name, (count, first) in board.unread.items():
        reporter.warning(
            f"{count} of {board.windows} windows, the first of series '{first}', have no forecast "
            f"of {name} and are not scored; a network may need a longer --lookback"
        )


def tell_of_undefined(board: Scoreboard, reporter: Reporter) -> None:
    """Say which metrics rest on fewer values than others."""
    undefined = {name: count for name, count in board.undefined().items() if count}
    if undefined:
        shown = ", ".join(f"{name} {count}" for name, count in undefined.items())
        values = int(board.by_model()["n"].iloc[0])
        reporter.note(
            f"of {values} values, as many are left out where undefined: {shown} "
            "('rnnforecast metrics' says when)"
        )


def tell_the_best(board: Scoreboard, reporter: Reporter, expected: Sequence[str] = ()) -> None:
    """Name the best model, and whether chance could have put it before the second.

    Nothing is said of one that is `expected`, nor where such a one errs negligibly.
    """
    metrics = board.by_model()
    if (metrics["wape"][metrics["model"].isin(expected)] < NEGLIGIBLE).any():
        return
    metrics = metrics[metrics["model"] != NAIVE2]
    measure = "mase" if metrics["mase"].notna().any() else "mae"
    ranked = metrics.dropna(subset=measure).sort_values(measure, kind="stable")
    ranked = ranked.drop_duplicates(measure)  # without a season, the naive ones are the same
    if len(ranked) < 2 or ranked["model"].iloc[0] in expected:
        return
    (best, second), (least, next_least) = ranked["model"].iloc[:2], ranked[measure].iloc[:2]
    comparison, kind = board.compare(best, second)
    if comparison is None:
        verdict = "too few cutoffs and series to tell the difference from chance"
    elif kind == "series":
        verdict = (
            f"a paired t-test has p = {comparison.p_value:.2g} over {comparison.n} series, if "
            "these are independent of each other"
        )
    else:
        chance = "may be" if comparison.p_value > SIGNIFICANT else "is more than"
        verdict = (
            f"the difference {chance} chance (Diebold-Mariano p = {comparison.p_value:.2g} over "
            f"{comparison.n} cutoffs)"
        )
    reporter.note(
        f"best by {measure}: {best}, {least:.4g}, before {second}, {next_least:.4g}; {verdict}"
    )
