"""Bytes to text: packing, encodings, dialect, and the lines that rows stand on."""

from __future__ import annotations

import gzip
import io
import re
import sys
from pathlib import Path

import pytest

from rnnforecast.data.source import (
    Source,
    check_rectangular,
    find_separator,
    open_source,
    read_stdin,
)
from rnnforecast.errors import DataError

TEXT = "ds,y\n2020-01-01,1\n2020-01-02,é\n"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    piped = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
    return piped


def source(text: str) -> Source:
    return Source("f.csv", text.encode())


ENCODED = {
    "plain": TEXT.encode(),
    "bom": b"\xef\xbb\xbf" + TEXT.encode(),
    "gzip": gzip.compress(TEXT.encode(), mtime=0),
    "gzip-bom": gzip.compress(TEXT.encode("utf-8-sig"), mtime=0),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-be": b"\xfe\xff" + TEXT.encode("utf-16-be"),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_source_is_the_same_text_when_packed_or_encoded(
    data: bytes, tmp_path: Path, stdin: io.BytesIO
) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    stdin.write(data)
    stdin.seek(0)
    read = open_source(str(path))
    piped = open_source("-")
    assert (read.name, piped.name) == (str(path), "stdin")
    assert read.data == piped.data == TEXT.encode()
    assert read.sha256 == piped.sha256 == source(TEXT).sha256


FAULTY = [
    (b"", "the file is empty"),
    (b" \n\t\r\n", "the file is empty"),
    (b"\xef\xbb\xbf", "the file is empty"),
    (gzip.compress(b"", mtime=0), "the file is empty"),
    (gzip.compress(TEXT.encode(), mtime=0)[:-9], "pass a whole gzip file"),
    (gzip.compress(TEXT.encode(), mtime=0)[:5], "pass a whole gzip file"),
    (b"\x1f\x8b\x08\x00garbage garbage", "pass a whole gzip file"),
    (TEXT.encode("latin-1"), r":3: byte 0xe9 is not UTF-8 text"),
    (TEXT.encode("utf-16")[:-1], ":3: byte .* is not UTF-16 text"),
    ("ds,y\n".encode("utf-16-le"), ":1: a zero byte is no text"),
    (b"ds,y\n1,2\n2,\0\n", ":3: a zero byte is no text; pass a CSV file saved as UTF-8"),
    (b"\x89PNG\r\n\x1a\n\0\0", ":1: byte 0x89 is not UTF-8 text"),
]


@pytest.mark.parametrize(("data", "message"), FAULTY)
def test_source_raises_with_the_line_when_bytes_are_no_table(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"f\.csv:.*{message.removeprefix(':')}"):
        open_source(str(path))


def test_source_raises_when_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file.*; pass a readable CSV file or - for stdin"):
        open_source(str(tmp_path / "absent.csv"))


def test_source_names_the_glob_when_it_is_a_directory(tmp_path: Path) -> None:
    remedy = re.escape(f"it is a directory; pass its files, such as '{tmp_path / '*.csv'}'")
    with pytest.raises(DataError, match=remedy):
        open_source(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b" \n", gzip.compress(b"\n", mtime=0)])
def test_stdin_is_none_when_nothing_arrives(data: bytes, stdin: io.BytesIO) -> None:
    stdin.write(data)
    stdin.seek(0)
    assert read_stdin() is None
    stdin.seek(0)
    with pytest.raises(DataError, match="stdin: no data arrived; it needs a header line and rows"):
        open_source("-")


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("ds,y", ","),
        ("ds;y", ";"),
        ("\n\nds\ty", "\t"),
        ("ds|y,z|w", "|"),
        ('"Sales, net, of tax";ds', ";"),
        ("y", ","),
    ],
)
def test_separator_is_the_one_that_splits_the_header(header: str, separator: str) -> None:
    assert find_separator(source(f"{header}\n1,5;2\n")) == separator


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_stand_on_their_lines_when_some_are_blank_or_long(newline: str) -> None:
    lines = ["", "a,b", "  ", '"1', '1",2', "", "3, 4", ' 5,"6"']
    table = source(newline.join(lines) + newline)
    expected = [
        (2, ["a", "b"]),
        (4, [f"1{newline}1", "2"]),
        (7, ["3", "4"]),
        (8, ["5", "6"]),
    ]
    assert list(table.rows(",")) == expected
    assert [table.line_of(row, ",") for row in (-1, 0, 1, 2)] == [2, 4, 7, 8]
    check_rectangular(table, ",")


@pytest.mark.parametrize(
    ("text", "line"),
    [('a,b\n1,"2\n3,4\n', 2), ('a,b\n1,2\n"x"y,2\n', 3), ('a,b\n"x\ny",2\n\n1,"\n', 5)],
)
def test_rows_raise_with_the_line_they_start_on_when_a_quote_is_odd(text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"f\.csv:{line}: .*; correct the quotes there"):
        list(source(text).rows(","))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,b\n1,2\n1\n", "3: 1 cells"),
        ("a,b\n1,2\n\n1,2,3\n", "4: 3 cells"),
        ('a,b\n"x\ny",2\n\n  \n1,2,3\n', "6: 3 cells"),
        ('a,b\n"x,y",2\n1\n', "3: 1 cells"),
        ("a\tb\n\t\t\n", "2: 3 cells"),
        ("\n\na,b\r\n1,2\r\n1,2,\r\n", "5: 3 cells"),
    ],
)
def test_rectangle_is_checked_with_the_line_when_a_row_is_ragged(text: str, place: str) -> None:
    separator = "\t" if "\t" in text else ","
    with pytest.raises(DataError, match=rf"f\.csv:{place}, but the header has 2; complete"):
        check_rectangular(source(text), separator)
