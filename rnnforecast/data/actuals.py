"""What happened, from several files: the part to test on, and what came before it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.faults import RowError
from rnnforecast.data.gridding import build_panel
from rnnforecast.data.reading import Table, ignored_columns
from rnnforecast.data.rows import Rows, find_rows
from rnnforecast.data.source import open_source
from rnnforecast.data.zones import at_clock
from rnnforecast.errors import DataError


def read_actuals(paths: Sequence[str], asked: DataConfig) -> Table:
    """Read the series of several CSV files as one table.

    A value that two files have counts once. The frequency is that of all rows together, so that a
    file may have one row a series; integer steps that are one a series everywhere follow each
    other.

    Returns:
        The table; its config is that of the first file.

    Raises:
        DataError: A file cannot be used, or two disagree.
    """
    parts = [find_rows(open_source(path, asked.encoding), asked) for path in paths]
    name = " and ".join(part.cells.source.name for part in parts)
    offset = next((part.times.offset for part in parts if part.times.offset), "")
    integer = parts[0].times.integer
    if any(part.times.integer != integer for part in parts):
        raise DataError(f"{name}: some times are integer steps, some are not; write all alike")
    files = [_long(part, offset).assign(file=file) for file, part in enumerate(parts)]
    rows = _without_repeats(pd.concat(files, ignore_index=True), parts)
    keys, ids = pd.factorize(rows["id"])
    observed = rows["id"].isin(rows["id"][rows["value"].notna()])
    alone = integer and not rows["id"][observed].duplicated().any()
    try:
        gridded = build_panel(
            keys=keys.astype(np.int64),
            ids=[str(name) for name in ids],
            times=rows["time"].to_numpy(),
            values=rows["value"].to_numpy(),
            integer=integer,
            offset=offset,
            frequency=Frequency(unit="step") if alone else None,
        )
    except RowError as error:
        file, place = (int(rows[column].iloc[error.row]) for column in ("file", "place"))
        raise parts[file].fault(place, str(error)) from None
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    return Table(
        panel=gridded.panel,
        config=parts[0].config,
        name=name,
        sha256=sha256(b"".join(part.cells.source.data for part in parts)).hexdigest(),
        unobserved=gridded.unobserved,
        ignored=tuple(dict.fromkeys(name for part in parts for name in ignored_columns(part))),
    )


def _long(part: Rows, offset: str) -> pd.DataFrame:
    """One row a value: the series, the time by a clock, and its place among the file's values."""
    keys, ids = part.series()
    times = at_clock(part.times.times, part.times.offset, offset)
    return pd.DataFrame(
        {
            "id": np.asarray(ids, dtype=object)[keys],
            "time": np.tile(times, len(part.config.target_columns)),
            "value": part.values,
            "place": np.arange(len(keys)),
        }
    )


def _without_repeats(rows: pd.DataFrame, parts: Sequence[Rows]) -> pd.DataFrame:
    """The rows without those that another file has too; a missing value gives way to another.

    Raises:
        DataError: Two files have different values.
    """
    observed_first = rows.sort_values("value", key=pd.isna, kind="stable")
    kept = observed_first.groupby(["id", "time"])[["file", "value"]].transform("first")
    kept = kept.reindex(rows.index)
    repeated = rows["file"] != kept["file"]
    differs = repeated & rows["value"].notna() & (rows["value"] != kept["value"])
    if differs.any():
        at = int(differs.to_numpy().argmax())
        row, other = rows.iloc[at], kept.iloc[at]
        raise parts[int(row["file"])].fault(
            int(row["place"]),
            f"series '{row['id']}' has the value {row['value']:g} at this time, but "
            f"{other['value']:g} in {parts[int(other['file'])].cells.source.name}; correct one",
        )
    return rows[~repeated]
