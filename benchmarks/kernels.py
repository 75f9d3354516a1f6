"""The recurrent layers of a CPU: torch's kernels beside the compiled ones, and the machine's limit.

    GOMP_SPINCOUNT=10000 python benchmarks/kernels.py --repeats 15

Milliseconds of one layer, forward and backward, in batches of windows that are read value by value,
or in a dozen segments; medians and ranges of repeats, on one thread and on all that torch finds.
Shares are of the peak that a large product of float32 matrices reaches on as many threads, by the
products that a layer cannot do without: of input and state, and those of their gradients.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from processes import markdown
from torch import nn

from rnnforecast.models import kernels
from rnnforecast.models.cells import GRU, LSTM, TanhRNN

# Windows, steps, units and what is read at each step.
SHAPES = (
    (32, 48, 64, 1),
    (128, 48, 64, 1),
    (128, 48, 128, 1),
    (512, 48, 128, 1),
    (256, 96, 128, 1),
    (1024, 168, 256, 1),
    (128, 14, 32, 32),
    (256, 14, 128, 128),
)
GATES = {TanhRNN: 1, GRU: 3, LSTM: 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    rows = []
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        peak = peak_flops()
        for shape in SHAPES:
            for cell in GATES:
                rows.append(row(cell, shape, given.repeats, threads, peak))
                print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows).fillna(''))}")


def peak_flops(size: int = 2048, repeats: int = 9) -> float:
    """Operations a second of a product of square matrices."""
    left, right = torch.randn(2, size, size)
    return 2 * size**3 / float(np.median(seconds(lambda: left @ right, repeats)))


def row(
    cell: type[nn.RNNBase], shape: tuple[int, ...], repeats: int, threads: int, peak: float
) -> dict[str, object]:
    """The times of one layer at one shape."""
    batch, steps, units, inputs = shape
    layer, x = cell(inputs, units), torch.randn(batch, steps, inputs)  # type: ignore[call-arg, arg-type]

    def both_ways() -> None:
        layer(x)[0].sum().backward()

    found = {"threads": threads, "layer": cell.__name__}
    found |= dict(zip(("windows", "steps", "units", "inputs"), shape, strict=True))
    # Nobody asks for the gradient of what is read.
    products = batch * steps * GATES[cell] * units * (3 * units + 2 * inputs)
    with patch.object(kernels, "missing_kernels", lambda: "not asked for"):
        found |= told("torch", seconds(both_ways, repeats), 2 * products / peak)
    if cell is GRU and kernels.missing_kernels() is None:
        found |= told("compiled", seconds(both_ways, repeats), 2 * products / peak)
    return found


def seconds(function: Callable[[], object], repeats: int) -> np.ndarray:
    """Of each call but the first."""
    function()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return np.array(taken)


def told(name: str, taken: np.ndarray, least: float) -> dict[str, str]:
    """Median and range in milliseconds, and how near the median is to the least."""
    middle, low, high = 1e3 * np.median(taken), 1e3 * taken.min(), 1e3 * taken.max()
    share = f"{100 * least / np.median(taken):.0f}%"
    return {f"{name}, ms": f"{middle:.1f} ({low:.1f} to {high:.1f})", f"{name}, share": share}


if __name__ == "__main__":
    main()
