"""From the bytes of a table of forecasts to what each model said of each series and time."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.forecasts import ForecastRows, read_forecasts
from rnnforecast.data.zones import at_clock
from rnnforecast.errors import ConfigError, DataError

FILES = Path(__file__).parent / "files"
NAN = math.nan
MARKED = "unique_id,ds,gru,gru-lo-80,gru-hi-80\na,1,2,1,3\na,2,3,2,4\nb,1,5,4,6\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f.csv"


def read(file: Path, text: str, after: str | None = None, **asked: object) -> ForecastRows:
    file.write_text(text)
    return read_forecasts(str(file), DataConfig(**asked), after=after)  # type: ignore[arg-type]


def models(rows: ForecastRows) -> dict[str, tuple[float, ...]]:
    return {model.name: model.coverages for model in rows.models}


REAL = {
    "neuralforecast-predict": ({"GRU": (80, 95), "LSTM": ()}, ("EWR", "JFK", "LGA"), 36),
    "neuralforecast-cross-validation": ({"GRU": (80, 95), "LSTM": ()}, ("passengers",), 36),
    "statsforecast-forecast": (
        dict.fromkeys(["AutoETS", "SeasonalNaive", "Naive"], (80, 95)),
        ("passengers",),
        12,
    ),
    "statsforecast-cross-validation": (
        dict.fromkeys(["AutoETS", "SeasonalNaive", "Naive"], (80,)),
        ("passengers",),
        24,
    ),
    "prophet-future": ({"yhat": (80,)}, None, 12),
    "prophet-history-and-future": ({"yhat": (80,)}, None, 48),
    "prophet-cross-validation": ({"yhat": (80,)}, None, 48),
    "autogluon-by-hand": ({"median": (20, 40, 60, 80)}, ("EWR", "JFK"), 12),
    "rnnforecast-train": ({"gru": (80, 95)}, ("passengers",), 12),
}


@pytest.mark.parametrize("name", REAL)
def test_forecasts_are_recognised_when_a_tool_wrote_them(name: str) -> None:
    rows = read_forecasts(str(FILES / f"{name}.csv"), DataConfig())
    expected, ids, count = REAL[name]
    assert models(rows) == expected
    assert rows.ids == ids
    assert len(rows.times) == count
    crossed = "cross-validation" in name
    assert (rows.cutoffs is not None, rows.config.target_columns == ("y",)) == (crossed, crossed)


COLUMNS = {
    "neuralforecast-predict": ["GRU-lo-95", "GRU-lo-80", "GRU-median", "GRU-hi-80", "GRU-hi-95"],
    "statsforecast-cross-validation": ["AutoETS-lo-80", "AutoETS", "AutoETS-hi-80"],
    "prophet-cross-validation": ["yhat_lower", "yhat", "yhat_upper"],
    "autogluon-by-hand": [f"0.{tenth}" for tenth in range(1, 10)],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_quantiles_are_the_cells_in_the_order_of_their_levels(name: str) -> None:
    path = FILES / f"{name}.csv"
    frame = pd.read_csv(path, dtype=str)  # pandas before 3.1 rounds what it reads as floats
    rows = read_forecasts(str(path), DataConfig())
    assert np.array_equal(rows.models[0].quantiles, frame[COLUMNS[name]].astype(float).to_numpy())
    time = "timestamp" if "timestamp" in frame else "ds"
    for found, column in ((rows.times, time), (rows.cutoffs, "cutoff")):
        if found is not None:
            written = pd.to_datetime(frame[column]).to_numpy(dtype="datetime64[us]")
            assert found.tolist() == written.astype(np.int64).tolist()


def test_quantiles_are_counted_as_crossed_when_a_higher_level_has_a_lower_one() -> None:
    path = FILES / "neuralforecast-predict.csv"
    gru, lstm = read_forecasts(str(path), DataConfig()).models
    frame = pd.read_csv(path)
    low, middle, high = (frame[f"GRU-{side}"] for side in ("lo-80", "median", "hi-80"))
    assert (low > middle).sum() > 0
    assert gru.crossed >= ((low > middle) | (middle > high)).sum()
    assert lstm.crossed == 0


def test_target_and_id_are_found_when_a_backtest_has_names_of_its_own() -> None:
    path = str(FILES / "rnnforecast-backtest.csv")
    rows = read_forecasts(path, DataConfig(target_columns=("price",)))
    assert rows.config.id_column == "symbol"
    assert rows.ids == ("AAPL", "GOOG", "IBM", "MSFT")
    assert models(rows) == {"gru": (80, 95), "naive": (), "seasonal-naive": (), "drift": ()}
    assert rows.config.target_columns == ("price",)


def test_asked_columns_are_passed_over_when_the_file_lacks_them(file: Path) -> None:
    rows = read(file, MARKED, id_column="shop", time_column="day", target_columns=("sales",))
    assert (rows.config.id_column, rows.config.time_column) == ("unique_id", "ds")
    assert rows.config.target_columns == ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("ds,y_hat", {"y_hat": ()}),
        ("ds,y", {"y": ()}),
        ("ds,NBEATS,LSTM", {"NBEATS": (), "LSTM": ()}),
        (",ds,NBEATS", {"NBEATS": ()}),
        ("ds,yhat,trend", {"yhat": ()}),
        ("ds,A-median,A", {"A": ()}),
        ("ds,A-lo-80.0,A,A-hi-80.0,B-median", {"A": (80,), "B": ()}),
        ("ds,a-lo-b,a-lo-9.5,a-hi-9.5,a", {"a-lo-b": (), "a": (9.5,)}),
        ("ds,mean,0.05,0.95", {"mean": (90,)}),
        ("ds,predictions,0.1,0.5,0.9,trend", {"median": (80,)}),
    ],
)
def test_models_are_recognised_by_the_header(
    file: Path, header: str, expected: dict[str, tuple[float, ...]]
) -> None:
    names = header.split(",")
    lines = (
        ",".join("" if not name else time if name == "ds" else "1.5" for name in names)
        for time in "12"
    )
    rows = read(file, "\n".join([header, *lines]))
    assert models(rows) == expected


def test_codes_name_the_series_when_times_repeat(file: Path) -> None:
    rows = read(
        file, "shop,ds,cutoff,gru\n7,2,1,.5\n8,2,1,.5\n7,3,1,.5\n8,3,1,.5\n7,3,2,.1\n8,3,2,1.5\n"
    )
    assert (rows.config.id_column, rows.ids) == ("shop", ("7", "8"))
    assert models(rows) == {"gru": ()}


def test_no_column_names_the_series_when_only_cutoffs_make_times_repeat(file: Path) -> None:
    rows = read(file, "ds,cutoff,gru\n2,1,.5\n3,1,.5\n3,2,.5\n")
    assert rows.ids is None
    assert rows.keys.tolist() == [0, 0, 0]


def test_empty_cells_are_missing(file: Path) -> None:
    rows = read(file, MARKED.replace("2,3,2,4", "2,,,"))
    expected = [[1, 2, 3], [NAN, NAN, NAN], [4, 5, 6]]
    assert np.array_equal(rows.models[0].quantiles, expected, equal_nan=True)


SAME = {
    "semicolons": MARKED.replace(",", ";"),
    "row numbers": "".join(f"{k - 1 if k else ''},{row}\n" for k, row in enumerate(MARKED.split())),
    "decimal commas": MARKED.replace(",", ";").replace("4;6", "4,0;6"),
    "a byte-order mark": "\ufeff" + MARKED,
}


@pytest.mark.parametrize("name", SAME)
def test_forecasts_are_the_same_when_the_dialect_differs(name: str, file: Path) -> None:
    rows = read(file, SAME[name])
    assert rows.models[0].quantiles.tolist() == [[1, 2, 3], [2, 3, 4], [4, 5, 6]]
    assert (rows.ids, rows.keys.tolist(), rows.times.tolist()) == (("a", "b"), [0, 0, 1], [1, 2, 1])


def test_forecasts_are_the_same_when_the_file_is_gzipped(file: Path) -> None:
    file.write_bytes(gzip.compress(MARKED.encode(), mtime=0))
    assert read_forecasts(str(file), DataConfig()).models[0].quantiles.tolist()[0] == [1, 2, 3]


def test_fitted_values_are_dropped_when_a_cutoff_tells_them(file: Path) -> None:
    rows = read(file, "unique_id,ds,cutoff,gru\na,1,2,5\na,2,2,6\na,3,2,7\n")
    assert (rows.times.tolist(), rows.fitted) == ([3], 2)
    assert rows.models[0].quantiles.tolist() == [[7]]


@pytest.mark.parametrize("after", ["1959-12-01", "1959-12", "1959-12-01T00:00:00"])
def test_history_is_dropped_when_it_ends_at_after(after: str) -> None:
    path = str(FILES / "prophet-history-and-future.csv")
    rows = read_forecasts(path, DataConfig(), after=after)
    future = read_forecasts(str(FILES / "prophet-future.csv"), DataConfig())
    assert rows.fitted == 36
    assert rows.times.tolist() == future.times.tolist()
    assert np.allclose(rows.models[0].quantiles[:, 1], future.models[0].quantiles[:, 1], rtol=1e-9)


@pytest.mark.parametrize(
    ("after", "fitted"), [("15/01/2020", 1), ("2020-01-15", 1), ("2020-01-16 12:00", 2)]
)
def test_after_is_read_as_the_file_is_or_by_itself(file: Path, after: str, fitted: int) -> None:
    text = "ds,gru\n15/01/2020,1\n16/01/2020,1\n17/01/2020,1\n"
    assert read(file, text, after).fitted == fitted


@pytest.mark.parametrize("after", ["soon", "3", ""])
def test_after_is_refused_when_it_is_no_time(file: Path, after: str) -> None:
    with pytest.raises(ConfigError, match=f"^--after must be a time such as .*, got '{after}'$"):
        read(file, "ds,gru\n2020-01-15,1\n2020-01-16,1\n", after)


def test_after_is_refused_when_nothing_follows_it(file: Path) -> None:
    with pytest.raises(DataError, match=r"f\.csv: no forecast lies after --after 9; pass"):
        read(file, "ds,gru\n1,1\n2,1\n", "9")


FAULTS = {
    "no number": (MARKED.replace("2,3,2,4", "2,3,x,4"), "3: column 'gru-lo-80': 'x' is not a num"),
    "infinite": (MARKED.replace("2,3,2,4", "2,3,2,inf"), "3: column 'gru-hi-80': the value is inf"),
    "no time": (MARKED.replace("a,2", "a,x") + "b,3,1,1,1\n", "3: column 'ds': 'x' is no time"),
    "no id": (MARKED.replace("b,1", ",1"), "4: column 'unique_id': the id is empty"),
    "cells": (MARKED.replace("5,4,6", "5,4"), "4: 4 cells, but the header has 5"),
    "twice": (MARKED.replace("a,2", "a,1"), "3: column 'ds': series 'a' has this time twice; rem"),
    "twice, no id": ("ds,gru\n1,.5\n1,.6\n", "3: column 'ds': no column names the series, and one"),
    "twice, cutoff": (
        "id,ds,cutoff,gru\na,2,1,5\na,3,1,5\na,3,2,5\na,3,1,5\n",
        "5: column 'ds': series 'a' has this time twice for one cutoff; remove one of the rows",
    ),
    "no cutoff": (
        "id,ds,cutoff,gru\na,2,1,5\na,3,,5\na,4,2,5\n",
        "3: column 'cutoff': the time is empty",
    ),
    "kinds": ("id,ds,cutoff,gru\na,2,2020-01-01,5\n", "2: column 'cutoff': it and 'ds' must both"),
    "one bound": (
        MARKED.replace("gru-hi-80", "gru-hi-90"),
        "1: column 'gru-lo-80': the other bound, 'gru-hi-80', is not there; add it",
    ),
    "one bound of Prophet's": ("ds,yhat,yhat_lower\n1,2,1\n", "1: column 'yhat_lower': the other"),
    "one level": ("ds,0.1,0.5\n1,2,3\n", "1: column '0.1': the other bound, '0.9', is not there"),
    "no point": ("ds,a-lo-80,a-hi-80\n1,2,3\n", "1: column 'a-lo-80': there is no column 'a' or"),
    "no median": ("ds,0.1,0.9\n1,2,3\n", "1: column '0.1': there is no column '0.5' or 'mean'"),
    "coverage": ("ds,a,a-lo-100,a-hi-100\n1,2,3,4\n", "1: column 'a-lo-100': 100 is no coverage"),
    "repeated": ("ds,a,a\n1,2,3\n", "1: column 'a': the header repeats this column; rename one"),
    "no model": ("ds,note\n2020-01-01,x\n", "1: there is no column of forecasts; add one of n"),
    "two ids": ("ds,a,b,m\n2020-01-01,x,x,1\n", " the id column could be 'a', 'b'; pass --id-col"),
    "no time column": ("id,gru\na,1.5\n", " the time column was not found among the columns 'id'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_forecasts_are_refused_by_line_and_column_when_at_fault(name: str, file: Path) -> None:
    text, message = FAULTS[name]
    with pytest.raises(DataError) as caught:
        read(file, text)
    assert str(caught.value).startswith(f"{file}:{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "wanted", "hours"),
    [("+02:00", "+00:00", -2), ("-03:30", "+01:00", 4.5), ("", "+02:00", 0), ("+02:00", "", 0)],
)
def test_times_move_with_the_offset_when_both_have_one(
    offset: str, wanted: str, hours: float
) -> None:
    assert at_clock(np.array([0]), offset, wanted).tolist() == [int(hours * 3_600_000_000)]


def test_cutoffs_stand_at_the_offset_of_the_times_when_they_have_another(file: Path) -> None:
    text = "ds,cutoff,gru\n2020-01-01T02:00:00+02:00,2019-12-31T23:00:00Z,1\n"
    rows = read(file, text + "2020-01-01T03:00:00+02:00,2019-12-31T23:00:00Z,1\n")
    assert rows.cutoffs is not None
    assert (rows.times - rows.cutoffs).tolist() == [3_600_000_000, 7_200_000_000]
