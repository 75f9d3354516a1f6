"""Series that go through the year alike again, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY, HOUR

DAILY = Frequency(unit="microsecond", count=DAY)
HOURLY = Frequency(unit="microsecond", count=HOUR)
BUSINESS = Frequency(unit="business-day")
COEFFICIENTS = (3.0, -4.0, 1.0, 0.5)


def panel_of(*series: FloatArray, frequency: Frequency = DAILY, first: int = 0) -> Panel:
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(series))),
        values=np.concatenate(series),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        starts=np.full(len(series), first * DAY, dtype=np.int64),
        frequency=frequency,
    )


def component_at(moment: datetime, coefficients: tuple[float, ...] = COEFFICIENTS) -> float:
    """The Fourier series of a day of the year, by the calendar of Python."""
    begin, end = datetime(moment.year, 1, 1), datetime(moment.year + 1, 1, 1)
    turn = 2 * np.pi * (moment.date() - begin.date()).days / (end - begin).days
    waves = np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)
    return float(np.dot(coefficients, waves))


def component(count: int, step: timedelta = timedelta(days=1), first: int = 0) -> FloatArray:
    begin = datetime.fromtimestamp(first * 86_400, UTC).replace(tzinfo=None)
    return np.array([component_at(begin + place * step) for place in range(count)])


def business_component(count: int) -> FloatArray:
    """From Thursday, the first of 1970, on."""
    days = np.busday_offset("1970-01-01", np.arange(count)).astype(object)
    return np.array([component_at(datetime(day.year, day.month, day.day)) for day in days])


def noise(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=count)
