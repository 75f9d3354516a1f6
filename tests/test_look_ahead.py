"""Nothing sees the future: what lies after a cutoff changes nothing said before it, to the bit.

Everything after each series' cutoff is set to 1e9 and the whole way of `rnnforecast backtest` is
gone again: from the rules that read the data, through fitting and calibration, to the forecasts and
intervals of every network and baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.backtest import Origins, held_out_origins
from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.contenders import Contender
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex
from rnnforecast.evaluation.baselines import BASELINES, PointAndDeviation, naive
from rnnforecast.evaluation.intervals import AdaptiveFactors
from rnnforecast.forecaster import Forecaster
from rnnforecast.models import ensemble
from rnnforecast.models.decoders import Memory
from rnnforecast.models.network import Covariates, ForecastNetwork
from rnnforecast.models.normalisation import WindowScale
from rnnforecast.models.registry import MODELS
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows import backtest as workflow
from rnnforecast.workflows import fitting as fits_of_workflow
from rnnforecast.workflows.reporting import Mute

# At a stride shorter than the horizon, an outcome may be known two cutoffs later only.
HORIZON, CUTOFFS, STRIDE, REFIT, FUTURE = 3, 4, 2, 2, 1e9
# Enough windows to calibrate the inner interval on.
LENGTHS = (48, 61, 40, 52, 58)
WINDOW_ROWS = len(LENGTHS) * HORIZON


def generated_panel() -> Panel:
    """Five series of unequal length with a season of four, the second one with gaps."""
    rng = np.random.default_rng(7)
    parts = []
    for length in LENGTHS:
        steps = np.arange(length)
        seasonal = 1 + 0.3 * np.sin(steps * np.pi / 2)
        parts.append((20 + 0.2 * steps) * seasonal + rng.normal(size=length))
    parts[1][[5, 6, 30, 44, 53, 57]] = np.nan
    return Panel(
        ids=("a", "b", "c", "d", "e"),
        values=np.concatenate(parts),
        offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
        starts=np.zeros(5, dtype=np.int64),
        frequency=Frequency(unit="step"),
    )


def with_other_future(panel: Panel, rank: int, series: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Panel:
    """The panel with 1e9 from the cutoffs of this rank on, in some of the series."""
    values = panel.values.copy()
    cutoffs = held_out_origins(panel, HORIZON, CUTOFFS, STRIDE).cutoffs(rank)
    for place in series:
        values[panel.offsets[place] + cutoffs[place] : panel.offsets[place + 1]] = FUTURE
    return replace(panel, values=values)


@dataclass(frozen=True)
class Fit:
    config: RunConfig
    best_epoch: int
    losses: list[tuple[float, float | None]]
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Run:
    """Every network that `rnnforecast backtest` has fitted, and its output, every cell as text."""

    fits: list[Fit]
    output: pd.DataFrame

    def forecasts(self, first: int, last: int) -> pd.DataFrame:
        """What was said from the cutoffs of rank `first` to before rank `last`."""
        rows = self.output[first * WINDOW_ROWS : last * WINDOW_ROWS]
        return rows.drop(columns="y").reset_index(drop=True)


def write_panel(panel: Panel, path: Path) -> None:
    """In long form, one row a day; a missing value is an empty cell."""
    days = [pd.date_range("2024-01-01", periods=length) for length in panel.lengths]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(panel.ids, panel.lengths),
            "ds": np.concatenate([day.strftime("%Y-%m-%d") for day in days]),
            "y": panel.values,
        }
    )
    frame.to_csv(path, index=False)


def run(panel: Panel, directory: Path, model: str, **asked: Any) -> Run:
    """Run `rnnforecast backtest` on a file of the panel, lookback and season left to the rules."""
    settings = Settings(
        horizon=HORIZON,
        model=model,
        season=asked.pop("season", None),
        preset="fast",
        members=2 if model == "gru" else 1,
        hidden_size=4,
        epochs=2,
        batch_size=16,
        patience=2,
    )
    data, output = directory / "data.csv", directory / "output.csv"
    write_panel(panel, data)
    request = workflow.BacktestRequest(
        path=str(data),
        data=DataConfig(),
        settings=(settings,),
        windows=CUTOFFS,
        step=STRIDE,
        refit_every=REFIT,
        output=output,
        device="cpu",
        **asked,
    )
    with pytest.MonkeyPatch.context() as patch:
        fits = recorded_fits(patch)
        workflow.backtest(request, Mute())
    return Run(fits, pd.read_csv(output, dtype=str, keep_default_na=False))


def recorded_fits(patch: pytest.MonkeyPatch) -> list[Fit]:
    """What receives every fit of the workflow."""
    fit_forecaster, fits = fits_of_workflow.fit_forecaster, list[Fit]()

    def fit(panel: Panel, config: RunConfig, **given: Any) -> tuple[Forecaster, FitResult]:
        forecaster, result = fit_forecaster(panel, config, **given)
        losses = [(record.train_loss, record.validation_loss) for record in result.history]
        weights = forecaster.network.state_dict()
        fits.append(Fit(config, result.best_epoch, losses, weights))
        return forecaster, result

    patch.setattr(fits_of_workflow, "fit_forecaster", fit)
    return fits


def assert_blind_to_future(
    directory: Path, model: str, ranks: Sequence[int] = range(CUTOFFS), **asked: Any
) -> None:
    """Raise AssertionError unless the future of no cutoff reaches what was said before it."""
    panel = generated_panel()
    one = run(panel, directory, model, **asked)
    assert len(one.output) == CUTOFFS * WINDOW_ROWS
    for rank in ranks:
        other = run(with_other_future(panel, rank), directory, model, **asked)
        before = 2 * (1 + rank // REFIT)  # each time once to find the epoch, once on all data
        for fit, again in zip(one.fits[:before], other.fits[:before], strict=True):
            assert again.config == fit.config, "the rules see the future"
            assert again.losses == fit.losses, "training sees the future"
            assert again.best_epoch == fit.best_epoch, "early stopping sees the future"
            for name, weights in fit.weights.items():
                assert torch.equal(again.weights[name], weights), f"{name} sees the future"
        said, again = one.forecasts(0, rank + 1), other.forecasts(0, rank + 1)
        for name in said:
            assert said[name].equals(again[name]), f"{name} sees the future"


# An ensemble, one that is fed the truth, and one that draws; with --full one of each make-up.
# `rnnforecast selftest`, which is tested, compares the forecasts of one with each part at least.
USUAL = ("gru", "seq2seq-gru", "deepar")
KINDS = {
    (
        entry.cell is None,
        *(entry.bidirectional, entry.dilated, entry.skip_recurrence),
        *(entry.front_end, entry.pooling, entry.decoder),
    ): name
    for name, entry in reversed(MODELS.items())
}


@pytest.mark.parametrize("model", dict.fromkeys([*USUAL, *KINDS.values()]))
def test_backtest_is_bit_equal_when_everything_after_cutoffs_changes(
    model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The cutoffs between the first and the last are tried with one model, with --full with all."""
    full = request.config.getoption("--full")
    if model not in USUAL and not full:
        pytest.skip("with --full only; selftest compares its forecasts")
    every = model == "gru" or full
    assert_blind_to_future(tmp_path, model, range(0, CUTOFFS, 1 if every else CUTOFFS - 1))


def test_baselines_are_bit_equal_when_everything_after_cutoffs_changes(tmp_path: Path) -> None:
    pytest.importorskip("statsforecast")
    assert_blind_to_future(tmp_path, "linear", season=4, baselines=("auto-ets", "auto-theta"))


def test_backtest_says_something_of_every_contender_when_it_is_held_blind(tmp_path: Path) -> None:
    output = run(generated_panel(), tmp_path, "gru", season=4).output
    assert list(output.columns[:4]) == ["unique_id", "ds", "cutoff", "y"]
    for name in ("gru", *BASELINES, "naive2"):
        columns = [name, *(f"{name}-{side}-{level}" for side in ("lo", "hi") for level in (80, 95))]
        assert np.isfinite(output[columns].astype(float)).all(axis=None)


def test_later_cutoff_reads_newer_values_when_they_change(tmp_path: Path) -> None:
    panel = generated_panel()
    one = run(panel, tmp_path, "gru").forecasts(1, CUTOFFS)
    other = run(with_other_future(panel, 0), tmp_path, "gru").forecasts(1, CUTOFFS)
    assert (one["gru"] != other["gru"]).all()


def test_intervals_follow_the_outcomes_of_other_series_when_these_are_known(
    tmp_path: Path,
) -> None:
    """The outcomes of c move the intervals of a, whose own values and weights stay."""
    panel = generated_panel()
    runs = [run(data, tmp_path, "gru") for data in (panel, with_other_future(panel, 0, (2,)))]
    one, other = (each.forecasts(1, REFIT).query("unique_id == 'a'") for each in runs)
    for name in ("gru", "naive", "mean"):
        assert one[name].equals(other[name])
        width, wider = (
            table[f"{name}-hi-80"].astype(float) - table[f"{name}-lo-80"].astype(float)
            for table in (one, other)
        )
        known = np.arange(HORIZON) < STRIDE
        # An outcome that lay outside anyhow moves no interval further.
        assert (wider[known] >= width[known]).all() and (wider[known] > width[known]).any()
        assert (wider[~known] == width[~known]).all()


def leaking_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is handed what it is to forecast and adds a little of it."""
    gather = WindowGatherer.gather
    future: list[Tensor] = []

    def gather_and_tell(self: WindowGatherer, windows: Tensor) -> Batch:
        batch = gather(self, windows)
        future[:] = [batch.target]
        return batch

    class LeakingNetwork(ForecastNetwork):
        def read(
            self, values: Tensor, mask: Tensor, inputs: Covariates | None = None
        ) -> tuple[Memory, Tensor, WindowScale]:
            memory, skip, scale = super().read(values, mask, inputs)
            return memory, skip + 1e-6 * scale.apply(future[0]), scale

    monkeypatch.setattr(WindowGatherer, "gather", gather_and_tell)
    monkeypatch.setattr(ensemble, "ForecastNetwork", LeakingNetwork)


def lookback_past_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that read one value too many."""
    gather = WindowGatherer.gather

    def gather_one_later(self: WindowGatherer, windows: Tensor) -> Batch:
        batch = gather(self, windows)
        values = torch.cat([batch.values[:, 1:], batch.target[:, :1]], dim=1)
        mask = torch.cat([batch.mask[:, 1:], batch.target_mask[:, :1]], dim=1)
        return batch._replace(values=values, mask=mask)

    monkeypatch.setattr(WindowGatherer, "gather", gather_one_later)


def training_past_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel that is not cut before it is trained on."""
    monkeypatch.setattr(workflow, "panel_before", lambda panel, origins, rank=0: panel)


def calibrating_past_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors by windows that end a horizon too late."""
    factors_of, panel_before, whole = workflow.factors_of, workflow.panel_before, list[Panel]()

    def remember(panel: Panel, origins: Origins, rank: int = 0) -> Panel:
        whole[:] = [panel]
        return panel_before(panel, origins, rank)

    def of_later(
        contender: Contender,
        known: Panel,
        index: WindowIndex,
        config: RunConfig,
        prior: FloatArray | float,
    ) -> FloatArray:
        later = WindowIndex(series=index.series, cutoffs=index.cutoffs + HORIZON)
        return factors_of(contender, whole[0], later, config, prior)

    monkeypatch.setattr(workflow, "panel_before", remember)
    monkeypatch.setattr(workflow, "factors_of", of_later)


def adapting_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals that take in the outcomes of a step one cutoff before they are known."""
    advance = AdaptiveFactors.advance

    def advance_too_far(self: AdaptiveFactors) -> None:
        self.delay = np.maximum(np.arange(HORIZON) // STRIDE, 1)
        advance(self)

    monkeypatch.setattr(AdaptiveFactors, "advance", advance_too_far)


def baseline_past_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline that copies the first value it is to forecast."""

    def naive_one_later(
        series: FloatArray, cutoffs: IntArray, horizon: int, season: int
    ) -> PointAndDeviation:
        return naive(series, cutoffs + 1, horizon, season)

    monkeypatch.setitem(BASELINES, "naive", naive_one_later)


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (leaking_network, "^gru sees the future"),
        (lookback_past_cutoff, "^gru sees the future"),
        (training_past_cutoff, "sees? the future"),
        (calibrating_past_cutoff, "^gru-lo-80 sees the future"),
        (adapting_too_early, "^gru-lo-(80|95) sees the future"),
        (baseline_past_cutoff, "^naive sees the future"),
    ],
)
def test_look_ahead_is_caught_when_future_leaks(
    monkeypatch: pytest.MonkeyPatch,
    leak: Callable[[pytest.MonkeyPatch], None],
    message: str,
    tmp_path: Path,
) -> None:
    leak(monkeypatch)
    with pytest.raises(AssertionError, match=message):
        assert_blind_to_future(tmp_path, "gru")
