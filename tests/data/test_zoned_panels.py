"""Tables of a zone as panels, and forecasts of a zone beside them: both changes of three clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.actuals import read_actuals
from rnnforecast.data.faults import LocatedError
from rnnforecast.data.forecasts import read_forecasts
from rnnforecast.data.joining import join
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import parse_table, read_table
from rnnforecast.data.source import Source
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import forecast_table, to_csv
from rnnforecast.errors import DataError

LONG = DataConfig(id_column="unique_id", time_column="ds", target_columns=("y",))
# A Friday before each change of the clock; in the last two, midnight is left out.
STARTS = {
    "Europe/Paris": ("2018-03-16", "2018-10-19"),
    "America/New_York": ("2018-03-02", "2018-10-26"),
    "Australia/Sydney": ("2018-03-23", "2018-09-28"),
    "America/Sao_Paulo": ("2018-02-09", "2018-10-26"),
    "Asia/Beirut": ("2018-03-16", "2018-10-19"),
}
BEGINNINGS = [(zone, start) for zone, starts in STARTS.items() for start in starts]
# Rows that go beyond the change, of a day and more beyond both, and the name of the frequency.
STEPS = {
    "h": (24 * 14, "hour"),
    "30min": (48 * 14, "30 minutes"),
    "15min": (96 * 14, "15 minutes"),
    "D": (360, "day"),
    "W-SUN": (50, "week"),
    "MS": (11, "month"),
    "ME": (11, "month end"),
    "QE": (7, "quarter end"),
    "B": (255, "business day"),
}


def index_of(zone: str, freq: str, periods: int, start: str = "2018-01-05") -> pd.DatetimeIndex:
    clock = ZoneInfo(zone)  # By its name pandas 2 takes a clock that no longer changes from 2038.
    if freq in ("h", "30min", "15min"):
        return pd.date_range(start, periods=periods, freq=freq, tz=clock)
    days = pd.date_range(start, periods=periods, freq=freq)
    return days.tz_localize(clock, nonexistent="shift_forward", ambiguous=np.ones(periods, bool))


def local(index: pd.DatetimeIndex) -> list[str]:
    return list(index.strftime("%Y-%m-%d %H:%M"))


def iso(index: pd.DatetimeIndex) -> list[str]:
    return [time.isoformat() for time in index]


def write(path: Path, times: Sequence[str]) -> str:
    values = np.arange(len(times)) % 7 + 1.0
    pd.DataFrame({"ds": times, "y": values}).to_csv(path, index=False)
    return str(path)


def written(panel: Panel, steps: int) -> list[str]:
    """What forecasts would write as the times of the first steps of the first series."""
    return list(panel.frequency.format(panel.times(np.zeros(steps, dtype=int), np.arange(steps))))


@pytest.mark.parametrize(("zone", "start"), BEGINNINGS)
@pytest.mark.parametrize("freq", STEPS)
def test_panel_has_the_times_of_the_zone_when_clocks_change(
    tmp_path: Path, zone: str, start: str, freq: str
) -> None:
    rows, name = STEPS[freq]
    index = index_of(zone, freq, rows + 100, start)
    assert len({time[-6:] for time in iso(index[:rows])}) == 2
    for texts in (local(index), iso(index), iso(index.tz_convert("UTC"))):
        path = write(tmp_path / "data.csv", texts[:rows])
        panel = read_table(path, DataConfig(time_zone=zone)).panel
        assert str(panel.frequency) == name
        assert panel.values.tolist() == (np.arange(rows) % 7 + 1.0).tolist()
        assert written(panel, rows + 100) == iso(index)


def test_panel_has_both_hours_when_series_alternate_in_long_form(tmp_path: Path) -> None:
    index = pd.date_range("2018-10-20", periods=24 * 10, freq="h", tz="Europe/Paris")
    table = pd.DataFrame({"unique_id": ["a", "b"] * len(index), "ds": np.repeat(local(index), 2)})
    table.assign(y=np.arange(len(table))).to_csv(tmp_path / "data.csv", index=False)
    panel = read_table(str(tmp_path / "data.csv"), DataConfig(time_zone="Europe/Paris")).panel
    assert panel.series(0).tolist() == list(range(0, len(table), 2))
    assert panel.series(1).tolist() == list(range(1, len(table), 2))
    assert written(panel, len(index)) == iso(index)


def test_panel_keeps_midnight_when_its_tail_begins_where_it_does_not_exist(tmp_path: Path) -> None:
    index = index_of("America/Sao_Paulo", "D", 320)
    path = write(tmp_path / "data.csv", iso(index))
    panel = read_table(path, DataConfig(time_zone="America/Sao_Paulo")).panel
    change = iso(index).index("2018-11-04T01:00:00-02:00")
    tail = panel.tail(320 - change)
    assert written(tail, 3) == [
        *("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00", "2018-11-06T00:00:00-02:00"),
    ]


def test_panel_names_the_row_when_a_day_stands_twice_within_an_hour(tmp_path: Path) -> None:
    days = [f"2018-10-{day}T02:30:00+02:00" for day in range(20, 29)]
    path = write(tmp_path / "data.csv", [*days, "2018-10-28T02:30:00+01:00"])
    with pytest.raises(DataError, match=":11: .* has this time twice"):
        read_table(path, DataConfig(time_zone="Europe/Paris"))


def forecasts_of(panel: Panel, horizon: int, path: Path) -> str:
    """Forecasts that are the actual values of the last steps, as `train` writes them."""
    cutoffs = panel.lengths - horizon
    actual = np.stack([panel.series(i)[-horizon:] for i in range(len(panel))])[..., None]
    index = WindowIndex(series=np.arange(len(panel)), cutoffs=cutoffs)
    path.write_text(to_csv(forecast_table(panel, index, {"gru": actual}, (), LONG)))
    return str(path)


@pytest.mark.parametrize("freq", ["h", "30min", "D", "B", "W-SUN", "MS", "ME"])
@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Sao_Paulo"])
def test_join_finds_every_pair_when_actual_values_are_local_or_of_utc(
    tmp_path: Path, freq: str, zone: str
) -> None:
    index = index_of(zone, freq, STEPS[freq][0], STARTS[zone][1])
    horizon, asked = len(index) // 2, DataConfig(time_zone=zone)
    for texts in (local(index), iso(index), iso(index.tz_convert("UTC"))):
        path = write(tmp_path / "data.csv", texts)
        panel = read_actuals([path], asked).panel
        rows = read_forecasts(forecasts_of(panel, horizon, tmp_path / "f.csv"), asked)
        found = join(rows, panel)
        assert found.unmatched.count == 0 and found.horizon == horizon
        assert found.quantiles["gru"][..., 0].tolist() == found.actual.tolist()


def test_join_finds_the_pair_when_the_only_forecast_is_of_a_midnight_that_is_not(
    tmp_path: Path,
) -> None:
    index, asked = (
        index_of("America/Sao_Paulo", "D", 304),
        DataConfig(time_zone="America/Sao_Paulo"),
    )
    assert iso(index)[-1] == "2018-11-04T01:00:00-02:00"
    panel = read_actuals([write(tmp_path / "data.csv", iso(index))], asked).panel
    rows = read_forecasts(forecasts_of(panel, 1, tmp_path / "f.csv"), asked)
    assert join(rows, panel).index.cutoffs.tolist() == [303]


def test_join_raises_when_forecasts_have_varying_offsets_and_actual_values_none(
    tmp_path: Path,
) -> None:
    index = pd.date_range("2018-03-24", periods=60, freq="h", tz="Europe/Paris")
    panel = read_actuals([write(tmp_path / "a.csv", local(index))], DataConfig()).panel
    rows = read_forecasts(write(tmp_path / "f.csv", iso(index)), DataConfig())
    with pytest.raises(DataError, match="offsets from UTC that vary, .* pass --time-zone"):
        join(rows, panel)


def test_join_takes_local_cutoffs_when_rows_of_one_stand_together(tmp_path: Path) -> None:
    """Each cutoff stands in many rows, also one at an hour that clocks show twice."""
    index = pd.date_range("2018-10-27", periods=40, freq="h", tz="Europe/Paris")
    asked = DataConfig(time_zone="Europe/Paris")
    panel = read_actuals([write(tmp_path / "data.csv", local(index))], asked).panel
    rows = pd.DataFrame({"ds": local(index)[30:], "cutoff": local(index)[29], "gru": 1.0})
    rows.to_csv(tmp_path / "f.csv", index=False)
    found = join(read_forecasts(str(tmp_path / "f.csv"), asked), panel)
    assert (found.index.cutoffs.tolist(), found.horizon) == ([30], 10)


def source_of(index: pd.DatetimeIndex) -> Source:
    rows = [f"a,{time.isoformat()},{10 + place % 7}" for place, time in enumerate(index)]
    return Source("f.csv", "\n".join(["unique_id,ds,y", *rows, ""]).encode())


@pytest.mark.parametrize("zone", ["Australia/Sydney", "Europe/Paris"])
@pytest.mark.parametrize(
    ("freq", "count", "step"), [("D", 300, "day"), ("MS", 60, "month"), ("W-SUN", 60, "week")]
)
def test_reading_names_the_zone_when_local_days_bear_their_offsets(
    zone: str, freq: str, count: int, step: str
) -> None:
    source = source_of(index_of(zone, freq, count))
    problem = f"the rows come every {step} by local clocks"
    with pytest.raises(LocatedError, match=f"{problem}.*; pass --time-zone {zone}$") as caught:
        parse_table(source, LONG)
    assert caught.value.settled == {"time_zone": zone}
    assert [(fault.row, fault.column) for fault in caught.value.faults()] == [(None, "ds")]
    table = parse_table(source, replace(LONG, **caught.value.settled))
    assert table.panel.values.tolist() == [10 + place % 7 for place in range(count)]


def test_reading_names_an_example_when_offsets_are_of_no_zone() -> None:
    days = pd.date_range("2020-01-01", periods=30)
    offsets = ["+01:00" if day.day % 2 else "+05:00" for day in days]
    rows = [f"a,{day.isoformat()}{each},1" for day, each in zip(days, offsets, strict=True)]
    source = Source("f.csv", "\n".join(["unique_id,ds,y", *rows]).encode())
    with pytest.raises(LocatedError, match="pass --time-zone, such as Europe/Paris$"):
        parse_table(source, LONG)


def test_reading_keeps_to_resampling_when_rows_are_uneven_by_the_clock_too() -> None:
    steps = np.random.default_rng(1).integers(5, 90, 400).cumsum()
    index = pd.Timestamp("2018-10-26", tz="Europe/Paris") + pd.to_timedelta(steps, unit="min")
    with pytest.raises(LocatedError, match="pass --resample") as caught:
        parse_table(source_of(pd.DatetimeIndex(index)), LONG)
    assert list(caught.value.settled) == ["resample"]


@pytest.mark.parametrize("resample", [None, "6h", "D"])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("newest", [False, True])
def test_times_keep_the_offset_of_the_model_when_the_clock_changes_later(
    monkeypatch: pytest.MonkeyPatch, resample: str | None, large: bool, newest: bool
) -> None:
    """`newest`: of rows after the change alone, which have one offset, too."""
    asked = replace(LONG, resample=resample)
    index = pd.date_range("2023-10-20", periods=24 * 30, freq="h", tz="America/New_York")
    trained = parse_table(source_of(index[: 24 * 14]), asked).panel
    assert trained.frequency.offset == "-04:00"
    grown = source_of(index[24 * 20 - 1 :] if newest else index)
    monkeypatch.setattr(Source, "is_large", large)
    table = parse_table(grown, asked, trained.frequency)
    (note,) = (note for note in table.notes if "offset" in note)
    assert "than -04:00, with which the model was trained" in note
    assert "train again with --time-zone" in note and (newest or "America/New_York" in note)
    panel = table.panel
    assert panel.frequency == trained.frequency
    places = trained.frequency.positions(panel.starts, trained.starts)
    assert (places > 0).tolist() == [newest]
    common = len(trained.values) - 1
    assert newest or panel.values[:common].tolist() == trained.values[:common].tolist()
    (last,) = panel.frequency.format(panel.times(np.array([0]), panel.lengths - 1))
    ends = {None: "2023-11-18T23:00", "6h": "2023-11-18T18:00", "D": "2023-11-18T00:00"}
    assert last == f"{ends[resample]}:00-04:00"


def test_reading_says_to_train_again_when_days_of_a_model_follow_the_clock() -> None:
    days = pd.date_range("2023-10-01", periods=60, tz="America/New_York")
    trained = parse_table(source_of(days[:30]), LONG).panel.frequency
    with pytest.raises(LocatedError, match="; train again with --time-zone America/New_York$"):
        parse_table(source_of(days), LONG, trained)
    # Days that all have the other offset remain days there.
    later = parse_table(source_of(days[40:]), LONG, trained)
    assert later.panel.frequency.offset == "-05:00" and later.notes == ()
