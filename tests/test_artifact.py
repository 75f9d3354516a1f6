"""The model file: what is read is what was written, and nothing damaged passes for a model."""

from __future__ import annotations

import json
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
from torch import Tensor

from rnnforecast.artifact import KEY, MODEL_FILE, Artifact, load_artifact, pack_artifact
from rnnforecast.config import DataConfig, ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.files import write_files
from rnnforecast.data.panel import Panel
from rnnforecast.errors import ArtifactError
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import MODELS
from rnnforecast.runtime import seed_everything

CPU = torch.device("cpu")
TRAINING = TrainConfig(
    epochs=1,
    batches_per_epoch=1,
    batch_size=32,
    learning_rate=1e-3,
    clip_norm=1.0,
    clip_value=float("inf"),
    patience=1,
    seed=0,
)


def make_artifact(**changed: Any) -> Artifact:
    """A calibrated network with random weights, and two ragged series, one with a gap."""
    model = ModelSpec(**{"model": "gru", "hidden_size": 4, "segment_length": 2, **changed})
    config = RunConfig(
        data=DataConfig(id_column="shop", time_column="day", target_columns=("sold",)),
        windows=WindowSpec(lookback=6, horizon=3, seasons=(2, 4)),
        model=model,
        training=TRAINING,
    )
    seed_everything(3)
    network = ForecastNetwork(config.model, config.windows)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights) / 8)
    panel = Panel(
        ids=("007", 'Zürich, "Süd"\n'),
        values=np.array([3.0, 1.5, np.nan, 1 / 3, 12345.678, 2.0, 7.0]),
        offsets=np.array([0, 5, 7]),
        starts=np.array([0, 86_400_000_000]),
        frequency=Frequency(unit="microsecond", count=86_400_000_000, date_only=True),
    )
    record = {"best_epoch": 4, "metrics": [{"model": "gru", "mase": None, "mae": 0.1 + 0.2}]}
    factors = np.geomspace(0.1, 10, 3 * len(model.levels)).reshape(3, -1)
    forecaster = Forecaster(config, network, factors)
    return Artifact(forecaster=forecaster, panel=panel, record=record)


def save_artifact(artifact: Artifact, directory: Path) -> None:
    write_files({directory / MODEL_FILE: pack_artifact(artifact)})


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
    assert header["schema_version"] == 3
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
    assert "not a model this version can read" in load_damaged(garbage, tmp_path)


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
    _, tensors = unpacked(content, tmp_path)
    load_damaged(save(tensors, metadata), tmp_path)


@pytest.mark.parametrize("text", ["", "not json", "[]", "7", "null", '"text"', "[" * 10**5])
def test_load_artifact_raises_when_the_header_is_no_object(
    text: str, content: bytes, tmp_path: Path
) -> None:
    _, tensors = unpacked(content, tmp_path)
    load_damaged(save(tensors, {KEY: text}), tmp_path)


def test_load_artifact_names_both_versions_when_the_schema_is_another(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = unpacked(content, tmp_path)
    header |= {"schema_version": 99, "versions": {"rnnforecast": "9.8.7"}}
    message = load_damaged(packed(header, tensors), tmp_path)
    assert "schema 99 was written by rnnforecast 9.8.7, this is " in message


def test_load_artifact_says_to_train_again_when_the_schema_is_that_before_calibration(
    content: bytes, tmp_path: Path
) -> None:
    header, tensors = unpacked(content, tmp_path)
    header |= {"schema_version": 1, "versions": {"rnnforecast": "0.1.0"}}
    assert "schema 1 was written by rnnforecast 0.1.0" in load_damaged(
        packed(header, tensors), tmp_path
    )


Header = dict[str, Any]
Tensors = dict[str, Tensor]


def unpacked(content: bytes, directory: Path) -> tuple[Header, Tensors]:
    path = directory / "unpacked"
    path.write_bytes(content)
    with safe_open(path, framework="pt") as file:
        header: Header = json.loads(file.metadata()[KEY])
        return header, {name: file.get_tensor(name).clone() for name in file.keys()}


def packed(header: Header, tensors: Tensors) -> bytes:
    return save(tensors, {KEY: json.dumps(header)})


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


def set_tensor(name: str, value: Tensor | None) -> Callable[[Header, Tensors], None]:
    """A change that replaces or removes one tensor."""

    def change(header: Header, tensors: Tensors) -> None:
        del tensors[name]
        if value is not None:
            tensors[name] = value

    return change


CHANGES = {
    **{
        f"no {'.'.join(path)}": drop(*path)
        for path in (
            ("schema_version",),
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
        )
    },
    **{
        f"{name} is {what}": set_tensor(name, value)
        for name, what, value in (
            ("network.decoder.projection.location.bias", "absent", None),
            ("network.decoder.projection.location.bias", "too long", torch.zeros(4)),
            ("network.decoder.projection.location.bias", "a matrix", torch.zeros(3, 1)),
            ("network.skip.weight", "transposed", torch.zeros(6, 3)),
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
            ("lookback.offsets", "descending", torch.tensor([0, 8, 7])),
            ("lookback.offsets", "beyond the values", torch.tensor([0, 5, 2**40])),
            ("lookback.offsets", "of floats", torch.tensor([0.0, 5.0, 7.0])),
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
    header, tensors = unpacked(content, tmp_path)
    change(header, tensors)
    load_damaged(packed(header, tensors), tmp_path)


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
    """A changed digit may still be a model; nothing but ArtifactError may come of the rest."""
    end = 8 + int.from_bytes(content[:8], "little")
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / MODEL_FILE).write_bytes(damaged)
    try:
        load_artifact(tmp_path, CPU)
    except ArtifactError as error:
        assert "\n" not in str(error)
        assert str(error).endswith("; train again")


def test_load_artifact_aligns_weights_when_header_is_of_any_length(tmp_path: Path) -> None:
    """Where weights lie askew, sums come out differently in their last bits."""
    for length in range(8):
        artifact = replace(make_artifact(), record={"data": {"name": "x" * length}})
        save_artifact(artifact, tmp_path)
        weights = load_artifact(tmp_path, CPU).forecaster.network.parameters()
        assert all(weight.data_ptr() % 64 == 0 for weight in weights)
