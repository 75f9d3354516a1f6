"""evaluate, as a user runs it: real files against a computation by hand, and odd files."""

from __future__ import annotations

import gzip
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.command import SAMPLES, TINY, Run, forked, rnnforecast, run_here

FILES = Path(__file__).parents[1] / "data" / "files"
PASSENGERS = SAMPLES / "passengers.csv"
PROPHET = FILES / "prophet-history-and-future.csv"
EXACT = {"rel": 1e-9, "abs": 1e-9}

DAYS = [str(day.date()) for day in pd.date_range("2020-01-01", periods=30)]
VALUES = [2 * place + place % 7 for place in range(30)]
PAIRS = list(zip(DAYS, VALUES, strict=True))
LAST = DAYS[25:]


def long(header: str, rows: list[tuple[object, ...]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in [(header,), *rows])


ACTUALS = long("unique_id,ds,y", [(key, day, y) for key in "ab" for day, y in PAIRS])
FORECASTS = long("unique_id,ds,m", [(key, day, 50) for key in "ab" for day in LAST])
ONE = long("ds,y", PAIRS)
ONE_FORECAST = long("ds,m", [(day, 50) for day in LAST])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(ACTUALS)
    (tmp_path / "f.csv").write_text(FORECASTS)
    return tmp_path


def read(stdout: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(stdout)).set_index("model")


def table(run: Run) -> pd.DataFrame:
    assert run.code == 0, run.stderr
    return read(run.stdout)


def scored(folder: Path, forecasts: str, actuals: str, *options: str) -> pd.DataFrame:
    (folder / "forecasts.csv").write_text(forecasts)
    (folder / "actuals.csv").write_text(actuals)
    return table(run_here(folder, "evaluate", "forecasts.csv", "actuals.csv", *options))


def known_series(sample: str) -> pd.DataFrame:
    """A sample as unique_id, ds, y."""
    frame = pd.read_csv(SAMPLES / f"{sample}.csv")
    if frame.shape[1] == 2:
        frame.insert(0, "unique_id", sample)
    frame.columns = pd.Index(["unique_id", "ds", "y"])
    return frame.assign(ds=pd.to_datetime(frame["ds"]))


def by_hand(forecasts: pd.DataFrame, sample: str, season: int) -> pd.DataFrame:
    """For each window the metrics of `point` and of the naive; `low` and `high` may be NaN."""
    actual = known_series(sample)
    rows = []
    for (key, cutoff), window in forecasts.groupby(["unique_id", "cutoff"], dropna=False):
        series = actual[actual["unique_id"] == key]
        last = window["ds"].min() - pd.Timedelta(1) if pd.isna(cutoff) else cutoff
        # Holidays are missing, so that what lies beside them has no difference to a neighbour.
        regular = series.set_index("ds")["y"].asfreq(FREQUENCIES[sample])
        history = regular[regular.index <= last].to_numpy(dtype=float)
        pairs = window[["ds", "point", "low", "high"]].merge(series, on="ds")
        error = pairs["point"] - pairs["y"]
        scale = np.nanmean(np.abs(history[season:] - history[:-season]))
        inside = (pairs["low"] <= pairs["y"]) & (pairs["y"] <= pairs["high"])
        rows.append(
            {
                "n": len(pairs),
                "mae": error.abs().mean(),
                "rmse": np.sqrt((error**2).mean()),
                "mase": error.abs().mean() / scale,
                "coverage-80": 100 * inside.mean() if pairs["low"].notna().all() else np.nan,
                "naive": np.abs(history[-1] - pairs["y"]).mean(),
            }
        )
    return pd.DataFrame(rows)


FREQUENCIES = {"demand": "h", "passengers": "MS", "stocks": "B"}
NIXTLA, PROPHET_COLUMNS = ("unique_id", "ds"), (None, "ds")
GRU_AND_LSTM = {"GRU": ["GRU-median", "GRU-lo-80", "GRU-hi-80"], "LSTM": ["LSTM"]}
YHAT = {"yhat": ["yhat", "yhat_lower", "yhat_upper"]}
# Sample, season, columns of id and time, and for each model its point and interval of 80 %.
REAL: dict[str, tuple[str, int, tuple[str | None, str], dict[str, list[str]]]] = {
    "neuralforecast-predict": ("demand", 24, NIXTLA, GRU_AND_LSTM),
    "neuralforecast-cross-validation": ("passengers", 12, NIXTLA, GRU_AND_LSTM),
    "statsforecast-forecast": (
        "passengers",
        12,
        NIXTLA,
        {"AutoETS": ["AutoETS", "AutoETS-lo-80", "AutoETS-hi-80"]},
    ),
    "statsforecast-cross-validation": (
        "passengers",
        12,
        NIXTLA,
        {"Naive": ["Naive", "Naive-lo-80", "Naive-hi-80"]},
    ),
    "prophet-future": ("passengers", 12, PROPHET_COLUMNS, YHAT),
    "prophet-cross-validation": ("passengers", 12, PROPHET_COLUMNS, YHAT),
    "prophet-history-and-future": ("passengers", 12, PROPHET_COLUMNS, YHAT),
    "autogluon-by-hand": (
        "demand",
        24,
        ("item_id", "timestamp"),
        {"median": ["0.5", "0.1", "0.9"]},
    ),
    "rnnforecast-backtest": (
        "stocks",
        1,
        ("symbol", "date"),
        {"gru": ["gru", "gru-lo-80", "gru-hi-80"]},
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_evaluate_agrees_with_pandas_when_a_tool_wrote_the_file(name: str, tmp_path: Path) -> None:
    sample, season, (key, time), models = REAL[name]
    path = FILES / f"{name}.csv"
    found = table(run_here(tmp_path, "evaluate", path, SAMPLES / f"{sample}.csv"))
    frame = pd.read_csv(path)
    for model, columns in models.items():
        point, low, high = columns if len(columns) == 3 else [*columns, None, None]
        window = pd.DataFrame(
            {
                "unique_id": frame[key] if key else sample,
                "ds": pd.to_datetime(frame[time]),
                "cutoff": pd.to_datetime(frame["cutoff"]) if "cutoff" in frame else pd.NaT,
                "point": frame[point],
                "low": frame[low] if low else np.nan,
                "high": frame[high] if high else np.nan,
            }
        )
        expected = by_hand(window, sample, season)
        row = found.loc[model]
        assert (row["n"], row["windows"]) == (expected["n"].sum(), len(expected))
        for metric in ("mae", "rmse", "mase", "coverage-80"):
            mean = pytest.approx(expected[metric].mean(), **EXACT, nan_ok=True)
            assert row[metric] == mean, (model, metric)
        if name != "rnnforecast-backtest":  # whose naive is that of the file
            assert found["mae"]["naive"] == pytest.approx(expected["naive"].mean(), **EXACT)


def test_evaluate_repeats_the_table_of_backtest_when_it_reads_its_output(tmp_path: Path) -> None:
    data = SAMPLES / "stocks.csv"
    options = ["--horizon", "5", "--windows", "3", "--models", "gru,linear", "--lookback", "10"]
    run = run_here(tmp_path, "backtest", data, *options, *TINY, "--output", "b.csv")
    expected = table(run)
    found = table(run_here(tmp_path, "evaluate", "b.csv", data))
    assert set(expected.index) == set(found.index)
    columns = ["n", "windows", "mae", "rmse", "smape", "mase", "skill"]
    columns += ["coverage-80", "coverage-95", "msis-80", "pinball"]
    pd.testing.assert_frame_equal(
        found.loc[expected.index, columns], expected[columns], rtol=1e-9, check_dtype=False
    )


def test_evaluate_scores_what_train_forecast_when_the_test_part_stands_apart(
    tmp_path: Path,
) -> None:
    whole = pd.read_csv(PASSENGERS)
    whole[:-12].to_csv(tmp_path / "head.csv", index=False)
    whole[-12:].to_csv(tmp_path / "test.csv", index=False)
    options = ["--horizon", "12", "--lookback", "24", *TINY, "--out", "m"]
    assert run_here(tmp_path, "train", "head.csv", *options).code == 0
    found = table(run_here(tmp_path, "evaluate", "m/forecasts.csv", "test.csv", "head.csv"))
    forecast = pd.read_csv(tmp_path / "m" / "forecasts.csv")
    assert list(forecast["month"]) == list(whole["month"][-12:])
    values = whole["passengers"].to_numpy(dtype=float)
    error = np.abs(forecast["gru"].to_numpy() - values[-12:]).mean()
    scale = np.abs(values[12:132] - values[:120]).mean()
    assert found["mae"]["gru"] == pytest.approx(error, **EXACT)
    assert found["mase"]["gru"] == pytest.approx(error / scale, **EXACT)
    seasonal = np.abs(values[120:132] - values[132:]).mean()
    assert found["mae"]["seasonal-naive"] == pytest.approx(seasonal, **EXACT)
    pd.testing.assert_frame_equal(
        found, table(run_here(tmp_path, "evaluate", "m/forecasts.csv", PASSENGERS))
    )


@pytest.mark.parametrize(
    ("by", "column", "labels"),
    [
        ("series", "unique_id", ["passengers"]),
        ("step", "step", list(range(1, 13))),
        ("cutoff", "cutoff", ["1958-12-01", "1959-06-01", "1959-12-01"]),
    ],
)
def test_evaluate_has_a_row_a_group_when_asked_by(
    by: str, column: str, labels: list[object], tmp_path: Path
) -> None:
    path = FILES / "neuralforecast-cross-validation.csv"
    found = table(run_here(tmp_path, "evaluate", path, PASSENGERS, "--by", by)).loc["LSTM"]
    found = pd.DataFrame(found) if isinstance(found, pd.DataFrame) else found.to_frame().T
    assert list(found[column]) == labels
    frame = pd.read_csv(path)
    groups = frame["unique_id"] if by == "series" else frame["cutoff"]
    groups = frame.groupby("cutoff").cumcount() if by == "step" else groups
    expected = (frame["LSTM"] - frame["y"]).abs().groupby(groups).mean()
    assert found["mae"].to_list() == pytest.approx(expected.to_list(), **EXACT)
    assert found["n"].sum() == 36


def test_evaluate_adds_owa_and_naive2_when_a_season_is_asked(tmp_path: Path) -> None:
    path = FILES / "statsforecast-forecast.csv"
    without = table(run_here(tmp_path, "evaluate", path, PASSENGERS))
    assert "owa" not in without and "naive2" not in without.index
    found = table(run_here(tmp_path, "evaluate", path, PASSENGERS, "--season", "12"))
    shares = [found[metric]["AutoETS"] / found[metric]["naive2"] for metric in ("smape", "mase")]
    assert found["owa"]["AutoETS"] == pytest.approx(sum(shares) / 2, **EXACT)
    assert found["owa"]["naive2"] == 1


def test_evaluate_has_no_baselines_when_nothing_lies_before(tmp_path: Path) -> None:
    tail = long("ds,y", PAIRS[25:])
    (tmp_path / "f.csv").write_text(ONE_FORECAST)
    (tmp_path / "a.csv").write_text(tail)
    run = run_here(tmp_path, "evaluate", "f.csv", "a.csv", "--season", "7")
    found = table(run)
    assert list(found.index) == ["m"] and np.isnan(found["mase"]["m"])
    assert found["mae"]["m"] == np.abs(np.array(VALUES[25:]) - 50).mean()
    assert "no value is known before the forecasts of 'y'" in run.stderr
    assert "pass --after if fitted values come first" in run.stderr


def test_evaluate_finds_the_season_of_the_others_when_one_series_is_new(folder: Path) -> None:
    new = "".join(f"c,{day},{value}\n" for day, value in PAIRS[25:])
    forecasts = FORECASTS + "".join(f"c,{day},50\n" for day in LAST)
    found = scored(folder, forecasts, ACTUALS + new)
    assert list(found.index) == ["m"]
    scale = np.abs(np.array(VALUES[7:25]) - VALUES[:18]).mean()
    error = np.abs(np.array(VALUES[25:]) - 50).mean()
    assert found["mase"]["m"] == pytest.approx(error / scale, **EXACT)


def test_evaluate_counts_and_names_pairs_when_either_side_lacks_some(folder: Path) -> None:
    rows = [("a", day, 50, 51 if day != LAST[1] else "") for day in LAST]
    (folder / "f.csv").write_text(long("unique_id,ds,m,k", [*rows, ("a", "2020-02-09", 1, 2)]))
    run = run_here(folder, "evaluate", "f.csv", "a.csv")
    found = table(run)
    assert "forecasts without an actual value: 1, 'a' at 2020-02-09\n" in run.stderr
    assert f"actual values without a forecast of k: 1, 'a' at {LAST[1]}\n" in run.stderr
    assert "series without a forecast: 1, the first of which is 'b'\n" in run.stderr
    # All are held against the same four values.
    assert (found["n"] == 4).all()
    actual = np.delete(np.array(VALUES[25:]), 1)
    assert found["mae"]["m"] == pytest.approx(np.abs(actual - 50).mean(), **EXACT)
    assert found["mae"]["k"] == pytest.approx(np.abs(actual - 51).mean(), **EXACT)
    assert found["mae"]["naive"] == pytest.approx(np.abs(actual - VALUES[24]).mean(), **EXACT)


def test_evaluate_leaves_fitted_values_out_when_told_the_last_known_time(tmp_path: Path) -> None:
    marked = run_here(tmp_path, "evaluate", PROPHET, PASSENGERS, "--after", "1959-12-01")
    future = run_here(tmp_path, "evaluate", FILES / "prophet-future.csv", PASSENGERS)
    columns = ["n", "mae", "mase", "coverage-80"]
    pd.testing.assert_frame_equal(table(marked)[columns], table(future)[columns], rtol=1e-9)
    fitted = run_here(tmp_path, "evaluate", PROPHET, PASSENGERS)
    assert table(fitted)["n"]["yhat"] == 48
    assert "has no column 'cutoff'" in fitted.stderr and "pass --after" in fitted.stderr
    assert "pass --after" not in marked.stderr


def test_evaluate_names_the_interval_when_coverage_is_given(tmp_path: Path) -> None:
    path = FILES / "prophet-cross-validation.csv"
    usual = table(run_here(tmp_path, "evaluate", path, PASSENGERS))
    found = table(run_here(tmp_path, "evaluate", path, PASSENGERS, "--coverage", "90"))
    assert found["coverage-90"]["yhat"] == usual["coverage-80"]["yhat"]
    assert "coverage-80" not in found


def test_evaluate_gives_each_interval_its_columns_when_models_have_different_ones(
    folder: Path,
) -> None:
    header = "unique_id,ds,m,m-lo-80,m-hi-80,k,k-lo-90,k-hi-90"
    rows = [("a", day, 60, 59, 62, 60, 0, 57) for day in LAST]
    found = scored(folder, long(header, rows), ACTUALS)
    actual = VALUES[25:]
    inside = [
        100 * np.mean([low <= y <= high for y in actual]) for low, high in [(59, 62), (0, 57)]
    ]
    assert found["coverage-80"]["m"] == inside[0] and found["coverage-90"]["k"] == inside[1]
    assert np.isnan(found["coverage-90"]["m"]) and np.isnan(found["coverage-80"]["k"])
    assert found.loc["naive", ["coverage-80", "coverage-90"]].notna().all()


def test_evaluate_ends_with_6_and_the_table_when_a_gate_is_failed(folder: Path) -> None:
    run = rnnforecast("evaluate", "f.csv", "a.csv", "--fail-if", "mae>1", cwd=folder)
    assert run.returncode == 6
    assert read(run.stdout)["mae"]["m"] == np.abs(np.array(VALUES[25:]) - 50).mean()
    assert "error: m: mae is" in run.stderr.splitlines()[-1]
    passed = run_here(folder, "evaluate", "f.csv", "a.csv", "--fail-if", "mae>100")
    assert passed.code == 0


def test_evaluate_holds_a_baseline_against_the_gate_when_the_file_has_no_other(
    folder: Path,
) -> None:
    (folder / "f.csv").write_text(FORECASTS.replace(",m\n", ",naive\n"))
    run = run_here(folder, "evaluate", "f.csv", "a.csv", "--fail-if", "mae>1")
    assert run.code == 6 and run.stderr.splitlines()[-1].startswith("error: naive: mae is")


def test_evaluate_reads_a_pipe_and_packed_files_when_given_them(folder: Path) -> None:
    expected = run_here(folder, "evaluate", "f.csv", "a.csv").stdout
    run = forked(folder, "evaluate", "-", "a.csv", stdin=FORECASTS.encode())
    assert (run.code, run.stdout) == (0, expected)
    for name in ("f.csv", "a.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
    assert run_here(folder, "evaluate", "f.csv.gz", "a.csv.gz").stdout == expected


ALIKE = {
    "semicolons and decimal commas": (
        FORECASTS.replace(",", ";").replace(";50", ";50,0"),
        ACTUALS,
    ),
    "wide actual values": (
        FORECASTS,
        long("ds,a,b", list(zip(DAYS, VALUES, VALUES, strict=True))),
    ),
    "another name of the columns": (FORECASTS, ACTUALS.replace("unique_id,ds,y", "key,day,sales")),
    "another format of time": (
        long("unique_id,ds,m", [(k, f"{d[8:]}/{d[5:7]}/{d[:4]}", 50) for k in "ab" for d in LAST]),
        ACTUALS,
    ),
    "an offset from UTC on one side": (FORECASTS.replace(",50", "T00:00:00+02:00,50"), ACTUALS),
    "empty forecasts": (FORECASTS + "a,2020-02-20,\nb,2020-02-20,NaN\n", ACTUALS),
    "row numbers": (
        "".join(f"{n},{line}\n" for n, line in enumerate(FORECASTS.splitlines())).replace(
            "0", "", 1
        ),
        ACTUALS,
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_evaluate_gives_the_same_table_when_the_files_are_written_otherwise(
    name: str, folder: Path
) -> None:
    expected = table(run_here(folder, "evaluate", "f.csv", "a.csv"))
    pd.testing.assert_frame_equal(scored(folder, *ALIKE[name]), expected)


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%d/%m/%Y"])
def test_evaluate_reads_forecasts_in_either_format_when_a_time_format_is_given(
    written: str, tmp_path: Path
) -> None:
    # From 1 to 5 February: nothing but the flag tells days from months.
    days = pd.date_range("2020-01-01", periods=36)
    actuals = long("ds,y", list(zip(days.strftime("%d/%m/%Y"), range(36), strict=True)))
    forecasts = long("ds,m", [(day, 30) for day in days[31:].strftime(written)])
    found = scored(tmp_path, forecasts, actuals, "--time-format", "%d/%m/%Y")
    assert (found["n"]["m"], found["mae"]["m"]) == (5, 3)


def test_evaluate_takes_integer_steps_when_times_are_none(tmp_path: Path) -> None:
    actuals = long("ds,y", list(enumerate(VALUES)))
    forecasts = long("ds,cutoff,m", [(step, 24, 50) for step in range(25, 30)])
    found = scored(tmp_path, forecasts, actuals, "--by", "cutoff")
    assert (found["cutoff"] == 24).all()
    assert found["mae"]["m"] == np.abs(np.array(VALUES[25:]) - 50).mean()


def test_evaluate_prints_json_and_a_table_when_asked(folder: Path) -> None:
    rows = json.loads(run_here(folder, "evaluate", "f.csv", "a.csv", "--format", "json").stdout)
    assert rows[0]["model"] == "m" and rows[0]["n"] == 10 and rows[0]["coverage-80"] is None
    shown = run_here(folder, "evaluate", "f.csv", "a.csv", "--format", "table").stdout
    assert "seasonal-naive" in shown and "coverage-80" in shown and "rmse" not in shown


# So near to 100 that the level of its upper bound is 1 as a double.
FULL = "99.99999999999999"
REFUSED: dict[str, tuple[str, str, list[str], int, str]] = {
    "empty": ("", ACTUALS, [], 3, "f.csv: the file is empty"),
    "no row": ("unique_id,ds,m\n", ACTUALS, [], 3, "f.csv: there is a header but no row"),
    "no actual values": (FORECASTS, "", [], 3, "a.csv: the file is empty"),
    "text": (FORECASTS.replace("50", "x"), ACTUALS, [], 3, "f.csv:1: there is no column of fo"),
    "one text": (
        FORECASTS.replace("50", "x", 1),
        ACTUALS,
        [],
        3,
        "f.csv:2: column 'm': 'x' is not a number",
    ),
    "infinite": (FORECASTS.replace("50", "inf", 1), ACTUALS, [], 3, "f.csv:2: column 'm': the va"),
    "twice": (
        FORECASTS + f"a,{LAST[0]},1\n",
        ACTUALS,
        [],
        3,
        "f.csv:12: column 'ds': series 'a' has this time twice",
    ),
    "other ids": (FORECASTS.replace("a,", "x,").replace("b,", "y,"), ACTUALS, [], 3, "f.csv: no f"),
    "other times": (FORECASTS.replace("2020", "2021"), ACTUALS, [], 3, "f.csv: no forecast has an"),
    "steps": (ONE_FORECAST.replace("2020-01-", ""), ONE, [], 3, "f.csv: the times are integer st"),
    "no ids": (ONE_FORECAST, ACTUALS, [], 3, "f.csv: no column names the series"),
    "a model without forecasts": (
        long("unique_id,ds,m,k", [("a", day, 1, "") for day in LAST] + [("a", "2021-01-01", 1, 2)]),
        ACTUALS,
        [],
        3,
        "f.csv: no actual value has a forecast of every model, and only such values are scored; "
        "fill in or remove the forecasts of 'k'",
    ),
    "one bound": (
        FORECASTS.replace(",m", ",m,m-lo-80").replace("50", "50,40"),
        ACTUALS,
        [],
        3,
        "f.csv:1: column 'm-lo-80': the other bound, 'm-hi-80', is not there",
    ),
    "a full interval": (
        FORECASTS.replace(",m", f",m,m-lo-{FULL},m-hi-{FULL}").replace("50", "50,40,60"),
        ACTUALS,
        [],
        3,
        f"f.csv:1: column 'm-lo-{FULL}': 100 is no coverage",
    ),
    "coverage": (FORECASTS, ACTUALS, ["--coverage", "100"], 2, "coverage must be a percentage"),
    "full coverage": (FORECASTS, ACTUALS, ["--coverage", FULL], 2, "coverage must"),
    "after": (FORECASTS, ACTUALS, ["--after", "x"], 2, f"--after must be a time such as {LAST[0]}"),
    "after all": (
        FORECASTS,
        ACTUALS,
        ["--after", "2021-01-01"],
        3,
        "f.csv: no forecast lies after",
    ),
    "grouping": (FORECASTS, ACTUALS, ["--by", "x"], 2, "by must be one of"),
    "season": (FORECASTS, ACTUALS, ["--season", "9" * 20], 2, "season must be at most 25, the val"),
    "owa without baselines": (
        FORECASTS,
        FORECASTS,
        ["--season", "2", "--fail-if", "owa>1"],
        2,
        "fail-if names owa, which needs --season and what lies before",
    ),
    "coverage without intervals": (
        FORECASTS,
        FORECASTS,
        ["--fail-if", "coverage-80<50"],
        2,
        "fail-if must name one of the metrics mae,",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_evaluate_ends_with_its_code_and_one_line_when_it_cannot_score(
    name: str, tmp_path: Path
) -> None:
    forecasts, actuals, options, code, message = REFUSED[name]
    (tmp_path / "f.csv").write_text(forecasts)
    (tmp_path / "a.csv").write_text(actuals)
    run = run_here(tmp_path, "evaluate", "f.csv", "a.csv", *options)
    assert (run.code, run.stdout) == (code, ""), run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and run.stderr.splitlines()[-1] == errors[0]
    assert errors[0].startswith(f"error: {message}")
