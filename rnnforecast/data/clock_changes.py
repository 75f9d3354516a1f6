"""Zones that times betray: clocks that are set back show an hour twice, or the offset varies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from rnnforecast.arrays import IntArray
from rnnforecast.data.zones import known_zones, zone_offsets

# One of each rule by which clocks are changed in our time, the most common first.
ZONES = (
    *("Europe/Paris", "America/New_York", "Europe/London", "America/Chicago", "Europe/Helsinki"),
    *("America/Los_Angeles", "America/Denver", "Australia/Sydney", "Pacific/Auckland"),
    *("America/Halifax", "America/Santiago", "Australia/Lord_Howe", "Asia/Jerusalem"),
)
EPOCH = datetime(1970, 1, 1)
# Missing times that are looked at.
MOST_TIMES = 2000
# Years that clocks of all zones and Python's calendar are known of.
FIRST, LAST = (np.datetime64(day, "us").astype(np.int64) for day in ("1970-01-02", "2200-01-01"))


def zone_repeating(times: IntArray) -> str | None:
    """The first zone where clocks show each of these local times twice."""
    distinct = np.unique(times)
    if not len(distinct) or distinct[0] < FIRST or distinct[-1] > LAST:
        return None
    local = [_local(int(time)) for time in distinct]
    nothing = timedelta(0)
    return next((name for name in ZONES if all(_shift(t, name) < nothing for t in local)), None)


def zone_skipping(times: IntArray) -> tuple[str, list[int]] | None:
    """The zone of whose clocks the most of these local times are skipped, and these, ascending."""
    inside = np.unique(times[(times >= FIRST) & (times <= LAST)])[:MOST_TIMES]
    best: tuple[str, list[int]] | None = None
    most, nothing = 0, timedelta(0)
    for name in ZONES:
        skipped = [int(time) for time in inside if _shift(_local(int(time)), name) > nothing]
        if len(skipped) > most:
            best, most = (name, skipped), len(skipped)
    return best


def zone_writing(instants: IntArray, offsets: IntArray) -> str | None:
    """The first zone, of ZONES if any, with these offsets from UTC at each of these instants.

    Both are in microseconds [row]; None where an instant has two offsets, too.
    """
    distinct, first, where = np.unique(instants, return_index=True, return_inverse=True)
    held = offsets[first]
    if not len(distinct) or distinct[0] < FIRST or distinct[-1] > LAST:
        return None
    if not np.array_equal(held[where], offsets):
        return None
    changed = np.flatnonzero(np.diff(held))
    # Few instants rule out most zones, of which all offsets take long to find.
    telling = np.unique(np.concatenate([[0], changed, changed + 1]))[:MOST_TIMES]
    shown = [
        (_local(int(time)).replace(tzinfo=UTC), timedelta(microseconds=int(offset)))
        for time, offset in zip(distinct[telling], held[telling], strict=True)
    ]
    known = known_zones()
    for name in (*(zone for zone in ZONES if zone in known), *sorted(known)):
        clock = ZoneInfo(name)
        fits = all(time.astimezone(clock).utcoffset() == offset for time, offset in shown)
        if fits and np.array_equal(zone_offsets(distinct, name), held):
            return name
    return None


def _local(time: int) -> datetime:
    return EPOCH + timedelta(microseconds=time)


def _shift(time: datetime, name: str) -> timedelta:
    """How far clocks of a zone are set at this local time: back where it comes twice, forward
    where they do not show it; 0 where it is one as any other, or the zone is not known."""
    try:
        zone = ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return timedelta(0)
    before = time.replace(tzinfo=zone).utcoffset()
    after = time.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None and after is not None
    return after - before
