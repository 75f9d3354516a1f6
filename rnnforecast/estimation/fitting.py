"""Fitting a network to a panel, and searching the learning rate for it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from rnnforecast.allocator import release_freed_memory
from rnnforecast.arrays import IntArray
from rnnforecast.config import RunConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer
from rnnforecast.errors import DataError
from rnnforecast.estimation.starting import shrinkage_of, spread_of, start_skips
from rnnforecast.estimation.windows import newest_windows, training_windows
from rnnforecast.forecaster import Forecaster, gather_windows, prediction_batch
from rnnforecast.models.decoders import Truth
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.runtime import seed_everything
from rnnforecast.training.augmentation import jitter
from rnnforecast.training.loop import UNWATCHED, FitResult, Progress, Watch, fit
from rnnforecast.training.rate_finder import RateSearch, find_learning_rate
from rnnforecast.training.state import Loss

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
        network.shrinkage.fill_(shrinkage_of(network, held_out, config, left, learned))
    network.spread.copy_(spread_of(network, panel, config, device))
    release_freed_memory()
    return Forecaster(config, network), result


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
        start_skips(network, seen, index, config)
    else:
        network.load_state_dict(initial.state_dict())
    network.to(device)
    return network, gather_windows(seen, index, config, device=device)


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
