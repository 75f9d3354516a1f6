"""Covariates in a model file: what cannot be, or is beyond all measure, is refused before use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnforecast.artifact import MODEL_FILE, Artifact, load_artifact, pack_artifact
from rnnforecast.columns import Encoding, sizes_of
from rnnforecast.data.calendar_features import calendar_encodings
from rnnforecast.data.panel import Features
from rnnforecast.errors import ArtifactError, ConfigError
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from tests.model_files import Header, Tensors, make_artifact, packed, save_artifact, unpacked

CPU = torch.device("cpu")
COLUMNS = (
    Encoding(name="size", role="static", mean=3.0, scale=2.0),
    Encoding(name="visitors", role="past"),
    Encoding(name="promotion", role="future", categories=("half", "none")),
)

Change = Callable[[Header, Tensors], None]


def with_covariates(columns: tuple[Encoding, ...] = COLUMNS, lookback: int = 6) -> Artifact:
    """The small model with a covariate of each role, and the calendar and holidays of days."""
    plain = make_artifact(lookback)
    panel, config = plain.panel, plain.forecaster.config
    data = replace(
        config.data,
        static_columns=("size",),
        past_columns=tuple(each.name for each in columns if each.role == "past"),
        future_columns=("promotion",),
        categorical_columns=("promotion",),
        time_zone="Europe/Paris",
        holidays="FR",
    )
    calendar = calendar_encodings(panel.frequency)
    encodings = (*columns, *calendar, Encoding(name="holiday-FR", role="future"))
    sizes = sizes_of(encodings)
    model = replace(config.model, inputs=sizes)
    config = replace(config, data=data, model=model, encodings=encodings)
    ahead = np.concatenate([[0], np.cumsum(panel.lengths + config.windows.horizon)])
    rng = np.random.default_rng(0)
    features = Features(
        past=rng.normal(size=(len(panel.values), sizes.past)).astype(np.float32),
        future=rng.normal(size=(ahead[-1], sizes.future)).astype(np.float32),
        future_offsets=ahead,
        static=rng.normal(size=(len(panel), sizes.static)).astype(np.float32),
    )
    return Artifact(
        forecaster=Forecaster(config, Ensemble(config.model, config.windows)),
        panel=replace(panel, features=features),
        record=plain.record,
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a whole model file."""
    directory = tmp_path_factory.mktemp("whole")
    save_artifact(with_covariates(), directory)
    return (directory / MODEL_FILE).read_bytes()


def changed(content: bytes, directory: Path, change: Change) -> None:
    """Write the file with a change, signed as anyone can."""
    path = directory / MODEL_FILE
    path.write_bytes(content)
    header, tensors = unpacked(path)
    change(header, tensors)
    path.write_bytes(packed(header, tensors))


def test_load_artifact_gives_back_covariates_when_saved_before(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)
    loaded, saved = load_artifact(tmp_path, CPU), with_covariates()
    assert loaded.forecaster.config == saved.forecaster.config
    assert loaded.panel.features is not None and saved.panel.features is not None
    for name in ("past", "future", "future_offsets", "static"):
        found, expected = getattr(loaded.panel.features, name), getattr(saved.panel.features, name)
        assert found.tobytes() == expected.tobytes()


def set_data(**values: object) -> Change:
    """Other settings of data."""
    return lambda header, tensors: header["config"]["data"].update(values)


def set_encoding(place: int, **values: object) -> Change:
    """Other values of one encoding."""
    return lambda header, tensors: header["config"]["encodings"][place].update(values)


def fill(part: str, value: float) -> Change:
    """One value in a tensor of covariates."""

    def change(header: Header, tensors: Tensors) -> None:
        tensors[f"lookback.{part}"][-1, -1] = value

    return change


def with_many(count: int, **values: Any) -> Change:
    """So many past columns more, and their values."""

    def change(header: Header, tensors: Tensors) -> None:
        config = header["config"]
        names = [f"c{place}" for place in range(count)]
        config["data"]["past_columns"] += names
        added = [Encoding(name=name, role="past") for name in names]
        config["encodings"] += [asdict(each) | values for each in added]
        width = len(values.get("categories", [0]))
        config["model"]["inputs"]["past"] += count * width
        past = tensors["lookback.past"]
        tensors["lookback.past"] = torch.zeros(len(past), past.shape[1] + count * width)

    return change


def twice(header: Header, tensors: Tensors) -> None:
    """The encoding of one column in the place of another."""
    header["config"]["encodings"][1] |= {"name": "size", "role": "past"}


CHANGES: dict[str, tuple[Change, str]] = {
    **{
        f"{part} is {value}": (fill(part, value), "a covariate is infinite")
        for part in ("past", "future", "static")
        for value in (math.inf, -math.inf)
    },
    **{
        f"{name} is {value}": (set_encoding(0, **{name: value}), f"{name} must be ")
        for name, value in (
            *(("mean", math.inf), ("mean", -math.inf), ("scale", math.inf)),
            *(("scale", 0.0), ("scale", -1.0)),
        )
    },
    "51 categories": (
        with_many(1, categories=[f"{place:02d}" for place in range(51)]),
        "51 categories",
    ),
    "a category twice": (set_encoding(2, categories=["half", "half"]), "a category twice"),
    "a thousand encodings": (with_many(1000), "encodings"),
    "an encoding twice": (twice, "other covariates are encoded"),
    "an encoding of no column": (set_encoding(1, name="elsewhere"), "other covariates"),
    "an encoding of another role": (set_encoding(0, role="past"), "other covariates"),
    "a calendar of another kind": (set_encoding(3, name="hour-sin"), "calendar"),
    "a calendar that is past": (set_encoding(3, role="past"), "covariates"),
    "a calendar of another scale": (set_encoding(3, scale=2.0), "calendar"),
    "holidays of nowhere": (
        lambda header, tensors: (
            set_data(holidays="ZZZZ")(header, tensors),
            set_encoding(-1, name="holiday-ZZZZ")(header, tensors),
        )[0],
        "holidays",
    ),
    "holidays that are not encoded": (set_data(holidays="DE"), "calendar"),
    "a calendar that is not asked for": (set_data(holidays=None), "calendar"),
    "a slow encoding": (set_data(encoding="punycode"), "encoding must be"),
    "a slow encoding by another name": (set_data(encoding="IDNA"), "encoding must be"),
    "an encoding of bytes": (set_data(encoding="zlib"), "encoding must be"),
    "an encoding that is none": (set_data(encoding="\0"), "encoding must be"),
    "a zone that is none": (set_data(time_zone="Nowhere/City"), "no time zone 'Nowhere/City'"),
    "a file for a zone": (set_data(time_zone="../../etc/passwd"), "no time zone"),
    "no word for gaps": (set_data(missing="guess"), "missing must be"),
    "no word for joining": (set_data(aggregate="guess"), "agg must be"),
    "no step": (set_data(resample="fortnight"), "resample must be a step"),
    "a step of another kind": (set_data(resample="3"), "resample must be a step"),
    "a step of another length": (set_data(resample="h"), "resample"),
    "an offset of nowhere": (
        lambda header, tensors: header["frequency"].update(offset="Nowhere/City"),
        "an offset from UTC that is none",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_load_artifact_raises_when_what_is_told_of_covariates_is_changed(
    name: str, content: bytes, tmp_path: Path
) -> None:
    change, reason = CHANGES[name]
    changed(content, tmp_path, change)
    with pytest.raises(ArtifactError, match="damaged, or no model this version can read") as caught:
        load_artifact(tmp_path, CPU)
    assert reason in str(caught.value)


def test_load_artifact_raises_before_the_network_when_a_file_claims_many_categories(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("rnnforecast.artifact.Ensemble", build)
    monkeypatch.setattr("rnnforecast.artifact.stored_panel", build)
    for change in (with_many(1, categories=[str(k) for k in range(10**5)]), with_many(10**4)):
        changed(content, tmp_path, change)
        with pytest.raises(ArtifactError, match="more than a model file may hold"):
            load_artifact(tmp_path, CPU)


def test_load_artifact_ends_at_once_when_a_file_names_very_many_columns(
    content: bytes, tmp_path: Path
) -> None:
    names = [f"c{place}" for place in range(2 * 10**5)]
    change = set_data(past_columns=names, categorical_columns=["promotion", *names])
    changed(content, tmp_path, change)
    with pytest.raises(ArtifactError):
        load_artifact(tmp_path, CPU)


def test_load_artifact_loads_when_a_column_has_as_many_categories_as_may_be(
    tmp_path: Path,
) -> None:
    most = Encoding(name="visitors", role="past", categories=tuple(f"{k:02d}" for k in range(50)))
    save_artifact(with_covariates((COLUMNS[0], most, COLUMNS[2])), tmp_path)
    assert most in load_artifact(tmp_path, CPU).forecaster.config.encodings


def test_pack_artifact_raises_when_there_are_more_encodings_than_a_file_may_hold() -> None:
    many = tuple(Encoding(name=f"c{place}", role="past") for place in range(1001))
    with pytest.raises(ConfigError, match="encodings: more than a model file may hold"):
        pack_artifact(with_covariates((COLUMNS[0], *many, COLUMNS[2])))


def test_pack_artifact_counts_covariates_when_it_bounds_what_is_read() -> None:
    """What is known ahead is left out, but would be read at each step of a long lookback."""
    half = Encoding(name="promotion", role="future", categories=tuple(map(str, range(50))))
    others = tuple(Encoding(name=f"c{place}", role="past") for place in range(20))
    artifact = with_covariates((COLUMNS[0], *others, half), lookback=2048)
    pack_artifact(artifact)
    features = artifact.panel.features
    assert features is not None
    ids = 40
    panel = replace(
        artifact.panel,
        ids=tuple(map(str, range(ids))),
        values=np.ones(ids),
        offsets=np.arange(ids + 1),
        starts=np.zeros(ids, dtype=np.int64),
        features=replace(
            features,
            past=np.zeros((ids, 20), dtype=np.float32),
            future=features.future[:0],
            future_offsets=np.zeros(ids + 1, dtype=np.int64),
            static=np.zeros((ids, 1), dtype=np.float32),
        ),
    )
    with pytest.raises(ConfigError, match="values to read"):
        pack_artifact(replace(artifact, panel=panel))
