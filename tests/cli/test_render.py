"""Tables on a terminal, at every width of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.cli.render import print_rows, print_tables, write_output
from tests.cli.command import run_here

NAMES = ["model", "mae", "mase", "coverage-80", "coverage-95", "skill", "owa"]
ROWS = [
    ["gru", 14.3712, 0.4718, 83.3333, 91.6667, 0.6997, 0.2912],
    ["seasonal-naive", 47.8333, 1.5712, 33.3333, 91.6667, 0.0, 0.9876],
    ["window-average", 63.8912, 2.0981, 66.6667, 75.0, -0.3357, 1.2345],
]


def printed(width: int, columns: list[str], rows: list[list[object]]) -> list[str]:
    """The lines of a table on a terminal of `width` characters, without their last spaces."""
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setattr("sys.stdout", told)
        print_rows(columns, rows, "table")
    return [line.rstrip() for line in told.getvalue().splitlines() if line.strip()]


@given(width=st.integers(1, 120), many=st.integers(1, 12))
def test_table_holds_every_name_and_number_when_the_terminal_has_any_width(
    width: int, many: int
) -> None:
    lines = printed(width, NAMES, ROWS * many)
    cells = {cell for line in lines for cell in line.split()}
    assert {*NAMES, "gru", "seasonal-naive", "14.37", "0.4718", "-0.3357"} <= cells


def test_table_stands_upright_when_it_fits_to_the_character() -> None:
    upright = printed(200, NAMES, ROWS)
    needed = max(map(len, upright)) + 1  # with the space at the end
    assert printed(needed, NAMES, ROWS) == upright
    assert len(printed(needed - 1, NAMES, ROWS)) == len(NAMES) + 1


@pytest.mark.parametrize("many", [1, 2])
def test_table_lies_on_its_side_when_it_fits_that_way_alone(many: int) -> None:
    columns, row = [f"metric-{place}" for place in range(6)], [1.5] * 6
    lines = printed(30, columns, [row] * many)
    assert [line.split()[0] for line in lines] == ["metric-0", lines[1].strip(), *columns[1:]]
    assert max(map(len, lines)) <= 30


def test_table_stands_upright_when_it_fits_in_no_way() -> None:
    assert printed(20, NAMES, ROWS) == printed(200, NAMES, ROWS)


def test_table_folds_sentences_between_words_when_the_terminal_is_narrow() -> None:
    sentence = "Gated recurrent unit with fewer weights than the other"
    lines = printed(40, ["model", "summary"], [["birnn-relu-two", sentence]])
    assert max(map(len, lines)) <= 40
    words = [word for line in lines[2:] for word in line.split()]
    assert words == ["birnn-relu-two", *sentence.split()]


def test_backtest_tells_of_its_absent_data_when_the_output_is_there(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("old")
    run = run_here(tmp_path, "backtest", "absent.csv", "--horizon", "3", "--output", "all.csv")
    assert (run.code, run.stdout) == (3, "")
    assert run.stderr.startswith("error: absent.csv: No such file")
    assert (tmp_path / "all.csv").read_text() == "old"


def parts() -> Iterator[pd.DataFrame]:
    """Two tables of one column."""
    yield pd.DataFrame({"gru": [1.5, 2.5]})
    yield pd.DataFrame({"gru": [3.5]})


def test_tables_have_one_header_when_there_are_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_tables(parts(), "csv")
    assert capsys.readouterr().out == "gru\n1.5\n2.5\n3.5\n"
    print_tables(parts(), "json")
    assert json.loads(capsys.readouterr().out) == [{"gru": 1.5}, {"gru": 2.5}, {"gru": 3.5}]
    write_output(parts(), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "gru\n1.5\n2.5\n3.5\n"


def test_tables_are_printed_as_they_come_when_they_are_csv(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = []

    def watched() -> Iterator[pd.DataFrame]:
        for part in parts():
            yield part
            printed.append(capsys.readouterr().out)

    print_tables(watched(), "csv")
    assert printed == ["gru\n1.5\n2.5\n", "3.5\n"]


def test_output_stays_as_it_was_when_a_later_table_fails(tmp_path: Path) -> None:
    def failing() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"gru": [1.5]})
        raise ValueError

    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(ValueError):
        write_output(failing(), tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"
