"""Time columns as numbers: the formats that times are written in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnnforecast.arrays import BoolArray, IntArray
from rnnforecast.data.calendar import AGREEING, Frequency, day_of_month, month_number
from rnnforecast.data.clock_changes import zone_writing
from rnnforecast.data.faults import FaultError
from rnnforecast.data.localising import localise
from rnnforecast.data.spelled_dates import SPELLED, read_spelled
from rnnforecast.data.time_units import DAY
from rnnforecast.data.zones import around, at_clock, check_zone, fixed_offset, is_zone
from rnnforecast.errors import ConfigError, DataError

# Distinct cells that are looked at to tell which formats are worth trying.
PROBED = 200
# Digits that a time has at least, in any format that is tried: 1/2/24.
FEWEST_DIGITS = 4
# An offset from UTC: of hours alone after a time of day only, as a date may end so. And what pandas
# takes for one: in any other writing it is none here, and the cell no time.
ZONED = r"(?:Z|[+-]\d\d:?\d\d|[T ]\d[\d:.]*[+-]\d\d)$"
LIKE_ZONED = rf"{ZONED}|[T ]\d.*[+-]"
OFFSET = r"(Z|[+-]\d\d(?::?\d\d)?)$"
BECAME_UTC = (
    "the times have offsets from UTC that vary, and are read and written as UTC; "
    "pass --time-zone to count days and write times as clocks there show them"
)


class Times(NamedTuple):
    """A time column as numbers; see `data/calendar.py`.

    Attributes:
        times: One a row [row].
        integer: Whether they are integer steps.
        offset: Their common offset from UTC as ISO 8601 writes it, "" for none; of times of a zone,
            which are instants, that zone.
        time_format: What they were read by, None for integers.
        became_utc: Whether they had other offsets, which are lost; `BECAME_UTC` says so.
        written: These offsets, in microseconds, where they end each time [row].
    """

    times: IntArray
    integer: bool
    offset: str
    time_format: str | None
    became_utc: bool = False
    written: IntArray | None = None

    def find_zone(self) -> str | None:
        """The zone whose offsets are those that are lost, if there is one: all may be tried."""
        return None if self.written is None else zone_writing(self.times, self.written)


def parse_times(
    text: pd.Series[str],
    time_format: str | None = None,
    zone: str | None = None,
    series: pd.Series[str] | None = None,
) -> Times | int:
    """Read a time column; in a `zone`, local times without offset, by the order of each series.

    Formats are tried in turn until one reads every cell; where day and month could be exchanged,
    the reading with the steadier steps wins. Returns the first row that the best format can't read
    where none reads all.

    Raises:
        FaultError: Two readings are equally steady; the first of them settles it.
        DataError: Integer steps are to be of a zone.
        RowError: A local time is none in its zone, or it cannot be told which of two it is.
        ConfigError: The format is no format, or the zone is not known.
    """
    if zone is not None:
        check_zone(zone)
    where, distinct = pd.factorize(text.str.strip())
    cells = pd.Series(distinct, dtype="str")
    whole = cells.str.fullmatch(r"[+-]?\d{1,18}").to_numpy(dtype=bool)
    if time_format is None and whole.mean() > 0.5 and not _are_compact_dates(cells):
        if not whole.all():
            return int(np.argmin(whole[where]))
        if zone is not None:
            raise DataError("the times are integer steps, of no zone; leave out --time-zone")
        return Times(cells.to_numpy(dtype=object).astype(np.int64)[where], True, "", None)
    # Ids and headers come here, too, and a dozen formats would be tried on them.
    if time_format is None and len(cells) and cells.str.count(r"\d").max() < FEWEST_DIGITS:
        return 0
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
    name, times, offset = _steadiest(complete)
    if zone is None:
        utc = cells.str.contains(r"(?:Z|[+-]00(?::?00)?)$", regex=True)
        lost = offset == "+00:00" and not bool(utc.all())
        written = _written_offsets(cells) if lost else None
        each = None if written is None else written[where]
        return Times(times[where], False, offset, name, lost, each)
    if offset:
        return Times(at_clock(times, offset, zone)[where], False, zone, name)
    keys = np.zeros(len(text)) if series is None else pd.factorize(series)[0]
    return Times(localise(times[where], keys.astype(np.int64), zone), False, zone, name)


def kept_as_trained(
    found: Times, frequency: Frequency, *, joined: bool
) -> tuple[Times, str] | None:
    """Times at the offset from UTC that a model was trained with, and what to say of that.

    None where they have it, or either has none or a zone. Days that all have one other offset are
    days there, unless rows are `joined` to those of the model.
    """
    trained = frequency.offset
    if not trained or is_zone(trained) or found.offset in ("", trained) or is_zone(found.offset):
        return None
    in_hours = frequency.unit == "microsecond" and frequency.count % DAY != 0
    if not (found.became_utc or joined or in_hours):
        return None
    zone = found.find_zone()
    note = (
        f"the times have other offsets from UTC than {trained}, with which the model was trained, "
        f"and are read and written with that one; train again with --time-zone"
        f"{f' {zone}' if zone else ', such as Europe/Paris,'} to follow the clocks there"
    )
    times = at_clock(found.times, found.offset, trained)
    return found._replace(times=times, offset=trained), note


def repeated(text: pd.Series[str], time_format: str | None, zone: str | None) -> BoolArray:
    """Which rows have a time that one before has, other than the second one of an hour that clocks
    of the zone show twice [row]."""
    again = text.duplicated().to_numpy()
    if zone is None or not again.any():
        return again
    parsed = parse_times(text, time_format)
    if isinstance(parsed, int) or parsed.integer or parsed.offset:
        return again
    _, early, late = around(parsed.times, zone)
    second = (text.groupby(text).cumcount() == 1).to_numpy()
    return again & ~(second & (early < late))


def _steadiest(readings: list[tuple[str, IntArray, str]]) -> tuple[str, IntArray, str]:
    """Of the readings of distinct times, the one with the fewest different steps."""
    steps = [_different_steps(times) for _, times, _ in readings]
    best = readings[steps.index(min(steps))]
    for other, count in zip(readings, steps, strict=True):
        if count == min(steps) and not np.array_equal(other[1], best[1]):
            raise FaultError(
                f"the times could be in the format {best[0]} or {other[0]}; pass --time-format",
                settled={"time_format": best[0]},
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
    for name, pattern in SPELLED.items():
        if bool(few.str.fullmatch(pattern).mean() > 0.5):
            return (name,)
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
    if name in SPELLED:
        return read_spelled(cells, name), ""
    zoned = cells.str.contains(ZONED, regex=True)
    if name == "ISO8601" and bool(zoned.all()):
        written = cells.str.extract(OFFSET)[0].unique()
        offsets = {_iso_offset(str(each)) for each in written}
        utc = pd.to_datetime(cells, format=name, errors="coerce", utc=True)
        offset = "+00:00" if len(offsets) > 1 else offsets.pop()
        return utc.dt.tz_localize(None) + pd.Timedelta(fixed_offset(offset), unit="us"), offset
    naive = cells.mask(cells.str.contains(LIKE_ZONED, regex=True)) if name == "ISO8601" else cells
    with_zone = "%z" in name
    try:
        times = pd.to_datetime(naive, format=name, errors="coerce", utc=with_zone)
    except (ValueError, re.error) as error:  # a directive that stands twice is the latter
        raise ConfigError(
            f"time_format must be a strptime format such as %d/%m/%Y, got '{name}'; {error}"
        ) from None
    return times.dt.tz_localize(None), "+00:00" if with_zone else ""


def _written_offsets(cells: pd.Series[str]) -> IntArray | None:
    """The offset from UTC that each cell ends with, in microseconds; None where one has none."""
    where, texts = pd.factorize(cells.str.extract(OFFSET)[0])
    if (where < 0).any():
        return None
    offsets = [fixed_offset(_iso_offset(str(text))) for text in texts]
    return np.array(offsets, dtype=np.int64)[where]


def _iso_offset(written: str) -> str:
    """An offset from UTC such as Z, +09 or +0900 as ISO 8601 writes it beside a time: +09:00."""
    return "+00:00" if written == "Z" else f"{written[:3]}:{written[3:].lstrip(':') or '00'}"


def _are_compact_dates(cells: pd.Series[str]) -> bool:
    """Whether all but faulty ones are dates such as 20200131, or months such as 202001."""
    months = float(cells.str.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])").mean())
    compact = cells.where(cells.str.fullmatch(r"(19|20)\d{6}"))
    dates = float(pd.to_datetime(compact, format="%Y%m%d", errors="coerce").notna().mean())
    return max(months, dates) >= AGREEING


def _different_steps(times: IntArray) -> int:
    """How many different distances, in months where these fit, lie between neighbours in time."""
    ordered = np.unique(times)
    if bool((day_of_month(ordered) == day_of_month(ordered[:1])).all()) and not np.any(
        np.diff(ordered % DAY)
    ):
        ordered = month_number(ordered)
    return len(np.unique(np.diff(ordered)))


def _microseconds(times: pd.Series[pd.Timestamp]) -> IntArray:
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)
