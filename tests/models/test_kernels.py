"""The compiled kernels, against torch's own, which serve where these do not."""

from __future__ import annotations

import copy
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnforecast.models import kernels
from rnnforecast.models.cells import GRU
from rnnforecast.native import load_library
from rnnforecast.runtime import in_threads, thread_pool

present = pytest.mark.skipif(
    kernels.missing_kernels() is not None, reason=f"no kernels: {kernels.missing_kernels()}"
)


def reference(layer: GRU) -> nn.GRU:
    """torch's own layer in double precision, with the weights of one of ours."""
    other = nn.GRU(layer.input_size, layer.hidden_size, batch_first=True).double()
    other.load_state_dict(layer.state_dict())
    return other


def gradients(
    layer: nn.GRU, x: Tensor, state: Tensor | None, weights: tuple[Tensor, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and last state, and the gradients of a weighted sum by all that they depend on."""
    kind = layer.weight_hh_l0.dtype
    x = x.to(kind).requires_grad_()
    state = None if state is None else state.to(kind).requires_grad_()
    found = list(layer(x, state))
    total = (found[0] * weights[0]).sum() + (found[1] * weights[1]).sum()
    leaves = [x, *([] if state is None else [state]), *layer.parameters()]
    return found, list(torch.autograd.grad(total, leaves))


def precision() -> float:
    """How far a gradient may be off as a share of its norm: bfloat16 keeps eight bits."""
    paired = kernels.missing_kernels() is None and kernels.gradient_dtype() == torch.bfloat16
    return 1e-2 if paired else 1e-5


def near(found: Tensor, expected: Tensor, share: float) -> bool:
    """Whether a tensor is off by no more than a share of its norm, and single precision's."""
    room = share * expected.norm() + 1e-5 * expected.numel() ** 0.5
    return bool((found.double() - expected.double()).norm() <= room)


def check(layer: GRU, x: Tensor, state: Tensor | None) -> None:
    """That the kernels say what torch does in double precision."""
    assert kernels.serves(x, layer.weight_hh_l0)
    batch, time, size = *x.shape[:2], layer.hidden_size
    weights = torch.randn(batch, time, size), torch.randn(1, batch, size)
    found, by = gradients(layer, x, state, weights)
    expected, expected_by = gradients(reference(layer), x, state, weights)
    torch.testing.assert_close([each.double() for each in found], expected, rtol=1e-4, atol=1e-5)
    assert all(map(near, by, expected_by, [precision()] * len(by)))


@pytest.fixture(params=[("-mno-avx512bf16", 16), ("-mno-avx512f", 8)], ids=lambda it: it[0])
def narrower(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> int:
    """Kernels as for a processor with fewer instructions than this one may have; lanes at most."""
    option, lanes = request.param
    if platform.machine() != "x86_64":
        pytest.skip("the compiler's options are those of x86_64")
    monkeypatch.setenv("CXX", f"{os.environ.get('CXX', 'c++')} {option}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = load_library.__wrapped__(kernels.SOURCE)
    monkeypatch.setattr(kernels, "_kernels", lambda: library)
    return int(lanes)


@present
@pytest.mark.parametrize("begun", [True, False])
def test_kernels_equal_double_precision_when_processor_has_fewer_instructions(
    narrower: int, begun: bool
) -> None:
    assert kernels.gradient_dtype() == torch.float32
    assert kernels._kernels().lanes() in (8, narrower)
    layer, x, state = GRU(5, 64), torch.randn(21, 9, 5), torch.randn(1, 21, 64)
    check(layer, x, state if begun else None)


@present
def test_gradients_are_as_near_when_units_remember_hundreds_of_steps() -> None:
    torch.manual_seed(0)
    layer = GRU(2, 32)
    layer.remember(torch.full((32,), 600.0))
    x, last = torch.randn(12, 400, 2), torch.randn(1, 12, 32)
    none = torch.zeros(12, 400, 32)
    by = gradients(layer, x, None, (none, last))[1]
    expected = gradients(reference(layer), x, None, (none, last))[1]
    assert all(map(near, by, expected, [precision()] * len(by)))


@present
@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(8, 40),
    time=st.integers(1, 9),
    inputs=st.integers(1, 5),
    size=st.sampled_from([32, 64, 96]),
    begun=st.booleans(),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_kernels_equal_double_precision_when_shapes_are_any(
    batch: int,
    time: int,
    inputs: int,
    size: int,
    begun: bool,
    scale: float,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    layer = GRU(inputs, size)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=size**-0.5)
    x = scale * torch.randn(batch, time, inputs)
    check(layer, x, torch.randn(1, batch, size) if begun else None)


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three threads for the rows of a layer, however many cores there are."""
    monkeypatch.setattr(kernels, "THREADS", 3)
    kernels._pool.cache_clear()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(1)
    kernels._pool.cache_clear()


@present
@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("cached", [kernels.CACHED, 1])
def test_kernels_say_same_to_the_bit_when_threads_share_the_rows(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = GRU(3, 32), torch.randn(50, 7, 3)
    weights = torch.randn(50, 7, 32), torch.randn(1, 50, 32)
    monkeypatch.setattr(kernels, "CACHED", cached)
    shared = gradients(layer, x, None, weights)
    again = gradients(layer, x, None, weights)
    assert all(map(torch.equal, [*shared[0], *shared[1]], [*again[0], *again[1]]))
    torch.set_num_threads(1)
    alone = gradients(layer, x, None, weights)
    # Products over all rows are summed otherwise by more threads.
    assert all(map(torch.equal, alone[0], shared[0]))
    assert all(map(near, alone[1], shared[1], [precision()] * len(shared[1])))


@present
@pytest.mark.usefixtures("three_threads")
def test_layers_share_their_rows_when_each_has_a_thread_of_its_own() -> None:
    layers, x = [GRU(3, 32) for _ in range(4)], torch.randn(50, 7, 3)

    def learnt(layer: GRU) -> Tensor:
        return torch.autograd.grad(layer(x)[0].sum(), layer.weight_hh_l0)[0]

    expected = [learnt(layer) for layer in layers]
    with thread_pool(2, 3) as pool:
        found = in_threads(pool, learnt, layers)
    assert all(map(torch.equal, expected, found))


@present
def test_kernels_read_sequences_when_they_lie_in_memory_by_step() -> None:
    layer, by_step = GRU(3, 32), torch.randn(7, 50, 3)
    weights = torch.randn(50, 7, 32), torch.randn(1, 50, 32)
    found = gradients(layer, by_step.transpose(0, 1), None, weights)
    expected = gradients(layer, by_step.transpose(0, 1).contiguous(), None, weights)
    torch.testing.assert_close(found, expected)


@present
def test_kernels_give_nan_when_they_read_nan() -> None:
    layer, x = GRU(1, 32), torch.zeros(8, 5, 1)
    x[3, 2] = torch.nan
    outputs = layer(x)[0]
    assert outputs[3, 2:].isnan().all()
    outputs[3, 2:] = 0
    assert outputs.isfinite().all()


@present
@pytest.mark.parametrize(
    "change",
    [
        lambda layer, x: (layer.double(), x.double()),
        lambda layer, x: (layer, x[:1]),
        lambda layer, x: (GRU(3, 20), x),
    ],
    ids=["double precision", "one row", "a width that fills no vectors"],
)
def test_kernels_leave_to_torch_when_something_is_not_theirs(
    change: Callable[[GRU, Tensor], tuple[GRU, Tensor]],
) -> None:
    layer, x = change(GRU(3, 32), torch.randn(50, 7, 3))
    assert not kernels.serves(x, layer.weight_hh_l0)
    outputs = layer(x)[0]
    expected = reference(layer)(x.double())[0]
    torch.testing.assert_close(outputs.double(), expected, rtol=1e-4, atol=1e-5)


@present
def test_kernels_leave_to_torch_when_forecasts_are_made() -> None:
    layer, x = GRU(3, 32), torch.randn(50, 7, 3)
    with torch.inference_mode():
        assert not kernels.serves(x, layer.weight_hh_l0)


@present
def test_kernels_say_same_when_no_gradient_flows() -> None:
    layer, x = GRU(3, 32), torch.randn(50, 7, 3)
    learning = layer(x)[0]
    with torch.no_grad():
        assert kernels.serves(x, layer.weight_hh_l0)
        assert torch.equal(layer(x)[0], learning)


@present
@pytest.mark.parametrize("cached", [1, 13 * 7 * 4 * 32 * 2, 13 * 7 * 4 * 32 * 4])
def test_gradients_are_as_near_when_rows_are_taken_back_in_parts(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = GRU(3, 32), torch.randn(50, 7, 3)
    weights = torch.randn(50, 7, 32), torch.randn(1, 50, 32)
    whole = gradients(layer, x, None, weights)[1]
    monkeypatch.setattr(kernels, "CACHED", cached)
    parts = gradients(layer, x, None, weights)[1]
    assert all(map(near, parts, whole, [precision()] * len(whole)))


def test_layers_learn_alike_when_there_is_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = GRU(3, 32), torch.randn(50, 7, 3)
    weights = torch.randn(50, 7, 32), torch.randn(1, 50, 32)
    found, by = gradients(copy.deepcopy(layer), x, None, weights)
    room = precision()
    monkeypatch.setattr(kernels, "missing_kernels", lambda: "there is none")
    assert not kernels.serves(x, layer.weight_hh_l0)
    other, other_by = gradients(layer, x, None, weights)
    torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-4)
    assert all(map(near, by, other_by, [room] * len(by)))


def test_source_is_beside_the_kernels_when_installed() -> None:
    assert kernels.SOURCE.is_file()
    assert kernels.missing_kernels() is not None or load_library(kernels.SOURCE).lanes() > 0
