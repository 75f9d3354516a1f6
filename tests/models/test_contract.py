"""What every model and head must satisfy; a new row is tested by standing in its table."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor

from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.decoders import Truth
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.encoders import RecurrentStack
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import MODELS, load_class
from rnnforecast.runtime import seed_everything
from tests.models.unrolled import unroll

LOOKBACK, HORIZON, SEASON = 22, 5, 4
RECURRENT = [name for name, entry in MODELS.items() if entry.cell]
ONE_WAY = [name for name in RECURRENT if not MODELS[name].bidirectional]
TRUNCATABLE = [name for name in RECURRENT if MODELS[name].truncatable]
CELLS = sorted({entry.cell for entry in MODELS.values() if entry.cell})
# Every model with its own head, and every head with the default model and with one that samples.
PAIRS = sorted(
    {(entry.name, entry.head) for entry in MODELS.values()}
    | {("gru", head) for head in HEADS}
    | {("deepar", name) for name, head in HEADS.items() if head.samples}
)

every_model = pytest.mark.parametrize("name", MODELS)
every_recurrent_model = pytest.mark.parametrize("name", RECURRENT)
every_pair = pytest.mark.parametrize(("name", "head"), PAIRS)
every_segment = pytest.mark.parametrize("segment_length", [1, 4])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def build(
    name: str,
    segment_length: int = 1,
    *,
    head: str | None = None,
    seed: int = 0,
    hidden_size: int = 6,
    num_layers: int = 3,
    tbptt: int | None = None,
) -> ForecastNetwork:
    """A network of three layers, its zero-initialised maps perturbed so that states matter."""
    seed_everything(seed)
    network = ForecastNetwork(
        ModelSpec(
            model=name,
            head=head or MODELS[name].head,
            hidden_size=hidden_size,
            num_layers=num_layers,
            segment_length=segment_length,
            tbptt=tbptt,
        ),
        WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,)),
    )
    with torch.no_grad():
        network.decoder.projection.location.weight.normal_(std=0.3)
    return network.eval()


def windows(batch: int = 6, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Rows [batch, lookback] that begin late and have gaps, the first one whole."""
    generator = torch.Generator().manual_seed(seed)
    values = 50 + torch.randn(batch, LOOKBACK, generator=generator, dtype=torch.float64).cumsum(1)
    observed = torch.rand(batch, LOOKBACK, generator=generator) > 0.2
    begins = torch.arange(batch)[:, None] * 2
    mask = observed & (torch.arange(LOOKBACK) >= begins)
    mask[0] = True
    return torch.where(mask, values, 0), mask


def counts(batch: int = 6) -> Tensor:
    """Whole numbers [batch, horizon] as they may come after the rows of `windows`."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(40, 60, (batch, HORIZON), generator=generator).double()


def loss_of(
    network: ForecastNetwork, values: Tensor, mask: Tensor, target: Tensor, share: float = 0.0
) -> Tensor:
    observed = torch.ones_like(target, dtype=torch.bool)
    parameters, scale = network(values, mask, Truth(target, observed, share))
    return network.head.loss(parameters, scale, target, observed)


def read_step_by_step(stack: RecurrentStack, x: Tensor) -> tuple[Tensor, Tensor]:
    """Feed x [batch, time, channel] one step at a time, each layer's state passed on."""
    states: dict[tuple[int, int], object] = {}
    outputs = []
    for time, step in enumerate(x.split(1, dim=1)):
        for depth, layer in enumerate(stack.forward_layers):
            place = depth, time % stack.dilations[depth]
            output, states[place] = layer(step, states.get(place))
            step = step + output if depth >= 2 else output
        outputs.append(step)
    return torch.cat(outputs, dim=1), outputs[-1].squeeze(1)


@pytest.mark.parametrize("path", CELLS)
def test_cell_equals_its_equations_when_read_whole(path: str) -> None:
    seed_everything(4)
    cell = load_class(path)(3, 5).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    outputs, state = cell(x)
    final = state if isinstance(state, Tensor) else state[0]
    steps = unroll(cell, x)
    expected = torch.stack([step.state[0] for step in steps], dim=1)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(final[0], expected[:, -1], rtol=0, atol=1e-10)


@every_segment
@pytest.mark.parametrize("name", ONE_WAY)
def test_model_reads_step_by_step_as_whole_when_unidirectional(
    name: str, segment_length: int
) -> None:
    network = build(name, segment_length)
    x, lengths = network.front_end(torch.randn(4, LOOKBACK), torch.ones(4, LOOKBACK) > 0)
    stack = getattr(network.encoder, "stack", network.encoder)
    whole, final = stack(x, lengths)
    stepwise, last = read_step_by_step(stack, x)
    torch.testing.assert_close(stepwise, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, final, rtol=1e-5, atol=1e-6)


@every_segment
@pytest.mark.parametrize("name", ONE_WAY)
def test_model_reads_beginning_as_alone_when_unidirectional(name: str, segment_length: int) -> None:
    network = build(name, segment_length)
    x, _ = network.front_end(torch.randn(4, LOOKBACK), torch.ones(4, LOOKBACK) > 0)
    for steps in range(1, x.shape[1] + 1):
        counted = torch.full((4,), steps)
        states, final = network.encoder(x, counted)
        beginning, end = network.encoder(x[:, :steps], counted)
        torch.testing.assert_close(states[:, :steps], beginning, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(final, end, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ONE_WAY)
def test_model_states_ignore_later_steps_when_unidirectional(name: str) -> None:
    network = build(name)
    encoder, channels = network.encoder, network.front_end.output_size
    x, lengths = torch.randn(3, 9, channels), torch.full((3,), 9)
    later = x.clone()
    later[:, 5:] = 1e3
    before, after = encoder(x, lengths)[0], encoder(later, lengths)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


@every_segment
@pytest.mark.parametrize("name", TRUNCATABLE)
def test_model_forecast_is_equal_when_gradients_are_truncated(
    name: str, segment_length: int
) -> None:
    values, mask = windows()
    expected = build(name, segment_length).quantiles(values, mask)
    for tbptt in (1, 3, 5):
        truncated = build(name, segment_length, tbptt=tbptt).quantiles(values, mask)
        torch.testing.assert_close(truncated, expected, rtol=1e-5, atol=1e-5)


@every_segment
@every_recurrent_model
def test_model_reads_shorter_window_when_first_values_are_masked(
    name: str, segment_length: int
) -> None:
    network = build(name, segment_length)
    for missing in (1, 4, 7, LOOKBACK - 1):
        values, mask = torch.randn(3, LOOKBACK), torch.ones(3, LOOKBACK, dtype=torch.bool)
        mask[:, :missing] = False
        values[:, :missing] = 0
        steps, lengths = network.front_end(values, mask)
        summary = network.summary(*network.encoder(steps, lengths), lengths)
        steps, lengths = network.front_end(values[:, missing:], mask[:, missing:])
        assert (lengths == steps.shape[1]).all()
        shortened = network.summary(*network.encoder(steps, lengths), lengths)
        torch.testing.assert_close(summary, shortened, rtol=1e-5, atol=1e-6)


@every_recurrent_model
def test_model_states_do_not_pass_through_padding_when_padding_is_arbitrary(name: str) -> None:
    network = build(name)
    lengths = torch.tensor([8, 3, 1])
    padding = torch.arange(8) >= lengths[:, None]
    x = torch.randn(3, 8, network.front_end.output_size)
    other = torch.where(padding[..., None], 1e3, x)
    states, final = network.encoder(x, lengths)
    other_states, other_final = network.encoder(other, lengths)
    summary = network.summary(states, final, lengths)
    assert torch.equal(summary, network.summary(other_states, other_final, lengths))
    assert torch.equal(states[~padding], other_states[~padding])


@every_segment
@every_pair
def test_model_forecasts_row_alone_as_in_batch_when_rows_differ(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    values, mask = windows()
    together = network.quantiles(values, mask)
    for row in range(len(values)):
        alone = network.quantiles(values[row : row + 1], mask[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=5e-6, atol=1e-5)


@every_segment
@every_pair
def test_model_gradient_reaches_every_parameter_when_loss_is_the_heads(
    name: str, head: str, segment_length: int
) -> None:
    for share in (0.0, 0.5, 1.0):
        network = build(name, segment_length, head=head)
        loss_of(network, *windows(), counts(), share).backward()
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), (parameter_name, share)
            assert parameter.grad.isfinite().all(), (parameter_name, share)


@every_segment
@every_pair
def test_model_quantiles_never_cross_when_weights_are_large(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        network.decoder.projection.spread.weight.normal_(std=30)
    quantiles = network.quantiles(*windows())
    assert quantiles.shape == (6, HORIZON, 5)
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()


@every_pair
def test_model_loss_decreases_when_trained_on_a_few_windows(name: str, head: str) -> None:
    network = build(name, head=head)
    values, mask = windows(24)
    target = (50 + 10 * torch.sin(torch.arange(HORIZON) * torch.pi / 5)).double().round()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = loss_of(network, values, mask, target.expand(24, HORIZON))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.15


@every_segment
@every_pair
def test_model_forecast_is_bit_equal_when_weights_are_saved_and_loaded(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    other = build(name, segment_length, head=head, seed=9)
    values, mask = windows()
    expected = network.quantiles(values, mask)
    assert not torch.equal(other.quantiles(values, mask), expected)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.quantiles(values, mask), expected)


@every_segment
@every_model
def test_model_weights_are_equal_when_seed_is_equal(name: str, segment_length: int) -> None:
    weights, same, others = (
        build(name, segment_length, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert any(not torch.equal(weights[key], others[key]) for key in weights)


@every_recurrent_model
def test_model_encoder_passes_gradcheck_when_double(name: str) -> None:
    network = build(name, hidden_size=3).double()
    encoder = network.encoder
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(std=0.5)  # biases of zero would leave dead units on ReLU's kink
    x = torch.randn(2, 4, network.front_end.output_size, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 2])

    def counted(x: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        states, final = encoder(x, lengths)
        summary = network.summary(states, final, lengths)
        return states * (torch.arange(4) < lengths[:, None])[..., None], summary

    read = (*encoder.parameters(), *network.summary.parameters())
    assert torch.autograd.gradcheck(counted, (x, *read), fast_mode=True)


@every_segment
@every_pair
def test_model_passes_gradcheck_when_double(name: str, head: str, segment_length: int) -> None:
    """Of the whole network, through its own forecasts where it is fed these."""
    network = build(name, segment_length, head=head, hidden_size=3).double()
    values, mask = windows(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)

    def loss(*_: Tensor) -> Tensor:
        parameters, scale = network(values, mask)
        target = counts(3)
        return network.head.loss(parameters, scale, target, torch.ones_like(target) > 0)

    weights = tuple(network.decoder.parameters())
    assert torch.autograd.gradcheck(loss, weights, fast_mode=True)


@needs_gpu
@every_recurrent_model
def test_model_encoder_matches_cpu_when_on_gpu_in_double(name: str) -> None:
    network = build(name).double().train()  # cuDNN differentiates in training mode only
    encoder, channels = network.encoder, network.front_end.output_size
    x, lengths = torch.randn(4, 9, channels, dtype=torch.float64), torch.tensor([9, 5, 1, 7])
    counted = (torch.arange(9) < lengths[:, None])[..., None]
    states, final = encoder(x, lengths)
    ((states * counted).sum() + final.sum()).backward()
    expected = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    encoder.cuda()
    gpu_states, gpu_final = encoder(x.cuda(), lengths.cuda())
    ((gpu_states * counted.cuda()).sum() + gpu_final.sum()).backward()
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(gpu_states.cpu() * counted, states * counted, **close)
    torch.testing.assert_close(gpu_final.cpu(), final, **close)
    for parameter, gradient in zip(encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient, **close)


@needs_gpu
@every_segment
@every_pair
def test_model_forecast_is_close_to_cpu_when_on_gpu(
    name: str, head: str, segment_length: int
) -> None:
    """To 1% of a window's spread: cuDNN multiplies in TF32, whose mantissa has ten bits."""
    network = build(name, segment_length, head=head)
    values, mask = windows()
    expected, scale = network.quantiles(values, mask), network.read(values, mask)[2].scale
    quantiles = network.cuda().quantiles(values.cuda(), mask.cuda())
    assert quantiles.is_cuda
    off = (quantiles.cpu() - expected) / scale[..., None]
    # One path more or less beside a quantile moves that of a sample.
    assert off.abs().max() < (0.3 if MODELS[name].samples else 1e-2)
