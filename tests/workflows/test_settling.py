"""What values tell of a configuration, and what becomes of a yearly component in each command."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnforecast.artifact import Artifact, load_artifact
from rnnforecast.columns import NO_YEARLY, DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.source import open_source
from rnnforecast.data.time_units import DAY
from rnnforecast.data.yearly import waves_at
from rnnforecast.data.yearly_search import find_yearly
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.errors import ConfigError
from rnnforecast.workflows.continuing import outdated, with_news
from rnnforecast.workflows.forecast import read_as_trained
from rnnforecast.workflows.newest import other_yearly, suited_to
from rnnforecast.workflows.news import read_record
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.settling import settled
from rnnforecast.workflows.short_series import with_typical
from rnnforecast.workflows.train import TrainRequest, resolve_request
from rnnforecast.workflows.update import UpdateRequest, update
from tests.panels import make_panel
from tests.short_training import trained_on

HORIZON = 7


def values(count: int, seed: int = 0) -> np.ndarray:
    """Days that are high in the middle of the year."""
    days = np.arange(count)
    noise = np.random.default_rng(seed).normal(size=count)
    return 60 - 20 * np.cos(2 * np.pi * days / 365.25) + noise


def daily(*series: np.ndarray) -> Panel:
    frequency = Frequency(unit="microsecond", count=DAY)
    return replace(make_panel(*(each.tolist() for each in series)), frequency=frequency)


def configured(panel: Panel, **asked: Any) -> tuple[RunConfig, Settings]:
    settings = Settings(horizon=HORIZON, **asked)
    return resolve(settings, find_facts(panel), DataConfig()), settings


def test_settled_takes_components_out_before_it_tells_what_is_typical() -> None:
    panel = daily(values(800))
    config, settings = configured(panel)
    found = settled(config, panel, settings)
    assert found.yearly == find_yearly(panel, log=config.model.log) != NO_YEARLY
    assert found == with_typical(replace(config, yearly=found.yearly), panel)
    assert found.model.typical.spread < 0.8 * with_typical(config, panel).model.typical.spread


@pytest.mark.parametrize(
    ("count", "asked", "number"),
    [
        (800, {"yearly": False}, 0),
        (800, {"head": "negative-binomial"}, 0),
        (500, {}, 0),
        (500, {"yearly": True}, 1),
    ],
)
def test_settled_heeds_what_is_asked_of_components(
    count: int, asked: dict[str, Any], number: int
) -> None:
    panel = daily(values(count).round())
    config, settings = configured(panel, **asked)
    assert len(settled(config, panel, settings).yearly.own) == number


@pytest.mark.parametrize(
    ("panel", "asked", "message"),
    [
        (daily(values(300)), {}, "^no series has 365 days, most of them observed"),
        (make_panel(values(800).tolist()), {}, "; drop --yearly$"),
        (daily(values(800)), {"head": "negative-binomial"}, "which are whole; drop --yearly"),
    ],
)
def test_settled_raises_when_components_are_asked_for_that_cannot_be(
    panel: Panel, asked: dict[str, Any], message: str
) -> None:
    config, settings = configured(panel, yearly=True, **asked)
    with pytest.raises(ConfigError, match=message):
        settled(config, panel, settings)


def test_suited_to_finds_components_anew_when_logarithms_are_dropped() -> None:
    before = daily(values(800))
    config, settings = configured(before)
    logarithmic = settled(config, before, settings)
    after = daily(np.append(values(800), 0.0))
    found = suited_to(logarithmic, after, settings, Mute())
    assert logarithmic.model.log and not found.model.log
    assert logarithmic.yearly == find_yearly(before, log=True)
    assert found.yearly == find_yearly(after) != logarithmic.yearly


def test_suited_to_keeps_components_when_the_bound_of_0_is_dropped() -> None:
    before = daily(np.append(values(800), 0.0))
    config, settings = configured(before)
    bounded = settled(config, before, settings)
    found = suited_to(bounded, daily(np.array([2.0, -1.0])), settings, Mute())
    assert bounded.model.nonnegative and not found.model.nonnegative
    assert found.yearly == bounded.yearly and found.yearly.scale == "shares"


def days(y: np.ndarray) -> pd.DataFrame:
    times = pd.date_range("2020-03-01", periods=len(y)).strftime("%Y-%m-%d")
    return pd.DataFrame({"ds": times, "y": y})


def test_components_know_nothing_of_what_is_held_out(tmp_path: Path) -> None:
    configs = []
    for factor in (1.0, 1e3):
        whole = values(900)
        whole[-HORIZON:] *= factor
        place = tmp_path / f"{factor:g}"
        place.mkdir()
        days(whole).to_csv(place / "days.csv", index=False)
        request = TrainRequest(
            path=str(place / "days.csv"),
            directory=place / "model",
            data=DataConfig(),
            settings=Settings(horizon=HORIZON),
        )
        configs.append(resolve_request(request, Mute()).config)
    assert configs[0] == configs[1] and configs[0].yearly


def test_train_stores_the_component_by_which_its_forecasts_go_on(tmp_path: Path) -> None:
    found = trained_on(days(values(900)), tmp_path)
    config = found.forecaster.config
    (component,) = config.yearly.own
    assert found.scored is not None and found.scored.config.yearly == config.yearly
    forecasts = pd.read_csv(tmp_path / "model" / "forecasts.csv")
    again = found.forecaster.predict(found.panel)[0, :, 2]
    np.testing.assert_allclose(forecasts["gru"], again)
    plain = replace(found.forecaster, config=replace(config, yearly=NO_YEARLY))
    assert np.abs(plain.predict(found.panel)[0, :, 2] - again).max() > 0.5
    assert component.id == found.panel.ids[0]


def reason_of(artifact: Artifact, place: Path, **changed: Any) -> str | None:
    """Why an update by the days in a file would train from scratch."""
    table = read_as_trained(open_source(str(place / "days.csv")), artifact)
    return outdated(replace(read_record(artifact), **changed), table, None)


@pytest.mark.parametrize(
    ("asked", "refused", "reason"),
    [
        ({}, False, "the series show yearly seasonality, which the model has not"),
        ({}, True, None),
        ({"yearly": False}, False, None),
    ],
)
def test_update_trains_from_scratch_when_the_series_show_a_component_by_now(
    asked: dict[str, Any], refused: bool, reason: str | None, tmp_path: Path
) -> None:
    artifact = trained_on(days(values(400)), tmp_path, **asked)
    assert artifact.forecaster.config.yearly == NO_YEARLY
    days(values(900)).to_csv(tmp_path / "days.csv", index=False)
    assert reason_of(artifact, tmp_path, refused=refused) == reason


def test_update_trains_from_scratch_when_the_series_no_longer_go_through_the_year(
    tmp_path: Path,
) -> None:
    artifact = trained_on(days(values(900)), tmp_path)
    other = np.append(values(900), 60 + 30 * np.sin(np.arange(900) / 40))
    days(values(950)).to_csv(tmp_path / "days.csv", index=False)
    assert reason_of(artifact, tmp_path) is None
    days(other).to_csv(tmp_path / "days.csv", index=False)
    expected = "the series no longer show the yearly seasonality that the model has"
    assert reason_of(artifact, tmp_path) == expected
    assert reason_of(artifact, tmp_path, refused=True) is None
    days(other[-300:]).to_csv(tmp_path / "days.csv", index=False)
    assert reason_of(artifact, tmp_path) is None


def test_other_yearly_names_a_series_that_is_too_new_for_one() -> None:
    panel = daily(values(900), values(100))
    config, settings = configured(panel)
    config = replace(config, yearly=find_yearly(daily(values(900))))
    new = "series 's1' is too new for yearly seasonality, which the model has"
    assert other_yearly(config, ["s0"], panel, settings) == new
    assert other_yearly(config, ["s0", "s1"], panel, settings) is None
    assert other_yearly(config, ["s0"], panel, replace(settings, yearly=True)) is None


def shops(*lengths: int, below: float = 0) -> pd.DataFrame:
    """Days of shops that go through the year alike and end on the same day."""
    longest = max(lengths)
    tables = [
        days(size * (values(longest, seed) - below))[longest - length :].assign(
            unique_id=f"s{seed}"
        )
        for seed, (length, size) in enumerate(zip(lengths, (1.0, 3.0, 10.0, 0.5), strict=False))
    ]
    return pd.concat(tables)


def test_update_goes_on_when_a_new_series_shares_the_component_of_the_others(
    tmp_path: Path,
) -> None:
    table = shops(900, 900, 900, 100)
    met = table[table["unique_id"] != "s3"]
    artifact = trained_on(met, tmp_path)
    before = artifact.forecaster.config.yearly
    assert len(before.own) == 3 and before.shared
    table.to_csv(tmp_path / "days.csv", index=False)
    assert reason_of(artifact, tmp_path) is None
    request = UpdateRequest(
        directory=tmp_path / "model", path=str(tmp_path / "days.csv"), drift=math.inf, guard=False
    )
    update(request, Mute())
    after = load_artifact(tmp_path / "model", torch.device("cpu"))
    yearly = after.forecaster.config.yearly
    assert yearly.own[:3] == before.own and yearly.own[3].id == "s3"
    assert after.forecaster.config.model.log and yearly.own[3].coefficients == before.shared
    assert after.scored is not None and after.scored.config.yearly == yearly
    # A series that went and comes back has one component, the one that it had.
    met.to_csv(tmp_path / "days.csv", index=False)
    newer = pd.concat(
        [table[table["unique_id"] != "s3"], shops(901, 901, 901).groupby("unique_id").tail(1)]
    )
    for rows in (newer[newer["unique_id"] != "s0"], newer):
        rows.to_csv(tmp_path / "days.csv", index=False)
        update(replace(request, allow_loss=True), Mute())
    again = load_artifact(tmp_path / "model", torch.device("cpu"))
    assert again.forecaster.config.yearly == yearly


@pytest.mark.parametrize("future", [1.0, 1e6])
def test_news_have_a_component_by_what_lies_before_the_values_held_out(
    future: float, tmp_path: Path
) -> None:
    table = shops(900, 900, 900, 100, below=55)
    artifact = trained_on(table[table["unique_id"] != "s3"], tmp_path)
    held_out = table.groupby("unique_id").cumcount(ascending=False) < HORIZON
    known = table["y"].where(~held_out)
    table["y"] = table["y"].mask(held_out, future * table["y"])
    table.to_csv(tmp_path / "days.csv", index=False)
    found = with_news(
        read_record(artifact), read_as_trained(open_source(str(tmp_path / "days.csv")), artifact)
    )
    yearly = found.forecaster.config.yearly
    assert yearly.scale == "units"
    last, shared = yearly.own[-1], np.array(yearly.shared)
    assert last.id == "s3" and found.scored is not None
    assert found.scored.config.yearly == yearly
    values = known[table["unique_id"] == "s3"].dropna()
    first = pd.Timestamp("2020-03-01") + pd.Timedelta(days=800)
    days_known = (first - pd.Timestamp("1970-01-01")).days + np.arange(len(values))
    level = values.abs().mean() / np.abs(1 + waves_at(days_known) @ shared).mean()
    np.testing.assert_allclose(last.coefficients, level * shared)


def test_update_trains_from_scratch_when_series_no_longer_share_a_component(tmp_path: Path) -> None:
    table = shops(900, 900, 900, 100)
    artifact = trained_on(table, tmp_path)
    other = [
        days(np.append(values(900), 60 + 30 * np.sin(np.arange(900) / 40))).assign(unique_id=name)
        for name in ("s0", "s1", "s2", "s3")
    ]
    pd.concat(other).to_csv(tmp_path / "days.csv", index=False)
    expected = "the series no longer show the yearly seasonality that the model has"
    assert reason_of(artifact, tmp_path) == expected
    pd.concat(each[-300:] for each in other).to_csv(tmp_path / "days.csv", index=False)
    assert reason_of(artifact, tmp_path) is None
