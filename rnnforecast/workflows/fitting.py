"""Fitting as every command does it: once to find the epoch and be calibrated, once to all data."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from rnnforecast.arrays import FloatArray
from rnnforecast.backtest import training_ends, validation_windows
from rnnforecast.config import RunConfig, WindowSpec
from rnnforecast.contenders import BaselineContender, Contender, calibration
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.defaults import SOME
from rnnforecast.errors import ConfigError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.estimation.windows import affordable_windows, newest_windows, training_windows
from rnnforecast.evaluation.baselines import BASELINES, REFERENCES, Baseline
from rnnforecast.evaluation.intervals import relative_widths
from rnnforecast.evaluation.statistical import STATISTICAL
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.training.loop import UNWATCHED, FitResult, Watch
from rnnforecast.workflows.reporting import Reporter

Watching = AbstractContextManager[Watch]
"""What looks on at a fit, for as long as it lasts: `Checkpoints.watching`."""
UNWATCHED_FIT: Watching = nullcontext(UNWATCHED)

CALIBRATION_WINDOWS = 4096
# Of the epochs and of the learning rate of training, what a fit takes that goes on from weights,
# which it does where the horizon is at most this share of a typical series.
EPOCHS_SHARE, RATE_SHARE, HORIZON_SHARE = 1 / 5, 1 / 4, 1 / 10
# Statistical models are fitted anew for every window. What published results are held against reads
# all that lies before each: as many windows as together hold so many values, but no fewer.
STATISTICAL_WINDOWS, HISTORY_VALUES = 32, 2**24


def fit_validated(
    panel: Panel,
    config: RunConfig,
    device: torch.device,
    reporter: Reporter,
    *,
    watching: Watching = UNWATCHED_FIT,
) -> tuple[Forecaster, FitResult]:
    """Fit to all but the newest windows, which tell the best epoch."""
    ends = training_ends(panel.lengths, config.windows.horizon)
    with watching as watch, reporter.training(f"training {config.model.model}") as on_epoch:
        forecaster, result = fit_forecaster(
            panel,
            config,
            device=device,
            ends=ends,
            on_epoch=on_epoch,
            watch=watch,
        )
    if result.stop_reason == "time limit":
        reporter.note(
            f"the time limit ended training in epoch {len(result.history)}; the best was epoch "
            f"{result.best_epoch}"
        )
    return forecaster, result


def count_windows(panel: Panel, config: RunConfig) -> dict[str, int]:
    """The windows that `fit_validated` trains on, and those that it validates by."""
    ends = training_ends(panel.lengths, config.windows.horizon)
    fitted = panel if ends is None else panel.before(ends)
    return {
        "training": len(training_windows(fitted, config.windows)),
        "validation": 0 if ends is None else len(newest_windows(panel, config, ends)),
    }


def continued(config: RunConfig) -> RunConfig:
    """The configuration of a fit that goes on: fewer epochs and shorter steps than in training."""
    training = replace(
        config.training,
        epochs=math.ceil(config.training.epochs * EPOCHS_SHARE),
        learning_rate=config.training.learning_rate * RATE_SHARE,
    )
    return replace(config, training=training)


def as_long(config: RunConfig, result: FitResult) -> RunConfig:
    """The configuration of a fit of as many epochs as another took, to its best and after it.

    The schedule spans them. The best epoch alone would end at a high rate, if it was early, and
    windows of one time, which err together, tell it by chance.
    """
    return replace(config, training=replace(config.training, epochs=len(result.history)))


def goes_on(panel: Panel, config: RunConfig, scored: RunConfig) -> bool:
    """Whether a fit to all of a panel goes on from the weights that were scored.

    Where windows are many, and the one or two horizons that were held out little beside the rest,
    the newest windows change little of what was learnt, and of the start of a skip nothing: a fit
    that goes on forecasts as well as one from the start, for a fifth of it.
    """
    horizon = config.windows.horizon
    many = len(panel.values) >= SOME * horizon
    little = horizon <= HORIZON_SHARE * np.median(panel.lengths)
    same = config.model == scored.model and config.windows == scored.windows
    return same and many and bool(little)


def refit(
    panel: Panel,
    config: RunConfig,
    device: torch.device,
    reporter: Reporter,
    scored: tuple[Forecaster, FitResult],
    *,
    initial: Ensemble | None = None,
    watching: Watching = UNWATCHED_FIT,
    replaceable: bool = True,
) -> Forecaster:
    """Fit to everything: from the start, or going on from the scored weights where that will do.

    The shrinkage is that of what was scored: nothing is held out here that could tell another, and
    it is a share, whatever the units.

    Args:
        panel: Everything.
        config: The network and how it is trained.
        device: Where it is trained.
        reporter: Told of the course.
        scored: What was fitted to all but the newest values, and how that went.
        initial: Weights to start from, where those are not for this to choose.
        watching: What looks on.
        replaceable: Whether the forecaster is the scored one where time runs out.
    """
    before, result = scored
    used = as_long(config, result)
    if initial is None and goes_on(panel, config, before.config):
        used, initial = continued(used), before.network
    title = f"refitting {config.model.model} on all data"
    with watching as watch, reporter.training(title) as on_epoch:
        forecaster, course = fit_forecaster(
            panel,
            used,
            device=device,
            initial=initial,
            on_epoch=on_epoch,
            watch=watch,
        )
    forecaster.network.shrinkage.copy_(before.network.shrinkage)
    if not replaceable or course.stop_reason != "time limit":
        return replace(forecaster, config=config)
    reporter.warning(
        "the time limit ended the fit to all data: the model that is kept is the one that was "
        "scored, which has not seen the newest values; pass a longer --time-limit or --no-refit"
    )
    return before


def calibration_windows(panel: Panel, horizon: int) -> WindowIndex:
    """The newest windows of a panel, to which `fit_validated` fits no weight.

    But it tells the best epoch, the shrinkage and, with others, the spread of the start by them.
    """
    return validation_windows(panel.lengths, horizon, CALIBRATION_WINDOWS)


def matching(scored: Forecaster, kept: Forecaster, panel: Panel) -> FloatArray:
    """By what the scored model's factors are multiplied for the one that is kept [step, interval].

    What is fitted to all data has seen every window that could tell how wide its intervals should
    be, and may have learnt them by heart. So they are made as wide as the scored model's after the
    last values of `panel`, or where something is to be known ahead, after the last cutoffs at which
    it is; in the median over its series. The start, which learns nothing by heart, errs as much as
    it does on all values. Nothing tells how wide those of another season should be.

    Raises:
        TrainingError: A forecast of either is beyond all numbers.
    """
    levels, horizon = kept.config.model.levels, kept.config.windows.horizon
    if kept.network is scored.network or kept.config.windows != scored.config.windows:
        return np.ones((horizon, len(levels)))
    affordable = min(CALIBRATION_WINDOWS, affordable_windows(kept.config))
    known = horizon if kept.config.model.inputs.future else 0
    cutoffs = np.maximum(panel.lengths - known, 1)
    ends = WindowIndex(series=np.arange(len(panel)), cutoffs=cutoffs).thinned(affordable)
    before = scored
    if scored.log == kept.log:
        before = replace(scored, network=deepcopy(scored.network))
        before.network.spread.copy_(kept.network.spread)
    return relative_widths(
        before.predict_at(panel, ends), kept.predict_at(panel, ends), log=kept.log
    )


def baseline_contenders(
    windows: WindowSpec,
    levels: tuple[float, ...],
    *,
    naive2: bool = False,
    more: tuple[str, ...] = (),
    least: float = -math.inf,
) -> list[BaselineContender]:
    """The baselines that stand beside every model, those of `more` and, if wished, Naive2.

    `levels` are the quantile levels that they forecast, `least` is the least value that they hold
    possible.

    Raises:
        ConfigError: One of `more` does not exist, or its package is not installed.
    """
    chosen = _statistical(more) | BASELINES
    if naive2:
        chosen |= REFERENCES
    return [
        BaselineContender(name=name, baseline=baseline, windows=windows, levels=levels, least=least)
        for name, baseline in chosen.items()
    ]


def _statistical(names: tuple[str, ...]) -> dict[str, Baseline]:
    """The statistical models of these names; no cutoff tells whether their package is there."""
    for name in names:
        if name not in STATISTICAL:
            raise ConfigError(f"baselines must be among {', '.join(STATISTICAL)}, got '{name}'")
    for name in names:
        STATISTICAL[name](np.zeros(1), np.zeros(0, np.int64), 1, 1)
    return {name: STATISTICAL[name] for name in names}


def factors_of(
    contender: Contender,
    panel: Panel,
    index: WindowIndex,
    config: RunConfig,
    prior: FloatArray | float = 1.0,
) -> FloatArray:
    """The factors of a contender's half-widths [step, interval] by these windows.

    `prior` is what they were before, 1 for a contender that is new.
    """
    if contender.name in STATISTICAL:
        index = index.thinned(STATISTICAL_WINDOWS)
    elif contender.name in REFERENCES and len(index):
        affordable = HISTORY_VALUES // max(1, int(index.cutoffs.mean()))
        index = index.thinned(max(STATISTICAL_WINDOWS, affordable))
    elif contender.name == config.model.model:
        index = index.thinned(affordable_windows(config))
    levels, horizon = config.model.levels, config.windows.horizon
    return calibration(contender, panel, index, levels, horizon, prior)
