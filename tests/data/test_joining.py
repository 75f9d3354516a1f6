"""Forecasts on the grid of what happened."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.data.actuals import read_actuals
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.forecasts import read_forecasts
from rnnforecast.data.joining import Joined, Missing, join
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table, to_csv
from rnnforecast.errors import DataError

FILES = Path(__file__).parent / "files"
SAMPLES = Path(__file__).parents[2] / "sample_data"
NAN = math.nan
NONE = Missing(count=0, first=())
LONG = DataConfig(id_column="unique_id", time_column="ds", target_columns=("y",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def joined(folder: Path, forecasts: str, actuals: str) -> Joined:
    (folder / "f.csv").write_text(forecasts)
    (folder / "a.csv").write_text(actuals)
    panel = read_actuals([str(folder / "a.csv")], DataConfig()).panel
    return join(read_forecasts(str(folder / "f.csv"), DataConfig()), panel)


def windows(found: Joined) -> list[tuple[int, int]]:
    return list(zip(found.index.series.tolist(), found.index.cutoffs.tolist(), strict=True))


def equal(found: FloatArray, expected: object) -> bool:
    return np.array_equal(found, np.array(expected, dtype=float), equal_nan=True)


REAL = {
    "neuralforecast-predict": ("demand", [(0, 2340), (1, 2340), (2, 2340)], "GRU"),
    "neuralforecast-cross-validation": ("passengers", [(0, 120), (0, 126), (0, 132)], "GRU"),
    "statsforecast-forecast": ("passengers", [(0, 132)], "Naive"),
    "statsforecast-cross-validation": ("passengers", [(0, 120), (0, 132)], "Naive"),
    "prophet-future": ("passengers", [(0, 132)], "yhat"),
    "prophet-cross-validation": ("passengers", [(0, 114), (0, 120), (0, 126), (0, 132)], "yhat"),
}


@pytest.mark.parametrize("name", REAL)
def test_join_finds_every_pair_when_a_tool_wrote_the_forecasts(name: str) -> None:
    sample, expected, model = REAL[name]
    path = str(FILES / f"{name}.csv")
    panel = read_actuals([str(SAMPLES / f"{sample}.csv")], DataConfig()).panel
    rows = read_forecasts(path, DataConfig())
    found = join(rows, panel)
    assert windows(found) == expected
    assert (found.horizon, found.unmatched, found.left_out) == (12, NONE, ())
    assert set(found.lacking.values()) == {NONE}
    point = next(each for each in rows.models if each.name == model).quantiles
    assert found.quantiles[model].reshape(point.shape).tolist() == point.tolist()
    if rows.config.target_columns:
        assert found.actual.ravel().tolist() == pd.read_csv(path)["y"].tolist()


def test_join_agrees_with_statsforecast_when_its_naive_repeats_the_last_known_value() -> None:
    panel = read_actuals([str(SAMPLES / "passengers.csv")], DataConfig()).panel
    path = str(FILES / "statsforecast-cross-validation.csv")
    found = join(read_forecasts(path, DataConfig()), panel)
    last_known = panel.values[found.index.cutoffs - 1]
    assert found.quantiles["Naive"][..., 1].T.tolist() == [last_known.tolist()] * 12


def test_join_knows_only_what_happened_when_a_forecast_reaches_beyond_it() -> None:
    panel = read_actuals([str(SAMPLES / "passengers.csv")], DataConfig()).panel
    with pytest.raises(DataError, match="no forecast has an actual value, such as that of 'passe"):
        join(read_forecasts(str(FILES / "rnnforecast-train.csv"), DataConfig()), panel)


def test_join_agrees_with_our_backtest_when_holidays_are_missing() -> None:
    path = str(FILES / "rnnforecast-backtest.csv")
    panel = read_actuals([str(SAMPLES / "stocks.csv")], DataConfig()).panel
    rows = read_forecasts(path, DataConfig(target_columns=("price",)))
    found = join(rows, panel)
    prices = pd.read_csv(path)["price"].to_numpy()
    assert windows(found) == [
        (s, c) for s in range(4) for c in (panel.lengths[s] - 10, panel.lengths[s] - 5)
    ]
    holidays = int(np.isnan(prices).sum())
    assert (found.unmatched.count, found.horizon) == (holidays, 5)
    assert found.unmatched.first[0] == "'AAPL' at 2013-02-18"
    assert equal(found.actual, prices.reshape(8, 5))


@st.composite
def grids(draw: st.DrawFn) -> tuple[Panel, WindowIndex, FloatArray]:
    """Panels of any frequency, windows with at least one actual value, and their forecasts."""
    start, frequency = draw(
        st.sampled_from(
            [
                (5, Frequency(unit="step", count=3)),
                (18_262 * DAY, Frequency(unit="microsecond", count=DAY, date_only=True)),
                (18_262 * DAY, Frequency(unit="microsecond", count=DAY // 24, offset="+02:00")),
                (18_292 * DAY, Frequency(unit="month", month_end=True, date_only=True)),
                (18_262 * DAY, Frequency(unit="month", count=3, date_only=True)),
                (18_261 * DAY, Frequency(unit="business-day", date_only=True)),
            ]
        )
    )
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    shifts = np.array([draw(st.integers(0, 5)) for _ in lengths])
    panel = Panel(
        ids=tuple(f"s{place}" for place in range(len(lengths))),
        values=np.arange(float(sum(lengths))) / 3,
        offsets=np.cumsum([0, *lengths]).astype(np.int64),
        starts=frequency.times(np.full(len(lengths), start), shifts),
        frequency=frequency,
    )
    places = [(s, c) for s, length in enumerate(lengths) for c in range(length)]
    chosen = sorted(draw(st.sets(st.sampled_from(places), min_size=1)))
    series, cutoffs = np.array(chosen).T
    horizon = draw(st.integers(1, 4))
    numbers = st.floats(-1e9, 1e9, allow_nan=False)
    cells = draw(st.lists(numbers, min_size=3, max_size=12))
    quantiles = np.resize(np.array(cells), (len(chosen), horizon, 3))
    return panel, WindowIndex(series=series, cutoffs=cutoffs), quantiles


@given(grids())
def test_join_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Panel, WindowIndex, FloatArray]
) -> None:
    panel, index, quantiles = case
    horizon = quantiles.shape[1]
    models = {"gru": quantiles, "naive": quantiles[..., :1]}
    table = forecast_table(panel, index, models, (80.0,), LONG)
    last_known = panel.frequency.format(panel.times(index.series, index.cutoffs - 1))
    table.insert(2, "cutoff", np.repeat(np.asarray(last_known), horizon))
    path = tmp_path_factory.getbasetemp() / "forecasts.csv"
    path.write_text(to_csv(table))
    found = join(read_forecasts(str(path), DataConfig()), panel)
    assert windows(found) == list(zip(index.series, index.cutoffs, strict=True))
    after = panel.lengths[index.series] - index.cutoffs
    known = np.arange(found.horizon) < after[:, None]
    assert found.horizon == min(horizon, after.max())
    for name, written in models.items():
        kept = np.where(known[..., None], written[:, : found.horizon], NAN)
        assert equal(found.quantiles[name], kept)
    for window, (series, cutoff) in enumerate(windows(found)):
        happened = panel.series(series)[cutoff : cutoff + found.horizon].tolist()
        assert found.actual[window][known[window]].tolist() == happened
    assert found.unmatched.count == int(np.maximum(horizon - after, 0).sum())
    assert set(found.lacking.values()) == {NONE}


RAGGED = "unique_id,ds,y\na,1,1\na,2,2\na,3,3\na,4,4\nb,3,7\nb,4,8\nc,1,9\n"


def test_join_starts_at_the_first_forecast_when_there_is_no_cutoff(folder: Path) -> None:
    found = joined(folder, "unique_id,ds,m\nb,4,.8\na,3,.3\na,4,.4\n", RAGGED)
    assert windows(found) == [(0, 2), (1, 1)]
    assert equal(found.actual, [[3, 4], [8, NAN]])
    assert equal(found.quantiles["m"][..., 0], [[0.3, 0.4], [0.8, NAN]])
    assert (found.left_out, found.lacking, found.unmatched) == (("c",), {"m": NONE}, NONE)


def test_join_starts_at_a_series_own_forecast_when_an_unknown_one_begins_before(
    folder: Path,
) -> None:
    found = joined(
        folder, "unique_id,ds,m\nx,1,.1\na,4,.4\n", "unique_id,ds,y\na,1,1\na,4,4\na,2,2\n"
    )
    assert windows(found) == [(0, 3)]


def test_join_counts_forecasts_when_nothing_happened(folder: Path) -> None:
    forecasts = "unique_id,ds,m\na,3,.3\na,4,.4\na,5,.5\nx,4,.4\nb,2,.2\nb,3,.3\nc,1,.1\n"
    found = joined(folder, forecasts, RAGGED)
    assert found.unmatched == Missing(count=3, first=("'a' at 5", "'x' at 4", "'b' at 2"))
    assert windows(found) == [(0, 2), (1, 0), (2, 0)]
    assert equal(found.quantiles["m"][..., 0], [[0.3, 0.4], [0.3, NAN], [0.1, NAN]])


def test_join_counts_forecasts_when_a_value_is_missing(folder: Path) -> None:
    found = joined(folder, "ds,m\n2,.2\n3,.3\n", "ds,y\n1,1\n2,\n3,3\n")
    assert found.unmatched == Missing(count=1, first=("'y' at 2",))
    assert windows(found) == [(0, 1)]
    assert equal(found.actual, [[NAN, 3]])


def test_join_counts_values_when_a_model_has_no_forecast_of_them(folder: Path) -> None:
    forecasts = "unique_id,ds,cutoff,m,n\na,2,1,.2,.2\na,4,1,,.4\nb,4,3,.1,\n"
    found = joined(folder, forecasts, RAGGED)
    assert found.lacking == {
        "m": Missing(count=2, first=("'a' at 3", "'a' at 4")),
        "n": Missing(count=2, first=("'a' at 3", "'b' at 4")),
    }


def test_join_keeps_to_the_values_there_are_when_forecasts_begin_before_them(folder: Path) -> None:
    forecasts = "ds,cutoff,m\n1,0,.1\n2,0,.2\n3,0,.3\n4,0,.4\n2,1,1.2\n3,1,1.3\n4,1,1.4\n5,1,1.5\n"
    found = joined(folder, forecasts, "ds,y\n3,3\n4,4\n5,5\n")
    assert windows(found) == [(0, 0), (0, 0)]
    assert equal(found.quantiles["m"][..., 0], [[0.3, 0.4, NAN], [1.3, 1.4, 1.5]])
    assert (found.unmatched.count, found.lacking) == (3, {"m": NONE})


@pytest.mark.parametrize(
    ("forecast", "actual", "other"),
    [
        ("2020-01-02", "2020-01-02T00:00:00", "2020-01-03T00:00:00"),
        ("2020-01-02 00:00:00", "2020-01-02", "2020-01-03"),
        ("02/01/2020 00:00", "2020-01-02", "2020-01-03"),
        ("2020-01-02T00:00:00Z", "2020-01-02T02:00:00+02:00", "2020-01-02T03:00:00+02:00"),
        ("2020-01-02 02:00:00", "2020-01-02T02:00:00+02:00", "2020-01-02T03:00:00+02:00"),
        ("2020-01-31", "Jan 2020", "Feb 2020"),
        ("2020-01-01", "Jan 2020", "Feb 2020"),
        ("202001", "2020-01-01", "2020-02-01"),
    ],
)
def test_join_matches_the_same_time_when_it_is_written_otherwise(
    folder: Path, forecast: str, actual: str, other: str
) -> None:
    (folder / "f.csv").write_text(f"ds,m\n{forecast},.5\n")
    (folder / "a.csv").write_text(f"ds,y\n{actual},1\n{other},2\n")
    panel = read_actuals([str(folder / "a.csv")], DataConfig()).panel
    asked = DataConfig(time_format="%d/%m/%Y %H:%M" if "/" in forecast else None)
    rows = read_forecasts(str(folder / "f.csv"), asked)
    if forecast == "2020-01-31":
        with pytest.raises(DataError, match="such as that of 'y' at 2020-01-31"):
            join(rows, panel)
    else:
        assert equal(join(rows, panel).actual, [[1]])


def test_join_matches_month_ends_when_months_differ_in_length(folder: Path) -> None:
    ends = pd.date_range("2019-01-31", periods=15, freq="ME").strftime("%Y-%m-%d")
    actuals = "".join(f"{end},{place}\n" for place, end in enumerate(ends))
    forecasts = "".join(f"{end},.5\n" for end in [*ends[12:], "2020-02-28"])
    found = joined(folder, f"ds,m\n{forecasts}", f"ds,y\n{actuals}")
    assert windows(found) == [(0, 12)]
    assert equal(found.actual, [[12, 13, 14]])
    assert found.unmatched == Missing(count=1, first=("'y' at 2020-02-28",))


@pytest.mark.parametrize(
    ("cutoff", "expected"),
    [("2020-01-10", 7), ("2020-01-11", 7), ("2020-01-12", 7), ("2020-01-13", 8)],
)
def test_join_starts_after_a_cutoff_when_it_falls_on_a_weekend(
    folder: Path, cutoff: str, expected: int
) -> None:
    days = pd.bdate_range("2020-01-02", periods=12).strftime("%Y-%m-%d")
    actuals = "".join(f"{day},{place}\n" for place, day in enumerate(days))
    found = joined(folder, f"ds,cutoff,m\n2020-01-15,{cutoff},.5\n", f"ds,y\n{actuals}")
    assert windows(found) == [(0, expected)]
    assert found.actual[0, -1] == 9


FAULTS = {
    "kinds": ("ds,m\n2020-01-01,1\n", "ds,y\n1,1\n2,2\n", "the times are dates or times, those of"),
    "no ids": ("ds,m\n1,.5\n2,.5\n", RAGGED, "no column names the series, and there are actual va"),
    "no pair": (
        "unique_id,ds,m\nx,1,.5\n",
        RAGGED,
        "no forecast has an actual value, such as that",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_join_is_refused_when_nothing_could_be_compared(name: str, folder: Path) -> None:
    forecasts, actuals, message = FAULTS[name]
    with pytest.raises(DataError) as caught:
        joined(folder, forecasts, actuals)
    assert str(caught.value).startswith(f"{folder / 'f.csv'}: {message}")
