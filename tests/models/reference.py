"""Recurrent networks in float64 NumPy, written from their equations, with gradients by hand.

The oracle of the tests of cells and stacks: plain loops over rows, layers, directions and steps,
no autograd. The scalar differentiated is sum(states * state_weights) + sum(final * final_weights).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
# From this layer on, a layer adds to what it reads.
FIRST_RESIDUAL = 2


@dataclass
class Weights:
    """Of one layer and direction, or their gradients; the rows of the gates are stacked.

    Attributes:
        W: What multiplies the input [gate * hidden, input].
        U: What multiplies the state [gate * hidden, hidden].
        b_W: Bias beside W [gate * hidden].
        b_U: Bias beside U [gate * hidden].
    """

    W: Array
    U: Array
    b_W: Array
    b_U: Array

    def zeros(self) -> Weights:
        return Weights(*(np.zeros_like(part) for part in (self.W, self.U, self.b_W, self.b_U)))

    def add(self, da: Array, dm: Array, x: Array, h_before: Array) -> None:
        """Of one step: a = W x + b_W and m = U h_before + b_U have the gradients da and dm."""
        self.W += np.outer(da, x)
        self.U += np.outer(dm, h_before)
        self.b_W += da
        self.b_U += dm


class Cell(Protocol):
    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        """From x [time, input] to h [time, hidden], and what `backward` needs of each step."""

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        """From the gradient of each h [time, hidden] to that of x [time, input] and weights."""


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


@dataclass
class RNN:
    """h_t = f(W x_t + b_W + U h_{t-1} + b_U); the slope of f is given as a function of h_t."""

    f: Callable[[Array], Array]
    slope: Callable[[Array], Array]

    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        h = np.zeros(weights.U.shape[1])
        outputs, trace = [], []
        for x_t in x:
            h_before = h
            h = self.f(weights.W @ x_t + weights.b_W + weights.U @ h_before + weights.b_U)
            outputs.append(h)
            trace.append((h_before, h))
        return np.array(outputs), trace

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        dx, gradient, dh_after = np.zeros_like(x), weights.zeros(), 0.0
        for t in reversed(range(len(x))):
            h_before, h = trace[t]
            dh = dh_out[t] + dh_after
            da = dh * self.slope(h)
            gradient.add(da, da, x[t], h_before)
            dx[t] = weights.W.T @ da
            dh_after = weights.U.T @ da
        return dx, gradient


class LSTM:
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t); gates stacked as i, f, g, o."""

    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        h = c = np.zeros(weights.U.shape[1])
        outputs, trace = [], []
        for x_t in x:
            h_before, c_before = h, c
            a = weights.W @ x_t + weights.b_W + weights.U @ h_before + weights.b_U
            a_i, a_f, a_g, a_o = np.split(a, 4)
            i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
            c = f * c_before + i * g
            h = o * np.tanh(c)
            outputs.append(h)
            trace.append((h_before, c_before, i, f, g, o, c))
        return np.array(outputs), trace

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        dx, gradient, dh_after, dc_after = np.zeros_like(x), weights.zeros(), 0.0, 0.0
        for t in reversed(range(len(x))):
            h_before, c_before, i, f, g, o, c = trace[t]
            dh = dh_out[t] + dh_after
            do = dh * np.tanh(c)
            dc = dc_after + dh * o * (1 - np.tanh(c) ** 2)
            di, df, dg = dc * g, dc * c_before, dc * i
            da_i, da_f = di * i * (1 - i), df * f * (1 - f)
            da_g, da_o = dg * (1 - g**2), do * o * (1 - o)
            da = np.concatenate([da_i, da_f, da_g, da_o])
            gradient.add(da, da, x[t], h_before)
            dx[t] = weights.W.T @ da
            dh_after = weights.U.T @ da
            dc_after = dc * f
        return dx, gradient


class GRU:
    """h_t = (1 - z) n + z h_{t-1}, n = tanh(a_n + r m_n); gates stacked as r, z, n."""

    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        h = np.zeros(weights.U.shape[1])
        outputs, trace = [], []
        for x_t in x:
            h_before = h
            a_r, a_z, a_n = np.split(weights.W @ x_t + weights.b_W, 3)
            m_r, m_z, m_n = np.split(weights.U @ h_before + weights.b_U, 3)
            r, z = sigmoid(a_r + m_r), sigmoid(a_z + m_z)
            n = np.tanh(a_n + r * m_n)
            h = (1 - z) * n + z * h_before
            outputs.append(h)
            trace.append((h_before, r, z, n, m_n))
        return np.array(outputs), trace

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        dx, gradient, dh_after = np.zeros_like(x), weights.zeros(), 0.0
        for t in reversed(range(len(x))):
            h_before, r, z, n, m_n = trace[t]
            dh = dh_out[t] + dh_after
            dz, dn = dh * (h_before - n), dh * (1 - z)
            da_n = dn * (1 - n**2)
            dr = da_n * m_n
            da_r, da_z = dr * r * (1 - r), dz * z * (1 - z)
            da = np.concatenate([da_r, da_z, da_n])
            dm = np.concatenate([da_r, da_z, da_n * r])
            gradient.add(da, dm, x[t], h_before)
            dx[t] = weights.W.T @ da
            dh_after = dh * z + weights.U.T @ dm
        return dx, gradient


@dataclass
class Minimal:
    """h_t = f h_{t-1} + (1 - f) g(a_h), a = W x_t + b_W, without U and b_U; h stacked last.

    Attributes:
        gate: From the other parts of a to f, and the slope of f by each.
    """

    gate: Callable[..., tuple[Array, list[Array]]]

    def forward(self, x: Array, weights: Weights) -> tuple[Array, list[Any]]:
        h = np.zeros(weights.U.shape[1])
        outputs, trace = [], []
        for x_t in x:
            h_before = h
            *a, a_h = np.split(weights.W @ x_t + weights.b_W, len(weights.b_W) // len(h))
            f, slopes = self.gate(*a)
            s = sigmoid(a_h)
            g, slope = np.where(a_h >= 0, (a_h + 0.5, np.ones_like(s)), (s, s * (1 - s)))
            h = f * h_before + (1 - f) * g
            outputs.append(h)
            trace.append((h_before, f, 1 - f, g, slopes, slope))
        return np.array(outputs), trace

    def backward(
        self, dh_out: Array, x: Array, trace: list[Any], weights: Weights
    ) -> tuple[Array, Weights]:
        dx, gradient, dh_after = np.zeros_like(x), weights.zeros(), 0.0
        for t in reversed(range(len(x))):
            h_before, f, i, g, slopes, slope = trace[t]
            dh = dh_out[t] + dh_after
            df, dg = dh * (h_before - g), dh * i
            da = np.concatenate([*(df * slope_f for slope_f in slopes), dg * slope])
            gradient.add(da, np.zeros(0), x[t], h_before)
            dx[t] = weights.W.T @ da
            dh_after = dh * f
        return dx, gradient


def mingru_gate(a_z: Array) -> tuple[Array, list[Array]]:
    z = sigmoid(a_z)
    return 1 - z, [-z * (1 - z)]


def minlstm_gate(a_f: Array, a_i: Array) -> tuple[Array, list[Array]]:
    f, i = sigmoid(a_f), sigmoid(a_i)
    return f / (f + i), [f * i * (1 - f) / (f + i) ** 2, -f * i * (1 - i) / (f + i) ** 2]


CELLS: dict[str, Cell] = {
    "TanhRNN": RNN(f=np.tanh, slope=lambda h: 1 - h**2),
    "ReLURNN": RNN(f=lambda a: np.maximum(a, 0), slope=lambda h: (h > 0).astype(float)),
    "GRU": GRU(),
    "LSTM": LSTM(),
    "MinGRU": Minimal(mingru_gate),
    "MinLSTM": Minimal(minlstm_gate),
}


@dataclass
class Reading:
    """What a stack makes of rows, and the gradients of the weighted sum of it.

    Attributes:
        states: Of the last layer, directions joined, one array a row [time, output].
        finals: After the last step forward, after the first one backward [batch, output].
        dx: Gradient of each row [time, input].
        gradients: Of the weights, by layer and direction.
    """

    states: list[Array]
    finals: Array
    dx: list[Array]
    gradients: list[list[Weights]]


def read(
    cell: Cell,
    layers: list[list[Weights]],
    rows: Sequence[Array],
    state_weights: Sequence[Array],
    final_weights: Array,
) -> Reading:
    """Run a stack over rows of unequal length, each from a state of zeros, and differentiate it.

    Args:
        cell: The equations.
        layers: The weights by layer and direction: forward, and backward where there is one.
        rows: Each without padding [time, input].
        state_weights: What the states of each row are multiplied with [time, output].
        final_weights: What the final states are multiplied with [batch, output].
    """
    gradients = [[weights.zeros() for weights in directions] for directions in layers]
    reading = Reading(states=[], finals=np.zeros_like(final_weights), dx=[], gradients=gradients)
    for row, x in enumerate(rows):
        states, final, traces = _forward(cell, layers, x)
        reading.states.append(states)
        reading.finals[row] = final
        dx = _backward(cell, layers, traces, state_weights[row], final_weights[row], gradients)
        reading.dx.append(dx)
    return reading


def _forward(
    cell: Cell, layers: list[list[Weights]], x: Array
) -> tuple[Array, Array, list[list[Any]]]:
    """The last layer's states and final state, and of every layer and direction (x, trace)."""
    traces = []
    for depth, directions in enumerate(layers):
        outputs, of_layer = [], []
        for direction, weights in enumerate(directions):
            read_x = x[::-1] if direction == 1 else x
            h, trace = cell.forward(read_x, weights)
            outputs.append(h[::-1] if direction == 1 else h)
            of_layer.append((read_x, trace))
        states = np.concatenate(outputs, axis=-1)
        x = x + states if depth >= FIRST_RESIDUAL else states
        traces.append(of_layer)
    ends = [x[-1], x[0]][: len(layers[-1])]
    halves = [np.split(end, len(ends))[direction] for direction, end in enumerate(ends)]
    return x, np.concatenate(halves), traces


def _backward(
    cell: Cell,
    layers: list[list[Weights]],
    traces: list[list[Any]],
    dstates: Array,
    dfinal: Array,
    gradients: list[list[Weights]],
) -> Array:
    """The gradient of the row; those of the weights are added to `gradients`."""
    directions = len(layers[-1])
    dstates = dstates.copy()
    for direction, end in enumerate((-1, 0)[:directions]):
        half = np.split(dstates, directions, axis=-1)[direction]
        half[end] += np.split(dfinal, directions)[direction]
    for depth in reversed(range(len(layers))):
        dx: Array | float = dstates if depth >= FIRST_RESIDUAL else 0.0
        for direction, weights in enumerate(layers[depth]):
            dh = np.split(dstates, directions, axis=-1)[direction]
            dh = dh[::-1] if direction == 1 else dh
            read_x, trace = traces[depth][direction]
            dread, gradient = cell.backward(dh, read_x, trace, weights)
            dx = dx + (dread[::-1] if direction == 1 else dread)
            total = gradients[depth][direction]
            for name in ("W", "U", "b_W", "b_U"):
                getattr(total, name)[...] += getattr(gradient, name)
        dstates = np.asarray(dx)
    return dstates
