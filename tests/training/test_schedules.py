"""The schedule rises once and falls once, whatever the number of steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.training.schedules import FIRST, LAST, one_cycle


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


def test_one_cycle_is_the_peak_when_there_is_one_step() -> None:
    assert one_cycle(0, 1) == 1.0
