"""Tables as text, and files that appear whole or not at all."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.used_columns import FLOAT_PRECISION
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import check_names, forecast_table, to_csv
from rnnforecast.errors import ConfigError
from tests.data.test_panel import ragged

COLUMNS = DataConfig(id_column="shop", time_column="day", target_columns=("sales",))
WINDOWS = WindowIndex(series=np.array([1, 0]), cutoffs=np.array([2, 3]))
QUANTILES = np.arange(20.0).reshape(2, 2, 5)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_csv_floats_round_trip(bits: list[int]) -> None:
    numbers = np.array([struct.unpack("d", struct.pack("Q", word))[0] for word in bits])
    numbers = numbers[np.isfinite(numbers)]
    text = to_csv(pd.DataFrame({"k": range(len(numbers)), "y": numbers}))
    read = pd.read_csv(io.StringIO(text), float_precision=FLOAT_PRECISION)
    assert read["y"].tolist() == numbers.tolist()


def test_csv_has_a_header_when_there_are_no_rows() -> None:
    assert to_csv(pd.DataFrame({"ds": [], "y": []})) == "ds,y\n"


def test_csv_parts_make_one_table_when_only_the_first_has_a_header() -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "y": [0.5, np.nan, 2.0]})
    parts = to_csv(frame[:1]) + to_csv(frame[1:2], header=False) + to_csv(frame[2:], header=False)
    assert parts == to_csv(frame)
    assert to_csv(frame[:0], header=False) == ""


def test_csv_has_line_feeds_and_quotes_where_needed() -> None:
    frame = pd.DataFrame({"id": ["é", "a,b"], "y": [0.1, np.nan]})
    assert to_csv(frame) == 'id,y\né,0.1\n"a,b",\n'


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gru", "ds", "gru"], "two columns of the output would be called 'gru'"),
        (["id", "ds", ""], "the forecast column needs a name"),
    ],
)
def test_names_are_refused_when_two_columns_would_share_one(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_names(names)


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
    table = forecast_table(ragged([4, 3]), WINDOWS, {"gru": QUANTILES[:, :, :1]}, (), config)
    assert list(table.columns) == ["unique_id", "day", "gru"]
