"""Tables as text, and files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.config import DataConfig
from rnnforecast.data.reading import FLOAT_PRECISION
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import atomic_write, forecast_table, to_csv, write_csv
from rnnforecast.errors import RnnForecastError
from tests.data.test_panel import ragged

COLUMNS = DataConfig(id_column="shop", time_column="day", target_columns=("sales",))
WINDOWS = WindowIndex(series=np.array([1, 0]), cutoffs=np.array([2, 3]))
QUANTILES = np.arange(20.0).reshape(2, 2, 5)


def test_atomic_write_replaces_the_file_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")
    mask = os.umask(0o027)
    try:
        with atomic_write(path) as file:
            file.write(b"new")
            assert path.read_text() == "old"
    finally:
        os.umask(mask)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["f.csv"]
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_atomic_write_leaves_the_old_file_when_the_block_raises(
    error: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"half of")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f.csv"]


def test_atomic_write_raises_in_one_line_when_the_place_cannot_be_written(tmp_path: Path) -> None:
    for place in (tmp_path / "absent" / "f.csv", tmp_path):
        with (
            pytest.raises(RnnForecastError, match=rf"^{place}: .*; free space there or pass an"),
            atomic_write(place) as file,
        ):
            file.write(b"x")
    assert os.listdir(tmp_path) == []


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_csv_floats_round_trip(bits: list[int]) -> None:
    numbers = np.array([struct.unpack("d", struct.pack("Q", word))[0] for word in bits])
    numbers = numbers[np.isfinite(numbers)]
    text = to_csv(pd.DataFrame({"k": range(len(numbers)), "y": numbers}))
    read = pd.read_csv(io.StringIO(text), float_precision=FLOAT_PRECISION)
    assert read["y"].tolist() == numbers.tolist()


def test_csv_has_a_header_when_there_are_no_rows() -> None:
    assert to_csv(pd.DataFrame({"ds": [], "y": []})) == "ds,y\n"


def test_csv_is_written_as_utf_8_with_line_feeds(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"id": ["é", "a,b"], "y": [0.1, np.nan]}), tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_bytes() == 'id,y\né,0.1\n"a,b",\n'.encode()


def test_forecasts_have_a_row_a_window_and_step_under_the_users_names() -> None:
    models = {"gru": QUANTILES, "naive": QUANTILES[:, :, :1]}
    table = forecast_table(ragged([4, 3]), WINDOWS, models, (80.0, 95.5), COLUMNS)
    assert to_csv(table) == (
        "shop,day,gru,gru-lo-80,gru-hi-80,gru-lo-95.5,gru-hi-95.5,naive\n"
        "s1,14,2.0,1.0,3.0,0.0,4.0,0.0\n"
        "s1,16,7.0,6.0,8.0,5.0,9.0,5.0\n"
        "s0,6,12.0,11.0,13.0,10.0,14.0,10.0\n"
        "s0,8,17.0,16.0,18.0,15.0,19.0,15.0\n"
    )


def test_forecasts_have_a_header_when_there_is_no_window() -> None:
    none = WindowIndex(series=WINDOWS.series[:0], cutoffs=WINDOWS.cutoffs[:0])
    table = forecast_table(ragged([4, 3]), none, {"gru": QUANTILES[:0]}, (80.0, 95.0), COLUMNS)
    assert to_csv(table) == "shop,day,gru,gru-lo-80,gru-hi-80,gru-lo-95,gru-hi-95\n"


def test_forecasts_name_series_as_nixtla_does_when_there_is_no_id_column() -> None:
    config = replace(COLUMNS, id_column=None)
    table = forecast_table(ragged([4, 3]), WINDOWS, {"gru": QUANTILES}, (), config)
    assert list(table.columns) == ["unique_id", "day", "gru"]
