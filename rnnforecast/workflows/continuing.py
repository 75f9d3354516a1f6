"""A stored model that goes on learning: what it starts from, what it comes to, what it is sure of.

A model file holds two networks: the one that forecasts, fitted to all values, and the one that was
scored, which has not seen the newest horizon. The latter is held against its successor, so that
nothing that is scored has been seen. It has seen nearly all else: windows that could tell the best
epoch are few, and training takes a set number of epochs; intervals keep the factors that they had,
but for what windows show that the scored network has not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.backtest import held_out_origins, panel_before
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.windows import windows_between
from rnnforecast.errors import DataError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.forecaster import Forecaster, check_values, without_logarithm
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.checkpoints import Checkpoints
from rnnforecast.workflows.fitting import (
    CALIBRATION_WINDOWS,
    Watching,
    continued,
    factors_of,
    matching,
)
from rnnforecast.workflows.inputs import naming
from rnnforecast.workflows.keeping import fill_board, fit_to_all, unseen_factors
from rnnforecast.workflows.newest import acquainted, other_yearly, unseen_season
from rnnforecast.workflows.news import News, Stored
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Reporter


class Before(Forecaster):
    """The stored model, beside the one that may take its place."""

    @property
    def name(self) -> str:
        """That of the model, and what sets it apart."""
        return f"{super().name}-before"


@dataclass(frozen=True, kw_only=True)
class Case:
    """An update that has something to learn.

    Attributes:
        stored: The model as it is.
        news: What the data have that it has not.
        run: The data, and the configuration of the candidate.
        from_scratch: Whether the candidate does not start from the stored weights.
    """

    stored: Stored
    news: News
    run: Prepared
    from_scratch: bool

    @property
    def before(self) -> Before:
        """The stored model as a contender: the network that was scored, or else the other."""
        old = self.stored.scored or self.stored.forecaster
        return Before(old.config, old.network, old.factors)


def corrected_factors(forecaster: Forecaster, panel: Panel, first: IntArray) -> FloatArray:
    """A model's factors, corrected by windows from `first` [series] on, which it has not seen."""
    config = forecaster.config
    index = windows_between(np.maximum(first, 1), panel.lengths - config.windows.horizon)
    prior = 1.0 if forecaster.factors is None else forecaster.factors
    return factors_of(forecaster, panel, index.thinned(CALIBRATION_WINDOWS), config, prior)


def outdated(stored: Stored, table: Table, retrain_after: int | None) -> str | None:
    """Why the stored weights are no start, as far as no forecast tells.

    `retrain_after` updates are enough, where it is a number. A season or a yearly component is no
    reason where the last update was refused, so that not every one is a whole training.

    Raises:
        DataError: A value has no logarithm, and the settings leave no way but logarithms.
    """
    config, settings = stored.forecaster.config, stored.settings
    fault = without_logarithm(table.panel) if config.model.log else None
    if fault is not None:
        if settings.log or not settings.refit:
            with naming(table):
                check_values(table.panel, config.model)
        return (
            f"series '{fault[0]}' has the value {fault[1]:g}, which has no logarithm, and the "
            "model works on logarithms"
        )
    if not stored.refused and (reason := _unlike(stored, table)):
        return reason
    if stored.scored is None:
        return "the network that was scored is no start for one of other values or seasons"
    if retrain_after is not None and stored.updates >= retrain_after:
        return f"updated {stored.updates} times since the last time"
    return None


def _unlike(stored: Stored, table: Table) -> str | None:
    """What seasons or yearly components a table shows by now, unlike those of a model."""
    config, settings = stored.forecaster.config, stored.settings
    known = _known(table, settings.horizon)
    season = unseen_season(config, table.panel if settings.refit else known, settings)
    if season is not None:
        return f"the series show a season of {season} steps, which {stored.forecaster.name} has not"
    return other_yearly(config, stored.panel.ids, known, settings)


def with_news(stored: Stored, table: Table) -> Stored:
    """The stored model with the yearly seasonality that series share, for those that are new."""
    known, met = _known(table, stored.settings.horizon), stored.panel.ids
    scored = None if stored.scored is None else acquainted(stored.scored, met, known)
    return replace(stored, forecaster=acquainted(stored.forecaster, met, known), scored=scored)


def _known(table: Table, horizon: int) -> Panel:
    """What lies before the values that are held out."""
    with naming(table):
        return panel_before(table.panel, held_out_origins(table.panel, horizon))


def drifted(limit: float, case: Case) -> str | None:
    """Why the model no longer fits the series, by its errors on the newest values."""
    if math.isinf(limit):
        return None
    before = case.before
    flat = np.ones((case.run.config.windows.horizon, len(case.run.config.model.levels)))
    metrics = fill_board([before], {before.name: flat}, case.run).by_model()
    for measure in ("mase", "mae"):
        found, trained = float(metrics[measure][0]), case.stored.trained.get(measure)
        if trained is None or math.isnan(found):
            continue
        if found <= limit * trained:
            return None
        return (
            f"the {measure} of {case.stored.forecaster.name} is {found:.4g} on the newest values, "
            f"and was {trained:.4g} when it was last trained from scratch"
        )
    return None


def go_on(case: Case, reporter: Reporter, watching: Watching) -> tuple[Forecaster, FitResult]:
    """Fit the weights that were scored to what lies before the held-out values."""
    run = case.run
    with watching as watch, reporter.training(f"updating {run.config.model.model}") as on_epoch:
        forecaster, result = fit_forecaster(
            run.known,
            continued(run.config),
            device=run.device,
            initial=case.before.network,
            on_epoch=on_epoch,
            watch=watch,
        )
    if result.stop_reason == "time limit":
        reporter.note(f"the time limit ended the update in epoch {len(result.history)}")
    return forecaster, result


def can_forecast(case: Case) -> bool:
    """Whether the stored model can read the ends of all series."""
    config = case.stored.forecaster.config
    try:
        check_values(case.run.panel.tail(config.windows.lookback), config.model)
    except DataError:
        return False
    return True


def finish(
    candidate: Forecaster,
    result: FitResult,
    case: Case,
    checkpoints: Checkpoints,
    reporter: Reporter,
) -> Forecaster:
    """The model that is kept in place of the stored one, by the candidate that was scored."""
    run = case.run
    if case.from_scratch:
        factors = unseen_factors(candidate, run)
    else:
        factors = corrected_factors(candidate, run.panel, run.known.lengths)
    kept = candidate
    if run.settings.refit:
        kept = fit_to_all(
            candidate,
            run if case.from_scratch else replace(run, config=continued(run.config)),
            result,
            checkpoints,
            reporter,
            initial=None if case.from_scratch else case.stored.forecaster.network,
        )
    # The next update shortens what training had, too.
    config = replace(kept.config, training=run.config.training)
    factors = factors * matching(candidate, kept, run.panel)
    return replace(kept, config=config, factors=factors)


def as_it_was(case: Case) -> tuple[Forecaster, Forecaster]:
    """The stored model, to forecast what follows the newest values, and its scored network."""
    data, panel = case.run.table.config, case.run.panel
    old, before = case.stored.forecaster, case.before
    factors = corrected_factors(before, panel, case.news.seen) * matching(before, old, panel)
    kept = replace(old, config=replace(old.config, data=data), factors=factors)
    return kept, Forecaster(kept.config, before.network, before.factors)
