"""Columns of a table that are not used, or used as series though they look like covariates."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from rnnforecast.arrays import BoolArray
from rnnforecast.data.faults import Fault
from rnnforecast.data.reading import Table
from rnnforecast.data.rows import Rows
from rnnforecast.data.schema import MISSING, TARGET_NAMES, by_name, kind_of

# What columns that are known ahead are called.
AHEAD = re.compile(
    r"forecast|plan|promo|deal|feat|discount|holiday|working|weekday|weekend|hour|month|event|"
    r"calendar|quarter|season|day_?of|scheduled|price",
    re.IGNORECASE,
)
# Different whole numbers that flags, hours and months have at most.
FEW_CODES = 60


def find_column_doubts(table: Table, rows: Rows) -> Iterator[Fault]:
    """What each column that is not used may be, and the flag by which it is read."""
    yield from _series_or_covariates(rows)
    if not table.ignored:
        return
    sample = rows.cells.sample
    missing = (*MISSING, *rows.config.na_values)
    identifier = rows.config.id_column
    texts = rows.cells.text([*table.ignored, *([identifier] if identifier else [])])
    known = np.ones(len(texts), dtype=np.bool_)
    if identifier is not None:
        known = texts[identifier].isin(table.panel.ids).to_numpy()
    for name in table.ignored:
        kind = kind_of(sample[name], missing, rows.cells.decimal)
        cells = texts[name]
        if identifier is not None and _one_a_series(cells, texts[identifier]):
            yield _unused(name, f"pass --static {name}, as it is one value a series")
        elif not kind.number and cells.nunique() > FEW_CODES:
            yield _unused(name, "remove it, or leave it unused")
        elif AHEAD.search(name) or _goes_on(rows, known, cells):
            yield _unused(name, f"pass --future {name} if it is known ahead, else --past {name}")
        else:
            yield _unused(name, f"pass --past {name} if it tells of the target")


def _unused(name: str, remedy: str) -> Fault:
    return Fault(None, "the column is not used", remedy, name)


def _one_a_series(cells: pd.Series[str], ids: pd.Series[str]) -> bool:
    """Whether a column tells the same in all rows of each of several series."""
    pairs = pd.DataFrame({"id": ids, "cell": cells}).drop_duplicates()
    return len(pairs) == pairs["id"].nunique() > 1


def _goes_on(rows: Rows, known: BoolArray, cells: pd.Series[str]) -> bool:
    """Whether a column has values in rows of `known` series [row] whose targets are missing."""
    missing = rows.frame[list(rows.config.target_columns)].isna().to_numpy().all(axis=1)
    return bool(np.any(~cells[missing & known].isin(MISSING)))


def _series_or_covariates(rows: Rows) -> Iterator[Fault]:
    """In wide form, columns that tell of another one rather than being series themselves."""
    frame = rows.frame
    targets = [name for name in rows.config.target_columns if frame[name].notna().any()]
    if len(targets) < 2:
        return
    # Tables for learning have their target last, where no name tells.
    target = by_name(dict.fromkeys(targets), TARGET_NAMES) or targets[-1]
    known = [name for name in targets if name != target and _is_known(name, frame[name])]
    others = [name for name in targets if name not in known and name != target]
    if not known:
        return
    # Beside many columns that tell of one, the others hardly are series either.
    measured = others if len(known) >= len(others) else []
    flags = [*(f"--future {name}" for name in known), *(f"--past {name}" for name in measured)]
    likely = [*known, *measured]
    shown = ", ".join(f"'{name}'" for name in likely)
    yield Fault(
        None,
        f"{shown} may tell of '{target}', rather than being series to forecast",
        f"pass --target-col {target} {' '.join(flags)}",
        likely[0],
    )


def _is_known(name: str, values: pd.Series[float]) -> bool:
    """Whether a column is of what is known ahead, by its name or its values."""
    return bool(AHEAD.search(name)) or _is_code(values)


def _is_code(values: pd.Series[float]) -> bool:
    """Whether numbers are flags, hours, months and the like."""
    distinct = values.dropna().unique()
    few = len(distinct) <= min(FEW_CODES, len(values) / 10)
    return bool(few and (distinct == np.floor(distinct)).all())
