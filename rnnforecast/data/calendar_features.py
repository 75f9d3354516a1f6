"""The calendar as numbers that a network reads: where in the hour, day, week and year a step lies.

    part     of                        for steps
    -------  ------------------------  ---------------------------------------------------------
    minute   the hour                  below a day, that are not whole hours
    hour     the day                   below a day, or not whole days
    weekday  the week                  below a week, business days too
    year     the year, by its days     below a year, other than months
    month    the year, by its months   of months, quarters and other parts of a year

Each part is a sine and a cosine, so that its end lies beside its begin. All follow the local clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rnnforecast.arrays import BoolArray, Float32Array, FloatArray, IntArray
from rnnforecast.columns import Encoding
from rnnforecast.data.calendar import Frequency, month_number, month_start
from rnnforecast.data.time_units import DAY, HOUR, WEEK
from rnnforecast.errors import ConfigError

# 1970 began on a Thursday, three days after a Monday.
FIRST_MONDAY = -3 * DAY
HOLIDAY = "holiday-"


def of_year(local: IntArray) -> FloatArray:
    """What share of the days of its year lies before that of each local time [time]."""
    first = month_number(local) // 12 * 12
    begin, end = month_start(first), month_start(first + 12)
    return np.asarray((local // DAY - begin) / (end - begin))


PARTS: dict[str, Callable[[IntArray], FloatArray]] = {
    "minute": lambda local: local % HOUR / HOUR,
    "hour": lambda local: local % DAY / DAY,
    "weekday": lambda local: (local - FIRST_MONDAY) // DAY % 7 / 7,
    "year": of_year,
    "month": lambda local: month_number(local) % 12 / 12,
}


def calendar_encodings(frequency: Frequency, holidays: str | None = None) -> tuple[Encoding, ...]:
    """The parts of the calendar that differ from step to step, and the holidays of a country.

    Raises:
        ConfigError: The holidays of the country are not known, the `holidays` package is not
            installed, or steps are longer than a day.
    """
    names = [f"{part}-{wave}" for part in _parts(frequency) for wave in ("sin", "cos")]
    if holidays is not None:
        daily = frequency.unit == "microsecond" and frequency.count <= DAY
        if not daily and frequency.unit != "business-day":
            raise ConfigError(
                f"holidays are read where steps are a day or less, not one a {frequency}; "
                "leave out --holidays"
            )
        _holidays(holidays, range(2000, 2001))
        names.append(f"{HOLIDAY}{holidays}")
    return tuple(Encoding(name=name, role="future") for name in names)


def calendar_features(times: IntArray, frequency: Frequency, names: Sequence[str]) -> Float32Array:
    """What encodings of these names are at `times` of the frequency [time, feature].

    Raises:
        ConfigError: As `calendar_encodings`, of holidays.
    """
    local = frequency.local(times)
    columns = np.empty((len(times), len(names)), dtype=np.float32)
    for at, name in enumerate(names):
        if name.startswith(HOLIDAY):
            columns[:, at] = _is_holiday(local, name.removeprefix(HOLIDAY))
        else:
            part, wave = name.split("-")
            turn = 2 * np.pi * PARTS[part](local)
            columns[:, at] = np.sin(turn) if wave == "sin" else np.cos(turn)
    return columns


def _parts(frequency: Frequency) -> list[str]:
    if frequency.unit == "step":
        return []
    if frequency.unit == "month":
        return ["month"] if frequency.count % 12 else []
    if frequency.unit == "business-day":
        return ["weekday", "year"]
    count = frequency.count
    used = {
        "minute": count < DAY and count % HOUR != 0,
        "hour": count % DAY != 0,
        "weekday": count < WEEK,
        "year": count < 365 * DAY,
    }
    return [part for part, differs in used.items() if differs]


def _is_holiday(local: IntArray, country: str) -> BoolArray:
    days = local // DAY
    if not len(days):
        return np.zeros(0, dtype=bool)
    first, last = (1970 + int(month_number(day * DAY)) // 12 for day in (days.min(), days.max()))
    # Python's dates end there, and no country had holidays before.
    years = range(max(first, 1), min(last, 9998) + 1)
    return np.isin(days, _holidays(country, years))


def _holidays(country: str, years: range) -> IntArray:
    """The holidays of some years, as days since 1970."""
    try:
        from holidays import country_holidays, list_supported_countries
    except ImportError:
        raise ConfigError(
            "--holidays needs the holidays package; run pip install 'rnnforecast[holidays]'"
        ) from None
    known = list_supported_countries()
    if country not in known:
        meant = country.upper()
        hint = f"did you mean {meant}?" if meant in known else "pass a code such as FR"
        raise ConfigError(f"the holidays of '{country}' are not known; {hint}")
    dates = np.array(sorted(country_holidays(country, years=years)), dtype="datetime64[D]")
    return dates.astype(np.int64)
