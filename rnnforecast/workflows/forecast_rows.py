"""Every forecast of a backtest as a row of a file, written as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rnnforecast.data.dialects import target_name, time_name
from rnnforecast.data.files import replacing
from rnnforecast.data.reading import Table
from rnnforecast.data.writing import forecast_table, to_csv
from rnnforecast.scoreboard import Block

CUTOFF = "cutoff"


@contextmanager
def forecast_rows(output: Path | None) -> Iterator[Callable[[pd.DataFrame], None] | None]:
    """What writes tables of equal columns one below the other; None where nothing is wished."""
    if output is None:
        yield None
        return
    header = True
    with replacing(output) as write:

        def write_rows(rows: pd.DataFrame) -> None:
            nonlocal header
            write(to_csv(rows, header=header).encode())
            header = False

        yield write_rows


def rows_of(block: Block, table: Table, levels: tuple[float, ...]) -> pd.DataFrame:
    """The forecasts of a block with the cutoff, the last time that was known, and what followed.

    `levels` are the nominal coverages of the intervals, in percent.
    """
    # Other dialects have no names for the forecasts of several models.
    config, panel, index = replace(table.config, dialect="nixtla"), table.panel, block.index
    models = {name: forecasts.quantiles for name, forecasts in block.forecasts.items()}
    rows = forecast_table(panel, index, models, levels, config)
    last_known = panel.written(index.series, index.cutoffs - 1)
    at = list(rows).index(time_name(config)) + 1
    rows.insert(at, CUTOFF, np.repeat(np.asarray(last_known), block.actual.shape[1]))
    rows.insert(at + 1, target_name(config), block.actual.ravel())
    return rows
