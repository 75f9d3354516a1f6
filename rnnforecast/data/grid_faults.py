"""What keeps rows from lying on one regular grid of time, each fault with all its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnforecast.arrays import BoolArray, IntArray
from rnnforecast.data.calendar import Frequency, OffGridError, infer_frequency, most_common
from rnnforecast.data.clock_changes import zone_repeating
from rnnforecast.data.faults import Fault, FaultError, LeftOut, RowError
from rnnforecast.data.resampling import suggest_step
from rnnforecast.data.schema import listed
from rnnforecast.data.time_units import DAY, HOUR, MINUTE, SECOND
from rnnforecast.errors import DataError

# The share of rows between the steps of the others, and their number, that make a sensor's times.
IRREGULAR, FEWEST = 0.1, 3
# The distances between rows that are told of: those that are neither haste nor gaps.
USUAL = (0.05, 0.9)
# So many distances between the rows of a series tell its own step from gaps; fewer do if all are
# one and together span so many steps of the others.
TELLING, STEADY = 10, 15
# What to do about rows that keep to another step than that of a model.
ANOTHER = "pass data of that frequency or train again"


@dataclass(frozen=True, kw_only=True)
class OrderedRows:
    """The rows of a long table by series and time.

    Attributes:
        keys: The index in `ids` of the series of each row [row].
        ids: The names of the series.
        times: Ascending within each series [row].
        order: The place of each row in the order of reading [row].
        offsets: Series `i` is the rows from `offsets[i]` to before `offsets[i + 1]` [series + 1].
    """

    keys: IntArray
    ids: Sequence[str]
    times: IntArray
    order: IntArray
    offsets: IntArray

    def of_series(self, chosen: Sequence[int]) -> IntArray:
        """The places of all rows of some series."""
        return self.order[np.isin(self.keys, chosen)]

    def error(
        self, rows: IntArray, problems: Sequence[str], remedy: str, left_out: IntArray | None = None
    ) -> RowError:
        """The error of `rows` [fault], one problem each."""
        places = self.order[rows]
        series = [self.ids[key] for key in self.keys[rows]]
        faults = [
            Fault(int(place), problem, remedy, series=name)
            for place, problem, name in zip(places, problems, series, strict=True)
        ]
        return RowError(
            int(places[0]),
            f"{problems[0]}; {remedy}",
            faults=lambda: faults,
            left_out=lambda: places if left_out is None else left_out,
        )


def check_unique(rows: OrderedRows, *, naive: bool) -> None:
    """Raise RowError where two rows have one series and time.

    Where the times are of a clock that tells no offset (`naive`), it may be one that was set back.
    """
    twice = np.flatnonzero((np.diff(rows.keys) == 0) & (np.diff(rows.times) == 0))
    if not len(twice):
        return
    later = np.where(rows.order[twice] > rows.order[twice + 1], twice, twice + 1)
    zone = zone_repeating(rows.times[twice]) if naive else None
    problems = [f"series '{rows.ids[key]}' has this time twice" for key in rows.keys[later]]
    remedy = "remove one of the rows"
    if zone is not None:
        remedy = f"pass --time-zone {zone} if clocks were set back then, or {remedy}"
    error = rows.error(later, problems, remedy)
    error.settled = {} if zone is None else {"time_zone": zone}
    raise error


def off_grid(
    rows: OrderedRows, frequency: Frequency, firsts: IntArray, *, trained: bool
) -> RowError:
    """The error of times some of which are no whole number of steps after the `firsts` [row].

    The steps are those of a model if `trained`.
    """
    must = "must, for this model, have" if trained else "has"
    if frequency.unit == "microsecond":
        # Where most rows agree with each other but not with the first one, this is the stray.
        found = np.flatnonzero(_out_of_phase(rows, np.full(len(rows.ids), frequency.count)))
    else:
        found = _strays(rows.times, firsts, frequency)
    problems = [
        f"series '{rows.ids[key]}' {must} a row every {frequency}, but this one lies between two"
        for key in rows.keys[found]
    ]
    return rows.error(found, problems, "correct the time, or aggregate the rows to regular steps")


def other_frequency(rows: OrderedRows, frequency: Frequency) -> RowError | None:
    """The error of rows that keep to another step than that of a model."""
    found = infer_frequency(rows.times, rows.offsets, integer=frequency.unit == "step")
    if found is None or (found.unit, found.count) == (frequency.unit, frequency.count):
        return None
    if irregular(rows, found):
        return None
    name = rows.ids[rows.keys[0]]
    problem = (
        f"series '{name}' has a row every {found}, the model was trained on one every {frequency}"
    )
    return rows.error(np.zeros(1, dtype=np.int64), [problem], ANOTHER)


def off_clock(
    frequency: Frequency, zone: str | None, column: str, error: DataError, *, trained: bool
) -> FaultError:
    """The error of times that are regular by local clocks, though not at one offset from UTC.

    Args:
        frequency: The one of the local times.
        zone: Whose clocks these are, None where none is known.
        column: That of the times.
        error: What reading at one offset stopped at.
        trained: Whether that is the offset of a model.
    """
    offset = "at the one offset that the model was trained with" if trained else "as UTC"
    problem = (
        f"the rows come every {frequency} by local clocks, whose offsets from UTC vary, but not "
        f"{offset}"
    )
    named = f"--time-zone {zone}" if zone else "--time-zone, such as Europe/Paris"
    remedy = f"train again with {named}" if trained else f"pass {named}"
    known = error if zone is None and isinstance(error, FaultError) else FaultError(problem)
    return FaultError(
        f"{problem}; {remedy}",
        faults=lambda: [Fault(None, problem, remedy, column)],
        left_out=known.left_out,
        settled=known.settled if zone is None else {"time_zone": zone},
    )


def _out_of_phase(rows: OrderedRows, steps: IntArray) -> BoolArray:
    """Which rows lie between the steps [series] that most rows of their series lie on [row]."""
    phases = rows.times % steps[rows.keys]
    usual = np.array([most_common(part) for part in np.split(phases, rows.offsets[1:-1])])
    strays: BoolArray = phases != usual[rows.keys]
    return strays


def _strays(times: IntArray, firsts: IntArray, frequency: Frequency) -> IntArray:
    """The rows whose times lie between steps, found by halves as calendars name the first alone."""
    waiting, found = [np.arange(len(times))], []
    while waiting:
        part = waiting.pop()
        try:
            frequency.positions(times[part], firsts[part])
        except OffGridError:
            if len(part) == 1:
                found.append(part)
            else:
                waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
    return np.concatenate(found)


def irregular(rows: OrderedRows, frequency: Frequency) -> FaultError | None:
    """The error of times that keep to no step, as sensors', with the step to join them to."""
    if frequency.unit != "microsecond":
        return None
    parts = [np.diff(part) for part in np.split(rows.times, rows.offsets[1:-1])]
    steps = [most_common(part) if len(part) else 1 for part in parts]
    strays = _out_of_phase(rows, np.array(steps))
    if strays.sum() < FEWEST or strays.mean() <= IRREGULAR:
        return None
    series = np.unique(rows.keys[strays])
    distances = np.concatenate([parts[index] for index in series])
    low, high = (int(value) for value in np.quantile(distances, USUAL, method="nearest"))
    step = suggest_step(rows.times, rows.offsets)
    more = f" and {len(series) - 1} more" if len(series) > 1 else ""
    usual, longest = most_common(distances), int(distances.max())
    told = f"{_spread(low, high)} (most often {_length(usual)})" if low < high else _length(usual)
    gaps = f", with gaps of up to {_length(longest)}" if longest > 2 * high else ""
    name = rows.ids[int(series[0])]
    problem = f"series '{name}'{more}: the rows come every {told}{gaps}"
    remedy = f"pass --resample {step}"
    return FaultError(
        f"{problem}; {remedy}",
        faults=lambda: [Fault(None, problem, remedy, series=name)],
        settled={"resample": step},
    )


def _spread(low: int, high: int) -> str:
    """Such as "5 to 20 minutes"."""
    first, last = _length(low), _length(high)
    alike = first.split()[1].rstrip("s") == last.split()[1].rstrip("s")
    return f"{first.split()[0] if alike else first} to {last}"


def _length(microseconds: int) -> str:
    """A span in the largest unit of which it has two, with at most one decimal."""
    units = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))
    name, size = next((unit for unit in units if microseconds >= 2 * unit[1]), ("second", SECOND))
    count = f"{microseconds / size:.1f}".removesuffix(".0")
    return f"{count} {name}" if count == "1" else f"{count} {name}s"


def check_steps(
    rows: OrderedRows, frequency: Frequency, step: int, places: IntArray, *, trained: bool
) -> None:
    """Raise RowError for series whose `places` [row] keep to another step than the common one.

    That is the one of a model if `trained`.
    """
    others = []
    for index in range(len(rows.ids)):
        distances = np.diff(places[rows.offsets[index] : rows.offsets[index + 1]])
        if len(distances) < 3 or (own := most_common(distances)) == step:
            continue
        # A few rows may lie several steps apart by chance.
        steady = len(distances) * own >= STEADY * step and bool(np.all(distances == own))
        if own % step == 0 and len(distances) < TELLING and not steady:
            continue
        # Where no distance prevails, the series has many gaps rather than another step.
        if np.mean(distances == own) >= 0.5:
            others.append(index)
    if not others:
        return
    problems, rest = [], "the model was trained on one" if trained else "the others"
    for index in others:
        span = slice(rows.offsets[index], rows.offsets[index + 1])
        bounds = np.array([0, span.stop - span.start])
        other = infer_frequency(rows.times[span], bounds, integer=frequency.unit == "step")
        problems.append(
            f"series '{rows.ids[index]}' has a row every {other}, {rest} every {frequency}"
        )
    remedy = "all series of a file must have one frequency"
    if trained:
        remedy = ANOTHER
    raise rows.error(rows.offsets[others], problems, remedy, rows.of_series(others))


def unobserved(ids: Sequence[str]) -> Fault:
    """What is wrong with series of which no value is observed."""
    problem = f"series {listed(ids, 5)}: no value is observed"
    return Fault(None, problem, "fill in values or remove the series", series=ids[0])


def none_observed(
    ids: Sequence[str],
    remedy: str | None = None,
    left_out: LeftOut | None = None,
    settled: Mapping[str, Any] | None = None,
) -> FaultError:
    """The error of such series where they cannot be left out; FaultError has the attributes."""
    fault = unobserved(ids)
    fault = fault._replace(remedy=remedy or fault.remedy)
    message = f"{fault.problem}; {fault.remedy}"
    return FaultError(message, faults=lambda: [fault], left_out=left_out, settled=settled)


def too_few(rows: OrderedRows) -> FaultError:
    """The error of series of one row each."""
    problem = "no series has two rows, so the frequency cannot be found"
    remedy = "pass a file with more rows"
    return FaultError(
        f"{problem}; {remedy}",
        faults=lambda: [Fault(None, problem, remedy, series=rows.ids[0])],
    )


def too_sparse(rows: OrderedRows, series: int, share: str, frequency: Frequency) -> FaultError:
    """The error of a series of which next to nothing is observed, with the row that spreads it."""
    first, last = int(rows.offsets[series]), int(rows.offsets[series + 1])
    distances = np.diff(rows.times[first:last])
    widest = first + int(np.argmax(distances))
    # The fewer rows are the mistaken ones: those after the widest gap, or those before it.
    after = last - widest - 1 <= widest + 1 - first
    stray = widest + 1 if after else widest
    left_out = rows.order[stray:last] if after else rows.order[first : stray + 1]
    far = f"this time lies far {'after' if after else 'before'} the others of its series"
    name = rows.ids[series]
    problem = f"series '{name}': {share} values are there at one a {frequency}"
    remedy = "correct its times, or aggregate the rows to longer steps"
    faults = [
        Fault(None, problem, remedy, series=name),
        Fault(int(rows.order[stray]), far, "correct the time", series=name),
    ]
    return FaultError(f"{problem}; {remedy}", faults=lambda: faults, left_out=lambda: left_out)
