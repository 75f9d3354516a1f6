"""What training asks of a device that it would have to wait for.

Torch's meta device holds no numbers: whatever asks it for one fails, and so would wait on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnforecast.columns import DataConfig, InputSizes
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.panel import Features, Panel
from rnnforecast.errors import TrainingError
from rnnforecast.estimation import batch_losses, fit_forecaster, prepared
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.registry import MODELS
from rnnforecast.training import loop
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.loop import FitResult, take_steps, train_step
from rnnforecast.training.state import Descent, begin_descent, begin_training
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
        training=short_training(epochs=3, batches_per_epoch=6, clip_norm=1.0, clip_value=0.5),
    )


def begun(known: Panel, config: RunConfig, device: torch.device) -> tuple[Descent, ShuffledBatches]:
    """A descent that is to take its first step, and its batches."""
    network, windows = prepared(known, config, device, None)

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        return batch_losses(network, windows.gather(places), 1 - progress)

    descent = begin_descent(network.train(), config.training, loss)
    generator = torch.Generator().manual_seed(0)
    return descent, ShuffledBatches(len(windows), config.training.batch_size, generator, device)


@pytest.mark.parametrize(
    ("name", "head", "inputs"),
    [
        *((name, None, ALONE) for name in MODELS),
        *(("gru", head, ALONE) for head in HEADS),
        ("bigru", None, InputSizes(past=2, future=3, static=1)),
    ],
    ids=str,
)
def test_training_step_waits_for_nothing_when_all_is_on_a_device(
    name: str, head: str | None, inputs: InputSizes
) -> None:
    config = run_config(name, head=head, inputs=inputs)
    descent, batches = begun(panel(inputs), config, META)
    result = train_step(descent, next(batches), 0.5)
    assert {part.device for part in result} == {META}
    with pytest.raises((RuntimeError, NotImplementedError)):
        result.loss.item()


def fitted(name: str, device: torch.device) -> tuple[Tensor, FitResult]:
    """The weights after some epochs, and how it went."""
    ends = np.array([50, 40])
    forecaster, result = fit_forecaster(panel(), run_config(name), device=device, ends=ends)
    return torch.cat([each.flatten() for each in forecaster.network.parameters()]), result


@pytest.mark.parametrize("ahead", [2, 4, 100])
def test_fit_ends_alike_when_steps_are_taken_ahead(
    ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, one_by_one = fitted("gru", CPU)
    monkeypatch.setitem(loop.STEPS_AHEAD, "cpu", ahead)
    weights, result = fitted("gru", CPU)
    assert torch.equal(weights, expected)
    told = [[replace(each, seconds=0.0) for each in r.history] for r in (one_by_one, result)]
    assert told[0] == told[1]


@pytest.mark.parametrize("broken", [0, 2, 3])
def test_divergence_names_its_batch_when_steps_are_taken_ahead(broken: int) -> None:
    network = torch.nn.Linear(1, 1)
    config = short_training(epochs=2, batches_per_epoch=4, batch_size=1)
    batches = ShuffledBatches(4, 1, torch.Generator().manual_seed(0))
    seen: list[int] = []

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        seen.append(len(seen))
        factor = math.nan if seen[-1] == broken else 1.0
        return [factor * network(torch.ones(1)).sum()]

    training = begin_training(network, config, loss, batches)
    with pytest.raises(TrainingError, match=f"^training diverged in epoch 1, batch {broken + 1}: "):
        take_steps(training, config, 4)
    assert len(seen) == 4
    assert all(bool(each.isfinite().all()) for each in network.parameters())


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
def test_fit_ends_close_to_that_of_a_cpu_when_on_a_gpu(name: str) -> None:
    expected, on_cpu = fitted(name, CPU)
    weights, on_gpu = fitted(name, torch.device("cuda"))
    torch.testing.assert_close(weights.cpu(), expected, rtol=0.01, atol=0.01)
    losses = [[each.train_loss for each in result.history] for result in (on_cpu, on_gpu)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
