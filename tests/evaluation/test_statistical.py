"""The models of statsforecast behind the interface of the baselines."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import numpy as np
import pytest

from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.baselines import seasonal_naive
from rnnforecast.evaluation.statistical import STATISTICAL

NAN = math.nan
SEASON, HORIZON = 4, 6
NAMES = list(STATISTICAL)


@pytest.fixture
def models() -> ModuleType:
    return pytest.importorskip("statsforecast.models")


def quarters(length: int = 60, noise: float = 1.0) -> np.ndarray:
    """A rising line with a season of four."""
    rng = np.random.default_rng(7)
    times = np.arange(length)
    return 100 + times + 10 * np.sin(np.pi * times / 2) + noise * rng.normal(size=length)


def test_statistical_lists_three_models_when_asked() -> None:
    assert NAMES == ["auto-ets", "auto-theta", "auto-arima"]


@pytest.mark.parametrize("name", NAMES)
def test_statistical_names_the_remedy_when_statsforecast_is_absent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    remedy = rf"^{name} needs statsforecast; run: pip install 'rnnforecast\[baselines\]'$"
    with pytest.raises(ConfigError, match=remedy):
        STATISTICAL[name](quarters(), np.array([50]), HORIZON, SEASON)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", NAMES)
def test_statistical_beats_the_seasonal_naive_when_the_series_is_a_line_with_a_season(
    name: str,
) -> None:
    series, cutoffs = quarters(), np.array([44, 50])
    point, deviation = STATISTICAL[name](series, cutoffs, HORIZON, SEASON)
    actual = series[cutoffs[:, None] + np.arange(HORIZON)]
    copied = seasonal_naive(series, cutoffs, HORIZON, SEASON).point
    assert np.abs(point - actual).mean() < 0.5 * np.abs(copied - actual).mean()
    assert point.shape == deviation.shape == (2, HORIZON)
    # The noise has a deviation of 1, and no model can know the next value better.
    assert ((deviation > 0.5) & (deviation < 5)).all()


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", NAMES)
def test_statistical_sees_only_the_past_when_the_future_is_changed(name: str) -> None:
    series, cutoffs = quarters(), np.array([30, 41])
    changed = series.copy()
    changed[cutoffs[0] :] = 1e9
    before, after = (STATISTICAL[name](y, cutoffs, HORIZON, SEASON) for y in (series, changed))
    np.testing.assert_array_equal(before.point[0], after.point[0])
    np.testing.assert_array_equal(before.deviation[0], after.deviation[0])
    assert (before.point[1] != after.point[1]).all()
    alone = STATISTICAL[name](series[:41], cutoffs[1:], HORIZON, SEASON)
    np.testing.assert_array_equal(before.point[1:], alone.point)
    np.testing.assert_array_equal(before.deviation[1:], alone.deviation)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", NAMES)
def test_statistical_fills_gaps_and_counts_steps_from_the_last_value_when_values_miss(
    name: str,
) -> None:
    """Leading gaps are cut, inner ones lie on the line between, those at the end are forecast."""
    whole = quarters()[:40]
    whole[20] = (whole[19] + whole[21]) / 2
    gaps = np.concatenate([[NAN, NAN], whole, [NAN, NAN]])
    gaps[22] = NAN
    expected = STATISTICAL[name](whole, np.array([40]), HORIZON + 2, SEASON)
    found = STATISTICAL[name](gaps, np.array([44]), HORIZON, SEASON)
    np.testing.assert_allclose(found.point, expected.point[:, 2:], rtol=1e-9)
    # The intervals of theta are quantiles of a simulation, whose draws depend on the steps.
    tolerance = 0.2 if name == "auto-theta" else 1e-9
    np.testing.assert_allclose(found.deviation, expected.deviation[:, 2:], rtol=tolerance)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "series",
    [
        pytest.param(np.full(30, NAN), id="nothing observed"),
        pytest.param(np.array([NAN, 3.0, NAN]), id="one value"),
        pytest.param(np.array([1.0, 5.0, 2.0, 8.0, 3.0, 4.0]), id="six values"),
        pytest.param(np.array([NAN] * 9 + [1.0, NAN, 2.0, 8.0, 3.0, 4.0, NAN]), id="span of six"),
        pytest.param(np.full(30, 3.0), id="constant"),
        pytest.param(np.array([0.0, NAN] * 15), id="zeros and gaps"),
    ],
)
def test_statistical_is_the_seasonal_naive_when_there_is_nothing_to_fit(
    name: str, series: np.ndarray
) -> None:
    cutoffs = np.array([len(series)])
    found = STATISTICAL[name](series, cutoffs, HORIZON, SEASON)
    expected = seasonal_naive(series, cutoffs, HORIZON, SEASON)
    np.testing.assert_array_equal(found.point, expected.point)
    np.testing.assert_array_equal(found.deviation, expected.deviation)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("season", [1, 4, 12])
def test_statistical_is_fitted_when_seven_values_are_known(name: str, season: int) -> None:
    series, cutoffs = np.array([1.0, 5.0, 2.0, 8.0, 3.0, 4.0, 6.0]), np.array([7])
    point, deviation = STATISTICAL[name](series, cutoffs, HORIZON, season)
    assert np.isfinite(point).all() and (deviation > 0).all()
    copied = seasonal_naive(series, cutoffs, HORIZON, season)
    assert not np.array_equal(deviation, copied.deviation)


@pytest.mark.parametrize("outcome", ["raises", "not finite"])
def test_statistical_is_undefined_in_one_window_when_its_fit_fails(
    outcome: str, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = models.AutoETS.forecast

    def forecast(self: object, y: np.ndarray, h: int, level: list[int]) -> dict[str, np.ndarray]:
        if len(y) == 33:
            return fitted(self, y=y, h=h, level=level)
        if outcome == "raises":
            raise ZeroDivisionError
        bound = np.append(np.zeros(h - 1), np.inf)
        return {"mean": np.zeros(h), "lo-95": np.zeros(h), "hi-95": bound}

    series, cutoffs = quarters(), np.array([20, 33])
    expected = STATISTICAL["auto-ets"](series, cutoffs, HORIZON, SEASON)
    monkeypatch.setattr(models.AutoETS, "forecast", forecast)
    point, deviation = STATISTICAL["auto-ets"](series, cutoffs, HORIZON, SEASON)
    assert np.isnan(point[0]).all() and np.isnan(deviation[0]).all()
    np.testing.assert_array_equal(point[1], expected.point[1])
    np.testing.assert_array_equal(deviation[1], expected.deviation[1])
