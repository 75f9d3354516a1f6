"""What is doubtful in series that can be read: each with its row, and the flag that settles it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.data.cells import marked_thousands
from rnnforecast.data.clock_changes import zone_skipping
from rnnforecast.data.faults import Fault
from rnnforecast.data.grid_faults import unobserved
from rnnforecast.data.profiling import CLASSES, Profile, gaps, runs
from rnnforecast.data.reading import Table
from rnnforecast.data.rows import Rows

# Interquartile ranges from the median, beyond which a value is an outlier.
FAR = 10.0
# Equal values at the end of a series that look as if it had ceased; rows too few to learn from.
STUCK, SHORT = 10, 10
# The share of missing values that makes gaps the rule; that of odd ones that are the exception.
SPARSE, EXCEPTION = 0.5, 0.1
MASKED = "it is masked; pass --missing interpolate, ffill or zero to fill it"


@dataclass(frozen=True)
class Series:
    """Series, and the rows that they were read from."""

    table: Table
    rows: Rows
    profile: Profile

    @cached_property
    def keys(self) -> IntArray:
        """The index of the series of each value of `rows`, -1 if left out [target * row]."""
        keys, ids = self.rows.series()
        places = {name: index for index, name in enumerate(self.table.panel.ids)}
        return np.array([places.get(name, -1) for name in ids])[keys]

    @cached_property
    def times(self) -> IntArray:
        """The times of `rows`, once for each target [target * row]."""
        return np.tile(self.rows.times.times, len(self.rows.config.target_columns))

    @cached_property
    def _grouped(self) -> tuple[IntArray, IntArray]:
        """The places of the values of series after series, and where each begins [series + 1]."""
        order = np.argsort(self.keys, kind="stable")
        return order, np.searchsorted(self.keys[order], np.arange(len(self.table.panel) + 1))

    def row(self, series: int, position: int) -> int:
        """The row of a value, or the next one after it; of joined rows, one of them."""
        panel = self.table.panel
        time = panel.times(np.array([series]), np.array([position]))[0]
        order, begins = self._grouped
        places = order[begins[series] : begins[series + 1]]
        after = self.times[places] >= time
        places = places[after] if after.any() else places
        return int(places[np.argmin(np.abs(self.times[places] - time))]) % len(self.rows.frame)

    def column(self, series: int) -> str:
        """The column that holds its values."""
        targets = self.rows.config.target_columns
        return self.table.panel.ids[series] if len(targets) > 1 else targets[0]

    def fault(self, series: int, position: int, problem: str, remedy: str) -> Fault:
        """What is doubtful about one value."""
        row, name = self.row(series, position), self.table.panel.ids[series]
        problem = f"series '{name}': {problem}"
        return Fault(row, problem, remedy, self.column(series), name)

    def whole(self, series: int, problem: str, remedy: str) -> Fault:
        """What is doubtful about a series."""
        name = self.table.panel.ids[series]
        return Fault(None, f"series '{name}' {problem}", remedy, None, name)


def find_doubts(series: Series) -> Iterator[Fault]:
    """Everything that a user may want to look at, though training would run."""
    for kind in (
        *(_mixed_offsets, _clocks, _unobserved, _gaps, _short, _constant, _stuck, _outliers),
        *(_negative, _intermittent, _alike, _ends, _unordered, _thousands),
    ):
        yield from kind(series)


def _mixed_offsets(series: Series) -> Iterator[Fault]:
    if series.rows.times.became_utc:
        times = series.rows.times
        zone, remedy = times.find_zone(), "pass --time-zone, such as Europe/Paris"
        if zone is not None:
            remedy = f"pass --time-zone {zone}"
        elif times.written is not None:
            remedy = (
                "they are those of no zone: correct them, or pass --time-zone to count its days"
            )
        yield Fault(
            None,
            "the times have offsets from UTC that vary, and are read as UTC",
            remedy,
            series.rows.config.time_column,
            zone=zone,
        )


def _clocks(series: Series) -> Iterator[Fault]:
    """Hours that naive times lack, as clocks that are set forward do not show them."""
    panel = series.table.panel
    if not panel.frequency.may_skip:
        return
    for index in np.flatnonzero(series.profile.missing).tolist()[:SHORT]:
        missing = np.flatnonzero(np.isnan(panel.series(index)))
        times = panel.times(np.full(len(missing), index), missing)
        if (found := zone_skipping(times)) is not None:
            zone, (time, *_) = found
            place = int(missing[np.argmax(times == time)])
            text = panel.frequency.format(np.array([time]))[0]
            problem = f"the time {text} is missing, as where clocks are set forward"
            fault = series.fault(index, place, problem, f"pass --time-zone {zone}")
            yield fault._replace(zone=zone)
            return


def _unobserved(series: Series) -> Iterator[Fault]:
    if series.table.unobserved:
        yield unobserved(series.table.unobserved)


def _gaps(series: Series) -> Iterator[Fault]:
    panel, profile = series.table.panel, series.profile
    total, lacking = len(panel.values), int(profile.missing.sum())
    joined = series.rows.config.resample is not None
    if lacking > SPARSE * total and panel.frequency.unit == "microsecond" and not joined:
        yield Fault(
            None,
            f"{lacking:,} of {total:,} values are missing at one a {panel.frequency}",
            "pass --resample with a longer step",
        )
    for index in np.flatnonzero(profile.missing).tolist():
        firsts, lengths = gaps(panel.series(index))
        longest = int(np.argmax(lengths))
        missing, length = int(profile.missing[index]), int(panel.lengths[index])
        problem = (
            f"{missing} of {length} values are missing ({missing / length:.1%}), at most "
            f"{lengths[longest]} in a row, after which this one stands"
        )
        yield series.fault(index, int(firsts[longest] + lengths[longest]), problem, MASKED)


def _short(series: Series) -> Iterator[Fault]:
    season = series.profile.seasons[0]
    for index in np.flatnonzero(series.profile.counts < max(SHORT, 2 * season)).tolist():
        count = series.profile.counts[index]
        yield series.whole(
            index,
            f"has {count} value{'s' if count > 1 else ''}, too few to learn from",
            "leave it to what the others teach, or give it more rows",
        )


def _constant(series: Series) -> Iterator[Fault]:
    profile = series.profile
    constant = (profile.lowest == profile.highest) & (profile.counts > 2)
    for index in np.flatnonzero(constant).tolist():
        problem = f"is constant at {profile.lowest[index]:g}"
        yield series.whole(index, problem, "remove it where nothing is measured")


def _stuck(series: Series) -> Iterator[Fault]:
    """Ends of equal values, longer by far than any stretch before."""
    panel, profile = series.table.panel, series.profile
    for index in np.flatnonzero(profile.lowest < profile.highest).tolist():
        stretches = runs(panel.series(index))
        last, before = int(stretches[-1]), int(stretches[:-1].max(initial=1))
        if last >= STUCK and last >= 3 * before:
            value = panel.series(index)[-1]
            problem = f"its last {last} values, from here on, are all {value:g}"
            remedy = "remove them where the series has ended or its sensor is stuck"
            yield series.fault(index, int(panel.lengths[index]) - last, problem, remedy)


def _outliers(series: Series) -> Iterator[Fault]:
    panel = series.table.panel
    for index in range(len(panel)):
        values = panel.series(index)
        far = _distances(values)
        count = int((far > FAR).sum())
        if count:
            place = int(np.argmax(far))
            more = f", and {count - 1} more values lie as far out" if count > 1 else ""
            problem = (
                f"{values[place]:g} lies {far[place]:.3g} interquartile ranges from the median"
            )
            yield series.fault(index, place, problem + more, "correct it, or leave the cell empty")


def _distances(values: FloatArray) -> FloatArray:
    """How many interquartile ranges each value lies from the median; of demand with many zeros,
    of the demands [time]."""
    usual = values[~np.isnan(values)]
    if (usual == 0).mean() > 0.2:
        usual = usual[usual != 0]
    if len(usual) < 5:
        return np.zeros(len(values))
    low, median, high = np.quantile(usual, (0.25, 0.5, 0.75))
    if high <= low:
        return np.zeros(len(values))
    distances: FloatArray = np.abs(np.nan_to_num(values, nan=median) - median) / (high - low)
    return distances


def _negative(series: Series) -> Iterator[Fault]:
    """A few negative values among counts."""
    profile, panel = series.profile, series.table.panel
    few = (profile.negative > 0) & (profile.negative <= EXCEPTION * profile.counts) & profile.whole
    for index in np.flatnonzero(few).tolist():
        values = panel.series(index)
        place, count = int(np.argmax(values < 0)), int(profile.negative[index])
        more = f", and {count - 1} more are negative" if count > 1 else ""
        problem = f"{values[place]:g} is negative among counts{more}"
        yield series.fault(index, place, problem, "correct it, or pass --nonnegative")


def _intermittent(series: Series) -> Iterator[Fault]:
    """Demand that comes now and then, by Syntetos and Boylan."""
    profile = series.profile
    rare = np.flatnonzero((profile.classes >= CLASSES.index("intermittent")) & (profile.zeros > 0))
    for index in rare.tolist():
        share = profile.zeros[index] / profile.counts[index]
        problem = f"is {CLASSES[profile.classes[index]]} demand, with {share:.0%} zeros"
        yield series.whole(index, problem, "try --head negative-binomial if these are counts")


def _alike(series: Series) -> Iterator[Fault]:
    panel = series.table.panel
    seen: dict[tuple[int, bytes], str] = {}
    for index, name in enumerate(panel.ids):
        values = panel.series(index)
        if len(values) < SHORT or series.profile.lowest[index] == series.profile.highest[index]:
            continue
        first = seen.setdefault((int(panel.starts[index]), values.tobytes()), name)
        if first != name:
            yield series.whole(index, f"repeats series '{first}'", "remove one of the two")


def _ends(series: Series) -> Iterator[Fault]:
    panel = series.table.panel
    ends = panel.times(np.arange(len(panel)), panel.lengths - 1)
    early = np.flatnonzero(ends < ends.max())
    if panel.frequency.unit == "step" or not len(early):
        return
    first, last = panel.frequency.format(np.array([ends.min(), ends.max()]))
    index = int(np.argmin(ends))
    yield series.whole(
        index,
        f"ends at {first}, and {len(early)} of {len(panel)} series end before {last}",
        "remove those that are over; the others are forecast from their own ends",
    )


def _unordered(series: Series) -> Iterator[Fault]:
    """A few rows that stand before earlier ones of their series."""
    targets, count = series.rows.config.target_columns, len(series.rows.frame)
    keys = series.keys if len(targets) == 1 else np.zeros(count, dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    times = series.rows.times.times[order]
    back = (np.diff(keys[order]) == 0) & (np.diff(times) < 0) & (keys[order[1:]] >= 0)
    if 0 < back.sum() <= EXCEPTION * count:
        row = int(order[int(np.argmax(back)) + 1])
        name = series.table.panel.ids[int(keys[row])]
        yield Fault(
            row,
            f"{int(back.sum())} rows are earlier than the rows before them, such as this one",
            "correct the time where it is mistaken; rows may stand in any order",
            series.rows.config.time_column,
            name if len(targets) == 1 else None,
        )


def _thousands(series: Series) -> Iterator[Fault]:
    """Numbers that are read as fractions though they may be whole."""
    cells = series.rows.cells
    remedy = f"write the numbers without such marks, else pass --decimal '{cells.decimal}'"
    for row, name, text in marked_thousands(cells, series.rows.config.target_columns):
        problem = f"'{text}' may be a whole number with a mark of thousands"
        yield Fault(row, problem, remedy, name)
