"""What becomes of gaps within a series: absent rows and empty cells, which a panel does not tell
apart.

A policy never touches what is scored, unless gaps are zeros: with `interpolate` and `ffill` the
values of the panel stay missing, and only what a network reads of a window is filled, from that
window alone, on logarithms where the model works on these (`models/filling.py`). So no target, loss
or metric ever meets an invented value, and none is made from what comes after a cutoff. With
`zero`, as in demand without a row for a day without a sale, a gap is an observation like any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnforecast.data.panel import Panel
from rnnforecast.errors import DataError


def fill(panel: Panel, policy: str) -> Panel:
    """The panel with its gaps as `policy`, one of `columns.Missing`, has them.

    Raises:
        DataError: The policy is `error` and a value is missing.
    """
    missing = np.isnan(panel.values)
    if not missing.any() or policy not in ("error", "zero"):
        return panel
    if policy == "zero":
        return replace(panel, values=np.where(missing, 0.0, panel.values))
    first = int(np.argmax(missing))
    series = int(np.searchsorted(panel.offsets, first, side="right")) - 1
    position = first - panel.offsets[series]
    time = panel.frequency.format(panel.times(np.array([series]), np.array([position])))[0]
    raise DataError(
        f"series '{panel.ids[series]}' has no value at {time}; fill it in, or pass --missing mask, "
        "interpolate, ffill or zero"
    )
