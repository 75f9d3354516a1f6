"""What the newest values change of the settings that those before them have settled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, Settings, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.workflows.newest import suited_to, tell_of_season, unseen_season
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.short_series import with_typical
from tests.panels import make_panel
from tests.short_training import short_training

HORIZON = 2
CONFIG = RunConfig(
    data=DataConfig(),
    windows=WindowSpec(lookback=6, horizon=HORIZON, seasons=(1,)),
    model=ModelSpec(model="gru", hidden_size=4),
    training=short_training(epochs=10, batches_per_epoch=2),
)


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
    ("unit", "known", "seasons", "unseen"),
    [
        ("month", 36, (1,), 12),
        ("month", 12, (1,), 12),
        ("month", 11, (1,), None),
        ("month", 36, (12,), None),
        ("step", 36, (1,), None),
    ],
)
def test_unseen_season_is_the_one_that_only_all_values_show(
    unit: str, known: int, seasons: tuple[int, ...], unseen: int | None
) -> None:
    panel = make_panel(np.tile(np.arange(12.0), 4).tolist())
    panel = replace(panel, frequency=Frequency(unit=unit))  # type: ignore[arg-type]
    found = unseen_season(panel, panel.before(np.array([known])), seasons)
    assert found == unseen
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    tell_of_season(found, reporter)
    tell_of_season(found, reporter, trained=True)
    advice = [] if unseen is None else ["pass --season 12", "train again to use it"]
    assert len(heard) == len(advice)
    assert all(word in text for word, text in zip(advice, heard, strict=True))
