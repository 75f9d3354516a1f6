"""What a run takes of the machine."""

from __future__ import annotations

import torch

from rnnforecast.config import RunConfig
from rnnforecast.models.cells import GRU
from rnnforecast.models.kernels import missing_kernels
from rnnforecast.models.registry import find_model, load_class
from rnnforecast.runtime import keep_freed_memory, limit_threads
from rnnforecast.workflows.reporting import Reporter


def limit_threads_for(config: RunConfig) -> None:
    """Divide the threads among the networks of a configuration."""
    model, batch_size = config.model, config.training.batch_size
    networks, lookback = max(1, len(model.lookbacks)), config.windows.lookback
    limit_threads(networks, model.hidden_size, batch_size, lookback)


def ready_for_training(config: RunConfig, device: torch.device, reporter: Reporter) -> None:
    """Set threads and memory up; say so where a GRU trains without its compiled kernels."""
    limit_threads_for(config)
    keep_freed_memory()
    cell = find_model(config.model.model).cell
    if device.type != "cpu" or cell is None or not issubclass(load_class(cell), GRU):
        return
    reason = missing_kernels()
    if reason is not None:
        reporter.note(
            f"training takes up to twice as long as with compiled kernels: {reason}; install a C++ "
            "compiler, or name one by the environment variable CXX"
        )
