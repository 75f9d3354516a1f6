"""Schedules rise once and fall once, whatever the number of steps, or heed the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnforecast.config import Optimisation, ScheduleName
from rnnforecast.optimizers import SGD
from rnnforecast.training.optimizers import OPTIMIZERS
from rnnforecast.training.schedules import FIRST, LAST, SCHEDULES, one_cycle, warm_cosine


def rates(name: str, steps: int, losses: list[float]) -> list[float]:
    """The rates of each step, of which an epoch has two, at a peak of 8."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], 8.0)
    schedule = SCHEDULES[name](optimizer, steps)
    told = []
    for step in range(steps):
        told.append(optimizer.rate)
        optimizer.step()
        schedule.after_step()
        if step % 2:
            schedule.after_epoch(losses[step // 2])
    return told


def test_tables_have_a_row_for_every_name_that_a_configuration_takes() -> None:
    assert set(SCHEDULES) == set(get_args(ScheduleName))
    assert set(OPTIMIZERS) == set(get_args(Optimisation))


@given(st.integers(2, 400))
def test_one_cycle_rises_then_falls_when_steps_are_any(steps: int) -> None:
    rates = np.array([one_cycle(step, steps) for step in range(steps)])
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[0] == pytest.approx(FIRST)
    assert rates[-1] == pytest.approx(LAST)
    assert top == pytest.approx(0.2 * (steps - 1), abs=1)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.04), (10, 0.52), (20, 1.0), (100, 1e-4)])
def test_one_cycle_follows_half_cosines_when_steps_are_101(step: int, rate: float) -> None:
    assert one_cycle(step, 101) == pytest.approx(rate)


@given(st.integers(3, 400))
def test_warm_cosine_rises_for_a_twentieth_then_falls_when_steps_are_any(steps: int) -> None:
    rates = np.array([warm_cosine(step, steps) for step in range(steps)])
    top = max(1, steps // 20)
    assert rates[: top + 1] == pytest.approx(np.arange(1, top + 2) / (top + 1))
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] == pytest.approx(LAST)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1 / 6), (4, 5 / 6), (5, 1.0), (55, 0.50005), (105, 1e-4)]
)
def test_warm_cosine_follows_half_a_cosine_when_steps_are_106(step: int, rate: float) -> None:
    assert warm_cosine(step, 106) == pytest.approx(rate)


@pytest.mark.parametrize("schedule", [one_cycle, warm_cosine])
def test_schedule_is_the_peak_when_there_is_one_step(
    schedule: Callable[[int, int], float],
) -> None:
    assert schedule(0, 1) == 1.0


def test_warm_cosine_ends_at_the_peak_when_there_are_two_steps() -> None:
    assert [warm_cosine(step, 2) for step in range(2)] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("name", "share"),
    [("one-cycle", one_cycle), ("cosine", warm_cosine), ("constant", lambda step, steps: 1.0)],
)
def test_schedule_sets_its_share_of_the_peak_when_steps_are_taken(
    name: str, share: Callable[[int, int], float]
) -> None:
    expected = [8 * share(step, 40) for step in range(40)]
    assert rates(name, 40, 20 * [1.0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([6, 5, 4, 3, 2, 1], [8, 8, 8, 8, 8, 8]),
        ([1, 2, 2, 2, 2, 2], [8, 8, 8, 8, 4, 4]),
        ([1, 2, 2, 0, 2, 2], [8, 8, 8, 8, 8, 8]),
        ([-1, -2, -2, -2, -2, -2], [8, 8, 8, 8, 8, 4]),
    ],
)
def test_plateau_halves_rate_after_three_epochs_when_loss_is_no_better(
    losses: list[float], expected: list[float]
) -> None:
    assert rates("plateau", 12, losses)[::2] == expected
