"""Fitting a network to a panel: which windows it learns from, and which tell its best epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from rnnforecast.allocator import release_freed_memory
from rnnforecast.arrays import IntArray
from rnnforecast.config import RunConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex, windows_between
from rnnforecast.errors import DataError
from rnnforecast.forecaster import Forecaster, gather_windows, prediction_batch
from rnnforecast.models.decoders import Truth
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.linear_start import Sample, first_alike
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import find_model
from rnnforecast.runtime import seed_everything
from rnnforecast.training.augmentation import jitter
from rnnforecast.training.loop import UNWATCHED, FitResult, Progress, Watch, fit
from rnnforecast.training.rate_finder import RateSearch, find_learning_rate
from rnnforecast.training.state import Loss

VALIDATION_WINDOWS = 4096
# Windows that a skip's start is found by, and the share of each series whose windows judge it.
START_WINDOWS, JUDGED_SHARE = 8192, 0.3
# Of the shares of the way to the start, the least is taken whose error is within this of the best;
# no step counts for more than so many scales of its window: one series may not outvote all others.
ALIKE, FAR = 0.002, 10.0
# Disjoint windows learned from at which the start is believed as much as by one time held out.
FEW = 16.0
# Values that all windows of a validation or calibration hold together, and the share of windows for
# which a model that samples has the time.
READ_VALUES, DRAWN_SHARE = 2**24, 1 / 32
# How often a decoder that is fed back reads the truth, by the progress of the training in [0, 1);
# scheduled sampling (Bengio et al. 2015) goes from always to never.
TEACHING: dict[str, Callable[[float], float]] = {
    "always": lambda progress: 1.0,
    "scheduled": lambda progress: 1.0 - progress,
    "never": lambda progress: 0.0,
}


def fit_forecaster(
    panel: Panel,
    config: RunConfig,
    *,
    device: torch.device,
    ends: IntArray | None = None,
    initial: Ensemble | None = None,
    on_epoch: Progress | None = None,
    watch: Watch = UNWATCHED,
) -> tuple[Forecaster, FitResult]:
    """Fit a new network to a panel.

    Args:
        panel: What may be seen, all of it before any cutoff that is scored later.
        config: The network and how it is trained.
        device: Where it is trained.
        ends: Positions at which training targets end and validation begins [series]; a series
            whose end is its length is only trained on. None trains on everything.
        initial: A network of this configuration whose weights to start from. Where nothing is held
            out, its shrinkage stays.
        on_epoch: Called after each epoch.
        watch: Looks on.

    Raises:
        DataError: No series has two values.
        TrainingError: Training diverged.
    """
    release_freed_memory()
    generator = seed_everything(config.training.seed)
    network, train = prepared(panel, config, device, ends, initial)
    release_freed_memory()
    held_out = validate = None
    if ends is not None:
        newest = newest_windows(panel, config, ends)
        held_out = gather_windows(panel, newest, config, device=device)

        def validate() -> float:
            batches = torch.split(torch.arange(len(held_out)), prediction_batch(config.windows))
            # In inference mode, which is that of forecasts, the compiled kernels would not serve.
            with torch.no_grad():
                losses = (
                    fmean(map(float, batch_losses(network, held_out.gather(rows)))) * len(rows)
                    for rows in batches
                )
                return sum(losses) / len(held_out)

    result = fit(
        network,
        config.training,
        loss=training_loss(network, train, config),
        windows=len(train),
        validate=validate,
        generator=generator,
        on_epoch=on_epoch,
        watch=watch,
    )
    if held_out is not None or initial is None:
        learned = panel.lengths if ends is None else ends
        left = panel.lengths - learned
        network.shrinkage.fill_(_shrinkage(network, held_out, config, left, learned))
    release_freed_memory()
    return Forecaster(config, network), result


def _shrinkage(
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
            scale = network.members[0].normalise(batch.values, batch.mask)[1].scale
        for place, share in enumerate(shares):
            median = network.shrunk(learned, start, share)[..., learned.shape[2] // 2]
            distance = ((median - batch.target).abs() / scale).clamp(max=FAR)
            errors[place] += float(distance[batch.target_mask].sum())
    return shares[first_alike(errors, ALIKE)]


def find_rate(
    panel: Panel, config: RunConfig, *, device: torch.device, ends: IntArray | None = None
) -> RateSearch:
    """Search the learning rate for `fit_forecaster` with these arguments.

    Raises:
        DataError: No series has two values.
        TrainingError: The loss is not finite from the start.
    """
    generator = seed_everything(config.training.seed)
    network, train = prepared(panel, config, device, ends)
    return find_learning_rate(
        network,
        config.training,
        loss=training_loss(network, train, config),
        windows=len(train),
        generator=generator,
    )


def prepared(
    panel: Panel,
    config: RunConfig,
    device: torch.device,
    ends: IntArray | None,
    initial: Ensemble | None = None,
) -> tuple[Ensemble, WindowGatherer]:
    """A network with these weights or new ones, and the windows to fit it to."""
    seen = panel if ends is None else panel.before(ends)
    index = training_windows(seen, config.windows)
    if not len(index):
        raise DataError("no series has two values to learn from; pass longer series")
    network = Ensemble(config.model, config.windows)
    if initial is None:
        _start_skips(network, seen, index, config)
    else:
        network.load_state_dict(initial.state_dict())
    network.to(device)
    return network, gather_windows(seen, index, config, device=device)


def _start_skips(network: Ensemble, panel: Panel, index: WindowIndex, config: RunConfig) -> None:
    """Start the skip of each member at what serves the training windows of `index` best.

    Of these it is found by those that have two of the longest season before them, or half of their
    series, at most 8,192 of them. Those of the newest values judge.
    """
    enough = np.minimum(2 * max(config.windows.seasons), panel.lengths // 2)
    told = np.flatnonzero(index.cutoffs >= enough[index.series])
    sample = WindowIndex(series=index.series[told], cutoffs=index.cutoffs[told])
    sample = sample.thinned(min(START_WINDOWS, affordable_windows(config)))
    # On the CPU, as a GPU may lack the double precision of a decomposition. A skip reads no more.
    alone = replace(panel, features=None)
    windows = gather_windows(alone, sample, config, device=torch.device("cpu"))
    judged = np.ceil((1 - JUDGED_SHARE) * panel.lengths).astype(np.int64)
    left = torch.from_numpy(judged[sample.series] - sample.cutoffs)
    stands = len(told) / max(1, len(sample))
    for member in network.members:
        whole: list[Tensor] = []
        for places in torch.split(torch.arange(len(sample)), prediction_batch(config.windows)):
            part = _sample(member, windows.gather(places), left[places], stands)
            whole = whole or [each.new_empty(len(sample), *each.shape[1:]) for each in part]
            for all_rows, rows in zip(whole, part, strict=True):
                all_rows[places] = rows
        member.skip.start_by(Sample(*whole), config.windows.seasons)


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


def training_loss(network: Ensemble, train: WindowGatherer, config: RunConfig) -> Loss:
    """What `fit` follows: the mean loss of each member over the windows at some places of `train`.

    What a network in training mode reads of them is jittered, and of what comes after, a decoder
    that is fed back reads as much as `TEACHING` says of the progress.
    """
    season, share = config.windows.season, config.training.jitter
    teaching = TEACHING[config.training.teacher_forcing]

    def losses(places: Tensor, progress: float) -> list[Tensor]:
        batch = train.gather(places)
        noise = share if network.training else 0.0
        values = jitter(batch.values, batch.mask, season, noise)
        return batch_losses(network, batch._replace(values=values), teaching(progress))

    return losses


def batch_losses(network: Ensemble, batch: Batch, teacher_share: float = 0.0) -> list[Tensor]:
    """The mean loss of some windows by each member.

    A decoder that is fed back reads this share of the truth.
    """
    truth = Truth(batch.target, batch.target_mask, teacher_share)
    return network.losses(batch.values, batch.mask, truth, batch.inputs)


def affordable_windows(config: RunConfig) -> int:
    """Windows that may validate or calibrate: fewer where each is long or drawn path by path."""
    share = DRAWN_SHARE if find_model(config.model.model).samples else 1
    length = config.windows.lookback + config.windows.horizon
    return max(1, int(READ_VALUES * share) // length)


def training_windows(panel: Panel, windows: WindowSpec) -> WindowIndex:
    """Every cutoff with some history before it and a value after it.

    Targets may reach beyond the end of a series and history beyond its start: the loss and the
    network mask what is not there. A season of history is asked for where a series has it.
    """
    history = np.minimum(min(windows.season, windows.lookback), panel.lengths - 1)
    return windows_between(np.maximum(history, 1), panel.lengths - 1)


def newest_windows(panel: Panel, config: RunConfig, ends: IntArray) -> WindowIndex:
    """The windows from `ends` [series] on by which an epoch is judged, as many as can be afforded.

    Their targets lie within the series.
    """
    newest = windows_between(ends, panel.lengths - config.windows.horizon)
    return newest.thinned(min(VALIDATION_WINDOWS, affordable_windows(config)))
