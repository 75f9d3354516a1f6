"""Season lengths of synthetic series."""

from __future__ import annotations

import numpy as np
import pytest

from rnnforecast.arrays import FloatArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.seasonality import find_seasons
from rnnforecast.data.time_units import DAY

STEP = Frequency(unit="step")
HOURLY = Frequency(unit="microsecond", count=DAY // 24)
DAILY = Frequency(unit="microsecond", count=DAY)
WEEKLY = Frequency(unit="microsecond", count=7 * DAY)
TRADING = Frequency(unit="business-day")
MONTHLY = Frequency(unit="month")
QUARTERLY = Frequency(unit="month", count=3)
YEARLY = Frequency(unit="month", count=12)


def panel(frequency: Frequency, *series: FloatArray) -> Panel:
    return Panel(
        ids=tuple(f"s{i}" for i in range(len(series))),
        values=np.concatenate(series),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        starts=np.zeros(len(series), dtype=np.int64),
        frequency=frequency,
    )


def noise(length: int, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(size=length)


def season(length: int, period: int, seed: int = 2) -> FloatArray:
    """A random pattern, repeated."""
    pattern = 3 * np.random.default_rng(seed).normal(size=period)
    return pattern[np.arange(length) % period] + 0.3 * noise(length)


@pytest.mark.parametrize(
    ("frequency", "period", "length"),
    [
        (HOURLY, 24, 600),
        (HOURLY, 168, 1500),
        (DAILY, 7, 200),
        (WEEKLY, 52, 300),
        (TRADING, 5, 200),
        (MONTHLY, 12, 120),
        (QUARTERLY, 4, 60),
        (STEP, 12, 150),
        (STEP, 7, 150),
        (STEP, 24, 400),
        (STEP, 96, 600),
    ],
)
def test_season_is_found_when_a_pattern_repeats(
    frequency: Frequency, period: int, length: int
) -> None:
    assert find_seasons(panel(frequency, season(length, period)))[0] == period


@pytest.mark.parametrize(
    ("frequency", "period", "length"),
    [
        (HOURLY, 24, 36),
        (DAILY, 7, 14),
        (WEEKLY, 52, 78),
        (TRADING, 5, 11),
        (MONTHLY, 12, 18),
        (MONTHLY, 12, 35),
        (QUARTERLY, 4, 10),
    ],
)
def test_season_is_found_when_less_than_three_of_it_are_there(
    frequency: Frequency, period: int, length: int
) -> None:
    for seed in range(10):
        series = season(length, period, seed) + 0.5 * np.arange(length)
        assert find_seasons(panel(frequency, series)) == (period,)


@pytest.mark.parametrize(
    ("frequency", "length", "most"),
    [(DAILY, 13, 0.3), (MONTHLY, 18, 0.3), (MONTHLY, 24, 0.2), (QUARTERLY, 10, 0.3)]
    + [(QUARTERLY, 12, 0.22), (WEEKLY, 104, 0.15), (HOURLY, 60, 0.15)],
)
def test_season_is_mostly_one_when_short_series_are_noise_or_walks(
    frequency: Frequency, length: int, most: float
) -> None:
    """One of a few values may repeat by chance, most of many series do not."""
    for make in (noise, lambda length, seed: noise(length, seed).cumsum()):
        series = [make(length, seed) for seed in range(100)]
        found = [find_seasons(panel(frequency, each)) for each in series]
        assert found.count((1,)) >= 100 * (1 - most)
        assert find_seasons(panel(frequency, *series[:60])) == (1,)


@pytest.mark.parametrize(
    ("frequency", "length"), [(MONTHLY, 40), (DAILY, 21), (HOURLY, 200), (QUARTERLY, 30)]
)
def test_season_is_mostly_one_when_series_are_noise_on_a_curve(
    frequency: Frequency, length: int
) -> None:
    curve = np.arange(length) ** 2 / length
    found = [find_seasons(panel(frequency, curve + 0.3 * noise(length, k))) for k in range(50)]
    assert found.count((1,)) >= 35


@pytest.mark.parametrize("frequency", [DAILY, TRADING, HOURLY, MONTHLY], ids=str)
def test_season_is_one_when_series_are_lines_at_any_level(frequency: Frequency) -> None:
    for level in (1e8, 1e10, -1e13):
        for rise in (0.1, 7.0):
            for length in (14, 30, 100):
                line = level + rise * np.arange(length)
                assert find_seasons(panel(frequency, line)) == (1,), (level, rise, length)


@pytest.mark.parametrize(("frequency", "period"), [(MONTHLY, 12), (STEP, 12), (HOURLY, 24)])
def test_season_is_found_when_a_trend_grows_and_values_are_missing(
    frequency: Frequency, period: int
) -> None:
    series = season(240, period) + 0.5 * np.arange(240)
    series[5::11] = np.nan
    assert find_seasons(panel(frequency, series)) == (period,)


def test_seasons_are_two_when_the_week_adds_to_the_day() -> None:
    series = season(2000, 24) + 0.4 * season(2000, 168, seed=3)
    assert find_seasons(panel(HOURLY, series)) == (24, 168)


def test_season_is_that_of_most_series_when_they_are_many() -> None:
    seasonal = [season(150, 12, seed=seed) for seed in range(70)]
    others = [noise(150, seed=seed) for seed in range(20)]
    assert find_seasons(panel(MONTHLY, *seasonal, *others)) == (12,)


EVERY = [STEP, HOURLY, DAILY, WEEKLY, TRADING, MONTHLY, QUARTERLY, YEARLY]


@pytest.mark.parametrize("frequency", EVERY, ids=str)
def test_season_is_one_when_series_are_noise(frequency: Frequency) -> None:
    for seed in range(10):
        assert find_seasons(panel(frequency, noise(600, seed))) == (1,)


@pytest.mark.parametrize("frequency", EVERY, ids=str)
def test_season_is_mostly_one_when_series_are_walks(frequency: Frequency) -> None:
    found = [find_seasons(panel(frequency, noise(600, seed).cumsum())) for seed in range(20)]
    # A single walk may look periodic by chance, the more so the more lags are tried.
    assert found.count((1,)) >= (14 if frequency == STEP else 18)
    walks = [noise(600, seed).cumsum() for seed in range(20)]
    assert find_seasons(panel(frequency, *walks)) == (1,)


@pytest.mark.parametrize("frequency", EVERY, ids=str)
@pytest.mark.parametrize(
    "series",
    [
        np.full(600, 5.0),
        np.arange(600.0),
        np.exp(np.arange(600) / 100),
        1 / (1 + np.exp(-np.arange(-300, 300) / 50)),
        np.array([5.0]),
        np.array([5.0, 6.0, 5.0]),
    ],
    ids=["constant", "line", "exponential", "logistic", "one", "three"],
)
def test_season_is_one_when_series_are_smooth_or_short(
    frequency: Frequency, series: FloatArray
) -> None:
    for length in (14, 24, 40, 100, 600):
        assert find_seasons(panel(frequency, series[:length])) == (1,)


@pytest.mark.parametrize(("weekly", "expected"), [(0, (24,)), (3, (24,)), (5, (24, 168))])
def test_find_seasons_has_the_week_when_some_series_keep_to_it(
    weekly: int, expected: tuple[int, ...]
) -> None:
    """Hours of which most series know the day alone, and a few differ from day to day."""
    rng = np.random.default_rng(0)
    step = np.arange(24 * 7 * 6)
    day = np.sin(2 * np.pi * step / 24)
    series = []
    for place in range(20):
        level = rng.normal(size=7)[step // 24 % 7] if place < weekly else 0.0
        series.append(10 + day * (1 + 0.8 * level) + 0.1 * rng.normal(size=len(step)))
    assert find_seasons(panel(HOURLY, *series)) == expected


@pytest.mark.parametrize("level", [0.0, 1e6, 1e9, -1e12])
def test_season_is_found_whatever_the_level(level: float) -> None:
    assert find_seasons(panel(MONTHLY, level + season(240, 12))) == (12,)


def test_no_season_is_found_in_roundings_of_a_constant() -> None:
    rounded = 1e9 * (1 + np.finfo(float).eps * (np.arange(240) % 12))
    assert len(np.unique(rounded)) > 1
    assert find_seasons(panel(MONTHLY, rounded)) == (1,)
