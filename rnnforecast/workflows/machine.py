"""What a run takes of the machine."""

from __future__ import annotations

import torch

from rnnforecast.allocator import keep_freed_memory
from rnnforecast.config import RunConfig
from rnnforecast.models.cells import GRU
from rnnforecast.models.kernels import gradient_dtype, missing_kernels
from rnnforecast.models.registry import find_model, load_class
from rnnforecast.runtime import limit_threads
from rnnforecast.workflows.reporting import Reporter

# Units that fill the vectors of a processor, of whatever kind it is.
LEAST_UNITS = 16


def limit_threads_for(config: RunConfig, device: torch.device) -> None:
    """Divide the threads among the networks of a configuration."""
    model, batch_size = config.model, config.training.batch_size
    networks, lookback = max(1, len(model.lookbacks)), config.windows.lookback
    limit_threads(device, networks, model.hidden_size, batch_size, lookback)


def ready_for_training(config: RunConfig, device: torch.device) -> None:
    """Set threads and memory up."""
    limit_threads_for(config, device)
    keep_freed_memory()


def _for_kernels(config: RunConfig, device: torch.device) -> bool:
    """Whether compiled kernels are for networks of this configuration."""
    cell = find_model(config.model.model).cell
    served = device.type == "cpu" and config.model.hidden_size % LEAST_UNITS == 0
    return served and cell is not None and issubclass(load_class(cell), GRU)


def lacks_kernels(config: RunConfig, device: torch.device) -> str | None:
    """Why networks train without the compiled kernels that are for them; None where they do not."""
    return missing_kernels() if _for_kernels(config, device) else None


def kernels_of(config: RunConfig, device: torch.device) -> str:
    """By which compiled kernels networks train: the precision of their gradients, or "none"."""
    if not _for_kernels(config, device) or missing_kernels() is not None:
        return "none"
    return str(gradient_dtype()).removeprefix("torch.")


def tell_of_kernels(config: RunConfig, device: torch.device, reporter: Reporter) -> None:
    """Say so where a GRU trains without its compiled kernels."""
    reason = lacks_kernels(config, device)
    if reason is not None:
        reporter.note(
            f"training is slower than with compiled kernels: {reason}; install a C++ compiler, or "
            "name one by the environment variable CXX"
        )
