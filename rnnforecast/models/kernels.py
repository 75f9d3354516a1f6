"""The GRU by compiled kernels that go through time and back explicitly.

On a CPU torch.nn.GRU takes each step by a dozen operations, whose gradients as many take back; here
a step is one pass over registers, and the gradients of the matrices are products over all steps
(backpropagation through time, Werbos 1990). Rows go all the way and back in one thread. They serve
training and its validation, for widths that fill a processor's vectors; torch's own kernel serves
everywhere else, so that forecasts are the same without a compiler. Its LSTM is fused, and was as
fast as one written here.

States are in single precision. So are gradients; but where the processor multiplies pairs of
bfloat16, the gradients of gates, and what is read, states and weights where they are multiplied by
these, are rounded to that (mixed precision, Micikevicius et al. 2018), and so are their products
over some rows. The gradients of weights are off by about 0.3% of their norm.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnforecast.native import load_library
from rnnforecast.runtime import THREADS, in_threads, thread_pool

Result = TypeVar("Result")

SOURCE = Path(__file__).with_name("gru.cpp")
# Bytes of gradients of gates that a thread keeps at once on the way back.
CACHED = 2**21


@cache
def missing_kernels() -> str | None:
    """Why there are no compiled kernels on this machine; None where there are."""
    try:
        _kernels()
    except OSError as error:
        return str(error)
    return None


def _kernels() -> ctypes.CDLL:
    return load_library(SOURCE)


def gradient_dtype() -> torch.dtype:
    """What gradients of gates are kept in."""
    return torch.bfloat16 if _kernels().paired() == 2 else torch.float32


def serves(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels read x [batch, time, input_size] with recurrent weights.

    Not in inference mode, in which forecasts are made. `weight` is [gate * hidden_size,
    hidden_size].
    """
    if torch.is_inference_mode_enabled() or not x.is_cpu:
        return False
    if not x.dtype == weight.dtype == torch.float32:
        return False
    if missing_kernels() or x.shape[1] == 0:
        return False
    rows, lanes = int(_kernels().rows()), int(_kernels().lanes())
    return len(x) >= rows and weight.shape[1] % (2 * lanes) == 0


def gru(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], first: Tensor) -> Tensor:
    """r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r (U_n h + c_n)).

    The state after a step is h' = n + z (h - n).

    Args:
        x: [batch, time, input_size].
        weights: W [3 * hidden_size, input_size], U [3 * hidden_size, hidden_size], b and c
            [3 * hidden_size], rows in the order r, z, n.
        first: The state before the first step [batch, hidden_size].

    Returns:
        The states after all steps [batch, time, hidden_size].
    """
    if not torch.is_grad_enabled():
        return _ahead(x.contiguous(), *weights, first.contiguous(), keep=False)[0]
    states: Tensor = _GRU.apply(x, *weights, first)  # type: ignore[no-untyped-call]
    return states


class _GRU(torch.autograd.Function):
    """`gru` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor, first: Tensor
    ) -> Tensor:
        x, first = x.contiguous(), first.contiguous()
        states, kept = _ahead(x, w, u, b, c, first, keep=True)
        ctx.save_for_backward(x, w, u, first, states, kept)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w, u, first, states, kept = ctx.saved_tensors
        time, size = states.shape[1:]
        by_states, by_first = grads[0].contiguous(), torch.empty_like(first)
        by_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        # Gradients of n, r, z and of the product that r lets through lie side by side: the first
        # three are the input's, the last three the state's.
        kind = gradient_dtype()
        packed, w_nrz = _packed_backward(u.to(kind)), w.roll(size, 0).to(kind)

        def back(rows: range) -> tuple[Tensor, Tensor, Tensor]:
            by_w, by_u, by_bias = torch.zeros_like(w), torch.zeros_like(u), w.new_zeros(4 * size)
            for part in _parts(rows, 4 * time * size * kind.itemsize):
                by_gates = x.new_empty(len(part), time, 4 * size, dtype=kind)
                own = [array[part.start : part.stop] for array in (first, states, kept, by_states)]
                after = by_first[part.start : part.stop]
                sizes = (time, size, 0, len(part))
                _call("gru_backward", (packed, *own, by_gates, after), sizes)
                by_gates = by_gates.flatten(0, 1)
                read = x[part.start : part.stop].flatten(0, 1).to(kind)
                by_w += by_gates[:, : 3 * size].t() @ read
                by_u += by_gates[:, size:].t() @ _before(*own[:2]).to(kind)
                by_bias += by_gates.sum(0, dtype=by_bias.dtype)
                if by_x is not None:
                    place = by_x[part.start : part.stop].flatten(0, 1)
                    place.copy_(by_gates[:, : 3 * size] @ w_nrz)
            return by_w, by_u, by_bias

        found = zip(*_by_rows(back, len(x)), strict=True)
        by_w, by_u, by_bias = (torch.stack(parts).sum(0) for parts in found)
        by_b, by_c = by_bias[: 3 * size].roll(-size), by_bias[size:]
        return by_x, by_w.roll(-size, 0), by_u, by_b, by_c, by_first


def _ahead(
    x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor, first: Tensor, *, keep: bool
) -> tuple[Tensor, Tensor]:
    """The states, and what the way back needs of each step; nothing of it unless it is kept."""
    (batch, time, inputs), size = x.shape, u.shape[1]
    bias = torch.cat([b[: 2 * size] + c[: 2 * size], b[2 * size :], c[2 * size :]])
    states = x.new_empty(batch, time, size)
    kept = x.new_empty(batch, time, 4, size) if keep else x.new_empty(0)
    arrays = (_packed_forward(w), _packed_forward(u), bias, x, first, states, kept)

    def ahead(rows: range) -> None:
        _call("gru_forward", arrays, (time, inputs, size, rows.start, rows.stop))

    _by_rows(ahead, batch)
    return states, kept


def _before(first: Tensor, states: Tensor) -> Tensor:
    """The state before each step [batch * time, hidden_size]."""
    return torch.cat([first[:, None], states[:, :-1]], dim=1).flatten(0, 1)


def _packed_forward(weight: Tensor) -> Tensor:
    """Weights as the way ahead reads them [block of units, what is read, gate, unit of it]."""
    size, lanes = len(weight) // 3, _kernels().lanes()
    blocks = weight.reshape(3, size // lanes, lanes, weight.shape[1])
    return blocks.permute(1, 3, 0, 2).contiguous()


def _packed_backward(weight: Tensor) -> Tensor:
    """Weights as the way back reads them.

    Returns:
        [block of state units, gate units that are taken together, unit of the block, one of these].
    """
    block, paired = 2 * _kernels().lanes(), _kernels().paired()
    pairs = weight.reshape(len(weight) // paired, paired, -1, block)
    return pairs.permute(2, 0, 3, 1).contiguous()


def _parts(rows: range, size: int) -> list[range]:
    """Rows that are taken back through time at once, so that their gradients stay in the cache.

    Args:
        rows: As many as the kernels read at once, or more; so have the parts.
        size: Bytes of the gradients of each row.
    """
    least = int(_kernels().rows())
    step = max(1, CACHED // (size * least)) * least
    bounds = [*range(rows.start, rows.stop - least + 1, step), rows.stop]
    return [range(begin, end) for begin, end in pairwise(bounds)]


def _by_rows(function: Callable[[range], Result], batch: int) -> list[Result]:
    """What `function` makes of each range of rows, a range a thread."""
    threads = max(1, min(torch.get_num_threads(), batch // int(_kernels().rows())))
    if threads == 1:
        return [function(range(batch))]
    bounds = [batch * part // threads for part in range(threads + 1)]
    ranges = [range(begin, end) for begin, end in pairwise(bounds)]
    return in_threads(_pool(), function, ranges)


@cache
def _pool() -> ThreadPoolExecutor:
    """For rows of whatever network: none of its tasks waits for another."""
    return thread_pool(THREADS, 1)


def _call(name: str, arrays: tuple[Tensor, ...], sizes: tuple[int, ...]) -> None:
    """Call a kernel on dense arrays, which whoever calls keeps alive, and numbers."""
    places = [ctypes.c_void_p(array.data_ptr()) for array in arrays]
    _kernels()[name](*places, *map(ctypes.c_int64, sizes))
