"""Forecasts laid beside what happened, by series and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.data.calendar import Frequency, month_number
from rnnforecast.data.forecasts import ForecastRows
from rnnforecast.data.other_tables import other_kind
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import WindowIndex, actual_values
from rnnforecast.data.zones import at_clock
from rnnforecast.errors import DataError

NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What one side has and the other lacks.

    Attributes:
        count: How many.
        first: The first few, as "'id' at time".
    """

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Forecasts beside what happened; step `k` of a window is position `cutoff + k` of its series.

    Attributes:
        index: The windows that have an actual value, by series and cutoff. Every cutoff is a
            position of the panel: 0 where the forecasts begin before its series does, whose first
            steps are then left out. It is 0, without a history, for files of test parts alone.
        horizon: Steps of the longest window; a shorter one is filled with NaN.
        actual: What happened, NaN where that is not known [window, step].
        quantiles: For each model its forecasts, NaN where there is none [window, step, quantile].
        coverages: For each model the nominal coverages of its intervals, in percent, ascending.
        unmatched: Forecasts of which no actual value is known.
        lacking: For each model the actual values, up to the horizon after each cutoff, of which it
            has no forecast.
        left_out: Series of the panel without any window.
    """

    index: WindowIndex
    horizon: int
    actual: FloatArray
    quantiles: dict[str, FloatArray]
    coverages: dict[str, tuple[float, ...]]
    unmatched: Missing
    lacking: dict[str, Missing]
    left_out: tuple[str, ...]


def join(forecasts: ForecastRows, panel: Panel) -> Joined:
    """Lay forecasts on the grid of what happened.

    A window holds the forecasts of a series that have one cutoff; without a column of cutoffs, all
    of the series, the first of which follows the cutoff. Where only one side has an offset from
    UTC, the local times are compared.

    Raises:
        DataError: The two have different kinds of times, or one had varying offsets and the other
            none; or no id tells which series is meant, or no forecast has an actual value.
    """
    series = _series(forecasts, panel)
    times, positions, begins = _places(forecasts, panel, series)
    lengths = panel.lengths[series]
    matched = (series >= 0) & (positions >= 0) & (positions < lengths)
    frequency = panel.frequency
    matched &= frequency.kept(panel.times(series, positions)) == frequency.kept(times)
    matched[matched] = ~np.isnan(panel.values[panel.offsets[series[matched]] + positions[matched]])
    owners = forecasts.ids or panel.ids
    unmatched = _missing(owners, panel, forecasts.keys[~matched], times[~matched])
    if not matched.any():
        raise DataError(
            f"{forecasts.name}: no forecast has an actual value, such as that of "
            f"{unmatched.first[0]}; pass a file with values of these ids and times"
        )
    series, positions, begins = series[matched], positions[matched], begins[matched]
    # One number for each pair, in the order of pairs.
    pairs = series * (np.ptp(begins) + 1) + begins - begins.min()
    _, rows, windows = np.unique(pairs, return_index=True, return_inverse=True)
    index = WindowIndex(series=series[rows], cutoffs=np.maximum(begins[rows], 0))
    steps = positions - index.cutoffs[windows]
    horizon = int(steps.max()) + 1
    ends = begins[rows] + np.max(positions - begins) + 1
    actual = actual_values(panel, index, horizon)
    due = ~np.isnan(actual) & (index.cutoffs[:, None] + np.arange(horizon) < ends[:, None])
    quantiles, lacking = {}, {}
    for model in forecasts.models:
        laid = np.full((*actual.shape, model.quantiles.shape[1]), np.nan)
        laid[windows, steps] = model.quantiles[matched]
        window, step = np.nonzero(due & np.isnan(laid[..., laid.shape[-1] // 2]))
        keys = index.series[window]
        at = panel.times(keys, index.cutoffs[window] + step)
        quantiles[model.name], lacking[model.name] = laid, _missing(panel.ids, panel, keys, at)
    return Joined(
        index=index,
        horizon=horizon,
        actual=actual,
        quantiles=quantiles,
        coverages={model.name: model.coverages for model in forecasts.models},
        unmatched=unmatched,
        lacking=lacking,
        left_out=tuple(np.delete(np.asarray(panel.ids, dtype=object), index.series)),
    )


def _series(forecasts: ForecastRows, panel: Panel) -> IntArray:
    """The index in the panel of each row's series, -1 where it has none [row]."""
    if wrong := other_kind(forecasts.integer, panel.frequency, "actual values"):
        raise DataError(f"{forecasts.name}: {wrong}")
    if forecasts.became_utc and not panel.frequency.offset:
        raise DataError(
            f"{forecasts.name}: the times have offsets from UTC that vary, those of the actual "
            "values have none; pass --time-zone"
        )
    if forecasts.ids is None:
        if len(panel) > 1:
            raise DataError(
                f"{forecasts.name}: no column names the series, and there are actual values of "
                f"{len(panel)}; add a column such as 'unique_id', or pass --id-col"
            )
        return forecasts.keys
    places = {name: place for place, name in enumerate(panel.ids)}
    return np.array([places.get(name, -1) for name in forecasts.ids])[forecasts.keys]


def _places(
    forecasts: ForecastRows, panel: Panel, series: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """For each row its time, its position, and the position after its cutoff [row]."""
    frequency, starts = panel.frequency, panel.starts[series]
    times = _counted(forecasts.times, forecasts, frequency)
    positions = _last_at(frequency, times, starts)
    if forecasts.cutoffs is not None:
        known = _counted(forecasts.cutoffs, forecasts, frequency)
        return times, positions, _last_at(frequency, known, starts) + 1
    grid = frequency.times(starts, positions)
    on_grid = (series >= 0) & (frequency.kept(grid) == frequency.kept(times))
    first = np.full(len(panel), np.iinfo(np.int64).max)
    np.minimum.at(first, series[on_grid], positions[on_grid])
    return times, positions, first[series]


def _counted(times: IntArray, forecasts: ForecastRows, frequency: Frequency) -> IntArray:
    """Times of the forecasts as the frequency of the actual values counts them."""
    return frequency.counted(at_clock(times, forecasts.offset, frequency.offset))


def _last_at(frequency: Frequency, times: IntArray, starts: IntArray) -> IntArray:
    """The position of the last step at or before each of `times`; see `Frequency.positions`."""
    if frequency.unit == "month":
        distance = month_number(times) - month_number(starts)
    elif frequency.unit == "business-day":
        dates = [(each // DAY).astype("datetime64[D]") for each in (starts, times)]
        distance = np.busday_count(dates[0], dates[1]).astype(np.int64)
    else:
        distance = times - starts
    steps = distance // frequency.count
    return steps - (frequency.times(starts, steps) > times)


def _missing(ids: Sequence[str], panel: Panel, keys: IntArray, times: IntArray) -> Missing:
    shown = zip(keys[:NAMED], panel.frequency.format(times[:NAMED]), strict=True)
    return Missing(count=len(keys), first=tuple(f"'{ids[key]}' at {time}" for key, time in shown))
