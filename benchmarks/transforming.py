"""The transformations of series that `augmentation.py` compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from augmenting import median, train
from scipy.optimize import minimize_scalar
from scipy.special import boxcox, inv_boxcox

from rnnforecast.config import RunConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex


def no_log(panel: Panel, known: Panel, index: WindowIndex, config: RunConfig) -> np.ndarray:
    """Plain values, where the default takes logarithms."""
    return median(train(known, without_log(config)), panel, index)


def box_cox(panel: Panel, known: Panel, index: WindowIndex, config: RunConfig) -> np.ndarray:
    """Each series by Guerrero's exponent of what is known of it."""
    if not np.nanmin(panel.values) > 0:
        return np.full((len(index), config.windows.horizon), np.nan)
    exponents = np.array(
        [guerrero(known.series(i), config.windows.season) for i in range(len(known))]
    )
    shown, learnt = (
        replace(part, values=boxcox(part.values, np.repeat(exponents, part.lengths)))
        for part in (panel, known)
    )
    powers = exponents[index.series, None]
    forecasts = median(train(learnt, without_log(config)), shown, index)
    # Below the range of the transform lies no value: its edge is taken.
    return inv_boxcox(np.maximum(forecasts, (1e-9 - 1) / powers), powers)


def without_log(config: RunConfig) -> RunConfig:
    """The configuration of a network that works on plain values."""
    return replace(config, model=replace(config.model, log=False))


def guerrero(values: np.ndarray, season: int) -> float:
    """The exponent in (0, 1] at which the spread of seasons depends least on their level."""
    length = max(2, season)
    blocks = values[len(values) % length :].reshape(-1, length)
    level, spread = np.nanmean(blocks, axis=1), np.nanstd(blocks, axis=1, ddof=1)
    used = np.isfinite(level) & np.isfinite(spread)

    def variation(power: float) -> float:
        ratios = spread[used] / level[used] ** (1 - power)
        return float(ratios.std() / ratios.mean()) if ratios.mean() else 0.0

    return float(minimize_scalar(variation, bounds=(0, 1), method="bounded").x)


def differencing(panel: Panel, known: Panel, index: WindowIndex, config: RunConfig) -> np.ndarray:
    """What each value adds to that a season before."""
    season, log = config.windows.season, config.model.log
    config = without_log(config)

    def differenced(part: Panel) -> Panel:
        values = np.log(part.values) if log else part.values
        series = []
        for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True):
            own = np.full(b - a, np.nan)
            own[season:] = values[a + season : b] - values[a : b - season]
            series.append(own)
        return replace(part, values=np.concatenate(series))

    steps = median(train(differenced(known), config), differenced(panel), index)
    values = np.log(panel.values) if log else panel.values
    out = np.empty_like(steps)
    for row, (series, cutoff) in enumerate(zip(index.series, index.cutoffs, strict=True)):
        own = values[panel.offsets[series] :][:cutoff]
        path = [_last(own[place % season :: season]) for place in range(cutoff - season, cutoff)]
        for step in steps[row]:
            path.append(path[-season] + step)
        out[row] = path[season:]
    return np.exp(out) if log else out


def _last(values: np.ndarray) -> float:
    return float(values[~np.isnan(values)][-1])


TRANSFORMS: dict[str, Callable[..., np.ndarray]] = {
    "no log": no_log,
    "box-cox": box_cox,
    "differencing": differencing,
}
