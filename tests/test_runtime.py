"""Devices, dtypes and seeds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnnforecast import runtime
from rnnforecast.errors import ConfigError
from rnnforecast.runtime import (
    bring,
    limit_threads,
    panel_dtype,
    seed_everything,
    select_device,
    tensor_cores,
    together,
)

CPU = torch.device("cpu")


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of four; what a test makes of it is undone."""
    monkeypatch.setattr(runtime, "THREADS", 4)
    monkeypatch.setattr(runtime, "_at_once", 1)
    yield
    torch.set_num_threads(1)


def have(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (True, False, "cuda"),
        (True, True, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_select_device_takes_the_fastest_when_asked_for_auto(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    have(monkeypatch, cuda=cuda, mps=mps)
    assert select_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ("cpu", "cuda", "mps"))
def test_select_device_takes_the_one_named_when_it_is_present(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    have(monkeypatch, cuda=True, mps=True)
    assert select_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ("cuda", "mps"))
def test_select_device_raises_when_the_device_is_absent(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    have(monkeypatch, cuda=False, mps=False)
    message = f"^device {name} is not available here; pass --device auto or cpu$"
    with pytest.raises(ConfigError, match=message):
        select_device(name)


@pytest.mark.parametrize("name", ("", "gpu", "CUDA", "cuda:0"))
def test_select_device_raises_when_the_name_is_unknown(name: str) -> None:
    message = f"^device must be one of auto, cpu, cuda, mps, got {name}$"
    with pytest.raises(ConfigError, match=message):
        select_device(name)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)],
)
def test_panel_dtype_is_double_when_the_device_has_it(device: str, dtype: torch.dtype) -> None:
    assert panel_dtype(torch.device(device)) == dtype


class Bringing(TorchFunctionMode):
    """Brings nothing anywhere, but keeps whether this would be waited for, by device."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: dict[torch.device, bool] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not Tensor.to:  # as attributes are asked for
            return func(*args, **(kwargs or {}))
        _, device, _ = args
        self.waited[device] = not kwargs["non_blocking"]
        return args[0]


@pytest.mark.parametrize(("name", "waited"), [("cuda", False), ("mps", True)])
def test_bring_waits_for_a_copy_when_it_may_read_what_was_released(name: str, waited: bool) -> None:
    values, device = torch.ones(3), torch.device(name)
    with Bringing() as kept:
        bring(values, device, torch.float64)
    assert kept.waited == {device: waited}


def test_bring_keeps_values_in_the_precision_that_is_asked_for() -> None:
    values = torch.tensor([1.5, -2.0])
    assert bring(values, CPU).dtype == torch.float32
    assert torch.equal(bring(values, CPU, torch.float64), values.double())


def test_seed_everything_repeats_weights_and_order_when_seeds_are_equal() -> None:
    def draw(seed: int) -> tuple[list[float], list[int]]:
        generator = seed_everything(seed)
        return torch.rand(3).tolist(), torch.randperm(50, generator=generator).tolist()

    first, again, other = draw(7), draw(7), draw(8)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_seed_everything_keeps_order_and_weights_apart_when_one_is_drawn_from() -> None:
    seed_everything(1)
    expected = torch.rand(2).tolist()
    generator = seed_everything(1)
    torch.randperm(50, generator=generator)
    assert torch.rand(2).tolist() == expected


@pytest.mark.parametrize("seed", (0, 2**63 - 1))
def test_seed_everything_takes_the_seed_when_it_lies_on_the_bound(seed: int) -> None:
    assert seed_everything(seed).initial_seed() == seed


@pytest.mark.parametrize(
    ("networks", "units", "batch_size", "lookback", "each", "at_once"),
    [
        pytest.param(1, 128, 256, 336, 4, 1, id="one that is large"),
        pytest.param(1, 32, 256, 336, 1, 1, id="one that is small"),
        pytest.param(3, 32, 64, 66, 1, 1, id="small ones"),
        pytest.param(3, 32, 128, 672, 1, 3, id="narrow ones that read much"),
        pytest.param(2, 128, 256, 672, 2, 2, id="two that are large"),
        pytest.param(7, 128, 256, 672, 1, 4, id="more than there are threads"),
        pytest.param(3, 128, 128, 24, 4, 1, id="wide ones that read little"),
    ],
)
@pytest.mark.usefixtures("four_threads")
def test_limit_threads_divides_them_when_networks_are_worth_it(
    networks: int, units: int, batch_size: int, lookback: int, each: int, at_once: int
) -> None:
    limit_threads(CPU, networks, units, batch_size, lookback)
    assert torch.get_num_threads() == each
    counts = together(lambda _: torch.get_num_threads(), range(networks))
    assert counts == [each] * networks
    names = together(lambda _: threading.get_ident(), range(networks))
    assert len(names) == networks and len(set(names)) <= at_once
    assert (threading.get_ident() in names) == (at_once == 1)


@pytest.mark.usefixtures("four_threads")
def test_together_is_in_order_when_the_first_takes_longest() -> None:
    limit_threads(CPU, 3, 128, 256, 672)
    done = threading.Barrier(3, timeout=60)

    def wait(item: int) -> int:
        done.wait()
        return item

    assert together(wait, [3, 1, 2]) == [3, 1, 2]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.usefixtures("four_threads")
def test_together_has_gradients_as_the_one_that_asks(mode: type) -> None:
    limit_threads(CPU, 2, 128, 256, 672)
    with mode():
        expected = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = together(
            lambda _: (torch.is_grad_enabled(), torch.is_inference_mode_enabled()), range(2)
        )
    assert found == [expected, expected]


@pytest.mark.usefixtures("four_threads")
def test_together_raises_when_one_fails() -> None:
    limit_threads(CPU, 2, 128, 256, 672)
    with pytest.raises(ZeroDivisionError):
        together(lambda item: 1 // item, [1, 0])


def test_networks_run_in_turn_when_they_are_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "THREADS", 4)
    monkeypatch.setattr(runtime, "_at_once", 4)
    limit_threads(torch.device("cuda"), 3, 128, 256, 672)
    here = threading.get_ident()
    assert together(lambda _: threading.get_ident(), range(3)) == [here] * 3
    torch.set_num_threads(1)


def test_workers_keep_their_threads_when_others_are_set_elsewhere() -> None:
    with runtime.thread_pool(1, 2) as pool:
        pool.submit(int).result()
        torch.set_num_threads(3)
        try:
            assert pool.submit(torch.get_num_threads).result() == 2
        finally:
            torch.set_num_threads(1)


@pytest.mark.usefixtures("four_threads")
def test_sums_are_equal_to_the_bit_when_the_workers_are_new() -> None:
    """A worker that starts with a product must not take more threads for it than the others."""
    limit_threads(CPU, 3, 32, 128, 672)
    values = torch.randn(3, 128, 700, generator=torch.Generator().manual_seed(0))

    def gradients(place: int) -> torch.Tensor:
        weights = torch.ones(96, 700, requires_grad=True)
        (values[place] @ weights.T).square().sum().backward()
        assert weights.grad is not None
        return weights.grad

    found = []
    for _ in range(30):
        runtime._pool.cache_clear()
        found.append(torch.stack(together(gradients, range(3))))
    assert all(torch.equal(found[0], other) for other in found)


@pytest.mark.parametrize(
    ("kind", "inside"), [("cuda", "high"), ("cpu", "highest"), ("mps", "highest")]
)
def test_products_are_rounded_when_the_device_is_a_cuda_one(kind: str, inside: str) -> None:
    with pytest.raises(ZeroDivisionError), tensor_cores(torch.device(kind)):
        assert torch.get_float32_matmul_precision() == inside
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "highest"
