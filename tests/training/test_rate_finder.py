"""The range test, on problems whose largest usable learning rate is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.config import TrainConfig
from rnnforecast.errors import TrainingError
from rnnforecast.training.rate_finder import RateSearch, find_learning_rate
from rnnforecast.training.state import Loss
from tests.short_training import short_training

CONFIG = short_training(optimizer="sgd", weight_decay=0.0)


class Vector(nn.Module):
    """A network that is its weights, in double precision."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))


def search(
    network: nn.Module, loss: Loss, config: TrainConfig = CONFIG, windows: int = 20
) -> RateSearch:
    generator = torch.Generator().manual_seed(0)
    return find_learning_rate(network, config, loss=loss, windows=windows, generator=generator)


def search_of_quadratic(curvature: float, config: TrainConfig = CONFIG) -> RateSearch:
    network = Vector(1.0)
    return search(
        network, lambda places, progress: [curvature / 2 * network.weights.square().sum()], config
    )


def naive_search(curvature: float, clip_norm: float) -> tuple[list[float], list[float], float]:
    """Momentum 0.9 on curvature / 2 * weight², step by step in plain numbers."""
    weight, momentum, average = 1.0, 0.0, 0.0
    rates, losses = [], []
    for step in range(100):
        rate = 10 ** (-6 + 7 * step / 99)
        gradient = curvature * weight
        if abs(gradient) > clip_norm:
            gradient *= clip_norm / (abs(gradient) + 1e-6)
        momentum = 0.9 * momentum + gradient
        weight -= rate * momentum
        average = 0.8 * average + 0.2 * curvature / 2 * weight**2
        rates.append(rate)
        losses.append(average / (1 - 0.8 ** (step + 1)))
        if losses[-1] - min(losses) > 3 * max(min(losses), curvature / 2 - min(losses)):
            break
    return rates, losses, rates[int(np.argmin(losses))] / 10


@pytest.mark.parametrize("clip_norm", [math.inf, 0.5])
@pytest.mark.parametrize("curvature", [0.5, 7.0, 300.0])
def test_find_learning_rate_agrees_with_a_naive_loop_when_loss_is_quadratic(
    curvature: float, clip_norm: float
) -> None:
    found = search_of_quadratic(curvature, replace(CONFIG, clip_norm=clip_norm))
    rates, losses, suggestion = naive_search(curvature, clip_norm)
    assert found.rates == pytest.approx(rates)
    assert found.losses == pytest.approx(losses, rel=1e-6)
    assert found.suggestion == pytest.approx(suggestion, rel=0.05)


def search_of_bowl(curvature: float, optimizer: str) -> RateSearch:
    """Twenty curvatures, from a hundredth of the largest to it, and a weight of 1 for each."""
    curvatures = curvature * torch.logspace(-2, 0, 20, dtype=torch.float64)
    network = Vector(*20 * [1.0])
    return search(
        network,
        lambda places, progress: [(curvatures / 2 * network.weights.square()).sum()],
        replace(CONFIG, optimizer=optimizer),
    )


@pytest.mark.parametrize("curvature", [0.5, 5.0, 50.0, 500.0, 5000.0])
def test_find_learning_rate_stays_a_tenth_below_instability_when_loss_is_a_bowl(
    curvature: float,
) -> None:
    # Descent with momentum m diverges from the rate 2 (1 + m) / curvature on (Polyak 1964).
    unstable = 2 * 1.9 / curvature
    found = search_of_bowl(curvature, "sgd")
    assert unstable / 30 < found.suggestion < unstable / 10
    assert found.suggestion == float(f"{found.suggestion:.1e}")


def test_find_learning_rate_is_that_of_any_scale_when_optimizer_is_adamw() -> None:
    # Adam's steps are invariant to the scale of the gradient (Kingma & Ba 2015).
    assert len({search_of_bowl(scale, "adamw").suggestion for scale in (0.5, 50.0, 5000.0)}) == 1


def test_find_learning_rate_ends_early_when_loss_explodes() -> None:
    found = search_of_bowl(500.0, "sgd")
    assert len(found.rates) == len(found.losses) < 70
    lowest = min(found.losses)
    assert found.losses[-1] > 4 * lowest
    assert max(found.losses[found.losses.index(lowest) : -1]) < found.losses[-1]


def test_find_learning_rate_tries_every_rate_when_loss_falls_to_the_end() -> None:
    network = Vector(1e6)
    found = search(network, lambda places, progress: [network.weights.abs().sum()])
    assert len(found.rates) == len(found.losses) == 100
    assert (found.rates[0], found.rates[-1]) == pytest.approx((1e-6, 10.0))
    assert found.suggestion == 1.0


@pytest.mark.parametrize("shift", [0.5, 0.999, 1.0, 3.0])
def test_find_learning_rate_is_the_same_when_a_likelihoods_loss_passes_through_zero(
    shift: float,
) -> None:
    curvatures = torch.logspace(-1, 1, 20, dtype=torch.float64)
    start = float(curvatures.sum() / 2)

    def suggestion(shift: float) -> float:
        network = Vector(*20 * [1.0])

        def loss(places: Tensor, progress: float) -> list[Tensor]:
            return [(curvatures / 2 * network.weights.square()).sum() - shift * start]

        return search(network, loss).suggestion

    assert suggestion(shift) == suggestion(0.0)


def test_find_learning_rate_goes_on_when_loss_rises_by_a_share_of_what_was_gained() -> None:
    """Four times the lowest loss is next to nothing where that is next to zero."""
    network = Vector(1.0)
    losses = iter([2.0, *40 * [0.01], 0.5, *30 * [-1.0], 1000.0])

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        return [network.weights.sum() * (1.0 if network.training else next(losses))]

    found = search(network, loss, replace(CONFIG, clip_norm=1e-30))
    assert len(found.rates) == 72
    assert found.losses[40] > 4 * found.losses[39] > 0
    assert found.suggestion == pytest.approx(found.rates[70] / 10, rel=0.05)


def noisy_regression() -> tuple[nn.Module, Loss]:
    """Batches whose losses differ by far more than what there is to learn."""
    torch.manual_seed(0)
    x = torch.randn(400, 3)
    y = 10.0 * torch.randn(400) ** 3 + x.sum(1)
    network = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.3))
    return network, lambda places, progress: [
        (network(x[places])[:, 0] - y[places]).square().mean()
    ]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_find_learning_rate_is_of_sensible_size_when_batches_are_noisy(optimizer: str) -> None:
    network, loss = noisy_regression()
    config = replace(CONFIG, optimizer=optimizer, clip_norm=1.0)
    found = search(network, loss, config, windows=400)
    assert 1e-4 < found.suggestion <= 1.0


def test_find_learning_rate_steps_in_training_mode_and_judges_without_when_it_searches() -> None:
    network, loss = noisy_regression()
    modes: list[tuple[bool, int, float]] = []

    def observed_loss(places: Tensor, progress: float) -> Tensor:
        modes.append((network.training, len(places), progress))
        return loss(places, progress)

    steps = len(search(network, observed_loss, windows=400).rates)
    judged, stepped = (False, 400, 0.0), (True, 8, 0.0)
    assert modes[: 2 * steps + 1] == [judged, *(steps * [stepped, judged])]


@pytest.mark.parametrize("start", [math.nan, math.inf])
def test_find_learning_rate_raises_when_loss_is_not_finite_from_the_start(start: float) -> None:
    network = Vector(1.0)
    message = f"^no learning rate can be found: the loss is {start} before the first step; look for"
    with pytest.raises(TrainingError, match=message):
        search(network, lambda places, progress: [network.weights.sum() * start])


@pytest.mark.parametrize("slope", [0.0, math.inf])
def test_find_learning_rate_raises_when_no_rate_lowers_the_loss(slope: float) -> None:
    """A loss that is flat, and one whose gradient is infinite."""
    network = Vector(0.0)

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        return [0.25 + (network.weights.sqrt() if slope else 0 * network.weights).sum()]

    message = "no learning rate from 1e-06 to 10 lowers the loss, 0.25; pass --learning-rate"
    with pytest.raises(TrainingError, match=f"^{message} instead of --find-lr$"):
        search(network, loss)
