"""Broken files with one planted fault each: check names the line or the series, and ends as train.

Each case is a file, how check should end, and where the fault is: a line, a series or a column.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import Run, run_here
from tests.faults.csv_mutations import mutate, seeds
from tests.faults.csv_worker import FIT

DATES = pd.date_range("2020-01-24", periods=60)
DAYS = list(DATES.strftime("%Y-%m-%d"))
HOURS = list(pd.date_range("2020-01-24", periods=96, freq="h").strftime("%Y-%m-%d %H:%M"))
VALUES = [f"{50 + 10 * np.sin(k) + k / 7:.2f}" for k in range(96)]
HEADER = "unique_id,ds,y"
# Files whose line or series check must name.
NAMED = 40


class Case(NamedTuple):
    """A file with a fault; `place` is its line if that is a number, else its series."""

    content: str | bytes
    place: int | str
    code: int = 3
    says: str = ""


def series(name: str, times: list[str] = DAYS, values: list[str] = VALUES) -> list[str]:
    return [f"{name},{time},{y}" for time, y in zip(times, values, strict=False)]


def lines(*rows: list[str]) -> str:
    return "\n".join([HEADER, *(row for part in rows for row in part)]) + "\n"


ROWS = [HEADER, *series("a"), *series("b", values=VALUES[3:])]


def at(line: int, text: str) -> str:
    """Two daily series with another text on a line."""
    return "\n".join([*ROWS[: line - 1], text, *ROWS[line:]]) + "\n"


def cell(line: int, value: str) -> str:
    """The same with another value on a line."""
    return at(line, ",".join([*ROWS[line - 1].split(",")[:2], value]))


def doubled_hour() -> str:
    times = pd.date_range("2020-10-23", periods=96, freq="h", tz="Europe/Paris")
    return lines(series("a", list(times.strftime("%Y-%m-%d %H:%M"))))


def skipped_hour() -> str:
    times = pd.date_range("2020-03-27", periods=96, freq="h", tz="Europe/Paris")
    return lines(series("a", list(times.strftime("%Y-%m-%d %H:%M"))))


def lines_in(packed: bytes) -> int:
    """The line within which a packed file that was cut off ends."""
    return zlib.decompressobj(31).decompress(packed).count(b"\n") + 1


PLAIN = "\n".join(ROWS) + "\n"
COUNTS = [str(k % 7 + 1) for k in range(60)]
CUT_OFF = gzip.compress(PLAIN.encode(), mtime=0)[:-60]
WIDE = ["ds,north,south", *(f"{day},{k % 7}.5,{k % 5}" for k, day in enumerate(DAYS))]
CASES: dict[str, Case] = {
    "text": Case(cell(9, "broken"), 9, says="'broken' is not a number"),
    "several texts": Case(cell(9, "x1").replace(ROWS[20], "a,2020-02-13,1-2"), 21),
    "thousands separator": Case(cell(9, '"1,500"'), 9, says="thousands"),
    "infinite": Case(cell(9, "inf"), 9, says="infinite"),
    "huge": Case(cell(9, "1e200"), 9, says="too large"),
    "missing everywhere": Case(lines(series("a"), series("b", values=["NaN"] * 60)), "b", 0),
    "an empty column": Case("\n".join([WIDE[0], *(f"{d},1.5," for d in DAYS)]) + "\n", "south", 0),
    "31 February": Case(at(9, "a,2020-02-31,5"), 9, says="no time"),
    "day and month swapped": Case(at(9, "a,31/01/2020,5"), 9, says="no time"),
    "day and month swapped silently": Case(at(19, "a,2020-10-02,5"), 19, 0),
    "empty time": Case(at(9, "a,,5"), 9, says="empty"),
    "a step among timestamps": Case(at(9, "a,8,5"), 9, says="no time"),
    "a timestamp among steps": Case(
        lines(series("a", [*map(str, range(30)), "2020-01-01", *map(str, range(31, 60))])), 32
    ),
    "a key twice": Case(PLAIN + ROWS[8] + "\n", 122, says="twice"),
    "a time twice without ids": Case(
        "ds,y\n" + "".join(f"{d},{y}\n" for d, y in zip([*DAYS, DAYS[3]], VALUES, strict=False)),
        62,
    ),
    "between two steps": Case(at(9, "a,2020-01-31T07:00,5"), 9, says="between"),
    "off a month": Case(
        lines(
            series(
                "a",
                [
                    *pd.date_range("2015-01-01", periods=30, freq="MS").strftime("%Y-%m-%d"),
                    "2017-07-09",
                ],
            )
        ),
        32,
    ),
    "a weekly series": Case(
        lines(series("a"), series("w", list(DATES[::7].strftime("%Y-%m-%d")))), "w"
    ),
    "empty id": Case(at(9, " ,2020-01-31,5"), 9, says="id is empty"),
    "an id with a space": Case(PLAIN + "a b,2020-01-24,1\n", "a b", 0),
    "repeated header": Case(PLAIN + HEADER + "\n", 122, says="header is repeated"),
    "no header": Case("\n".join(ROWS[1:61]) + "\n", 1, says="rather than names"),
    "a title": Case("Sales of 2020\n" + PLAIN, 1, says="single column"),
    "too few cells": Case(at(9, "a,2020-01-31"), 9, says="2 cells"),
    "too many cells": Case(at(9, "a,2020-01-31,5,6"), 9, says="4 cells"),
    "unclosed quote": Case(at(9, 'a,2020-01-31,"5'), 9, says="quotes"),
    "a zero byte": Case(at(9, "a,2020-01-31,\0"), 9, says="zero byte"),
    "latin-1": Case(at(9, "é,2020-01-31,5").encode("latin-1"), 9, says="--encoding"),
    "cut off gzip": Case(CUT_OFF, lines_in(CUT_OFF), says="breaks off"),
    "a total at the end": Case(PLAIN + "Total,,12345\n", 122),
    "trailing garbage": Case(PLAIN + "-- end of export --\n", 122, says="1 cells"),
    "a century too late": Case(at(61, "a,2202-03-23,5"), 61, says="far after"),
    "a constant series": Case(lines(series("a"), series("k", values=["5"] * 60)), "k", 0),
    "stuck at the end": Case(
        lines(series("a", values=[*VALUES[:40], *["7"] * 20])),
        42,
        0,
        "last 20 values",
    ),
    "a thousand times": Case(cell(9, "50000"), 9, 0, "interquartile"),
    "a negative count": Case(
        lines(series("a", values=[*COUNTS[:20], "-3", *COUNTS[21:]])), 22, 0, "negative"
    ),
    "the same series twice": Case(lines(series("a"), series("c")), "c", 0, "repeats"),
    "a hole": Case(lines(series("a")[:20] + series("a")[30:]), 22, 0, "missing"),
    "a doubled hour": Case(doubled_hour(), 53, says="--time-zone Europe/Paris"),
    "a skipped hour": Case(skipped_hour(), 52, 0, "--time-zone Europe/Paris"),
    "an irregular sensor": Case(
        lines(
            series(
                "s",
                [str(DATES[0] + pd.Timedelta(minutes=5 * k + (k * k) % 4)) for k in range(96)],
            )
        ),
        "s",
        says="--resample 5min",
    ),
    "one row": Case(lines(series("a")[:1]), "a", says="two rows"),
    "a bad cell after a mark and CRLF": Case(
        b"\xef\xbb\xbf" + cell(9, "?").replace("\n", "\r\n").encode(), 9
    ),
    "a bad cell with semicolons and decimal commas": Case(
        cell(9, "1.002,5").replace(",", ";").replace("1.002;5", "1.002,5"), 9
    ),
    "a bad cell below quotes": Case(
        at(5, '"a",2020-01-27,"1.5"').replace(ROWS[8], "a,2020-01-31,?"), 9
    ),
    "a bad wide cell": Case("\n".join([*WIDE[:8], "2020-01-31,oops,3", *WIDE[9:]]) + "\n", 9),
    "unsorted": Case("\n".join([*ROWS[:8], ROWS[9], ROWS[8], *ROWS[10:]]) + "\n", 10, 0, "earlier"),
}


def check(directory: Path, content: str | bytes, *options: str) -> tuple[Run, dict[str, Any]]:
    """The end of check on a file data.csv, and what it tells in JSON."""
    data = content if isinstance(content, bytes) else content.encode()
    (directory / "data.csv").write_bytes(data)
    run = run_here(directory, "check", "data.csv", "--format", "json", *options)
    return run, json.loads(run.stdout)


def names(case: Case, told: dict[str, Any]) -> bool:
    """Whether a finding tells where the fault is, and what it is."""
    return any(
        case.place in (finding["line"], finding["series"])
        and case.says in f"{finding['problem']}; {finding['remedy']}"
        for finding in told["findings"]
    )


@pytest.mark.parametrize("name", CASES)
def test_check_names_the_place_and_ends_as_train_when_a_file_has_a_fault(
    name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    run, told = check(tmp_path, case.content, "--horizon", "2")
    assert run.code == case.code, run.stderr
    assert names(case, told), json.dumps(told["findings"], indent=1)
    trained = run_here(tmp_path, "train", "data.csv", "--dry-run", *FIT)
    assert trained.code == case.code, trained.stderr
    if trained.code:
        first = told["findings"][0]
        line = "" if first["line"] is None else f":{first['line']}"
        error = trained.stderr.splitlines()[-1]
        assert error.startswith(f"error: data.csv{line}:") and first["problem"] in error


def test_cases_are_enough_to_hold_check_to_what_it_promises() -> None:
    assert len(CASES) >= NAMED


def test_check_names_all_faults_when_a_file_has_many(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[8], rows[9], rows[10] = "a,2020-01-31,x1", "a,2020-02-01,x2", "a,2020-02-02,inf"
    rows[11], rows[12], rows[13] = "a,31 Feb,5", "a,2020-02-04", "a,2020-02-05T07:00,5"
    rows[14], rows[15] = ",2020-02-06,5", HEADER
    rows += [rows[3], *series("w", list(DATES[::7].strftime("%Y-%m-%d")), VALUES[5:])]
    rows += series("e", values=[""] * 60)
    run, told = check(tmp_path, "\n".join(rows) + "\n")
    errors = [finding for finding in told["findings"] if finding["severity"] == "error"]
    assert run.code == 3 and told["suggestion"] is None
    assert {finding["line"] for finding in errors} == {*range(9, 17), 122, 123}
    assert {finding["series"] for finding in errors} >= {"w", "a"}
    assert "e" in {finding["series"] for finding in told["findings"]}
    assert told["facts"]["series"] == 2


def test_check_counts_what_it_does_not_list_when_one_fault_is_everywhere(tmp_path: Path) -> None:
    rows = [row if k % 2 else f"{row},extra" for k, row in enumerate(ROWS)]
    _, told = check(tmp_path, "\n".join([HEADER, *rows[1:]]) + "\n")
    listed = [finding for finding in told["findings"] if "4 cells" in finding["problem"]]
    assert len(listed) < 40 and "more such" in listed[-1]["problem"]
    assert listed[-1]["line"] is None


@pytest.mark.slow
def test_check_ends_as_train_does_when_a_table_is_mutated(
    tmp_path: Path, trials: Callable[[int, int], int]
) -> None:
    compared = 0
    for number in range(trials(4, 2000)):
        chance = Random(number)
        _, content = seeds()[chance.choice(list(seeds()))]
        (tmp_path / "data.csv").write_bytes(mutate(content, chance))
        run = run_here(tmp_path, "check", "data.csv", "--horizon", "2", "--format", "csv")
        trained = run_here(tmp_path, "train", "data.csv", "--dry-run", *FIT)
        assert run.code in (0, 2, 3), f"{number}: {run.stderr}"
        if trained.code in (0, 3):
            assert run.code == trained.code, f"{number}: {run.stderr}{trained.stderr}"
            compared += 1
    assert compared > 3
