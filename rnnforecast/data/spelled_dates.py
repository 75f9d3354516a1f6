"""Quarters and ISO weeks, which no strptime format reads, by their first days."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray

Dates = npt.NDArray[np.datetime64]

# Names that stand in the place of a format, and what they read: 2018Q1, Q1 2018; 2018-W05-1.
SPELLED = {
    "quarter": r"(?:(\d{4})[- ]?[Qq]([1-4])|[Qq]([1-4])[- ]?(\d{4}))",
    "ISO week": r"(\d{4})-?[Ww](\d\d)(?:-?([1-7]))?",
}


def read_spelled(cells: pd.Series[str], name: str) -> pd.Series[pd.Timestamp]:
    """The first day of each quarter, or week where no weekday is written; missing where unread."""
    parts = cells.str.extract(f"^{SPELLED[name]}$").apply(pd.to_numeric).to_numpy(dtype=np.float64)
    days = _quarters(parts) if name == "quarter" else _weeks(parts)
    return pd.Series(pd.to_datetime(days), index=cells.index)


def _quarters(parts: FloatArray) -> Dates:
    year = np.where(np.isnan(parts[:, 0]), parts[:, 3], parts[:, 0])
    quarter = np.where(np.isnan(parts[:, 1]), parts[:, 2], parts[:, 1])
    months = 12 * (year - 1970) + 3 * (quarter - 1)
    unread = np.isnan(months)
    found = np.where(unread, 0, months).astype(np.int64).astype("datetime64[M]")
    found[unread] = np.datetime64("NaT")
    return found.astype("datetime64[us]")


def _weeks(parts: FloatArray) -> Dates:
    """ISO 8601: weeks begin on Mondays, and the first one of a year holds January 4."""
    year, week, day = parts.T
    unread = np.isnan(year)
    years = np.where(unread, 0, year - 1970).astype(np.int64)
    weeks = np.where(unread, 1, week).astype(np.int64)
    first, following = (_first_monday(years + later) for later in (0, 1))
    monday = first + 7 * (weeks - 1)
    unread |= (weeks < 1) | (monday >= following)
    found = (monday + np.where(np.isnan(day), 1, day).astype(np.int64) - 1).astype("datetime64[D]")
    found[unread] = np.datetime64("NaT")
    return found.astype("datetime64[us]")


def _first_monday(years: IntArray) -> IntArray:
    """The Monday of the first ISO week of years since 1970, in days since then."""
    fourth = years.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 3
    # 1970 began on a Thursday.
    return fourth - (fourth + 3) % 7
