"""Which windows the intervals of a network are calibrated by, and that its forecasts have them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.artifact import load_artifact
from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.contenders import Calibrated, Contender
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import interval_names
from rnnforecast.forecaster import Forecaster
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows import backtest, fitting, keeping, train
from rnnforecast.workflows.reporting import Mute

PASSENGERS = Path(__file__).parents[2] / "sample_data" / "passengers.csv"
HORIZON = 3
LENGTHS = (40, 60)
# The scored cutoffs are 37 and 57. Of what lies before, a horizon or a tenth, 3 and 5, is left for
# validation, so that weights are fitted to targets before 34 and 52.
NEWEST = [(0, 34), (1, 52), (1, 53), (1, 54)]
SCORED = [(0, 37), (1, 57)]


@dataclass(frozen=True)
class Fit:
    """A forecaster, and where the targets that its weights were fitted to end [series]."""

    forecaster: Forecaster
    ends: IntArray
    validated: bool


@dataclass(frozen=True)
class Calibration:
    """What the factors of a network were found with, and what they are."""

    fit: Fit
    panel: Panel
    index: WindowIndex
    prior: FloatArray | float
    factors: FloatArray

    @property
    def windows(self) -> list[tuple[int, int]]:
        """Series and cutoff of each window, sorted."""
        return sorted(zip(self.index.series.tolist(), self.index.cutoffs.tolist(), strict=True))


@dataclass(frozen=True)
class Recorded:
    fits: list[Fit] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Every fit and every calibration of a network, in order."""
    record = Recorded()
    fit_forecaster, factors_of = fitting.fit_forecaster, fitting.factors_of

    def fit(
        panel: Panel, config: Any, *, ends: IntArray | None = None, **given: Any
    ) -> tuple[Forecaster, FitResult]:
        forecaster, result = fit_forecaster(panel, config, ends=ends, **given)
        learnt = panel.lengths if ends is None else ends
        record.fits.append(Fit(forecaster, learnt, ends is not None))
        return forecaster, result

    def factors(contender: Contender, panel: Panel, index: WindowIndex, *given: Any) -> FloatArray:
        found = factors_of(contender, panel, index, *given)
        if isinstance(contender, Forecaster):
            (own,) = (fit for fit in record.fits if fit.forecaster.network is contender.network)
            record.calibrations.append(Calibration(own, panel, index, given[-1], found))
        return found

    monkeypatch.setattr(fitting, "fit_forecaster", fit)
    for workflow in (backtest, keeping):
        monkeypatch.setattr(workflow, "factors_of", factors)
    return record


def assert_not_fitted_to(calibration: Calibration) -> None:
    """Raise AssertionError where a window has a step that the weights were fitted to."""
    fit, index = calibration.fit, calibration.index
    assert fit.validated and len(index)
    assert (index.cutoffs >= fit.ends[index.series]).all()


def settings(model: str) -> Settings:
    return Settings(horizon=HORIZON, model=model, preset="fast", hidden_size=4, epochs=2)


def two_series(directory: Path) -> Path:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], LENGTHS),
            "ds": np.concatenate([np.arange(length) for length in LENGTHS]),
            "y": 20 + rng.normal(size=sum(LENGTHS)),
        }
    )
    frame.to_csv(directory / "two.csv", index=False)
    return directory / "two.csv"


def trained(path: Path, directory: Path) -> Path:
    request = train.TrainRequest(
        path=str(path),
        directory=directory / "model",
        data=DataConfig(),
        settings=settings("gru"),
        device="cpu",
    )
    train.train(request, Mute())
    return request.directory


def forecasts_of(path: Path, model: str, levels: tuple[float, ...]) -> FloatArray:
    """The quantiles of a CSV file, levels ascending [row, quantile]."""
    bounds = [f"{model}-lo-{level:g}" for level in reversed(levels)]
    names = [*bounds, model, *(f"{model}-hi-{level:g}" for level in levels)]
    assert sorted(names) == sorted(interval_names(model, levels))
    table: FloatArray = pd.read_csv(path)[names].to_numpy()
    return table


def widened(raw: FloatArray, factors: FloatArray) -> FloatArray:
    """Half-widths of logarithms, each times its factor, by loops [step, quantile]."""
    steps, middle = len(raw), raw.shape[1] // 2
    expected = raw.copy()
    for step in range(steps):
        median = raw[step, middle]
        for side in (-1, 1):
            reach = 0.0
            for place in range(middle):
                width = abs(np.log(raw[step, middle + side * (place + 1)] / median))
                reach = max(reach, width * factors[step, place])
                expected[step, middle + side * (place + 1)] = median * np.exp(side * reach)
    return expected


def matched(scored: Fit, kept: Fit, panel: Panel, factors: FloatArray) -> FloatArray:
    """Factors by which the kept intervals after a panel are as wide as the scored ones.

    That is what these would be if their start erred as much as the kept one's does.
    """
    ends = WindowIndex(series=np.arange(len(panel)), cutoffs=panel.lengths)
    spans = []
    before = deepcopy(scored.forecaster)
    before.network.spread.copy_(kept.forecaster.network.spread)
    for forecaster in (before, kept.forecaster):
        found = forecaster.predict_at(panel, ends)
        found = np.log(found) if forecaster.log else found
        spans.append(np.stack([found[..., 3] - found[..., 1], found[..., 4] - found[..., 0]], -1))
    relative: FloatArray = factors * np.median(spans[0] / spans[1], axis=0)
    return relative


def test_backtest_calibrates_the_forecaster_that_was_not_fitted_to_the_windows_when_it_refits(
    recorded: Recorded, tmp_path: Path
) -> None:
    request = backtest.BacktestRequest(
        path=str(two_series(tmp_path)),
        data=DataConfig(),
        settings=(settings("gru"), settings("rnn")),
        windows=2,
        refit_every=1,
        device="cpu",
    )
    backtest.backtest(request, Mute())
    calibrated = [calibration.fit for calibration in recorded.calibrations]
    names = [(fit.forecaster.name, fit.validated) for fit in recorded.fits]
    each = [("gru", True), ("gru", False), ("rnn", True), ("rnn", False)]
    assert names == [*each, *each]
    assert calibrated == recorded.fits[::2]
    for calibration in recorded.calibrations:
        assert_not_fitted_to(calibration)
    assert [calibration.windows for calibration in recorded.calibrations[2:]] == [NEWEST, NEWEST]


def test_backtest_forgets_factors_of_logarithms_when_plain_values_follow(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    class Counted(Calibrated):
        def __init__(self, contender: Contender, *given: Any, **named: Any) -> None:
            super().__init__(contender, *given, **named)
            begun.append(contender.name)

    monkeypatch.setattr(backtest, "Calibrated", Counted)
    values = 20 + np.random.default_rng(7).normal(size=160)
    values[[152, 153]] = 0.0
    pd.DataFrame({"ds": range(160), "y": values}).to_csv(tmp_path / "one.csv", index=False)
    request = backtest.BacktestRequest(
        path=str(tmp_path / "one.csv"),
        data=DataConfig(),
        settings=(settings("gru"),),
        windows=4,
        refit_every=1,
        device="cpu",
    )
    backtest.backtest(request, Mute())
    logs = [calibration.fit.forecaster.log for calibration in recorded.calibrations]
    assert logs == [True, True, False, False]
    forgotten = [isinstance(calibration.prior, float) for calibration in recorded.calibrations]
    assert forgotten == [True, False, True, False]
    assert (begun.count("gru"), begun.count("naive")) == (2, 1)


def test_train_calibrates_the_forecaster_that_was_not_fitted_to_the_windows_when_it_refits(
    recorded: Recorded, tmp_path: Path
) -> None:
    trained(two_series(tmp_path), tmp_path)
    assert [fit.validated for fit in recorded.fits] == [True, False]
    assert [calibration.fit for calibration in recorded.calibrations] == [recorded.fits[0]] * 2
    for calibration in recorded.calibrations:
        assert_not_fitted_to(calibration)


def test_train_calibrates_by_what_was_scored_only_when_nothing_is_scored_any_more(
    recorded: Recorded, tmp_path: Path
) -> None:
    directory = trained(two_series(tmp_path), tmp_path)
    scored, kept = recorded.calibrations
    assert scored.windows == NEWEST
    assert kept.windows == sorted(NEWEST + SCORED)
    stored = load_artifact(directory, torch.device("cpu")).forecaster
    expected = matched(recorded.fits[0], recorded.fits[1], kept.panel, kept.factors)
    np.testing.assert_allclose(stored.factors, expected, rtol=1e-9)
    assert not np.array_equal(scored.factors, kept.factors)


def test_train_forecasts_with_the_stored_factors_when_it_is_done(
    recorded: Recorded, tmp_path: Path
) -> None:
    directory = trained(PASSENGERS, tmp_path)
    artifact = load_artifact(directory, torch.device("cpu"))
    forecaster, panel = artifact.forecaster, artifact.panel
    assert forecaster.log and forecaster.factors is not None
    end = WindowIndex(series=np.arange(1), cutoffs=panel.lengths)
    raw = forecaster.predict_at(panel, end)[0]
    refitted = recorded.fits[-1].forecaster.predict_at(panel, end)[0]
    np.testing.assert_array_equal(raw, refitted)
    found = forecasts_of(directory / "forecasts.csv", "gru", (80.0, 95.0))
    np.testing.assert_allclose(found, widened(raw, forecaster.factors), rtol=1e-12)
    bounds = [1, 3]  # of 80%; so few windows need not tell of 95%
    assert (np.abs(found[:, bounds] / raw[:, bounds] - 1) > 1e-3).all()


def test_backtest_forecasts_the_refitted_network_with_the_factors_of_the_first_when_it_refits(
    recorded: Recorded, tmp_path: Path
) -> None:
    request = backtest.BacktestRequest(
        path=str(PASSENGERS),
        data=DataConfig(),
        settings=(settings("gru"),),
        windows=1,
        output=tmp_path / "output.csv",
        device="cpu",
    )
    backtest.backtest(request, Mute())
    (calibration,), refitted = recorded.calibrations, recorded.fits[-1]
    assert not refitted.validated
    assert (np.abs(calibration.factors[:, 0] - 1) > 1e-3).all()
    cutoff = WindowIndex(series=np.arange(1), cutoffs=np.array([141]))
    raw = refitted.forecaster.predict_at(calibration.panel, cutoff)[0]
    found = forecasts_of(tmp_path / "output.csv", "gru", (80.0, 95.0))
    panel = calibration.panel.before(np.array([141]))
    factors = matched(recorded.fits[0], refitted, panel, calibration.factors)
    np.testing.assert_allclose(found, widened(raw, factors), rtol=1e-9)


def test_intervals_hold_the_noise_when_a_series_is_short(tmp_path: Path) -> None:
    rng, month = np.random.default_rng(3), np.arange(36)
    sales = 100 + 1.5 * month + 20 * np.sin(2 * np.pi * month / 12) + 3 * rng.normal(size=36)
    pd.DataFrame({"ds": month, "y": sales}).to_csv(tmp_path / "short.csv", index=False)
    request = train.TrainRequest(
        path=str(tmp_path / "short.csv"),
        directory=tmp_path / "model",
        data=DataConfig(),
        settings=Settings(horizon=6, season=12, preset="fast"),
        device="cpu",
    )
    train.train(request, Mute())
    found = forecasts_of(request.directory / "forecasts.csv", "gru", (80.0, 95.0))
    least = 2.56 * 3  # of 80% by that noise
    assert least < np.mean(found[:, 3] - found[:, 1]) < 4 * least
