"""Tables as users have them, and ways in which tables go wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from random import Random

import numpy as np
import pandas as pd

from tests.cli.command import SAMPLES

LARGE = 200_000
# What stands in cells that nobody meant.
CELLS = (
    *("", " ", *"0 -0 nan NA null None True inf -Infinity 1e100 2e100 1e308 -1e308 1e999".split()),
    *("5e-324", "1e-400", "9" * 400, *"1e5000000000 0x10 1_000 1,5 1.2.3 1,234.5 +-1 --1".split()),
    *"1e e5 . - =1+1 #REF! ½ ١٢٣ १२ १२३४-०१-०१ 💥 \u202e a\0b \ufeff \x1b[31m \\ ' \"".split(" "),
    *('""', '"""', "'a", '"a', 'a"', '"a"b', "[" * 5000, "{" * 5000, "(" * 5000, "x" * 70_000),
    *("%s%n", "../..", "\x85"),
)
TIMES = (
    *"0001-01-01 0000-00-00 9999-12-31 10000-01-01 -0001-01-01 +012345-01-01 1677-09-21".split(),
    *"1677-09-22T00:12:44 2262-04-12 1582-10-10 2020-02-30 2020-13-01 2020-W01-1 2020-001".split(),
    *"2020 2020-01 24:00 2020-01-01T24:00 2020-01-01T25:00 2020-01-01T00:00:60".split(),
    *"2020-01-01T00:00:00.0000000001 2020-01-01T00:00:00+99:99 2020-01-01T00:00:00+24:00".split(),
    *("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z", "now", "2020-01-01 00:00 Europe/Paris"),
    *"29/02/2021 31/12/99 1/1/1 00000000 99999999 1 0 -1 1000000000000 999999999999999999".split(),
    *"-999999999999999999 NaT today 9223372036854775807 -9223372036854775808".split(),
    *"9223372036854775808 1e18 1.5 ١".split(),
)
MARKS = (
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"'", b"\r", b"\n", b";"),
    *(b",", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1a", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b'"' * 9999, b"," * 9999),
)
ODD_NAMES = (
    *("", "y", "ds", "unique_id", "x" * 70_000, "a\tb", '"a\nb"', "gru", "cutoff", "2020", "💥"),
)


def _long(times: list[str], names: tuple[str, ...] = ("a", "b", "c")) -> str:
    rows = ["unique_id,ds,y"]
    for name in names:
        rows += [f"{name},{time},{50 + 9 * np.sin(k):.2f}" for k, time in enumerate(times)]
    return "\n".join(rows) + "\n"


def _dates(start: str, step: str, form: str, count: int = 40) -> list[str]:
    return list(pd.date_range(start, periods=count, freq=step).strftime(form))


def _head(name: str, lines: int) -> str:
    return "".join((SAMPLES / name).read_text().splitlines(keepends=True)[:lines])


@cache
def seeds() -> dict[str, tuple[str, bytes]]:
    """By name a sound table, and the name of the one that a model for it is trained on."""
    days, hours = _dates("2020-01-24", "D", "%Y-%m-%d"), _dates("2020-01-24", "h", "%Y-%m-%dT%H:%M")
    daily = _long(days)
    wide = "ds,north,south\n" + "".join(f"{day},{k % 7}.5,{k % 5}\n" for k, day in enumerate(days))
    texts = {
        "daily": ("daily", daily),
        "european": ("daily", _long(_dates("2020-01-24", "D", "%d/%m/%Y"))),
        "compact": ("daily", daily.replace("-", "")),
        "gaps": ("daily", "\n".join(line for k, line in enumerate(daily.split("\n")) if k % 6 - 5)),
        "semicolons": ("daily", daily.replace(",", ";").replace(".", ",")),
        "tabs": ("daily", daily.replace(",", "\t")),
        "quotes": ("daily", '"' + daily.replace(",", '","').replace("\n", '"\n"')[:-1]),
        "crlf": ("daily", daily.replace("\n", "\r\n")),
        "wide": ("wide", wide),
        "zoned": ("zoned", _long([f"{hour}:00+02:00" for hour in hours])),
        "utc": ("zoned", _long([f"{hour}:00Z" for hour in hours])),
        "clock": ("hourly", _long([hour.replace("T", " ") for hour in hours])),
        "hourly": ("hourly", _head("demand.csv", 300)),
        "months": ("months", _head("passengers.csv", 200)),
        "steps": ("steps", _long([str(k) for k in range(40)])),
        "years": ("years", _head("population.csv", 200)),
        "weekdays": ("weekdays", _head("stocks.csv", 400)),
        "weather": ("weather", _head("weather.csv", 200)),
    }
    tables = {name: (model, text.encode()) for name, (model, text) in texts.items()}
    tables["packed"] = ("daily", gzip.compress(daily.encode(), mtime=0))
    tables["bom"] = ("daily", daily.encode("utf-8-sig"))
    tables["utf-16"] = ("daily", daily.encode("utf-16"))
    return tables


def forecasts() -> bytes:
    """What some tool forecast of the newest days of `daily`."""
    rows = ["unique_id,ds,tool,tool-lo-80,tool-hi-80"]
    for name in ("a", "b", "c"):
        rows += [f"{name},{day},50,41.5,58.5" for day in _dates("2020-02-28", "D", "%Y-%m-%d", 5)]
    return ("\n".join(rows) + "\n").encode()


def mutate(content: bytes, chance: Random) -> bytes:
    """The table with one to three faults, one where that makes it large."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        if len(content) < LARGE:
            content = chance.choice(MUTATIONS)(content, chance)
    return content


def _flip(content: bytes, chance: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(min(chance.randint(1, 8), len(changed))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _insert(content: bytes, chance: Random) -> bytes:
    for _ in range(chance.choice((1, 1, 5))):
        at = chance.randrange(len(content) + 1)
        content = content[:at] + chance.choice(MARKS) + content[at:]
    return content


def _cut(content: bytes, chance: Random) -> bytes:
    first, last = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return chance.choice((content[:first], content[first:last], content[:first] + content[last:]))


def _nothing_much(content: bytes, chance: Random) -> bytes:
    header = content.split(b"\n", 1)[0]
    return chance.choice(
        (b"", b" \n\t", header, header + b"\n", b"\xef\xbb\xbf", b"\0" * 99, b"\n" * 9999)
    )


def _pack(content: bytes, chance: Random) -> bytes:
    packed = gzip.compress(content, mtime=0)
    faults: tuple[Callable[[bytes, Random], bytes], ...] = (_flip, _cut, lambda whole, _: whole)
    return chance.choice(faults)(packed, chance)


def _recode(content: bytes, chance: Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "utf-8-sig"))
    return text.encode(encoding, "replace")[: None if chance.random() < 0.5 else -1]


def _replace_mark(content: bytes, chance: Random) -> bytes:
    old, new = chance.choice((b",", b"\n", b"-", b".", b":", b"y", b"0")), chance.choice(MARKS[:18])
    return content.replace(old, new, chance.choice((1, 5, -1)))


Rows = list[list[str]]


def _of_rows(change: Callable[[Rows, Random], Rows]) -> Callable[[bytes, Random], bytes]:
    """A change of rows of cells as one of bytes."""

    def changed(content: bytes, chance: Random) -> bytes:
        lines = content.decode("utf-8", "replace").split("\n")
        mark = max(",;\t|", key=lines[0].count)
        rows = change([line.split(mark) for line in lines if line], chance)
        return "".join(mark.join(row) + "\n" for row in rows).encode("utf-8", "replace")

    return changed


def _with_column(rows: Rows, at: int, cell: Callable[[int], str]) -> Rows:
    """Other cells in a column, below its header."""
    return [[*row[:at], cell(k), *row[at + 1 :]] if k else row for k, row in enumerate(rows)]


@_of_rows
def _repeat_rows(rows: Rows, chance: Random) -> Rows:
    at = chance.randrange(len(rows) + 1)
    return [*rows, *chance.choice((rows, rows[1:], rows[at:], rows[at : at + 1] * 500))]


@_of_rows
def _drop_rows(rows: Rows, chance: Random) -> Rows:
    share = chance.choice((0.05, 0.5, 0.95))
    return [row for k, row in enumerate(rows) if k == 0 or chance.random() > share]


@_of_rows
def _shuffle_rows(rows: Rows, chance: Random) -> Rows:
    return chance.choice((rows[:1], [])) + chance.sample(rows[1:], max(len(rows) - 1, 0))


@_of_rows
def _swap_cells(rows: Rows, chance: Random) -> Rows:
    every = chance.choice((1, 2, 10, 100))
    return [chance.sample(row, len(row)) if k % every == 0 else row for k, row in enumerate(rows)]


@_of_rows
def _replace_cells(rows: Rows, chance: Random) -> Rows:
    for _ in range(chance.choice((1, 1, 3, 20))):
        if rows and (row := chance.choice(rows)):
            row[chance.randrange(len(row))] = chance.choice(chance.choice((CELLS, TIMES)))
    return rows


@_of_rows
def _replace_column(rows: Rows, chance: Random) -> Rows:
    few = chance.sample(chance.choice((CELLS, TIMES)), chance.choice((1, 2, 5)))
    at = chance.randrange(3)
    return _with_column(rows, at, lambda k: chance.choice(few))


@_of_rows
def _replace_times(rows: Rows, chance: Random) -> Rows:
    """A column counts from somewhere in steps of some size; one in a while leaps."""
    width = chance.choice((1, 7, 1000, 10**6, 10**9, 10**12, 10**15, 10**17))
    start = chance.choice((0, 1, -(10**18), 10**18, 20_200_101, 2020, 202_001))
    at, leap = chance.randrange(2), chance.choice((0, 0, 10**6, 10**12, 10**17))
    middle = len(rows) // 2
    return _with_column(rows, at, lambda k: str(start + k * width + (leap if k > middle else 0)))


@_of_rows
def _replace_dates(rows: Rows, chance: Random) -> Rows:
    """A column of dates at the edges, in steps of some size."""
    unit, size = chance.choice(
        (("us", 1), ("us", 10**6), ("D", 1), ("D", 365), ("M", 1), ("Y", 100))
    )
    start = chance.choice(("0001-01-01", "1677-09-21", "1969-12-31", "2262-04-10", "9999-12-20"))
    at = chance.randrange(2)
    times = np.datetime64(start, unit) + np.arange(len(rows)) * size
    texts = [text.lstrip("+") for text in np.datetime_as_string(times)]
    return _with_column(rows, at, texts.__getitem__)


@_of_rows
def _change_header(rows: Rows, chance: Random) -> Rows:
    if rows:
        rows[0] = [chance.choice((name, chance.choice(ODD_NAMES))) for name in rows[0]]
    return rows


@_of_rows
def _add_columns(rows: Rows, chance: Random) -> Rows:
    count = chance.choice((1, 2, 10, 1000))
    fill = chance.choice(("", "1", "x", "2020-01-01"))
    return [
        row + [f"{fill}{k}" if n == 0 else fill for k in range(count)] for n, row in enumerate(rows)
    ]


@_of_rows
def _many_series(rows: Rows, chance: Random) -> Rows:
    pairs = chance.choice((1, 2, 3))
    return [[f"s{k // pairs}", *row[1:]] if k else row for k, row in enumerate(rows * 10)]


@_of_rows
def _one_giant_cell(rows: Rows, chance: Random) -> Rows:
    if rows and (row := chance.choice(rows)):
        row[chance.randrange(len(row))] = chance.choice('x91 "-[') * 10**6
    return rows


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_flip, _flip, _insert, _insert, _cut, _nothing_much, _pack, _recode, _replace_mark),
    *(_repeat_rows, _drop_rows, _shuffle_rows, _swap_cells, _replace_cells, _replace_cells),
    *(_replace_column, _replace_times, _replace_dates, _change_header, _add_columns),
    *(_many_series, _one_giant_cell),
)
