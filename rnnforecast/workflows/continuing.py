"""A stored model that goes on learning: what it starts from, what it comes to, what it is sure of.

The weights that are stored have seen all but the newest values, so windows that could tell the best
epoch are few: training takes a set number of epochs. For the same reason the intervals keep the
factors that they had, but for what windows of newer values show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.config import RunConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import windows_between
from rnnforecast.errors import DataError
from rnnforecast.forecaster import Forecaster, check_values, fit_forecaster
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.checkpoints import Checkpoints
from rnnforecast.workflows.fitting import (
    CALIBRATION_WINDOWS,
    Watching,
    factors_of,
)
from rnnforecast.workflows.keeping import fill_board, fit_to_all, unseen_factors
from rnnforecast.workflows.news import News, Stored
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Reporter

# Of the epochs and of the learning rate of training, what an update takes.
EPOCHS_SHARE, RATE_SHARE = 1 / 5, 1 / 4


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
        """The stored model as a contender."""
        old = self.stored.forecaster
        return Before(old.config, old.network, old.factors)

    def factors(self, forecaster: Forecaster, panel: Panel, first: IntArray) -> FloatArray:
        """The stored factors, corrected by the windows from `first` [series] on."""
        horizon = self.run.config.windows.horizon
        index = windows_between(np.maximum(first, 1), panel.lengths - horizon)
        prior = self.stored.forecaster.factors
        index = index.thinned(CALIBRATION_WINDOWS)
        return factors_of(
            forecaster, panel, index, forecaster.config, 1.0 if prior is None else prior
        )


def drifted(limit: float, case: Case) -> str | None:
    """Why the model no longer fits the series, by its errors on the newest values."""
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
    """Fit the stored weights to what lies before the held-out values."""
    run = case.run
    with watching as watch, reporter.training(f"updating {run.config.model.model}") as on_epoch:
        forecaster, result = fit_forecaster(
            run.known,
            shortened(run.config),
            device=run.device,
            initial=case.stored.forecaster.network,
            on_epoch=on_epoch,
            watch=watch,
        )
    if result.stop_reason == "time limit":
        reporter.note(f"the time limit ended the update in epoch {len(result.history)}")
    return replace(forecaster, config=run.config), result


def shortened(config: RunConfig) -> RunConfig:
    """The configuration of an update: fewer epochs and shorter steps than in training."""
    training = replace(
        config.training,
        epochs=math.ceil(config.training.epochs * EPOCHS_SHARE),
        learning_rate=config.training.learning_rate * RATE_SHARE,
    )
    return replace(config, training=training)


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
) -> tuple[Forecaster, IntArray]:
    """The accepted model, and how many values of each series it was fitted to [series]."""
    run, fitted = case.run, case.run.known.lengths
    if case.from_scratch:
        factors = unseen_factors(candidate, run)
    else:
        fitted = np.maximum(case.news.seen, fitted)
        factors = case.factors(candidate, run.panel, fitted)
    if run.settings.refit:
        last = fit_to_all(
            candidate,
            run if case.from_scratch else replace(run, config=shortened(run.config)),
            result.best_epoch,
            checkpoints,
            reporter,
            initial=None if case.from_scratch else case.stored.forecaster.network,
        )
        fitted = fitted if last is candidate else run.panel.lengths
        candidate = last
    # The next update shortens what training had, too.
    config = replace(candidate.config, training=run.config.training)
    return replace(candidate, config=config, factors=factors), fitted


def as_it_was(case: Case) -> Forecaster:
    """The stored model, to forecast what follows the newest values."""
    old, run = case.stored.forecaster, case.run
    factors = case.factors(old, run.panel, case.news.seen)
    return replace(old, config=replace(old.config, data=run.table.config), factors=factors)
