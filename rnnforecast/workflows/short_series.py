"""Series that say little: what is borrowed for them from the others, and which they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import BoolArray
from rnnforecast.backtest import Origins
from rnnforecast.config import RunConfig, Typical, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowIndex, constants, windows_between
from rnnforecast.estimation.windows import affordable_windows, training_windows
from rnnforecast.forecaster import gather_windows, prediction_batch
from rnnforecast.models.normalisation import ENOUGH, window_scale
from rnnforecast.workflows.reporting import Reporter, some_series

# So many windows, evenly spread, tell what is typical.
SAMPLED_WINDOWS = 4096


def with_typical(config: RunConfig, panel: Panel) -> RunConfig:
    """The configuration with what the windows of `panel`, all of it known, are typically like."""
    every = windows_between(np.ones_like(panel.lengths), panel.lengths - 1)
    index = every.thinned(min(SAMPLED_WINDOWS, affordable_windows(config)))
    if not len(index):
        return config
    # A lookback of one value has no spread, and of a few hardly one.
    enough = max(config.windows.lookback, ENOUGH)
    share, spread = _typical_spread(_batches(panel, index, config, enough), config)
    lasting = _lasting(_batches(panel, index, config, config.windows.lookback))
    typical = Typical(share=share, spread=spread, lasting=lasting)
    return replace(config, model=replace(config.model, typical=typical))


def _batches(panel: Panel, index: WindowIndex, config: RunConfig, lookback: int) -> Iterator[Batch]:
    """The windows that one network of this lookback would read, without what is beside them."""
    panel = replace(panel, features=None)
    alone = replace(
        config,
        windows=replace(config.windows, lookback=lookback),
        model=replace(config.model, lookbacks=()),
    )
    windows = gather_windows(panel, index, alone, device=torch.device("cpu"))
    return map(
        windows.gather, torch.split(torch.arange(len(index)), prediction_batch(alone.windows))
    )


def _typical_spread(batches: Iterable[Batch], config: RunConfig) -> tuple[float, float]:
    """The median spread of windows that vary, over their level and in their units.

    Of those with enough observations, or as many as any has; as in `Typical` where none varies.
    """
    parts = zip(*(_spread(batch, config) for batch in batches), strict=True)
    varies, count, share, scale = map(torch.cat, parts)
    if not varies.any():
        return Typical.share, Typical.spread
    told = varies & (count >= min(ENOUGH, int(count[varies].max())))
    return float(share[told].median()), float(scale[told].median())


def _spread(batch: Batch, config: RunConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whether windows vary, their observations, their spread over their level and in units."""
    count = batch.mask.sum(1)
    magnitude = batch.values.abs().sum(1) / count.clamp(min=1)
    highest = batch.values.masked_fill(~batch.mask, -torch.inf).amax(1)
    varies = highest > batch.values.masked_fill(~batch.mask, torch.inf).amin(1)
    season, log = config.windows.season, config.model.log
    scale = window_scale(batch.values, batch.mask, season, log).scale[:, 0]
    return varies, count, scale if log else scale / magnitude, scale


def _lasting(batches: Iterable[Batch]) -> float:
    """The share of values after constant windows that were the same; one more is taken to be."""
    counted, lasted = 1, 1
    for batch in batches:
        constant, value = constants(batch.values, batch.mask)
        known = batch.target_mask[constant]
        same = known & (batch.target[constant] == value[constant, None])
        counted, lasted = counted + int(known.sum()), lasted + int(same.sum())
    return lasted / counted


def tell_of_short(panel: Panel, origins: Origins, windows: WindowSpec, reporter: Reporter) -> None:
    """Name the series that nothing is learned from, and those that are too short to be scored."""
    unlearned = np.flatnonzero(~_learned(panel, windows))
    if len(unlearned):
        reporter.warning(
            f"{some_series(panel, unlearned)} too short to learn from: the forecast is what other "
            "series teach"
        )
    scored = np.isin(np.arange(len(panel)), origins.series)
    if scored.sum() == 1 < len(panel):
        reporter.warning(
            f"only series '{panel.ids[int(origins.series[0])]}' is long enough to hold the newest "
            "values out: metrics are of it alone"
        )
    elif not scored.all():
        reporter.note(
            f"{some_series(panel, np.flatnonzero(~scored))} too short to hold the newest values "
            "out: metrics are of the others"
        )


def _learned(panel: Panel, windows: WindowSpec) -> BoolArray:
    """Whether a series has a training window with a value to read and one to forecast [series]."""
    missing = np.flatnonzero(np.isnan(panel.values))
    gappy = np.zeros(len(panel), dtype=bool)
    gappy[np.searchsorted(panel.offsets, missing, side="right") - 1] = True
    whole = ~gappy & (panel.lengths > 1)
    return whole | _learned_despite_gaps(panel.before(np.where(whole, 0, panel.lengths)), windows)


def _learned_despite_gaps(panel: Panel, windows: WindowSpec) -> BoolArray:
    """The same by every training window."""
    index = training_windows(panel, windows)
    seen = np.concatenate([[0], np.cumsum(~np.isnan(panel.values))])
    start, stop = panel.offsets[index.series], panel.offsets[index.series + 1]
    cutoff = start + index.cutoffs
    read = seen[cutoff] - seen[np.maximum(cutoff - windows.lookback, start)]
    ahead = seen[np.minimum(cutoff + windows.horizon, stop)] - seen[cutoff]
    used = index.series[(read > 0) & (ahead > 0)]
    learned: BoolArray = np.bincount(used, minlength=len(panel)).astype(bool)
    return learned
