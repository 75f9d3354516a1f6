"""What is in a table of series, as properties and their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnforecast.arrays import FloatArray
from rnnforecast.data.panel import Panel
from rnnforecast.data.profiling import CLASSES, Profile, mann_kendall
from rnnforecast.data.reading import Table
from rnnforecast.data.rows import Rows
from rnnforecast.data.source import Source, find_separator
from rnnforecast.data.yearly import has_days
from rnnforecast.data.yearly_search import find_yearly
from rnnforecast.errors import DataError

Fact = tuple[str, str | int | float]
# Series and means of seasons that trends are looked for in; more would only cost time.
SAMPLED_SERIES, SAMPLED_MEANS = 60, 200
# So many means of seasons tell of a trend by themselves.
ENOUGH_MEANS = 10
# Beyond this, a statistic that is standard normal shows a trend, at the level of five percent.
SIGNIFICANT = 1.96
SHOWN = 12


def describe_text(parts: Sequence[Source]) -> list[Fact]:
    """What can be told of tables whose columns are not known."""
    separator = find_separator(parts[0])
    header: list[str] = []
    count = 0
    for part in parts:
        try:
            for number, (_, cells) in enumerate(part.rows(separator)):
                header = header or [name.strip() for name in cells]
                count += number > 0
        except DataError:  # which is told as an error
            continue
    return [("rows", count), ("columns", _listed(header))]


def describe_rows(rows: Rows) -> list[Fact]:
    """The columns, and how they are written."""
    config, frame = rows.config, rows.frame
    form = "wide, a column a series" if len(config.target_columns) > 1 else "long"
    return [
        ("form", form if config.id_column or len(config.target_columns) > 1 else "one series"),
        ("rows", len(frame)),
        *([("id column", config.id_column)] if config.id_column else []),
        ("time column", str(config.time_column)),
        ("target column", _listed(config.target_columns)),
        ("separator", "tab" if config.separator == "\t" else str(config.separator)),
        ("decimal mark", str(config.decimal)),
        ("times", "integer steps" if rows.times.integer else str(config.time_format)),
    ]


def describe_series(table: Table, profile: Profile) -> list[Fact]:
    """The series, their lengths, their times and their values."""
    panel = table.panel
    lengths, values = panel.lengths, panel.values
    observed = int(profile.counts.sum())
    facts: list[Fact] = [
        ("series", len(panel)),
        ("shortest series", int(lengths.min())),
        ("median length", float(np.median(lengths))),
        ("longest series", int(lengths.max())),
        ("first time", _time(panel, panel.starts.min())),
        ("last time", _time(panel, panel.times(np.arange(len(panel)), lengths - 1).max())),
        ("frequency", str(panel.frequency)),
        ("clock", panel.frequency.offset or "none told"),
        ("season", _seasons(profile.seasons)),
        *_yearly(table, profile),
        ("observed values", observed),
        ("missing share", _share(int(profile.missing.sum()), len(values))),
        ("zeros share", _share(int(profile.zeros.sum()), observed)),
        ("smallest value", float(profile.lowest.min())),
        ("largest value", float(profile.highest.max())),
        ("numbers", "whole" if profile.whole.all() else "with fractions"),
        ("trend", _trend(panel, profile.seasons[0])),
    ]
    return [*facts, *_demand(profile)]


def _yearly(table: Table, profile: Profile) -> list[Fact]:
    """How many series go through the year alike again, where steps are short enough to ask."""
    if not has_days(table.panel.frequency):
        return []
    found = find_yearly(table.panel, log=bool(profile.lowest.min() > 0))
    return [("yearly seasonality", f"in {found.count} series" if found else "none")]


def _demand(profile: Profile) -> list[Fact]:
    """How many series of each class of demand there are, where they are of it."""
    if not profile.counting or not (profile.classes >= 0).any():
        return []
    counts = np.bincount(profile.classes[profile.classes >= 0], minlength=len(CLASSES))
    told = [f"{count} {name}" for name, count in zip(CLASSES, counts, strict=True) if count]
    return [("demand", ", ".join(told))]


def _trend(panel: Panel, season: int) -> str:
    """Of how many series the seasons rise or fall, by the test of Mann and Kendall."""
    count = min(len(panel), SAMPLED_SERIES)
    chosen = np.unique(np.linspace(0, len(panel) - 1, count).round().astype(np.int64))
    found = np.array([mann_kendall(*_seasons_of(panel.series(int(i)), season)) for i in chosen])
    rising, falling = int((found > SIGNIFICANT).sum()), int((found < -SIGNIFICANT).sum())
    if len(panel) == 1:
        return "rising" if rising else "falling" if falling else "none"
    return f"rising in {rising}, falling in {falling} of {len(chosen)} series"


def _seasons_of(values: FloatArray, season: int) -> list[FloatArray]:
    """The means of seasons [mean], or where these are few, each phase of one [season]."""
    means = _means(values, season)
    if season == 1 or len(means) >= ENOUGH_MEANS:
        return [means]
    phases = (values[phase::season] for phase in range(season))
    return [phase[~np.isnan(phase)] for phase in phases]


def _means(values: FloatArray, season: int) -> FloatArray:
    """Means of as many seasons each as leaves no more means than are wanted [mean]."""
    length = season * max(1, -(-len(values) // (season * SAMPLED_MEANS)))
    whole = len(values) // length * length
    parts = values[len(values) - whole :].reshape(-1, length)
    seen = ~np.isnan(parts)
    sums = np.where(seen, parts, 0.0).sum(axis=1)
    means: FloatArray = (sums / np.maximum(seen.sum(axis=1), 1))[seen.any(axis=1)]
    return means


def _time(panel: Panel, time: np.int64) -> str | int:
    text = panel.frequency.format(np.array([time]))[0]
    return text if isinstance(text, str) else int(text)


def _seasons(seasons: Sequence[int]) -> str:
    return "none" if tuple(seasons) == (1,) else " and ".join(map(str, seasons)) + " steps"


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 6)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
