"""From the bytes of a table to a panel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table, parse_table, read_table
from rnnforecast.data.source import Source
from rnnforecast.errors import ConfigError, DataError

SAMPLES = Path(__file__).parents[2] / "sample_data"
NAN = math.nan
DAYS = list(pd.date_range("2020-01-01", periods=8).strftime("%Y-%m-%d"))
LONG = "unique_id,ds,y\n" + "".join(
    f"{i},{day},{k}.5\n" for i in "ab" for k, day in enumerate(DAYS)
)
LINES = LONG.splitlines()


def read(text: str, **asked: object) -> Table:
    return parse_table(Source("f.csv", text.encode()), DataConfig(**asked))  # type: ignore[arg-type]


def series(panel: Panel) -> dict[str, list[float]]:
    return {name: panel.series(i).tolist() for i, name in enumerate(panel.ids)}


def long(rows: Sequence[tuple[str, int, str]]) -> str:
    return "unique_id,ds,y\n" + "".join(f"{i},{t},{y}\n" for i, t, y in rows)


def replaced(line: int, text: str) -> str:
    """LONG with another text on a line."""
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n"


def test_table_holds_what_was_found_when_the_form_is_long() -> None:
    table = read(LONG.replace("y\n", "y,note\n", 1).replace(".5\n", ".5,ok\n"))
    assert table.ignored == ("note",)
    assert table.config == DataConfig(
        id_column="unique_id",
        time_column="ds",
        target_columns=("y",),
        separator=",",
        decimal=".",
        time_format="ISO8601",
    )
    assert series(table.panel) == {name: [k + 0.5 for k in range(8)] for name in "ab"}
    assert str(table.panel.frequency) == "day"
    assert list(table.panel.frequency.format(table.panel.starts)) == [DAYS[0]] * 2


def test_table_holds_a_series_a_column_when_the_form_is_wide() -> None:
    panel = read("ds,b,a\n1,10,20\n2,,21\n3,12,\n").panel
    assert panel.ids == ("b", "a")
    assert np.array_equal(panel.values, [10, NAN, 12, 20, 21], equal_nan=True)
    assert panel.lengths.tolist() == [3, 2]


SAME = {
    "semicolons": LONG.replace(",", ";"),
    "tabs": LONG.replace(",", "\t"),
    "bars": LONG.replace(",", "|"),
    "decimal commas": LONG.replace(",", ";").replace(".5", ",5"),
    "CRLF": LONG.replace("\n", "\r\n"),
    "CR": LONG.replace("\n", "\r"),
    "no last newline": LONG.rstrip("\n"),
    "blank lines": "\n\n" + LONG.replace("\n", "\n\n") + "\n  \n",
    "spaces": LONG.replace(",", " , ").replace("\n", " \n"),
    "quotes": '"' + LONG.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
    "spaces before quotes": LONG.replace("a,", ' "a",'),
    "unsorted": "\n".join([LINES[0], *LINES[8:0:-1], *LINES[:8:-1]]),
    "interleaved": "\n".join([LINES[0], *(LINES[k + 8 * s] for k in range(1, 9) for s in (0, 1))]),
    "other order": "ds,y,unique_id\n"
    + "".join(",".join([*line.split(",")[1:], line.split(",")[0]]) + "\n" for line in LINES[1:]),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_panel_is_the_same_when_the_table_is_written_otherwise(text: str) -> None:
    panel = read(text).panel
    assert series(panel) == series(read(LONG).panel)
    assert panel.starts.tolist() == read(LONG).panel.starts.tolist()


def test_ids_stay_text_when_they_look_like_numbers_or_gaps() -> None:
    ids = ("007", "7", "1.50", "NA", "nan", "true", "1e3")
    panel = read(long([(name, k, "1") for name in ids for k in range(3)])).panel
    assert panel.ids == ids


def test_floats_are_read_exactly() -> None:
    values = [0.1, 1 / 3, 5e-324, 9.7976931348623157e99, 2.675, -123456.78901234567]
    panel = read(long([("a", k, repr(value)) for k, value in enumerate(values)])).panel
    assert panel.values.tolist() == values


def test_cells_are_missing_when_empty_or_named_so() -> None:
    marks = ["", "NaN", "nan", "NA", "null", "NULL", "-", "NA ", " "]
    rows = [("a", k, mark) for k, mark in enumerate(["1", *marks, "2"])]
    panel = read(long(rows), na_values=("-",)).panel
    assert np.isnan(panel.values).tolist() == [False, *[True] * len(marks), False]


def test_gaps_become_nan_and_missing_ends_are_trimmed() -> None:
    rows = [("a", 1, ""), ("a", 2, "5"), ("a", 5, "7"), ("a", 6, ""), ("b", 4, "1"), ("b", 5, "2")]
    panel = read(long(rows)).panel
    assert np.array_equal(panel.values, [5, NAN, NAN, 7, 1, 2], equal_nan=True)
    assert panel.starts.tolist() == [2, 4]
    assert panel.offsets.tolist() == [0, 4, 6]


def test_numbers_are_read_when_some_cells_only_python_understands() -> None:
    text = "ds;a;b\n1;1,5;+2\n2;NA ;,5\n3;1e3;3,\n"
    panel = read(text).panel
    assert np.array_equal(panel.values, [1.5, NAN, 1000, 2, 0.5, 3], equal_nan=True)


FAULTS = {
    "text": (replaced(4, "a,2020-01-03,n/a"), r"4: column 'y': 'n/a' is not a number; pass --na-v"),
    "hex": (replaced(4, "a,2020-01-03,0x1F"), r"4: column 'y': '0x1F' is not a number"),
    "underscore": (replaced(4, "a,2020-01-03,1_0"), r"4: column 'y': '1_0' is not a number"),
    "thousands": (
        replaced(4, 'a,2020-01-03,"1,500"'),
        r"4: column 'y': '1,500' is not a number; pass --decimal, or write it without thousands",
    ),
    "thousands and decimal comma": (
        LONG.replace(",", ";").replace("2.5", "1.002,5"),
        r"4: column 'y': '1\.002,5' is not a number; write it without thousands",
    ),
    "infinity": (replaced(4, "a,2020-01-03,-inf"), "4: column 'y': the value is infinite; correct"),
    "too large": (
        replaced(4, "a,2020-01-03,-1e101"),
        r"4: column 'y': -1e\+101 is too large to square; divide the column by a power of ten",
    ),
    "overflow": (replaced(4, "a,2020-01-03,1e400"), "4: column 'y': the value is infinite"),
    "key twice": (
        LONG + LINES[3] + "\n",
        "18: column 'ds': series 'a' has this time twice; remove one of the rows",
    ),
    "key twice after trimming": (
        replaced(9, "a ,2020-01-07,5"),
        "9: column 'ds': series 'a' has this time twice",
    ),
    "no id": (replaced(4, " ,2020-01-03,5"), "4: column 'unique_id': the id is empty; name"),
    "no time": (replaced(4, "a,,5"), "4: column 'ds': the time is empty; fill it in or remove"),
    "odd time": (
        replaced(4, "a,03/01/2020,5"),
        "4: column 'ds': '03/01/2020' is no time in the format of the other rows; correct it or",
    ),
    "between steps": (
        replaced(4, "a,2020-01-03T07:00:00,5"),
        "4: column 'ds': series 'a' has a row every day, but this one lies between two; correct",
    ),
    "repeated header": (LONG + LONG, "18: the header is repeated here; remove the row"),
    "after a long cell": (
        replaced(3, '"a\n\nx",2020-01-02,1').replace(LINES[3], "a,2020-01-03,?"),
        r"6: column 'y': '\?' is not a number",
    ),
    "after blank lines": (
        "\n\n" + replaced(4, "\n  \na,2020-01-03,?"),
        r"8: column 'y': '\?' is not a number",
    ),
    "too few cells": (replaced(4, "a,2020-01-03"), "4: 2 cells, but the header has 3; complete"),
    "too many cells": (replaced(4, "a,2020-01-03,1,2"), "4: 4 cells, but the header has 3"),
    "all rows too long": (LONG.replace(".5", ".5,"), "2: 4 cells, but the header has 3; complete"),
    "one column": (
        LONG.replace(",", ":"),
        "1: the header is a single column, 'unique_id:ds:y'; pass --sep, or remove the lines",
    ),
    "a title": ("Sales\n" + LONG, "1: the header is a single column, 'Sales'; pass --sep, or re"),
    "no header": (
        "\n" + "\n".join(line[2:] for line in LINES[1:9]),
        "2: the first line has values such as '2020-01-01' rather than names; add a header line",
    ),
    "no header, day or month first": (
        "01/02/2020,5\n02/02/2020,6\n13/02/2020,7\n",
        "1: the first line has values such as '01/02/2020' rather than names",
    ),
    "time twice": (
        "ds,y\n1,5\n2,6\n\n2,7\n",
        "5: column 'ds': '2' occurs twice and no column names the series; remove one",
    ),
    "other frequency": (
        LONG
        + "".join(f"c,{day} 00:00:00,1\n" for day in ("2020-01-08", "2020-01-15"))
        + "c,2020-01-22,1\nc,2020-01-29,1\n",
        "18: column 'ds': series 'c' has a row every week, the others every day; all series",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_reading_raises_with_line_and_remedy_when_a_row_is_faulty(text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"^f\.csv:{message}"):
        read(text)


FAULTY_FILES = {
    "an odd blank alone": ("\u2028", "there is no header; add one and rows below it"),
    "quotes alone": ('""\n" "\n', "there is no header; add one and rows below it"),
    "header alone": (LINES[0], "there is a header but no row; add rows below it"),
    "repeated name": (LONG.replace("ds,y", "y,y "), "the header repeats the column 'y'; rename"),
    "no values": (
        long([("a", 1, ""), ("a", 2, "")]),
        "series 'a': no value is observed; fill in values or remove the series",
    ),
    "no values in many": (
        long([(f"s{k}", t, "") for k in range(7) for t in (1, 2)]),
        "series 's0', 's1', 's2', 's3', 's4' and 2 more: no value is observed",
    ),
    "one row each": (
        long([("a", 1, "5"), ("b", 1, "6")]),
        "no series has two rows, so the frequency cannot be found; pass a file with more rows",
    ),
    "an outlying time": (
        long([("a", k, "1") for k in (*range(20), 10**12)]),
        "series 'a': only 21 of 1000000000001 values are there at one a step; correct its times",
    ),
    "day or month first": (
        "ds,y\n01/02/2020,5\n02/02/2020,6\n03/02/2020,7\n",
        "column 'ds': the times could be in the format %d/%m/%Y or %m/%d/%Y; pass --time-format",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTY_FILES.values(), ids=FAULTY_FILES)
def test_reading_raises_with_the_series_or_column_when_a_file_is_faulty(
    text: str, message: str
) -> None:
    with pytest.raises(DataError, match=rf"^f\.csv: {message}"):
        read(text)


def test_reading_raises_with_line_and_column_when_a_wide_cell_is_faulty() -> None:
    with pytest.raises(DataError, match=r"^f\.csv:3: column 'b': 'x' is not a number"):
        read("ds,a,b\n1,2,3\n2,3,x\n3,y,4\n4,5,6\n")
    with pytest.raises(DataError, match=r"^f\.csv:4: column 'b': the value is infinite"):
        read("ds,a,b\n1,2,3\n2,3,3\n3,4,inf\n")
    with pytest.raises(DataError, match=r"^f\.csv:4: column 'ds': series 'a' has a row every day"):
        read(
            "ds,a,b\n" + "\n".join(f"{day},1,2" for day in [*DAYS[:2], "2020-01-03 05", *DAYS[3:]])
        )


def test_series_of_another_step_are_named_when_months_are_common() -> None:
    months = pd.date_range("2019-01-01", periods=24, freq="MS").strftime("%Y-%m-%d")
    rows = [("a", day, "1") for day in months] + [("q", day, "1") for day in months[::3]]
    with pytest.raises(DataError, match=":26: .*'q' has a row every quarter, the others every mon"):
        read(long(rows))  # type: ignore[arg-type]


def test_a_series_with_many_gaps_is_kept_when_its_steps_vary() -> None:
    rows = [("a", k, "1") for k in range(30)] + [("b", k, "1") for k in (0, 3, 6, 8, 13, 14, 20)]
    assert np.isfinite(read(long(rows)).panel.series(1)).sum() == 7


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            {"time_format": "%d/%m/%Y"},
            DataError,
            r":2: column 'ds': '2020-01-01' is not in the for",
        ),
        (
            {"time_format": "%Q"},
            ConfigError,
            "time_format must be a strptime format such as %d/%m/%Y, got '%Q'",
        ),
        ({"separator": ";"}, DataError, ":1: the header is a single column"),
        (
            {"target_columns": ("z",)},
            DataError,
            "there is no column 'z'; the header has 'unique_id'",
        ),
    ],
)
def test_reading_raises_when_what_was_asked_does_not_fit(
    asked: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(LONG, **asked)


@pytest.mark.parametrize(
    ("name", "count", "frequency"),
    [
        ("passengers", 1, "month"),
        ("stocks", 4, "business day"),
        ("population", 24, "step"),
        ("demand", 3, "hour"),
    ],
)
def test_samples_are_read_without_any_option(name: str, count: int, frequency: str) -> None:
    path = str(SAMPLES / f"{name}.csv")
    table = read_table(path, DataConfig())
    rows = len(pd.read_csv(path))
    assert (len(table.panel), str(table.panel.frequency)) == (count, frequency)
    assert np.isfinite(table.panel.values).sum() == rows
    assert (table.name, len(table.sha256)) == (path, 64)
