"""The rules give usable configurations for data of any size, and never overrule the user."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.defaults import LONGEST_LOOKBACK, Facts, find_facts, resolve
from rnnforecast.errors import ConfigError
from rnnforecast.models.registry import MODELS
from tests.panels import make_panel

NAN = math.nan


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """From two values in one series to a hundred thousand series of a million."""
    season = draw(st.one_of(st.just(1), st.integers(2, 400)))
    seasons = (season,)
    if season > 1 and draw(st.booleans()):
        seasons = (season, season * draw(st.integers(2, 14)))
    length = draw(st.one_of(st.integers(2, 1500), st.integers(2, 10**6)))
    count = draw(st.one_of(st.just(1), st.integers(1, 10**5)))
    return Facts(
        seasons=seasons,
        typical_length=length,
        longest=max(length, 2_000),
        windows=max(length * count, 2),
        positive=draw(st.booleans()),
    )


horizons = st.one_of(st.integers(1, 60), st.integers(1, 1000))


def resolved(known: Facts, **asked: object) -> RunConfig:
    return resolve(Settings(**{"horizon": 1, **asked}), known, DataConfig())  # type: ignore[arg-type]


def some_facts(**changed: object) -> Facts:
    base = {"seasons": (1,), "typical_length": 100, "windows": 100, "positive": False}
    base["longest"] = max(2_000, changed.get("typical_length", 100))
    return Facts(**{**base, **changed})  # type: ignore[arg-type]


@limits(max_examples=300, deadline=None)
@given(known=facts(), horizon=horizons)
def test_resolve_stays_within_the_caps_when_nothing_else_is_asked(
    known: Facts, horizon: int
) -> None:
    config = resolved(known, horizon=horizon)
    lookback, segment = config.windows.lookback, config.model.segment_length
    most = max(min(LONGEST_LOOKBACK, known.typical_length // 2), 2 * known.seasons[0])
    rounding = max(segment, known.seasons[0] // 4)
    assert 1 <= lookback < most + rounding
    assert 1 <= segment <= lookback
    assert config.windows.horizon == horizon
    assert config.windows.seasons == known.seasons
    assert config.model.log == known.positive
    assert config.model.hidden_size in (32, 64, 128)


@limits(max_examples=300, deadline=None)
@given(known=facts(), horizon=horizons)
@example(known=some_facts(typical_length=222), horizon=24)
@example(known=some_facts(seasons=(26,), typical_length=362), horizon=4)
def test_resolve_takes_whole_segments_when_nothing_else_is_asked(
    known: Facts, horizon: int
) -> None:
    config = resolved(known, horizon=horizon)
    assert config.windows.lookback % config.model.segment_length == 0


@limits(max_examples=200, deadline=None)
@given(known=facts(), horizon=horizons, segment=st.integers(1, 200))
def test_resolve_takes_whole_segments_when_their_length_is_asked(
    known: Facts, horizon: int, segment: int
) -> None:
    config = resolved(known, horizon=horizon, segment_length=segment)
    assert config.model.segment_length == segment
    assert config.windows.lookback % segment == 0


@limits(max_examples=300, deadline=None)
@given(known=facts())
def test_resolve_trains_400_to_1500_steps_when_nothing_else_is_asked(known: Facts) -> None:
    training = resolved(known).training
    assert 400 <= training.epochs * training.batches_per_epoch <= 1500
    assert 32 <= training.batch_size <= 512
    assert math.log2(training.batch_size).is_integer()


ASKED = {
    "season": st.integers(1, 400),
    "lookback": st.integers(1, 2000),
    "log": st.booleans(),
    "nonnegative": st.booleans(),
    "hidden_size": st.integers(1, 512),
    "segment_length": st.integers(1, 50),
    "batch_size": st.integers(1, 4096),
    "levels": st.sampled_from([(50.0,), (80.0, 95.0), (10.0, 99.9)]),
    "num_layers": st.integers(1, 4),
    "dropout": st.sampled_from([0.0, 0.5]),
    "model": st.sampled_from(["lstm", "segment-gru"]),
    "init": st.sampled_from(["chrono", "uniform"]),
    "tbptt": st.integers(1, 100),
    "optimizer": st.sampled_from(["adamw", "sgd"]),
    "schedule": st.sampled_from(["cosine", "constant", "plateau"]),
    "clip_percentile": st.sampled_from([10.0, 90.0]),
    "teacher_forcing": st.sampled_from(["always", "never"]),
    "head": st.sampled_from(["normal", "student-t"]),
    "jitter": st.sampled_from([0.0, 0.7]),
    "epochs": st.integers(1, 100),
    "learning_rate": st.sampled_from([1e-4, 1.0]),
    "clip_norm": st.sampled_from([0.0, 0.5, math.inf]),
    "clip_value": st.sampled_from([0.0, 0.5, math.inf]),
    "patience": st.integers(1, 50),
    "seed": st.integers(0, 2**63 - 1),
}


@limits(max_examples=200, deadline=None)
@given(known=facts(), horizon=horizons, data=st.data())
def test_resolve_takes_the_users_value_when_one_is_given(
    known: Facts, horizon: int, data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(ASKED))))
    asked = {name: data.draw(ASKED[name], label=name) for name in sorted(names)}
    if asked.get("dropout"):  # which acts between layers
        asked["num_layers"] = 2
    if asked.get("jitter"):  # of which windows must be long enough to tell
        least = asked.get("season", known.seasons[0]) + 2
        asked["lookback"] = max(asked.get("lookback", least), least)
    config = resolved(known, horizon=horizon, **asked)
    assert config.windows.horizon == horizon
    for name, value in asked.items():
        parts = (config.windows, config.model, config.training)
        assert value in [getattr(part, name) for part in parts if hasattr(part, name)], name


def test_resolve_is_tested_with_every_setting_when_settings_grow() -> None:
    assert {field.name for field in fields(Settings)} == {"horizon", "refit", *ASKED}


@pytest.mark.parametrize("name", ["season", "lookback"])
def test_resolve_raises_when_no_series_is_as_long_as_asked(name: str) -> None:
    message = rf"^{name} must be at most 120, the values of the longest series .*, got 121$"
    with pytest.raises(ConfigError, match=message):
        resolved(some_facts(longest=120), **{name: 121})


def test_resolve_keeps_the_data_configuration_when_given() -> None:
    data = DataConfig(id_column="shop", time_column="day", target_columns=("sold",))
    assert resolve(Settings(horizon=2), some_facts(), data).data is data


@pytest.mark.parametrize(
    ("known", "horizon", "lookback", "segment"),
    [
        pytest.param(some_facts(typical_length=1000), 4, 32, 2, id="no season: eight horizons"),
        pytest.param(some_facts(typical_length=1000), 1, 14, 1, id="no season: at least 14"),
        pytest.param(some_facts(seasons=(24,), typical_length=900), 48, 336, 24, id="hours"),
        pytest.param(
            some_facts(seasons=(24, 168), typical_length=900), 48, 336, 24, id="hours and weeks"
        ),
        pytest.param(some_facts(seasons=(12,), typical_length=600), 18, 168, 12, id="months"),
        pytest.param(some_facts(seasons=(12,), typical_length=60), 18, 30, 3, id="few months"),
        pytest.param(some_facts(seasons=(12,), typical_length=20), 18, 24, 3, id="two seasons"),
        pytest.param(some_facts(seasons=(7,), typical_length=5000), 400, 721, 7, id="the cap"),
        pytest.param(some_facts(typical_length=2), 1, 2, 1, id="two values"),
    ],
)
def test_resolve_follows_the_rules_when_data_are_as_described(
    known: Facts, horizon: int, lookback: int, segment: int
) -> None:
    config = resolved(known, horizon=horizon)
    assert (config.windows.lookback, config.model.segment_length) == (lookback, segment)


@pytest.mark.parametrize(
    ("windows", "hidden_size", "batch_size"),
    [(2, 32, 32), (4_999, 32, 128), (5_000, 64, 128), (30_000, 128, 512), (10**11, 128, 512)],
)
def test_resolve_widens_network_and_batches_when_windows_grow(
    windows: int, hidden_size: int, batch_size: int
) -> None:
    config = resolved(some_facts(windows=windows))
    assert (config.model.hidden_size, config.training.batch_size) == (hidden_size, batch_size)


@pytest.mark.parametrize(
    ("series", "typical", "windows", "positive"),
    [
        (([1, 2],), 2, 2, True),
        (([1, 2], [3, NAN, 5], [1] * 9), 3, 14, True),
        (([1, 2, NAN], [0, 1]), 2, 5, False),
        (([1, 2], [-1, 1]), 2, 4, False),
    ],
)
def test_find_facts_measures_the_panel_when_series_are_ragged(
    series: tuple[list[float], ...], typical: int, windows: int, positive: bool
) -> None:
    known = find_facts(make_panel(*series))
    longest = max(len(values) for values in series)
    expected = Facts(
        seasons=(1,), typical_length=typical, longest=longest, windows=windows, positive=positive
    )
    assert known == expected


@limits(max_examples=30, deadline=None)
@given(
    series=st.lists(
        st.lists(st.sampled_from([NAN, -2.0, 0.0, 3.0]), min_size=2, max_size=60),
        min_size=1,
        max_size=5,
    ),
    horizon=horizons,
)
def test_resolve_is_valid_when_facts_come_from_a_panel(
    series: list[list[float]], horizon: int
) -> None:
    assume(all(not math.isnan(values[0]) for values in series))
    config = resolved(find_facts(make_panel(*series)), horizon=horizon)
    assert config.windows.lookback >= config.model.segment_length


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"model": "deepar", "head": "quantile"},
            "^model deepar draws its forecasts from a distribution, which head quantile is not; "
            "pass --head with one of normal, student-t, negative-binomial$",
        ),
        (
            {"head": "negative-binomial", "log": True},
            "^head negative-binomial is of counts, not of their logarithms; drop --log$",
        ),
        ({"model": "bigru", "tbptt": 5}, "^model bigru cannot be trained with --tbptt.*gru, lstm"),
        ({"model": "linear", "tbptt": 5}, "^model linear cannot be trained with --tbptt"),
        ({"model": "attention-gru", "tbptt": 5}, "^model attention-gru cannot be trained"),
    ],
)
def test_resolve_raises_when_parts_do_not_go_together(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(some_facts(positive=True), horizon=3, **asked)


def test_resolve_takes_what_the_row_says_when_layers_and_head_are_not_given() -> None:
    for name, entry in MODELS.items():
        model = resolved(some_facts(positive=True), horizon=3, model=name).model
        assert (model.num_layers, model.head) == (entry.num_layers, entry.head)
    assert resolved(some_facts(positive=True), horizon=3).model.log
    assert not resolved(some_facts(positive=True), horizon=3, head="negative-binomial").model.log


@pytest.mark.parametrize("season", [1, 2, 7, 9, 11, 12, 24, 30, 52, 365])
def test_segments_divide_the_season_when_a_recurrence_goes_from_one_to_the_next(
    season: int,
) -> None:
    known = some_facts(seasons=(season,), typical_length=3_000, longest=3_000, positive=True)
    segment = resolved(known, horizon=3, model="lstnet").model.segment_length
    assert season % segment == 0 and segment <= max(1, season // 4)


def test_resolve_raises_when_segments_do_not_divide_the_season_that_a_model_skips() -> None:
    known = some_facts(seasons=(24,), typical_length=3_000, longest=3_000)
    message = "^segment_length must divide the season of 24 where model lstnet .*, got 5$"
    with pytest.raises(ConfigError, match=message):
        resolved(known, horizon=3, model="lstnet", segment_length=5)
    assert resolved(known, horizon=3, model="gru", segment_length=5).model.segment_length == 5


def test_resolve_raises_when_a_lookback_is_too_short_to_tell_roughness_for_jitter() -> None:
    known = some_facts(seasons=(12,), typical_length=3_000, longest=3_000)
    with pytest.raises(ConfigError, match="^lookback must be at least 14, .* --jitter .*, got 13$"):
        resolved(known, horizon=3, lookback=13, jitter=0.1)
    assert resolved(known, horizon=3, lookback=13).windows.lookback == 13
    assert resolved(known, horizon=3, lookback=14, jitter=0.1).training.jitter == 0.1
