"""The level of a window by exponential smoothing, and the theta method that goes on from it.

One map cannot be right both for a window whose values scatter about a level and for one that
wanders: the first calls for the mean of many values, the second for the last. So the level is
smoothed by several constants, which count by how well each has forecast the window so far.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rnnforecast.runtime import bring

# Smoothing constants, from the mean of twenty values or so to the last one.
CONSTANTS = (0.05, 0.15, 0.3, 0.5, 0.75, 1.0)
# The newest values that are smoothed, or two seasons where these are more, but not above a limit:
# the maps of errors grow with their square.
NEWEST, MOST = 64, 384
# Of a window's scale, the error that counts as none.
TINY = 1e-3


class _Parts(NamedTuple):
    """What is linear in the values that are smoothed, as maps of them [..., value].

    Attributes:
        errors: By each constant, how far each value but the first is above the level before it
            [constant, value - 1, value].
        levels: The level by each constant, as far ahead as it lags behind half the drift
            [constant, value].
        drift: Half the change from step to step [value].
        season: What each phase is above the line, from the step after the last on [phase, value].
    """

    errors: Tensor
    levels: Tensor
    drift: Tensor
    season: Tensor


def with_level(values: Tensor, season: int) -> Tensor:
    """Values [batch, read] and the level that the theta method goes on from, [batch, read + 1].

    The mean of the levels by each smoothing constant, weighed by the likelihoods of these where
    errors of one step are normal.

    Args:
        values: On a scale of their own.
        season: Steps of the season that is taken out of them, where two are read.
    """
    size, season = smoothing(values.shape[1], season)
    parts = _parts(size, season, values.device, values.dtype)
    newest = values[:, -size:]
    errors = functional.linear(newest, parts.errors.flatten(0, 1)).square()
    squares = errors.reshape(len(values), *parts.errors.shape[:2]).sum(2) + size * TINY**2
    likelihoods = (-0.5 * size * squares.log()).softmax(1)
    levels = functional.linear(newest, parts.levels)
    return torch.cat([values, (likelihoods * levels).sum(1, keepdim=True)], dim=1)


def theta_map(read: int, horizon: int, season: int) -> Tensor:
    """The map [horizon, read + 1] of what `with_level` returns to the theta method's forecast.

    Simple exponential smoothing with half the drift of a line through the values, as far as these
    are smoothed (Assimakopoulos & Nikolopoulos 2000; Hyndman & Billah 2003), here without the means
    of their season, which are added again.
    """
    size, season = smoothing(read, season)
    parts = _parts(size, season, torch.device("cpu"), torch.float32)
    step = torch.arange(horizon)
    found = torch.zeros(horizon, read + 1)
    found[:, read - size : read] = step[:, None] * parts.drift + parts.season[step % season]
    found[:, -1] = 1.0
    return found


def smoothing(read: int, season: int) -> tuple[int, int]:
    """How many of the values that are read are smoothed, and the season that is taken out of them.

    No season, 1, is where two are not read, or are too many values.
    """
    whole = max(2 * season, NEWEST)
    if season == 1 or whole > MOST or 2 * season > read:
        return min(read, NEWEST), 1
    return min(read, whole) // season * season, season


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _parts(size: int, season: int, device: torch.device, dtype: torch.dtype) -> _Parts:
    values = torch.eye(size, dtype=torch.float64)  # a linear function's map is what it makes of it
    steps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    # Whole seasons on a line, as what repeats has no drift.
    means = values.reshape(size, -1, season).mean(2)
    middles = steps.reshape(-1, season).mean(1)
    drift = means @ middles / (middles @ middles).clamp(min=TINY)
    phases = (values - drift[:, None] * steps).reshape(size, -1, season).mean(1)
    phases -= phases.mean(1, keepdim=True)
    rest = values - phases.repeat(1, size // season)
    constants = torch.tensor(CONSTANTS, dtype=torch.float64)
    level, errors = rest[:, :1].expand(-1, len(constants)), []
    for value in rest.T[1:]:
        errors.append(value[:, None] - level)
        level = level + constants * errors[-1]
    behind = (1 - (1 - constants) ** size) / constants
    level = level + drift[:, None] / 2 * behind
    # A lone value has been forecast by none.
    of_each = torch.stack(errors or [torch.zeros_like(level)]).permute(2, 0, 1)
    parts = _Parts(of_each, level.T, drift / 2, phases.T)
    return _Parts(*(bring(part, device, dtype) for part in parts))
