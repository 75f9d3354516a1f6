"""Nothing sees the future: what lies after a cutoff changes no weight and no forecast, to the bit.

Everything after each series' cutoff is set to 1e9 and the whole way of `rnnforecast backtest`, from
the rules that read the data to the forecasts, is gone again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from rnnforecast import backtest as origins
from rnnforecast import forecaster as fitting
from rnnforecast.arrays import FloatArray
from rnnforecast.backtest import held_out_origins, training_ends
from rnnforecast.config import DataConfig, RunConfig, Settings
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex
from rnnforecast.data.writing import to_csv
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.normalisation import WindowScale
from rnnforecast.models.registry import MODELS
from rnnforecast.training.loop import EpochRecord
from rnnforecast.workflows import backtest as workflow

HORIZON, CUTOFFS, FUTURE = 3, 2, 1e9
LENGTHS = (48, 61, 40)


def generated_panel() -> Panel:
    """Three series of unequal length with a season of four, the second one with gaps."""
    rng = np.random.default_rng(7)
    parts = []
    for length in LENGTHS:
        steps = np.arange(length)
        seasonal = 1 + 0.3 * np.sin(steps * np.pi / 2)
        parts.append((20 + 0.2 * steps) * seasonal + rng.normal(size=length))
    parts[1][[5, 6, 30, 44, 53, 57]] = np.nan
    return Panel(
        ids=("a", "b", "c"),
        values=np.concatenate(parts),
        offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
        starts=np.zeros(3, dtype=np.int64),
        frequency=Frequency(unit="step"),
    )


def with_other_future(panel: Panel, cutoffs: np.ndarray) -> Panel:
    """The panel with 1e9 from `cutoffs` [series] on."""
    values = panel.values.copy()
    for series, cutoff in enumerate(cutoffs):
        values[panel.offsets[series] + cutoff : panel.offsets[series + 1]] = FUTURE
    return replace(panel, values=values)


def first_cutoffs(index: WindowIndex) -> np.ndarray:
    return index.cutoffs.reshape(-1, CUTOFFS)[:, 0]


def last_cutoffs(index: WindowIndex) -> np.ndarray:
    return index.cutoffs.reshape(-1, CUTOFFS)[:, -1]


@dataclass(frozen=True)
class Run:
    config: RunConfig
    best_epoch: int
    losses: list[tuple[float, float | None]]
    weights: dict[str, Tensor]
    forecasts: FloatArray


def run(panel: Panel, model: str) -> Run:
    """Fit, refit and forecast as workflows/backtest.py does, the lookback left to the rules."""
    settings = Settings(
        horizon=HORIZON, model=model, hidden_size=4, epochs=3, batch_size=16, patience=2
    )
    index = held_out_origins(panel, HORIZON, CUTOFFS, HORIZON)
    known = origins.panel_before(panel, index)
    config = resolve(settings, find_facts(known), DataConfig(time_column="ds"))
    ends = training_ends(known.lengths, HORIZON)
    assert ends is not None
    device = torch.device("cpu")
    _, result = fitting.fit_forecaster(known, config, device=device, ends=ends)
    forecaster, _ = fitting.fit_forecaster(
        known, config, device=device, stop_after=result.best_epoch
    )
    return Run(
        config=config,
        best_epoch=result.best_epoch,
        losses=[(record.train_loss, record.validation_loss) for record in result.history],
        weights=forecaster.network.state_dict(),
        forecasts=forecaster.predict_at(panel, index).reshape(-1, CUTOFFS, HORIZON, 5),
    )


def assert_blind_to_future(model: str) -> None:
    """Raise AssertionError unless the future of no cutoff reaches what was said before it."""
    panel = generated_panel()
    index = held_out_origins(panel, HORIZON, CUTOFFS, HORIZON)
    one = run(panel, model)
    assert np.isfinite(one.forecasts).all()
    for cutoffs, seen in ((first_cutoffs(index), 1), (last_cutoffs(index), CUTOFFS)):
        other = run(with_other_future(panel, cutoffs), model)
        assert other.config == one.config, "the rules see the future"
        assert other.losses == one.losses, "training sees the future"
        assert other.best_epoch == one.best_epoch, "early stopping sees the future"
        for name, weights in one.weights.items():
            assert torch.equal(other.weights[name], weights), f"{name} sees the future"
        before, after = one.forecasts[:, :seen], other.forecasts[:, :seen]
        assert before.tobytes() == after.tobytes(), "forecasts see the future"


@pytest.mark.parametrize("model", MODELS)
def test_model_is_bit_equal_when_everything_after_cutoffs_changes(model: str) -> None:
    assert_blind_to_future(model)


def test_later_cutoff_reads_newer_values_when_they_change() -> None:
    panel = generated_panel()
    index = held_out_origins(panel, HORIZON, CUTOFFS, HORIZON)
    other = run(with_other_future(panel, first_cutoffs(index)), "gru")
    assert (run(panel, "gru").forecasts[:, 1] != other.forecasts[:, 1]).all()


def leaking_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is handed what it is to forecast and adds a little of it."""
    gather = WindowGatherer.gather
    future: list[Tensor] = []

    def gather_and_tell(self: WindowGatherer, windows: Tensor) -> Batch:
        batch = gather(self, windows)
        future[:] = [batch.target]
        return batch

    class LeakingNetwork(ForecastNetwork):
        def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, WindowScale]:
            quantiles, scale = super().forward(values, mask)
            leaked = scale.apply(future[0])[..., None]
            return quantiles + 1e-6 * leaked, scale

    monkeypatch.setattr(WindowGatherer, "gather", gather_and_tell)
    monkeypatch.setattr(fitting, "ForecastNetwork", LeakingNetwork)


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
    monkeypatch.setattr(origins, "panel_before", lambda panel, index: panel)


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (leaking_network, "forecasts see the future"),
        (lookback_past_cutoff, "forecasts see the future"),
        (training_past_cutoff, "see the future|sees the future"),
    ],
)
def test_look_ahead_is_caught_when_future_leaks(
    monkeypatch: pytest.MonkeyPatch,
    leak: Callable[[pytest.MonkeyPatch], None],
    message: str,
) -> None:
    leak(monkeypatch)
    with pytest.raises(AssertionError, match=message):
        assert_blind_to_future("gru")


class Silent:
    """A reporter that tells nothing."""

    def note(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    @contextmanager
    def training(self, title: str) -> Iterator[Callable[[EpochRecord, int], None]]:
        yield lambda record, epochs: None


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


def backtest_file(panel: Panel, directory: Path, name: str) -> pd.DataFrame:
    """The forecasts that `rnnforecast backtest` writes, every cell as text."""
    path = directory / f"{name}.csv"
    write_panel(panel, path)
    settings = tuple(
        Settings(horizon=HORIZON, model=model, epochs=2, hidden_size=4) for model in MODELS
    )
    request = workflow.BacktestRequest(
        path=str(path),
        data=DataConfig(),
        settings=settings,
        windows=CUTOFFS,
        device="cpu",
    )
    _, forecasts = workflow.backtest(request, Silent())
    return pd.read_csv(StringIO(to_csv(forecasts)), dtype=str, keep_default_na=False)


def test_backtest_output_is_equal_at_first_cutoff_when_file_differs_after_it(
    tmp_path: Path,
) -> None:
    panel = generated_panel()
    index = held_out_origins(panel, HORIZON, CUTOFFS, HORIZON)
    one = backtest_file(panel, tmp_path, "original")
    other = backtest_file(with_other_future(panel, first_cutoffs(index)), tmp_path, "changed")
    assert list(one.columns[:4]) == ["unique_id", "ds", "cutoff", "y"]
    assert set(MODELS) | {"seasonal-naive", "naive", "drift"} < set(one.columns)
    assert len(one) == len(LENGTHS) * CUTOFFS * HORIZON
    at_first = one["cutoff"] == one.groupby("unique_id")["cutoff"].transform("min")
    assert at_first.sum() == len(LENGTHS) * HORIZON
    said = one.columns.drop("y")
    pd.testing.assert_frame_equal(one.loc[at_first, said], other.loc[at_first, said])
    assert (other["y"] == repr(FUTURE)).all()
    assert (one.loc[~at_first, "gru"] != other.loc[~at_first, "gru"]).all()


def test_backtest_output_differs_when_workflow_trains_past_cutoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "panel_before", lambda panel, index: panel)
    monkeypatch.setattr(f"{__name__}.MODELS", {"gru": MODELS["gru"]})
    with pytest.raises(AssertionError, match="DataFrame.* are different"):
        test_backtest_output_is_equal_at_first_cutoff_when_file_differs_after_it(tmp_path)
