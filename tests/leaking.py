"""Run as a script, the program with two faulty models more, for `selftest` to find.

The network `leaking` takes what it is to forecast from the batch that its caller holds; the
baseline `deaf` reads nothing.
"""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.cli.app import main
from rnnforecast.evaluation.baselines import BASELINES, PointAndDeviation
from rnnforecast.models.cells import GRU
from rnnforecast.models.registry import MODELS, ModelEntry


class LeakingGRU(GRU):
    """Adds a little of the target to every state."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, last = super().forward(x, state)
        frame: FrameType | None = sys._getframe()
        while frame is not None and "batch" not in frame.f_locals:
            frame = frame.f_back
        assert frame is not None
        future = frame.f_locals["batch"].target.mean(1)[:, None, None]
        return output + 1e-3 * torch.tanh(future).to(output.dtype), last


def deaf(series: FloatArray, cutoffs: IntArray, horizon: int, season: int) -> PointAndDeviation:
    """One forecast for everything."""
    point = np.ones((len(cutoffs), horizon))
    return PointAndDeviation(point, np.zeros_like(point))


MODELS["leaking"] = ModelEntry(
    name="leaking", cell=f"{__name__}:LeakingGRU", summary="a fault", reference="none"
)
BASELINES["deaf"] = deaf

if __name__ == "__main__":
    main()
