"""What the newest values change of the settings that those before them have settled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnforecast.artifact import load_artifact
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, Settings, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.source import open_source
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.workflows.continuing import outdated
from rnnforecast.workflows.forecast import read_as_trained
from rnnforecast.workflows.newest import (
    suited_to,
    tell_of_season,
    unseen_season,
    with_seasons_of,
)
from rnnforecast.workflows.news import read_record
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.short_series import with_typical
from rnnforecast.workflows.update import UpdateRequest, update
from tests.panels import make_panel
from tests.short_training import short_training, trained_on

HORIZON = 2
CONFIG = RunConfig(
    data=DataConfig(),
    windows=WindowSpec(lookback=6, horizon=HORIZON, seasons=(1,)),
    model=ModelSpec(model="gru", hidden_size=4),
    training=short_training(epochs=10, batches_per_epoch=2),
)


def yearly(unit: str) -> Panel:
    """Four years of months, or as many steps."""
    panel = make_panel(np.tile(np.arange(1.0, 13.0), 4).tolist())
    return replace(panel, frequency=Frequency(unit=unit))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("newest", "log", "bounded"), [(3.0, True, True), (0.0, False, True), (-3.0, False, False)]
)
def test_suited_to_drops_what_the_newest_values_do_not_bear(
    newest: float, log: bool, bounded: bool
) -> None:
    panel = make_panel([5.0, 4.0, newest])
    for name, kept in (("log", log), ("nonnegative", bounded)):
        config = replace(CONFIG, model=replace(CONFIG.model, **{name: True}))
        heard: list[str] = []
        reporter = Mute()
        reporter.warning = heard.append  # type: ignore[method-assign]
        found = suited_to(config, panel, Settings(horizon=HORIZON), reporter)
        assert getattr(found.model, name) is kept
        if name == "log":
            assert found.model.nonnegative is (newest == 0)
        assert [f"series 's0' has the value {newest:g}" in text for text in heard] == [True] * (
            not kept
        )
    asked = Settings(horizon=HORIZON, nonnegative=True)
    assert suited_to(config, panel, asked, Mute()).model.nonnegative
    logs, free = (
        replace(CONFIG, model=replace(CONFIG.model, log=True)),
        replace(asked, nonnegative=False),
    )
    assert not suited_to(logs, panel, free, Mute()).model.nonnegative


def test_suited_to_tells_what_is_typical_in_the_new_units_when_logarithms_are_dropped() -> None:
    values = [990.0, 1020, 980, 1010, 1000, 1030, 970, 1005, 995]
    logarithmic = replace(CONFIG, model=replace(CONFIG.model, log=True))
    config, panel = with_typical(logarithmic, make_panel(values)), make_panel([*values, 0])
    found = suited_to(config, panel, Settings(horizon=HORIZON), Mute())
    assert found.model.typical.spread > 10 > 1 > config.model.typical.spread


@pytest.mark.parametrize(
    ("unit", "seasons", "asked", "unseen"),
    [
        ("month", (1,), {}, 12),
        ("month", (12,), {}, None),
        ("month", (1,), {"season": 1}, None),
        ("month", (1,), {"lookback": 8, "jitter": 0.1}, None),
        ("step", (1,), {}, None),
    ],
)
def test_unseen_season_is_what_a_panel_shows_when_the_configuration_has_none(
    unit: str, seasons: tuple[int, ...], asked: dict[str, Any], unseen: int | None
) -> None:
    config = replace(CONFIG, windows=replace(CONFIG.windows, seasons=seasons))
    found = unseen_season(config, yearly(unit), Settings(horizon=HORIZON, **asked))
    assert found == unseen


@pytest.mark.parametrize(
    ("known", "refit", "words"),
    [
        (
            36,
            True,
            "the model that is fitted to all has it, the one that is scored none; pass --season 12",
        ),
        (11, True, "the model that is fitted to all has it, the one that is scored none"),
        (12, False, "no season is used; pass --season 12"),
    ],
)
def test_unseen_season_is_told_with_how_to_use_it_when_it_can_be_asked_for(
    known: int, refit: bool, words: str
) -> None:
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    before = yearly("month").before(np.array([known]))
    tell_of_season(12, before, Settings(horizon=HORIZON, refit=refit), reporter)
    assert len(heard) == 1 and heard[0].endswith(words)


@pytest.mark.parametrize("log", [False, True])
def test_with_seasons_of_changes_windows_and_what_follows_when_a_season_shows(log: bool) -> None:
    config = replace(CONFIG, model=replace(CONFIG.model, log=log, hidden_size=5))
    found = with_seasons_of(config, yearly("month"), Settings(horizon=HORIZON))
    expected = resolve(Settings(horizon=HORIZON), find_facts(yearly("month")), DataConfig())
    assert found.windows == expected.windows and found.windows.seasons == (12,)
    assert found.model.segment_length == expected.model.segment_length
    assert (found.model.log, found.model.hidden_size) == (log, 5)
    assert found.training == config.training
    assert found == with_typical(found, yearly("month")) != config


def days(count: int) -> pd.DataFrame:
    """A level and a week's course, day by day, which 18 show and 11 do not."""
    steps = np.arange(count)
    times = pd.date_range("2024-03-01", periods=count).strftime("%Y-%m-%d")
    return pd.DataFrame({"ds": times, "y": 50 + 10.0 * np.isin(steps % 7, (5, 6)) + 0.1 * steps})


def test_train_keeps_a_model_of_the_season_that_only_all_values_show(tmp_path: Path) -> None:
    found = trained_on(days(18), tmp_path)
    assert found.forecaster.config.windows.seasons == (7,)
    assert found.scored is None  # its weights are for other windows
    plain = trained_on(days(18), tmp_path, refit=False)
    assert plain.forecaster.config.windows.seasons == (1,)
    assert plain.scored is not None and plain.scored.network is plain.forecaster.network


@pytest.mark.parametrize(("refit", "count"), [(True, 18), (False, 25)])
def test_update_trains_from_scratch_when_the_series_show_a_season_by_now(
    refit: bool, count: int, tmp_path: Path
) -> None:
    assert trained_on(days(12), tmp_path, refit=refit).forecaster.config.windows.seasons == (1,)
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    days(count).to_csv(tmp_path / "days.csv", index=False)
    request = UpdateRequest(
        directory=tmp_path / "model", path=str(tmp_path / "days.csv"), guard=False
    )
    update(request, reporter)
    assert "training from scratch: the series show a season of 7 steps, which gru has not" in heard
    kept = load_artifact(tmp_path / "model", torch.device("cpu")).forecaster
    assert kept.config.windows.seasons == (7,)
    days(count + 1).to_csv(tmp_path / "days.csv", index=False)
    heard.clear()
    update(request, reporter)
    reason = [note for note in heard if note.startswith("training from scratch: ")]
    why = "the network that was scored is no start for one of other values or seasons"
    assert reason == [f"training from scratch: {why}"] * refit


def test_update_does_not_train_from_scratch_for_a_season_when_it_was_refused_before(
    tmp_path: Path,
) -> None:
    artifact = trained_on(days(12), tmp_path)
    days(18).to_csv(tmp_path / "days.csv", index=False)
    table = read_as_trained(open_source(str(tmp_path / "days.csv")), artifact)
    stored = read_record(artifact)
    assert outdated(stored, table, None) is not None
    assert outdated(replace(stored, refused=True), table, None) is None
