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
from rnnforecast.defaults import (
    ENOUGH,
    LEAST_STEPS,
    LONGEST_LOOKBACK,
    MOST_STEPS,
    PLENTY,
    PRESETS,
    Facts,
    find_facts,
    resolve,
)
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
    least = draw(st.sampled_from([-1.0, 0.0, 1.0]))
    return Facts(
        seasons=seasons,
        typical_length=length,
        longest=max(length, 2_000),
        windows=max(length * count, 2),
        positive=least > 0,
        nonnegative=least >= 0,
    )


horizons = st.one_of(st.integers(1, 60), st.integers(1, 1000))


def resolved(known: Facts, **asked: object) -> RunConfig:
    return resolve(Settings(**{"horizon": 1, **asked}), known, DataConfig())  # type: ignore[arg-type]


def some_facts(**changed: object) -> Facts:
    base = {"seasons": (1,), "typical_length": 100, "windows": 100, "positive": False}
    base["nonnegative"] = changed.get("positive", False)
    base["longest"] = max(2_000, changed.get("typical_length", 100))
    return Facts(**{**base, **changed})  # type: ignore[arg-type]


@limits(deadline=None)
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
    assert known.positive or not config.model.log
    assert config.model.hidden_size in (32, 64, 128)


@limits(deadline=None)
@given(known=facts(), horizon=horizons)
@example(known=some_facts(typical_length=222), horizon=24)
@example(known=some_facts(seasons=(26,), typical_length=362), horizon=4)
def test_resolve_takes_whole_segments_when_nothing_else_is_asked(
    known: Facts, horizon: int
) -> None:
    config = resolved(known, horizon=horizon)
    assert config.windows.lookback % config.model.segment_length == 0


@limits(deadline=None)
@given(known=facts(), horizon=horizons, segment=st.integers(1, 200))
def test_resolve_takes_whole_segments_when_their_length_is_asked(
    known: Facts, horizon: int, segment: int
) -> None:
    config = resolved(known, horizon=horizon, segment_length=segment)
    assert config.model.segment_length == segment
    assert config.windows.lookback % segment == 0


@limits(deadline=None)
@given(known=facts())
def test_resolve_trains_within_the_bounds_of_steps_when_nothing_else_is_asked(
    known: Facts,
) -> None:
    training = resolved(known).training
    steps = training.epochs * training.batches_per_epoch
    assert LEAST_STEPS <= steps < MOST_STEPS + training.epochs
    assert 32 <= training.batch_size <= 256
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
    "clip_norm": st.sampled_from([0.1, 0.5, math.inf]),
    "clip_value": st.sampled_from([0.1, 0.5, math.inf]),
    "patience": st.integers(1, 50),
    "seed": st.integers(0, 2**63 - 1),
}
# What is heeded by what it leads to.
INDIRECT = {"horizon", "refit", "preset", "members", "yearly"}


@limits(deadline=None)
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
    assert {field.name for field in fields(Settings)} == INDIRECT | set(ASKED)


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
        pytest.param(some_facts(typical_length=1000), 4, 32, 4, id="no season: eight horizons"),
        pytest.param(some_facts(typical_length=2000), 60, 336, 42, id="no season: a cap"),
        pytest.param(some_facts(typical_length=2000), 200, 400, 50, id="no season: two horizons"),
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
    config = resolved(known, horizon=horizon, members=1)
    assert (config.windows.lookback, config.model.segment_length) == (lookback, segment)
    assert config.model.lookbacks == ()


@pytest.mark.parametrize(
    ("known", "horizon", "lookbacks"),
    [
        pytest.param(some_facts(typical_length=1000), 4, (64, 32, 16), id="no season"),
        pytest.param(some_facts(typical_length=255), 4, (32, 32, 16), id="too short for twice"),
        pytest.param(some_facts(typical_length=256), 4, (64, 32, 16), id="just enough for twice"),
        pytest.param(some_facts(typical_length=5000), 168, (336, 336, 168), id="half: a horizon"),
        pytest.param(
            some_facts(seasons=(24,), typical_length=5000), 24, (672, 336, 168), id="hours"
        ),
        pytest.param(
            some_facts(seasons=(24,), typical_length=5000), 200, (408, 408, 216), id="the cap"
        ),
        pytest.param(some_facts(typical_length=60), 28, (30,) * 3, id="no half: horizon"),
        pytest.param(
            some_facts(seasons=(12,), typical_length=90), 2, (45, 45, 24), id="two seasons"
        ),
        pytest.param(
            some_facts(seasons=(12,), typical_length=72), 2, (36,) * 3, id="no half: seasons"
        ),
    ],
)
def test_resolve_halves_and_doubles_the_lookback_when_members_are_three(
    known: Facts, horizon: int, lookbacks: tuple[int, ...]
) -> None:
    config = resolved(known, horizon=horizon, members=3)
    assert config.model.lookbacks == lookbacks
    assert config.windows.lookback == lookbacks[0]


@limits(deadline=None)
@given(known=facts(), horizon=horizons, members=st.integers(2, 12), data=st.data())
def test_resolve_gives_members_usable_lookbacks_when_nothing_else_is_asked(
    known: Facts, horizon: int, members: int, data: st.DataObject
) -> None:
    """Three at most, each as often as another or once more or less, in whole segments."""
    season = data.draw(st.none() | st.integers(1, min(400, known.longest)), label="season")
    alone = resolved(known, horizon=horizon, season=season, members=1)
    config = resolved(known, horizon=horizon, season=season, members=members)
    lookbacks, usual = config.model.lookbacks, alone.windows.lookback
    assert len(lookbacks) == members and config.windows.lookback == lookbacks[0]
    assert list(lookbacks) == sorted(lookbacks, reverse=True)
    counts = [lookbacks.count(each) for each in set(lookbacks)]
    assert max(counts) - min(counts) <= 1 and len(counts) <= 3
    for each in set(lookbacks) - {usual}:
        assert each % config.model.segment_length == 0
        assert each >= 2 * config.windows.season
        if each > usual:
            assert each == 2 * usual <= min(known.typical_length // 4, LONGEST_LOOKBACK)
        else:
            assert horizon <= each < usual / 2 + config.model.segment_length
    assert usual in lookbacks
    assert alone.model.segment_length == config.model.segment_length


@pytest.mark.parametrize("lookback", [5, 32, 100])
def test_resolve_lets_all_members_read_the_lookback_when_one_is_asked(lookback: int) -> None:
    known = some_facts(typical_length=1000)
    config = resolved(known, horizon=4, lookback=lookback, members=3)
    assert config.model.lookbacks == (lookback,) * 3
    assert config.windows.lookback == lookback


@pytest.mark.parametrize("name", PRESETS)
def test_resolve_follows_the_preset_when_one_is_named(name: str) -> None:
    known, preset = some_facts(typical_length=1000, windows=1000), PRESETS[name]
    config = resolved(known, horizon=4, preset=name)
    assert max(1, len(config.model.lookbacks)) == preset.members
    expected = math.ceil(preset.effort * LEAST_STEPS / Settings.epochs)
    assert config.training.batches_per_epoch == expected


def test_resolve_takes_the_users_members_when_a_preset_says_another_number() -> None:
    known = some_facts(typical_length=1000)
    for name in PRESETS:
        assert len(resolved(known, horizon=4, preset=name, members=5).model.lookbacks) == 5
        assert resolved(known, horizon=4, preset=name, members=1).model.lookbacks == ()


def test_presets_cost_more_and_more_when_they_promise_more() -> None:
    fast, usual, best = (PRESETS[name] for name in ("fast", "default", "best"))
    assert list(PRESETS) == ["fast", "default", "best"] and Settings.preset == "default"
    assert fast.members < usual.members < best.members
    assert fast.effort < usual.effort < best.effort
    assert all(preset.members % 2 == 1 for preset in PRESETS.values())


@pytest.mark.parametrize("horizon", [1, 7])
@pytest.mark.parametrize(
    ("own", "hidden_size", "largest"),
    [
        (2, 32, 128),
        (ENOUGH - 1, 32, 128),
        (ENOUGH, 64, 256),
        (PLENTY - 1, 64, 256),
        (PLENTY, 128, 256),
        (10**11, 128, 256),
    ],
)
def test_resolve_widens_network_and_batches_when_windows_of_their_own_grow(
    own: int, hidden_size: int, largest: int, horizon: int
) -> None:
    """Windows that begin within one horizon overlap; a batch is about a fiftieth of them all."""
    windows = own * horizon + horizon - 1
    config = resolved(some_facts(windows=windows), horizon=horizon)
    nearest = min(
        (2**power for power in range(5, 40)), key=lambda b: abs(math.log2(50 * b / windows))
    )
    assert config.model.hidden_size == hidden_size
    assert config.training.batch_size == min(largest, nearest)


@pytest.mark.parametrize(
    ("own", "steps"),
    [
        (2, LEAST_STEPS),
        (3 * LEAST_STEPS, LEAST_STEPS),
        (3 * LEAST_STEPS + 300, LEAST_STEPS + 100),
        (3 * MOST_STEPS, MOST_STEPS),
        (10**9, MOST_STEPS),
    ],
)
def test_resolve_trains_longer_when_windows_of_their_own_grow(own: int, steps: int) -> None:
    for horizon in (1, 10):
        config = resolved(some_facts(windows=own * horizon), horizon=horizon)
        assert config.training.batches_per_epoch == math.ceil(steps / Settings.epochs)


@pytest.mark.parametrize(
    ("series", "typical", "windows", "least"),
    [
        (([1, 2],), 2, 2, 1),
        (([1, 2], [3, NAN, 5], [1] * 9), 3, 14, 1),
        (([1, 2, NAN], [0, 1]), 2, 5, 0),
        (([1, 2], [-1, 1]), 2, 4, -1),
    ],
)
def test_find_facts_measures_the_panel_when_series_are_ragged(
    series: tuple[list[float], ...], typical: int, windows: int, least: int
) -> None:
    known = find_facts(make_panel(*series))
    longest = max(len(values) for values in series)
    expected = Facts(
        seasons=(1,),
        typical_length=typical,
        longest=longest,
        windows=windows,
        positive=least > 0,
        nonnegative=least >= 0,
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


@pytest.mark.parametrize(
    ("season", "typical_length", "log"),
    [(1, 40, False), (4, 100, False), (4, 101, True), (1, 500, True), (5, 40, True)],
)
def test_resolve_takes_logarithms_where_positive_series_are_not_short_ones_of_years_or_quarters(
    season: int, typical_length: int, log: bool
) -> None:
    known = some_facts(positive=True, seasons=(season,), typical_length=typical_length)
    assert resolved(known, horizon=3).model.log == log
    assert resolved(known, horizon=3).model.nonnegative != log
    found = some_facts(positive=True, typical_length=typical_length)
    assert resolved(found, horizon=3, season=season).model.log == log
    assert resolved(known, horizon=3, log=True).model.log
    plain = resolved(known, horizon=3, log=False).model
    assert not plain.log and plain.nonnegative
    assert not resolved(known, horizon=3, head="negative-binomial").model.log


@pytest.mark.parametrize(("least", "bounded"), [(-1.0, False), (0.0, True)])
def test_resolve_bounds_forecasts_where_no_value_is_below_zero_unless_told(
    least: float, bounded: bool
) -> None:
    known = find_facts(make_panel([least, 3.0, 1.0, 2.0, 5.0]))
    model = resolved(known, horizon=1).model
    assert not model.log and model.nonnegative == bounded
    for asked in (False, True):
        assert resolved(known, horizon=1, nonnegative=asked).model.nonnegative == asked


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
