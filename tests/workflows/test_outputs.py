"""Forecasts come some series at a time, and tell what one table of all would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.errors import DataError
from rnnforecast.forecaster import Forecaster
from rnnforecast.workflows import outputs
from rnnforecast.workflows.outputs import end_forecasts, stored_forecasts
from rnnforecast.workflows.reporting import Mute
from tests.model_files import make_artifact
from tests.panels import make_panel
from tests.test_artifact_covariates import with_covariates

SERIES = make_panel(*[[float(place), 3.0, 2.0 + place, 5.0] * 3 for place in range(1, 8)])


def tables(forecaster: Forecaster, panel: Panel, at_once: int) -> list[pd.DataFrame]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "AT_ONCE", at_once)
        return list(end_forecasts(forecaster, panel))


@pytest.mark.parametrize("id_column", ["shop", None])
@pytest.mark.parametrize("at_once", [1, 3, 6])
def test_end_forecasts_are_those_of_one_table_when_series_come_in_parts(
    at_once: int, id_column: str | None
) -> None:
    forecaster = make_artifact().forecaster
    data = DataConfig(id_column=id_column, time_column="day", target_columns=("sold",))
    forecaster = replace(forecaster, config=replace(forecaster.config, data=data))
    (whole,) = tables(forecaster, SERIES, 100)
    parts = tables(forecaster, SERIES, at_once)
    assert len(parts) == -(-len(SERIES) // at_once)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, rtol=1e-6)
    assert len(whole) == 3 * len(SERIES)


def test_end_forecasts_raise_before_the_first_table_when_the_last_series_has_no_logarithm() -> None:
    forecaster = make_artifact(log=True).forecaster
    panel = replace(SERIES, values=np.append(SERIES.values[:-1], -1.0))
    with pytest.raises(DataError, match="series 's6' has the value -1, which has no logarithm"):
        tables(forecaster, panel, 1)


def test_end_forecasts_warn_of_intervals_far_from_the_values_when_levels_have_changed() -> None:
    """What is learned of steady series is far too wide for one whose level jumps."""
    heard: list[str] = []
    reporter = Mute()
    reporter.warning = heard.append  # type: ignore[method-assign]
    forecaster = replace(make_artifact().forecaster, factors=np.full((3, 2), 1.0))
    steady = make_panel(*[[5.0, 3.0, 2.0, 4.0] * 3] * 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "AT_ONCE", 2)
        list(end_forecasts(forecaster, steady, reporter=reporter))
        assert not heard
        far = forecaster.predict(steady)
        far[..., -1] = 5 + 10 * 3 + np.array([-1.0, 0.0, 1.0])[:, None]
        parts = iter([far[:2], far[2:]])
        patch.setattr(Forecaster, "predict", lambda self, panel: next(parts))
        list(end_forecasts(forecaster, steady, reporter=reporter))
    (warning,) = heard
    assert warning.startswith("1 of 3 series ('s2') is forecast with intervals that reach more")


@pytest.mark.parametrize("bounded", [False, True])
def test_end_forecasts_say_so_when_values_are_below_a_bound(bounded: bool) -> None:
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    forecaster = make_artifact().forecaster
    config = forecaster.config
    config = replace(config, model=replace(config.model, nonnegative=bounded))
    panel = make_panel([5.0, 3.0, 2.0, 4.0], [5.0, -3.0, 2.0, 4.0])
    list(end_forecasts(replace(forecaster, config=config), panel, reporter=reporter))
    said = "series 's1' has the value -3, but no forecast of the model is below 0"
    assert [note.startswith(said) for note in heard] == [True] * bounded


def test_stored_forecasts_are_one_table_when_series_come_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forecaster = make_artifact().forecaster
    monkeypatch.setattr(outputs, "AT_ONCE", 2)
    stored = stored_forecasts(forecaster, SERIES)
    assert stored.index.tolist() == list(range(3 * len(SERIES)))


def test_end_forecasts_read_the_covariates_of_their_own_series_when_series_come_in_parts() -> None:
    artifact = with_covariates()
    (whole,) = tables(artifact.forecaster, artifact.panel, 100)
    parts = tables(artifact.forecaster, artifact.panel, 1)
    assert len(parts) == len(artifact.panel) > 1
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, rtol=1e-5)


def test_end_forecasts_write_all_times_alike_when_only_the_last_has_parts_of_a_second() -> None:
    seconds = Frequency(unit="microsecond", count=1_000_000)
    starts = np.zeros(len(SERIES), np.int64)
    starts[-1] = 500_000
    panel = replace(SERIES, frequency=seconds, starts=starts)
    times = pd.concat(tables(make_artifact().forecaster, panel, 2))["day"]
    assert times.str.fullmatch(r"1970-01-01T00:00:1\d\.[05]00000").all()
