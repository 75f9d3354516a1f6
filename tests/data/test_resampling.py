"""Irregular rows joined to steps, as pandas joins them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.data.reading import parse_table
from rnnforecast.data.resampling import parse_step, resample, step_begins, suggest_step
from rnnforecast.data.source import Source
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import ConfigError, DataError

MINUTE = 60_000_000
# How pandas calls the same steps, and from where it counts them, where that can be said.
EPOCH, MONDAY = pd.Timestamp("1970-01-01"), pd.Timestamp("1970-01-05")
PANDAS = {
    "30s": ("30s", EPOCH),
    "5min": ("5min", EPOCH),
    "7min": ("7min", EPOCH),
    "15min": ("15min", EPOCH),
    "h": ("h", EPOCH),
    "2h": ("2h", EPOCH),
    "D": ("24h", EPOCH),
    "3D": ("72h", EPOCH),
    "W": ("168h", MONDAY),
    "2W": ("336h", MONDAY),
    "M": ("MS", None),
    "MS": ("MS", None),
    "QS": ("QS", None),
    "YS": ("YS", None),
}

Row = tuple[int, int, float]


@st.composite
def irregular_rows(draw: st.DrawFn, length: int) -> list[Row]:
    """Series, times and values, in any order; the times span up to 30 steps of some length."""
    scale = length // 3
    start = draw(st.integers(-(10**9), 2 * 10**9)) * 10**6
    value = st.one_of(st.just(float("nan")), st.integers(-20, 20).map(float))
    row = st.tuples(st.integers(0, 2), st.integers(0, 90), st.integers(0, scale), value)
    rows = draw(st.lists(row, min_size=1, max_size=25, unique_by=lambda each: each[:3]))
    return [(key, start + far * scale + near, number) for key, far, near, number in rows]


def joined(rows: list[Row], step: str, how: str) -> dict[tuple[int, int], float]:
    """What is in each step of each series that has rows; all rows of a step must agree."""
    keys, times, values = (np.array(column) for column in zip(*rows, strict=True))
    frequency = parse_step(step, integer=False)
    result = resample(keys=keys, times=times, values=values, frequency=frequency, how=how)
    steps: dict[tuple[int, int], float] = {}
    for key, time, value in zip(keys, result.times, result.values, strict=True):
        known = steps.setdefault((int(key), int(time)), float(value))
        assert known == pytest.approx(value, nan_ok=True)
    return steps


@pytest.mark.parametrize("how", ["mean", "sum", "last"])
@pytest.mark.parametrize("step", PANDAS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_resample_equals_pandas_when_rows_are_irregular(
    data: st.DataObject, step: str, how: str
) -> None:
    frequency = parse_step(step, integer=False)
    length = frequency.count * (30 * DAY if frequency.unit == "month" else 1)
    rows = data.draw(irregular_rows(length))
    frame = pd.DataFrame(rows, columns=["key", "time", "value"])
    frame["time"] = frame["time"].to_numpy().astype("datetime64[us]")
    name, origin = PANDAS[step]
    expected = {}
    for key, series in frame.sort_values(["time", "value"]).groupby("key"):
        observed = series.set_index("time")["value"]
        steps = (
            observed.resample(name) if origin is None else observed.resample(name, origin=origin)
        )
        values = steps.sum(min_count=1) if how == "sum" else steps.agg(how)
        for time in values.index[steps.size() > 0]:
            microseconds = int(time.to_datetime64().astype("datetime64[us]").astype(np.int64))
            expected[int(str(key)), microseconds] = float(values[time])
    assert joined(rows, step, how) == pytest.approx(expected, nan_ok=True)


@given(irregular_rows(DAY), st.sampled_from(list(PANDAS)))
def test_step_begins_at_or_before_its_rows_and_is_its_own_begin(rows: list[Row], step: str) -> None:
    frequency, times = parse_step(step, integer=False), np.array([time for _, time, _ in rows])
    begins = step_begins(times, frequency)
    assert (begins <= times).all()
    assert (step_begins(begins, frequency) == begins).all()


def test_resample_joins_ten_steps_when_times_are_integers() -> None:
    times = np.array([-1, 0, 3, 9, 10, 25])
    result = resample(
        keys=np.zeros(6, dtype=np.int64),
        times=times,
        values=np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]),
        frequency=parse_step("10", integer=True),
        how="sum",
    )
    assert result.times.tolist() == [-10, 0, 0, 0, 10, 20]
    assert result.values[:5].tolist() == [1, 9, 9, 9, 5] and np.isnan(result.values[5])


def minutes(last: int, *, each: int = 1) -> np.ndarray:
    """Times every `each` minutes for three hours, then until `last` minutes past the fourth."""
    return np.arange(0, 180 + last + 1, each) * MINUTE


@pytest.mark.parametrize(
    ("last", "each", "left_out"),
    [(3, 1, True), (4, 1, False), (0, 5, False), (0, 3, True), (3, 3, False)],
)
def test_resample_leaves_out_the_last_step_when_its_rows_stop_early(
    last: int, each: int, left_out: bool
) -> None:
    times = minutes(last, each=each)
    result = resample(
        keys=np.zeros(len(times), dtype=np.int64),
        times=times,
        values=np.ones(len(times)),
        frequency=parse_step("5min", integer=False),
        how="sum",
    )
    in_last = result.times == result.times[-1]
    assert np.isnan(result.values[in_last]).all() == left_out
    assert not np.isnan(result.values[~in_last]).any()
    assert result.early.tolist() == ([0] if left_out else []) and not len(result.late)


@pytest.mark.parametrize("how", ["sum", "mean", "last"])
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_resample_leaves_out_the_first_step_when_its_rows_begin_late(how: str, begin: int) -> None:
    times = minutes(4)[begin:]
    result = resample(
        keys=np.zeros(len(times), dtype=np.int64),
        times=times,
        values=np.ones(len(times)),
        frequency=parse_step("5min", integer=False),
        how=how,
    )
    in_first = result.times == result.times[0]
    left_out = begin > 0 and how != "last"
    assert np.isnan(result.values[in_first]).all() == left_out
    assert not np.isnan(result.values[~in_first]).any()
    assert result.late.tolist() == ([0] if left_out else []) and not len(result.early)


def test_resample_keeps_the_last_step_when_few_others_tell_how_long_rows_last() -> None:
    times = minutes(3)[-60:]
    result = resample(
        keys=np.zeros(60, dtype=np.int64),
        times=times,
        values=np.ones(60),
        frequency=parse_step("5min", integer=False),
        how="mean",
    )
    assert not len(result.late) and not len(result.early) and not np.isnan(result.values).any()


def test_resample_judges_the_last_observed_step_when_rows_without_values_follow() -> None:
    times = minutes(30)
    values = np.where(times <= 183 * MINUTE, 1.0, np.nan)
    result = resample(
        keys=np.full(len(times), 4),
        times=times,
        values=values,
        frequency=parse_step("5min", integer=False),
        how="mean",
    )
    assert result.early.tolist() == [4] and not len(result.late)
    assert np.isnan(result.values[times >= 180 * MINUTE]).all()
    assert not np.isnan(result.values[times < 180 * MINUTE]).any()


@pytest.mark.parametrize(
    ("text", "integer", "message"),
    [
        ("5 parsecs", False, "such as 5min, 15min, h, 2h, D, W or MS, got '5 parsecs'"),
        ("0min", False, "such as 5min"),
        ("m", False, "such as 5min"),
        ("10", False, "such as 5min"),
        ("5min", True, "a number of steps such as 10, as times are integers, got '5min'"),
    ],
)
def test_parse_step_gives_examples_when_the_text_is_no_step(
    text: str, integer: bool, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_step(text, integer=integer)


def test_step_begins_when_the_clock_shows_when_days_are_of_a_zone() -> None:
    index = pd.date_range("2024-03-29 22:30", "2024-04-02", freq="37min", tz="UTC")
    times = index.to_numpy("datetime64[us]").astype(np.int64)
    days = step_begins(times, parse_step("D", integer=False, offset="Europe/Paris"))
    expected = index.tz_convert("Europe/Paris").normalize().tz_convert("UTC")
    assert days.tolist() == expected.to_numpy("datetime64[us]").astype(np.int64).tolist()


def test_step_begins_on_whole_local_hours_when_the_zone_is_half_an_hour_off() -> None:
    index = pd.date_range("2024-06-01 00:10", periods=50, freq="17min", tz="UTC")
    times = index.to_numpy("datetime64[us]").astype(np.int64)
    hours = step_begins(times, parse_step("h", integer=False, offset="Asia/Kolkata"))
    local = index.tz_convert("Asia/Kolkata").tz_localize(None).floor("h")
    expected = local.tz_localize("Asia/Kolkata").tz_convert("UTC")
    assert hours.tolist() == expected.to_numpy("datetime64[us]").astype(np.int64).tolist()


def instants(start: str, end: str, each: str) -> np.ndarray:
    index = pd.date_range(start, end, freq=each, tz="UTC")
    return index.to_numpy("datetime64[us]").astype(np.int64)


def shown(times: np.ndarray, zone: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times.astype("datetime64[us]"), tz="UTC").tz_convert(zone)


# Clocks were set forward for good in 2011, and back in 2014; half an hour back, forth in 2018.
MOSCOW, PYONGYANG = "Europe/Moscow", "Asia/Pyongyang"


@pytest.mark.parametrize(
    ("zone", "start", "end", "step"),
    [
        (MOSCOW, "2010-06-01", "2015-02-01", "h"),
        (PYONGYANG, "2015-01-01", "2018-12-01", "30min"),
        # Either side of its changes has steps of its own.
        (MOSCOW, "2012-06-01", "2013-02-01", "12h"),
        (MOSCOW, "2015-11-01", "2016-02-01", "12h"),
        (PYONGYANG, "2016-11-01", "2018-02-01", "h"),
    ],
)
def test_step_begins_on_the_clock_when_standard_time_changed_by_whole_steps(
    zone: str, start: str, end: str, step: str
) -> None:
    times = instants(start, end, "97min")
    begins = step_begins(times, parse_step(step, integer=False, offset=zone))
    local = shown(begins, zone).tz_localize(None)
    assert (local == local.floor(step)).all()
    length = pd.Timedelta(step if step[0].isdigit() else f"1{step}") // pd.Timedelta("1us")
    assert ((times - begins >= 0) & (times - begins < length)).all()


@pytest.mark.parametrize(
    ("zone", "start", "end", "step", "message"),
    [
        (MOSCOW, "2013-06-01", "2015-02-01", "2h", "multiple of 2 hours, .* --resample h or D"),
        (PYONGYANG, "2015-07-01", "2015-09-01", "h", "of hour, .* --resample 30min or D"),
        (PYONGYANG, "2018-03-01", "2019-06-01", "45min", "of 45 minutes, .* --resample 15min or D"),
    ],
)
def test_step_begins_raises_with_a_finer_step_when_no_grid_keeps_to_the_clock(
    zone: str, start: str, end: str, step: str, message: str
) -> None:
    with pytest.raises(DataError, match=f"standard time of {zone} changes .*{message}") as error:
        step_begins(instants(start, end, "97min"), parse_step(step, integer=False, offset=zone))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [(MOSCOW, "2010-06-01", "2015-02-01"), (PYONGYANG, "2015-01-01", "2018-12-01")],
)
def test_step_begins_at_midnight_when_standard_time_changed(
    zone: str, start: str, end: str
) -> None:
    times = instants(start, end, "97min")
    begins = step_begins(times, parse_step("1D", integer=False, offset=zone))
    assert begins.tolist() == (
        shown(times, zone)
        .tz_localize(None)
        .normalize()
        .tz_localize(zone, ambiguous=True)
        .tz_convert("UTC")
        .to_numpy("datetime64[us]")
        .astype(np.int64)
        .tolist()
    )


@pytest.mark.parametrize("zone", ["Europe/Paris", "Australia/Sydney", "Europe/Dublin"])
def test_step_begins_are_the_same_when_newer_rows_follow(zone: str) -> None:
    frequency = parse_step("2h", integer=False, offset=zone)
    times = instants("2023-11-10", "2025-03-01", "7h")
    begins = step_begins(times, frequency)
    for count in range(100, len(times), 50):
        assert step_begins(times[:count], frequency).tolist() == begins[:count].tolist()


def test_resample_writes_where_a_step_begins_when_a_zone_is_given() -> None:
    rows = [f"2024-03-31T{hour}:{minute}:00Z,1" for hour in ("00", "01") for minute in (10, 50)]
    config = DataConfig(resample="h", aggregate="sum", time_zone="Europe/Paris")
    panel = parse_table(source_of("\n".join(["ds,y", *rows])), config).panel
    assert panel.values.tolist() == [2, 2]
    times = panel.times(np.zeros(2, dtype=np.int64), np.arange(2))
    assert panel.frequency.format(times) == [
        "2024-03-31T01:00:00+01:00",
        "2024-03-31T03:00:00+02:00",
    ]


def test_resample_takes_the_greater_of_last_values_when_rows_have_one_time() -> None:
    for values in ([3.0, 7.0], [7.0, 3.0]):
        result = resample(
            keys=np.zeros(2, dtype=np.int64),
            times=np.zeros(2, dtype=np.int64),
            values=np.array(values),
            frequency=parse_step("h", integer=False),
            how="last",
        )
        assert result.values.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("distances", "step"),
    [
        ([5, 5, 5, 10, 4, 6, 5000], "5min"),
        ([14, 16, 15, 15, 13], "15min"),
        ([58, 61, 60, 63], "h"),
        ([1440, 1500, 1380, 4320], "D"),
        ([0, 0, 0, 5], "5min"),
    ],
)
def test_suggest_step_is_the_usual_one_next_to_most_distances(
    distances: list[int], step: str
) -> None:
    times = np.cumsum([0, *distances]) * MINUTE
    both = np.concatenate([times, times + 7 * MINUTE])
    assert suggest_step(both, np.array([0, len(times), len(both)])) == step


def source_of(text: str) -> Source:
    return Source(name="data.csv", data=text.encode())


def test_parse_table_lays_steps_on_one_grid_when_series_report_at_different_distances() -> None:
    lines = ["unique_id,ds,y"]
    lines += [f"slow,2024-01-01 {10 + k // 6:02d}:{k % 6 * 10 + 1:02d},{k}" for k in range(12)]
    lines += [f"fast,2024-01-01 10:{k:02d}:30,{k}" for k in range(30)]
    config = DataConfig(resample="5min", aggregate="mean")
    panel = parse_table(source_of("\n".join(lines)), config).panel
    slow, fast = panel.series(0), panel.series(1)
    assert slow[::2].tolist() == list(range(12)) and np.isnan(slow[1::2]).all()
    assert fast.tolist() == [2, 7, 12, 17, 22, 27]
    assert panel.frequency.count == 5 * MINUTE
    assert panel.frequency.format(panel.starts) == ["2024-01-01T10:00:00"] * 2
