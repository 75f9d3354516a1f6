"""What check doubts in series, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.column_doubts import find_column_doubts
from rnnforecast.data.doubts import Series, find_doubts
from rnnforecast.data.faults import Fault
from rnnforecast.data.profiling import Profile
from rnnforecast.data.reading import lay_rows, parse_table
from rnnforecast.data.rows import find_rows
from rnnforecast.data.source import Source

DAYS = list(pd.date_range("2020-01-06", periods=70).strftime("%Y-%m-%d"))
WAVE = [f"{50 + 10 * np.sin(2 * np.pi * k / 7) + k / 9 + k * k % 5:.2f}" for k in range(70)]
OTHER = [f"{80 + 9 * np.cos(2 * np.pi * k / 7) + k * k % 7:.2f}" for k in range(70)]


def long(**series: Sequence[object]) -> str:
    rows = [
        f"{name},{day},{y}" for name, ys in series.items() for day, y in zip(DAYS, ys, strict=False)
    ]
    return "\n".join(["unique_id,ds,y", *rows]) + "\n"


def doubts(text: str) -> list[Fault]:
    config = DataConfig()
    rows = find_rows(Source("f.csv", text.encode()), config)
    table = lay_rows(rows, config)
    found = Series(table, rows, Profile(table.panel))
    return [*find_column_doubts(table, rows), *find_doubts(found)]


def test_nothing_is_doubted_when_series_are_sound() -> None:
    assert doubts(long(a=WAVE, b=OTHER)) == []


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        (
            long(a=WAVE[:30] + [""] * 3 + WAVE[33:], b=OTHER),
            33,
            "series 'a': 3 of 70 values are missing (4.3%), at most 3 in a row, after which this",
        ),
        (long(a=WAVE, b=OTHER[:4]), None, "series 'b' has 4 values, too few to learn from"),
        (long(a=WAVE, b=["5"] * 70), None, "series 'b' is constant at 5"),
        (
            long(a=WAVE[:50] + ["9"] * 20, b=OTHER),
            50,
            "series 'a': its last 20 values, from here on, are all 9",
        ),
        (
            long(a=WAVE, b=[*OTHER[:20], "90000", *OTHER[21:]]),
            90,
            "series 'b': 90000 lies ",
        ),
        (
            long(a=[k % 6 + 1 for k in range(40)] + [-2] + [k % 6 for k in range(29)], b=OTHER),
            40,
            "series 'a': -2 is negative among counts",
        ),
        (
            long(a=[4 * (k % 3 == 0) + k % 6 // 3 for k in range(70)], b=OTHER),
            None,
            "series 'a' is ",
        ),
        (long(a=WAVE, b=WAVE), None, "series 'b' repeats series 'a'"),
        (
            long(a=WAVE, b=OTHER[:40]),
            None,
            "series 'b' ends at 2020-02-14, and 1 of 2 series end before 2020-03-15",
        ),
        (
            long(a=WAVE, b=OTHER)
            .replace(f"a,{DAYS[9]}", "a,x")
            .replace(f"a,{DAYS[8]}", f"a,{DAYS[9]}")
            .replace("a,x", f"a,{DAYS[8]}"),
            9,
            "1 rows are earlier than the rows before them, such as this one",
        ),
        (
            long(a=[*range(300, 350), *(f"{k // 10}.{100 + k}" for k in range(20, 40))]),
            50,
            "'2.120' may be a whole number with a mark of thousands",
        ),
    ],
)
def test_doubts_name_the_row_or_the_series(text: str, row: int | None, problem: str) -> None:
    found = [fault for fault in doubts(text) if fault.problem.startswith(problem)]
    assert len(found) == 1, doubts(text)
    assert found[0].row == row and found[0].remedy


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            [
                f"{t.isoformat()}"
                for t in pd.date_range("2020-03-27", periods=96, freq="h", tz="Europe/Paris")
            ],
            "the times have offsets from UTC that vary, and are read as UTC",
        ),
        (
            [
                f"{t:%Y-%m-%d %H:%M}"
                for t in pd.date_range("2020-03-27", periods=96, freq="h", tz="Europe/Paris")
            ],
            "series 'y': the time 2020-03-29T02:00:00 is missing, as where clocks are set forward",
        ),
        (
            [
                str(pd.Timestamp("2020-01-01") + pd.Timedelta(minutes=int(k)))
                for k in np.cumsum([1, 1, 7] * 20)
            ],
            "values are missing at one a",
        ),
    ],
)
def test_doubts_tell_of_clocks_and_steps(rows: list[str], problem: str) -> None:
    text = "ds,y\n" + "".join(f"{t},{y}\n" for t, y in zip(rows, WAVE * 2, strict=False))
    assert [fault for fault in doubts(text) if problem in fault.problem], doubts(text)


def test_reading_notes_fractions_that_may_be_thousands() -> None:
    text = long(a=[*range(300, 350), *(f"{k // 10}.{100 + k}" for k in range(20, 40))])
    (note,) = parse_table(Source("f.csv", text.encode()), DataConfig()).notes
    assert note.startswith("'2.120' in column 'y' is read as a fraction; if its mark is of")
    other = text.replace("2.120", "2.12")
    assert not parse_table(Source("f.csv", other.encode()), DataConfig()).notes


def test_reading_notes_commas_before_three_digits_each_and_takes_points_for_decimal_marks() -> None:
    commas = "d;y\n" + "".join(f"{d};{k},{107 + k}\n" for k, d in enumerate(DAYS, start=1))
    (note,) = parse_table(Source("f.csv", commas.encode()), DataConfig()).notes
    assert note.startswith("'1,108' in column 'y' is read as a fraction; if its mark is of")
    other = commas.replace("1,108", "0,108")
    for text in (other, commas.replace(",", ".")):
        assert not parse_table(Source("f.csv", text.encode()), DataConfig()).notes
    assert not parse_table(Source("f.csv", commas.encode()), DataConfig(decimal=",")).notes
