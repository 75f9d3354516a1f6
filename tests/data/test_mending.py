"""Faults out of a text, with every other row on its line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.faults import Findings
from rnnforecast.data.mending import mend, open_mended, ragged, titles_above
from rnnforecast.data.source import Source

TEXT = 'id,t,y\n\na,1,5\n"b\nc",2,6\nd,3,"7"\n  \ne,4,8\n'
LINES = {0: 3, 1: 4, 2: 6, 3: 8}


def kept(text: str, left_out: set[int], emptied: set[tuple[int, str]]) -> dict[int, list[str]]:
    (mended,) = mend([Source("f.csv", text.encode())], ",", left_out, emptied)
    return dict(mended.rows(","))


@given(st.sets(st.integers(0, 3)))
def test_mend_leaves_all_other_rows_on_their_lines(left_out: set[int]) -> None:
    whole = dict(Source("f.csv", TEXT.encode()).rows(","))
    expected = {line: cells for line, cells in whole.items()}
    for row in left_out:
        del expected[LINES[row]]
    assert kept(TEXT, left_out, set()) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_mend_empties_cells_when_these_alone_are_faulty(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    rows = kept(text, {0}, {(2, "y"), (3, "y"), (3, "t")})
    assert rows[6] == ["d", "3", ""] and rows[8] == ["e", "", ""]
    assert 3 not in rows and rows[1] == ["id", "t", "y"]


def test_mend_leaves_a_row_out_when_it_takes_several_lines_and_a_cell_is_faulty() -> None:
    assert list(kept(TEXT, set(), {(1, "y")})) == [1, 3, 6, 8]


def test_mend_counts_rows_over_all_files_when_they_are_several() -> None:
    parts = [Source("f.csv", b"t,y\n1,5\n2,6\n"), Source("g.csv", b"y,t\n7,3\n8,4\n")]
    first, second = mend(parts, ",", {1}, {(2, "y")})
    assert list(first.rows(",")) == [(1, ["t", "y"]), (2, ["1", "5"])]
    assert list(second.rows(",")) == [(1, ["y", "t"]), (2, ["", "3"]), (3, ["8", "4"])]


def test_ragged_rows_are_found_with_their_lines() -> None:
    source = Source("f.csv", b"t,y\n1\n\n1,2\n1,2,3\n")
    assert list(ragged(source, ",")) == [(2, 1, 2), (5, 3, 2)]


def test_title_is_found_when_it_stands_above_the_header() -> None:
    assert titles_above(Source("f.csv", b"\nSales\nt;y\n1;2\n")) == 2
    assert titles_above(Source("f.csv", b"t;y\n1;2\n")) is None


@pytest.mark.parametrize(
    ("data", "lines", "encoding", "rows"),
    [
        (b"t,y\n1,2\n\xe9,3\n\xe8,4\n", [3, 4], "cp1252", 4),
        ("t,y\né,2\n".encode() + b"\xe9,3\n3,4\n", [3], None, 3),
        (b"t,y\n1,2\n2,\0\n3,4\n", [3], None, 3),
    ],
)
def test_text_goes_on_and_lines_are_named_when_bytes_are_none(
    data: bytes, lines: list[int], encoding: str | None, rows: int, tmp_path: Path
) -> None:
    path, findings = tmp_path / "f.csv", Findings()
    path.write_bytes(data)
    mended = open_mended(str(path), DataConfig(), findings)
    assert [finding.line for finding in findings.listed()] == lines
    assert mended.source is not None and mended.encoding == encoding
    assert len(list(mended.source.rows(","))) == rows


def test_file_is_named_when_it_cannot_be_read_even_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, findings = tmp_path / "f.csv", Findings()
    path.write_text("t,y\n1,2\n")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    assert open_mended(str(path), DataConfig(), findings).source is None
    (finding,) = findings.listed()
    assert (finding.file, finding.severity) == (str(path), "error")
