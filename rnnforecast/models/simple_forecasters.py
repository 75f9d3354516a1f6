"""Simple forecasters that the linear skip starts as a combination of, as maps of what it reads.

The naive, the seasonal naive, averages over seasons and their drifts are linear in the values, and
the theta method in these and the level that they are smoothed to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rnnforecast.models.smoothing import smoothing, theta_map

# Seasons over which a drift is taken, beside all that are read.
DRIFTS = (1, 4, 8)


def forecasters(read: int, horizon: int, seasons: Sequence[int], smoothed: int) -> list[Tensor]:
    """Maps [forecaster, horizon, read + 1] of values and the level that they are smoothed to.

    First those without a season, of which the first is the naive, then those of each season. The
    theta method is among those of the season that is taken out of what is smoothed.

    Args:
        read: Values that are read.
        horizon: Steps to forecast.
        seasons: Their lengths.
        smoothed: The one that is to be taken out, one of these, if enough is read.
    """
    theta, (_, out) = theta_map(read, horizon, smoothed), smoothing(read, smoothed)
    groups = []
    for season in sorted({1, *seasons}):
        maps = functional.pad(simple_maps(read, horizon, season), (0, 1))
        groups.append(torch.cat([maps, theta[None]]) if season == out else maps)
    return groups


def simple_maps(read: int, horizon: int, season: int) -> Tensor:
    """The maps of a season's simple forecasters [forecaster, horizon, read].

    The last season again; the same with the drift of its mean over some seasons, or that of its
    last quarter over one; the mean of all seasons, phase by phase; and this at the level of the
    last one. None where not one season is read.
    """
    cycles, step = read // season, torch.arange(horizon)
    if not cycles:
        return torch.empty(0, horizon, read)
    values = torch.eye(read)  # the map of a linear function is what it makes of unit vectors
    whole = values[:, read - cycles * season :].reshape(read, cycles, season)
    means, ahead = whole.mean(2), step // season + 1
    last = whole[:, -1, step % season]
    drifts = [
        (means[:, -1] - means[:, -1 - back]) / back
        for back in sorted({*DRIFTS, cycles - 1})
        if 0 < back < cycles
    ]
    if cycles > 1 and season > 1:
        newest = -max(1, season // 4)
        drifts.append((whole[:, -1, newest:] - whole[:, -2, newest:]).mean(1))
    maps = [last, *(last + drift[:, None] * ahead for drift in drifts)]
    if cycles > 1:
        average = whole.mean(1)[:, step % season]
        maps += [average, average + (means[:, -1] - means.mean(1))[:, None]]
    return torch.stack(maps).transpose(1, 2)
