"""Several files as one table: which they are, and faults by their own files and lines."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.reading import read_table
from rnnforecast.data.source import Source, join_sources, open_source
from rnnforecast.errors import DataError

HEADER = "unique_id,ds,y"


def day(series: str, number: int, value: str = "1") -> str:
    return f"{series},2020-01-{number:02d},{value}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.csv").write_text("\n".join([HEADER, *(day("x", n) for n in range(4, 7))]))
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *(day("x", n) for n in range(1, 4))]))
    (tmp_path / "c.txt").write_text("no table")
    (tmp_path / "d.csv").mkdir()
    return tmp_path


def test_files_are_those_that_match_in_order_when_a_glob_is_given(folder: Path) -> None:
    glob = str(folder / "*.csv")
    found = open_source(glob)
    paths = [str(folder / "a.csv"), str(folder / "b.csv")]
    assert found.name == glob
    assert [part.name for part in found.parts] == paths
    assert found.data == open_source([paths[0], *paths, glob]).data
    assert open_source(paths).name == " and ".join(paths)
    assert open_source([*paths, paths[0]]).name == f"{paths[0]} and 2 more"
    panel = read_table([glob], DataConfig()).panel
    assert (panel.ids, panel.lengths.tolist()) == (("x",), [6])


def test_file_is_no_glob_when_its_name_has_brackets(folder: Path) -> None:
    path = folder / "[ab].csv"
    path.write_text(f"{HEADER}\n{day('z', 1)}\n{day('z', 2)}\n")
    assert read_table(str(path), DataConfig()).panel.ids == ("z",)


def test_source_raises_when_nothing_matches(folder: Path) -> None:
    pattern = str(folder / "*.parquet")
    with pytest.raises(DataError, match=re.escape(f"{pattern}: no file is called so")):
        open_source(pattern)


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (f"{HEADER}\n{day('x', 4)}\n\n{day('x', 5, 'bad')}\n", "b.csv:4: column 'y': 'bad'"),
        (f"\n{HEADER}\n{day('x', 3)}\n", "b.csv:3: column 'ds': series 'x' has this time twice"),
        (f"{HEADER}\n{day('x', 4)},1\n", "b.csv:2: 4 cells, but the header has 3"),
        (f'{HEADER}\n{day("x", 4)}\n"x,2020-01-05,1\n', "b.csv:3: unexpected end of data"),
        ("ds,y,unique_id\n2020-01-04,1,x\n2020-01-05,?,x\n", "b.csv:3: column 'y': '?'"),
        ("unique_id,ds,z\nx,2020-01-04,1\n", "b.csv: it has no column 'y', which .*a.csv has"),
        (f"{HEADER},z\n{day('x', 4)},1\n", "b.csv: it has a column 'z', which .*a.csv lacks"),
        ("unique_id,ds,ds,y\nx,2020-01-04,1,1\n", "b.csv: it repeats other columns than"),
        ("", "b.csv: the file is empty"),
    ],
)
def test_fault_names_its_own_file_and_line_when_there_are_several(
    second: str, fault: str, folder: Path
) -> None:
    (folder / "b.csv").write_text(second)
    with pytest.raises(DataError) as raised:
        read_table(str(folder / "*.csv"), DataConfig())
    assert re.match(f"{re.escape(str(folder))}/{fault}", str(raised.value)), raised.value


def test_fault_names_the_first_file_when_it_stands_there(folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text(path.read_text().replace("03,1", "03,one"))
    with pytest.raises(DataError, match=r"a\.csv:4: column 'y': 'one'"):
        read_table(str(folder / "*.csv"), DataConfig())


def test_files_are_one_table_when_they_are_packed_and_their_columns_exchanged(
    folder: Path,
) -> None:
    text = "y, ds,unique_id\r\n1,2020-01-04,x\r\n \r\n2,2020-01-05,x"
    (folder / "b.csv").write_bytes(gzip.compress(text.encode("utf-16")))
    panel = read_table(str(folder / "*.csv"), DataConfig()).panel
    assert panel.values.tolist() == [1, 1, 1, 1, 2]


cells = st.text(st.sampled_from('a,"\n é;'), max_size=4)


@given(
    tables=st.lists(st.lists(st.tuples(cells, cells), max_size=4), min_size=1, max_size=3),
    exchanged=st.lists(st.booleans(), min_size=3, max_size=3),
    blank=st.booleans(),
)
def test_rows_keep_their_cells_and_places_when_files_are_joined(
    tables: list[list[tuple[str, str]]], exchanged: list[bool], blank: bool
) -> None:
    def quoted(row: tuple[str, ...]) -> str:
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in row)

    parts = []
    for number, rows in enumerate(tables):
        turned = -1 if exchanged[number] and number else 1
        lines = [quoted(row[::turned]) for row in [("p", "q"), *rows]]
        parts.append(Source(f"{number}", ("\n\n" if blank else "\n").join(lines).encode()))
    joined = join_sources("all", parts, ",")
    found = [cells for _, cells in joined.rows(",")][1:]
    assert found == [list(row) for rows in tables for row in rows]
    places = [(str(n), at) for n, rows in enumerate(tables) for at in range(len(rows))]
    for row, (name, at) in enumerate(places):
        assert joined.place(row, ",") == (name, parts[int(name)].line_of(at, ","))
    assert joined.place(-1, ",") == ("0", 1)
