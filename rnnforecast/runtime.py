"""The machine: devices, threads, dtypes, seeds."""

from __future__ import annotations

import torch

from rnnforecast.errors import ConfigError

# Units of a layer times windows of a batch up to which one thread was as fast as two.
ONE_THREAD = 64 * 128

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


def limit_threads(units: int, batch_size: int) -> None:
    """One thread for small networks: more would only wait for each other, long on a busy machine.

    Larger ones take the threads that torch finds or OMP_NUM_THREADS allows. Called alike before
    training and forecasting, as the last bits of a sum depend on the number of threads.
    """
    if units * batch_size <= ONE_THREAD:
        torch.set_num_threads(1)


def panel_dtype(device: torch.device) -> torch.dtype:
    """The dtype that observations are kept in: double, so that a large level loses no digits."""
    return torch.float32 if device.type == "mps" else torch.float64


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch's global generators (initial weights, dropout); return one for the windows."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
