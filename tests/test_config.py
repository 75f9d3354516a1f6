"""Every specification checks itself, and every message has one phrasing with the value received."""

from __future__ import annotations

import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.columns import DataConfig, Encoding
from rnnforecast.config import ModelSpec, RunConfig, Settings, TrainConfig, Typical, WindowSpec
from rnnforecast.errors import ConfigError

VALID: dict[type[Any], dict[str, Any]] = {
    DataConfig: {},
    Encoding: {"name": "price", "role": "future"},
    WindowSpec: {"lookback": 12, "horizon": 3},
    ModelSpec: {"model": "gru"},
    Typical: {},
    TrainConfig: {
        "epochs": 2,
        "batches_per_epoch": 3,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "clip_norm": 1.0,
        "clip_value": math.inf,
        "patience": 5,
        "seed": 0,
    },
    Settings: {"horizon": 3},
}

AT_LEAST_1 = [
    (WindowSpec, "lookback"),
    (WindowSpec, "horizon"),
    (ModelSpec, "hidden_size"),
    (ModelSpec, "num_layers"),
    (ModelSpec, "segment_length"),
    (ModelSpec, "tbptt"),
    (TrainConfig, "epochs"),
    (TrainConfig, "batches_per_epoch"),
    (TrainConfig, "batch_size"),
    (TrainConfig, "patience"),
    (Settings, "horizon"),
    (Settings, "season"),
    (Settings, "lookback"),
    (Settings, "segment_length"),
    (Settings, "hidden_size"),
    (Settings, "batch_size"),
    (Settings, "num_layers"),
    (Settings, "tbptt"),
    (Settings, "members"),
]
# What is chosen by name, each in two specifications.
NAMED = [
    (ModelSpec, "init", "orthogonal, chrono, uniform"),
    (TrainConfig, "optimizer", "adamw, sgd"),
    (TrainConfig, "schedule", "one-cycle, cosine, constant, plateau"),
    (TrainConfig, "teacher_forcing", "scheduled, always, never"),
]

CASES: list[tuple[type[Any], str, Any, str]] = [
    *[(spec, name, value, "at least 1") for spec, name in AT_LEAST_1 for value in (0, -3)],
    *[
        (TrainConfig, name, value, "positive")
        for name in ("clip_norm", "clip_value")
        for value in (0.0, -0.5, math.nan)
    ],
    (TrainConfig, "weight_decay", -1e-4, "at least 0"),
    *[
        (spec, "clip_percentile", value, "above 0 and at most 100")
        for spec in (TrainConfig, Settings)
        for value in (0.0, -5.0, 100.5, math.nan)
    ],
    (TrainConfig, "learning_rate", 0.0, "positive"),
    (TrainConfig, "learning_rate", -1e-3, "positive"),
    (TrainConfig, "learning_rate", math.inf, "positive"),
    (TrainConfig, "learning_rate", math.nan, "positive"),
    *[
        (spec, "jitter", value, "finite and at least 0")
        for spec in (TrainConfig, Settings)
        for value in (-0.1, math.inf, math.nan)
    ],
    *[(Encoding, "mean", value, "finite") for value in (math.inf, -math.inf, math.nan)],
    *[
        (Encoding, "scale", value, "finite and positive")
        for value in (0.0, -1.0, math.inf, math.nan)
    ],
    (TrainConfig, "seed", -1, "in [0, 2^63)"),
    (TrainConfig, "seed", 2**63, "in [0, 2^63)"),
    (ModelSpec, "dropout", 1.0, "in [0, 1)"),
    *[
        (ModelSpec, "lookbacks", lookbacks, "at least 1, longest first, 100 at most")
        for lookbacks in ((0,), (5, -1), (5, 7), (7, 5, 6), (1,) * 101)
    ],
    *[(Typical, "share", value, "at least 0") for value in (-0.1, math.nan, math.inf)],
    *[(Typical, "spread", value, "positive") for value in (0.0, math.nan, math.inf)],
    *[(Typical, "lasting", value, "in [0, 1]") for value in (-0.1, 1.1, math.nan)],
    (ModelSpec, "dropout", -0.1, "in [0, 1)"),
    (ModelSpec, "dropout", math.nan, "in [0, 1)"),
    *[
        (spec, "levels", levels, rule)
        for spec in (ModelSpec, Settings)
        for levels, rule in (
            ((0.0, 80.0), "percentages between 0 and 100"),
            ((80.0, 100.0), "percentages between 0 and 100"),
            ((math.nan,), "percentages between 0 and 100"),
            ((), "percentages between 0 and 100"),
            ((95.0, 80.0), "ascending without repeats"),
            ((80.0, 80.0), "ascending without repeats"),
            ((80.0, 80.0000001), "ascending without repeats"),
        )
    ],
]


@pytest.mark.parametrize(("spec", "name", "value", "rule"), CASES)
def test_specification_says_what_it_received_when_a_value_is_out_of_range(
    spec: type[Any], name: str, value: Any, rule: str
) -> None:
    shown = list(value) if isinstance(value, tuple) else value
    message = f"{name} must be {rule}, got {shown}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$") as caught:
        spec(**{**VALID[spec], name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("kind", "name", "names"), NAMED)
@pytest.mark.parametrize("value", ["", "Adam", "one"])
def test_specification_lists_the_names_when_one_is_unknown(
    kind: type[Any], name: str, names: str, value: str
) -> None:
    message = f"{name} must be one of {names}, got '{value}'"
    for spec in (kind, Settings):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            spec(**{**VALID[spec], name: value})


@pytest.mark.parametrize(("kind", "name", "names"), NAMED)
def test_specification_takes_every_name_that_it_lists(
    kind: type[Any], name: str, names: str
) -> None:
    for spec in (kind, Settings):
        built = [spec(**{**VALID[spec], name: value}) for value in names.split(", ")]
        assert getattr(spec(**VALID[spec]), name) == getattr(built[0], name)
        assert ", ".join(getattr(one, name) for one in built) == names


@pytest.mark.parametrize("seasons", [(), (0,), (-1, 7)])
def test_window_spec_says_what_it_received_when_a_season_is_out_of_range(
    seasons: tuple[int, ...],
) -> None:
    message = f"season must be at least 1, got {list(seasons)}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        WindowSpec(lookback=1, horizon=1, seasons=seasons)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("separator", "", "one character"),
        ("separator", "||", "one character"),
        ("decimal", ";", "'.' or ','"),
        ("decimal", "", "'.' or ','"),
        *[
            ("encoding", name, "one that Python knows, such as latin-1")
            for name in ("punycode", "IDNA", "zlib", "rot13", "undefined", "", "\0", "x" * 10**6)
        ],
    ],
    ids=lambda value: str(value)[:20],
)
def test_data_config_quotes_what_it_received_when_a_character_cannot_be_used(
    name: str, value: str, rule: str
) -> None:
    message = f"{name} must be {rule}, got {value!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        DataConfig(**{name: value})


@pytest.mark.parametrize("spec", VALID)
def test_specification_is_frozen_and_keyword_only_when_built(spec: type[Any]) -> None:
    built = spec(**VALID[spec])
    for field in fields(spec):
        assert field.kw_only
    with pytest.raises(FrozenInstanceError):
        setattr(built, fields(spec)[0].name, None)


@pytest.mark.parametrize("spec", VALID)
def test_specification_checks_itself_when_a_copy_is_changed(spec: type[Any]) -> None:
    wrong = next((name, value) for kind, name, value, _ in [*CASES, _DECIMAL] if kind is spec)
    with pytest.raises(ConfigError, match=f"^{wrong[0]} must be "):
        replace(spec(**VALID[spec]), **{wrong[0]: wrong[1]})


_DECIMAL = (DataConfig, "decimal", ";", "")


@pytest.mark.parametrize(
    ("spec", "name", "value"),
    [
        (WindowSpec, "lookback", 1),
        (ModelSpec, "dropout", 0.0),
        (ModelSpec, "levels", (0.1, 99.9)),
        (ModelSpec, "levels", (95.0,)),
        (TrainConfig, "clip_norm", 1e-30),
        (TrainConfig, "clip_norm", math.inf),
        (TrainConfig, "weight_decay", 0.0),
        (TrainConfig, "clip_percentile", 100.0),
        (TrainConfig, "clip_percentile", 0.01),
        (TrainConfig, "seed", 2**63 - 1),
        (ModelSpec, "tbptt", None),
        (Settings, "season", 1),
        (DataConfig, "separator", "\t"),
        *[(DataConfig, "encoding", name) for name in ("UTF-16", "cp1252", "latin 1")],
        (TrainConfig, "jitter", 0.0),
    ],
)
def test_specification_takes_a_value_when_it_lies_on_the_bound(
    spec: type[Any], name: str, value: Any
) -> None:
    assert getattr(spec(**{**VALID[spec], name: value}), name) == value


def test_quantile_levels_are_the_bounds_around_the_median_when_levels_are_two() -> None:
    spec = ModelSpec(model="gru", levels=(80.0, 95.0))
    assert spec.quantile_levels == pytest.approx((0.025, 0.1, 0.5, 0.9, 0.975))


@given(
    st.lists(st.integers(1, 999), min_size=1, unique=True).map(lambda x: sorted(v / 10 for v in x))
)
def test_quantile_levels_ascend_symmetrically_when_levels_are_any(levels: list[float]) -> None:
    quantiles = ModelSpec(model="gru", levels=tuple(levels)).quantile_levels
    assert len(quantiles) == 2 * len(levels) + 1
    assert list(quantiles) == sorted(quantiles)
    assert quantiles[len(levels)] == 0.5
    assert [1 - q for q in reversed(quantiles)] == pytest.approx(list(quantiles), abs=1e-12)


def test_season_is_the_first_when_seasons_are_several() -> None:
    assert WindowSpec(lookback=1, horizon=1, seasons=(24, 168)).season == 24
    assert WindowSpec(lookback=1, horizon=1).season == 1


@pytest.mark.parametrize("lookbacks", [(11,), (13, 12), (6, 3)])
def test_run_config_says_what_it_received_when_members_read_another_lookback(
    lookbacks: tuple[int, ...],
) -> None:
    parts = {
        "data": DataConfig(),
        "windows": WindowSpec(lookback=12, horizon=3),
        "training": TrainConfig(**VALID[TrainConfig]),
    }
    message = f"lookback must be the longest member's, got {lookbacks[0]}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        RunConfig(**parts, model=ModelSpec(model="gru", lookbacks=lookbacks))
    for fitting in ((), (12,), (12, 12, 5)):
        spec = ModelSpec(model="gru", lookbacks=fitting)
        assert RunConfig(**parts, model=spec).model.lookbacks == fitting


@pytest.mark.parametrize("preset", ["", "Fast", "slow"])
def test_settings_list_the_presets_when_one_is_unknown(preset: str) -> None:
    message = f"preset must be one of fast, default, best, got '{preset}'"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Settings(horizon=3, preset=preset)


def test_run_config_holds_the_specifications_and_what_data_tell_when_built() -> None:
    names = ["data", "windows", "model", "training", "encodings", "yearly"]
    assert [field.name for field in fields(RunConfig)] == names
