"""The augmentations that `augmentation.py` compares, and a training with one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from rnnforecast.backtest import held_out_origins, panel_before, training_ends
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex, actual_values
from rnnforecast.estimation.fitting import batch_losses, prepared
from rnnforecast.estimation.windows import newest_windows
from rnnforecast.evaluation.metrics import seasonal_scale
from rnnforecast.forecaster import Forecaster, gather_windows
from rnnforecast.models.normalisation import window_scale
from rnnforecast.runtime import seed_everything
from rnnforecast.training.augmentation import jitter
from rnnforecast.training.loop import fit

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Set:
    """Series, and the last cutoffs of them that are scored; whether their season is told."""

    series: list[np.ndarray]
    season: int
    horizon: int
    cutoffs: int
    stride: int
    told: bool = False

    def settings(self, seed: int, **asked: Any) -> Settings:
        """What a user of these would ask for, and what is `asked` beside it."""
        season = {"season": self.season} if self.told else {}
        return Settings(horizon=self.horizon, seed=seed, **season | asked)

    def panel(self) -> Panel:
        """As a panel of steps."""
        return Panel(
            ids=tuple(map(str, range(len(self.series)))),
            values=np.concatenate(self.series),
            offsets=np.cumsum([0, *map(len, self.series)]).astype(np.int64),
            starts=np.zeros(len(self.series), dtype=np.int64),
            frequency=Frequency(unit="step"),
        )


def split(chosen: Set) -> tuple[Panel, Panel, WindowIndex]:
    """All series, what is known before the first cutoff, and the windows that are scored."""
    panel = chosen.panel()
    origins = held_out_origins(panel, chosen.horizon, chosen.cutoffs, chosen.stride)
    return panel, panel_before(panel, origins), origins.windows(np.arange(len(origins)))


def mase(forecasts: np.ndarray, chosen: Set, panel: Panel, index: WindowIndex) -> float:
    """The mean over windows of that of forecasts [window, step], scaled by what lies before."""
    errors = np.abs(forecasts - actual_values(panel, index, chosen.horizon))
    scales = [
        seasonal_scale(panel.series(i)[:cutoff], chosen.season)
        for i, cutoff in zip(index.series, index.cutoffs, strict=True)
    ]
    return float(np.nanmean(np.nanmean(errors, axis=1) / scales))


def median(forecaster: Forecaster, panel: Panel, index: WindowIndex) -> np.ndarray:
    """The medians of some windows [window, step]."""
    levels = forecaster.config.model.quantile_levels
    return forecaster.predict_at(panel, index)[..., levels.index(0.5)]


def train(known: Panel, config: RunConfig, augment: Augmentation | None = None) -> Forecaster:
    """`fit_forecaster`, but that training windows are augmented."""
    generator = seed_everything(config.training.seed)
    ends = training_ends(known.lengths, config.windows.horizon)
    seen = known if ends is None else known.before(ends)
    network, windows = prepared(known, config, CPU, ends)
    view = View(seen, windows, config) if augment else None

    def losses(places: Tensor, progress: float) -> list[Tensor]:
        batch = windows.gather(places)
        if augment is not None and view is not None:
            batch = augment(batch, places, view)
        return batch_losses(network, batch)

    validate = None
    if ends is not None:
        index = newest_windows(known, config, ends)
        held_out = gather_windows(known, index, config, device=CPU)

        def validate() -> float:
            with torch.inference_mode():
                newest = held_out.gather(torch.arange(len(held_out)))
                return fmean(map(float, batch_losses(network, newest)))

    fit(
        network,
        config.training,
        loss=losses,
        windows=len(windows),
        validate=validate,
        generator=generator,
    )
    return Forecaster(config, network)


class View:
    """What an augmentation knows beside its batch: scales, and the remainders of all series."""

    def __init__(self, seen: Panel, windows: WindowGatherer, config: RunConfig) -> None:
        self.season, self.log, self.windows = config.windows.season, config.model.log, windows
        values = np.log(seen.values) if self.log else seen.values
        parts = [
            remainder(values[a:b], self.season)
            for a, b in zip(seen.offsets[:-1], seen.offsets[1:], strict=True)
        ]
        self.remainders = torch.from_numpy(np.concatenate(parts))

    def joint(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Lookback and horizon as one on the window's scale [batch, step], mask, shift, scale."""
        shift, scale = window_scale(batch.values, batch.mask, self.season, self.log)
        mask = torch.cat([batch.mask, batch.target_mask], 1)
        values = (torch.cat([batch.values, batch.target], 1) - shift) / scale
        return values, mask, shift, scale


Augmentation = Callable[[Batch, Tensor, View], Batch]


def apart(batch: Batch, values: Tensor, mask: Tensor, shift: Tensor, scale: Tensor) -> Batch:
    """A batch again of what `View.joint` has joined."""
    values = torch.where(mask, values * scale + shift, 0.0)
    cut = batch.values.shape[1]
    return Batch(values[:, :cut], mask[:, :cut], values[:, cut:], mask[:, cut:], batch.inputs)


def noise(deviation: float) -> Augmentation:
    """Noise on what is read, of this share of the window's scale (Um et al. 2017)."""

    def augment(batch: Batch, places: Tensor, view: View) -> Batch:
        values, mask, shift, scale = view.joint(batch)
        drawn = deviation * torch.randn_like(values)
        drawn[:, batch.values.shape[1] :] = 0
        return apart(batch, values + drawn, mask, shift, scale)

    return augment


def rough_noise(batch: Batch, places: Tensor, view: View) -> Batch:
    """That of `--jitter 0.2`: of a fifth of how rough the window is."""
    return batch._replace(values=jitter(batch.values, batch.mask, view.season, 0.2))


def scaling(batch: Batch, places: Tensor, view: View) -> Batch:
    """The whole window times a number."""
    factor = torch.exp(0.2 * torch.randn(len(batch.values), 1, dtype=batch.values.dtype))
    change = (lambda v: v + factor.log()) if view.log else (lambda v: v * factor)
    values, target = change(batch.values) * batch.mask, change(batch.target) * batch.target_mask
    return batch._replace(values=values, target=target)


def magnitude_warping(batch: Batch, places: Tensor, view: View) -> Batch:
    """The window about its level times a slow curve about 1 (Um et al. 2017)."""
    values, mask, shift, scale = view.joint(batch)
    knots = 1 + 0.2 * torch.randn(len(values), 1, 5, dtype=values.dtype)
    curve = interpolate(knots, values.shape[1], mode="linear", align_corners=True)[:, 0]
    return apart(batch, values * curve, mask, shift, scale)


def window_warping(batch: Batch, places: Tensor, view: View) -> Batch:
    """A tenth of the window at half or double speed (Le Guennec et al. 2016)."""
    values, mask, shift, scale = view.joint(batch)
    size, length = values.shape
    part = max(2, length // 10)
    start = torch.randint(0, length - part + 1, (size, 1))
    steps = torch.arange(length)
    inside = (steps >= start) & (steps < start + part)
    speed = torch.where(inside, 2.0 ** (2 * torch.randint(0, 2, (size, 1)) - 1), 1.0)
    place = speed.cumsum(1) - speed[:, :1]
    place = place / place[:, -1:] * (length - 1)
    low = place.floor().long().clamp(0, length - 1)
    high = (low + 1).clamp(max=length - 1)
    share = (place - low).to(values)
    warped = values.gather(1, low) * (1 - share) + values.gather(1, high) * share
    known = mask.gather(1, low) & mask.gather(1, high)
    return apart(batch, warped, known, shift, scale)


def block_bootstrap(batch: Batch, places: Tensor, view: View) -> Batch:
    """The remainder after trend and season in blocks from anywhere (Bergmeir et al. 2016)."""
    values, mask, shift, scale = view.joint(batch)
    gatherer = view.windows
    length = values.shape[1]
    block = min(2 * view.season if view.season > 1 else 8, length)
    lengths, starts = gatherer.lengths[places, None], gatherer.starts[places, None]
    own = gatherer.cutoffs[places, None] + gatherer.steps
    own = torch.minimum(own.clamp(min=0), lengths - 1) + starts
    drawn = torch.rand(len(values), -(-length // block), dtype=torch.float64)
    first = (drawn * (lengths - block + 1).clamp(min=1)).long()
    inside = first[:, :, None] + torch.arange(block)
    other = torch.minimum(inside.flatten(1)[:, :length], lengths - 1) + starts
    change = (view.remainders[other] - view.remainders[own]) / scale
    return apart(batch, values + change, mask, shift, scale)


def masking(batch: Batch, places: Tensor, view: View) -> Batch:
    """The older part of the lookback hidden, in half of the windows."""
    length = batch.values.shape[1]
    least = min(length, 2 * view.season)
    kept = least + torch.rand(len(batch.values), 1) * (length - least + 1)
    kept = torch.where(torch.rand(len(kept), 1) < 0.5, kept, float(length))
    mask = batch.mask & (torch.arange(length, 0, -1) <= kept)
    return batch._replace(values=batch.values * mask, mask=mask)


def mixing(batch: Batch, places: Tensor, view: View) -> Batch:
    """A weighted mean with another window, each on its own scale (Ansari et al. 2024)."""
    values, mask, shift, scale = view.joint(batch)
    other = torch.randperm(len(values))
    share = 0.5 * torch.rand(len(values), 1, dtype=values.dtype)
    share = torch.where(torch.rand(len(values), 1) < 0.5, share, 0.0)
    # What is missing in the other stays as it is.
    share = torch.where(mask[other], share, 0.0)
    return apart(batch, (1 - share) * values + share * values[other], mask, shift, scale)


AUGMENTATIONS: dict[str, Augmentation] = {
    "jitter by roughness": rough_noise,
    "jitter .05 of the scale": noise(0.05),
    "jitter .2 of the scale": noise(0.2),
    "scaling": scaling,
    "magnitude warping": magnitude_warping,
    "window warping": window_warping,
    "block bootstrap": block_bootstrap,
    "masking": masking,
    "mixing": mixing,
}


def remainder(values: np.ndarray, season: int) -> np.ndarray:
    """What a moving average and, of each phase, one over seven seasons leave; 0 where missing."""
    rest = values - _smooth(values, season if season > 1 else 7)
    if season > 1:
        for phase in range(season):
            rest[phase::season] -= _smooth(rest[phase::season], 7)
    return np.nan_to_num(rest - np.nanmean(rest))


def _smooth(values: np.ndarray, length: int) -> np.ndarray:
    """The centred moving mean of what is known."""
    kernel, known = np.ones(length + 1 - length % 2), ~np.isnan(values)
    kernel[[0, -1]] = 1 if length % 2 else 0.5
    half = len(kernel) // 2

    def sums(terms: np.ndarray) -> np.ndarray:
        return np.convolve(terms, kernel)[half : half + len(terms)]

    return sums(np.where(known, values, 0.0)) / np.maximum(sums(known.astype(float)), 0.5)
