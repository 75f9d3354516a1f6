"""How a stored model goes on learning from newer data, and what keeps it from getting worse."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from rnnforecast.arrays import FloatArray
from rnnforecast.artifact import Artifact, load_artifact, pack_artifact
from rnnforecast.columns import DataConfig
from rnnforecast.config import Settings
from rnnforecast.contenders import Contender
from rnnforecast.control import RunControl
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.source import open_source
from rnnforecast.errors import ArtifactError, DataError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.forecaster import Forecaster
from rnnforecast.training.loop import EpochRecord, FitResult, Progress
from rnnforecast.workflows import checkpoints, continuing, fitting
from rnnforecast.workflows import update as workflow
from rnnforecast.workflows.continuing import Case
from rnnforecast.workflows.forecast import forecast
from rnnforecast.workflows.news import find_news, read_record, steps_before
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Mute
from rnnforecast.workflows.scoring import Scored
from rnnforecast.workflows.train import TrainRequest, train
from rnnforecast.workflows.update import UpdateRequest, update

HORIZON = 3
LENGTHS = {"a": 56, "b": 62, "c": 50}
SETTINGS = Settings(
    horizon=HORIZON, preset="fast", hidden_size=4, epochs=5, batch_size=16, season=5
)
MODEL = "model.safetensors"


@dataclass
class Heard(Mute):
    """A reporter that remembers."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    @contextmanager
    def training(self, title: str) -> Iterator[Progress]:
        self.titles.append(title)
        yield lambda record, epochs: None


def rows(more: int = 0, names: Sequence[str] = ("a", "b", "c"), length: int = 0) -> pd.DataFrame:
    """Series with a trend and a season of five, `more` days longer than those of training."""
    parts = []
    for name in names:
        steps = np.arange(length or LENGTHS[name] + more)
        noise = np.random.default_rng(ord(name)).normal(size=len(steps))
        y = (20 + 0.2 * steps) * (1 + 0.3 * np.sin(steps * np.pi * 0.4)) + noise
        days = pd.date_range("2024-01-01", periods=len(steps)).strftime("%Y-%m-%d")
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": y}))
    return pd.concat(parts, ignore_index=True)


def write(frame: pd.DataFrame, place: Path) -> str:
    frame.to_csv(place, index=False)
    return str(place)


def fitted(directory: Path, frame: pd.DataFrame, settings: Settings = SETTINGS) -> Path:
    """The directory of a model that is trained on these rows."""
    path = write(frame, directory.with_suffix(".csv"))
    train(
        TrainRequest(path=path, directory=directory, data=DataConfig(), settings=settings), Heard()
    )
    return directory


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose model nothing changes."""
    return fitted(tmp_path_factory.mktemp("trained") / "d", rows())


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "d"))


def go(directory: Path, frame: pd.DataFrame, **asked: Any) -> tuple[Scored, Heard]:
    """Update the model in a directory by these rows."""
    heard = Heard()
    request = UpdateRequest(
        directory=directory,
        path=write(frame, directory.with_suffix(".newer.csv")),
        device="cpu",
        **{"drift": np.inf, **asked},
    )
    return update(request, heard), heard


def read(directory: Path) -> Artifact:
    return load_artifact(directory, torch.device("cpu"))


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return dict(read(directory).forecaster.network.state_dict())


def state(forecaster: Forecaster) -> dict[str, torch.Tensor]:
    return dict(forecaster.network.state_dict())


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


def contents(directory: Path, *without: str) -> dict[str, bytes]:
    kept = (path for path in directory.iterdir() if path.name not in (".lock", *without))
    return {path.name: path.read_bytes() for path in kept}


def unlearn(forecaster: Forecaster) -> None:
    """Turn every weight round, those that its skip starts at included."""
    for weights in forecaster.network.members.state_dict().values():
        weights.mul_(-1)


def spoilt(patch: pytest.MonkeyPatch) -> None:
    """Candidates that have unlearned everything."""
    go_on = workflow.go_on

    def worse(*given: Any) -> tuple[Forecaster, FitResult]:
        forecaster, result = go_on(*given)
        unlearn(forecaster)
        return forecaster, result

    patch.setattr(workflow, "go_on", worse)


def test_update_keeps_the_better_of_two_and_forecasts_what_follows_when_rows_are_added(
    model: Path,
) -> None:
    before = weights(model)
    scored, heard = go(model, rows(8))
    table = scored.metrics.set_index("model")
    other = table.index[1]
    assert other in ("gru-before", "gru-refused")
    assert table["mase"]["gru"] <= table["mase"][other]
    assert equal(weights(model), before) == (other == "gru-refused")
    assert set(table.index) >= {"naive", "seasonal-naive", "drift"}
    assert_frame_equal(scored.metrics, pd.read_csv(model / "metrics.csv"))
    assert len(pd.read_csv(model / "history.csv")) == 1  # a fifth of five epochs
    forecasts = pd.read_csv(model / "forecasts.csv")
    assert list(forecasts["ds"][:HORIZON]) == ["2024-03-05", "2024-03-06", "2024-03-07"]
    assert_frame_equal(forecasts, next(forecast(model, None, Heard())), check_dtype=False)
    assert heard.titles[0] == "updating gru"
    assert read(model).record["updates"] == 1


def test_update_starts_from_the_stored_weights_in_shorter_steps_when_it_fits(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[dict[str, Any]] = []

    def fit(panel: Panel, config: Any, **given: Any) -> tuple[Forecaster, FitResult]:
        fits.append({"initial": given["initial"], "panel": panel, **asdict(config.training)})
        return fit_forecaster(panel, config, **given)

    monkeypatch.setattr(continuing, "fit_forecaster", fit)
    stored = read(model)
    assert stored.scored is not None and not equal(weights(model), state(stored.scored))
    config = stored.forecaster.config
    go(model, rows(8))
    (first,) = fits
    assert equal(dict(first["initial"].state_dict()), state(stored.scored))
    assert (first["epochs"], first["learning_rate"]) == (1, 2e-3 / 4)
    assert list(first["panel"].lengths) == [56 + 5, 62 + 5, 50 + 5]
    assert read(model).forecaster.config == config  # the next update shortens the same


def test_refit_of_an_update_is_that_fit_to_all_data_when_it_is_accepted(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = read(model).forecaster
    go(model, rows(8), guard=False)
    config = fitting.continued(old.config)
    panel = workflow.read_as_trained(open_source(str(model.with_suffix(".newer.csv"))), read(model))
    again, _ = fit_forecaster(panel.panel, config, device=torch.device("cpu"), initial=old.network)
    assert equal(weights(model), dict(again.network.state_dict()))
    assert read(model).record["unseen"] == HORIZON  # of the scored network


def test_update_leaves_every_file_and_returns_its_metrics_when_nothing_is_new(
    model: Path,
) -> None:
    before, table = contents(model), pd.read_csv(model / "metrics.csv")
    for frame in (rows(), rows().sample(frac=1.0, random_state=1)):
        scored, heard = go(model, frame)
        assert_frame_equal(scored.metrics, table)
        assert scored.failure is None
        assert heard.notes[-1].endswith(f"has nothing new: {model} stays as it was")
        assert contents(model) == before
        assert heard.warnings == []
    assert go(model, rows(), fail_if=("mase>=0",))[0].failure is not None


@pytest.mark.parametrize("back", [2, LENGTHS["c"]])
def test_update_takes_note_when_a_value_was_corrected(model: Path, back: int) -> None:
    assert back == 2 or back > read(model).forecaster.config.windows.lookback
    frame = rows()
    frame.loc[len(frame) - back, "y"] += 1
    _, heard = go(model, frame)
    assert "updating gru" in heard.titles
    assert read(model).panel.series(2)[-2] == frame["y"].iloc[-2]


def test_update_forecasts_a_series_that_the_network_never_saw_when_it_is_new(model: Path) -> None:
    frame = pd.concat([rows(), rows(names=("n",), length=20)])
    _, heard = go(model, frame)
    assert "series that the model was not given before: 'n'" in heard.notes
    assert list(pd.read_csv(model / "forecasts.csv")["unique_id"].unique()) == ["a", "b", "c", "n"]
    assert np.isfinite(pd.read_csv(model / "forecasts.csv")["gru"]).all()


@pytest.mark.parametrize("more", [0, 2])
def test_update_refuses_data_that_were_cut_off_unless_that_is_allowed(
    model: Path, more: int
) -> None:
    before, name = contents(model), model.with_suffix(".newer.csv")
    cut = pd.concat([rows(more, names=("c",)), rows(-9, names=("a",))])
    told = (
        f"{name}: series of the model are not there: 'b'; series end earlier than in the data of "
        "the last run: 'a'"
    )
    with pytest.raises(DataError) as raised:
        go(model, cut)
    assert str(raised.value) == (
        f"{told}; pass the whole data, or --allow-loss if these are gone for good"
    )
    assert contents(model) == before
    _, heard = go(model, cut, allow_loss=True)
    losses = told.removeprefix(f"{name}: ").split("; ")
    assert heard.warnings[:2] == [f"{name}: {loss}" for loss in losses]


def test_update_refuses_the_newest_rows_alone_and_takes_those_of_a_rolling_export(
    model: Path,
) -> None:
    """The rows of a night in place of the whole data would leave the model without a memory."""
    before, whole = contents(model), rows(15)
    ahead = whole.groupby("unique_id").cumcount(ascending=False)
    with pytest.raises(
        DataError, match="hold less than half of what the model keeps of them: 'a', 'b'"
    ):
        go(model, whole[ahead < 2])
    assert contents(model) == before
    kept = read(model).panel.lengths.max()
    go(model, whole[ahead < kept])
    assert read(model).panel.lengths.max() == kept


def test_update_drops_a_series_when_it_is_gone_for_good(model: Path) -> None:
    go(model, rows(2, names=("c", "a")), allow_loss=True)
    assert list(pd.read_csv(model / "forecasts.csv")["unique_id"].unique()) == ["c", "a"]


def test_guard_keeps_the_weights_but_follows_the_data_when_a_candidate_is_worse(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(model)
    spoilt(monkeypatch)
    scored, heard = go(model, rows(8))
    table = scored.metrics.set_index("model")["mase"]
    assert list(table.index[:2]) == ["gru", "gru-refused"]
    assert table["gru"] < table["gru-refused"]
    assert (
        f"gru keeps its weights, as its mase would be {table['gru-refused']:.4g} in place of "
        f"{table['gru']:.4g}; pass --no-guard to replace them all the same"
    ) in heard.notes
    assert equal(weights(model), before)
    newer = str(model.with_suffix(".newer.csv"))
    (again,) = forecast(model, lambda encoding: open_source(newer, encoding), Heard())
    (stored,) = forecast(model, None, Heard())
    assert stored.equals(again)
    artifact = read(model)
    assert artifact.record["refused"] and artifact.record["unseen"] == HORIZON + 8
    assert len(artifact.panel) == 3 and heard.titles == ["updating gru"]


def test_refused_model_is_replaced_when_the_guard_is_lifted_for_the_same_data(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(model)
    with pytest.MonkeyPatch.context() as patch:
        spoilt(patch)
        go(model, rows(8))
        kept = contents(model)
        go(model, rows(8))
        assert contents(model) == kept
        _, heard = go(model, rows(8), guard=False)
    assert any(text.startswith("gru is updated, though its mase is") for text in heard.warnings)
    assert not equal(weights(model), before)
    record = read(model).record
    assert (record["updates"], record["refused"], record["unseen"]) == (2, False, HORIZON)


def test_metrics_name_both_models_when_the_candidate_is_accepted(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is the stored model itself is no worse."""

    def same(case: Case, *given: Any) -> tuple[Forecaster, FitResult]:
        record = EpochRecord(
            epoch=1, train_loss=0, gradient_norm=0, clip_rate=0, update_ratio=0, learning_rate=0
        )
        result = FitResult(history=(record,), best_epoch=1, stop_reason="epochs")
        return Forecaster(case.before.config, case.before.network), result

    monkeypatch.setattr(workflow, "go_on", same)
    table = go(model, rows(8))[0].metrics
    assert list(table["model"][:2]) == ["gru", "gru-before"]
    points = table[["mae", "rmse", "bias", "mase"]]
    assert points.iloc[0].equals(points.iloc[1])


def test_update_says_so_when_a_short_series_was_fitted_to_what_it_is_scored_on(
    tmp_path: Path,
) -> None:
    """One of four values is too short to hold any out; of six, the last three are."""
    short = rows(names=("d",), length=4)
    directory = fitted(tmp_path / "d", pd.concat([rows(), short]))
    assert read(directory).record["unseen"] == [HORIZON] * 3 + [0]
    longer = rows(names=("d",), length=6)
    _, heard = go(directory, pd.concat([rows(1), longer]))
    assert heard.warnings[0].startswith("gru had been fitted to 1 of the 12 values that it is")


@pytest.mark.parametrize("refit", [True, False])
def test_scored_network_has_not_seen_what_it_is_scored_on_whether_or_not_there_is_another(
    tmp_path: Path, refit: bool
) -> None:
    directory = fitted(tmp_path / "d", rows(), replace(SETTINGS, refit=refit))
    _, heard = go(directory, rows(1), guard=False)
    assert not any("had been fitted to" in text for text in heard.warnings)
    artifact = read(directory)
    assert artifact.record["unseen"] == HORIZON
    assert artifact.scored is not None
    assert (artifact.scored.network is artifact.forecaster.network) != refit
    assert heard.titles == ["updating gru", "refitting gru on all data"][: 1 + refit]


def test_scored_intervals_keep_their_factors_when_no_window_is_new(model: Path) -> None:
    before = read(model).scored
    go(model, rows(HORIZON - 1), guard=False)
    after = read(model).scored
    assert before is not None and after is not None
    assert before.factors is not None and np.array_equal(before.factors, after.factors)  # type: ignore[arg-type]


def test_intervals_count_a_window_once_when_update_after_update_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(model, model.with_name("other")))
    spoilt(monkeypatch)
    for more in range(1, 9):
        go(model, rows(more))
    go(other, rows(8))
    one, at_once = read(model), read(other)
    assert one.record["refused"] and at_once.record["refused"]
    assert np.array_equal(one.forecaster.factors, at_once.forecaster.factors)  # type: ignore[arg-type]


def test_intervals_widen_when_new_values_lie_outside(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(model).forecaster.factors
    spoilt(monkeypatch)
    frame = rows(30)
    late = frame.groupby("unique_id").cumcount() >= frame["unique_id"].map(LENGTHS)
    frame.loc[late, "y"] *= np.random.default_rng(0).uniform(0.3, 3, late.sum())
    go(model, frame)
    after = read(model).forecaster.factors
    assert before is not None and after is not None and (after[:, 0] > before[:, 0]).all()


@dataclass(frozen=True)
class Said:
    """The weights of the candidate, and its forecasts of what was held out."""

    weights: dict[str, torch.Tensor]
    forecasts: FloatArray
    factors: dict[str, FloatArray]


def said(model: Path, frame: pd.DataFrame) -> Said:
    """What the candidate of an update says, whatever becomes of it."""
    heard: list[Said] = []
    score = workflow.score

    def listen(networks: Sequence[Contender], run: Prepared, *given: Any, **more: Any) -> Any:
        candidate = networks[0]
        assert isinstance(candidate, Forecaster)
        windows = run.origins.windows(np.arange(len(run.origins)))
        state = {name: each.clone() for name, each in candidate.network.state_dict().items()}
        forecasts = candidate.predict_at(run.panel, windows)
        heard.append(Said(state, forecasts, more["factors"]))
        return score(networks, run, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "score", listen)
        directory = Path(shutil.copytree(model, model.with_name("listened"), dirs_exist_ok=True))
        go(directory, frame)
    return heard[0]


def test_candidate_is_bit_equal_when_everything_after_the_cutoffs_changes(model: Path) -> None:
    frame = rows(8)
    age = frame.groupby("unique_id").cumcount(ascending=False)
    one = said(model, frame)
    other = said(model, frame.assign(y=frame["y"].where(age >= HORIZON, 1e9)))
    assert equal(one.weights, other.weights), "training sees the future"
    assert np.array_equal(one.forecasts, other.forecasts), "forecasts see the future"
    assert same_factors(one, other), "intervals see the future"
    earlier = said(model, frame.assign(y=frame["y"].where(age != HORIZON, 1e3)))
    assert not equal(one.weights, earlier.weights)
    assert not np.array_equal(one.forecasts, earlier.forecasts)


def test_candidate_is_bit_equal_when_the_stored_model_has_seen_another_future(
    tmp_path: Path,
) -> None:
    """With one more row, what is held out had been given to the stored model, but for that row."""
    heard = []
    for name, factor in (("one", 1.0), ("other", 3.0)):
        older, newer = rows(), rows(1)
        for frame, back in ((older, HORIZON - 1), (newer, HORIZON)):
            age = frame.groupby("unique_id").cumcount(ascending=False)
            frame["y"] = frame["y"].where(age >= back, frame["y"] * factor)
        heard.append(said(fitted(tmp_path / name, older), newer))
    one, other = heard
    assert equal(one.weights, other.weights) and np.array_equal(one.forecasts, other.forecasts)
    assert same_factors(one, other)


def same_factors(one: Said, other: Said) -> bool:
    assert set(one.factors) == set(other.factors) == {"gru", "gru-before"}
    return all(np.array_equal(one.factors[name], other.factors[name]) for name in one.factors)


def shifted(more: int) -> pd.DataFrame:
    """Rows whose season is another one since training."""
    frame = rows(more)
    step = frame.groupby("unique_id").cumcount()
    late = step >= frame["unique_id"].map(LENGTHS)
    other = (20 + 0.2 * step) * (1 + 0.8 * np.sin(step * 2 * np.pi / 3))
    return frame.assign(y=frame["y"].where(~late, other))


def test_update_trains_from_scratch_when_the_model_has_drifted(model: Path) -> None:
    mase = read(model).record["metrics"][0]["mase"]
    scored, heard = go(model, shifted(30), drift=2.0)
    reason = next(note for note in heard.notes if note.startswith("training from scratch"))
    table = scored.metrics.set_index("model")["mase"]
    assert reason == (
        f"training from scratch: the mase of gru is {table['gru-before']:.4g} on the newest "
        f"values, and was {mase:.4g} when it was last trained from scratch"
    )
    assert heard.titles == ["training gru", "refitting gru on all data"]
    record = read(model).record
    assert record["updates"] == 0 and record["trained"]["mase"] == table["gru"]
    assert table["gru"] < table["gru-before"]


def test_update_trains_from_scratch_when_mae_alone_tells_of_drift(tmp_path: Path) -> None:
    """The mase of a constant is undefined."""
    flat = rows().assign(y=5.0)
    directory = fitted(tmp_path / "d", flat, replace(SETTINGS, log=False, epochs=1))
    assert read(directory).record["metrics"][0]["mase"] is None
    newer = rows(8).assign(y=5.0)
    newer.loc[newer.groupby("unique_id").cumcount(ascending=False) < HORIZON, "y"] = 50.0
    _, heard = go(directory, newer, drift=2.0)
    assert any(note.startswith("training from scratch: the mae of gru is") for note in heard.notes)


def test_update_goes_on_from_a_constant_when_drift_is_infinite(tmp_path: Path) -> None:
    settings = replace(SETTINGS, log=False, epochs=1)
    directory = fitted(tmp_path / "d", rows().assign(y=5.0), settings)
    _, heard = go(directory, rows(8).assign(y=5.0))
    assert heard.titles[0] == "updating gru"


def test_find_news_counts_nothing_of_a_new_series_as_seen(model: Path) -> None:
    path = write(pd.concat([rows(2), rows(names=("n",), length=20)]), model.with_name("rows.csv"))
    artifact = read(model)
    news = find_news(read_record(artifact), workflow.read_as_trained(open_source(path), artifact))
    assert news.seen.tolist() == [length - HORIZON for length in LENGTHS.values()] + [0]
    assert (news.added, news.vanished, news.earlier) == (("n",), (), ())
    assert (news.shortened, news.anything) == ((), True)


def test_update_goes_on_from_the_scored_weights_when_the_last_fit_lifted_a_bound(
    tmp_path: Path,
) -> None:
    data = rows()
    data.loc[data.index[-1], "y"] = -2.0
    directory = fitted(tmp_path / "d", data, replace(SETTINGS, log=False, epochs=1))
    assert not read(directory).forecaster.config.model.nonnegative
    _, heard = go(directory, rows(8), drift=math.inf)
    assert heard.titles[0] == "updating gru"


def test_update_goes_on_when_drift_is_infinite(model: Path) -> None:
    _, heard = go(model, shifted(30))
    assert heard.titles[0] == "updating gru"
    assert read(model).record["trained"]["mase"] != read(model).record["metrics"][0]["mase"]


def test_update_trains_as_train_does_when_enough_updates_have_been(
    model: Path, tmp_path: Path
) -> None:
    _, heard = go(model, rows(4), retrain_after=1)
    assert heard.titles[0] == "updating gru" and read(model).record["updates"] == 1
    _, heard = go(model, rows(8), retrain_after=2)
    assert heard.titles[0] == "updating gru" and read(model).record["updates"] == 2
    _, heard = go(model, rows(12), retrain_after=2, guard=False)
    assert "training from scratch: updated 2 times since the last time" in heard.notes
    afresh = fitted(tmp_path / "afresh", rows(12))
    assert equal(weights(model), weights(afresh))
    one, other = read(model), read(afresh)
    assert one.record["updates"] == 0
    assert one.forecaster.config.windows == other.forecaster.config.windows
    assert np.array_equal(one.forecaster.factors, other.forecaster.factors)  # type: ignore[arg-type]
    assert one.record["trained"]["mase"] == other.record["metrics"][0]["mase"]


def test_count_begins_anew_when_a_training_from_scratch_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(model, rows(4))
    before, fit = weights(model), workflow.fit_validated

    def worse(*given: Any, **more: Any) -> tuple[Forecaster, FitResult]:
        forecaster, result = fit(*given, **more)
        unlearn(forecaster)
        return forecaster, result

    monkeypatch.setattr(workflow, "fit_validated", worse)
    scored, _ = go(model, rows(8), retrain_after=1)
    assert list(scored.metrics["model"][:2]) == ["gru", "gru-refused"]
    assert equal(weights(model), before)
    assert read(model).record["updates"] == 0


def test_update_leaves_every_file_when_a_gate_fails(model: Path) -> None:
    before = contents(model)
    scored, _ = go(model, rows(8), fail_if=("mase<100",))
    assert scored.failure is not None and scored.failure.endswith(f"{model} stays as it was")
    assert scored.failure.startswith("gru: mase is")
    assert contents(model) == before


def test_gate_heeds_the_model_that_is_kept_when_the_candidate_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(monkeypatch)
    scored, _ = go(model, rows(8))
    table = scored.metrics.set_index("model")["mase"]
    between = (table["gru"] + table["gru-refused"]) / 2
    again, _ = go(model, rows(12), fail_if=(f"mase>{between}",))
    assert again.failure is None


def with_zero(more: int, back: int) -> pd.DataFrame:
    """Rows of which one is zero, so many before the end of b."""
    frame = rows(more)
    last = frame.index[frame["unique_id"] == "b"][-1]
    frame.loc[last - back, "y"] = 0.0
    return frame


@pytest.mark.parametrize("back", [1, HORIZON + 1])
def test_update_trains_from_scratch_when_a_zero_comes_to_a_model_of_logarithms(
    model: Path, back: int
) -> None:
    assert read(model).forecaster.config.model.log
    _, heard = go(model, with_zero(8, back))
    assert any(
        note.startswith("training from scratch: series 'b' has the value 0, which has no")
        for note in heard.notes
    )
    assert not read(model).forecaster.config.model.log
    assert np.isfinite(pd.read_csv(model / "forecasts.csv")["gru"]).all()


def test_update_replaces_a_worse_model_too_when_the_old_one_cannot_read_the_newest_values(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "fit_validated", _unlearned)
    _, heard = go(model, with_zero(8, HORIZON + 1))
    assert any("as it was, it cannot read the newest values" in text for text in heard.warnings)
    assert not read(model).record["refused"]


def test_update_replaces_a_model_that_has_seen_what_it_would_be_held_against(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last fit was to plain values, as a zero had come, and the one scored on logarithms."""
    go(model, with_zero(8, 1))
    assert read(model).scored is None
    monkeypatch.setattr(workflow, "fit_validated", _unlearned)
    _, heard = go(model, with_zero(12, 5))
    assert any("it has seen what it would be held against" in note for note in heard.notes)
    artifact = read(model)
    assert not artifact.record["refused"] and artifact.scored is not None


def _unlearned(
    panel: Panel, config: Any, device: torch.device, *given: Any, **more: Any
) -> tuple[Forecaster, FitResult]:
    forecaster, result = fit_forecaster(panel, config, device=device)
    unlearn(forecaster)
    return forecaster, result


@pytest.mark.parametrize("settings", [{"log": True}, {"refit": False}])
def test_update_refuses_a_zero_when_nothing_but_logarithms_is_left(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    directory = fitted(tmp_path / "d", rows(), replace(SETTINGS, epochs=1, **settings))
    before = contents(directory)
    with pytest.raises(DataError, match="series 'b' has the value 0, .* train with --no-log"):
        go(directory, with_zero(8, 1))
    assert contents(directory) == before


def test_update_is_bit_equal_when_it_is_repeated(model: Path) -> None:
    other = Path(shutil.copytree(model, model.with_name("other")))
    frame = rows(8)
    newer = write(frame, model.with_name("rows.csv"))
    for directory in (model, other):
        for guard in (True, False):
            request = UpdateRequest(directory=directory, path=newer, guard=guard, device="cpu")
            update(request, Heard())
    timed = "history.csv"
    assert contents(model, timed) == contents(other, timed)


def test_update_keeps_what_it_scored_when_time_runs_out(model: Path) -> None:
    _, heard = go(model, rows(8), guard=False, control=RunControl(time_limit=1e-6))
    assert "the time limit ended the update in epoch 1" in heard.notes
    assert any("the time limit ended the fit to all data" in text for text in heard.warnings)
    assert read(model).record["unseen"] == HORIZON


@pytest.mark.parametrize("ended", ["updating gru", "refitting gru on all data"])
def test_update_ends_bit_equal_when_it_is_resumed(
    model: Path, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(RuntimeError):
        """The process has died."""

    class Dying(Heard):
        @contextmanager
        def training(self, title: str) -> Iterator[Progress]:
            def die(record: EpochRecord, epochs: int) -> None:
                if title == ended:
                    raise Ended

            yield die

    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "SPACING", 0.0)
    whole = Path(shutil.copytree(model, model.with_name("whole")))
    newer = write(rows(8), model.with_name("rows.csv"))
    asked = UpdateRequest(directory=model, path=newer, guard=False, drift=np.inf, device="cpu")
    update(replace(asked, directory=whole), Heard())
    before = contents(model)
    with pytest.raises(Ended):
        update(asked, Dying())
    left = contents(model)
    assert left.pop("checkpoint.safetensors") and left == before
    heard = Heard()
    update(replace(asked, control=RunControl(resume=True)), heard)
    assert any(note.startswith("going on") for note in heard.notes)
    assert contents(model, "history.csv") == contents(whole, "history.csv")


@pytest.mark.parametrize("command", ["train", "update"])
def test_update_drops_the_checkpoint_of_an_update_alone_when_nothing_is_new(
    model: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    newer = write(rows(8), model.with_name("rows.csv"))
    with pytest.raises(TypeError):
        if command == "update":
            monkeypatch.setattr(workflow, "score", None)
            go(model, rows(8))
        else:
            monkeypatch.setattr("rnnforecast.workflows.train.known_factors", None)
            asked = TrainRequest(path=newer, directory=model, data=DataConfig(), settings=SETTINGS)
            train(asked, Heard())
    monkeypatch.undo()
    left = model / "checkpoint.safetensors"
    assert left.exists()
    go(model, rows())
    assert left.exists()
    go(model, rows(), control=RunControl(resume=True))
    assert left.exists() == (command == "train")


def test_checkpoint_is_of_another_run_when_the_model_has_changed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(model, rows(4))
    one = (model / MODEL).read_bytes()
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    monkeypatch.setattr(
        workflow, "score", lambda *given, **more: (_ for _ in ()).throw(RuntimeError("dies"))
    )
    with pytest.raises(RuntimeError, match="dies"):
        go(model, rows(8))
    monkeypatch.undo()
    assert (model / MODEL).read_bytes() == one
    artifact = read(model)
    (model / MODEL).write_bytes(
        pack_artifact(replace(artifact, record={**artifact.record, "updates": 7}))
    )
    _, heard = go(model, rows(8), control=RunControl(resume=True))
    assert any("is of another run: sha256 of the model was" in each for each in heard.warnings)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"settings": {"horizon": 4, "model": "gru"}},
        {"settings": {"horizon": "x"}},
        {"metrics": []},
        {"unseen": [1, 2]},
        {"unseen": -1},
        {"updates": "many"},
        {"metrics": [{"model": "gru", "mase": 1.0, "mae": 1.0}]},
        {"trained": {"mase": "low"}},
    ],
)
def test_update_refuses_a_model_when_its_record_does_not_fit(
    model: Path, change: dict[str, Any]
) -> None:
    artifact = read(model)
    changed = replace(artifact, record={**artifact.record, **change})
    (model / MODEL).write_bytes(pack_artifact(changed))
    with pytest.raises(ArtifactError, match="train again"):
        go(model, rows(8))


@given(
    starts=st.lists(st.integers(-20, 20), min_size=1, max_size=4),
    length=st.integers(1, 12),
    count=st.integers(1, 3),
    moment=st.integers(-40, 60),
)
def test_steps_before_are_those_that_a_loop_counts(
    starts: list[int], length: int, count: int, moment: int
) -> None:
    lengths = [length + place for place in range(len(starts))]
    panel = Panel(
        ids=tuple("abcd"[: len(starts)]),
        values=np.zeros(sum(lengths)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        starts=np.array(starts),
        frequency=Frequency(unit="step", count=count),
    )
    expected = [
        sum(start + count * step < moment for step in range(steps))
        for start, steps in zip(starts, lengths, strict=True)
    ]
    assert steps_before(panel, np.full(len(starts), moment)).tolist() == expected
