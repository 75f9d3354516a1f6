"""The columns of a table of series that are used, read from its text."""

from __future__ import annotations

import io
from typing import Literal

import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.cell_faults import number_faults
from rnnforecast.data.cells import Cells
from rnnforecast.data.faults import LocatedError
from rnnforecast.data.schema import MISSING

NUMBER = r"(?i)[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)"

# From 3.1 on pandas always reads floats exactly, and warns of being asked to.
FLOAT_PRECISION: Literal["round_trip"] | None = (
    None if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else "round_trip"
)


def parse_columns(cells: Cells, config: DataConfig) -> pd.DataFrame:
    """The id and the time as text, targets as numbers, one row a row of the table.

    Raises:
        LocatedError: A target is no number.
    """
    targets = list(config.target_columns)
    texts = [name for name in (config.id_column, config.time_column) if name is not None]
    missing = [*MISSING, *config.na_values]
    try:
        frame = pd.read_csv(
            io.BytesIO(cells.source.data),
            sep=cells.separator,
            header=0,
            names=cells.header,
            decimal=cells.decimal,
            usecols=[*texts, *targets],
            dtype={**dict.fromkeys(texts, "str"), **dict.fromkeys(targets, "float64")},
            keep_default_na=False,
            na_values={name: missing for name in targets},
            skipinitialspace=True,
            index_col=False,
            float_precision=FLOAT_PRECISION,
        )
    except (ValueError, OverflowError):
        return _parse_cells(cells, config)
    for name in texts:
        frame[name] = frame[name].str.strip()
    return frame


def _parse_cells(cells: Cells, config: DataConfig) -> pd.DataFrame:
    """As `parse_columns`, cell by cell; raises DataError for the first target that is no number."""
    frame = cells.text(cells.header)
    targets = list(config.target_columns)
    found = frame[targets]
    missing = found.isin([*MISSING, *config.na_values])
    points = found.apply(lambda texts: texts.str.replace(cells.decimal, ".", regex=False))
    bad = ~(missing | points.apply(lambda texts: texts.str.fullmatch(NUMBER))).to_numpy(dtype=bool)
    if bad.any():
        raise LocatedError(cells, number_faults(frame, bad, config))
    frame[targets] = points.mask(missing, "nan").astype("float64")
    return frame
