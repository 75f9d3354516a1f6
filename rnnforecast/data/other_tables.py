"""The times of a table beside that of the series, as of forecasts or plans."""

from __future__ import annotations

from rnnforecast.columns import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.cells import Cells
from rnnforecast.data.timestamps import parse_times


def own_format(cells: Cells, config: DataConfig) -> str | None:
    """The asked format of times; None, so that it is found, where the first row is in another."""
    if config.time_format is None:
        return None
    first = cells.sample[str(config.time_column)].iloc[:1].str.strip()
    return None if isinstance(parse_times(first, config.time_format), int) else config.time_format


def other_kind(integer: bool, frequency: Frequency, of: str) -> str | None:
    """What is wrong where one side has integer steps and the other dates; None where both agree.

    Args:
        integer: Whether the table has integer steps.
        frequency: Of the series.
        of: What the table is laid beside, for the message.
    """
    if integer == (frequency.unit == "step"):
        return None
    kinds = ("integer steps", "dates or times")
    own, other = kinds if integer else reversed(kinds)
    return f"the times are {own}, those of the {of} {other}; write both alike"
