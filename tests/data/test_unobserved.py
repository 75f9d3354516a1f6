"""Series without an observed value: left out, and the others are as without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.actuals import read_actuals
from rnnforecast.data.column_doubts import find_column_doubts
from rnnforecast.data.doubts import Series, find_doubts
from rnnforecast.data.faults import Fault
from rnnforecast.data.profiling import Profile
from rnnforecast.data.reading import Table, lay_rows, parse_table
from rnnforecast.data.rows import find_rows
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError
from rnnforecast.workflows.keeping import digest_of

DAYS = list(pd.date_range("2020-01-06", periods=70).strftime("%Y-%m-%d"))
WAVE = [f"{50 + 10 * np.sin(2 * np.pi * k / 7) + k / 9 + k * k % 5:.2f}" for k in range(70)]
CONFIG = DataConfig(static_columns=("size",), past_columns=("p",), future_columns=("f",))
Row = tuple[str, str, str, int, int, int]


def read(rows: Sequence[Row], resample: str | None = None) -> Table:
    lines = [",".join(map(str, row)) for row in [("id", "ds", "y", "size", "p", "f"), *rows]]
    text = "\n".join(lines).encode()
    return parse_table(Source("f.csv", text), replace(CONFIG, resample=resample))


def doubts(text: str) -> list[Fault]:
    rows = find_rows(Source("f.csv", text.encode()), DataConfig())
    table = lay_rows(rows, DataConfig())
    found = Series(table, rows, Profile(table.panel))
    return [*find_column_doubts(table, rows), *find_doubts(found)]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Row], set[str]]:
    """Rows in any order, and the ids of which no value is observed."""
    empty = draw(st.sets(st.sampled_from("abcd"), max_size=3))
    rows: list[Row] = []
    for place, name in enumerate("abcd"):
        first, count = draw(st.integers(0, 9)), draw(st.integers(3, 12))
        for day in range(first, first + count):
            y = "" if name in empty else f"{day}.5"
            rows.append((name, DAYS[day], y, place, day * place, -day))
        # What is known ahead stands below the values.
        rows += [(name, DAYS[first + count + k], "", place, 0, k) for k in range(2)]
    return draw(st.permutations(rows)), empty


@given(tables(), st.sampled_from([None, "2D"]))
@settings(deadline=None)
def test_others_are_read_as_without_them_when_series_have_no_value(
    drawn: tuple[list[Row], set[str]], resample: str | None
) -> None:
    rows, empty = drawn
    table = read(rows, resample)
    alone = read([row for row in rows if row[0] not in empty], resample)
    assert digest_of(table) == digest_of(alone)
    assert empty <= set(table.unobserved) and not set(table.unobserved) & set(table.panel.ids)


def test_times_are_of_no_matter_to_the_grid_when_a_series_has_no_value() -> None:
    rows = [("a", day, "5", 0, 0, 0) for day in DAYS[:9]]
    twice = [("b", "2020-01-07", "", 0, 0, 0)] * 2 + [("b", "2020-01-07 05:03", "", 0, 0, 0)]
    assert digest_of(read([*rows, *twice])) == digest_of(read(rows))


def test_reading_raises_when_no_value_may_be_missing_and_a_series_has_none() -> None:
    source = Source("f.csv", b"ds,a,b\n1,5,\n2,6,\n")
    told = "^f.csv: series 'b': no value is observed; fill in values, or pass --missing mask to lea"
    with pytest.raises(DataError, match=told):
        parse_table(source, DataConfig(missing="error"))


def test_columns_are_left_out_when_wide_ones_have_no_value() -> None:
    table = parse_table(Source("f.csv", b"ds,b,a,c\n1,,20,\n2,,21,\n3,,,\n"), DataConfig())
    assert table.panel.ids == ("a",) and table.panel.values.tolist() == [20, 21]
    assert table.unobserved == ("b", "c") and table.ignored == ()
    assert table.config.target_columns == ("a",)


def test_actuals_are_those_of_the_others_when_a_series_has_no_value(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("id,t,y\na,1,5\na,2,6\nb,1,\n")
    two.write_text("id,t,y\na,3,7\nb,2,NA\nc,3,\n")
    table = read_actuals([str(one), str(two)], DataConfig())
    assert table.panel.ids == ("a",) and table.panel.values.tolist() == [5, 6, 7]
    assert table.unobserved == ("b", "c")
    # Of the others each has one row, so that steps follow each other.
    one.write_text("id,t,y\na,1,5\nb,1,\nb,2,\nc,1,6\n")
    table = read_actuals([str(one)], DataConfig())
    assert table.panel.ids == ("a", "c") and table.unobserved == ("b",)


def test_column_that_goes_on_is_told_by_series_with_values_alone() -> None:
    rows = [f"a,{day},{y},{k}" for k, (day, y) in enumerate(zip(DAYS, WAVE, strict=True))]
    told = [
        [doubt.remedy for doubt in doubts("\n".join(["id,ds,y,wind", *rows, *more]))]
        for more in ([], [f"e,{day},,5" for day in DAYS], [f"a,2020-03-16,,{len(rows)}"])
    ]
    assert told[0] == ["pass --past wind if it tells of the target"]
    assert told[1][0] == told[0][0]
    assert told[2] == ["pass --future wind if it is known ahead, else --past wind"]


def test_doubts_name_the_right_row_and_column_when_an_earlier_series_has_no_value() -> None:
    stuck = [*WAVE[:50], *["9"] * 20]
    none, *_ = found = doubts(
        "ds,a,b\n" + "".join(f"{day},,{y}\n" for day, y in zip(DAYS, stuck, strict=True))
    )
    assert none.problem == "series 'a': no value is observed" and none.row is None
    assert [(doubt.row, doubt.column, doubt.series) for doubt in found[1:]] == [(50, "b", "b")]
    swapped = [("a", day, "") for day in reversed(DAYS[:9])]
    rows = [*swapped, *(("b", day, y) for day, y in zip(DAYS, stuck, strict=True))]
    found = doubts("id,ds,y\n" + "".join(",".join(row) + "\n" for row in rows))
    assert [(doubt.row, doubt.column, doubt.series) for doubt in found[1:]] == [(59, "y", "b")]
