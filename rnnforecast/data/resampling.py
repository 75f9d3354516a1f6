"""Irregular rows joined to regular steps, before they are laid on a grid.

A step is labelled by its begin, which it holds, and steps count from fixed points whatever rows
there are: multiples of the step since the start of 1970, weeks from a Monday, months from a
January. So newer rows of a series fall into the same steps. Of rows that have one time the one with
the greater value is the later one, so that it is no matter in which order rows are read.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray, within_series
from rnnforecast.data.calendar import Frequency, month_number, month_start, most_common
from rnnforecast.data.faults import FaultError
from rnnforecast.data.time_units import DAY, HOUR, MINUTE, SECOND, WEEK
from rnnforecast.data.zones import is_zone, local_times, standard_offsets
from rnnforecast.errors import ConfigError

LENGTHS = {"s": SECOND, "min": MINUTE, "h": HOUR, "H": HOUR, "D": DAY, "W": WEEK}
MONTHS = {"M": 1, "MS": 1, "Q": 3, "QS": 3, "Y": 12, "YS": 12}
# The first Monday of 1970.
MONDAY = 4 * DAY
EXAMPLES = "such as 5min, 15min, h, 2h, D, W or MS"
# Steps that people choose, of which one is suggested.
USUAL = {
    **{f"{count}s": count * SECOND for count in (1, 5, 10, 15, 30)},
    **{f"{count}min": count * MINUTE for count in (1, 2, 5, 10, 15, 30)},
    **{"h": HOUR, "2h": 2 * HOUR, "3h": 3 * HOUR, "6h": 6 * HOUR, "12h": 12 * HOUR},
    **{"D": DAY, "W": WEEK, "MS": 30 * DAY},
}
# The last step counts as whole unless it stops earlier than all but this share of the others, and
# the first one unless it begins later; of the others there must be so many to say so.
RARELY, OTHERS = 0.05, 20


class Resampled(NamedTuple):
    """Rows whose times and values are those of the step that each was joined into.

    Attributes:
        times: The begin of its step [row].
        values: What the observations of its step come to, NaN where there are none [row].
        late: The series whose first step was left out, as rows begin within it, ascending.
        early: The series whose last step was left out, as it is not over, ascending.
    """

    times: IntArray
    values: FloatArray
    late: IntArray
    early: IntArray


def parse_step(text: str, *, integer: bool, offset: str = "") -> Frequency:
    """The frequency of steps such as 5min or, where times are integers, 10; `offset` is theirs.

    Raises:
        ConfigError: The text is no such step.
    """
    if integer:
        if not re.fullmatch(r"[1-9]\d{0,17}", text):
            raise ConfigError(
                "resample must be a number of steps such as 10, as times are integers, "
                f"got '{text}'"
            )
        return Frequency(unit="step", count=int(text))
    found = re.fullmatch(r"([1-9]\d{0,5})?([A-Za-z]+)", text)
    if found is None or found[2] not in LENGTHS | MONTHS:
        raise ConfigError(f"resample must be a step {EXAMPLES}, got '{text}'")
    count, unit = int(found[1] or 1), found[2]
    if unit in MONTHS:
        return Frequency(unit="month", count=count * MONTHS[unit], offset=offset)
    return Frequency(unit="microsecond", count=count * LENGTHS[unit], offset=offset)


def step_begins(times: IntArray, frequency: Frequency) -> IntArray:
    """The begin of the step of `frequency` that each time lies in [row].

    Where clocks change, days and longer steps begin as the clock shows; shorter ones are all of one
    length, and begin as its standard time has it.

    Raises:
        FaultError: The standard time changes so that shorter steps cannot keep to it.
    """
    if frequency.by_clock:
        return frequency.kept(_begins(local_times(times, frequency.offset), frequency))
    if len(times) and is_zone(frequency.offset):
        standard = _standard_offset(times, frequency)
        begins: IntArray = _begins(times + standard, frequency) - standard
        return begins
    return _begins(times, frequency)


def _standard_offset(times: IntArray, frequency: Frequency) -> int:
    """One by which steps of less than a day begin as the standard time of all rows has it."""
    standard = standard_offsets(times, frequency.offset)
    off = math.gcd(frequency.count, *np.diff(standard).tolist())
    if off == frequency.count:
        return int(standard[0])
    finer = next(name for name, length in reversed(USUAL.items()) if off % length == 0)
    raise FaultError(
        f"the standard time of {frequency.offset} changes within these times, by no multiple of "
        f"{frequency}, so that such steps cannot keep to its clock; pass --resample {finer} or D",
        settled={"resample": finer},
    )


def _begins(times: IntArray, frequency: Frequency) -> IntArray:
    if frequency.unit == "month":
        months = month_number(times)
        return month_start(months - months % frequency.count) * DAY
    first = MONDAY if frequency.unit == "microsecond" and frequency.count % WEEK == 0 else 0
    return times - (times - first) % frequency.count


def resample(
    *, keys: IntArray, times: IntArray, values: FloatArray, frequency: Frequency, how: str
) -> Resampled:
    """Join the rows of each series that lie in one step.

    The last step of a series is left out where it is not over, as in a job that runs at three
    minutes past ten: where its rows stop earlier in it than in nearly all other steps of the
    series. What is forecast then begins with that step. So is the first step where its rows begin
    later in it, as where they are of the last so many days; `last` needs no more than its end.

    Args:
        keys: The series of each row [row].
        times: The time of each row [row].
        values: The observation of each row, NaN where missing [row].
        frequency: As `parse_step` gives it.
        how: `mean`, `sum` or `last`, of what was observed; of nothing, NaN.
    """
    order = np.lexsort((values, times, keys))
    begins = step_begins(times, frequency)
    ordered, steps = keys[order], begins[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (np.diff(ordered) != 0) | (np.diff(steps) != 0)
    groups = np.empty(len(keys), dtype=np.int64)
    groups[order] = np.cumsum(new) - 1
    keys, count = ordered[new], int(np.count_nonzero(new))
    joined = join(values, groups, order, how, count)
    rows = order[~np.isnan(values[order])]
    late, early = _partial(times - begins, groups, rows, keys)
    late = late[:0] if how == "last" else late
    joined[late] = joined[early] = np.nan
    return Resampled(begins, joined[groups], keys[late], keys[early])


def join(column: FloatArray, groups: IntArray, order: IntArray, how: str, size: int) -> FloatArray:
    """One value for each group of rows: the mean, sum or last of what is observed.

    Args:
        column: One value a row, NaN where missing [row].
        groups: The group of each row [row], from 0 on.
        order: All rows, in the order of time [row].
        how: `mean`, `sum` or `last`.
        size: How many groups there are.

    Returns:
        NaN where a group has nothing observed, of sums too [group].
    """
    rows = order[~np.isnan(column[order])]
    result = np.full(size, np.nan)
    if how == "last":
        # Of an index that occurs again, the value assigned last stays.
        result[groups[rows]] = column[rows]
        return result
    counts = np.bincount(groups[rows], minlength=size)
    sums = np.bincount(groups[rows], weights=column[rows], minlength=size)
    np.divide(sums, 1 if how == "sum" else counts, out=result, where=counts > 0)
    return result


def suggest_step(times: IntArray, offsets: IntArray) -> str:
    """The step that suits irregular rows: the usual one next to the most common distance.

    Series `i` holds `times[offsets[i]:offsets[i + 1]]`, in ascending order; rows of one time count
    as one.
    """
    distances = np.diff(times)[within_series(offsets)]
    distances = distances[distances > 0]
    names, lengths = list(USUAL), np.array(list(USUAL.values()))
    if not len(distances):
        return "D"
    nearest = np.abs(np.log(lengths[:, None] / np.unique(distances))).argmin(0)
    places = nearest[np.searchsorted(np.unique(distances), distances)]
    return names[most_common(places)]


def _partial(
    phases: IntArray, groups: IntArray, rows: IntArray, keys: IntArray
) -> tuple[IntArray, IntArray]:
    """The first observed steps whose rows begin late, and the last ones whose rows stop early.

    Args:
        phases: How far into its step each row lies [row].
        groups: The step of each row [row].
        rows: Those with a value, in the order of series and times.
        keys: The series of each step, ascending [step].
    """
    begins, stops = np.full((2, len(keys)), -1, dtype=np.int64)
    # Of an index that occurs again, the value assigned last stays.
    stops[groups[rows]] = phases[rows]
    begins[groups[rows[::-1]]] = phases[rows[::-1]]
    observed = np.flatnonzero(stops >= 0)
    if not len(observed):
        return observed, observed
    between = np.diff(keys[observed]) != 0
    first, last = observed[np.append(True, between)], observed[np.append(between, True)]
    return _cut_short(first, observed, -begins, keys), _cut_short(last, observed, stops, keys)


def _cut_short(edge: IntArray, observed: IntArray, reach: IntArray, keys: IntArray) -> IntArray:
    """Of the steps at an edge of each series, those that rows fill less than nearly all others.

    Args:
        edge: One step a series.
        observed: The steps that have a value, the series one after the other.
        reach: How far towards that edge the rows of each step go [step].
        keys: The series of each step [step].
    """
    series = np.searchsorted(keys[edge], keys[observed])
    others = np.bincount(series) - 1
    shorter = np.bincount(series, weights=reach[observed] <= reach[edge][series]) - 1
    cut: IntArray = edge[(others >= OTHERS) & (shorter < RARELY * others)]
    return cut
