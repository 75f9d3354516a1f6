"""The training loop, by its behaviour on models small enough to compute by hand."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch
from rnnforecast.errors import TrainingError
from rnnforecast.estimation import fitting
from rnnforecast.estimation.fitting import batch_losses, fit_forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.optimizers import SGD
from rnnforecast.training.batches import ShuffledBatches
from rnnforecast.training.clipping import Clipper
from rnnforecast.training.loop import UNWATCHED, FitResult, Watch, fit, run_epoch, train_step
from rnnforecast.training.schedules import SCHEDULES
from rnnforecast.training.state import Descent, EpochRecord, Loss, Training, begin_descent
from tests.short_training import short_training

CONFIG = short_training(epochs=6, batches_per_epoch=5, learning_rate=1e-2, weight_decay=0.0)
WINDOWS = 30
RECORD = EpochRecord(
    epoch=1,
    train_loss=1.0,
    gradient_norm=1.0,
    clip_rate=0.0,
    update_ratio=0.1,
    learning_rate=0.1,
)


class Vector(nn.Module):
    """A network that is its weights."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))


def regression(seed: int = 0) -> tuple[nn.Module, Loss]:
    """A small network with dropout, and its squared error at places of a fixed data set."""
    torch.manual_seed(seed)
    x, y = torch.randn(WINDOWS, 4), torch.randn(WINDOWS)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))
    return network, lambda places, progress: [
        (network(x[places])[:, 0] - y[places]).square().mean()
    ]


def weights_of(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def train(
    config: TrainConfig,
    *,
    validation: list[float] | None = None,
    generator_seed: int = 0,
) -> tuple[nn.Module, FitResult, list[Tensor]]:
    """Fit the regression; return the network, the result and the weights after each epoch."""
    network, loss = regression(config.seed)
    after: list[Tensor] = []
    losses = iter(validation or [])
    result = fit(
        network,
        config,
        loss=loss,
        windows=WINDOWS,
        validate=(lambda: next(losses)) if validation else None,
        generator=torch.Generator().manual_seed(generator_seed),
        on_epoch=lambda record, epochs: after.append(weights_of(network)),
    )
    return network, result, after


def epoch_of(
    network: nn.Module, loss: Loss, batches: list[Tensor], config: TrainConfig = CONFIG
) -> EpochRecord:
    """The third epoch by plain gradient descent at a constant rate of 0.1."""
    descent = plain_descent(network, loss, 0.1, config)
    schedule = SCHEDULES["constant"](descent.optimizer, 30)
    training = Training(descent, schedule, iter(batches), began=0.0, history=[RECORD] * 2)
    record, _ = run_epoch(training, replace(config, batches_per_epoch=len(batches)), UNWATCHED)
    return record


def plain_descent(
    network: nn.Module, loss: Loss, learning_rate: float, config: TrainConfig = CONFIG
) -> Descent:
    """Gradient descent without momentum."""
    optimizer = SGD(network.parameters(), learning_rate)
    optimizer.momentum = 0.0
    return Descent(network, loss, optimizer, Clipper(config))


def test_train_step_starts_from_zero_gradient_when_one_is_left_over() -> None:
    network = Vector(1.0, 2.0)
    network.weights.grad = torch.full((2,), 1e6)
    descent = plain_descent(network, lambda places, progress: [network.weights.sum()], 0.5)
    train_step(descent, torch.arange(1), 0.0)
    assert network.weights.tolist() == [0.5, 1.5]


def test_train_step_reports_loss_before_its_update_when_it_steps() -> None:
    network = Vector(3.0)
    seen: list[tuple[list[int], float]] = []

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        seen.append((places.tolist(), progress))
        return [network.weights.square().sum()]

    result = train_step(plain_descent(network, loss, 0.1), torch.tensor([4, 2]), 0.25)
    assert (result.loss, result.gradient_norm, result.clipped) == (9.0, 6.0, False)
    assert network.weights.item() == pytest.approx(3.0 - 0.1 * 6.0)
    assert seen == [([4, 2], 0.25)]


def test_train_step_moves_by_clipped_gradient_when_limits_are_given() -> None:
    network, gradient = Vector(0.0, 0.0, 0.0), torch.tensor([3.0, -4.0, 12.0])
    config = replace(CONFIG, clip_norm=1.3)
    descent = plain_descent(
        network, lambda places, progress: [(network.weights * gradient).sum()], 1.0, config
    )
    result = train_step(descent, torch.arange(1), 0.0)
    assert (-network.weights).tolist() == pytest.approx([0.3, -0.4, 1.2], abs=1e-5)
    assert (result.gradient_norm, result.clipped) == (13.0, True)


@pytest.mark.parametrize(
    ("config", "after"),
    [
        # A first step of AdamW is as long as the learning rate, whatever the gradient.
        (replace(CONFIG, clip_norm=1e-3), [1.0 - 0.01, 2.0 - 0.01]),
        (replace(CONFIG, weight_decay=0.5), [1.0 - 0.01 * 1.5, 2.0 - 0.01 * 2.0]),
        (replace(CONFIG, optimizer="sgd"), [1.0 - 0.01 * 3, 2.0 - 0.01 * 4]),
        (replace(CONFIG, optimizer="sgd", clip_norm=1.0), [1.0 - 0.01 * 0.6, 2.0 - 0.01 * 0.8]),
        (replace(CONFIG, optimizer="sgd", weight_decay=0.5), [1.0 - 0.01 * 3.5, 2.0 - 0.01 * 5]),
    ],
)
def test_begin_descent_takes_the_optimizer_that_is_named_when_it_steps(
    config: TrainConfig, after: list[float]
) -> None:
    network, gradient = Vector(1.0, 2.0), torch.tensor([3.0, 4.0])
    descent = begin_descent(
        network, config, lambda places, progress: [(network.weights * gradient).sum()]
    )
    train_step(descent, torch.arange(1), 0.0)
    assert network.weights.tolist() == pytest.approx(after, abs=1e-6)


def test_begin_descent_gathers_momentum_when_optimizer_is_sgd() -> None:
    network = Vector(0.0)
    config = replace(CONFIG, optimizer="sgd", learning_rate=1.0)
    descent = begin_descent(network, config, lambda places, progress: [network.weights.sum()])
    for _ in range(3):
        train_step(descent, torch.arange(1), 0.0)
    assert network.weights.item() == pytest.approx(-(1 + 1.9 + 2.71))


@pytest.mark.parametrize("limit", ["clip_norm", "clip_value"])
def test_fit_hardly_moves_weights_when_gradient_is_clipped_to_next_to_nothing(limit: str) -> None:
    before = weights_of(regression()[0])
    network, result, _ = train(replace(CONFIG, **{limit: 1e-30}))
    assert torch.allclose(weights_of(network), before, rtol=0, atol=1e-12)
    assert all(record.clip_rate == 1 for record in result.history)
    assert all(record.gradient_norm > 0 for record in result.history)


def test_run_epoch_weights_loss_by_windows_when_batches_differ() -> None:
    network, values = Vector(0.0), torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])
    record = epoch_of(
        network,
        lambda places, progress: [values[places].mean() + 0 * network.weights.sum()],
        [torch.arange(4), torch.tensor([4])],
    )
    assert record.train_loss == pytest.approx(values.mean().item())


def test_run_epoch_records_norm_before_clipping_and_clip_rate_when_some_are_clipped() -> None:
    network, norms = Vector(0.0), torch.tensor([0.5, 2.0, 1.0, 8.0])
    record = epoch_of(
        network,
        lambda places, progress: [(norms[places] * network.weights).sum()],
        list(torch.arange(4).split(1)),
        replace(CONFIG, clip_norm=1.0),
    )
    assert record.gradient_norm == pytest.approx(norms.mean().item())
    assert record.clip_rate == 0.5
    assert record.learning_rate == 0.1
    assert network.weights.item() == pytest.approx(-0.1 * (0.5 + 1 + 1 + 1), abs=1e-5)


@pytest.mark.parametrize(
    ("broken", "shown"),
    [
        pytest.param(lambda w: w.sum() * math.nan, "loss nan, gradient norm nan", id="nan"),
        pytest.param(lambda w: w.sum() * math.inf, "loss inf, gradient norm inf", id="infinite"),
        pytest.param(lambda w: w.sum() + math.inf, "loss inf, gradient norm 1", id="loss only"),
        pytest.param(lambda w: (w - w).sqrt().sum(), "gradient norm nan", id="gradient only"),
    ],
)
def test_run_epoch_raises_with_place_and_remedies_when_not_finite(
    broken: Callable[[Tensor], Tensor], shown: str
) -> None:
    network = Vector(1.0)

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        return [broken(network.weights) if places.item() == 2 else network.weights.sum()]

    message = (
        rf"^training diverged in epoch 3, batch 2: .*{shown}, learning rate 0\.1; "
        "lower --learning-rate, clip with --clip-norm 1, or take a gated model such as gru$"
    )
    with pytest.raises(TrainingError, match=message):
        epoch_of(network, loss, [torch.tensor([1]), torch.tensor([2])])


@pytest.mark.parametrize(
    ("limits", "remedy"),
    [
        ({"clip_norm": 1.5}, "clip with --clip-norm 1"),
        ({"clip_percentile": 10.0}, "clip with --clip-norm 1"),
        ({"clip_norm": 1.0}, "take --optimizer sgd, whose steps clipping bounds"),
        ({"clip_norm": 0.5, "optimizer": "sgd"}, "clip with a --clip-norm below 0.5"),
    ],
)
def test_fit_names_a_remedy_that_is_not_in_use_when_it_diverges(
    limits: dict[str, object], remedy: str
) -> None:
    message = f"; lower --learning-rate, {remedy}, or take a gated model such as gru"
    with pytest.raises(TrainingError, match=re.escape(message)):
        train(replace(CONFIG, **limits), validation=[math.nan])


def test_run_epoch_records_update_of_last_step_over_weights_before_it() -> None:
    network, steps = Vector(3.0, 4.0), torch.tensor([100.0, 20.0])
    record = epoch_of(
        network,
        lambda places, progress: [
            (network.weights * torch.tensor([0.0, 1.0])).sum() * steps[places]
        ],
        list(torch.arange(2).split(1)),
    )
    # At 0.1: (3, 4) to (3, -6), then to (3, -8).
    assert record.update_ratio == pytest.approx(2 / math.hypot(3, 6))


def test_fit_tells_the_loss_the_share_of_planned_steps_when_it_stops_early() -> None:
    network, loss = regression()
    told: list[float] = []

    def observed_loss(places: Tensor, progress: float) -> Tensor:
        told.append(progress)
        return loss(places, progress)

    fit(
        network,
        replace(CONFIG, patience=1),
        loss=observed_loss,
        windows=WINDOWS,
        validate=itertools.count().__next__,
        generator=torch.Generator().manual_seed(0),
    )
    assert told == pytest.approx([step / 30 for step in range(10)])


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_fit_raises_with_epoch_when_validation_loss_is_not_finite(loss: float) -> None:
    message = rf"^training diverged in epoch 2: validation loss {loss}, learning rate .*; lower"
    with pytest.raises(TrainingError, match=message):
        train(CONFIG, validation=[1.0, loss])


@pytest.mark.parametrize(
    ("validation", "patience", "best", "ran", "reason"),
    [
        ([6, 5, 4, 3, 2, 1], 1, 6, 6, "epochs"),
        ([6, 5, 7, 8, 9, 9], 2, 2, 4, "patience"),
        ([6, 5, 7, 4, 9, 9], 2, 4, 6, "epochs"),
        ([6, 6, 6, 6, 6, 6], 3, 1, 4, "patience"),
        ([1, 2, 3, 4, 5, 6], 1, 1, 2, "patience"),
        ([2, 1, 3, 3, 3, 3], 6, 2, 6, "epochs"),
    ],
)
def test_fit_restores_best_weights_when_validation_stops_improving(
    validation: list[float], patience: int, best: int, ran: int, reason: str
) -> None:
    network, result, after = train(replace(CONFIG, patience=patience), validation=validation)
    assert (result.best_epoch, len(result.history), result.stop_reason) == (best, ran, reason)
    assert [record.validation_loss for record in result.history] == validation[:ran]
    assert torch.equal(weights_of(network), after[best - 1])
    assert ran == best or not torch.equal(weights_of(network), after[-1])


def test_fit_keeps_last_weights_when_nothing_validates() -> None:
    network, result, after = train(CONFIG)
    assert (result.best_epoch, result.stop_reason) == (6, "epochs")
    assert all(record.validation_loss is None for record in result.history)
    assert torch.equal(weights_of(network), after[-1])


def test_fit_is_bit_equal_only_when_seeds_are_equal() -> None:
    first, again = (weights_of(train(CONFIG)[0]) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, weights_of(train(replace(CONFIG, seed=1))[0]))
    assert not torch.equal(first, weights_of(train(CONFIG, generator_seed=1)[0]))


def test_fit_validates_without_dropout_when_epoch_ends() -> None:
    network, loss = regression()
    modes: list[tuple[str, bool]] = []

    def observed_loss(places: Tensor, progress: float) -> Tensor:
        modes.append(("step", network.training))
        return loss(places, progress)

    def validate() -> float:
        modes.append(("validation", network.training))
        return 1.0

    config = replace(CONFIG, epochs=2, batches_per_epoch=2)
    generator = torch.Generator().manual_seed(0)
    fit(
        network,
        config,
        loss=observed_loss,
        windows=WINDOWS,
        validate=validate,
        generator=generator,
    )
    assert modes == 2 * [("step", True), ("step", True), ("validation", False)]


def test_fit_tells_each_epoch_when_progress_is_asked_for() -> None:
    network, loss = regression()
    told: list[tuple[EpochRecord, int]] = []
    result = fit(
        network,
        CONFIG,
        loss=loss,
        windows=WINDOWS,
        validate=None,
        generator=torch.Generator().manual_seed(0),
        on_epoch=lambda record, epochs: told.append((record, epochs)),
    )
    assert told == [(record, 6) for record in result.history]
    assert [record.epoch for record in result.history] == [1, 2, 3, 4, 5, 6]
    seconds = [record.seconds for record in result.history]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_fit_anneals_learning_rate_to_nothing_when_schedule_ends() -> None:
    _, result, _ = train(replace(CONFIG, epochs=10, batches_per_epoch=5))
    rates = [record.learning_rate for record in result.history]
    assert max(rates) == rates[1] == pytest.approx(CONFIG.learning_rate, rel=0.02)
    assert rates[-1] == pytest.approx(CONFIG.learning_rate / 1e4)


def test_fit_halves_learning_rate_when_validation_stands_still_under_plateau() -> None:
    config = replace(CONFIG, schedule="plateau", epochs=9, patience=9)
    # The third epoch in a row that is no better than the first one halves the rate after it.
    _, result, _ = train(config, validation=[2, 3, 3, 3, 1, 2, 2, 2, 2])
    shares = [record.learning_rate / config.learning_rate for record in result.history]
    assert shares == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("constant", "shares"), [(True, [1, 1, 1, 1, 0.5, 0.5]), (False, 6 * [1])])
def test_fit_heeds_training_loss_under_plateau_when_nothing_validates(
    constant: bool, shares: list[float]
) -> None:
    network = Vector(100.0)

    def loss(places: Tensor, progress: float) -> list[Tensor]:
        return [network.weights.sum() * (0.0 if constant else 1.0)]

    config = replace(CONFIG, schedule="plateau")
    result = fit(
        network,
        config,
        loss=loss,
        windows=WINDOWS,
        validate=None,
        generator=torch.Generator().manual_seed(0),
    )
    rates = [record.learning_rate / config.learning_rate for record in result.history]
    assert rates == shares


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 4, 5, 6, 10])
@pytest.mark.parametrize("in_one_epoch", [True, False])
def test_fit_trains_when_schedule_has_few_steps(
    steps: int, in_one_epoch: bool, schedule: str
) -> None:
    before = weights_of(regression()[0])
    epochs, batches = (1, steps) if in_one_epoch else (steps, 1)
    config = replace(CONFIG, epochs=epochs, batches_per_epoch=batches, schedule=schedule)
    network, result, _ = train(config)
    assert len(result.history) == epochs
    assert not torch.equal(weights_of(network), before)


@pytest.mark.parametrize(("windows", "batch_size"), [(10, 3), (10, 5), (10, 50), (1, 4)])
def test_shuffled_batches_visit_each_window_once_a_pass_when_drawn(
    windows: int, batch_size: int
) -> None:
    batches = ShuffledBatches(windows, batch_size, torch.Generator().manual_seed(0))
    per_pass = -(-windows // batch_size)
    orders = []
    for _ in range(4):
        drawn = list(itertools.islice(batches, per_pass))
        assert all(len(batch) == batch_size for batch in drawn[:-1])
        orders.append(torch.cat(drawn).tolist())
        assert sorted(orders[-1]) == list(range(windows))
    assert windows == 1 or len({tuple(order) for order in orders}) > 1


@given(windows=st.integers(1, 20), batch_size=st.integers(1, 25), before=st.integers(0, 30))
def test_shuffled_batches_go_on_alike_when_restored_to_where_others_are(
    windows: int, batch_size: int, before: int
) -> None:
    batches = ShuffledBatches(windows, batch_size, torch.Generator().manual_seed(0))
    again = ShuffledBatches(windows, batch_size, torch.Generator().manual_seed(1))
    for _ in range(before):
        next(batches)
    again.restore(batches.drawn_from, batches.taken)
    for _ in range(2 * windows):
        assert torch.equal(next(batches), next(again))


@pytest.mark.parametrize("taken", [-1, 5])
def test_shuffled_batches_raise_when_restored_beyond_their_order(taken: int) -> None:
    batches = ShuffledBatches(10, 3, torch.Generator())
    with pytest.raises(ValueError, match=f"^{taken} batches of 4$"):
        batches.restore(batches.drawn_from, taken)


class Ending(Watch):
    """Ends a training by the clock of its steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def before_step(self, training: Training) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.mark.parametrize(
    ("steps", "epochs", "reason"),
    [
        (-3, 1, "time limit"),  # one step is always taken
        (1, 1, "time limit"),
        (7, 2, "time limit"),
        (10, 2, "time limit"),
        (29, 6, "time limit"),
        (30, 6, "epochs"),
        (99, 6, "epochs"),
    ],
)
def test_fit_counts_the_steps_it_took_as_an_epoch_when_its_watch_ends_it(
    steps: int, epochs: int, reason: str
) -> None:
    network, loss = regression()
    taken: list[Tensor] = []

    def counted(places: Tensor, progress: float) -> Tensor:
        taken.append(places)
        return loss(places, progress)

    result = fit(
        network,
        CONFIG,
        loss=counted,
        windows=WINDOWS,
        validate=iter(range(10, 0, -1)).__next__,
        generator=torch.Generator().manual_seed(0),
        watch=Ending(steps),
    )
    assert (len(result.history), result.stop_reason) == (epochs, reason)
    assert len(taken) == min(max(steps, 1), 30)
    assert result.best_epoch == epochs
    last = result.history[-1]
    assert last.update_ratio > 0 and last.learning_rate > 0


def test_fit_keeps_the_best_weights_when_its_watch_ends_it_later() -> None:
    _, _, after = train(CONFIG)
    network, loss = regression()
    validation = iter([3.0, 2.0, 4.0])
    result = fit(
        network,
        CONFIG,
        loss=loss,
        windows=WINDOWS,
        validate=lambda: next(validation),
        generator=torch.Generator().manual_seed(0),
        watch=Ending(12),
    )
    assert (result.best_epoch, len(result.history)) == (2, 3)
    assert torch.equal(weights_of(network), after[1])


def one_series() -> Panel:
    steps = np.arange(80)
    rng = np.random.default_rng(0)
    return Panel(
        ids=("a",),
        values=20 + 5 * np.sin(steps * np.pi / 2) + rng.normal(size=80),
        offsets=np.array([0, 80]),
        starts=np.array([0]),
        frequency=Frequency(unit="step"),
    )


def run_config(model: str, training: TrainConfig) -> RunConfig:
    return RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=24, horizon=4, seasons=(4,)),
        model=ModelSpec(model=model, hidden_size=8, num_layers=2, dropout=0.1),
        training=training,
    )


@pytest.mark.parametrize("clip_norm", [math.inf, 1.0])
@pytest.mark.parametrize("learning_rate", [100.0, 1e10])
def test_fit_forecaster_diverges_loudly_or_stays_finite_when_learning_rate_is_absurd(
    learning_rate: float, clip_norm: float
) -> None:
    training = replace(CONFIG, epochs=4, learning_rate=learning_rate, clip_norm=clip_norm)
    config = run_config("rnn-relu", training)
    ends = np.array([70])
    try:
        forecaster, result = fit_forecaster(
            one_series(), config, device=torch.device("cpu"), ends=ends
        )
    except TrainingError as error:
        assert re.search(r"training diverged in epoch \d+.*; lower --learning-rate", str(error))
    else:
        assert weights_of(forecaster.network).isfinite().all()
        assert all(math.isfinite(record.train_loss) for record in result.history)
        assert np.isfinite(forecaster.predict(one_series())).all()


def test_fit_forecaster_diverges_when_learning_rate_overflows() -> None:
    config = run_config("rnn-relu", replace(CONFIG, learning_rate=1e30))
    with pytest.raises(TrainingError, match=r"^training diverged in epoch \d+, batch \d+: loss"):
        fit_forecaster(one_series(), config, device=torch.device("cpu"))


@pytest.mark.parametrize("model", ["rnn-relu", "bilstm"])
def test_fit_forecaster_is_bit_equal_only_when_seeds_are_equal(model: str) -> None:
    def weights(seed: int) -> Tensor:
        config = run_config(model, replace(CONFIG, epochs=2, seed=seed))
        forecaster, _ = fit_forecaster(
            one_series(), config, device=torch.device("cpu"), ends=np.array([70])
        )
        return weights_of(forecaster.network)

    first = weights(3)
    torch.rand(5)
    assert torch.equal(first, weights(3))
    assert not torch.equal(first, weights(4))


def jittered(share: float, seed: int = 3) -> Tensor:
    """The weights after two epochs with so much jitter."""
    config = run_config("gru", replace(CONFIG, epochs=2, jitter=share, seed=seed))
    forecaster, _ = fit_forecaster(
        one_series(), config, device=torch.device("cpu"), ends=np.array([70])
    )
    return weights_of(forecaster.network)


def test_fit_forecaster_is_bit_equal_with_jitter_only_when_seeds_and_shares_are_equal() -> None:
    first = jittered(0.3)
    torch.rand(5)
    assert torch.equal(first, jittered(0.3))
    assert not torch.equal(first, jittered(0.3, seed=4))
    assert not torch.equal(first, jittered(0.0))


def test_fit_forecaster_jitters_what_is_read_and_nothing_else_when_it_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel, told = one_series(), []
    # A gap: what is missing stays missing.
    panel.values[30] = math.nan
    known = torch.from_numpy(panel.values)

    def spy(network: Ensemble, batch: Batch, teacher_share: float = 0.0) -> list[Tensor]:
        same = torch.isin(batch.values, known)[batch.mask].double().mean().item()
        assert not batch.values[~batch.mask].any()
        assert torch.isin(batch.target[batch.target_mask], known).all()
        told.append((network.training, same))
        return batch_losses(network, batch, teacher_share)

    monkeypatch.setattr(fitting, "batch_losses", spy)
    config = run_config("gru", replace(CONFIG, epochs=1, jitter=0.3))
    fit_forecaster(panel, config, device=torch.device("cpu"), ends=np.array([70]))
    *trained, validated = told
    assert validated == (False, 1.0)
    # Of the windows of five values or fewer nobody can tell how rough they are.
    assert len(trained) == 5 and all(training and same < 0.2 for training, same in trained)
