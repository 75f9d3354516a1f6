"""Cells read in a plain Python loop over their equations: what every fast path must equal."""

from __future__ import annotations

from torch import Tensor

from rnnforecast.models.cells import Recurrence, Step


def unroll(cell: Recurrence, x: Tensor, state: tuple[Tensor, ...] | None = None) -> list[Step]:
    """Read x [batch, time, input_size] by the equations, one step after another.

    Args:
        cell: Whose equations.
        x: The sequence.
        state: Before the first step, parts [batch, hidden_size]; None is zeros.
    """
    steps: list[Step] = []
    for now in x.unbind(dim=1):
        steps.append(cell.step(now, steps[-1].state if steps else state))
    return steps
