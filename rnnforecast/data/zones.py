"""Clocks: what local time it is at an instant, and at which instant a clock shows a local time.

Instants and local times are microseconds since 1970, of UTC and of the clock. A clock is an offset
from UTC as ISO 8601 writes it ("+02:00"), an IANA zone, whose offsets vary ("Europe/Paris"), or ""
where none is known. Times of a zone are kept as instants, all others as local times.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rnnforecast.arrays import IntArray
from rnnforecast.data.time_units import DAY, MINUTE, SECOND
from rnnforecast.errors import ConfigError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Days since 1970 of the years 1800, before any change, to 2500, and how many are looked at at once.
FIRST_DAY, LAST_DAY, BLOCK = -62_091, 193_579, 2**12


class Changes(NamedTuple):
    """The offsets of a zone.

    Attributes:
        begins: The instants of changes [change].
        offsets: In microseconds; `offsets[i]` holds before `begins[i]` [change + 1].
    """

    begins: IntArray
    offsets: IntArray

    @property
    def starts(self) -> IntArray:
        """The local times at which each offset but the first begins to hold [change]."""
        return self.begins + self.offsets[1:]

    @property
    def ends(self) -> IntArray:
        """The local times at which each offset but the last ceases to hold [change]."""
        return self.begins + self.offsets[:-1]


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """The names of all zones that this machine knows."""
    return frozenset(available_timezones())


def is_zone(clock: str) -> bool:
    """Whether a clock is a zone, whose offsets vary, rather than one offset or none."""
    return clock[:1] not in ("", "+", "-")


def check_zone(name: str) -> None:
    """Raise ConfigError unless there is a zone of this name."""
    if name in known_zones():
        return
    if not known_zones():
        raise ConfigError("this machine has no database of time zones; run pip install tzdata")
    lowered = {zone.lower(): zone for zone in known_zones()}
    cities = {zone.rsplit("/", 1)[-1]: place for zone, place in sorted(lowered.items())}
    asked = name.lower().replace(" ", "_")
    close = [(lowered | cities)[zone] for zone in get_close_matches(asked, lowered | cities, 1)]
    hint = f"did you mean {close[0]}?" if close else "pass one such as Europe/Paris"
    raise ConfigError(f"there is no time zone '{name}'; {hint}")


def local_times(times: IntArray, clock: str) -> IntArray:
    """What the clock shows at times kept as it keeps them."""
    return times + zone_offsets(times, clock) if is_zone(clock) else times


def zone_offsets(instants: IntArray, zone: str) -> IntArray:
    """The offsets from UTC that are in force, in microseconds."""
    changes = zone_changes(instants, zone)
    offsets: IntArray = changes.offsets[np.searchsorted(changes.begins, instants, side="right")]
    return offsets


def standard_offsets(instants: IntArray, zone: str) -> IntArray:
    """The offsets from UTC of standard time within the span of instants, ascending [offset].

    At each instant that is the least of the year before it, as clocks are set forward for a part of
    a year, and does not depend on what comes later.
    """
    first, last = int(instants.min()), int(instants.max())
    days = np.append(np.arange(first - 365 * DAY, last, DAY), last)
    least = sliding_window_view(zone_offsets(days, zone), 366).min(axis=1)
    standard: IntArray = np.unique(least)
    return standard


def from_local(local: IntArray, clock: str) -> IntArray:
    """Local times as their clock keeps them.

    Of a time that a zone has twice, the first; for one that it leaves out, the change.
    """
    if not is_zone(clock):
        return local
    changes, early, late = around(local, clock)
    instants: IntArray = local - changes.offsets[early]
    left_out = early > late
    instants[left_out] = changes.begins[early[left_out] - 1]
    return instants


def around(local: IntArray, zone: str) -> tuple[Changes, IntArray, IntArray]:
    """The changes of a zone, and the index of the first and last offset that local times may have.

    Of a time that occurs twice the last is the greater, of one that is left out the smaller.
    """
    changes = zone_changes(local, zone)
    early = np.searchsorted(changes.ends, local, side="right")
    return changes, early, np.searchsorted(changes.starts, local, side="right")


def at_clock(times: IntArray, clock: str, wanted: str) -> IntArray:
    """Times of one clock as another keeps them; where either is not known, by local times."""
    if not clock or not wanted:
        return from_local(local_times(times, clock), wanted)
    return times - _kept_from_utc(clock) + _kept_from_utc(wanted)


def fixed_offset(clock: str) -> int:
    """An offset from UTC as ISO 8601 writes it ("+02:00") in microseconds."""
    minutes = 60 * int(clock[1:3]) + int(clock[-2:])
    return MINUTE * (-minutes if clock[0] == "-" else minutes)


def _kept_from_utc(clock: str) -> int:
    """How far the times that a clock keeps lie from UTC, in microseconds."""
    return 0 if is_zone(clock) else fixed_offset(clock)


def offset_texts(times: IntArray, clock: str) -> list[str]:
    """The offset in force at each time that the clock keeps, as ISO 8601 writes it."""
    if not is_zone(clock):
        return [clock] * len(times)
    distinct, where = np.unique(zone_offsets(times, clock), return_inverse=True)
    texts = [_offset(int(offset)) for offset in distinct]
    return [texts[place] for place in where]


def zone_changes(times: IntArray, zone: str) -> Changes:
    """The changes of a zone around the span of instants or local times."""
    if not len(times):
        return Changes(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
    # Two days more, as local times lie up to one from their instants.
    days = int(times.min()) // DAY - 2, int(times.max()) // DAY + 2
    first, last = (min(max(day, FIRST_DAY), LAST_DAY) // BLOCK for day in days)
    return _changes(zone, first, last)


@lru_cache(maxsize=256)
def _changes(zone: str, first: int, last: int) -> Changes:
    """All changes within some blocks of days, found by halves between days that differ."""
    check_zone(zone)
    clock = ZoneInfo(zone)
    probes = range(max(first * BLOCK, FIRST_DAY), min((last + 1) * BLOCK, LAST_DAY) + 1)
    offsets = [_seconds_at(clock, 86_400 * day) for day in probes]
    begins, held = [], offsets[:1]
    for day, before, after in zip(probes[1:], offsets[:-1], offsets[1:], strict=True):
        if before != after:
            low, high = 86_400 * (day - 1), 86_400 * day
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if _seconds_at(clock, middle) == before else (low, middle)
                )
            begins.append(high)
            held.append(after)
    return Changes(np.array(begins, dtype=np.int64) * SECOND, np.array(held) * SECOND)


def _seconds_at(clock: ZoneInfo, second: int) -> int:
    offset = (EPOCH + timedelta(seconds=second)).astimezone(clock).utcoffset()
    return 0 if offset is None else 86_400 * offset.days + offset.seconds


def _offset(microseconds: int) -> str:
    """An offset as ISO 8601 writes it, with seconds, of clocks before there were zones, if any."""
    minutes, seconds = divmod(abs(microseconds) // SECOND, 60)
    sign = "-" if microseconds < 0 else "+"
    text = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


def before_change(local: IntArray, zone: str, phase: int) -> IntArray:
    """Local times, those that a change moved put back to the `phase` of the day that it left out.

    Where midnight is left out, a day begins with the change, such as at one.
    """
    changes = zone_changes(local, zone)
    if not len(changes.begins):
        return local
    place = np.minimum(np.searchsorted(changes.starts, local), len(changes.begins) - 1)
    meant: IntArray = changes.ends[place] + (phase - changes.ends[place]) % DAY
    moved = (local == changes.starts[place]) & (meant < local)
    return np.where(moved, meant, local)
