"""Which column is what, found from the table alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data import schema
from rnnforecast.data.faults import RowError
from rnnforecast.data.schema import SAMPLE_ROWS, find_columns, kind_of
from rnnforecast.errors import DataError

DAYS = list(pd.date_range("2020-01-01", periods=6).strftime("%Y-%m-%d"))
NOTHING = DataConfig()
Found = tuple[str | None, str | None, tuple[str, ...]]


def find(columns: dict[str, Sequence[object]], asked: DataConfig = NOTHING) -> Found:
    """The id, time and target columns of a table."""
    length = max(map(len, columns.values()))
    cells = {name: [str(x) for x in values] for name, values in columns.items()}
    rows = pd.DataFrame(
        {name: (values * length)[:length] for name, values in cells.items()}, dtype="str"
    )
    found = find_columns(
        rows[:SAMPLE_ROWS], asked, asked.decimal or ".", lambda names: rows[list(names)]
    )
    kept = ("id_column", "time_column", "target_columns")
    open_fields = {name: getattr(asked, name) for name in kept}
    assert replace(found, **open_fields) == asked
    return found.id_column, found.time_column, found.target_columns


NUMBERS = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
COUNTS = [13, 11, 17, 12, 19, 14]
TWICE = [*DAYS[:3], *DAYS[:3]]
PAIRED = ["a", "a", "a", "b", "b", "b"]
FOUND = {
    "nixtla": ({"unique_id": PAIRED, "ds": TWICE, "y": COUNTS}, ("unique_id", "ds", ("y",))),
    "capitals": ({"ID": PAIRED, "Date": TWICE, "Value": COUNTS}, ("ID", "Date", ("Value",))),
    "own names": ({"shop": PAIRED, "day": TWICE, "sales": COUNTS}, ("shop", "day", ("sales",))),
    "text id": ({"a": TWICE, "b": PAIRED, "c": NUMBERS}, ("b", "a", ("c",))),
    "code id": (
        {"shop": [7, 7, 7, 9, 9, 9], "day": TWICE, "y": COUNTS},
        ("shop", "day", ("y",)),
    ),
    "single": ({"day": DAYS, "price": NUMBERS}, (None, "day", ("price",))),
    "single years": ({"year": range(1990, 1996), "births": COUNTS}, (None, "year", ("births",))),
    "first column counts": ({"k": range(6), "y": NUMBERS}, (None, "k", ("y",))),
    "wide": ({"day": DAYS, "a": NUMBERS, "b": COUNTS}, (None, "day", ("a", "b"))),
    "wide beside text": (
        {"day": DAYS, "sky": PAIRED, "a": NUMBERS, "b": COUNTS},
        (None, "day", ("a", "b")),
    ),
    "wide with y": ({"ds": DAYS, "y": NUMBERS, "price": COUNTS}, (None, "ds", ("y",))),
    "wide with a gap": ({"ds": DAYS, "a": NUMBERS, "b": [""]}, (None, "ds", ("a", "b"))),
    "two dates": ({"ds": DAYS, "loaded": DAYS, "y": NUMBERS}, (None, "ds", ("y",))),
    "text target": ({"day": DAYS, "y": ["x", *NUMBERS[1:]]}, (None, "day", ("y",))),
    "all text target": ({"day": DAYS, "sales": ["x"]}, (None, "day", ("sales",))),
    "one bad time": ({"ds": [*DAYS[:5], "?"], "y": NUMBERS}, (None, "ds", ("y",))),
    "day or month first": (
        {"when": ["01/02/2020", "01/03/2020"], "y": NUMBERS[:2]},
        (None, "when", ("y",)),
    ),
}


@pytest.mark.parametrize(("columns", "expected"), FOUND.values(), ids=FOUND)
def test_columns_are_found_when_one_reading_is_possible(
    columns: dict[str, Sequence[object]], expected: Found
) -> None:
    assert find(columns) == expected


def test_id_is_found_when_times_repeat_only_after_the_sample() -> None:
    days = list(pd.date_range("2015-01-01", periods=SAMPLE_ROWS + 50).strftime("%Y-%m-%d"))
    shops = ["a"] * len(days) + ["b"] * 20
    table = {"day": days + days[-20:], "shop": shops, "sales": NUMBERS}
    assert find(table) == ("shop", "day", ("sales",))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"time_column": "b"}, (None, "b", ("c",))),
        ({"target_columns": ("c",)}, (None, "a", ("c",))),
        ({"target_columns": ("c", "b")}, (None, "a", ("c", "b"))),
        ({"id_column": "c", "target_columns": ("b",)}, ("c", "a", ("b",))),
    ],
)
def test_columns_are_those_named_when_the_user_names_them(
    asked: dict[str, str], expected: Found
) -> None:
    table = {"a": DAYS, "b": range(6), "c": NUMBERS}
    assert find(table, replace(NOTHING, **asked)) == expected


def test_id_is_not_a_column_asked_for_as_something_else() -> None:
    table = {"id": range(6), "y": NUMBERS}
    assert find(table, DataConfig(time_column="id")) == (None, "id", ("y",))
    assert find({"ds": DAYS, "id": NUMBERS}, DataConfig(target_columns=("id",))) == (
        None,
        "ds",
        ("id",),
    )


@pytest.mark.parametrize("faulty", [["Total"], ["2020-02-30"], ["x", "2020-02-30"]])
def test_time_is_the_column_that_a_few_cells_keep_from_being_of_times(faulty: list[str]) -> None:
    """So that the fault is told by its line, not as a column that is not there."""
    table = {"a": [*DAYS, *faulty], "b": [*NUMBERS, *NUMBERS][: len(DAYS) + len(faulty)]}
    assert find(table) == (None, "a", ("b",))
    counted = {"y": range(len(table["a"])), "when": table["a"]}
    assert find(counted) == (None, "when", ("y",))
    for few in (["a1", "b2", DAYS[0]], [*DAYS[:2], "p", "q", "r", "s", "t"]):
        with pytest.raises(DataError, match="the time column was not found"):
            find({"a": few, "b": [1.5] * len(few)})


AMBIGUOUS = {
    "no time": (
        {"a": ["x"], "b": NUMBERS},
        NOTHING,
        "time column was not found among the columns 'a', 'b'; pass --time-col",
    ),
    "two times": (
        {"from": DAYS, "to": DAYS, "y": NUMBERS},
        NOTHING,
        "time column could be 'from', 'to' among .*; pass --time-col",
    ),
    "two counts": (
        {"a": range(6), "b": range(6)},
        NOTHING,
        "time column was not found among the columns 'a', 'b'; pass --time-col",
    ),
    "two ids": (
        {"shop": PAIRED, "city": PAIRED, "day": TWICE, "y": COUNTS},
        NOTHING,
        "id column could be 'shop', 'city'; pass --id-col",
    ),
    "two targets": (
        {"shop": PAIRED, "day": TWICE, "a": NUMBERS, "b": NUMBERS},
        NOTHING,
        "target column could be 'a', 'b' among 'a', 'b'; pass --target-col",
    ),
    "no number": (
        {"day": DAYS, "a": ["x"], "b": ["x"]},
        NOTHING,
        "target column was not found among 'a', 'b'; pass --target-col",
    ),
    "no target": ({"unique_id": PAIRED, "ds": TWICE}, NOTHING, "no column to forecast"),
    "many columns": (
        {f"c{k}": ["x"] for k in range(12)},
        NOTHING,
        "'c0', 'c1', .*'c7' and 4 more; pass --time-col",
    ),
    "absent": (
        {"ds": DAYS, "y": NUMBERS},
        DataConfig(target_columns=("z",)),
        "there is no column 'z'; the header has 'ds', 'y'",
    ),
    "twice": (
        {"ds": DAYS, "y": NUMBERS},
        DataConfig(time_column="ds", target_columns=("ds",)),
        "column 'ds' is asked for twice; --id-col, --time-col, ",
    ),
    "two targets asked": (
        {"unique_id": PAIRED, "ds": TWICE, "a": NUMBERS, "b": NUMBERS},
        DataConfig(target_columns=("a", "b")),
        "with the id column 'unique_id' one target column can be read, got 'a', 'b'",
    ),
}


@pytest.mark.parametrize(("columns", "asked", "message"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_columns_raise_with_the_candidates_when_a_choice_is_left(
    columns: dict[str, Sequence[object]], asked: DataConfig, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find(columns, asked)


def test_columns_raise_when_the_header_repeats_a_name() -> None:
    rows = pd.DataFrame([["2020-01-01", "1", "2"]], columns=["ds", "y", "y"], dtype="str")
    with pytest.raises(DataError, match="header repeats the column 'y'; rename one"):
        find_columns(rows, NOTHING, ".", lambda names: rows[list(names)])


@pytest.mark.parametrize("more", [{}, {"z": [21, 22, 23, 24, 25, 26]}])
def test_columns_raise_with_the_row_when_a_time_occurs_twice_and_nothing_names_series(
    more: dict[str, Sequence[object]],
) -> None:
    table = {"day": [*DAYS[:5], DAYS[2]], "sales": COUNTS, **more}
    with pytest.raises(RowError, match="column 'day': '2020-01-03' occurs twice and no") as error:
        find(table)
    assert error.value.row == 5


@pytest.mark.parametrize(
    ("cell", "number"), [("3.5", True), ("-1e9", True), ("sun", False), ("--", False)]
)
def test_kind_of_tries_no_format_of_times_when_cells_cannot_be_times(
    cell: str, number: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To try them for each of thousands of columns took longer than all else."""
    monkeypatch.delattr(schema, "parse_times")
    kind = kind_of(pd.Series([cell] * 9, dtype="str"), ("",), ".")
    assert (kind.number, kind.whole, kind.time) == (number, False, False)


@pytest.mark.parametrize("cell", ["2020-01-31", "Jan 2020", "20200131", "31.01.2020"])
def test_kind_of_finds_times_when_cells_are_some(cell: str) -> None:
    assert kind_of(pd.Series([cell] * 9, dtype="str"), ("",), ".").time


def test_columns_are_told_apart_two_at_a_time_when_any_of_many_could_name_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To go through all columns for each of a thousand took longer than to train."""
    widths, duplicated = [], pd.DataFrame.duplicated

    def counted(table: pd.DataFrame) -> pd.Series[bool]:
        widths.append(table.shape[1])
        return duplicated(table)

    monkeypatch.setattr(pd.DataFrame, "duplicated", counted)
    table = {"ds": TWICE, "y": NUMBERS} | {f"x{k}": list("aaabbb") for k in range(20)}
    with pytest.raises(DataError, match="the id column could be 'x0', .* and 12 more"):
        find(table)
    assert widths == [2] * 20


@pytest.mark.parametrize("name", ["", "\ufeffunique_id", "a\tb"])
@pytest.mark.parametrize("columns", [("id", "ds"), ("time", "shop")])
def test_columns_raise_when_the_name_of_one_that_forecasts_repeat_cannot_stand_there(
    columns: tuple[str, str], name: str
) -> None:
    kind, other = columns
    rows = {"id": list("aaabbb"), "time": TWICE}
    table = {name: rows.pop(kind), other: next(iter(rows.values())), "y": NUMBERS}
    with pytest.raises(DataError) as error:
        find(table)
    told = f"the {kind} column is called {ascii(name)}, which forecasts cannot repeat; rename it"
    assert str(error.value) == told
