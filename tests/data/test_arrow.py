"""Large tables: read by pyarrow to the same panel as by pandas, or to the same error."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data import arrow
from rnnforecast.data import source as sources
from rnnforecast.data.arrow import read_regular
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import LargeFile, Source, open_source
from rnnforecast.errors import RnnForecastError

pytest.importorskip("pyarrow")

FOUND = DataConfig()


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "LARGE", 0)
        yield


def outcome(source: Source, asked: DataConfig, frequency: Frequency | None) -> Table | str:
    try:
        return parse_table(source, asked, frequency)
    except RnnForecastError as error:
        return f"{type(error).__name__}: {error}"


def assert_alike(
    text: bytes, asked: DataConfig = FOUND, frequency: Frequency | None = None
) -> None:
    """Both ways of reading end alike, bit for bit."""
    fast = outcome(Source("f.csv", text), asked, frequency)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "LARGE", len(text) + 1)
        slow = outcome(Source("f.csv", text), asked, frequency)
    if isinstance(fast, str) or isinstance(slow, str):
        assert fast == slow
        return
    assert fast.config == slow.config
    for name in ("name", "sha256", "ignored", "unobserved"):
        assert getattr(fast, name) == getattr(slow, name), name
    assert (fast.panel.ids, fast.panel.frequency) == (slow.panel.ids, slow.panel.frequency)
    for name in ("values", "offsets", "starts"):
        one, other = getattr(fast.panel, name), getattr(slow.panel, name)
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes()), name


def hours(series: int, length: int, first: str = "2020-01-01", step: str = "1h") -> list[str]:
    import pandas as pd

    times = pd.date_range(first, periods=length, freq=step)
    return [
        f"s{one},{time.isoformat(sep=' ')},{one + place / 8}"
        for one in range(series)
        for place, time in enumerate(times)
    ]


def table(rows: list[str], header: str = "unique_id,ds,y") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


ORDINARY: dict[str, tuple[bytes, dict[str, Any]]] = {
    "hours": (table(hours(3, 50)), {}),
    "days": (table(hours(3, 50, step="1D")), {}),
    "weeks": (table(hours(3, 50, step="7D")), {}),
    "microseconds": (table(hours(2, 20, step="250us")), {}),
    "fractions": (table(hours(1, 20, "2020-01-01T00:00:00.5", "1min")), {}),
    "one series": (table(hours(1, 9)), {}),
    "steps": (table([f"a,{place},{place}.5" for place in range(20)]), {}),
    "steps of 5 below 0": (table([f"7,{place},1e-3" for place in range(-50, 50, 5)]), {}),
    "by time": (table(sorted(hours(5, 20), key=lambda row: row.split(",")[1])), {}),
    "shuffled": (table(list(np.random.default_rng(0).permutation(hours(5, 20)))), {}),
    "a gap": (table([row for row in hours(2, 20) if not row.endswith(".25")]), {}),
    "empty cells": (
        table(
            [row[: -1 - row[::-1].index(",") + 1] for row in hours(1, 5)][2:3]
            + hours(1, 2)
            + hours(1, 20)[3:]
        ),
        {},
    ),
    "header in quotes": (table(hours(2, 9), '"unique_id","ds","y"'), {}),
    "CRLF": (table(hours(2, 9)).replace(b"\n", b"\r\n"), {}),
    "blank lines": (b"\n\n" + table(hours(2, 9)).replace(b"s1", b"\ns1"), {}),
    "no last newline": (table(hours(2, 9)).rstrip(), {}),
    "semicolons": (table(hours(2, 9)).replace(b",", b";"), {}),
    "letters": (table(hours(2, 9)).replace(b"s1", "ñandú".encode()), {}),
    "more columns": (
        table([f"{row},q,{row[:2]}" for row in hours(2, 9)], "id,ds,y,z,w"),
        {"target_columns": ("y",)},
    ),
    "one column": (table([row[3:] for row in hours(1, 20)], "ds,y"), {}),
    "wide": (
        table([f"{row[3:]},{place % 3}" for place, row in enumerate(hours(1, 20))], "ds,b,a"),
        {"target_columns": ("b", "a")},
    ),
    "wide with an empty cell": (
        table(
            [f"{row[3:]},{'1' if place != 5 else ''}" for place, row in enumerate(hours(1, 20))],
            "ds,y,z",
        ),
        {"target_columns": ("y", "z")},
    ),
    "a series without a value": (
        table([*(f"e,2020-01-01 0{hour}:30:00," for hour in (2, 1, 1)), *hours(2, 9)]),
        {},
    ),
    "a wide column without a value": (
        table([f"{row[3:]},,{place % 3}" for place, row in enumerate(hours(1, 20))], "ds,b,e,a"),
        {"target_columns": ("b", "e", "a")},
    ),
    "named": (
        table(hours(2, 9), "shop,when,sold"),
        {"id_column": "shop", "time_column": "when", "target_columns": ("sold",)},
    ),
}


@pytest.mark.parametrize(("text", "asked"), ORDINARY.values(), ids=ORDINARY)
def test_table_is_read_by_both_ways_alike_when_it_is_ordinary(
    text: bytes, asked: dict[str, Any]
) -> None:
    config = DataConfig(**asked)
    assert read_regular(Source("f.csv", text), config, None) is not None
    assert_alike(text, config)


def test_empty_cells_are_missing_when_they_lie_within_a_series() -> None:
    regular = read_regular(Source("f.csv", ORDINARY["empty cells"][0]), DataConfig(), None)
    assert regular is not None
    assert list(np.flatnonzero(np.isnan(regular.panel.values))) == [2]


@pytest.mark.parametrize("before_edge", range(4))
def test_table_ends_alike_by_both_ways_when_a_hexadecimal_step_lies_where_blocks_meet(
    before_edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "BLOCK", 4096)
    rows = [f"a,{place},1" for place in range(2000)]
    below = len("\n".join(rows)) + len("\na,")
    rows[0] += "." + "0" * ((-below - 1 - before_edge) % 4096)
    text = table([*rows, "a,0x7d0,1"])
    assert (text.index(b"0x") - text.index(b"a,0")) % 4096 == (-before_edge) % 4096
    assert_alike(text)


UNUSUAL: dict[str, tuple[bytes, dict[str, Any]]] = {
    "hexadecimal": (table([f"a,{place:#x},1" for place in range(20)]), {}),
    "a hexadecimal step later": (
        table([f"a,{place},1" for place in range(2000)] + ["a,0x7d0,1"]),
        {},
    ),
    "compact dates": (table([f"a,202001{day:02d},1" for day in range(1, 30)]), {}),
    "compact months": (table([f"a,2020{month:02d},1" for month in range(1, 13)]), {}),
    "months": (table(hours(2, 20, step="MS")), {}),
    "business days": (table(hours(2, 30, step="B")), {}),
    "days without some": (table([r for r in hours(2, 20, step="1D") if r[-2:] != "25"]), {}),
    "half a row": (table([*hours(2, 20), "s1,2020"]), {}),
    "a cell too many": (table([*hours(2, 20), "s1,2020-03-01,1,1"]), {}),
    "no number": (table([*hours(2, 20), "s1,2020-01-01 20:00:00,one"]), {}),
    "infinite": (table([*hours(2, 20), "s1,2020-01-01 20:00:00,inf"]), {}),
    "large": (table([*hours(2, 20), "s1,2020-01-01 20:00:00,-1e101"]), {}),
    "NAN": (table([*hours(2, 20), "s1,2020-01-01 20:00:00,-NAN", "s1,2020-01-01 21:00:00,1"]), {}),
    "twice": (table([*hours(2, 20), "s1,2020-01-01 19:00:00,1"]), {}),
    "off grid": (table([*hours(2, 20), "s1,2020-01-01 19:30:00,1"]), {}),
    "no id": (table([*hours(2, 20), ",2020-01-01 20:00:00,1"]), {}),
    "no time": (table([*hours(2, 20), "s1,,1"]), {}),
    "spaced id": (table([*hours(2, 20), " s1 ,2020-01-01 20:00:00,1"]), {}),
    "offset": (table([row.replace("00,", "00+01:00,") for row in hours(2, 20)]), {}),
    "quotes": (table(['"s,1"' + row[2:] for row in hours(1, 20)]), {}),
    "an odd quote": (table([*hours(1, 20), 's"0,2020-01-01 20:00:00,1']), {}),
    "a zero byte": (table([*hours(1, 20), "s\0,2020-01-01 20:00:00,1"]), {}),
    "decimal commas": (table([r.replace(",", ";").replace(".", ",") for r in hours(1, 9)]), {}),
    "na": (table([*hours(1, 9), "s0,2020-01-01 09:00:00,-9.0"]), {"na_values": ("-9",)}),
    "no value": (table([row[:-3] + "," for row in hours(1, 9)]), {}),
    "the last missing": (table([*hours(2, 20), "s1,2020-01-01 20:00:00,"]), {}),
    "one row a series": (table(hours(3, 1)), {}),
    "another step": (table(hours(3, 20) + hours(1, 20, step="2h")), {}),
    "a fault in a wide table": (
        table([*(row[3:] + ",1" for row in hours(1, 9)), "2020-01-01 09:00:00,1,x"], "ds,y,z"),
        {"target_columns": ("y", "z")},
    ),
    "a late start": (
        table(["2020-01-01,1,", "2020-01-02,1,1", "2020-01-03,1,1"], "ds,y,z"),
        {"target_columns": ("y", "z")},
    ),
    "times that repeat late": (
        table([row[3:] + f",{row[:2]}" for row in hours(2, 1200)], "ds,y,shop"),
        {},
    ),
    "a long table of two targets": (
        table([f"{row},2" for row in hours(2, 9)], "unique_id,ds,y,z"),
        {"id_column": "unique_id", "target_columns": ("y", "z")},
    ),
    "no header": (table(hours(2, 20)[1:], hours(2, 20)[0]), {}),
    "an old year": (table([row.replace("2020-", "1500-") for row in hours(1, 20)]), {}),
    "sparse": (table([f"a,{place},1" for place in (*range(20), *range(5000, 5020))]), {}),
}


@pytest.mark.parametrize(("text", "asked"), UNUSUAL.values(), ids=UNUSUAL)
def test_table_is_left_to_the_other_way_when_it_is_unusual(
    text: bytes, asked: dict[str, Any]
) -> None:
    config = DataConfig(**asked)
    assert read_regular(Source("f.csv", text), config, None) is None
    assert_alike(text, config)


@pytest.mark.parametrize(
    ("frequency", "ordinary"),
    [
        (Frequency(unit="microsecond", count=3_600_000_000), True),
        (Frequency(unit="microsecond", count=1_800_000_000), False),
        (Frequency(unit="microsecond", count=7_200_000_000), False),
        (Frequency(unit="microsecond", count=3_600_000_000, offset="+01:00"), False),
        (Frequency(unit="step"), False),
        (Frequency(unit="month"), False),
    ],
)
def test_times_are_held_to_the_frequency_of_a_model(frequency: Frequency, ordinary: bool) -> None:
    text = table(hours(2, 9))
    regular = read_regular(Source("f.csv", text), DataConfig(time_format="ISO8601"), frequency)
    assert (regular is not None) == ordinary
    assert_alike(text, DataConfig(time_format="ISO8601"), frequency)


CELLS = {
    "id": ["a", "b", "b ", "NA", "é", "0x1", "", "1"],
    "time": [
        "2020-01-01",
        "2020-01-01 01",
        "2020-01-01T02:00",
        "2020-01-01 03:00:00",
        "2020-01-02",
        "2020-01-01 04:00:00.000001",
        "0001-01-01",
        "2020-1-1",
        "2020-01-01T05:00Z",
        "20200101",
        *map(str, range(-1, 8)),
        "+3",
        "08",
        "0x8",
        " 9",
        "9007199254740993",
        "1.0",
        "",
    ],
    "value": [
        "1",
        "-0.0",
        "0.1",
        "1e-320",
        "1e400",
        " 2 ",
        "nan",
        "NaN",
        "NULL",
        "inf",
        "",
        "+1",
        ".5",
        "5.",
        "1_0",
        "0x1",
        "1e5",
        "123456789012345678901234567890",
        "0.30000000000000004",
    ],
}


@given(
    steps=st.booleans(),
    values=st.lists(st.sampled_from(CELLS["value"]), max_size=3),
    at=st.integers(0, 11),
    odd=st.sampled_from(["none", *CELLS]),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_table_ends_alike_by_both_ways_when_cells_are_odd(
    steps: bool, values: list[str], at: int, odd: str, data: st.DataObject
) -> None:
    rows = [row.split(",") for row in hours(2, 6)]
    for place, row in enumerate(rows):
        row[1] = str(place % 6) if steps else row[1]
        row[2] = values[place - 1] if 0 < place <= len(values) else row[2]
    if odd in CELLS:
        rows[at][list(CELLS).index(odd)] = data.draw(st.sampled_from(CELLS[odd]))
    assert_alike(table([",".join(row) for row in rows]))


@given(
    series=st.integers(1, 4),
    length=st.integers(2, 12),
    step=st.sampled_from(["1h", "6h", "1D", "7D", "15min", "250ms"]),
    left_out=st.sets(st.integers(0, 47), max_size=8),
    emptied=st.sets(st.integers(0, 47), max_size=3),
    seed=st.none() | st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_table_is_alike_by_both_ways_when_rows_and_values_are_missing(
    series: int, length: int, step: str, left_out: set[int], emptied: set[int], seed: int | None
) -> None:
    rows = hours(series, length, step=step)
    rows = [row[: row.rindex(",") + 1] if at in emptied else row for at, row in enumerate(rows)]
    rows = [row for at, row in enumerate(rows) if at not in left_out]
    if seed is not None:
        rows = list(np.random.default_rng(seed).permutation(rows)) if rows else rows
    assert_alike(table(rows))


@given(at=st.integers(0, 600), put=st.sampled_from([*'",;\n\r \t\0+-x.:Té', "0x", '""', "\r\n"]))
@example(at=3, put="\r")
@settings(max_examples=40, deadline=None)
def test_table_ends_alike_by_both_ways_when_a_character_is_put_in(at: int, put: str) -> None:
    text = table(hours(2, 12)).decode()
    assert_alike((text[:at] + put + text[at:]).encode())


def test_large_file_is_read_in_one_pass_when_it_is_ordinary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = table(hours(40, 100)).replace(b"s7,", "é7,".encode())
    path = tmp_path / "f.csv"
    path.write_bytes(text)
    monkeypatch.setattr(sources, "HEAD", 1 << 16)
    found = open_source(str(path))
    assert isinstance(found, LargeFile)
    read = parse_table(found, DataConfig())
    assert "data" not in vars(found)
    whole = parse_table(Source(str(path), text), DataConfig())
    assert read.sha256 == whole.sha256 == sha256(text).hexdigest()
    assert np.array_equal(read.panel.values, whole.panel.values)
    assert (found.data, found.sha256) == (text, read.sha256)


def test_large_file_is_read_whole_when_it_has_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(table([*hours(40, 100), "s1,2020-03-01,one"]))
    monkeypatch.setattr(sources, "HEAD", 1 << 10)
    with pytest.raises(RnnForecastError, match=r"f\.csv:4002: column 'y': 'one' is not a number"):
        parse_table(open_source(str(path)), DataConfig())


@pytest.mark.parametrize("line", [2, 4001])
def test_large_file_is_refused_when_a_byte_is_no_text(
    line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = table(hours(40, 100), "unique_id,ds,y,z").replace(b"\n", b",\n").splitlines(True)
    lines[line - 1] = lines[line - 1].replace(b",\n", b",\xe9\n")
    path = tmp_path / "f.csv"
    path.write_bytes(b"".join(lines))
    monkeypatch.setattr(sources, "HEAD", 1 << 16)
    with pytest.raises(RnnForecastError, match=rf"f\.csv:{line}: byte 0xe9 is not UTF-8 text"):
        parse_table(open_source(str(path)), DataConfig())
