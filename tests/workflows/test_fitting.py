"""What a fit to all data starts from, and how long it takes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.contenders import Contender
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.defaults import SOME
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.forecaster import Forecaster
from rnnforecast.training.loop import FitResult
from rnnforecast.training.state import EpochRecord
from rnnforecast.workflows import fitting
from rnnforecast.workflows.fitting import (
    HORIZON_SHARE,
    as_long,
    continued,
    goes_on,
    matching,
    refit,
)
from rnnforecast.workflows.reporting import Mute
from tests.panels import make_panel
from tests.short_training import short_training

HORIZON, CPU = 2, torch.device("cpu")
CONFIG = RunConfig(
    data=DataConfig(),
    windows=WindowSpec(lookback=6, horizon=HORIZON, seasons=(1,)),
    model=ModelSpec(model="gru", hidden_size=4),
    training=short_training(epochs=10, batches_per_epoch=2),
)
# As validation windows tell, which a fit to all data has none of.
SHRINKAGE = 0.25
RECORD = EpochRecord(
    epoch=1, train_loss=1, gradient_norm=1, clip_rate=0, update_ratio=0.1, learning_rate=0.1
)


def panel_of(values: int) -> Panel:
    return make_panel((10 + np.random.default_rng(0).normal(size=values)).tolist())


def refitted(
    panel: Panel,
    config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ran: int = 10,
    **more: Any,
) -> tuple[Forecaster, Forecaster, dict[str, Any], FitResult]:
    """The scored forecaster, the one of all data, and how that was asked for and went."""
    ends = np.array([len(panel.values) - 2])
    run = replace(CONFIG, training=replace(CONFIG.training, epochs=ran))
    scored, course = fit_forecaster(panel, run, device=CPU, ends=ends)
    scored = replace(scored, config=CONFIG)
    scored.network.shrinkage.fill_(SHRINKAGE)
    course = replace(course, best_epoch=min(ran, 3))
    asked: list[tuple[dict[str, Any], FitResult]] = []

    def fit(*given: Any, **named: Any) -> tuple[Forecaster, FitResult]:
        forecaster, result = fit_forecaster(*given, **named)
        asked.append(({"config": given[1], **named}, result))
        return forecaster, result

    monkeypatch.setattr(fitting, "fit_forecaster", fit)
    kept = refit(panel, config, CPU, Mute(), (scored, course), **more)
    ((named, result),) = asked
    assert kept.network.shrinkage == SHRINKAGE
    return scored, kept, named, result


@pytest.mark.parametrize(("values", "expected"), [(SOME * HORIZON - 1, False), (SOME * 2, True)])
def test_fit_to_all_goes_on_when_windows_are_many(values: int, expected: bool) -> None:
    assert goes_on(panel_of(values), CONFIG, CONFIG) is expected


@pytest.mark.parametrize(("steps", "expected"), [(-1, False), (0, True)])
def test_fit_to_all_starts_anew_when_the_horizon_is_much_of_each_series(
    steps: int, expected: bool
) -> None:
    length = round(HORIZON / HORIZON_SHARE) + steps
    panel = make_panel(*[np.arange(length, dtype=float).tolist()] * (SOME * HORIZON // length + 1))
    assert goes_on(panel, CONFIG, CONFIG) is expected


@pytest.mark.parametrize(("short", "expected"), [(2, False), (1, True)])
def test_fit_to_all_heeds_the_typical_series_when_lengths_differ(
    short: int, expected: bool
) -> None:
    lengths = [5] * short + [SOME * HORIZON] + [25] * (3 - short)
    panel = make_panel(*(np.arange(length, dtype=float).tolist() for length in lengths))
    assert goes_on(panel, CONFIG, CONFIG) is expected


def test_as_long_takes_the_epochs_that_were_run_and_all_else_as_it_was() -> None:
    result = FitResult(history=(RECORD,) * 4, best_epoch=1, stop_reason="patience")
    found = as_long(CONFIG, result)
    assert found.training.epochs == 4
    assert replace(found, training=replace(found.training, epochs=10)) == CONFIG


def test_continued_has_fewer_epochs_and_a_lower_rate_and_all_else_as_it_was() -> None:
    training = continued(CONFIG).training
    assert (training.epochs, training.learning_rate) == (2, CONFIG.training.learning_rate / 4)
    usual = replace(training, epochs=10, learning_rate=CONFIG.training.learning_rate)
    assert replace(continued(CONFIG), training=usual) == CONFIG


def test_refit_goes_on_from_what_was_scored_when_windows_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored, kept, named, result = refitted(panel_of(SOME * HORIZON), CONFIG, monkeypatch)
    assert named["initial"] is scored.network and named["config"] == continued(CONFIG)
    assert len(result.history) == 2 and kept.config == CONFIG
    assert named.get("ends") is None
    weights = zip(kept.network.parameters(), scored.network.parameters(), strict=True)
    assert not all(torch.equal(one, other) for one, other in weights)


def test_refit_starts_anew_when_windows_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kept, named, result = refitted(panel_of(60), CONFIG, monkeypatch, ran=8)
    assert named["initial"] is None and kept.config == CONFIG
    assert len(result.history) == 8
    rates = [record.learning_rate for record in result.history]
    assert rates[-1] < 0.01 * max(rates)


def test_refit_starts_anew_when_the_scored_network_reads_logarithms_and_it_may_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = replace(CONFIG, model=replace(CONFIG.model, log=True))
    _, kept, named, result = refitted(panel_of(SOME * HORIZON), other, monkeypatch, ran=8)
    assert named["initial"] is None and kept.config == other
    assert len(result.history) == 8


def test_refit_starts_from_given_weights_when_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel = panel_of(SOME * HORIZON)
    given, _ = fit_forecaster(panel, CONFIG, device=CPU)
    _, _, named, result = refitted(panel, CONFIG, monkeypatch, ran=8, initial=given.network)
    assert named["initial"] is given.network and len(result.history) == 8


@pytest.mark.parametrize(("ran", "epochs"), [(10, 2), (6, 2), (5, 1), (1, 1)])
def test_refit_goes_on_for_a_fifth_of_the_epochs_that_were_run(
    ran: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a time limit which has ended the first fit early leaves enough for the second."""
    *_, result = refitted(panel_of(SOME * HORIZON), CONFIG, monkeypatch, ran=ran)
    assert len(result.history) == epochs and result.stop_reason == "epochs"


@pytest.mark.parametrize(("values", "windows"), [(10_000, 50), (10, 32), (10**9, 60)])
def test_naive2_is_calibrated_by_fewer_windows_when_histories_are_long(
    values: int, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, given = panel_of(300), []
    index = WindowIndex(series=np.zeros(60, np.int64), cutoffs=np.full(60, 200))

    def told(contender: Contender, panel: Panel, index: WindowIndex, *more: Any) -> FloatArray:
        given.append(len(index))
        return np.ones((HORIZON, 2))

    monkeypatch.setattr(fitting, "HISTORY_VALUES", values)
    monkeypatch.setattr(fitting, "calibration", told)
    contenders = fitting.baseline_contenders(CONFIG.windows, (0.1, 0.5, 0.9), naive2=True)
    for contender in contenders:
        fitting.factors_of(contender, panel, index, CONFIG)
    assert given == [60] * (len(contenders) - 1) + [windows]


def changed(forecaster: Forecaster, spread: float, **model: Any) -> Forecaster:
    """A copy whose start is as uncertain as this, with another configuration of its model."""
    network = deepcopy(forecaster.network)
    network.shrinkage.fill_(0.5)
    network.spread.copy_(spread * torch.linspace(-1, 1, network.spread.shape[1]))
    config = replace(forecaster.config, model=replace(forecaster.config.model, **model))
    return Forecaster(config, network)


def test_matching_holds_what_was_learned_against_each_other_and_no_starts() -> None:
    panel = panel_of(60)
    fitted = fit_forecaster(panel, CONFIG, device=CPU)[0]
    scored, kept = changed(fitted, 1.0), changed(fitted, 4.0)
    np.testing.assert_allclose(matching(scored, kept, panel), 1, rtol=1e-6)
    seasonal = replace(CONFIG, windows=replace(CONFIG.windows, seasons=(2,)))
    other = changed(fit_forecaster(panel, seasonal, device=CPU)[0], 1.0)
    assert (matching(scored, other, panel) == 1).all()
    # Spreads of logarithms are none of plain values.
    logarithmic = changed(fitted, 0.01, log=True)
    ends = WindowIndex(series=np.arange(1), cutoffs=panel.lengths)
    old, new = logarithmic.predict_at(panel, ends)[0], kept.predict_at(panel, ends)[0]
    expected = [(old[:, -1 - k] - old[:, k]) / (new[:, -1 - k] - new[:, k]) for k in (1, 0)]
    found = matching(logarithmic, kept, panel)
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-6)
    assert (np.abs(found - 1) > 0.1).all()


def test_goes_on_from_no_weights_of_other_seasons() -> None:
    panel = panel_of(SOME * HORIZON)
    seasonal = replace(CONFIG, windows=replace(CONFIG.windows, seasons=(2,)))
    assert goes_on(panel, CONFIG, CONFIG) and not goes_on(panel, seasonal, CONFIG)
