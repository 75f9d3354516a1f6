"""Files as users have them: each is forecast as it should be, or refused in one line.

Most cases run in this process, because starting one costs seconds; a few run as a user's would.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import Run, forked, run_here

DATES = pd.date_range("2020-01-24", periods=40)
DAYS = list(DATES.strftime("%Y-%m-%d"))
VALUES = [f"{50 + 10 * np.sin(k) + k / 7:.2f}" for k in range(40)]
HEADER = "unique_id,ds,y"
OPTIONS = ["--horizon", "3", "--preset", "fast", "--epochs", "1", "--out", "out"]


def series(name: str, days: Sequence[object] = DAYS, values: Sequence[str] = VALUES) -> str:
    return "".join(f"{name},{day},{y}\n" for day, y in zip(days, values, strict=False))


def long(*rows: str) -> str:
    return HEADER + "\n" + "".join(rows)


def single(days: Sequence[object], values: Sequence[str] = VALUES) -> str:
    return "ds,y\n" + "".join(f"{day},{y}\n" for day, y in zip(days, values, strict=False))


PLAIN = long(series("a"), series("b", DAYS[:30]))
LINES = PLAIN.splitlines()
SINGLE = single(DAYS)
PACKED = gzip.compress(PLAIN.encode(), mtime=0)


def replaced(line: int, text: str) -> str:
    """PLAIN with another text on a line."""
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n"


Train = Callable[..., Run]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train on a file data.csv in the test's directory, writing to out/ there."""

    def run(content: str | bytes, *options: str) -> Run:
        write(tmp_path / "data.csv", content)
        return run_here(tmp_path, "train", "data.csv", *OPTIONS, *options)

    return run


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def forecasts(directory: Path) -> str:
    return (directory / "forecasts.csv").read_text()


def assert_refused(code: int, stderr: str, message: str, directory: Path, expected: int) -> None:
    """One line that names place and remedy, the exit code, and no file left behind."""
    assert code == expected, stderr
    errors = [line for line in stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, stderr
    assert re.match(f"error: {message}", errors[0]), stderr
    assert ("; " in errors[0]) and "Traceback" not in stderr
    left = os.listdir(directory) if directory.exists() else []
    assert [name for name in left if name.endswith((".safetensors", ".csv", ".tmp"))] == []


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", r"data\.csv: the file is empty; it needs a header line and rows"),
    "only whitespace": (" \n\t\n\n", r"data\.csv: the file is empty; it needs"),
    "only a byte-order mark": (b"\xef\xbb\xbf", r"data\.csv: the file is empty; it needs"),
    "gzip of nothing": (gzip.compress(b"", mtime=0), r"data\.csv: the file is empty; it needs"),
    "header alone": (HEADER + "\n", r"data\.csv: there is a header but no row; add rows"),
    "too many cells": (
        replaced(6, LINES[5] + ",9"),
        r"data\.csv:6: 4 cells, but the header has 3; complete the row",
    ),
    "too few cells": (
        replaced(6, "a,2020-01-28"),
        r"data\.csv:6: 2 cells, but the header has 3; complete the row",
    ),
    "too few cells after blank lines": (
        "\n\n" + replaced(6, "\na,2020-01-28"),
        r"data\.csv:9: 2 cells, but the header has 3",
    ),
    "every row longer than the header": (
        PLAIN.replace("\n", ",\n").replace(",\n", "\n", 1),
        r"data\.csv:2: 4 cells, but the header has 3; complete the row or pass --sep",
    ),
    "decimal commas between commas": (
        PLAIN.replace(".", ","),
        r"data\.csv:2: 4 cells, but the header has 3; complete the row or pass --sep",
    ),
    "an unknown separator": (
        PLAIN.replace(",", ":"),
        r"data\.csv:1: the header is a single column, 'unique_id:ds:y'; pass --sep",
    ),
    "a title above the header": (
        "Sales of 2020\n" + PLAIN,
        r"data\.csv:1: the header is a single column, 'Sales of 2020'; .*remove the lines above",
    ),
    "a web page": (
        "<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
        r"data\.csv:1: the header is a single column, '<!DOCTYPE html>'; pass --sep",
    ),
    "no header": (
        SINGLE.partition("\n")[2],
        r"data\.csv:1: the first line has values such as '2020-01-24' rather than names; add a hea",
    ),
    "no time column": (
        "shop,y\n" + "".join(f"a,{y}\n" for y in VALUES),
        r"data\.csv: the time column was not found among the columns 'shop', 'y'; pass --time-col",
    ),
    "no numeric column": (
        "ds,a,b\n" + "".join(f"{day},x,y\n" for day in DAYS),
        r"data\.csv: the target column was not found among 'a', 'b'; pass --target-col",
    ),
    "a text column as target": (
        "ds,sky\n" + "".join(f"{day},sun\n" for day in DAYS),
        r"data\.csv:2: column 'sky': 'sun' is not a number; pass --na-values 'sun' or correct",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"data\.csv:1: byte 0x89 is not UTF-8 text; p"),
    "Latin-1": (
        replaced(6, "é,2020-01-28,5").encode("latin-1"),
        r"data\.csv:6: byte 0xe9 is not UTF-8 text; pass --encoding, such as cp1252, or save",
    ),
    "a zero byte": (replaced(6, "a,2020-01-28,\0"), r"data\.csv:6: a zero byte is no text; pass"),
    "truncated gzip": (PACKED[:-20], r"data\.csv: Compressed file ended.*; pass a whole gzip file"),
    "a key twice": (
        PLAIN + LINES[3] + "\n",
        r"data\.csv:72: column 'ds': series 'a' has this time twice; remove one of the rows",
    ),
    "a time twice without ids": (
        SINGLE + f"{DAYS[3]},7\n",
        r"data\.csv:42: column 'ds': '2020-01-27' occurs twice and no column names the series; re",
    ),
    "two frequencies": (
        long(series("a"), series("b", [DAYS[k] for k in range(0, 40, 7)])),
        r"data\.csv:42: column 'ds': series 'b' has a row every week, the others every day; all",
    ),
    "an irregular time": (
        replaced(6, "a,2020-01-28 06:30,5"),
        r"data\.csv:6: column 'ds': series 'a' has a row every day, but this one lies between two;",
    ),
    "text among the targets": (
        replaced(6, "a,2020-01-28,closed"),
        r"data\.csv:6: column 'y': 'closed' is not a number; pass --na-values 'closed' or correct",
    ),
    "thousands separators": (
        replaced(6, 'a,2020-01-28,"1,234"'),
        r"data\.csv:6: column 'y': '1,234' is not a number; pass --decimal, or write it without",
    ),
    "an infinity": (
        replaced(6, "a,2020-01-28,inf"),
        r"data\.csv:6: column 'y': the value is infinite; correct the cell or leave it empty",
    ),
    "a value too large": (
        replaced(6, "a,2020-01-28,1e999"),
        r"data\.csv:6: column 'y': the value is infinite; correct",
    ),
    "values that cannot be squared": (
        single(DAYS, ["9e307", "1e308"] * 20),
        r"data\.csv:2: column 'y': 9e\+307 is too large to square; divide the column by a power",
    ),
    "all targets missing": (
        single(DAYS, [""] * 40),
        r"data\.csv: series 'y': no value is observed; fill in values or remove the series",
    ),
    "one row": (single(DAYS[:1]), r"data\.csv: no series has two rows, so the frequency cannot"),
    "one row a series": (
        long(series("a", DAYS[:1]), series("b", DAYS[:1])),
        r"data\.csv: no series has two rows, so the frequency cannot be found; pass a file with",
    ),
    "dates of two formats": (
        replaced(6, "a,28/01/2020,5"),
        r"data\.csv:6: column 'ds': '28/01/2020' is no time in the format of the other rows; corr",
    ),
    "days and months that cannot be told apart": (
        single([f"{k:02d}/01/2020" for k in range(1, 13)]),
        r"data\.csv: column 'ds': the times could be in the format .* or .*; pass --time-format",
    ),
    "an impossible date": (
        replaced(6, "a,2020-02-30,5"),
        r"data\.csv:6: column 'ds': '2020-02-30' is no time in the format of the other rows; corre",
    ),
    "an empty date": (
        replaced(6, "a,,5"),
        r"data\.csv:6: column 'ds': the time is empty; fill it in or remove the row",
    ),
    "a sum below the rows": (
        SINGLE + "Total,1234\n",
        r"data\.csv:42: column 'ds': 'Total' is no time in the format of the other rows; correct",
    ),
    "a header name twice": (
        SINGLE.replace("ds,y", "y,y"),
        r"data\.csv: the header repeats the column 'y'; rename one",
    ),
    "an empty id": (
        replaced(6, ",2020-01-28,5"),
        r"data\.csv:6: column 'unique_id': the id is empty; name the series or remove the row",
    ),
    "an unbalanced quote": (
        replaced(6, '"a,2020-01-28,5'),
        r"data\.csv:6: unexpected end of data; correct the quotes there",
    ),
    "text after a long quoted cell": (
        replaced(6, '"a\nb, c",2020-01-28,x'),
        r"data\.csv:6: column 'y': 'x' is not a number; pass --na-values",
    ),
    "two files joined": (
        PLAIN + PLAIN.replace("2020-", "2021-"),
        r"data\.csv:72: the header is repeated here; remove the row",
    ),
    "a year mistyped": (
        SINGLE.replace(f"{DAYS[-1]},", "2220-03-03,"),
        r"data\.csv: series 'y': only 40 of \d+ values are there at one a day; correct its times",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_train_refuses_in_one_line_when_data_are_faulty(
    content: str | bytes, message: str, train: Train, tmp_path: Path
) -> None:
    run = train(content)
    assert run.stdout == ""
    assert_refused(run.code, run.stderr, message, tmp_path / "out", 3)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ["--target-col", "z"],
            3,
            r"data\.csv: there is no column 'z'; the header has 'unique_id',",
        ),
        (
            ["--id-col", "z"],
            3,
            r"data\.csv: there is no column 'z'; the header has 'unique_id', 'ds'",
        ),
        (
            ["--time-col", "y", "--target-col", "y"],
            2,
            r"column 'y' is passed as --time-col and as --target-col; drop one of them",
        ),
        (["--sep", ";"], 3, r"data\.csv:1: the header is a single column, 'unique_id,ds,y'; pass"),
        (["--time-format", "%d/%m/%Y"], 3, r"data\.csv:2: column 'ds': '2020-01-24' is not in th"),
        (
            ["--time-format", "%Q"],
            2,
            r"time_format must be a strptime format such as %d/%m/%Y, got '%Q'",
        ),
        (
            ["--horizon", "90"],
            3,
            r".*horizon 90 is too long: .*longest series has 40; pass a --hor",
        ),
    ],
)
def test_train_refuses_in_one_line_when_options_do_not_fit_the_data(
    options: list[str], code: int, message: str, train: Train, tmp_path: Path
) -> None:
    run = train(PLAIN, *options)
    assert_refused(run.code, run.stderr, message, tmp_path / "out", code)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "absent.csv",
            None,
            r"absent\.csv: No such file or directory; pass a readable CSV file or",
        ),
        (".", None, r"\.: it is a directory; pass its files, such as '\./\*\.csv'"),
        ("-", b"", "stdin: no data arrived; it needs a header line and rows"),
        ("-", PACKED[:-9], "stdin: Compressed file ended.*; pass a whole gzip file"),
        (
            "data.csv",
            replaced(6, "a,2020-02-30,5").encode(),
            r"data\.csv:6: column 'ds': '2020-02-",
        ),
    ],
)
def test_process_ends_with_3_and_one_line_when_data_are_faulty(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    stdin = content if name == "-" else None
    if content is not None and name != "-":
        write(tmp_path / name, content)
    run = forked(tmp_path, "train", name, *OPTIONS, stdin=stdin)
    assert run.stdout == ""
    assert_refused(run.code, run.stderr, message, tmp_path / "out", 3)


def test_process_forecasts_the_same_when_rows_arrive_unsorted_and_packed(
    train: Train, tmp_path: Path
) -> None:
    assert train(SINGLE).code == 0
    expected = forecasts(tmp_path / "out")
    unsorted = "\n".join(["ds,y", *SINGLE.splitlines()[:0:-1]]).encode("utf-8-sig")
    packed = gzip.compress(unsorted, mtime=0)
    piped = forked(tmp_path, "train", "-", *OPTIONS, stdin=packed)
    assert piped.code == 0, piped.stderr
    assert forecasts(tmp_path / "out") == expected


SAME: dict[str, str | bytes] = {
    "a byte-order mark": PLAIN.encode("utf-8-sig"),
    "a series without a value": PLAIN + series("c", values=["NA"] * 40),
    "UTF-16": PLAIN.encode("utf-16"),
    "gzip": PACKED,
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "CR": PLAIN.replace("\n", "\r"),
    "tabs": PLAIN.replace(",", "\t"),
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace(".", ","),
    "trailing blank lines": PLAIN + "\n\n  \n",
    "blank lines everywhere": "\n" + PLAIN.replace("\n", "\n\n"),
    "trailing spaces": PLAIN.replace("\n", "  \n"),
    "spaces around commas": PLAIN.replace(",", " , "),
    "quotes everywhere": '"' + PLAIN.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
    "an index column": "".join(f"{k or ''},{line}\n" for k, line in enumerate(LINES)),
    "trailing commas": PLAIN.replace("\n", ",\n"),
    "unsorted rows": "\n".join([HEADER, *sorted(LINES[1:41], reverse=True), *LINES[41:]]),
    "European dates": long(
        series("a", DATES.strftime("%d/%m/%Y")), series("b", DATES[:30].strftime("%d/%m/%Y"))
    ),
    "American dates": long(
        series("a", DATES.strftime("%m/%d/%Y")), series("b", DATES[:30].strftime("%m/%d/%Y"))
    ),
    "compact dates": PLAIN.replace("-", ""),
    "missing ends": PLAIN + "b,2020-02-23,\nb,2020-02-24,NA\na,2020-01-23,\n",
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is forecast from PLAIN."""
    directory = tmp_path_factory.mktemp("plain")
    write(directory / "data.csv", PLAIN)
    run = run_here(directory, "train", "data.csv", *OPTIONS)
    assert run.code == 0, run.stderr
    return forecasts(directory / "out")


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_train_forecasts_the_same_when_the_file_is_written_otherwise(
    content: str | bytes, expected: str, train: Train, tmp_path: Path
) -> None:
    run = train(content)
    assert run.code == 0, run.stderr
    assert forecasts(tmp_path / "out") == expected


ODD: dict[str, tuple[str, str, str]] = {
    "before 1970": (
        single(pd.date_range("1955-01-01", periods=40, freq="MS").strftime("%Y-%m-%d")),
        "y",
        "1958-05-01",
    ),
    "years": (single(range(1980, 2020)), "y", "2020"),
    "months": (
        single(pd.period_range("2017-01", periods=40, freq="M").strftime("%Y%m")),
        "y",
        "2020-05-01",
    ),
    "European months": (
        single(pd.date_range("2017-01-01", periods=40, freq="MS").strftime("%d/%m/%Y")),
        "y",
        "2020-05-01",
    ),
    "a constant series": (single(DAYS, ["5"] * 40), "y", "2020-03-04"),
    "a series of zeros": (single(DAYS, ["0"] * 40), "y", "2020-03-04"),
    "enormous values": (single(DAYS, ["1e100", "9e99"] * 20), "y", "2020-03-04"),
    "enormous values of both signs": (single(DAYS, ["1e100", "-1e100"] * 20), "y", "2020-03-04"),
    "tiny values": (single(DAYS, ["5e-324", "1e-310"] * 20), "y", "2020-03-04"),
    "an id with a newline and commas": (long(series('"x,\ny"')), "x,\ny", "2020-03-04"),
    "an id like a number": (long(series("007")), "007", "2020-03-04"),
    "an id like a gap": (long(series("NA")), "NA", "2020-03-04"),
    "gaps": (single(DAYS, [y if k % 4 else "" for k, y in enumerate(VALUES)]), "y", "2020-03-04"),
    "a zone": (
        single([f"{day}T00:00:00+05:30" for day in DAYS]),
        "y",
        "2020-03-04T00:00:00+05:30",
    ),
    "one long and one short series": (
        long(series("a"), series("b", DAYS[:1])),
        "a",
        "2020-03-04",
    ),
    "five rows": (single(DAYS[:5]), "y", "2020-01-29"),
}


@pytest.mark.parametrize(("content", "name", "first"), ODD.values(), ids=ODD)
def test_train_forecasts_what_follows_when_data_are_odd(
    content: str, name: str, first: str, train: Train, tmp_path: Path
) -> None:
    run = train(content)
    assert run.code == 0, run.stderr
    table = pd.read_csv(
        tmp_path / "out" / "forecasts.csv", dtype={"unique_id": "str", "ds": "str"}, na_filter=False
    )
    assert (table["unique_id"][0], table["ds"][0]) == (name, first)
    values = table.iloc[:, 2:].to_numpy(dtype=float)
    assert np.isfinite(values).all()
    assert (np.diff(values[:, [3, 1, 0, 2, 4]], axis=1) >= 0).all()


def test_train_keeps_the_old_model_when_newer_data_are_faulty(train: Train, tmp_path: Path) -> None:
    assert train(SINGLE).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert train(SINGLE + "Total,1234\n").code == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
