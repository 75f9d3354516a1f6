"""The linear skip: a map from lookback to horizon, beside which the network learns what is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.linear_start import Sample, linear_start
from rnnforecast.models.simple_forecasters import forecasters
from rnnforecast.models.smoothing import with_level

# Values that the skip reads, where no season asks for more: each of ten thousand weights would move
# as far in a step of the optimizer as each of a hundred, and their sum far too far.
SKIP_LOOKBACK = 1024
# How far the skip moves in a step, as a share of other weights: it starts near where it belongs.
STEP_SHARE = 0.1
# How much a season counts for each e-fold by which a window kept closer to it than to another, and
# the share of a window's scale that is no departure.
SHARPNESS, TINY = 8.0, 1e-3
# Windows from which on a season's skip starts by its own ones alone.
ENOUGH_WINDOWS = 64


class Skip(nn.Module, ABC):
    """What forecasts the horizon by maps that are linear in the lookback.

    Attributes:
        read: Of a long lookback, the newest values that are read.
    """

    read: int

    @abstractmethod
    def start_by(self, sample: Sample, seasons: Sequence[int]) -> None:
        """Start at what serves these windows best, whose seasons may be these."""

    @abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """From values [batch, lookback] to [batch, horizon]."""

    @abstractmethod
    def started(self, values: Tensor) -> Tensor:
        """The same as it was before anything was learned."""


def build_skip(lookback: int, horizon: int, seasons: Sequence[int]) -> Skip:
    """A map for each season of which a window shows two, or for the first one alone."""
    shown = [season for season in seasons if 2 * season <= lookback]
    if len(shown) > 1:
        return SeasonalSkips(lookback, horizon, shown)
    return LinearSkip(lookback, horizon, seasons[0])


class LinearSkip(Skip):
    """A linear map from lookback to horizon (Zeng et al. 2023): a start, and what is learned of it.

    Of a long lookback it reads the newest values, and the level that they are smoothed to. It
    starts as the seasonal naive, or where `start_at` puts it; weight decay draws it back to there.

    Args:
        lookback: Values before the cutoff.
        horizon: Steps to forecast.
        season: Steps of the season that it repeats.
        smoothed: Steps of that without which the level is, if another one.

    Attributes:
        start: The map that it starts as [horizon, read + 1].
        change: What is learned of values, in tenths [horizon, read].
        bias: Added to each step, in tenths [horizon].
    """

    start: Tensor

    def __init__(
        self, lookback: int, horizon: int, season: int, smoothed: int | None = None
    ) -> None:
        super().__init__()
        self.smoothed = smoothed or season
        season = min(season, lookback)
        self.read = min(lookback, max(SKIP_LOOKBACK, season))
        self.register_buffer("start", torch.zeros(horizon, self.read + 1))
        self.change = nn.Parameter(torch.zeros(horizon, self.read))
        self.bias = nn.Parameter(torch.zeros(horizon))
        # Without memory of its own it is yet to be filled, and such an index takes a second to ask.
        if not self.start.is_meta:
            step = torch.arange(horizon)
            self.start[step, self.read - season + step % season] = 1.0

    def start_by(self, sample: Sample, seasons: Sequence[int]) -> None:
        """Start as the map that `linear_start` finds."""
        horizon, read = self.start.shape
        maps = forecasters(read - 1, horizon, seasons, self.smoothed)
        self.start_at(linear_start(sample._replace(read=self._read(sample.read)), maps))

    def start_at(self, start: Tensor) -> None:
        """Start as this map [horizon, read + 1]."""
        self.start.copy_(start)

    def forward(self, values: Tensor) -> Tensor:
        """From values [batch, lookback] to [batch, horizon]."""
        weight = self.start + functional.pad(STEP_SHARE * self.change, (0, 1))
        return functional.linear(self._read(values), weight, STEP_SHARE * self.bias)

    def started(self, values: Tensor) -> Tensor:
        """What the start alone makes of values [batch, lookback], [batch, horizon]."""
        return functional.linear(self._read(values), self.start)

    def _read(self, values: Tensor) -> Tensor:
        return with_level(values[:, -self.read :], self.smoothed)


class SeasonalSkips(Skip):
    """A linear skip for each season, mixed by how closely a window has kept to it so far.

    One map suits no panel in which some series follow the hours of a day and others those of a
    week. A season's share is the softmax of the logarithms of the mean distances between values
    that lie such a season apart, all over the same values (experts and a gate, Jacobs et al. 1991,
    whose gate is given).

    Args:
        lookback: Values before the cutoff, two of the longest season at least.
        horizon: Steps to forecast.
        seasons: Their lengths, ascending.
    """

    def __init__(self, lookback: int, horizon: int, seasons: Sequence[int]) -> None:
        super().__init__()
        self.seasons = tuple(seasons)
        self.skips: list[LinearSkip] = nn.ModuleList(  # type: ignore[assignment]
            LinearSkip(lookback, horizon, season, seasons[0]) for season in seasons
        )
        self.read = max(skip.read for skip in self.skips)

    def shares(self, values: Tensor) -> Tensor:
        """How much each season counts in windows of values [batch, lookback], [batch, season]."""
        longest, steps = self.seasons[-1], values.shape[1]
        distances = [
            (values[:, longest:] - values[:, longest - season : steps - season]).abs().mean(1)
            for season in self.seasons
        ]
        return (-SHARPNESS * (torch.stack(distances, dim=1) + TINY).log()).softmax(1)

    def start_by(self, sample: Sample, seasons: Sequence[int]) -> None:
        """Start each season's map by the windows that keep to it most, if there are enough."""
        most = self.shares(sample.read).argmax(1)
        for place, skip in enumerate(self.skips):
            own = most == place
            enough = int(own.sum()) >= ENOUGH_WINDOWS
            skip.start_by(sample.of(own) if enough else sample, seasons)

    def forward(self, values: Tensor) -> Tensor:
        """From values [batch, lookback] to [batch, horizon]."""
        return self._mixed(values, [skip(values) for skip in self.skips])

    def started(self, values: Tensor) -> Tensor:
        """The starts alone, mixed alike."""
        return self._mixed(values, [skip.started(values) for skip in self.skips])

    def _mixed(self, values: Tensor, forecasts: list[Tensor]) -> Tensor:
        """One forecast [batch, horizon] of each season's."""
        return (torch.stack(forecasts, dim=2) * self.shares(values)[:, None]).sum(2)
