"""Panels to test with."""

from __future__ import annotations

import numpy as np

from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel


def make_panel(*series: list[float]) -> Panel:
    """Series s0, s1, ... of these values, at integer steps from 0."""
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(series))),
        values=np.concatenate([np.array(values, dtype=float) for values in series]),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        starts=np.zeros(len(series), dtype=np.int64),
        frequency=Frequency(unit="step"),
    )
