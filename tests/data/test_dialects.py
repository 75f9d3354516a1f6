"""The names of columns by the tools that use them, in and out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.dialects import (
    forecast_columns,
    id_name,
    looked_for,
    target_name,
    time_name,
)
from rnnforecast.data.forecasts import read_forecasts
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import Source
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table, to_csv
from rnnforecast.errors import ConfigError
from tests.data.test_panel import ragged

LEVELS = (80.0, 95.0)
QUANTILES = np.arange(10.0).reshape(1, 2, 5)
ONE = WindowIndex(series=np.array([0]), cutoffs=np.array([4]))


def read(text: str, **asked: object) -> Table:
    return parse_table(Source("f.csv", text.encode()), DataConfig(**asked))  # type: ignore[arg-type]


def written(dialect: str, series: int = 1, **columns: str) -> pd.DataFrame:
    names = {"id_column": None, "time_column": "day", "target_columns": ("sales",), **columns}
    config = DataConfig(dialect=dialect, **names)  # type: ignore[arg-type]
    return forecast_table(ragged([4] * series), ONE, {"gru": QUANTILES}, LEVELS, config)


@pytest.mark.parametrize(
    ("dialect", "header", "found"),
    [
        ("nixtla", "y,unique_id,ds,note,id", ("unique_id", "ds", "y")),
        ("prophet", "date,ds,y,value", (None, "ds", "y")),
        ("autogluon", "id,item_id,timestamp,date,target,y", ("item_id", "timestamp", "target")),
        ("autogluon", "item_id,date,y", ("item_id", None, None)),
    ],
)
def test_columns_of_the_dialect_are_found_when_the_header_has_them(
    dialect: str, header: str, found: tuple[str | None, ...]
) -> None:
    config = looked_for(DataConfig(dialect=dialect), header.split(","))
    target = config.target_columns[0] if config.target_columns else None
    assert (config.id_column, config.time_column, target) == found


def test_columns_that_are_asked_for_go_before_those_of_the_dialect() -> None:
    asked = DataConfig(
        dialect="autogluon",
        id_column="shop",
        target_columns=("item_id",),
        time_column="day",
        future_columns=("timestamp",),
    )
    header = ["shop", "item_id", "day", "timestamp", "target"]
    assert looked_for(asked, header) == asked


def test_table_is_read_by_the_dialect_when_its_names_are_not_the_usual_ones() -> None:
    rows = "".join(f"{k},a,2020-01-0{k + 1},2020-02-0{k + 1},{k}\n" for k in range(5))
    table = read("target,item_id,timestamp,ordered,stock\n" + rows, dialect="autogluon")
    assert table.config.time_column == "timestamp"
    assert table.config.target_columns == ("target",)
    assert table.ignored == ("ordered", "stock")


@pytest.mark.parametrize(
    ("dialect", "header"),
    [
        ("nixtla", "unique_id,day,gru,gru-lo-80,gru-hi-80,gru-lo-95,gru-hi-95"),
        ("prophet", "ds,yhat,yhat_lower,yhat_upper"),
        ("autogluon", "item_id,timestamp,mean,0.025,0.1,0.5,0.9,0.975"),
    ],
)
def test_forecasts_have_the_columns_of_the_dialect(dialect: str, header: str) -> None:
    assert ",".join(written(dialect).columns) == header


def test_quantiles_stand_under_their_levels_when_the_order_of_columns_differs() -> None:
    assert written("nixtla").iloc[0, 2:].tolist() == [2, 1, 3, 0, 4]
    assert written("prophet").iloc[0, 1:].tolist() == [2, 1, 3]
    assert written("autogluon").iloc[0, 2:].tolist() == [2, 0, 1, 2, 3, 4]


def test_prophet_names_series_when_there_is_an_id_column_or_several() -> None:
    assert written("prophet", id_column="shop").columns[0] == "shop"
    assert written("prophet", series=2).columns[0] == "unique_id"
    assert to_csv(written("prophet")).splitlines()[1] == "8,2.0,1.0,3.0"


@pytest.mark.parametrize(
    ("levels", "level"), [((50.0, 80.0, 95.0), 80.0), ((50.0, 90.0), 50.0), ((95.0,), 95.0)]
)
def test_interval_of_prophet_is_that_of_80_percent_else_the_narrowest(
    levels: tuple[float, ...], level: float
) -> None:
    bounds = dict(forecast_columns("gru", levels, "prophet"))
    assert bounds == pytest.approx(
        {"yhat": 0.5, "yhat_lower": (100 - level) / 200, "yhat_upper": (100 + level) / 200}
    )


def test_forecasts_have_a_point_alone_when_no_interval_is_asked_for() -> None:
    assert forecast_columns("gru", ()) == [("gru", 0.5)]
    assert forecast_columns("gru", (), "prophet") == [("yhat", 0.5)]
    assert forecast_columns("gru", (), "autogluon") == [("mean", 0.5)]


@pytest.mark.parametrize(("dialect", "name"), [("prophet", "yhat"), ("autogluon", "mean")])
def test_two_models_are_refused_when_the_dialect_has_names_for_one(dialect: str, name: str) -> None:
    config = DataConfig(dialect=dialect, time_column="ds")
    models = {"gru": QUANTILES, "lstm": QUANTILES}
    with pytest.raises(ConfigError, match=f"two columns of the output would be called '{name}'"):
        forecast_table(ragged([4]), ONE, models, LEVELS, config)


def test_outputs_bear_the_users_names_when_the_dialect_is_the_default() -> None:
    config = DataConfig(id_column="shop", time_column="day", target_columns=("sales",))
    assert (id_name(config), time_name(config), target_name(config)) == ("shop", "day", "sales")
    wide = replace(config, id_column=None, target_columns=("a", "b"))
    assert (id_name(wide), target_name(wide)) == ("unique_id", "y")
    other = replace(config, dialect="autogluon")
    assert (id_name(other), time_name(other), target_name(other)) == (
        "item_id",
        "timestamp",
        "target",
    )
    prophet = replace(config, dialect="prophet")
    assert (id_name(prophet), time_name(prophet), target_name(prophet)) == ("shop", "ds", "y")


@pytest.mark.parametrize("dialect", ["nixtla", "prophet", "autogluon"])
def test_forecasts_are_read_back_when_a_dialect_wrote_them(dialect: str, tmp_path: Path) -> None:
    path = tmp_path / "forecasts.csv"
    path.write_text(to_csv(written(dialect)))
    rows = read_forecasts(str(path), DataConfig(dialect=dialect))
    (model,) = rows.models
    wanted, coverages = QUANTILES[0], LEVELS
    if dialect == "prophet":
        wanted, coverages = QUANTILES[0][:, 1:4], (80.0,)
    assert model.coverages == coverages
    assert np.array_equal(model.quantiles, wanted)
    assert rows.times.tolist() == [8, 10]
    assert rows.ids == (None if dialect == "prophet" else ("s0",))
