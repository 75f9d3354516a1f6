"""What every model and head must satisfy; a new row is tested by standing in its table."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor

from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.encoders import RecurrentStack
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import HEADS, MODELS
from rnnforecast.runtime import seed_everything

LOOKBACK, HORIZON, SEASON = 14, 5, 4
RECURRENT = [name for name, entry in MODELS.items() if entry.cell]
ONE_WAY = [name for name in RECURRENT if not MODELS[name].bidirectional]

every_model = pytest.mark.parametrize("name", MODELS)
every_recurrent_model = pytest.mark.parametrize("name", RECURRENT)
every_head = pytest.mark.parametrize("head", HEADS)
every_segment = pytest.mark.parametrize("segment_length", [1, 4])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def build(
    name: str,
    segment_length: int = 1,
    *,
    head: str = "quantile",
    seed: int = 0,
    hidden_size: int = 6,
) -> ForecastNetwork:
    """A network of two layers, its zero-initialised head perturbed so that states matter."""
    seed_everything(seed)
    network = ForecastNetwork(
        ModelSpec(
            model=name,
            head=head,
            hidden_size=hidden_size,
            num_layers=2,
            segment_length=segment_length,
        ),
        WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,)),
    )
    with torch.no_grad():
        network.head.median.weight.normal_(std=0.3)
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


def forecast(network: ForecastNetwork, values: Tensor, mask: Tensor) -> Tensor:
    parameters, scale = network(values, mask)
    return scale.inverse(network.head.quantiles(parameters))


def read_step_by_step(stack: RecurrentStack, x: Tensor) -> tuple[Tensor, Tensor]:
    """Feed x [batch, time, channel] one step at a time, each layer's state passed on."""
    states: list[object] = [None] * len(stack.forward_layers)
    outputs = []
    for step in x.split(1, dim=1):
        for depth, layer in enumerate(stack.forward_layers):
            step, states[depth] = layer(step, states[depth])
        outputs.append(step)
    return torch.cat(outputs, dim=1), outputs[-1].squeeze(1)


@every_segment
@pytest.mark.parametrize("name", ONE_WAY)
def test_model_reads_step_by_step_as_whole_when_unidirectional(
    name: str, segment_length: int
) -> None:
    network = build(name, segment_length)
    x, lengths = network.front_end(torch.randn(4, LOOKBACK), torch.ones(4, LOOKBACK) > 0)
    whole, final = network.encoder(x, lengths)
    stepwise, last = read_step_by_step(network.encoder, x)
    torch.testing.assert_close(stepwise, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, final, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ONE_WAY)
def test_model_states_ignore_later_steps_when_unidirectional(name: str) -> None:
    stack = build(name).encoder
    x, lengths = torch.randn(3, 9, 2), torch.full((3,), 9)
    later = x.clone()
    later[:, 5:] = 1e3
    before, after = stack(x, lengths)[0], stack(later, lengths)[0]
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


@every_segment
@every_recurrent_model
@pytest.mark.parametrize("missing", [1, 4, 7, LOOKBACK - 1])
def test_model_reads_shorter_window_when_first_values_are_masked(
    name: str, segment_length: int, missing: int
) -> None:
    network = build(name, segment_length)
    values, mask = torch.randn(3, LOOKBACK), torch.ones(3, LOOKBACK, dtype=torch.bool)
    mask[:, :missing] = False
    values[:, :missing] = 0
    summary = network.encoder(*network.front_end(values, mask))[1]
    steps, lengths = network.front_end(values[:, missing:], mask[:, missing:])
    assert (lengths == steps.shape[1]).all()
    shortened = network.encoder(steps, lengths)[1]
    torch.testing.assert_close(summary, shortened, rtol=1e-5, atol=1e-6)


@every_recurrent_model
def test_model_states_do_not_pass_through_padding_when_padding_is_arbitrary(name: str) -> None:
    stack = build(name).encoder
    lengths = torch.tensor([8, 3, 1])
    padding = torch.arange(8) >= lengths[:, None]
    x = torch.randn(3, 8, 2)
    other = torch.where(padding[..., None], 1e6, x)
    states, final = stack(x, lengths)
    other_states, other_final = stack(other, lengths)
    assert torch.equal(final, other_final)
    assert torch.equal(states[~padding], other_states[~padding])


@every_segment
@every_head
@every_model
def test_model_forecasts_row_alone_as_in_batch_when_rows_differ(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    values, mask = windows()
    together = forecast(network, values, mask)
    for row in range(len(values)):
        alone = forecast(network, values[row : row + 1], mask[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-6, atol=1e-5)


@every_segment
@every_head
@every_model
def test_model_gradient_reaches_every_parameter_when_loss_is_the_heads(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    parameters, _ = network(*windows())
    target = torch.randn(parameters.shape[:2])
    network.head.loss(parameters, target, torch.ones_like(target) > 0).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@every_segment
@every_head
@every_model
def test_model_quantiles_never_cross_when_weights_are_large(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        network.head.spread.weight.normal_(std=30)
    quantiles = forecast(network, *windows())
    assert quantiles.shape == (6, HORIZON, 5)
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()


@every_head
@every_model
def test_model_loss_decreases_when_trained_on_a_few_windows(name: str, head: str) -> None:
    network = build(name, head=head)
    values, mask = windows(24)
    target = torch.sin(torch.arange(HORIZON) * torch.pi / 5).expand(24, HORIZON)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        parameters, _ = network(values, mask)
        loss = network.head.loss(parameters, target, torch.ones_like(target) > 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.15


@every_segment
@every_head
@every_model
def test_model_forecast_is_bit_equal_when_weights_are_saved_and_loaded(
    name: str, head: str, segment_length: int
) -> None:
    network = build(name, segment_length, head=head)
    other = build(name, segment_length, head=head, seed=9)
    values, mask = windows()
    expected = forecast(network, values, mask)
    assert not torch.equal(forecast(other, values, mask), expected)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(forecast(other, values, mask), expected)


@every_segment
@every_model
def test_model_weights_are_equal_when_seed_is_equal(name: str, segment_length: int) -> None:
    weights, same, others = (
        build(name, segment_length, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert any(not torch.equal(weights[key], others[key]) for key in weights)


@every_recurrent_model
def test_model_stack_passes_gradcheck_when_double(name: str) -> None:
    stack = build(name, hidden_size=3).encoder.double()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.normal_(std=0.5)  # biases of zero would leave dead units on ReLU's kink
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 2])

    def counted(x: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        states, final = stack(x, lengths)
        return states * (torch.arange(4) < lengths[:, None])[..., None], final

    assert torch.autograd.gradcheck(counted, (x, *stack.parameters()), fast_mode=True)


@needs_gpu
@every_recurrent_model
def test_model_stack_matches_cpu_when_on_gpu_in_double(name: str) -> None:
    stack = build(name).encoder.double().train()  # cuDNN differentiates in training mode only
    x, lengths = torch.randn(4, 9, 2, dtype=torch.float64), torch.tensor([9, 5, 1, 7])
    counted = (torch.arange(9) < lengths[:, None])[..., None]
    states, final = stack(x, lengths)
    (states * counted).sum().backward()
    expected = [parameter.grad.clone() for parameter in stack.parameters()]
    stack.zero_grad()
    stack.cuda()
    gpu_states, gpu_final = stack(x.cuda(), lengths.cuda())
    (gpu_states * counted.cuda()).sum().backward()
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(gpu_states.cpu() * counted, states * counted, **close)
    torch.testing.assert_close(gpu_final.cpu(), final, **close)
    for parameter, gradient in zip(stack.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient, **close)


@needs_gpu
@every_segment
@every_head
@every_model
def test_model_forecast_is_close_to_cpu_when_on_gpu(
    name: str, head: str, segment_length: int
) -> None:
    """To 1% of a window's spread: cuDNN multiplies in TF32, whose mantissa has ten bits."""
    network = build(name, segment_length, head=head)
    values, mask = windows()
    expected = network.head.quantiles(network(values, mask)[0])
    parameters, _ = network.cuda()(values.cuda(), mask.cuda())
    quantiles = network.head.quantiles(parameters)
    assert quantiles.is_cuda
    torch.testing.assert_close(quantiles.cpu(), expected, rtol=1e-2, atol=1e-2)
