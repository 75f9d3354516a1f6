"""The course of the learning rate: by steps, as shares of the peak, or by the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

from rnnforecast.optimizers import Optimizer

WARM_UP = 0.2
FIRST = 0.04
LAST = 1e-4
PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.5, 2


class Schedule(Protocol):
    """Sets the learning rate of an optimizer."""

    def after_step(self) -> None:
        """Go on by a step."""

    def after_epoch(self, loss: float) -> None:
        """Heed the loss of an epoch: of validation where there is any, else of training."""

    def state(self) -> dict[str, float]:
        """All that changes, beside the learning rate."""

    def restore(self, state: dict[str, float]) -> None:
        """Go to where a schedule was that had this state."""


class StepSchedule:
    """A share of the peak for each step.

    Args:
        optimizer: Whose learning rate is the peak.
        steps: How many there will be.
        share: Of the peak, by the step about to be taken and the number of all.
    """

    def __init__(
        self, optimizer: Optimizer, steps: int, share: Callable[[int, int], float]
    ) -> None:
        self.optimizer, self.peak, self.steps, self.share = optimizer, optimizer.rate, steps, share
        self._go_to(0)

    def after_step(self) -> None:
        """Go on to the next step's share."""
        self._go_to(self.step + 1)

    def after_epoch(self, loss: float) -> None:
        """Nothing: shares do not depend on the loss."""

    def state(self) -> dict[str, float]:
        """The step about to be taken."""
        return {"step": self.step}

    def restore(self, state: dict[str, float]) -> None:
        """Go to this step."""
        self._go_to(int(state["step"]))

    def _go_to(self, step: int) -> None:
        self.step = step
        self.optimizer.rate = self.peak * self.share(step, self.steps)


class PlateauSchedule:
    """The peak until the loss stops falling, then half of it, and so on.

    The rate is halved after the third epoch in a row that is no better than the best.
    """

    def __init__(self, optimizer: Optimizer, steps: int) -> None:
        self.optimizer, self.best, self.bad_epochs = optimizer, math.inf, 0

    def after_step(self) -> None:
        """Nothing: only epochs have a loss to compare."""

    def after_epoch(self, loss: float) -> None:
        """Halve the rate where the loss has not fallen for long."""
        self.bad_epochs = 0 if loss < self.best else self.bad_epochs + 1
        self.best = min(loss, self.best)
        if self.bad_epochs > PLATEAU_PATIENCE:
            self.optimizer.rate *= PLATEAU_FACTOR
            self.bad_epochs = 0

    def state(self) -> dict[str, float]:
        """The least loss, and the epochs since then or since the rate was halved."""
        return {"best": self.best, "bad_epochs": self.bad_epochs}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from these."""
        self.best, self.bad_epochs = state["best"], int(state["bad_epochs"])


def one_cycle(step: int, steps: int) -> float:
    """Up along half a cosine for the first fifth of all steps, then down (Smith & Topin 2018).

    Args:
        step: The step about to be taken, counted from 0.
        steps: How many there will be.

    Returns:
        The share of the peak learning rate, from 0.04 over 1 to 0.0001.
    """
    top = WARM_UP * (steps - 1)
    if step < top:
        return _half_cosine(FIRST, 1.0, step / top)
    rest = steps - 1 - top
    return _half_cosine(1.0, LAST, (step - top) / rest if rest else 0.0)


def warm_cosine(step: int, steps: int) -> float:
    """Up in a line for a twentieth of all steps, at least one, then down along half a cosine.

    Goyal et al. 2017 for the way up, Loshchilov & Hutter 2017 for the way down; arguments as of
    `one_cycle`. A single step is taken at the peak.
    """
    top = min(max(1, steps // 20), steps - 1)
    if step < top:
        return (step + 1) / (top + 1)
    rest = steps - 1 - top
    return _half_cosine(1.0, LAST, (step - top) / rest if rest else 0.0)


def constant(step: int, steps: int) -> float:
    """The peak at every step."""
    return 1.0


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


SCHEDULES: dict[str, Callable[[Optimizer, int], Schedule]] = {
    "one-cycle": partial(StepSchedule, share=one_cycle),
    "cosine": partial(StepSchedule, share=warm_cosine),
    "constant": partial(StepSchedule, share=constant),
    "plateau": PlateauSchedule,
}
