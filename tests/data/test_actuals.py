"""Several files as one panel."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.actuals import read_actuals
from rnnforecast.data.reading import Table, read_table
from rnnforecast.errors import DataError

SAMPLES = Path(__file__).parents[2] / "sample_data"
NAN = math.nan
HEAD = "unique_id,ds,y\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path, *texts: str) -> Table:
    names = [f"{name}.csv" for name in "abc"[: len(texts)]]
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text)
    return read_actuals(names, DataConfig())


def series(table: Table) -> dict[str, list[float]]:
    return {name: table.panel.series(i).tolist() for i, name in enumerate(table.panel.ids)}


@pytest.mark.parametrize("name", ["demand", "passengers", "population", "stocks", "weather"])
def test_actuals_are_the_table_when_there_is_one_file(name: str) -> None:
    path = str(SAMPLES / f"{name}.csv")
    table, whole = read_actuals([path], DataConfig()), read_table(path, DataConfig())
    for found, expected in zip(
        (table.panel.values, table.panel.offsets, table.panel.starts),
        (whole.panel.values, whole.panel.offsets, whole.panel.starts),
        strict=True,
    ):
        assert np.array_equal(found, expected, equal_nan=True)
    assert (table.panel.ids, table.panel.frequency) == (whole.panel.ids, whole.panel.frequency)
    assert (table.config, table.name, table.sha256) == (whole.config, whole.name, whole.sha256)
    assert table.ignored == whole.ignored


@pytest.mark.parametrize("test_rows", [1, 30])
@pytest.mark.parametrize("test_first", [True, False])
def test_actuals_are_the_whole_when_it_was_split(
    folder: Path, test_first: bool, test_rows: int
) -> None:
    lines = (SAMPLES / "population.csv").read_text().splitlines()
    parts = {True: lines[:1], False: lines[:1]}
    for place, line in enumerate(lines[1:]):
        parts[place % 50 >= 50 - test_rows].append(line)
    table = read(folder, *("\n".join(parts[kind]) for kind in (test_first, not test_first)))
    whole = read_table(str(SAMPLES / "population.csv"), DataConfig()).panel
    assert table.panel.ids == whole.ids
    assert table.panel.values.tolist() == whole.values.tolist()
    assert table.panel.frequency == whole.frequency
    assert table.name == "a.csv and b.csv"


def test_value_counts_once_when_two_files_have_it(folder: Path) -> None:
    table = read(
        folder, f"{HEAD}a,2,2\na,3,3\n", f"{HEAD}a,1,1\na,2,2.0\n", f"{HEAD}a,3,3\nb,1,9\n"
    )
    assert series(table) == {"a": [1, 2, 3], "b": [9]}


@pytest.mark.parametrize("empty_first", [True, False])
def test_missing_value_gives_way_when_another_file_has_it(folder: Path, empty_first: bool) -> None:
    texts = [f"{HEAD}a,1,1\na,2,\na,3,3\n", f"{HEAD}a,2,2\n"]
    assert series(read(folder, *(texts if empty_first else texts[::-1]))) == {"a": [1, 2, 3]}


def test_series_are_joined_by_name_when_one_file_is_wide(folder: Path) -> None:
    table = read(folder, f"{HEAD}a,3,3\nb,3,7\n", "ds,b,a\n1,5,1\n2,6,2\n")
    assert series(table) == {"a": [1, 2, 3], "b": [5, 6, 7]}


def test_times_are_one_when_zones_or_formats_differ(folder: Path) -> None:
    zoned = f"{HEAD}a,2020-01-01T02:00:00+02:00,1\na,2020-01-01T03:00:00+02:00,2\n"
    table = read(folder, zoned, f"{HEAD}a,2020-01-01T01:00:00Z,2\na,2020-01-01T02:00:00Z,3\n")
    assert series(table) == {"a": [1, 2, 3]}
    assert list(table.panel.frequency.format(table.panel.starts)) == ["2020-01-01T02:00:00+02:00"]
    table = read(folder, f"{HEAD}a,2020-01-31,1\na,2020-02-01,2\n", f"{HEAD}a,31/01/2020 00:00,1\n")
    assert series(table) == {"a": [1, 2]}


def test_steps_follow_each_other_when_every_series_has_one_row(folder: Path) -> None:
    table = read(folder, f"{HEAD}a,7,1\n", f"{HEAD}b,9,2\n")
    assert (series(table), str(table.panel.frequency)) == ({"a": [1], "b": [2]}, "step")


FAULTS = {
    "differ": (
        [f"{HEAD}a,1,1\na,2,2\n", f"{HEAD}a,0,0\na,1,1.5\n"],
        "b.csv:3: column 'ds': series 'a' has the value 1.5 at this time, but 1 in a.csv; correct",
    ),
    "twice in one": (
        [f"{HEAD}a,1,1\na,2,2\n", f"{HEAD}b,1,1\nb,1,1\n"],
        "b.csv:3: column 'ds': series 'b' has this time twice; remove one of the rows",
    ),
    "between": (
        [f"{HEAD}a,0,1\na,2,2\na,4,2\n", f"{HEAD}a,5,1\n"],
        "b.csv:2: column 'ds': series 'a' has a row every 2 steps, but this one lies between two",
    ),
    "kinds": (
        [f"{HEAD}a,1,1\na,2,2\n", f"{HEAD}a,2020-01-01,1\n"],
        "a.csv and b.csv: some times are integer steps, some are not; write all alike",
    ),
    "no frequency": (
        [f"{HEAD}a,2020-01-01,1\n", f"{HEAD}b,2020-01-01,1\n"],
        "a.csv and b.csv: no series has two rows, so the frequency cannot be found; pass a file",
    ),
    "no number": (
        [f"{HEAD}a,1,1\na,2,2\n", f"{HEAD}a,3,3\na,4,4\na,5,x\n"],
        "b.csv:4: column 'y': 'x'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_actuals_are_refused_when_files_disagree(name: str, folder: Path) -> None:
    texts, message = FAULTS[name]
    with pytest.raises(DataError) as caught:
        read(folder, *texts)
    assert str(caught.value).startswith(message)
