"""The model file: what is read is what was written, and nothing damaged passes for a model."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save

from rnnforecast.artifact import MODEL_FILE, load_artifact, pack_artifact
from rnnforecast.columns import Yearly, YearlyComponent, YearlyScale
from rnnforecast.data.calendar import Frequency
from rnnforecast.errors import ArtifactError, ConfigError
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.registry import MODELS
from tests.model_files import (
    KEY,
    Header,
    Tensors,
    make_artifact,
    packed,
    save_artifact,
    signed,
    unpacked,
)

CPU = torch.device("cpu")
DAY = 86_400_000_000
DAYS = np.zeros(1, dtype=np.int64)
SKIP = "network.members.0.skip"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a whole model file."""
    directory = tmp_path_factory.mktemp("whole")
    save_artifact(make_artifact(), directory)
    return (directory / MODEL_FILE).read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_load_artifact_forecasts_bit_equal_when_saved_before(name: str, tmp_path: Path) -> None:
    artifact = make_artifact(model=name, head=MODELS[name].head)
    save_artifact(artifact, tmp_path)
    loaded = load_artifact(tmp_path, CPU)
    expected = artifact.forecaster.predict(artifact.panel)
    assert expected.shape == (2, 3, 5)
    assert np.isfinite(expected).all()
    assert loaded.forecaster.predict(loaded.panel).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"log": True},
        {"num_layers": 2, "dropout": 0.5},
        {"segment_length": 1},
        {"levels": (99.5,)},
    ],
    ids=str,
)
def test_load_artifact_forecasts_bit_equal_when_settings_differ(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    artifact = make_artifact(**changed)
    save_artifact(artifact, tmp_path)
    loaded = load_artifact(tmp_path, CPU)
    expected = artifact.forecaster.predict(artifact.panel)
    assert loaded.forecaster.predict(loaded.panel).tobytes() == expected.tobytes()


def test_load_artifact_gives_back_the_factors_when_saved_before(tmp_path: Path) -> None:
    artifact = make_artifact()
    save_artifact(artifact, tmp_path)
    loaded, saved = load_artifact(tmp_path, CPU), load_file(tmp_path / MODEL_FILE)
    assert loaded.forecaster.factors is not None and artifact.forecaster.factors is not None
    assert loaded.forecaster.factors.tobytes() == artifact.forecaster.factors.tobytes()
    np.testing.assert_array_equal(saved["intervals.factors"], artifact.forecaster.factors)


def test_load_artifact_leaves_half_widths_as_they_are_when_no_factors_were_saved(
    tmp_path: Path,
) -> None:
    calibrated = make_artifact()
    artifact = replace(calibrated, forecaster=replace(calibrated.forecaster, factors=None))
    save_artifact(artifact, tmp_path)
    loaded = load_artifact(tmp_path, CPU)
    assert loaded.forecaster.factors is None
    expected = artifact.forecaster.predict(artifact.panel)
    assert loaded.forecaster.predict(loaded.panel).tobytes() == expected.tobytes()
    assert (expected != calibrated.forecaster.predict(artifact.panel)).any()


def test_load_artifact_gives_back_configuration_panel_and_record_when_saved_before(
    tmp_path: Path,
) -> None:
    artifact = make_artifact()
    save_artifact(artifact, tmp_path)
    loaded = load_artifact(tmp_path, CPU)
    assert loaded.forecaster.config == artifact.forecaster.config
    assert loaded.record == artifact.record
    assert loaded.panel.ids == artifact.panel.ids
    assert loaded.panel.frequency == artifact.panel.frequency
    for name in ("values", "offsets", "starts"):
        expected, found = getattr(artifact.panel, name), getattr(loaded.panel, name)
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


def test_pack_artifact_writes_the_same_bytes_when_called_twice(
    content: bytes, tmp_path: Path
) -> None:
    for _ in range(2):
        save_artifact(make_artifact(), tmp_path)
        assert (tmp_path / MODEL_FILE).read_bytes() == content
    save_artifact(load_artifact(tmp_path, CPU), tmp_path)
    assert (tmp_path / MODEL_FILE).read_bytes() == content
    assert os.listdir(tmp_path) == [MODEL_FILE]


def test_write_files_keeps_the_old_model_when_writing_fails(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)

    def fail(*paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        save_artifact(replace(make_artifact(), record={}), tmp_path)
    assert (tmp_path / MODEL_FILE).read_bytes() == content
    assert os.listdir(tmp_path) == [MODEL_FILE]


def test_model_file_loads_with_safetensors_alone_when_saved(tmp_path: Path) -> None:
    artifact = make_artifact()
    save_artifact(artifact, tmp_path)
    tensors = load_file(tmp_path / MODEL_FILE)
    weights = artifact.forecaster.network.state_dict()
    others = {"lookback.values", "lookback.offsets", "lookback.starts", "intervals.factors"}
    assert set(tensors) == {f"network.{name}" for name in weights} | others
    for name, value in weights.items():
        assert torch.equal(tensors[f"network.{name}"], value)
    with safe_open(tmp_path / MODEL_FILE, framework="np") as file:
        header = json.loads(file.metadata()[KEY])
    assert header["schema_version"] == 13
    assert header["ids"] == list(artifact.panel.ids)
    assert set(header["versions"]) >= {"rnnforecast", "torch"}


def load_damaged(content: bytes, directory: Path) -> str:
    """The message of the one error that may come of a file that is no model."""
    path = directory / MODEL_FILE
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        load_artifact(directory, CPU)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.endswith("; train again")
    return message


def test_load_artifact_says_what_to_run_when_there_is_no_file(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        path = re.escape(str(directory / MODEL_FILE))
        message = f"^{path}: no such model; run 'rnnforecast train' with --out first$"
        with pytest.raises(ArtifactError, match=message):
            load_artifact(directory, CPU)


def test_load_artifact_says_what_to_run_when_a_directory_stands_there(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).mkdir()
    with pytest.raises(ArtifactError, match="no such model; run 'rnnforecast train'"):
        load_artifact(tmp_path, CPU)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}", b"\0" * 64, b"\xff" * 64, b"a,b\n1,2\n" * 99, b"\x80\x02}q\0."],
    ids=["empty", "short", "zeros", "ones", "csv", "pickle"],
)
def test_load_artifact_raises_when_the_file_is_garbage(garbage: bytes, tmp_path: Path) -> None:
    assert "no model this version can read" in load_damaged(garbage, tmp_path)


@pytest.mark.parametrize("share", (0.001, 0.1, 0.5, 0.9, 0.999))
def test_load_artifact_raises_when_the_file_is_truncated(
    share: float, content: bytes, tmp_path: Path
) -> None:
    load_damaged(content[: int(len(content) * share)], tmp_path)


def test_load_artifact_raises_when_something_is_appended(content: bytes, tmp_path: Path) -> None:
    load_damaged(content + b"\0", tmp_path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}], ids=str)
def test_load_artifact_raises_when_the_header_is_another_programs(
    metadata: dict[str, str] | None, content: bytes, tmp_path: Path
) -> None:
    tensors = tensors_of(content, tmp_path)
    load_damaged(save(tensors, metadata), tmp_path)


@pytest.mark.parametrize("text", ["", "not json", "[]", "7", "null", '"text"', "[" * 10**5])
def test_load_artifact_raises_when_the_header_is_no_object(
    text: str, content: bytes, tmp_path: Path
) -> None:
    tensors = tensors_of(content, tmp_path)
    load_damaged(save(tensors, {KEY: text}), tmp_path)
    load_damaged(signed(text, tensors), tmp_path)


def test_load_artifact_names_both_versions_when_the_schema_is_another(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    header |= {"schema_version": 99, "versions": {"rnnforecast": "9.8.7"}}
    message = load_damaged(packed(header, tensors), tmp_path)
    assert "schema 99 was written by rnnforecast 9.8.7, this is " in message


def test_load_artifact_says_to_train_again_when_the_schema_is_that_before_calibration(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    header |= {"schema_version": 1, "versions": {"rnnforecast": "0.1.0"}}
    assert "schema 1 was written by rnnforecast 0.1.0" in load_damaged(
        packed(header, tensors), tmp_path
    )


def taken_apart(content: bytes, directory: Path) -> tuple[Header, Tensors]:
    path = directory / "whole"
    path.write_bytes(content)
    return unpacked(path)


def tensors_of(content: bytes, directory: Path) -> Tensors:
    return taken_apart(content, directory)[1]


def put(value: object, *path: str) -> Callable[[Header, Tensors], None]:
    """A change that sets one place of the header."""

    def change(header: Header, tensors: Tensors) -> None:
        for name in path[:-1]:
            header = header[name]
        header[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[Header, Tensors], None]:
    """A change that removes one place of the header."""

    def change(header: Header, tensors: Tensors) -> None:
        for name in path[:-1]:
            header = header[name]
        del header[path[-1]]

    return change


def set_tensor(name: str, value: torch.Tensor | None) -> Callable[[Header, Tensors], None]:
    """A change that replaces or removes one tensor."""

    def change(header: Header, tensors: Tensors) -> None:
        del tensors[name]
        if value is not None:
            tensors[name] = value

    return change


CHANGES = {
    "spread descends": set_tensor("network.spread", -torch.arange(5.0).repeat(3, 1)),
    **{
        f"shrinkage is {share}": set_tensor("network.shrinkage", torch.tensor(share))
        for share in (-0.1, 1.1, math.nan)
    },
    **{
        f"no {'.'.join(path)}": drop(*path)
        for path in (
            ("schema_version",),
            ("versions", "rnnforecast"),
            ("versions", "torch"),
            ("config",),
            ("config", "windows"),
            ("config", "windows", "lookback"),
            ("config", "training", "seed"),
            ("frequency",),
            ("frequency", "unit"),
            ("ids",),
            ("record",),
        )
    },
    **{
        f"{'.'.join(path)} is {value!r}": put(value, *path)
        for path, value in (
            (("schema_version",), "1"),
            (("schema_version",), None),
            (("config",), []),
            (("config", "windows"), None),
            (("config", "windows", "lookback"), "6"),
            (("config", "windows", "lookback"), None),
            (("config", "windows", "lookback"), 6.5),
            (("config", "windows", "lookback"), -6),
            (("config", "windows", "lookback"), 7),
            (("config", "windows", "lookback"), 10**12),
            (("config", "windows", "lookback"), 10**30),
            (("config", "windows", "horizon"), 0),
            (("config", "windows", "horizon"), 4),
            (("config", "windows", "horizon"), 10**12),
            (("config", "windows", "seasons"), []),
            (("config", "windows", "seasons"), 2),
            (("config", "windows", "seasons"), ["2"]),
            (("config", "windows", "unknown"), 1),
            (("config", "yearly"), None),
            (("config", "yearly"), [{"id": "007", "coefficients": [1.0] * 4}]),
            (("config", "yearly", "own"), [{"id": "007"}]),
            (("config", "yearly", "own"), [{"id": 7, "coefficients": [1.0] * 4}]),
            (("config", "yearly", "own"), [{"id": "007", "coefficients": [1.0] * 3}]),
            (("config", "yearly", "own"), [{"id": "007", "coefficients": [1.0, 1.0, 1.0, 1e300]}]),
            (("config", "yearly", "own"), [{"id": "007", "coefficients": [1.0] * 4}] * 2),
            (("config", "yearly", "shared"), [1.0] * 4),
            (("config", "model", "model"), "transformer"),
            (("config", "model", "model"), None),
            (("config", "model", "model"), ["gru"]),
            (("config", "model", "model"), "lstm"),
            (("config", "model", "hidden_size"), -4),
            (("config", "model", "hidden_size"), 5),
            (("config", "model", "hidden_size"), 10**12),
            (("config", "model", "hidden_size"), 2**62),
            (("config", "model", "hidden_size"), 10**30),
            (("config", "model", "num_layers"), 2),
            (("config", "model", "num_layers"), 1001),
            (("config", "model", "num_layers"), 10**20),
            (("config", "model", "model"), "deepar"),
            (("config", "model", "num_layers"), 1.0),
            (("config", "model", "segment_length"), 3),
            (("config", "model", "segment_length"), 10**12),
            (("config", "model", "dropout"), "half"),
            (("config", "model", "levels"), [80, 80]),
            (("config", "model", "levels"), [80]),
            (("config", "model", "levels"), 80),
            (("config", "model", "levels"), ["80", "95"]),
            (("config", "training", "epochs"), "many"),
            (("config", "data", "separator"), 5),
            (("frequency",), 5),
            (("frequency",), {}),
            (("frequency", "unit"), "fortnight"),
            (("frequency", "count"), 0),
            (("frequency", "count"), -1),
            (("frequency", "count"), "1"),
            (("frequency", "unknown"), 1),
            (("ids",), None),
            (("ids",), 5),
            (("ids",), []),
            (("ids",), ["one"]),
            (("ids",), ["one", "two", "three"]),
            (("ids",), [1, 2]),
            (("ids",), "ab"),
            (("ids",), ["one", "one"]),
            (("ids",), ["one", ["two"]]),
            (("config", "windows", "lookback"), True),
            (("config", "windows", "seasons"), [2**31]),
            (("config", "windows", "seasons"), [2] * 101),
            (("config", "model", "levels"), [n / 20 for n in range(1, 1002)]),
            (("config", "model", "tbptt"), 2**31),
            (("config", "model", "tbptt"), "1"),
            (("config", "model", "lookbacks"), None),
            (("config", "model", "lookbacks"), 6),
            (("config", "model", "lookbacks"), [6, 6]),
            (("config", "model", "lookbacks"), [7]),
            (("config", "model", "lookbacks"), [6, 0]),
            (("config", "model", "lookbacks"), [6, 3.0]),
            (("config", "model", "lookbacks"), [3, 6]),
            (("config", "model", "lookbacks"), [2**31, 6]),
            (("config", "model", "num_layers"), 1000),
            (("config", "model", "log"), 1),
            (("config", "model", "init"), "zero"),
            (("config", "training", "seed"), -1),
            (("config", "training", "epochs"), 2**40),
            (("config", "training", "learning_rate"), "fast"),
            (("config", "data", "separator"), '"'),
            (("config", "data", "separator"), "\n"),
            (("config", "data", "time_format"), "%Y%Y"),
            (("config", "data", "time_format"), "%"),
            (("config", "data", "time_format"), "x" * 101),
            (("config", "data", "id_column"), "gru"),
            (("config", "data", "id_column"), "\x1b[31m"),
            (("config", "data", "time_column"), "a\nb"),
            (("config", "data", "target_columns"), "sold"),
            (("config", "data", "na_values"), [1]),
            (("frequency", "count"), 2**62),
            (("frequency", "day"), 32),
            (("frequency", "day"), -1),
            (("frequency", "month_end"), 1),
            (("frequency", "offset"), "+2"),
            (("frequency", "offset"), "\x1b[31m"),
            (("versions",), 5),
            (("versions",), {"rnnforecast": 1}),
            (("more",), 1),
            (("record",), []),
            (("record", "data"), []),
            (("record", "settings"), "none"),
            (("record", "metrics"), [5]),
            (("record", "metrics"), [{"model": "gru", "mae": "low"}]),
            (("record", "metrics"), [{"model": "gru", "mae": [1]}]),
            (("record", "history"), {}),
            (("record", "history"), [{"epoch": True}]),
            (("record", "more"), [[[[[[[]]]]]]]),
        )
    },
    **{
        f"{name} is {what}": set_tensor(name, value)
        for name, what, value in (
            ("network.members.0.decoder.projection.location.bias", "absent", None),
            ("network.members.0.decoder.projection.location.bias", "too long", torch.zeros(4)),
            ("network.members.0.decoder.projection.location.bias", "a matrix", torch.zeros(3, 1)),
            (f"{SKIP}.start", "transposed", torch.zeros(6, 3)),
            (f"{SKIP}.change", "transposed", torch.zeros(6, 3)),
            ("lookback.values", "absent", None),
            ("lookback.values", "too short", torch.zeros(6, dtype=torch.float64)),
            ("lookback.values", "too long", torch.zeros(8, dtype=torch.float64)),
            ("lookback.values", "a matrix", torch.zeros(7, 1, dtype=torch.float64)),
            ("lookback.values", "of integers", torch.zeros(7, dtype=torch.int64)),
            ("lookback.values", "single", torch.zeros(7, dtype=torch.float32)),
            ("lookback.offsets", "absent", None),
            ("lookback.offsets", "empty", torch.zeros(0, dtype=torch.int64)),
            ("lookback.offsets", "too short", torch.tensor([0, 7])),
            ("lookback.offsets", "too long", torch.tensor([0, 3, 5, 7])),
            ("lookback.offsets", "negative", torch.tensor([-2, 5, 7])),
            ("lookback.offsets", "after the first value", torch.tensor([1, 5, 7])),
            ("lookback.offsets", "descending", torch.tensor([0, 8, 7])),
            ("lookback.offsets", "beyond the values", torch.tensor([0, 5, 2**40])),
            ("lookback.offsets", "of floats", torch.tensor([0.0, 5.0, 7.0])),
            ("lookback.offsets", "beyond counting", torch.tensor([0, -(2**62), 7])),
            ("lookback.offsets", "without a step", torch.tensor([0, 7, 7])),
            ("lookback.values", "infinite", torch.full((7,), torch.inf, dtype=torch.float64)),
            ("lookback.values", "too large", torch.full((7,), 1e200, dtype=torch.float64)),
            ("lookback.starts", "first of all", torch.tensor([0, -(2**63)])),
            ("lookback.starts", "last of all", torch.tensor([0, 2**63 - 1])),
            (f"{SKIP}.change", "double", torch.zeros(3, 6, dtype=torch.float64)),
            (f"{SKIP}.change", "unknown", torch.full((3, 6), torch.nan)),
            (f"{SKIP}.change", "infinite", torch.full((3, 6), torch.inf)),
            (f"{SKIP}.start", "double", torch.zeros(3, 6, dtype=torch.float64)),
            (f"{SKIP}.start", "unknown", torch.full((3, 6), torch.nan)),
            (f"{SKIP}.start", "infinite", torch.full((3, 6), torch.inf)),
            (f"{SKIP}.start", "absent", None),
            ("lookback.starts", "absent", None),
            ("lookback.starts", "too short", torch.tensor([0])),
            ("lookback.starts", "of floats", torch.tensor([0.0, 1.0])),
            ("intervals.factors", "single", torch.ones(3, 2)),
            ("intervals.factors", "of integers", torch.ones(3, 2, dtype=torch.int64)),
            ("intervals.factors", "of halves", torch.ones(3, 2, dtype=torch.bfloat16)),
            ("intervals.factors", "transposed", torch.ones(2, 3, dtype=torch.float64)),
            ("intervals.factors", "too long", torch.ones(4, 2, dtype=torch.float64)),
            ("intervals.factors", "flat", torch.ones(6, dtype=torch.float64)),
            ("intervals.factors", "empty", torch.ones(0, dtype=torch.float64)),
            ("intervals.factors", "negative", -torch.ones(3, 2, dtype=torch.float64)),
            ("intervals.factors", "infinite", torch.ones(3, 2, dtype=torch.float64) * torch.inf),
            ("intervals.factors", "unknown", torch.ones(3, 2, dtype=torch.float64) * torch.nan),
        )
    },
    "a tensor too many": lambda header, tensors: tensors.update({"network.more": torch.zeros(1)}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_load_artifact_raises_when_a_part_is_changed(
    change: Callable[[Header, Tensors], None], content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    change(header, tensors)
    assert "sha256" not in load_damaged(packed(header, tensors), tmp_path)


def test_load_artifact_raises_when_a_series_is_longer_than_the_lookback(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    tensors["lookback.values"] = torch.ones(8, dtype=torch.float64)
    tensors["lookback.offsets"] = torch.tensor([0, 6, 8])
    (tmp_path / MODEL_FILE).write_bytes(packed(header, tensors))
    assert load_artifact(tmp_path, CPU).panel.lengths.tolist() == [6, 2]
    tensors["lookback.offsets"] = torch.tensor([0, 7, 8])
    message = load_damaged(packed(header, tensors), tmp_path)
    assert "a series is longer than the lookback" in message


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_load_artifact_loads_or_raises_when_bytes_of_the_header_are_changed(
    data: st.DataObject, content: bytes, tmp_path: Path
) -> None:
    """Spaces at its end may change; nothing but ArtifactError may come of the rest."""
    end = 8 + int.from_bytes(content[:8], "little")
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / MODEL_FILE).write_bytes(damaged)
    try:
        loaded = load_artifact(tmp_path, CPU)
    except ArtifactError as error:
        assert "\n" not in str(error)
        assert str(error).endswith("; train again")
    else:
        assert pack_artifact(loaded) == content


def test_load_artifact_aligns_weights_when_header_is_of_any_length(tmp_path: Path) -> None:
    """Where weights lie askew, sums come out differently in their last bits."""
    for length in range(8):
        artifact = replace(make_artifact(), record={"data": {"name": "x" * length}})
        save_artifact(artifact, tmp_path)
        weights = load_artifact(tmp_path, CPU).forecaster.network.parameters()
        assert all(weight.data_ptr() % 64 == 0 for weight in weights)


@settings(deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_load_artifact_says_damaged_when_a_bit_is_flipped(
    share: float, bit: int, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flipped = bytearray(content)
    flipped[int(share * len(content))] ^= 1 << bit
    assert "damaged" in load_damaged(bytes(flipped), tmp_path_factory.mktemp("flipped"))


def test_load_artifact_tells_of_the_digest_when_a_weight_or_the_record_is_changed(
    content: bytes, tmp_path: Path
) -> None:
    for place in (len(content) - 1, content.index(b"best_epoch") + 14):
        changed = bytearray(content)
        changed[place] ^= 1
        assert "its content is not that of its sha256" in load_damaged(bytes(changed), tmp_path)
    header, tensors = taken_apart(content, tmp_path)
    unsigned = save(tensors, {KEY: json.dumps(header)})
    assert "its content is not that of its sha256" in load_damaged(unsigned, tmp_path)


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ('"best_epoch": 4', '"best_epoch": 4, "best_epoch": 4', "a name twice"),
        ('"best_epoch": 4', '"best_epoch": NaN', "NaN"),
        ('"best_epoch": 4', '"best_epoch": ' + "9" * 20, "beyond 64 bits"),
        ('"best_epoch": 4', '"best_epoch": ' + "9" * 10**4, "beyond 64 bits"),
        ('"best_epoch": 4', '"best_epoch": "\\udc80"', "surrogates not allowed"),
        ('"007"', '"\\ud800"', "surrogates not allowed"),
        ('"best_epoch": 4', '"best_epoch": ' + "[" * 10**5 + "]" * 10**5, "recursion"),
    ],
    ids=["twice", "nan", "large", "huge", "surrogate", "id", "deep"],
)
def test_load_artifact_raises_when_the_json_is_not_plain(
    old: str, new: str, reason: str, content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    text = json.dumps(header, sort_keys=True, ensure_ascii=False)
    assert text.count(old) == 1
    assert reason in load_damaged(signed(text.replace(old, new), tensors), tmp_path)


def test_load_artifact_raises_when_the_size_of_the_header_is_a_lie(
    content: bytes, tmp_path: Path
) -> None:
    for size in (2**63, 2**40, len(content) - 7):
        lying = size.to_bytes(8, "little") + content[8:]
        assert "cut short" in load_damaged(lying, tmp_path)
    header, tensors = taken_apart(content, tmp_path)
    header["record"]["more"] = " " * 2**24
    assert "a header of" in load_damaged(packed(header, tensors), tmp_path)


def test_load_artifact_raises_when_the_header_has_more_than_it_signs(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    text = json.dumps(header)
    assert "its header is not one of" in load_damaged(
        save(tensors, {KEY: text, "more": ""}), tmp_path
    )


def test_load_artifact_shows_no_control_character_when_the_file_holds_some(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    header["config"]["model"]["model"] = "\x1b[31m" + "x" * 10**4
    message = load_damaged(packed(header, tensors), tmp_path)
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("lookback, ids", [(2**31 - 1, 1), (10**6, 1), (2049, 1), (2048, 2050)])
def test_load_artifact_raises_when_it_would_read_far_more_than_it_keeps(
    lookback: int, ids: int, tmp_path: Path
) -> None:
    """The linear skip reads 1024 values of any lookback, so that its weights fit them all."""
    save_artifact(make_artifact(lookback=1030, segment_length=1), tmp_path)
    header, tensors = unpacked(tmp_path / MODEL_FILE)
    header["config"]["windows"]["lookback"] = lookback
    header["ids"] = [str(place) for place in range(ids)]
    tensors["lookback.values"] = torch.ones(ids, dtype=torch.float64)
    tensors["lookback.offsets"] = torch.arange(ids + 1)
    tensors["lookback.starts"] = torch.zeros(ids, dtype=torch.int64)
    assert "more than a model file may hold" in load_damaged(packed(header, tensors), tmp_path)


@pytest.mark.parametrize("lookback, kept", [(2048, 1), (100_000, 100_000), (100_000, 50_000)])
def test_load_artifact_loads_when_the_lookback_is_long(
    lookback: int, kept: int, tmp_path: Path
) -> None:
    artifact = make_artifact(lookback=lookback, segment_length=1)
    panel = replace(
        artifact.panel, ids=("a",), values=np.ones(kept), offsets=np.array([0, kept]), starts=DAYS
    )
    save_artifact(replace(artifact, panel=panel), tmp_path)
    assert load_artifact(tmp_path, CPU).forecaster.config.windows.lookback == lookback


def test_pack_artifact_raises_when_the_file_could_not_be_loaded() -> None:
    with pytest.raises(ConfigError, match="a lookback of 2049 where series have 5 values at most"):
        pack_artifact(make_artifact(lookback=2049))


@pytest.mark.parametrize("name", ["gru", "linear"])
def test_load_artifact_raises_before_any_network_when_a_file_claims_very_many_members(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_artifact(make_artifact(model=name, lookbacks=(6, 6)), tmp_path)
    header, tensors = unpacked(tmp_path / MODEL_FILE)

    def build(*arguments: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("rnnforecast.artifact.Ensemble", build)
    few = len(tensors) + 1
    claims = {few: f"{few} layers in {len(tensors)} tensors", 101: "100 at most", 10**6: "at most"}
    for count, reason in claims.items():
        header["config"]["model"]["lookbacks"] = [6] * count
        assert reason in load_damaged(packed(header, tensors), tmp_path)


def test_load_artifact_raises_when_members_read_other_lookbacks_than_their_weights(
    tmp_path: Path,
) -> None:
    save_artifact(make_artifact(lookbacks=(6, 4)), tmp_path)
    header, tensors = unpacked(tmp_path / MODEL_FILE)
    for lookbacks in ([6, 3], [6, 6], [6, 4, 4], [6], []):
        header["config"]["model"]["lookbacks"] = lookbacks
        assert "no model this version can read" in load_damaged(packed(header, tensors), tmp_path)


def test_pack_artifact_counts_every_member_when_it_bounds_what_is_read() -> None:
    ids = 700
    for members, fits in ((2, True), (3, False)):
        artifact = make_artifact(lookback=2048, segment_length=1, lookbacks=(2048,) * members)
        panel = replace(
            artifact.panel,
            ids=tuple(map(str, range(ids))),
            values=np.ones(ids),
            offsets=np.arange(ids + 1),
            starts=np.repeat(DAYS, ids),
        )
        if fits:
            pack_artifact(replace(artifact, panel=panel))
        else:
            with pytest.raises(ConfigError, match=f"^{3 * ids * 2048} values to read: more than"):
                pack_artifact(replace(artifact, panel=panel))


def test_load_artifact_raises_when_layers_skip_far_more_than_there_is(tmp_path: Path) -> None:
    save_artifact(make_artifact(model="dilated-gru", num_layers=12), tmp_path)
    load_artifact(tmp_path, CPU)
    with pytest.raises(ConfigError, match="a lookback of 4096"):
        pack_artifact(make_artifact(model="dilated-gru", num_layers=13))


@pytest.mark.parametrize("model, horizon, ids", [("linear", 10**4, 200), ("deepar", 10**4, 50)])
def test_pack_artifact_raises_when_a_forecast_would_be_far_larger_than_the_file(
    model: str, horizon: int, ids: int
) -> None:
    artifact = make_artifact(lookback=1, model=model, head=MODELS[model].head)
    config = artifact.forecaster.config
    config = replace(config, windows=replace(config.windows, horizon=horizon))
    for count, fits in ((1, True), (ids, False)):
        panel = replace(
            artifact.panel,
            ids=tuple(map(str, range(count))),
            values=np.ones(count),
            offsets=np.arange(count + 1),
            starts=np.repeat(DAYS, count),
        )
        network = Ensemble(config.model, config.windows)
        whole = replace(artifact, panel=panel, forecaster=Forecaster(config, network))
        if fits:
            pack_artifact(whole)
        else:
            with pytest.raises(ConfigError, match=r"\d+ cells to forecast"):
                pack_artifact(whole)


def test_load_artifact_raises_when_a_path_is_far_too_long(tmp_path: Path) -> None:
    artifact = make_artifact(lookback=1, model="deepar", head="normal")
    config = artifact.forecaster.config
    config = replace(config, windows=replace(config.windows, horizon=2**14 + 1))
    network = Ensemble(config.model, config.windows)
    with pytest.raises(ConfigError, match="paths of 16385 steps"):
        pack_artifact(replace(artifact, forecaster=Forecaster(config, network)))


@pytest.mark.parametrize("unit, start", [("business-day", 2), ("month", 2**62), ("step", 2**61)])
def test_load_artifact_raises_when_times_leave_the_calendar(
    unit: str, start: int, content: bytes, tmp_path: Path
) -> None:
    header, tensors = taken_apart(content, tmp_path)
    header["frequency"] |= {"unit": unit, "count": 1}
    starts = torch.tensor([0, start])
    tensors["lookback.starts"] = starts * DAY if unit == "business-day" else starts
    assert "more than a model file may hold" in load_damaged(packed(header, tensors), tmp_path)


def test_load_artifact_reads_anew_when_a_run_replaces_the_file_meanwhile(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / MODEL_FILE
    path.write_bytes(content[:-1] + b"x")
    stages: list[str] = []

    def replace_file(stage: str) -> None:
        if not stages:
            save_artifact(make_artifact(), tmp_path)
        stages.append(stage)

    load_artifact(tmp_path, CPU, replace_file)
    assert stages == ["file", "schema", "file", "schema", "digest", "content"]


def test_artifact_keeps_yearly_components_when_it_is_packed(tmp_path: Path) -> None:
    components = (YearlyComponent(id="007", coefficients=(0.1, -2.5, 1 / 3, 1e9)),)
    artifact = make_artifact()
    yearly = Yearly(own=components, shared=(0.5, -1 / 3, 0.0, 1e-9))
    config = replace(artifact.forecaster.config, yearly=yearly)
    forecaster = replace(artifact.forecaster, config=config)
    save_artifact(replace(artifact, forecaster=forecaster), tmp_path)
    assert load_artifact(tmp_path, CPU).forecaster.config == config


@pytest.mark.parametrize(
    ("own", "shared", "message"),
    [
        (("a", "a"), (), "of different series, got \\['a'\\]"),
        ((), (1.0,) * 4, "shared must be empty where own is"),
        (("a",), (1.0,) * 3, "shared must be 4 numbers"),
        (("a",), (1.0, 1.0, 1.0, math.inf), "shared must be finite"),
    ],
)
def test_yearly_raises_when_components_are_not_of_different_series(
    own: tuple[str, ...], shared: tuple[float, ...], message: str
) -> None:
    components = tuple(YearlyComponent(id=name, coefficients=(1.0,) * 4) for name in own)
    with pytest.raises(ConfigError, match=message):
        Yearly(own=components, shared=shared)


def test_load_artifact_raises_when_a_yearly_component_is_of_steps_that_are_no_days(
    tmp_path: Path,
) -> None:
    artifact = make_artifact()
    components = (YearlyComponent(id="007", coefficients=(1.0,) * 4),)
    config = replace(artifact.forecaster.config, yearly=Yearly(own=components))
    panel = replace(artifact.panel, frequency=Frequency(unit="month"))
    forecaster = replace(artifact.forecaster, config=config)
    save_artifact(replace(artifact, forecaster=forecaster, panel=panel), tmp_path)
    with pytest.raises(ArtifactError, match="yearly seasonality of steps that are no days"):
        load_artifact(tmp_path, CPU)


@pytest.mark.parametrize(
    ("changed", "scale", "own", "shared", "message"),
    [
        ({"log": True}, "logarithms", 1e3, 0.0, "yearly seasonality of 1000"),
        ({"log": True}, "logarithms", 1.0, 1e3, "yearly seasonality of 1000"),
        ({"log": True}, "shares", 1.0, 0.0, "on another scale than the model"),
        ({"log": False}, "logarithms", 1.0, 0.0, "on another scale than the model"),
        ({"head": "negative-binomial"}, "units", 1.0, 0.0, "counts, which are whole"),
    ],
)
def test_load_artifact_raises_when_a_yearly_component_does_not_go_with_the_model(
    changed: dict[str, Any],
    scale: YearlyScale,
    own: float,
    shared: float,
    message: str,
    tmp_path: Path,
) -> None:
    artifact = make_artifact(**changed)
    components = (YearlyComponent(id="007", coefficients=(own,) * 4),)
    yearly = Yearly(scale=scale, own=components, shared=(shared,) * 4)
    config = replace(artifact.forecaster.config, yearly=yearly)
    forecaster = replace(artifact.forecaster, config=config)
    save_artifact(replace(artifact, forecaster=forecaster), tmp_path)
    with pytest.raises(ArtifactError, match=message):
        load_artifact(tmp_path, CPU)
