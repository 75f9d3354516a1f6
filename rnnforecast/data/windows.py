"""Windows as (series, cutoff) pairs: a batch is gathered from the flat panel, none is ever stored.

A window with cutoff `c` reads the `lookback` values before position `c` of its series and is to
forecast the `horizon` values from `c` on. What lies outside the series or is missing is masked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray, IntArray, steps_of
from rnnforecast.data.panel import Features, Panel

# Equal observations, and no other, that make a window constant.
ALIKE = 3
# From values and mask before the cutoff [batch, lookback] to both with gaps filled.
Fill = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Inputs(NamedTuple):
    """Covariates of windows, on a scale for networks, 0 where missing.

    Attributes:
        past: What is known up to the cutoff [batch, lookback, feature].
        future: What is known ahead [batch, lookback + horizon, feature].
        static: Of the series [batch, feature].
    """

    past: Tensor
    future: Tensor
    static: Tensor


class Batch(NamedTuple):
    """Windows, oldest step first; where a mask is False the value beside it is 0.

    Attributes:
        values: Observations before the cutoff [batch, lookback].
        mask: Which of them were observed [batch, lookback].
        target: Observations from the cutoff on [batch, horizon].
        target_mask: Which of them were observed [batch, horizon].
        inputs: Covariates, where the panel has any.
        component: What was taken out of the target, or what it was divided by, to be put back on
            forecasts, where there was anything [batch, horizon].
    """

    values: Tensor
    mask: Tensor
    target: Tensor
    target_mask: Tensor
    inputs: Inputs | None = None
    component: Tensor | None = None

    def where(self, kept: Tensor) -> Batch:
        """The windows where `kept` [batch] is True."""
        values, mask, target, target_mask = (part[kept] for part in self[:4])
        inputs = self.inputs and Inputs(*(part[kept] for part in self.inputs))
        component = None if self.component is None else self.component[kept]
        return Batch(values, mask, target, target_mask, inputs, component)


@dataclass(frozen=True, kw_only=True)
class WindowIndex:
    """Windows of a panel, as two arrays of equal length.

    Attributes:
        series: The index of the series [window].
        cutoffs: The position of the first value to forecast [window].
    """

    series: IntArray
    cutoffs: IntArray

    def __len__(self) -> int:
        return len(self.series)

    def thinned(self, most: int) -> WindowIndex:
        """At most `most` of the windows, evenly spread over them."""
        if len(self) <= most:
            return self
        kept = np.linspace(0, len(self) - 1, most).round().astype(np.int64)
        return WindowIndex(series=self.series[kept], cutoffs=self.cutoffs[kept])


def windows_between(first: IntArray, last: IntArray) -> WindowIndex:
    """All windows whose cutoffs lie from `first` to `last`, both included, of each series."""
    counts = np.maximum(last - first + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    return WindowIndex(series=series, cutoffs=first[series] + steps_of(counts))


def by_series(index: WindowIndex) -> list[tuple[int, IntArray]]:
    """Each series of the index with the places of its windows."""
    order = np.argsort(index.series, kind="stable")
    series, begins = np.unique(index.series[order], return_index=True)
    return list(zip(series.tolist(), np.split(order, begins)[1:], strict=True))


def actual_values(panel: Panel, index: WindowIndex, horizon: int) -> FloatArray:
    """What followed each cutoff, NaN beyond the end of its series [window, step]."""
    positions = index.cutoffs[:, None] + np.arange(horizon)
    inside = positions < panel.lengths[index.series, None]
    places = np.where(inside, panel.offsets[index.series, None] + positions, 0)
    return np.where(inside, panel.values[places], np.nan)


class Component(NamedTuple):
    """What is taken out of each series, from its first value on and as far as is forecast.

    Attributes:
        values: In units of the series, or what it is divided by [row].
        offsets: Those of series `i` are `values[offsets[i]:offsets[i + 1]]` [series + 1].
        divides: Whether the series is divided by it.
    """

    values: FloatArray
    offsets: IntArray
    divides: bool = False


def constants(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Which windows have observed one value alone, 3 times or more, and that value [batch].

    Takes values and mask [batch, lookback].
    """
    highest = values.masked_fill(~mask, -torch.inf).amax(1)
    lowest = values.masked_fill(~mask, torch.inf).amin(1)
    seen = mask.sum(1) >= min(ALIKE, mask.shape[1])
    return seen & (lowest == highest), highest


class WindowGatherer:
    """Gathers batches of windows from a panel that lies on the training device.

    What is to be taken out of series is, but of windows that are constant: they go on as they are.
    """

    def __init__(
        self,
        panel: Panel,
        index: WindowIndex,
        *,
        lookback: int,
        horizon: int,
        device: torch.device,
        dtype: torch.dtype,
        fill: Fill | None = None,
        component: Component | None = None,
    ) -> None:
        values = torch.from_numpy(panel.values)
        self.observed = (~values.isnan()).to(device)
        self.values = values.nan_to_num().to(device, dtype)
        self.cutoffs = torch.from_numpy(index.cutoffs).to(device)
        self.series = torch.from_numpy(index.series).to(device)
        self.starts = torch.from_numpy(panel.offsets[:-1]).to(device)
        self.lengths = torch.from_numpy(panel.lengths).to(device)
        self.steps = torch.arange(-lookback, horizon, device=device)
        self.lookback = lookback
        self.fill = fill
        features = panel.features
        self.covariates = None if features is None else _Covariates(features, lookback, device)
        self.components = None if component is None else _Components(component, device, dtype)

    def __len__(self) -> int:
        return len(self.cutoffs)

    def gather(self, windows: Tensor) -> Batch:
        """The windows at these places of the index [batch]."""
        windows = windows.to(self.cutoffs.device)
        series = self.series[windows]
        position = self.cutoffs[windows, None] + self.steps
        inside = (position >= 0) & (position < self.lengths[series, None])
        place = torch.where(inside, self.starts[series, None] + position, 0)
        mask = inside & self.observed[place]
        values, component = torch.where(mask, self.values[place], 0), None
        if self.components is not None:
            component = self.components.gather(series, position)
            constant, _ = constants(values[:, : self.lookback], mask[:, : self.lookback])
            component = component.masked_fill(constant[:, None], self.components.neutral)
            left = values / component if self.components.divides else values - component
            values, component = torch.where(mask, left, 0), component[:, self.lookback :]
        seen = values[:, : self.lookback], mask[:, : self.lookback]
        return Batch(
            *(seen if self.fill is None else self.fill(*seen)),
            values[:, self.lookback :],
            mask[:, self.lookback :],
            None
            if self.covariates is None
            else self.covariates.gather(series, position, inside, place),
            component,
        )


class _Components:
    """What is taken out of series, on the training device."""

    def __init__(self, component: Component, device: torch.device, dtype: torch.dtype) -> None:
        self.divides = component.divides
        self.neutral = 1.0 if component.divides else 0.0
        self.values = torch.from_numpy(component.values).to(device, dtype)
        self.starts = torch.from_numpy(component.offsets[:-1]).to(device)
        self.lengths = torch.from_numpy(np.diff(component.offsets)).to(device)

    def gather(self, series: Tensor, position: Tensor) -> Tensor:
        """That of windows of `series` [batch] at steps `position` [batch, step]; none before."""
        known = (position >= 0) & (position < self.lengths[series, None])
        place = torch.where(known, self.starts[series, None] + position, 0)
        return torch.where(known, self.values[place], self.neutral)


class _Covariates:
    """The features of a panel, and where those of each window are, on the training device."""

    def __init__(self, features: Features, lookback: int, device: torch.device) -> None:
        self.past = torch.from_numpy(features.past).nan_to_num().to(device)
        self.future = _never_empty(torch.from_numpy(features.future).nan_to_num()).to(device)
        self.future_starts = torch.from_numpy(features.future_offsets[:-1]).to(device)
        self.future_lengths = torch.from_numpy(features.future_lengths).to(device)
        self.static = torch.from_numpy(features.static).nan_to_num().to(device)
        self.lookback = lookback

    def gather(self, series: Tensor, position: Tensor, inside: Tensor, place: Tensor) -> Inputs:
        """Those of windows of `series` [batch] whose steps lie at `position` there [batch, step].

        `place` is where a step's value lies in the panel, if it is `inside` its series.
        """
        seen = slice(self.lookback)
        past = self.past[place[:, seen]] * inside[:, seen, None]
        known = (position >= 0) & (position < self.future_lengths[series, None])
        ahead = torch.where(known, self.future_starts[series, None] + position, 0)
        return Inputs(past, self.future[ahead] * known[..., None], self.static[series])


def _never_empty(rows: Tensor) -> Tensor:
    """With a row of zeros where there is none, so that place 0 exists."""
    return rows if len(rows) else rows.new_zeros(1, rows.shape[1])
