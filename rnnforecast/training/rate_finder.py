"""The learning-rate range test: one short training while the learning rate grows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.loop import train_step
from rnnforecast.training.state import Loss, begin_descent

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
RATES = [LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS)]
# Batches differ by more than a step gains, so that every step is judged by the same windows.
PROBE = 512
# About five steps count; the average lags by a factor of two in the rate.
SMOOTHING = 0.8


@dataclass(frozen=True, kw_only=True)
class RateSearch:
    """What a range test has found.

    Attributes:
        rates: Learning rates, ascending, of the steps until the loss rose too far.
        losses: The loss after each of these steps, averaged with those before it.
        suggestion: The peak learning rate to train with.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    network: nn.Module,
    config: TrainConfig,
    *,
    loss: Loss,
    windows: int,
    generator: torch.Generator,
) -> RateSearch:
    """Grow the learning rate until the loss explodes; take a tenth of where it was lowest.

    The range test of Smith 2017, with the margin of Howard & Gugger 2020 to the minimum, beyond
    which the loss rises. The network is spoilt by it: train another one.

    Args:
        network: With the weights to start from.
        config: The optimizer, its clipping and the size of a batch; its learning rate is not read.
        loss: One forward pass of `network` over training windows.
        windows: How many training windows there are.
        generator: Of the order of windows.

    Raises:
        TrainingError: The loss is not finite from the start, or no rate lowers it.
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    probe = torch.randperm(windows, generator=generator)[:PROBE]
    start = _loss_of(network, loss, probe)
    if not math.isfinite(start):
        raise TrainingError(
            f"no learning rate can be found: the loss is {start:.4g} before the first step; "
            "look for extreme values in the data or take another --head"
        )
    descent = begin_descent(network, config, loss)
    batches = ShuffledBatches(windows, config.batch_size, generator)
    for step, (rate, batch) in enumerate(zip(RATES, batches, strict=False), start=1):
        descent.optimizer.rate = rate
        network.train()
        norm = float(train_step(descent, batch, 0.0).gradient_norm)
        # The exponential average with its bias corrected, in the form that keeps a constant.
        weight = (1 - SMOOTHING) / (1 - SMOOTHING**step)
        average += weight * (_loss_of(network, loss, probe) - average)
        if not (math.isfinite(average) and math.isfinite(norm)):
            break
        rates.append(rate)
        losses.append(average)
        if _has_exploded(losses, start):
            break
    return RateSearch(
        rates=tuple(rates), losses=tuple(losses), suggestion=_suggestion(rates, losses, start)
    )


def _loss_of(network: nn.Module, loss: Loss, places: Tensor) -> float:
    """The loss without dropout, a decoder reading the truth as at the start of a training."""
    network.eval()
    # In inference mode, which is that of forecasts, the compiled kernels would not serve.
    with torch.no_grad():
        return fmean(map(float, loss(places, 0.0)))


def _has_exploded(losses: list[float], start: float) -> bool:
    """Whether the loss is more than 4 times the lowest.

    As a likelihood's loss may pass through zero, what was gained from the start counts as well.
    """
    lowest = min(losses)
    return losses[-1] - lowest > 3 * max(abs(lowest), start - lowest)


def _suggestion(rates: list[float], losses: list[float], start: float) -> float:
    """A tenth of the rate of the lowest loss, in two digits, so that it can be given again."""
    lowest = min(losses, default=math.inf)
    if lowest >= start:
        raise TrainingError(
            f"no learning rate from {LOWEST:g} to {HIGHEST:g} lowers the loss, {start:.4g}; "
            "pass --learning-rate instead of --find-lr"
        )
    return float(f"{rates[losses.index(lowest)] / 10:.1e}")
