"""A training that is packed at any step goes on to the very bits of one that was not stopped."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.models.registry import MODELS
from rnnforecast.training.checkpoint import Course, Packed, pack_training, restore_training
from rnnforecast.training.loop import FitResult, Watch, fit
from rnnforecast.training.optimizers import OPTIMIZERS
from rnnforecast.training.schedules import SCHEDULES
from rnnforecast.training.state import Training
from tests.panels import make_panel
from tests.short_training import short_training

CONFIG = short_training(epochs=4, batches_per_epoch=3, learning_rate=1e-2)
STEPS = 12
Outcome = tuple[dict[str, Tensor], FitResult]


class Stopped(Exception):
    """A training that was ended."""


class Stopping(Watch):
    """Packs a training before the step of this number, counted from 0, and ends it there."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.packed: Packed | None = None

    def before_step(self, training: Training) -> bool:
        self.left -= 1
        if self.left < 0:
            self._pack(training)
            raise Stopped
        return False

    def end(self, training: Training) -> None:
        self._pack(training)
        raise Stopped

    def _pack(self, training: Training) -> None:
        """Through bytes, so that nothing is shared with the training."""
        tensors, course = pack_training(training)
        fields = json.loads(json.dumps(asdict(course)))
        self.packed = Packed(load(save(tensors)), Course.read(fields))


class GoingOn(Watch):
    """Goes on from a packed training; counts the steps."""

    def __init__(self, packed: Packed) -> None:
        self.packed, self.steps = packed, 0

    def begin(self, training: Training, config: TrainConfig) -> None:
        restore_training(training, config, self.packed)

    def before_step(self, training: Training) -> bool:
        self.steps += 1
        return False


def resumed(run: Callable[..., Outcome], step: int, steps: int = STEPS) -> Outcome:
    """The outcome of a run that is stopped before a step, and goes on elsewhere."""
    stopping = Stopping(step)
    with pytest.raises(Stopped):
        run(watch=stopping)
    assert stopping.packed is not None
    torch.manual_seed(99)
    going_on = GoingOn(stopping.packed)
    outcome = run(watch=going_on, seed=1)
    assert going_on.steps == max(0, steps - step)
    return outcome


def assert_equal(found: Outcome, expected: Outcome) -> None:
    (weights, result), (expected_weights, expected_result) = found, expected
    assert weights.keys() == expected_weights.keys()
    for name, tensor in expected_weights.items():
        assert torch.equal(weights[name], tensor), name
    assert timeless(result) == timeless(expected_result)
    seconds = [record.seconds for record in result.history]
    assert seconds == sorted(seconds)


def timeless(result: FitResult) -> FitResult:
    return replace(result, history=tuple(replace(row, seconds=0) for row in result.history))


def regression(config: TrainConfig, validation: tuple[float, ...] | None) -> Callable[..., Outcome]:
    """Fits a network with dropout to fixed data; its first weights and order are by the seed."""
    generator = torch.Generator().manual_seed(7)
    x, y = torch.randn(30, 4, generator=generator), torch.randn(30, generator=generator)

    def run(*, watch: Watch, seed: int = 0) -> Outcome:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.2), nn.Linear(6, 1))
        epochs = iter(validation or ())

        class Told(Watch):
            def begin(self, training: Training, config: TrainConfig) -> None:
                watch.begin(training, config)
                for _ in training.history:
                    next(epochs, None)

            def before_step(self, training: Training) -> bool:
                return watch.before_step(training)

            def end(self, training: Training) -> None:
                watch.end(training)

        result = fit(
            network,
            config,
            loss=lambda places, _: [(network(x[places])[:, 0] - y[places]).square().mean()],
            windows=30,
            validate=(lambda: next(epochs)) if validation else None,
            generator=torch.Generator().manual_seed(seed),
            watch=Told(),
        )
        assert not network.training
        return network.state_dict(), result

    return run


@settings(max_examples=4, deadline=None)
@given(step=st.integers(0, STEPS))
@pytest.mark.parametrize("percentile", [100.0, 60.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_ends_bit_equal_when_it_is_stopped_before_any_step(
    optimizer: str, schedule: str, percentile: float, step: int
) -> None:
    config = replace(CONFIG, optimizer=optimizer, schedule=schedule, clip_percentile=percentile)
    for validation in (None, (4.0, 3.0, 5.0, 3.5)):
        run = regression(config, validation)
        assert_equal(resumed(run, step), run(watch=Watch()))


@pytest.mark.parametrize("step", range(0, 3 * 9 + 1, 2))
def test_training_halves_its_rate_alike_when_it_is_stopped_under_plateau(step: int) -> None:
    config = replace(CONFIG, epochs=9, patience=9, schedule="plateau", optimizer="sgd")
    run = regression(config, (2.0, 3.0, 3.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0))
    expected = run(watch=Watch())
    assert len({record.learning_rate for record in expected[1].history}) == 3
    assert_equal(resumed(run, step, 27), expected)


@pytest.mark.parametrize("step", [0, 4, 6, 8, 9])
def test_training_stops_early_at_the_same_epoch_when_it_was_stopped(step: int) -> None:
    run = regression(replace(CONFIG, patience=2), (2.0, 3.0, 4.0, 1.0))
    expected = run(watch=Watch())
    assert (expected[1].best_epoch, expected[1].stop_reason) == (1, "patience")
    assert_equal(resumed(run, step, 9), expected)


def forecaster(model: str, teacher_forcing: str) -> Callable[..., Outcome]:
    """Fits a model with validation to two series."""
    layers = 2 if MODELS[model].head == "quantile" else 1
    config = RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=6, horizon=3),
        model=ModelSpec(
            model=model,
            hidden_size=4,
            head=MODELS[model].head,
            num_layers=layers,
            dropout=0.3 if layers > 1 else 0.0,
        ),
        training=replace(CONFIG, teacher_forcing=teacher_forcing, clip_percentile=80.0, jitter=0.3),
    )
    rng = np.random.default_rng(0)
    panel = make_panel(rng.normal(size=40), rng.normal(size=17))

    def run(*, watch: Watch, seed: int = 0) -> Outcome:
        found, result = fit_forecaster(
            panel, config, device=torch.device("cpu"), ends=np.array([35, 12]), watch=watch
        )
        return found.network.state_dict(), result

    return run


@settings(max_examples=2, deadline=None)
@given(step=st.integers(0, STEPS))
@pytest.mark.parametrize(
    ("model", "teacher_forcing"),
    [
        ("gru", "scheduled"),
        ("seq2seq-gru", "scheduled"),
        ("seq2seq-gru", "never"),
        ("bahdanau-gru", "scheduled"),
        ("luong-lstm", "always"),
        ("deepar", "always"),
        ("linear", "never"),
    ],
)
def test_forecaster_ends_bit_equal_when_its_training_is_stopped(
    model: str, teacher_forcing: str, step: int
) -> None:
    run = forecaster(model, teacher_forcing)
    assert_equal(resumed(run, step), run(watch=Watch()))


def test_training_leaves_the_global_generator_as_it_was_when_it_is_over() -> None:
    run = regression(CONFIG, None)
    run(watch=Watch())
    drawn = torch.rand(3)
    resumed(run, STEPS)
    assert torch.equal(torch.rand(3), drawn)


def test_packed_training_is_small_when_it_is_over() -> None:
    packed = []
    for step in (STEPS - 1, STEPS):
        stopping = Stopping(step)
        with pytest.raises(Stopped):
            regression(CONFIG, (4.0, 3.0, 2.0, 1.0))(watch=stopping)
        assert stopping.packed is not None
        packed.append(stopping.packed)
    running, over = packed
    assert {name.split(".")[0] for name in over.tensors} == {"network", "generator"}
    assert {name.split(".")[0] for name in running.tensors} == {
        *("network", "generator", "best", "optimizer", "order", "norms")
    }
    assert (running.course.stop_reason, over.course.stop_reason) == (None, "epochs")


def packed_at(step: int, config: TrainConfig = CONFIG) -> Packed:
    """What is left of a training that is stopped before a step."""
    stopping = Stopping(step)
    with pytest.raises(Stopped):
        regression(config, (4.0, 3.0, 2.0, 1.0))(watch=stopping)
    assert stopping.packed is not None
    return stopping.packed


class Refusing(Watch):
    """Says why a packed training is not gone on from, and whether that has changed anything."""

    def __init__(self, packed: Packed) -> None:
        self.packed, self.reason = packed, ""

    def begin(self, training: Training, config: TrainConfig) -> None:
        before = pack_training(copy.deepcopy(training))
        tensors = {name: value.clone() for name, value in before.tensors.items()}
        with pytest.raises((LookupError, TypeError, ValueError, RuntimeError)) as error:
            restore_training(training, config, self.packed)
        self.reason = str(error.value)
        after = pack_training(training)
        assert replace(after.course, seconds=0.0) == replace(before.course, seconds=0.0)
        assert tensors.keys() == after.tensors.keys()
        for name, value in tensors.items():
            assert torch.equal(value, after.tensors[name]), name

    def end(self, training: Training) -> None:
        assert self.reason


BYTES = torch.zeros(5056, dtype=torch.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"network.0.weight": torch.zeros(3, 4)},
        {"network.0.weight": torch.zeros(6, 4, dtype=torch.float64)},
        {"network.0.weight": torch.full((6, 4), math.nan)},
        {"network.5.weight": torch.zeros(6, 4)},
        {"network.0.weight": None},
        {"best.0.weight": torch.zeros(3)},
        {"best.0.weight": None},
        {"optimizer.0.exp_avg": torch.zeros(2, 2)},
        {"optimizer.0.exp_avg": torch.zeros(6, 4, dtype=torch.int64)},
        {"optimizer.0.exp_avg": None},
        {"optimizer.0.step": torch.zeros(6, 4)},
        {"optimizer.9.exp_avg": torch.zeros(6, 4)},
        {"optimizer.x.exp_avg": torch.zeros(6, 4)},
        {"optimizer.0.momentum_buffer": torch.zeros(6, 4)},
        {"generator": torch.zeros(3, dtype=torch.uint8)},
        {"generator": BYTES + 255},
        {"generator": torch.zeros(5056)},
        {"generator": None},
        {"order": torch.zeros(3)},
        {"order": torch.zeros(3, dtype=torch.uint8)},
        {"order": BYTES + 255},
        {"order": None},
        {"norms": None},
        {"norms": torch.zeros(2)},
        {"norms": torch.zeros(2, 2, dtype=torch.float64)},
        {"norms": torch.full((2,), math.inf, dtype=torch.float64)},
    ],
)
def test_restore_training_changes_nothing_when_a_tensor_does_not_fit(
    change: dict[str, Tensor | None],
) -> None:
    tensors, course = packed_at(5)
    changed = {name: value for name, value in {**tensors, **change}.items() if value is not None}
    run = regression(CONFIG, (4.0, 3.0, 2.0, 1.0))
    assert_equal(run(watch=Refusing(Packed(changed, course))), run(watch=Watch()))


@pytest.mark.parametrize(
    "change",
    [
        {"best_epoch": 0},
        {"best_epoch": 2},
        {"best_epoch": -1},
        {"history": []},
        {"taken": 99},
        {"taken": -1},
        {"learning_rate": math.inf},
        {"learning_rate": -1.0},
        {"seconds": math.inf},
        {"schedule": {}},
        {"schedule": {"step": 1.5}},
        {"schedule": {"step": -1000}},
        {"schedule": {"step": 10**400}},
        {"schedule": {"best": 1.0, "bad_epochs": 1}},
        {"sums": {"steps": 3}},
        {"sums": {"steps": -1}},
        {"sums": {"windows": 0}},
        {"sums": {"windows": 99}},
        {"sums": {"clipped": 3}},
        {"sums": {"losses": math.inf}},
        {"sums": {"gradient_norms": math.inf}},
    ],
)
def test_restore_training_changes_nothing_when_a_number_does_not_fit(
    change: dict[str, Any],
) -> None:
    tensors, course = packed_at(5)
    fields = asdict(course)
    for name, value in change.items():
        fields[name] = {**fields[name], **value} if name == "sums" else value
    packed = Packed(tensors, Course.read(fields))
    run = regression(CONFIG, (4.0, 3.0, 2.0, 1.0))
    assert_equal(run(watch=Refusing(packed)), run(watch=Watch()))


@pytest.mark.parametrize("epochs", [1, 3])
def test_restore_training_refuses_one_that_is_longer_than_it_may_be(epochs: int) -> None:
    run = regression(replace(CONFIG, epochs=epochs), (4.0, 3.0, 2.0))
    for step in (3 * epochs, STEPS):
        run(watch=Refusing(packed_at(step)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("learning_rate",), "x"),
        (("learning_rate",), True),
        (("best_epoch",), "x"),
        (("best_epoch",), 1.0),
        (("best_epoch",), True),
        (("stop_reason",), "boredom"),
        (("seconds",), None),
        (("taken",), []),
        (("sums",), "x"),
        (("sums", "losses"), "x"),
        (("sums", "steps"), 1.0),
        (("sums", "more"), 1),
        (("history",), {}),
        (("history",), [{"epoch": 1}]),
        (("history", 0), "x"),
        (("history", 0, "epoch"), "x"),
        (("history", 0, "validation_loss"), "x"),
        (("schedule",), []),
        (("schedule", "step"), "x"),
        (("schedule", "step"), None),
        (("more",), 1),
    ],
)
def test_course_is_refused_when_a_value_of_its_json_is_of_another_kind(
    path: tuple[str | int, ...], value: object
) -> None:
    fields = asdict(packed_at(5).course)
    place: Any = fields
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match="is of another kind|has other fields"):
        Course.read(fields)


@pytest.mark.parametrize("values", [None, 1, "x", [], {}])
def test_course_is_refused_when_its_json_is_none(values: object) -> None:
    with pytest.raises(ValueError, match="is of another kind|has other fields"):
        Course.read(values)
