"""Which windows of a panel a network learns from, and which tell its best epoch."""

from __future__ import annotations

import numpy as np

from rnnforecast.arrays import IntArray
from rnnforecast.config import RunConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex, windows_between
from rnnforecast.models.registry import find_model

VALIDATION_WINDOWS = 4096
# Values that all windows of a validation or calibration hold together, and the share of windows for
# which a model that samples has the time.
READ_VALUES, DRAWN_SHARE = 2**24, 1 / 32


def affordable_windows(config: RunConfig) -> int:
    """Windows that may validate or calibrate: fewer where each is long or drawn path by path."""
    share = DRAWN_SHARE if find_model(config.model.model).samples else 1
    length = config.windows.lookback + config.windows.horizon
    return max(1, int(READ_VALUES * share) // length)


def training_windows(panel: Panel, windows: WindowSpec) -> WindowIndex:
    """Every cutoff with some history before it and a value after it.

    Targets may reach beyond the end of a series and history beyond its start: the loss and the
    network mask what is not there. A season of history is asked for where a series has it.
    """
    history = np.minimum(min(windows.season, windows.lookback), panel.lengths - 1)
    return windows_between(np.maximum(history, 1), panel.lengths - 1)


def newest_windows(panel: Panel, config: RunConfig, ends: IntArray) -> WindowIndex:
    """The windows from `ends` [series] on by which an epoch is judged, as many as can be afforded.

    Their targets lie within the series.
    """
    newest = windows_between(ends, panel.lengths - config.windows.horizon)
    return newest.thinned(min(VALIDATION_WINDOWS, affordable_windows(config)))
