"""The GRU by compiled kernels that go through time and back explicitly.

On a CPU torch.nn.GRU takes each step by a dozen operations, whose gradients as many take back; here
a step is one pass over registers, and the gradient of the recurrent matrix one product over all
steps (backpropagation through time, Werbos 1990). They serve where gradients flow, in single
precision, for widths that fill a processor's vectors; torch's own kernel serves everywhere else.
Its LSTM is fused, and was as fast as one written here.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnforecast.native import load_library
from rnnforecast.runtime import THREADS

SOURCE = Path(__file__).with_name("gru.cpp")


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


def serves(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels read x [batch, time, input_size] with recurrent weights.

    `weight` is [gate * hidden_size, hidden_size].
    """
    if not (torch.is_grad_enabled() and x.is_cpu and x.dtype == weight.dtype == torch.float32):
        return False
    if missing_kernels() or x.shape[1] == 0:
        return False
    rows, lanes = int(_kernels().rows()), int(_kernels().lanes())
    return len(x) >= rows and weight.shape[1] % (2 * lanes) == 0


def gru(gates: Tensor, weight: Tensor, bias: Tensor, first: Tensor) -> Tensor:
    """r = σ(a_r + U_r h), z = σ(a_z + U_z h), n = tanh(a_n + r (U_n h + b)), h' = n + z (h - n).

    Args:
        gates: a of each gate, what is told by the input and the other biases
            [batch, time, 3 * hidden_size].
        weight: U of each gate [3 * hidden_size, hidden_size].
        bias: [hidden_size].
        first: The state before the first step [batch, hidden_size].

    Returns:
        The states after all steps [batch, time, hidden_size].
    """
    states: Tensor = _GRU.apply(gates, weight, bias, first)  # type: ignore[no-untyped-call]
    return states


class _GRU(torch.autograd.Function):
    """`gru` with its gradients."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, first: Tensor) -> Tensor:
        gates, bias, first = gates.contiguous(), bias.contiguous(), first.contiguous()
        batch, time, _ = gates.shape
        states = gates.new_empty(batch, time, weight.shape[1])
        kept = gates.new_empty(batch, time, 4, weight.shape[1])
        _run("gru_forward", states.shape, _packed_forward(weight), gates, bias, first, states, kept)
        ctx.save_for_backward(weight, first, states, kept)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        weight, first, states, kept = ctx.saved_tensors
        gates = states.new_empty(*states.shape[:2], len(weight))
        products, grad_state = torch.empty_like(states), torch.empty_like(first)
        given = (_packed_backward(weight), first, states, kept, grads[0].contiguous())
        _run("gru_backward", states.shape, *given, gates, products, grad_state)
        before, size = _before(first, states), weight.shape[1]
        by_weight = torch.empty_like(weight)
        torch.mm(gates.flatten(0, 1)[:, : 2 * size].t(), before, out=by_weight[: 2 * size])
        torch.mm(products.flatten(0, 1).t(), before, out=by_weight[2 * size :])
        return gates, by_weight, products.sum((0, 1)), grad_state


def _before(first: Tensor, states: Tensor) -> Tensor:
    """The state before each step [batch * time, hidden_size]."""
    return torch.cat([first[:, None], states[:, :-1]], dim=1).flatten(0, 1)


def _packed_forward(weight: Tensor) -> Tensor:
    """Weights as the way ahead reads them [block of units, state unit, gate, unit of it]."""
    size, lanes = weight.shape[1], _kernels().lanes()
    return weight.reshape(-1, size // lanes, lanes, size).permute(1, 3, 0, 2).contiguous()


def _packed_backward(weight: Tensor) -> Tensor:
    """Weights as the way back reads them [block of state units, gate and unit, unit of it]."""
    block = 2 * _kernels().lanes()
    return weight.reshape(len(weight), -1, block).transpose(0, 1).contiguous()


def _run(name: str, shape: torch.Size, *arrays: Tensor) -> None:
    """Call a kernel on states of this shape [batch, time, hidden_size], a range of rows a thread.

    The rows of a range may be any, so that the number of threads changes no result.
    """
    batch, time, size = shape
    kernel = _kernels()[name]

    def run(begin: int, end: int) -> None:
        # The arrays live as long as this does, even where an exception ends the caller's wait.
        places = [ctypes.c_void_p(array.data_ptr()) for array in arrays]
        kernel(*places, *(ctypes.c_int64(number) for number in (time, size, begin, end)))

    threads = max(1, min(torch.get_num_threads(), batch // _kernels().rows()))
    if threads == 1:
        run(0, batch)
        return
    bounds = [batch * part // threads for part in range(threads + 1)]
    list(_pool().map(run, bounds[:-1], bounds[1:]))


@cache
def _pool() -> ThreadPoolExecutor:
    """For all ranges of rows, of whatever network; none of its tasks waits for another."""
    return ThreadPoolExecutor(THREADS)
