"""Time columns as regular steps: parsing, the frequency, and the steps of a forecast.

Within the program a time is an int64: an integer step as it is, or microseconds of local time since
1970. A fixed offset from UTC is kept beside the numbers and written back with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from rnnforecast.errors import ConfigError, DataError

IntArray = npt.NDArray[np.int64]
Unit = Literal["step", "microsecond", "business-day", "month"]

DAY = 86_400_000_000
NAMES = {
    1_000_000: "second",
    60_000_000: "minute",
    3_600_000_000: "hour",
    DAY: "day",
    7 * DAY: "week",
}
PROBED = 200
# The share of rows that makes a calendar, such as of months; the others are then faults.
AGREEING = 0.9
MONTHS = {1: "month", 3: "quarter", 12: "year"}


class OffGridError(ValueError):
    """A time that is no whole number of steps after the first; `row` is where it stands."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """The distance between two observations.

    Attributes:
        unit: What is counted; "step" for integer times.
        count: How many units lie between two observations.
        month_end: For months: times stand on the last day of the month.
        offset: What ISO 8601 appends to each time: "" for naive times, else "+02:00" and the like.
        date_only: Whether times are written without the time of day.
    """

    unit: Unit
    count: int = 1
    month_end: bool = False
    offset: str = ""
    date_only: bool = False

    def __str__(self) -> str:
        if self.unit == "microsecond":
            size = max(unit for unit in (1, *NAMES) if self.count % unit == 0)
            count, name = self.count // size, NAMES.get(size, "microsecond")
        elif self.unit == "month":
            size = max(months for months in MONTHS if self.count % months == 0)
            count, name = self.count // size, MONTHS[size]
        else:
            count, name = self.count, self.unit.replace("-", " ")
        end = " end" if self.month_end else ""
        return f"{name}{end}" if count == 1 else f"{count} {name}s{end}"

    def positions(self, times: IntArray, starts: IntArray) -> IntArray:
        """How many steps after `starts` each of `times` lies; the two have equal shapes.

        Raises:
            OffGridError: A time lies between two steps.
        """
        if self.unit == "month":
            distance = _month(times) - _month(starts)
            day_fits = _is_month_end(times) if self.month_end else _day(times) == _day(starts)
            on_grid = day_fits & (times % DAY == starts % DAY)
        elif self.unit == "business-day":
            distance = np.busday_count(_date(starts), _date(times)).astype(np.int64)
            on_grid = np.is_busday(_date(times)) & (times % DAY == starts % DAY)
        else:
            distance = times - starts
            on_grid = np.ones(len(times), dtype=bool)
        on_grid &= distance % self.count == 0
        if not on_grid.all():
            raise OffGridError(int(np.argmin(on_grid)))
        return distance // self.count

    def times(self, starts: IntArray, positions: IntArray) -> IntArray:
        """The times that lie `positions` steps after `starts`: the inverse of `positions`."""
        if self.unit == "month":
            months = _month(starts) + positions * self.count
            length = _month_start(months + 1) - _month_start(months)
            day = length if self.month_end else np.minimum(_day(starts), length)
            return (_month_start(months) + day - 1) * DAY + starts % DAY
        if self.unit == "business-day":
            dates = np.busday_offset(_date(starts), positions * self.count)
            return dates.astype(np.int64) * DAY + starts % DAY
        return starts + positions * self.count

    def format(self, times: IntArray) -> list[str] | IntArray:
        """Times as they are written: integers as they are, others in ISO 8601."""
        if self.unit == "step":
            return times
        unit: Literal["D", "s", "us"] = "us" if np.any(times % 1_000_000) else "s"
        # ISO 8601 has no offset from UTC beside a date alone.
        date_only = self.date_only and not self.offset
        unit = "D" if date_only and not np.any(times % DAY) else unit
        text = np.datetime_as_string(times.astype("datetime64[us]"), unit=unit)
        return [f"{time}{self.offset}" for time in text]


def infer_frequency(times: IntArray, offsets: IntArray, *, integer: bool) -> Frequency | None:
    """The frequency of times that ascend within each series; None where no series has two.

    Series `i` holds `times[offsets[i]:offsets[i + 1]]`. The step is the most common distance; that
    every time lies on its grid is for `Frequency.positions` to check.
    """
    distances = np.diff(times)[_within_series(offsets)]
    if not len(distances):
        return None
    if integer:
        return Frequency(unit="step", count=most_common(distances))
    if most_common(distances) >= 28 * DAY:
        starts = np.repeat(times[offsets[:-1]], np.diff(offsets))
        month_end = float(_is_month_end(times).mean()) >= AGREEING
        if month_end or float((_day(times) == _day(starts)).mean()) >= AGREEING:
            months = np.diff(_month(times))[_within_series(offsets)]
            return Frequency(unit="month", count=most_common(months), month_end=month_end)
    weekdays_only = bool(np.is_busday(_date(times)).all())
    if weekdays_only and most_common(distances) == DAY and (distances == 3 * DAY).any():
        return Frequency(unit="business-day")
    return Frequency(unit="microsecond", count=most_common(distances))


def most_common(distances: IntArray) -> int:
    """The most frequent value; the smallest of those that are equally frequent."""
    values, counts = np.unique(distances, return_counts=True)
    return int(values[np.argmax(counts)])


def parse_times(
    text: pd.Series[str], time_format: str | None = None
) -> tuple[IntArray, bool, str] | int:
    """Read a time column: (times, whether they are integer steps, offset from UTC).

    Formats are tried in turn until one reads every cell; where day and month could be exchanged,
    the reading with the steadier steps wins. Returns the first row that the best format can't read
    where none reads all.

    Raises:
        DataError: Two readings are equally steady.
        ConfigError: The format is no format.
    """
    where, distinct = pd.factorize(text.str.strip())
    cells = pd.Series(distinct, dtype="str")
    whole = cells.str.fullmatch(r"[+-]?\d{1,18}").to_numpy(dtype=bool)
    if time_format is None and whole.mean() > 0.5 and not _are_compact_dates(cells):
        if not whole.all():
            return int(np.argmin(whole[where]))
        return cells.to_numpy(dtype=object).astype(np.int64)[where], True, ""
    few = cells[:: max(1, len(cells) // PROBED)]
    formats = _formats(cells, few, time_format)
    promising = sorted(formats, key=lambda name: int(_read(few, name)[0].isna().sum()))[:3]
    readings = [_read(cells, name) for name in promising]
    unread = [int(np.count_nonzero(reading.isna())) for reading, _ in readings]
    best = min(unread)
    if best:
        failed = readings[unread.index(best)][0].isna().to_numpy()
        return int(np.argmax(failed[where]))
    complete = [
        (name, _microseconds(times), offset)
        for name, (times, offset), missing in zip(promising, readings, unread, strict=True)
        if not missing
    ]
    _, times, offset = _steadiest(complete)
    return times[where], False, offset


def _steadiest(readings: list[tuple[str, IntArray, str]]) -> tuple[str, IntArray, str]:
    """Of the readings of distinct times, the one with the fewest different steps."""
    steps = [_different_steps(times) for _, times, _ in readings]
    best = readings[steps.index(min(steps))]
    for other, count in zip(readings, steps, strict=True):
        if count == min(steps) and not np.array_equal(other[1], best[1]):
            raise DataError(
                f"the times could be in the format {best[0]} or {other[0]}; pass --time-format"
            )
    return best


def _formats(cells: pd.Series[str], few: pd.Series[str], time_format: str | None) -> Sequence[str]:
    if time_format is not None:
        return (time_format,)
    for digits, name in ((r"\d{8}", "%Y%m%d"), (r"\d{6}", "%Y%m")):
        if bool(cells.str.fullmatch(digits).all()):
            return (name,)
    if bool(cells.str.match(r"\d{4}-\d\d(-|$)").all()):
        return ("ISO8601",)
    formats = ["ISO8601", "%Y%m%d", "%b %Y", "%B %Y", "%b-%Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y"]
    for mark in (mark for mark in "/.-" if bool(few.str.contains(mark, regex=False).any())):
        # Nobody puts the month first between points.
        orders = ["%d{0}%m{0}%Y", "%Y{0}%m{0}%d", "%m{0}%Y", "%d{0}%m{0}%y"]
        orders += [] if mark == "." else ["%m{0}%d{0}%Y", "%m{0}%d{0}%y"]
        formats += [order.format(mark) for order in orders]
    if bool(few.str.contains(":", regex=False).any()):
        clocks = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
        formats += [f"{date} {clock}" for date in formats[1:] for clock in clocks]
    return formats


def _read(cells: pd.Series[str], name: str) -> tuple[pd.Series[pd.Timestamp], str]:
    """Times of local clocks (missing where unread), and their common offset from UTC."""
    zoned = cells.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True)
    if name == "ISO8601" and bool(zoned.all()):
        offsets = cells.str.extract(r"(Z|[+-]\d\d:?\d\d)$")[0].unique()
        utc = pd.to_datetime(cells, format=name, errors="coerce", utc=True)
        offset = "+00:00" if len(offsets) > 1 or offsets[0] == "Z" else str(offsets[0])
        sign, hours, minutes = offset[0], int(offset[1:3]), int(offset[-2:])
        shift = pd.Timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
        return utc.dt.tz_localize(None) + shift, offset
    naive = cells.where(~zoned) if name == "ISO8601" else cells
    with_zone = "%z" in name
    try:
        times = pd.to_datetime(naive, format=name, errors="coerce", utc=with_zone)
    except ValueError as error:
        raise ConfigError(
            f"time_format must be a strptime format such as %d/%m/%Y, got '{name}'; {error}"
        ) from None
    return times.dt.tz_localize(None), "+00:00" if with_zone else ""


def _are_compact_dates(cells: pd.Series[str]) -> bool:
    """Whether all but faulty ones are dates such as 20200131, or months such as 202001."""
    months = float(cells.str.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])").mean())
    compact = cells.where(cells.str.fullmatch(r"(19|20)\d{6}"))
    dates = float(pd.to_datetime(compact, format="%Y%m%d", errors="coerce").notna().mean())
    return max(months, dates) >= AGREEING


def _different_steps(times: IntArray) -> int:
    """How many different distances, in months where these fit, lie between neighbours in time."""
    ordered = np.unique(times)
    if bool((_day(ordered) == _day(ordered[:1])).all()) and not np.any(np.diff(ordered % DAY)):
        ordered = _month(ordered)
    return len(np.unique(np.diff(ordered)))


def _microseconds(times: pd.Series[pd.Timestamp]) -> IntArray:
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def _within_series(offsets: IntArray) -> npt.NDArray[np.bool_]:
    """Which of the distances between neighbouring rows lie inside one series."""
    inside = np.ones(max(int(offsets[-1]) - 1, 0), dtype=bool)
    inside[offsets[1:-1] - 1] = False
    return inside


def _date(times: IntArray) -> npt.NDArray[np.datetime64]:
    return (times // DAY).astype("datetime64[D]")


def _month(times: IntArray) -> IntArray:
    return _date(times).astype("datetime64[M]").astype(np.int64)


def _month_start(months: IntArray) -> IntArray:
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _day(times: IntArray) -> IntArray:
    return times // DAY - _month_start(_month(times)) + 1


def _is_month_end(times: IntArray) -> npt.NDArray[np.bool_]:
    last: npt.NDArray[np.bool_] = times // DAY == _month_start(_month(times) + 1) - 1
    return last
