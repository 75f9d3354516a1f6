"""What a network starts from, and how far its forecasts go back to it where little was learned."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import IntArray
from rnnforecast.config import RunConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex, constants
from rnnforecast.estimation.windows import affordable_windows, training_windows
from rnnforecast.forecaster import gather_windows, prediction_batch
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.linear_start import Sample, first_alike
from rnnforecast.models.network import ForecastNetwork

# Windows that a skip's start is found by, and the share of each series whose windows judge it.
START_WINDOWS, JUDGED_SHARE = 8192, 0.3
# Of the shares of the way to the start, the least is taken whose error is within this of the best;
# no step counts for more than so many scales: one series may not outvote all others.
ALIKE, FAR = 0.002, 10.0
# Disjoint windows learned from at which the start is believed as much as by one time held out.
FEW = 16.0


def start_skips(network: Ensemble, panel: Panel, index: WindowIndex, config: RunConfig) -> None:
    """Start the skip of each member at what serves the training windows of `index` best.

    Those of the newest values judge.
    """
    sample, stands = _told(panel, index, config)
    # On the CPU, as a GPU may lack the double precision of a decomposition. A skip reads no more.
    alone = replace(panel, features=None)
    windows = gather_windows(alone, sample, config, device=torch.device("cpu"))
    judged = np.ceil((1 - JUDGED_SHARE) * panel.lengths).astype(np.int64)
    left = torch.from_numpy(judged[sample.series] - sample.cutoffs)
    for member in network.members:
        whole: list[Tensor] = []
        for places in torch.split(torch.arange(len(sample)), prediction_batch(config.windows)):
            part = _sample(member, windows.gather(places), left[places], stands)
            whole = whole or [each.new_empty(len(sample), *each.shape[1:]) for each in part]
            for all_rows, rows in zip(whole, part, strict=True):
                all_rows[places] = rows
        member.skip.start_by(Sample(*whole), config.windows.seasons)


def _told(panel: Panel, index: WindowIndex, config: RunConfig) -> tuple[WindowIndex, float]:
    """The windows that tell of a start, at most 8,192, and how many of a panel's each stands for.

    Those tell that have two of the longest season before them, or half of their series.
    """
    enough = np.minimum(2 * max(config.windows.seasons), panel.lengths // 2)
    told = np.flatnonzero(index.cutoffs >= enough[index.series])
    every = WindowIndex(series=index.series[told], cutoffs=index.cutoffs[told])
    sample = every.thinned(min(START_WINDOWS, affordable_windows(config)))
    return sample, len(every) / max(1, len(sample))


def _sample(member: ForecastNetwork, batch: Batch, left: Tensor, stands: float) -> Sample:
    """Windows as a member's skip reads them, of which the first `left` [batch] steps are older.

    Each one stands for as many windows.
    """
    values, mask, _ = member.newest(batch.values, batch.mask)
    read, scale = member.normalise(values, mask)
    older = torch.arange(batch.target.shape[1]) < left[:, None]
    return Sample(
        read=read[:, -member.skip.read :],
        target=torch.where(batch.target_mask, scale.apply(batch.target), 0.0).to(read),
        mask=batch.target_mask,
        older=batch.target_mask & older,
        newer=left <= 0,
        stands=torch.full((len(left),), stands),
    )


def shrinkage_of(
    network: Ensemble,
    held_out: WindowGatherer | None,
    config: RunConfig,
    left: IntArray,
    learned: IntArray,
) -> float:
    """How far forecasts are shrunk towards the start, in [0, 1].

    The mean of three shares of the way, as if they had been measured at some times: the one that
    serves the windows held out best (stacking, Wolpert 1992), at as many as the series that have
    any left [series] hold horizons of it in the mean, since windows of one time err together; 0,
    at one; and 1, at the more the fewer disjoint windows were learned from [series], by which a
    network learns little but themselves.
    """
    horizon = config.windows.horizon
    times = float(left[left > 0].mean()) / horizon if held_out is not None else 0.0
    unlearned = FEW * horizon / float(learned.sum())
    best = 0.0 if held_out is None else _best_share(network, held_out, config)
    return (best * times + unlearned) / (times + 1 + unlearned)


def _best_share(network: Ensemble, held_out: WindowGatherer, config: RunConfig) -> float:
    """The share of the way to the start that serves windows best, in tenths."""
    shares = [tenth / 10 for tenth in range(11)]
    errors = [0.0] * len(shares)
    for places in torch.split(torch.arange(len(held_out)), prediction_batch(config.windows)):
        batch = held_out.gather(places)
        with torch.no_grad():
            learned = network.learned(batch.values, batch.mask, batch.inputs)
            start = network.started(batch.values, batch.mask)
            scale = network.scale(batch.values, batch.mask)
        for place, share in enumerate(shares):
            median = network.shrunk(learned, start, share)[..., learned.shape[2] // 2]
            distance = ((median - batch.target).abs() / scale).clamp(max=FAR)
            errors[place] += float(distance[batch.target_mask].sum())
    return shares[first_alike(errors, ALIKE)]


def spread_of(network: Ensemble, panel: Panel, config: RunConfig, device: torch.device) -> Tensor:
    """How far above a start its quantiles are, in scales of a window [horizon, quantile].

    As if its errors were normal, of the mean absolute size that they have in a panel's windows
    (Geary 1935), where each step counts beside one window in which all steps err alike. The fewer
    disjoint windows there are, the larger the next error may be.
    """
    horizon = config.windows.horizon
    index, stands = _told(panel, training_windows(panel, config.windows), config)
    errors = _start_errors(network, panel, index, config, device)
    known, total = stands * (~errors.isnan()).sum(0), stands * errors.nansum(0)
    mean = (total + horizon * total.sum() / known.sum().clamp(min=1)) / (known + horizon)
    disjoint = known.sum() / horizon**2
    deviation = math.sqrt(math.pi / 2) * mean * (1 + 1 / disjoint.clamp(min=1)).sqrt()
    levels = [NormalDist().inv_cdf(level) for level in config.model.quantile_levels]
    return deviation[:, None] * torch.tensor(levels)


def _start_errors(
    network: Ensemble, panel: Panel, index: WindowIndex, config: RunConfig, device: torch.device
) -> Tensor:
    """Absolute errors of the start [window, horizon], NaN where nothing is to be known.

    They are in mean scales of their series, as by its own a window that hardly varies would err by
    any number. Of constant windows, which are forecast to go on, nothing is to be known, either.
    """
    windows = gather_windows(replace(panel, features=None), index, config, device=device)
    errors = torch.empty(len(index), config.windows.horizon, dtype=torch.float64)
    scale = torch.empty(len(index), dtype=torch.float64)
    for places in torch.split(torch.arange(len(index)), prediction_batch(config.windows)):
        batch = windows.gather(places)
        with torch.no_grad():
            start = network.started(batch.values, batch.mask)
            scale[places] = network.scale(batch.values, batch.mask)[:, 0].cpu().double()
        constant, _ = constants(batch.values, batch.mask)
        counts = batch.target_mask & (batch.mask.any(1) & ~constant)[:, None]
        distance = (start[..., start.shape[2] // 2] - batch.target).abs()
        errors[places] = torch.where(counts, distance, torch.nan).cpu().double()
    told, series = ~errors.isnan().all(1), torch.from_numpy(index.series)
    weights = torch.bincount(series[told], scale[told], minlength=len(panel))
    mean = weights / torch.bincount(series[told], minlength=len(panel))
    return (errors / mean[series, None]).clamp(max=FAR)
