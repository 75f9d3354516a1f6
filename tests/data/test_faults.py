"""Findings as text and as rows, from errors and from their texts alone."""

from __future__ import annotations

import numpy as np
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.cells import open_cells
from rnnforecast.data.faults import (
    MOST,
    Fault,
    FaultError,
    Finding,
    Findings,
    LocatedError,
    RowError,
    finding_of,
)
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError

TEXT = b"unique_id,ds,y\na,1,5\n\na,2,6\nb,1,7\n"
CELLS = open_cells(Source("f.csv", TEXT), DataConfig())


@pytest.mark.parametrize(
    ("text", "line", "column", "series"),
    [
        ("f.csv:4: column 'y': 'x' is not a number; correct it", 4, "y", None),
        ("f.csv:4: column 'ds': series 'a' has this time twice; remove one", 4, "ds", "a"),
        ("f.csv:4: 2 cells, but the header has 3; complete it", 4, None, None),
        ("f.csv: series 'b': no value is observed; remove it", None, None, "b"),
        ("f.csv: the file is empty; fill it", None, None, None),
    ],
)
def test_finding_is_its_error_when_only_the_text_is_known(
    text: str, line: int | None, column: str | None, series: str | None
) -> None:
    finding = finding_of(DataError(text), "f.csv")
    assert (finding.line, finding.column, finding.series) == (line, column, series)
    assert str(finding) == text


def test_findings_list_some_and_count_the_rest_when_many_are_alike() -> None:
    findings = Findings()
    doubt = Finding(severity="doubt", file="f.csv", problem="the column is not used", column="z")
    findings.add(doubt)
    for k in range(1000):
        problem = f"'{k}x' is not a number"
        findings.add(Finding(severity="error", file="f.csv", line=k + 2, problem=problem))
    listed = findings.listed()
    assert [finding.line for finding in listed] == [*range(2, MOST + 2), None, None]
    assert listed[-1] == doubt
    assert listed[-2].problem == f"{1000 - MOST} more such: '{MOST - 1}x' is not a number"


def test_located_error_tells_line_and_column_when_a_row_is_faulty() -> None:
    faults = [Fault(1, "it is odd", "mend it", "y", "a"), Fault(2, "it is odd", "mend it", "y")]
    error = RowError(1, "it is odd; mend it", faults=lambda: faults, column="y")
    located = LocatedError(CELLS, error, "ds")
    assert str(located) == "f.csv:4: column 'y': it is odd; mend it"
    assert located.faults() == faults
    assert located.left_out().tolist() == [1]


def test_located_error_folds_rows_when_they_count_on_from_column_to_column() -> None:
    error = RowError(4, "it is odd; mend it", left_out=lambda: np.array([1, 4, 7, 2]))
    located = LocatedError(CELLS, error, "ds", rows=3)
    assert str(located) == "f.csv:4: column 'ds': it is odd; mend it"
    assert located.faults() == [Fault(1, "it is odd", "mend it", "ds")]
    assert located.left_out().tolist() == [1, 2]


def test_located_error_names_the_file_alone_when_no_row_is_known() -> None:
    error = FaultError("which one; pass --id-col", settled={"id_column": "a"})
    located = LocatedError(CELLS, error)
    assert str(located) == "f.csv: which one; pass --id-col"
    assert located.settled == {"id_column": "a"}
    assert not len(located.left_out())
