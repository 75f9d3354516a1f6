"""Covariates as tables have them, and where they lie beside the series."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.covariates import Covariates, with_categories
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError
from rnnforecast.workflows.keeping import digest_of

LONG = DataConfig(
    id_column="id",
    time_column="t",
    target_columns=("y",),
    past_columns=("p",),
    future_columns=("f",),
)
WIDE = replace(LONG, id_column=None)


def read(text: str, config: DataConfig = LONG) -> Table:
    return parse_table(Source("f.csv", text.encode()), config)


def cells(table: Table, name: str) -> dict[str, list[object]]:
    """Of each series the cells of a column, as they were written; None where missing."""
    assert table.covariates is not None
    column = table.covariates.by_name[name]
    offsets = {"past": table.covariates.offsets, "future": table.covariates.future_offsets}
    ends = offsets.get(column.role, np.arange(len(table.panel) + 1))
    found = [
        None if not known else value if column.texts is None else column.texts[int(value)]
        for value, known in zip(column.values.tolist(), column.observed, strict=True)
    ]
    return {name: found[ends[i] : ends[i + 1]] for i, name in enumerate(table.panel.ids)}


CELLS = st.tuples(
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "3", "0.5"]),
    st.sampled_from(["", "red", "blue"]),
)
STEPS = 8


@given(
    st.lists(CELLS, min_size=2 * STEPS, max_size=2 * STEPS).filter(
        lambda rows: any(row[0] for row in rows[:STEPS]) and any(row[0] for row in rows[STEPS:])
    ),
    st.permutations(range(2 * STEPS)),
    st.integers(0, STEPS - 1),
)
@settings(max_examples=40, deadline=None)
def test_covariates_lie_where_a_loop_lays_them_when_rows_are_in_any_order(
    rows: list[tuple[str, str, str]], order: list[int], absent: int
) -> None:
    keys = [("ab"[place // STEPS], place % STEPS) for place in range(2 * STEPS)]
    written = [place for place in order if place != absent or rows[place][0]]
    text = "id,t,y,p,f\n" + "".join(
        ",".join([keys[place][0], str(keys[place][1]), *rows[place]]) + "\n" for place in written
    )
    table = read(text, replace(LONG, categorical_columns=("f",)))
    past, future = cells(table, "p"), cells(table, "f")
    for name in table.panel.ids:
        own = {keys[place][1]: rows[place] for place in written if keys[place][0] == name}
        observed = [step for step, row in own.items() if row[0]]
        first, last = min(observed), max(observed)
        reach = max([last, *(step for step, row in own.items() if row[2])])
        none = ("", "", "")
        assert past[name] == [
            float(cell) if (cell := own.get(step, none)[1]) else None
            for step in range(first, last + 1)
        ]
        assert future[name] == [own.get(step, none)[2] or None for step in range(first, reach + 1)]


def test_covariates_are_none_when_no_column_is_named() -> None:
    assert read("id,t,y\na,1,2\na,2,3\n", DataConfig()).covariates is None


def test_rows_without_target_are_the_future_when_they_follow_the_last_value() -> None:
    table = read("id,t,y,p,f\na,1,5,1,10\na,2,6,2,20\na,3,,3,30\na,5,,4,50\n")
    assert table.panel.lengths.tolist() == [2]
    assert cells(table, "p") == {"a": [1, 2]}
    assert cells(table, "f") == {"a": [10, 20, 30, None, 50]}


def test_covariates_are_shared_by_all_series_when_the_form_is_wide() -> None:
    config = DataConfig(past_columns=("p",), future_columns=("f",), static_columns=("s",))
    table = read("ds,one,two,p,f,s\n1,5,,1,x,7\n2,6,8,2,y,7\n3,,9,3,z,\n4,,,4,w,\n", config)
    assert table.panel.ids == ("one", "two")
    assert cells(table, "p") == {"one": [1, 2], "two": [2, 3]}
    assert cells(table, "f") == {"one": list("xyzw"), "two": list("yzw")}
    assert cells(table, "s") == {"one": [7], "two": [7]}
    assert table.ignored == ()


def test_covariates_are_no_series_when_the_form_is_wide_with_one_target() -> None:
    table = read(
        "t,p,y,f\n1,1,5,9\n2,2,6,9\n", DataConfig(past_columns=("p",), future_columns=("f",))
    )
    assert table.panel.ids == ("y",)
    assert cells(table, "p") == {"y": [1, 2]}


def test_static_value_is_the_one_that_rows_agree_on_when_some_are_empty() -> None:
    config = DataConfig(static_columns=("s",))
    table = read("id,t,y,s\na,1,5,\na,2,6,x\nb,1,5,y\nb,2,6,y\nc,1,5,\nc,2,6,\n", config)
    assert cells(table, "s") == {"a": ["x"], "b": ["y"], "c": [None]}


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (["1", "2.5", "", "-3e2"], None),
        (["true", "false", "true", ""], ("false", "true")),
        (["True", "False", "True", "1"], ("1", "False", "True")),
        (["a", "b", "1", "2"], ("1", "2", "a", "b")),
        (["", "", "", ""], None),
        (["NA", "nan", "null", "7"], None),
    ],
)
def test_column_is_numeric_when_every_observed_cell_is_a_number(
    column: list[str], texts: tuple[str, ...] | None
) -> None:
    text = "id,t,y,f\n" + "".join(f"a,{step},1,{cell}\n" for step, cell in enumerate(column))
    table = read(text, DataConfig(future_columns=("f",)))
    assert table.covariates is not None
    assert table.covariates.by_name["f"].texts == texts
    assert table.config.categorical_columns == (("f",) if texts else ())


def test_numbers_are_categories_when_asked_for() -> None:
    table = read(
        "id,t,y,f\na,1,5,10\na,2,6,9\na,3,6,010\n",
        DataConfig(future_columns=("f",), categorical_columns=("f",)),
    )
    assert cells(table, "f") == {"a": ["10", "9", "010"]}


def test_numbers_are_read_when_decimals_are_commas() -> None:
    table = read("id;t;y;f\na;1;5,5;1,5\na;2;6,5;2\n", DataConfig(future_columns=("f",)))
    assert cells(table, "f") == {"a": [1.5, 2]}


def test_cells_are_missing_when_a_mark_is_asked_for() -> None:
    table = read(
        "id,t,y,f\na,1,5,?\na,2,6,2\n", DataConfig(future_columns=("f",), na_values=("?",))
    )
    assert cells(table, "f") == {"a": [None, 2]}


HEAD = "id,t,y,p,f\na,1,5,1,1\na,2,6,2,2\n"


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        (
            HEAD + "a,3,6,low,3\na,4,6,4,4\n",
            LONG,
            "f.csv:4: column 'p': 'low' is not a number; correct it, pass it as --na-values, or "
            "pass --categorical p",
        ),
        (
            HEAD + "a,3,6,3,inf\n",
            LONG,
            "f.csv:4: column 'f': 'inf' is infinite or too large to square; correct the cell or "
            "leave it empty",
        ),
        (HEAD + "a,3,6,-1e101,3\n", LONG, "f.csv:4: column 'p': '-1e101' is infinite or too large"),
        (
            HEAD + "a,3,6,2,3\n",
            replace(LONG, past_columns=(), static_columns=("p",)),
            "f.csv:3: column 'p': series 'a' has 2 here and 1 before, but is to be static; correct "
            "it, or pass the column as --past or --future",
        ),
        (
            "t,p,y,f\n1,x,5,1\n2,y,6,2\n",
            DataConfig(static_columns=("p",), future_columns=("f",)),
            "f.csv:3: column 'p': series 'y' has 'y' here and 'x' before",
        ),
        (
            HEAD + "a,9999,,,3\n",
            LONG,
            "f.csv:4: column 't': series 'a' has no value in the 9997 steps up to this row, and "
            "few rows between; correct the time or remove the row",
        ),
        (HEAD, replace(LONG, past_columns=("q",)), "there is no column 'q'; the header has 'id'"),
        (HEAD, replace(LONG, past_columns=("y",)), "column 'y' is asked for twice; --id-col, "),
        (HEAD, replace(LONG, future_columns=("t",)), "column 't' is asked for twice; --id-col, "),
    ],
)
def test_fault_is_named_by_line_and_column_when_a_cell_cannot_be_used(
    text: str, config: DataConfig, message: str
) -> None:
    with pytest.raises(DataError) as raised:
        read(text, config)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_covariates_may_come_from_another_table_when_the_first_lacks_them() -> None:
    table = read(HEAD, replace(LONG, static_columns=("s",), future_columns=("f", "g")))
    assert table.covariates is not None
    assert tuple(table.covariates.by_name) == ("p", "f")


def test_numbers_are_averaged_and_the_last_category_kept_when_rows_share_a_step() -> None:
    config = replace(LONG, resample="10", time_column="t")
    table = read("id,t,y,p,f\na,1,5,1,x\na,4,5,2,y\na,12,6,3,x\na,18,,5,\na,21,7,0,z\n", config)
    assert cells(table, "p") == {"a": [1.5, 4, 0]}
    assert cells(table, "f") == {"a": ["y", "x", "z"]}


@pytest.mark.parametrize(
    ("how", "numbers"), [("mean", [1.5, 4]), ("sum", [1.5, 4]), ("last", [2, 5])]
)
def test_covariates_of_a_step_go_by_time_when_rows_are_backwards(
    how: str, numbers: list[float]
) -> None:
    config = replace(LONG, resample="10", aggregate=how)
    rows = ["a,1,5,1,x", "a,4,5,2,y", "a,12,6,3,x", "a,18,5,5,", "a,19,5,,"]
    for order in (rows, rows[::-1]):
        table = read("id,t,y,p,f\n" + "\n".join(order) + "\n", config)
        assert cells(table, "f") == {"a": ["y", "x"]}
        assert cells(table, "p") == {"a": numbers}


ROWS = st.tuples(
    st.sampled_from("ab"),
    st.integers(0, 39),
    st.sampled_from(["", "0.1", "0.2", "0.7"]),
    st.sampled_from(["", "0.1", "0.3", "1e15", "-1e15"]),
    st.sampled_from(["", "red", "blue"]),
)


@given(st.data(), st.sampled_from(["mean", "sum", "last"]))
@settings(deadline=None)
def test_table_is_the_same_to_the_bit_when_rows_of_steps_are_shuffled(
    data: st.DataObject, how: str
) -> None:
    observed = [("a", 0, "1", "", ""), ("b", 3, "1", "", "")]
    rows = observed + data.draw(st.lists(ROWS, min_size=2, max_size=20))
    shuffled = data.draw(st.permutations(rows))
    config = replace(LONG, resample="10", aggregate=how, categorical_columns=("f",))
    first, second = (
        read("id,t,y,p,f\n" + "".join(f"{','.join(map(str, row))}\n" for row in each), config)
        for each in (rows, shuffled)
    )
    assert digest_of(first) == digest_of(second)
    for name in ("p", "f"):
        assert repr(sorted(cells(first, name).items())) == repr(sorted(cells(second, name).items()))


def test_categories_are_told_to_the_configuration_when_some_were_asked_for() -> None:
    table = read("id,t,y,p,f\na,1,5,1,x\na,2,5,2,y\n")
    config = replace(LONG, static_columns=("s",), categorical_columns=("s",))
    assert with_categories(config, table.covariates).categorical_columns == ("s", "f")
    assert with_categories(config, None) == config


def column(table: Table, name: str) -> list[float]:
    assert table.covariates is not None
    return [float(value) for value in table.covariates.by_name[name].values]


def test_added_values_fill_in_older_ones_and_revise_those_ahead_when_they_are_known() -> None:
    first = read("id,t,y,p,f\na,1,5,1,\na,2,5,,z\na,3,,,z\nb,1,1,0,x\nb,2,2,1,\n")
    other = read("id,t,y,p,f\na,1,5,7,x\na,2,5,2,y\na,3,,,w\nb,1,1,,w\nb,2,2,,\n")
    assert isinstance(first.covariates, Covariates) and other.covariates is not None
    both = replace(first, covariates=first.covariates.with_added(other.covariates, LONG))
    assert cells(both, "p") == {"a": [1, 2], "b": [0, 1]}
    assert cells(both, "f") == {"a": ["x", "z", "w"], "b": ["x", None]}
    contradicted = first.covariates.contradicted(other.covariates, first.panel)
    assert contradicted == ("p", "a", "1", 3)
    assert both.covariates is not None
    assert both.covariates.by_name["f"].texts == ("w", "x", "y", "z")


def test_added_column_decides_the_kind_when_the_older_has_no_value() -> None:
    first = read("id,t,y,p,f\na,1,5,1,\na,2,5,2,\n")
    other = read("id,t,y,p,f\na,1,5,,x\na,2,5,,y\n")
    assert first.covariates is not None and other.covariates is not None
    both = replace(first, covariates=first.covariates.with_added(other.covariates, LONG))
    assert cells(both, "f") == {"a": ["x", "y"]}
    kept = replace(first, covariates=other.covariates.with_added(first.covariates, LONG))
    assert cells(kept, "f") == {"a": ["x", "y"]}
    assert column(both, "p") == [1, 2]
    assert not math.isnan(column(kept, "p")[0])
