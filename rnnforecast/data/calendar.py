"""Times as regular steps: the frequency of series, and the steps of a forecast.

Within the program a time is an int64: an integer step as it is, or microseconds of local time since
1970. An offset from UTC is kept beside the numbers and written back with them.

Where the offset is that of a zone and varies, steps below a day count instants, microseconds of
UTC; days and longer ones count what the clock shows, so that midnight stays midnight. Tables have
instants: `Frequency.counted` is what they are to its steps, and `Frequency.kept` inverts that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnnforecast.arrays import IntArray, within_series
from rnnforecast.data.time_units import DAY, HOUR, MINUTE, SECOND, WEEK
from rnnforecast.data.zones import before_change, from_local, is_zone, local_times, offset_texts
from rnnforecast.errors import DataError

Unit = Literal["step", "microsecond", "business-day", "month"]

NAMES = {SECOND: "second", MINUTE: "minute", HOUR: "hour", DAY: "day", WEEK: "week"}
# The share of rows that makes a calendar, such as of months; the others are then faults.
AGREEING = 0.9
# The share of steps of 5 weeks, and of 4, from which these are no mistakes: in 4-4-5, a third.
FEWEST_LONG = 0.1
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
        day: For months: the day that times stand on where shorter months lack it, else 0.
        offset: What ISO 8601 appends to each time, "" for naive times, else "+02:00" and the like;
            or the zone that tells, as `data/zones.py` says.
        date_only: Whether times are midnights, which are written without the time of day.
    """

    unit: Unit
    count: int = 1
    month_end: bool = False
    day: int = 0
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
            distance = month_number(times) - month_number(starts)
            on_grid = self.on_day(times, starts) & (times % DAY == starts % DAY)
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
            months = month_number(starts) + positions * self.count
            day = self._day(months, starts)
            return (month_start(months) + day - 1) * DAY + starts % DAY
        if self.unit == "business-day":
            dates = np.busday_offset(_date(starts), positions * self.count)
            return dates.astype(np.int64) * DAY + starts % DAY
        return starts + positions * self.count

    def on_day(self, times: IntArray, starts: IntArray) -> npt.NDArray[np.bool_]:
        """For months: whether `times` stand on the day that series from `starts` on stand on."""
        fits: npt.NDArray[np.bool_] = day_of_month(times) == self._day(month_number(times), starts)
        return fits

    def _day(self, months: IntArray, starts: IntArray) -> IntArray:
        """The day of the month that a series stands on in each of `months`."""
        length = month_start(months + 1) - month_start(months)
        if self.month_end:
            return length
        day: IntArray = np.minimum(self.day or day_of_month(starts), length)
        return day

    @property
    def by_clock(self) -> bool:
        """Whether steps count days or months that a clock shows, where that is of a zone."""
        return is_zone(self.offset) and (self.unit != "microsecond" or self.count % DAY == 0)

    @property
    def may_skip(self) -> bool:
        """Whether times are of a clock that may skip some, but do not say of which zone."""
        return not self.offset and self.unit == "microsecond" and self.count < DAY

    def counted(self, times: IntArray) -> IntArray:
        """Times of a table as `positions` counts them."""
        if not self.by_clock:
            return times
        local = local_times(times, self.offset)
        if not len(local):
            return local
        return before_change(local, self.offset, 0 if self.date_only else most_common(local % DAY))

    def kept(self, times: IntArray) -> IntArray:
        """Times as tables have them: the inverse of `counted`."""
        return from_local(times, self.offset) if self.by_clock else times

    def local(self, times: IntArray) -> IntArray:
        """What the clock shows at `times`; a day may begin at a time that the zone leaves out."""
        return times if self.by_clock else local_times(times, self.offset)

    def format(self, times: IntArray, *, fractions: bool = False) -> list[str] | IntArray:
        """Times as they are written: integers as they are, others in ISO 8601.

        Parts of seconds are written where one of these has them, or if there are `fractions` in
        others that are written beside them.
        """
        if self.unit == "step":
            return times
        kept = self.kept(times)
        times = local_times(kept, self.offset)
        fractions = fractions or bool(np.any(times % SECOND))
        unit: Literal["D", "s", "us"] = "us" if fractions else "s"
        # ISO 8601 has no offset from UTC beside a date alone.
        date_only = self.date_only and not self.offset
        unit = "D" if date_only and not np.any(times % DAY) else unit
        text = np.datetime_as_string(times.astype("datetime64[us]"), unit=unit)
        shown = offset_texts(kept, self.offset)
        return [f"{time}{offset}" for time, offset in zip(text, shown, strict=True)]


def infer_frequency(
    times: IntArray, offsets: IntArray, *, integer: bool, clock: str = ""
) -> Frequency | None:
    """The frequency of times that ascend within each series; None where no series has two.

    Series `i` holds `times[offsets[i]:offsets[i + 1]]`, as tables have them, of a `clock` as in
    `data/zones.py`. The step is the most common distance; that every time lies on its grid is for
    `Frequency.positions` to check.

    Raises:
        DataError: The times are 4 and 5 weeks apart in turn.
    """
    distances = np.diff(times)[within_series(offsets)]
    if not len(distances):
        return None
    if integer:
        return Frequency(unit="step", count=most_common(distances))
    if is_zone(clock):
        days = Frequency(unit="microsecond", count=DAY, offset=clock).counted(times)
        if most_common(np.diff(days)[within_series(offsets)]) % DAY:
            return Frequency(unit="microsecond", count=most_common(distances), offset=clock)
        found = infer_frequency(days, offsets, integer=False)
        return found and replace(found, offset=clock)
    if most_common(distances) >= 28 * DAY:
        starts = np.repeat(times[offsets[:-1]], np.diff(offsets))
        month_end = float(_is_month_end(times).mean()) >= AGREEING
        months = np.diff(month_number(times))[within_series(offsets)]
        monthly = Frequency(unit="month", count=most_common(months), month_end=month_end)
        day = int(day_of_month(times).max())
        for found in (replace(monthly, day=day if day > 28 and not month_end else 0), monthly):
            if float(found.on_day(times, starts).mean()) >= AGREEING:
                return found
        _refuse_retail_months(times, distances)
    weekdays_only = bool(np.is_busday(_date(times)).all())
    if weekdays_only and most_common(distances) == DAY and (distances == 3 * DAY).any():
        return Frequency(unit="business-day")
    return Frequency(unit="microsecond", count=most_common(distances))


def _refuse_retail_months(times: IntArray, distances: IntArray) -> None:
    """Raise DataError where both steps of 4 and of 5 weeks are common."""
    share = min(float(np.mean(distances == weeks * WEEK)) for weeks in (4, 5))
    if share < FEWEST_LONG:
        return
    first = Frequency(unit="microsecond", date_only=True).format(times.min(keepdims=True))
    raise DataError(
        f"the times, from {list(first)[0]} on, are 4 and 5 weeks apart in turn, as retail months "
        "(4-4-5) are, which are no equal steps; write the values by week, or number the rows and "
        "pass that column with --time-col"
    )


def most_common(distances: IntArray) -> int:
    """The most frequent value; the smallest of those that are equally frequent."""
    values, counts = np.unique(distances, return_counts=True)
    return int(values[np.argmax(counts)])


def _date(times: IntArray) -> npt.NDArray[np.datetime64]:
    return (times // DAY).astype("datetime64[D]")


def month_number(times: IntArray) -> IntArray:
    """Months since January 1970."""
    return _date(times).astype("datetime64[M]").astype(np.int64)


def month_start(months: IntArray) -> IntArray:
    """Days since 1970 at which months begin."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def day_of_month(times: IntArray) -> IntArray:
    """From 1 to 31."""
    return times // DAY - month_start(month_number(times)) + 1


def _is_month_end(times: IntArray) -> npt.NDArray[np.bool_]:
    last: npt.NDArray[np.bool_] = times // DAY == month_start(month_number(times) + 1) - 1
    return last
