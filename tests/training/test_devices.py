"""What training asks of a device that it would have to wait for.

Torch's meta device holds no numbers: whatever asks it for one fails, and so would wait on a GPU.
What brings it numbers would wait, too, unless it says that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnforecast.columns import DataConfig, InputSizes
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.panel import Features, Panel
from rnnforecast.errors import TrainingError
from rnnforecast.estimation.fitting import fit_forecaster, prepared, training_loss
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.registry import MODELS
from rnnforecast.training import loop
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.checkpoint import pack_training, restore_training
from rnnforecast.training.loop import FitResult, Watch, take_steps, train_step
from rnnforecast.training.state import Descent, Training, begin_descent, begin_training
from tests.every_model import in_turn
from tests.panels import make_panel
from tests.short_training import short_training

CPU, META = torch.device("cpu"), torch.device("meta")
LENGTHS = (60, 45)
ALONE = InputSizes()
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def panel(inputs: InputSizes = ALONE) -> Panel:
    """Two series, one with a gap, and random features of these sizes."""
    rng = np.random.default_rng(3)
    series = [
        20 + 5 * np.sin(np.arange(each) * np.pi / 2) + rng.normal(size=each) for each in LENGTHS
    ]
    series[0][20:23] = np.nan
    plain = make_panel(*(each.tolist() for each in series))
    if inputs == ALONE:
        return plain
    known = np.cumsum([0, *(each + 4 for each in LENGTHS)])
    features = Features(
        past=rng.normal(size=(sum(LENGTHS), inputs.past)).astype(np.float32),
        future=rng.normal(size=(known[-1], inputs.future)).astype(np.float32),
        future_offsets=known,
        static=rng.normal(size=(len(LENGTHS), inputs.static)).astype(np.float32),
    )
    return replace(plain, features=features)


def run_config(name: str, *, head: str | None = None, inputs: InputSizes = ALONE) -> RunConfig:
    entry = MODELS[name]
    return RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=16, horizon=4, seasons=(4,)),
        model=ModelSpec(
            model=name,
            hidden_size=4,
            num_layers=entry.num_layers,
            segment_length=2,
            head=head or entry.head,
            inputs=inputs,
            lookbacks=(16, 8),
        ),
        training=short_training(
            epochs=3, batches_per_epoch=6, clip_norm=1.0, clip_value=0.5, jitter=0.3
        ),
    )


def begun(known: Panel, config: RunConfig, device: torch.device) -> tuple[Descent, ShuffledBatches]:
    """A descent that is to take its first step, and its batches."""
    network, windows = prepared(known, config, device, None)
    loss = training_loss(network, windows, config)
    descent = begin_descent(network.train(), config.training, loss)
    generator = torch.Generator().manual_seed(0)
    return descent, ShuffledBatches(len(windows), config.training.batch_size, generator, device)


class Bringing(TorchDispatchMode):
    """Fails where numbers are brought to the meta device in a way that would be waited for."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        source = args[1] if function is torch.ops.aten.copy_.default else args[0] if args else None
        target = args[0].device if source is not args[0] else options.get("device")
        from_cpu = isinstance(source, Tensor) and source.device == CPU and source.numel() > 0
        assert not (from_cpu and target == META and not options.get("non_blocking")), function
        return function(*args, **options)


@pytest.fixture
def refusing_numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is made of numbers on the meta device fails, as what is brought there."""
    tensor = torch.tensor

    def refusing(*given: Any, device: Any = None, **options: Any) -> Tensor:
        assert device != META
        return tensor(*given, device=device, **options)

    def new_tensor(self: Tensor, *given: Any, **options: Any) -> Tensor:
        return refusing(*given, **{"device": self.device, "dtype": self.dtype, **options})

    monkeypatch.setattr(torch, "tensor", refusing)
    monkeypatch.setattr(Tensor, "new_tensor", new_tensor)
    with Bringing():
        yield


def take_steps_on_a_device(config: RunConfig, request: pytest.FixtureRequest) -> None:
    """Steps that fail where they wait, which a beginning may."""
    descent, batches = begun(panel(config.model.inputs), config, META)
    request.getfixturevalue("refusing_numbers")
    for _ in range(2):  # the order of windows is drawn anew in the second
        batches.taken = len(batches.order)
        result = train_step(descent, next(batches), 0.5)
    assert {part.device for part in result} == {META}


@pytest.mark.parametrize("name", in_turn(MODELS))
def test_training_step_waits_for_nothing_when_all_is_on_a_device(
    name: str, request: pytest.FixtureRequest
) -> None:
    take_steps_on_a_device(run_config(name), request)


@pytest.mark.parametrize("head", HEADS)
def test_training_step_waits_for_nothing_when_the_head_is_any(
    head: str, request: pytest.FixtureRequest
) -> None:
    take_steps_on_a_device(run_config("gru", head=head), request)


def test_training_step_waits_for_nothing_when_there_are_covariates(
    request: pytest.FixtureRequest,
) -> None:
    inputs = InputSizes(past=2, future=3, static=1)
    take_steps_on_a_device(run_config("bigru", inputs=inputs), request)


def test_reading_and_bringing_numbers_is_refused_when_all_is_on_a_device(
    refusing_numbers: None,
) -> None:
    nothing = torch.empty(2, device=META)
    for waiting in (
        lambda: float(nothing.sum()),
        lambda: bool((nothing > 0).any()),
        lambda: nothing[nothing > 0],
        lambda: torch.ones(2).to(META),
        lambda: nothing.copy_(torch.ones(2)),
        lambda: torch.tensor([1.0, 2.0], device=META),
        lambda: nothing.new_tensor([1.0, 2.0]),
    ):
        with pytest.raises((RuntimeError, AssertionError)):
            waiting()


class Begun(Exception):
    """The first step of a training was to be taken."""


def test_fit_takes_its_batches_to_the_device_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[torch.device] = []

    @contextmanager
    def spy(device: torch.device) -> Iterator[None]:
        asked.append(device)
        yield

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        assert places.device == META
        raise Begun

    monkeypatch.setattr(loop, "tensor_cores", spy)
    network, generator = torch.nn.Linear(1, 1, device=META), torch.Generator()
    with pytest.raises(Begun):
        config = short_training()
        loop.fit(network, config, loss=loss, windows=3, validate=None, generator=generator)
    assert asked == [META]


def test_batches_stay_on_their_device_when_a_training_is_restored() -> None:
    config, network = short_training(epochs=2), torch.nn.Linear(1, 1)

    def training() -> Training:
        batches = ShuffledBatches(5, 2, torch.Generator().manual_seed(0), META)
        return begin_training(network, config, lambda places, progress: [], batches)

    restored = training()
    restore_training(restored, config, pack_training(training()))
    assert next(restored.batches).device == META


def fitted(name: str, device: torch.device, rate: float = 1e-2) -> tuple[Tensor, FitResult]:
    """The weights after some epochs, and how it went."""
    config = run_config(name)
    training = replace(config.training, learning_rate=rate, teacher_forcing="always")
    forecaster, result = fit_forecaster(
        panel(), replace(config, training=training), device=device, ends=np.array([50, 40])
    )
    weights = [each.detach().flatten() for each in forecaster.network.parameters()]
    return torch.cat(weights).cpu(), result


@pytest.mark.parametrize("name", ["gru", "seq2seq-gru"])
@pytest.mark.parametrize("ahead", [2, 4, 100])
def test_fit_ends_alike_when_steps_are_taken_ahead(
    name: str, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, one_by_one = fitted(name, CPU)
    monkeypatch.setitem(loop.STEPS_AHEAD, "cpu", ahead)
    weights, result = fitted(name, CPU)
    assert torch.equal(weights, expected)
    told = [[replace(each, seconds=0.0) for each in r.history] for r in (one_by_one, result)]
    assert told[0] == told[1]


COSINE = short_training(epochs=2, batches_per_epoch=8, schedule="cosine")


def diverging(broken: int, seen: list[float]) -> Training:
    """A training whose step `broken` has no gradient; `seen` takes the rates of its steps."""
    network = torch.nn.Linear(1, 1)

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        seen.append(training.descent.optimizer.rate)
        factor = math.nan if len(seen) == broken else 1.0
        return [factor * network(torch.ones(1)).sum()]

    batches = ShuffledBatches(8, 1, torch.Generator().manual_seed(0))
    training = begin_training(network, COSINE, loss, batches)
    return training


@pytest.mark.parametrize("broken", [1, 3, 4])
def test_divergence_names_its_batch_when_steps_are_taken_ahead(broken: int) -> None:
    seen: list[float] = []
    training = diverging(broken, seen)
    with pytest.raises(TrainingError) as raised:
        take_steps(training, COSINE, 4)
    assert len(set(seen)) == 4
    place = f"epoch 1, batch {broken}: loss nan, gradient norm nan"
    assert f"{place}, learning rate {seen[broken - 1]:.3g};" in str(raised.value)
    weights = training.descent.network.parameters()
    assert all(bool(each.isfinite().all()) for each in weights)


class Looking(Watch):
    """Notes how many steps it finds taken, and ends the training from so many on."""

    def __init__(self, most: int) -> None:
        self.most, self.found = most, list[int]()

    def before_step(self, training: Training) -> bool:
        self.found.append(training.sums.steps)
        return training.sums.steps >= self.most


@pytest.mark.parametrize(
    ("most", "longest", "found"),
    [
        (100, 60.0, [0, 4, 7]),  # the last step by itself, before which weights are kept
        (3, 60.0, [0, 4]),
        (100, 0.0, [0, 4, 6, 7]),
    ],
)
def test_watch_finds_all_read_when_steps_are_taken_ahead(
    most: int, longest: float, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.STEPS_AHEAD, "cpu", 4)
    monkeypatch.setattr(loop, "LONGEST_AHEAD", longest)
    watch, training = Looking(most), diverging(100, [])
    record, out_of_time = loop.run_epoch(training, COSINE, watch)
    assert (watch.found, out_of_time) == (found, most < 100)
    assert training.sums.steps == (5 if out_of_time else 8)
    assert record.update_ratio > 0


@contextmanager
def refusing_to_wait() -> Iterator[None]:
    """For the block, what would wait for a CUDA device fails."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
@pytest.mark.parametrize("name", MODELS)
def test_training_step_waits_for_nothing_when_on_a_gpu(name: str) -> None:
    descent, batches = begun(panel(), run_config(name), torch.device("cuda"))
    train_step(descent, next(batches), 0.0)  # what happens once may wait
    with refusing_to_wait():
        for _ in range(3):
            train_step(descent, next(batches), 0.5)


@needs_gpu
@pytest.mark.parametrize("name", ["gru", "bilstm", "rnn", "seq2seq-gru"])
def test_fit_moves_weights_as_on_a_cpu_when_on_a_gpu(name: str) -> None:
    start, _ = fitted(name, CPU, rate=1e-12)
    there, here = (fitted(name, torch.device(kind)) for kind in ("cuda", "cpu"))
    moved = [weights - start for weights, _ in (there, here)]
    assert float((moved[0] - moved[1]).norm()) < 0.1 * float(moved[1].norm())
    losses = [[each.train_loss for each in result.history] for _, result in (there, here)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
