"""Covariates that a network reads otherwise than they stand in a table."""

from __future__ import annotations

import numpy as np

from rnnforecast.arrays import BoolArray
from rnnforecast.columns import Encoding
from rnnforecast.data.covariates import Covariates, Spot
from rnnforecast.data.encoding import FARTHEST, standardised
from rnnforecast.data.panel import Panel


def far_values(
    covariates: Covariates, panel: Panel, encodings: tuple[Encoding, ...]
) -> Spot | None:
    """The numbers farther from what training met than a network can tell.

    A rare flag is no such number: training met it, and it is the only one so far off.
    """
    marked = {}
    for encoding in encodings:
        column = covariates.by_name.get(encoding.name)
        if column is not None and column.texts is None and not encoding.categories:
            far: BoolArray = np.abs(standardised(column, encoding)) > FARTHEST
            if _is_flag(encoding):
                far &= (column.values != 0) & (column.values != 1)
            marked[column.name] = far
    return covariates.first(marked, panel)


def _is_flag(encoding: Encoding) -> bool:
    """Whether training met 0 and 1 alone, whose mean tells their variance."""
    variance = encoding.mean * (1 - encoding.mean)
    return bool(np.isclose(encoding.scale**2, variance, rtol=1e-6, atol=0))
