"""What a training comes to before it is begun."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.control import RunControl
from rnnforecast.estimation import windows
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.workflows import planning
from rnnforecast.workflows.planning import plan
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.train import TrainRequest, resolve_request


@pytest.fixture
def request_of_three(tmp_path: Path) -> TrainRequest:
    """Three series of 40, 30 and 3 days, of which the last is too short to be held out from."""
    frames = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=length).strftime("%Y-%m-%d"),
                "y": np.arange(length) % 7 + 1.0,
            }
        )
        for name, length in {"a": 40, "b": 30, "c": 3}.items()
    ]
    pd.concat(frames).to_csv(tmp_path / "three.csv", index=False)
    return TrainRequest(
        path=str(tmp_path / "three.csv"),
        directory=tmp_path / "d",
        data=DataConfig(),
        settings=Settings(horizon=4, lookback=6, season=7, hidden_size=3, epochs=5, batch_size=8),
    )


def test_plan_counts_windows_as_a_loop_does_when_series_differ(
    request_of_three: TrainRequest,
) -> None:
    """A cutoff has a season of history, no longer than the lookback, and a value after it."""
    found = plan(request_of_three, Mute())
    training = validation = 0
    for length, held_out in ((40, 4), (30, 4), (3, 0)):
        known = length - held_out
        left = max(4, int(0.1 * known))
        end = known - left if known - left >= max(left, 2) else known
        for cutoff in range(known):
            training += max(1, min(6, end - 1)) <= cutoff <= end - 1
            validation += end <= cutoff <= known - 4
    assert (found["training windows"], found["validation windows"]) == (training, validation)
    assert (found["series"], found["values"], found["frequency"]) == (3, 73, "day")
    assert not request_of_three.directory.exists()


def test_plan_counts_fewer_validation_windows_when_not_all_can_be_afforded(
    request_of_three: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan(request_of_three, Mute())["validation windows"] == 2
    monkeypatch.setattr(windows, "VALIDATION_WINDOWS", 1)
    assert plan(request_of_three, Mute())["validation windows"] == 1


def test_plan_counts_parameters_as_the_network_has_them(request_of_three: TrainRequest) -> None:
    config = resolve_request(request_of_three, Mute()).config
    network = Ensemble(config.model, config.windows)
    expected = sum(int(np.prod(weights.shape)) for weights in network.parameters())
    assert plan(request_of_three, Mute())["parameters"] == expected


def test_plan_adds_up_what_each_part_takes_when_its_probe_is_known(
    request_of_three: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = planning.Probe(parameters=1, step=2.0, validation=50.0)
    monkeypatch.setattr(planning, "_probe", lambda run: probe)
    clock = SimpleNamespace(process_time=lambda: 7.0, perf_counter=lambda: 0.0)
    monkeypatch.setattr(planning, "time", clock)
    monkeypatch.setattr(planning, "MARGIN", 1.0)
    batches = resolve_request(request_of_three, Mute()).config.training.batches_per_epoch
    steps = 5 * batches

    def seconds(**changes: Any) -> str | int:
        fields = vars(request_of_three) | changes
        return plan(TrainRequest(**fields), Mute())["seconds at most"]

    once = Settings(**(vars(request_of_three.settings) | {"refit": False}))
    assert seconds(settings=once) == 7 + 2 * steps + 5 * 50
    assert seconds() == 7 + 2 * 2 * steps + 5 * 50
    assert seconds(find_lr=True) == 7 + 2 * (2 * steps + 200) + 5 * 50
    assert seconds(control=RunControl(time_limit=9)) == 16
