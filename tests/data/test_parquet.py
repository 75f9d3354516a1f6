"""Parquet files are read as the CSV file of the same table is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.parquet import parquet_as_csv
from rnnforecast.data.reading import read_table
from rnnforecast.errors import DataError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(path: Path, **columns: Any) -> str:
    parquet.write_table(pa.table(columns), path)
    return str(path)


def hours(count: int = 6) -> Any:
    return pa.array(pd.date_range("2020-01-01", periods=count, freq="h"), pa.timestamp("ns"))


def test_table_is_that_of_the_csv_file_when_it_has_text_times_and_numbers(tmp_path: Path) -> None:
    ids = pa.array(["a,b", "é"] * 6)
    times, values = hours(12), pa.array([0.1, None, 1e-300, 2.0, float("nan"), 1e9] * 2)
    path = write(tmp_path / "any.name", unique_id=ids.dictionary_encode(), ds=times, y=values)
    frame = pd.DataFrame({"unique_id": ids.to_pylist(), "ds": times.to_pandas(), "y": values})
    frame.to_csv(tmp_path / "f.csv", index=False)
    read, other = (read_table(str(each), DataConfig()) for each in (path, tmp_path / "f.csv"))
    assert (read.panel.ids, read.panel.frequency) == (other.panel.ids, other.panel.frequency)
    assert read.panel.values.tobytes() == other.panel.values.tobytes()
    assert read.config == other.config


KINDS = {
    "int8": pa.array([1, 2, None, 4, 5, 6], pa.int8()),
    "uint64": pa.array([1, 2, None, 4, 5, 6], pa.uint64()),
    "float32": pa.array([0.1, 2, None, 4, 5, 6], pa.float32()),
    "decimal": pa.array([1, 2, None, 4, 5, 6], pa.int64()).cast(pa.decimal128(22, 3)),
    "text": pa.array(["1", "2", None, "4", "5e0", "6"]),
    "views": pa.array(["1", "2", None, "4", "5e0", "6"], pa.string_view()),
}


@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_values_are_read_when_they_are_numbers_of_any_kind(values: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "f", unique_id=pa.array([7] * 6), ds=hours(), y=values)
    panel = read_table(path, DataConfig()).panel
    assert panel.ids == ("7",)
    first = 0.1 if pa.types.is_float32(values.type) else 1.0
    np.testing.assert_array_equal(panel.values, [first, 2, np.nan, 4, 5, 6])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_of_the_clock_of_their_zone_when_they_have_one(unit: str, tmp_path: Path) -> None:
    times = hours().cast(pa.timestamp(unit)).cast(pa.timestamp(unit, "Asia/Tokyo"))
    panel = read_table(write(tmp_path / "f", ds=times, y=pa.array(range(6))), DataConfig()).panel
    assert panel.frequency.offset == "+09:00"
    written = panel.frequency.format(panel.times(np.array([0]), np.array([0])))
    assert list(written) == ["2020-01-01T09:00:00+09:00"]


def test_times_are_steps_or_days_when_they_are_whole_numbers_or_dates(tmp_path: Path) -> None:
    values = pa.array([1.0, 2.0, 3.0])
    steps = read_table(write(tmp_path / "f", ds=pa.array([5, 7, 9]), y=values), DataConfig())
    assert (steps.panel.frequency.unit, steps.panel.frequency.count) == ("step", 2)
    days = hours(72)[::24].cast(pa.date32())
    found = read_table(write(tmp_path / "f", ds=days, y=values), DataConfig()).panel.frequency
    assert str(found) == "day"
    assert found.date_only


def test_fault_names_the_row_when_a_file_has_no_lines(tmp_path: Path) -> None:
    ids = pa.array(["two\nlines"] * 6)
    values = pa.array([1, 2, 3, float("inf"), 5, 6])
    path = write(tmp_path / "f.parquet", unique_id=ids, ds=hours(), y=values)
    with pytest.raises(DataError, match=r"f\.parquet:4: column 'y': the value is infinite"):
        read_table(path, DataConfig())


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[1], [2]]), "list"),
        (pa.array([b"\xff", b""]), "binary"),
        (pa.array([b"\xff", b""], pa.binary_view()), "binary_view"),
    ],
)
def test_column_is_named_when_it_is_no_column_of_cells(
    column: Any, kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "f", ds=pa.array([1, 2]), y=pa.array([1, 2]), z=column)
    with pytest.raises(DataError, match=rf"f: column 'z': {kind}.* is none of text"):
        read_table(path, DataConfig())


@pytest.mark.parametrize("end", [4, -9, -4])
def test_file_is_refused_when_it_is_cut_off(end: int, tmp_path: Path) -> None:
    path = Path(write(tmp_path / "f", ds=pa.array([1, 2]), y=pa.array([1, 2])))
    with pytest.raises(DataError, match=r"f: [^\n]*; pass a whole Parquet file$"):
        parquet_as_csv("f", path.read_bytes()[:end])


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_the_same_when_they_are_written_as_text(values: list[float]) -> None:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"ds": range(len(values)), "y": pa.array(values)}), sink)
    text = parquet_as_csv("f", sink.getvalue().to_pybytes()).decode()
    found = [float(line.split(",")[1]) for line in text.splitlines()[1:]]
    np.testing.assert_array_equal(found, values)
