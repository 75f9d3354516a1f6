"""Which column is what: the id, the time and the target, found where only one reading is possible.

Long form has a column that names the series; wide form has a time column and one column a series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig
from rnnforecast.data.clock_changes import zone_repeating
from rnnforecast.data.dialects import looked_for
from rnnforecast.data.faults import Fault, FaultError, RowError
from rnnforecast.data.timestamps import parse_times, repeated
from rnnforecast.errors import DataError

ID_NAMES = ("unique_id", "item_id", "series_id", "id")
TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "month", "year", "step")
TARGET_NAMES = ("y", "target", "value")
MISSING = ("", "NaN", "nan", "NA", "null", "NULL")
# Errors are squared, and levels exponentiated: numbers beyond this would overflow a double there.
LARGEST_VALUE = 1e100
SAMPLE_ROWS = 1000
# Cells that may be no times in a column that is taken for one of times, and their share of all.
MOST_FAULTY, FAULTY_SHARE = 4, 0.25


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the sampled cells of one column can be read as; `mostly_time` where a few cannot."""

    number: bool
    whole: bool
    time: bool
    mostly_time: bool = False


ReadText = Callable[[Sequence[str]], pd.DataFrame]


def find_columns(
    sample: pd.DataFrame, asked: DataConfig, decimal: str, read_text: ReadText
) -> DataConfig:
    """Fill in the columns that `asked` leaves open.

    Args:
        sample: The first rows, as text.
        asked: The columns that the user named.
        decimal: The decimal mark.
        read_text: Reads all rows of some columns, as text.

    Raises:
        DataError: A named column is absent, more than one reading is possible, or one that
            forecasts have too has no name, or one that cannot be printed.
        RowError: A time occurs twice and no column names the series.
    """
    _check_named(list(sample.columns), asked)
    missing = (*MISSING, *asked.na_values)
    asked = looked_for(asked, list(sample.columns))
    others = [str(name) for name in sample.columns if name not in asked.covariates]
    kinds = {name: kind_of(sample[name], missing, decimal) for name in others}
    named = (asked.time_column, *asked.target_columns)
    unnamed = {name: kind for name, kind in kinds.items() if name not in named}
    identifier = asked.id_column or by_name(unnamed, ID_NAMES)
    time = asked.time_column or find_time(kinds, exclude=(identifier, *asked.target_columns))
    rest = [name for name in kinds if name not in (identifier, time)]
    if identifier is None and bool(
        repeated(read_text([time])[time], asked.time_format, asked.time_zone).any()
    ):
        candidates = [name for name in rest if name not in asked.target_columns]
        identifier = _find_id(
            read_text([time, *candidates]), kinds, time, targets=asked.target_columns
        )
        rest = [name for name in rest if name != identifier]
    targets = asked.target_columns or _find_targets(kinds, rest, wide=identifier is None)
    if identifier is not None and len(targets) > 1:
        raise DataError(
            f"with the id column '{identifier}' one target column can be read, "
            f"got {listed(targets)}; pass one --target-col"
        )
    for kind, column in (("id", identifier), ("time", time)):
        if column is not None and not (column and column.isprintable()):
            raise DataError(
                f"the {kind} column is called {ascii(column)}, which forecasts cannot repeat; "
                "rename it"
            )
    return replace(asked, id_column=identifier, time_column=time, target_columns=targets)


def _check_named(columns: Sequence[str], asked: DataConfig) -> None:
    repeated = {name for name in columns if columns.count(name) > 1}
    if repeated:
        raise DataError(f"the header repeats the column {listed(sorted(repeated))}; rename one")
    # What is static or known ahead may come from a table of its own.
    for name in (
        asked.id_column,
        asked.time_column,
        *asked.target_columns,
        *asked.past_columns,
    ):
        if name is not None and name not in columns:
            raise DataError(
                f"there is no column '{name}'; the header has {listed(columns)}: "
                "name one of these, or rename it"
            )
    asked_for = [asked.id_column, asked.time_column, *asked.target_columns, *asked.covariates]
    twice = {name for name in asked_for if name is not None and asked_for.count(name) > 1}
    if twice:
        raise DataError(
            f"column {listed(sorted(twice))} is asked for twice; "
            "--id-col, --time-col, --target-col, --static, --past and --future must name different "
            "columns"
        )


def find_time(kinds: dict[str, Kind], exclude: Sequence[str | None]) -> str:
    """The column of times, but for a few cells; of whole numbers where no column reads as times.

    Raises:
        DataError: None or several could be it.
    """
    open_kinds = {name: kind for name, kind in kinds.items() if name not in exclude}
    candidates = [name for name, kind in open_kinds.items() if kind.time]
    if not candidates:
        candidates = [name for name, kind in open_kinds.items() if kind.mostly_time]
    if not candidates:
        candidates = [name for name, kind in open_kinds.items() if kind.whole]
        named = by_name(dict.fromkeys(candidates), TIME_NAMES)
        first_is_step = candidates[:1] == list(open_kinds)[:1] and len(candidates) == 1
        candidates = [named] if named else candidates if first_is_step else []
    if len(candidates) > 1:
        named = by_name(dict.fromkeys(candidates), TIME_NAMES)
        candidates = [named] if named else candidates
    if not candidates:
        named = by_name(open_kinds, TIME_NAMES)
        candidates = [named] if named else []
    if len(candidates) != 1:
        found = f"could be {listed(candidates)}" if candidates else "was not found"
        raise FaultError(
            f"the time column {found} among the columns {listed(list(kinds))}; pass --time-col",
            settled={"time_column": candidates[0]} if candidates else {},
        )
    return candidates[0]


def _find_id(
    rows: pd.DataFrame, kinds: dict[str, Kind], time: str, *, targets: Sequence[str]
) -> str:
    """The column that, with the time, tells all rows apart, and leaves one to forecast."""
    others = [str(name) for name in rows.columns if name != time]
    if not targets:
        target = others[0] if len(others) == 1 else by_name(dict.fromkeys(others), TARGET_NAMES)
        others = [name for name in others if name != target]
    texts = [name for name in others if not kinds[name].number]
    codes = [name for name in others if kinds[name].whole and _is_code(rows[name])]
    candidates = texts or codes
    # `duplicated` goes through all columns of its table, of which there may be thousands.
    telling = [name for name in candidates if not rows[[time, name]].duplicated().any()]
    found = telling or candidates
    if not found:
        raise _time_twice(rows[time])
    if len(found) > 1:
        message = f"the id column could be {listed(found)}; pass --id-col"
        if not telling and not rows[[time, *found]].duplicated().any():
            message = (
                f"no column alone names the series, only {listed(found)} together; "
                "join them into one column and pass --id-col"
            )
        raise FaultError(message, settled={"id_column": found[0]})
    return found[0]


def _time_twice(times: pd.Series[str]) -> RowError:
    """The error of times that occur again though there is one series."""
    rows = np.flatnonzero(times.duplicated())
    zone = _zone_repeating(times.iloc[rows])
    hint = "" if zone is None else f"pass --time-zone {zone} if clocks were set back then, "
    remedy = f"{hint}remove one of the rows or pass --id-col"
    problems = [
        f"'{cell}' occurs twice and no column names the series" for cell in times.iloc[rows]
    ]
    return RowError(
        int(rows[0]),
        f"column '{times.name}': {problems[0]}; {remedy}",
        faults=lambda: [
            Fault(row, problem, remedy, str(times.name))
            for row, problem in zip(rows.tolist(), problems, strict=True)
        ],
        left_out=lambda: rows,
        settled={} if zone is None else {"time_zone": zone},
    )


def _zone_repeating(cells: pd.Series[str]) -> str | None:
    """The zone whose clocks show each of these times twice, where they have no offset."""
    try:
        parsed = parse_times(cells)
    except DataError:
        return None
    if isinstance(parsed, int) or parsed.integer or parsed.offset:
        return None
    return zone_repeating(parsed.times)


def _is_code(cells: pd.Series[str]) -> bool:
    """Whether whole numbers recur as those of series do: measured ones rarely do."""
    return cells.nunique() <= len(cells) / 2


def _find_targets(kinds: dict[str, Kind], rest: Sequence[str], wide: bool) -> tuple[str, ...]:
    numbers = [name for name in rest if kinds[name].number]
    named = by_name(dict.fromkeys(rest), TARGET_NAMES)
    if named is not None:
        return (named,)
    if len(rest) == 1:
        return (rest[0],)
    if not numbers or (len(numbers) > 1 and not wide):
        found = f"could be {listed(numbers)}" if numbers else "was not found"
        raise FaultError(
            f"the target column {found} among {listed(rest)}; pass --target-col"
            if rest
            else "the table has no column to forecast; pass a file with a target column",
            settled={"target_columns": (numbers[0],)} if numbers else {},
        )
    return tuple(numbers)


def kind_of(cells: pd.Series[str], missing: Sequence[str], decimal: str) -> Kind:
    """What the cells of a sample can be read as."""
    observed = cells.str.strip()
    observed = observed[~observed.isin(missing)]
    if observed.empty:
        return Kind(number=True, whole=False, time=False)
    numbers = pd.to_numeric(observed.str.replace(decimal, ".", regex=False), errors="coerce")
    number = bool(numbers.notna().mean() > 0.5)
    whole = bool(observed.str.fullmatch(r"[+-]?\d{1,18}").all())
    # A table may have thousands of columns, and to try all formats of times takes long.
    if (number and not whole) or not observed.str.contains(r"\d").any():
        return Kind(number=number, whole=whole, time=False)
    try:
        parsed = parse_times(observed)
    except DataError:
        # More than one format reads the sample; all rows together will tell which.
        return Kind(number=number, whole=whole, time=True)
    if isinstance(parsed, int):
        return Kind(number=number, whole=whole, time=False, mostly_time=_mostly_times(observed))
    return Kind(number=number, whole=whole, time=not parsed.integer)


def _mostly_times(cells: pd.Series[str]) -> bool:
    """Whether all cells but a few are times: there is a footer, or a day that does not exist."""
    for _ in range(min(MOST_FAULTY, int(FAULTY_SHARE * len(cells))) + 1):
        try:
            parsed = parse_times(cells)
        except DataError:
            return True
        if not isinstance(parsed, int):
            return not parsed.integer
        cells = cells.drop(index=cells.index[parsed])
    return False


def by_name(columns: dict[str, Kind] | dict[str, None], names: Sequence[str]) -> str | None:
    """The first of `names` that is a column, in whatever case it is written."""
    lowered = {name.strip().lower(): name for name in reversed(list(columns))}
    return next((lowered[name] for name in names if name in lowered), None)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for a message, the first of them, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
