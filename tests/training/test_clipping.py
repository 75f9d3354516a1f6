"""Clipping, by the gradient that it leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnforecast.config import TrainConfig
from rnnforecast.training.clipping import Clipper


def clipper(**limits: float) -> Clipper:
    unlimited = {"clip_norm": math.inf, "clip_value": math.inf}
    rest = {"batches_per_epoch": 1, "batch_size": 1, "learning_rate": 1.0, "patience": 1, "seed": 0}
    return Clipper(TrainConfig(epochs=1, **{**rest, **unlimited, **limits}))


def network_of(*gradient: float) -> nn.Linear:
    """A network with this gradient, shared by its weights and its bias."""
    network = nn.Linear(len(gradient) - 1, 1)
    network.weight.grad = torch.tensor([gradient[:-1]])
    network.bias.grad = torch.tensor(gradient[-1:])
    return network


def gradient_of(network: nn.Linear) -> list[float]:
    assert network.weight.grad is not None and network.bias.grad is not None
    return [*network.weight.grad[0].tolist(), *network.bias.grad.tolist()]


@pytest.mark.parametrize(
    ("clip_norm", "clip_value", "left"),
    [
        (math.inf, math.inf, [3.0, -4.0, 12.0]),
        (13.0, math.inf, [3.0, -4.0, 12.0]),
        (1.3, math.inf, [0.3, -0.4, 1.2]),
        (math.inf, 3.5, [3.0, -3.5, 3.5]),
        # Entries first, then the norm: (3, -4, 4) has norm √41.
        (math.sqrt(41) / 2, 4.0, [1.5, -2.0, 2.0]),
    ],
)
def test_clipper_leaves_bounded_gradient_when_limits_are_given(
    clip_norm: float, clip_value: float, left: list[float]
) -> None:
    network = network_of(3.0, -4.0, 12.0)
    norm, clipped = clipper(clip_norm=clip_norm, clip_value=clip_value).clip(network)
    assert gradient_of(network) == pytest.approx(left, abs=1e-5)
    assert norm == 13.0
    assert clipped == (left != [3.0, -4.0, 12.0])


def test_clipper_passes_over_parameters_when_they_have_no_gradient() -> None:
    network = nn.Linear(1, 1)
    network.bias.grad = torch.tensor([5.0])
    assert clipper(clip_norm=1.0).clip(network) == (5.0, True)
    assert network.bias.grad.item() == pytest.approx(1.0)
    assert network.weight.grad is None


@given(
    norms=st.lists(st.integers(1, 1000), min_size=1, max_size=30),
    percentile=st.one_of(st.floats(0.01, 99.99), st.sampled_from([10.0, 25.0, 50.0])),
    clip_norm=st.sampled_from([math.inf, 300.0]),
)
def test_clipper_holds_norm_to_percentile_of_norms_so_far_when_one_is_given(
    norms: list[int], percentile: float, clip_norm: float
) -> None:
    adaptive = clipper(clip_percentile=percentile, clip_norm=clip_norm)
    for step, norm in enumerate(norms, start=1):
        network = network_of(0.6 * norm, 0.8 * norm)
        told, clipped = adaptive.clip(network)
        limit = min(np.percentile(norms[:step], percentile), clip_norm)
        assert told == pytest.approx(norm, rel=1e-6)
        assert math.hypot(*gradient_of(network)) == pytest.approx(min(norm, limit), rel=1e-4)
        if norm != pytest.approx(limit, rel=1e-6):
            assert clipped == (norm > limit)


def test_clipper_keeps_norms_before_clipping_when_it_clips() -> None:
    adaptive = clipper(clip_percentile=50.0)
    assert [adaptive.clip(network_of(0.0, norm))[1] for norm in (2.0, 8.0, 4.0)] == [
        False,  # of itself
        True,  # of 2 and 8
        False,  # of 2, 4 and 8
    ]
    assert adaptive.norms == [2.0, 8.0, 4.0]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_clipper_forgets_norms_when_they_are_not_finite(broken: float) -> None:
    adaptive = clipper(clip_percentile=50.0)
    for norm in (broken, 2.0, broken, 4.0):
        adaptive.clip(network_of(0.0, norm))
    network = network_of(0.0, 9.0)
    adaptive.clip(network)
    assert gradient_of(network) == pytest.approx([0.0, np.median([2, 4, 9])])


@pytest.mark.parametrize("limits", [{"clip_norm": 1.0}, {"clip_percentile": 90.0}])
def test_clipper_leaves_every_bit_when_a_norm_is_no_larger_than_its_limit(
    limits: dict[str, float],
) -> None:
    network = network_of(0.6, 0.8)
    before = gradient_of(network)
    assert clipper(**limits).clip(network) == (1.0, False)
    assert gradient_of(network) == before


def test_clipper_clips_nothing_when_percentile_is_100() -> None:
    unlimited = clipper(clip_percentile=100.0)
    for norm in (1.0, 100.0):
        network = network_of(0.0, norm)
        assert unlimited.clip(network) == (norm, False)
        assert gradient_of(network) == [0.0, norm]
