"""The machine: devices, threads, dtypes, seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from rnnforecast.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = torch.get_num_threads()
_at_once = 1

# Units of a layer times windows of a batch up to which one thread was as fast as two.
ONE_THREAD = 64 * 128
# Values of a batch from which on networks are faster in threads of their own: with less to read,
# what Python has to do for each operation takes longer, and that is done for one at a time.
WORTH_A_THREAD = 2**14

DEVICES = ("auto", "cpu", "cuda", "mps")


def select_device(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: The device is unknown or absent.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    present["mps"] = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if name not in present:
        raise ConfigError(f"device must be one of {', '.join(DEVICES)}, got {name}")
    if not present[name]:
        raise ConfigError(f"device {name} is not available here; pass --device auto or cpu")
    return torch.device(name)


def limit_threads(
    device: torch.device, networks: int, units: int, batch_size: int, lookback: int
) -> None:
    """Divide the threads that torch finds, or OMP_NUM_THREADS allows, among networks.

    A small network gets one: more would only wait for each other, long on a busy machine. Called
    alike before training and forecasting, as the last bits of a sum depend on the number of threads
    of a network; not on how many networks run at once.

    Args:
        device: Where they are; networks on a GPU run in turn.
        networks: How many are trained and asked together.
        units: Of a layer of each.
        batch_size: Windows that it reads at once.
        lookback: Values that it reads of each.
    """
    global _at_once
    worth_it = device.type == "cpu" and batch_size * lookback >= WORTH_A_THREAD
    _at_once = min(networks, THREADS) if worth_it else 1
    torch.set_num_threads(1 if units * batch_size <= ONE_THREAD else THREADS // _at_once)


def together(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `function` makes of each item, as many at once as `limit_threads` has been told of.

    For what draws no random numbers: they are drawn from one generator, in any order.
    """
    if min(_at_once, len(items)) <= 1:
        return [function(item) for item in items]
    return in_threads(_pool(_at_once, torch.get_num_threads()), function, items)


def in_threads(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    """What `function` makes of each item, in threads of `thread_pool`."""
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def run(item: Item) -> Result:
        # What a thread of torch's does not take over from the one that asks it.
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return function(item)

    return list(pool.map(run, items))


def thread_pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Workers whose operations take so many threads each, whatever is set elsewhere."""
    return ThreadPoolExecutor(workers, initializer=_take_threads, initargs=(threads,))


def _take_threads(count: int) -> None:
    # At first a thread takes the number that was set last in any, unless it has asked before.
    torch.get_num_threads()
    torch.set_num_threads(count)


_pool = cache(thread_pool)


@contextmanager
def tensor_cores(device: torch.device) -> Iterator[None]:
    """For the block, products on a CUDA device may round their factors to TF32, of 10 bits.

    Gradients bear that. Those within a recurrent layer may by cuDNN's own default, anywhere.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def bring(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers made on the CPU, on a device, in another precision if one is given; nothing waits.

    Metal alone is waited for: such a copy may read what has been released (PyTorch issue 139550).
    """
    return values.to(device, dtype or values.dtype, non_blocking=device.type != "mps")


def panel_dtype(device: torch.device) -> torch.dtype:
    """The dtype that observations are kept in: double, so that a large level loses no digits."""
    return torch.float32 if device.type == "mps" else torch.float64


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch's global generators (initial weights, dropout); return one for the windows."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
