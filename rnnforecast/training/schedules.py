"""Learning rates over the steps of a training, as shares of the peak."""

from __future__ import annotations

import math

WARM_UP = 0.2
FIRST = 0.04
LAST = 1e-4


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


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
