"""Rolling origins: the cutoffs that are scored, and what a model may see before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnforecast.arrays import IntArray
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex, windows_between
from rnnforecast.errors import DataError

VALIDATED_SHARE = 0.1
# Windows that are forecast and scored together, however many cutoffs and series there are.
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class Origins:
    """The newest cutoffs of each series, the last one a horizon before its end.

    Windows are counted in the order of cutoffs, those of one rank series by series.

    Attributes:
        series: The index of each series that is scored [scored].
        last: Its last cutoff [scored].
        count: Cutoffs of each series.
        stride: Values between two cutoffs.
    """

    series: IntArray
    last: IntArray
    count: int
    stride: int

    def __len__(self) -> int:
        """The windows of all cutoffs."""
        return self.count * len(self.series)

    def cutoffs(self, rank: int) -> IntArray:
        """The cutoff of each scored series at one rank, 0 being the oldest [scored]."""
        return self.last - (self.count - 1 - rank) * self.stride

    def ranks(self, places: IntArray) -> IntArray:
        """The ranks of the windows at these places."""
        return places // len(self.series)

    def windows(self, places: IntArray) -> WindowIndex:
        """The windows at these places."""
        scored, back = places % len(self.series), self.count - 1 - self.ranks(places)
        return WindowIndex(
            series=self.series[scored], cutoffs=self.last[scored] - back * self.stride
        )

    def blocks(self, first: int, last: int) -> Iterator[IntArray]:
        """The places of the windows from rank `first` to before rank `last`, some at a time."""
        begin, end = first * len(self.series), last * len(self.series)
        for start in range(begin, end, BLOCK):
            yield np.arange(start, min(start + BLOCK, end))


def held_out_origins(panel: Panel, horizon: int, count: int = 1, stride: int = 1) -> Origins:
    """The newest `count` cutoffs of each series, `stride` apart, the last a horizon before the end.

    Series too short to keep as much history as is held out are not scored; where that leaves none,
    those that keep two values are.

    Raises:
        DataError: None does.
    """
    held_out = horizon + (count - 1) * stride
    kept = panel.lengths - held_out
    for least in (max(2, held_out), 2):
        scored = np.flatnonzero(kept >= least)
        if len(scored):
            last = panel.lengths[scored] - horizon
            return Origins(series=scored, last=last, count=count, stride=stride)
    raise DataError(_too_long(int(panel.lengths.max()), horizon, count, stride))


def _too_long(longest: int, horizon: int, count: int, stride: int) -> str:
    """Why nothing can be held out, and the most that could be."""
    if longest <= 2:
        return f"the longest series has {longest} values; pass longer series"
    if longest < horizon + 2:
        what, remedy = f"horizon {horizon} is too long", f"--horizon of at most {longest - 2}"
    else:
        most = 1 + (longest - 2 - horizon) // stride
        what, remedy = f"{count} cutoffs are too many", f"--windows of at most {most}"
    held_out = horizon + (count - 1) * stride
    return (
        f"{what}: {held_out} values are held out for scoring, and the longest series has "
        f"{longest}; pass a {remedy}"
    )


def panel_before(panel: Panel, origins: Origins, rank: int = 0) -> Panel:
    """The panel up to the cutoffs of one rank; series that are not scored are whole."""
    cutoffs = panel.lengths.copy()
    cutoffs[origins.series] = origins.cutoffs(rank)
    return panel.before(cutoffs)


def training_ends(lengths: IntArray, horizon: int) -> IntArray | None:
    """Where training targets end so that the newest windows are left for validation [series].

    A horizon or a tenth of the series, whichever is longer, is left; nothing where that is more
    than remains. None where no series leaves anything.
    """
    left = np.maximum(horizon, (lengths * VALIDATED_SHARE).astype(np.int64))
    enough = lengths - left >= np.maximum(left, 2)
    return np.where(enough, lengths - left, lengths) if enough.any() else None


def validation_windows(lengths: IntArray, horizon: int, most: int) -> WindowIndex:
    """The windows after `training_ends`, at most `most` of them; none where there are none."""
    ends = training_ends(lengths, horizon)
    return windows_between(lengths if ends is None else ends, lengths - horizon).thinned(most)
