"""Decoders in float64 NumPy, written from their equations: plain loops, one row at a time.

The oracle of the tests of decoders. Weights are those of a decoder by their names in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .reference import Array, sigmoid

State = tuple[Array, ...]


@dataclass
class Row:
    """What the decoder is told of one window.

    Attributes:
        states: Of the encoder, without padding [time, state].
        summary: [summary].
        skip: Forecast of the linear skip [horizon].
        truth: What is fed in place of the forecasts, NaN where these are fed [horizon].
    """

    states: Array
    summary: Array
    skip: Array
    truth: Array


def softmax(scores: Array) -> Array:
    shares = np.exp(scores - scores.max())
    return np.asarray(shares / shares.sum())


class Decoder:
    """Adds to the skip what a linear map of each step's features says.

    Args:
        weights: By name.
        step: The cell's equations, from its map, x and a state to the next state, h first.
        parts: Arrays in a state.
    """

    def __init__(self, weights: dict[str, Array], step: Step, parts: int) -> None:
        self.weights, self.step, self.parts = weights, step, parts
        self.segment_length = len(weights["projection.location.bias"])

    def map(self, name: str, x: Array) -> Array:
        """W x + b, or W x where there is no b."""
        return np.asarray(
            self.weights[f"{name}.weight"] @ x + self.weights.get(f"{name}.bias", 0.0)
        )

    def of_cell(self, matrix: str, x: Array) -> Array:
        weight, bias = (self.weights[f"cell.{kind}_{matrix}_l0"] for kind in ("weight", "bias"))
        return np.asarray(weight @ x + bias)

    def first_state(self, row: Row) -> State:
        """tanh(W summary + b): h, and c after it."""
        return tuple(np.split(np.tanh(self.map("bridge.map", row.summary)), self.parts))

    def decode(self, row: Row) -> tuple[Array, Array]:
        """Locations [horizon] and raw spreads [horizon, spreads]."""
        horizon = len(row.skip)
        locations: list[float] = []
        spreads: list[Array] = []
        for start in range(0, horizon, self.segment_length):
            features = self.features(start // self.segment_length, row, np.array(locations))
            location = self.map("projection.location", features)
            spread = np.split(self.map("projection.spread", features), self.segment_length)
            for step in range(start, min(start + self.segment_length, horizon)):
                locations.append(row.skip[step] + location[step - start])
                spreads.append(spread[step - start])
        return np.array(locations), np.array(spreads)

    def features(self, segment: int, row: Row, locations: Array) -> Array:
        """Of one segment [hidden], where the `locations` before it are known."""
        raise NotImplementedError


Step = Callable[[Decoder, Array, State], State]


def gru(decoder: Decoder, x: Array, state: State) -> State:
    """h_t = (1 - z) n + z h_{t-1}, n = tanh(a_n + r m_n); gates stacked as r, z, n."""
    (h,) = state
    a_r, a_z, a_n = np.split(decoder.of_cell("ih", x), 3)
    m_r, m_z, m_n = np.split(decoder.of_cell("hh", h), 3)
    r, z = sigmoid(a_r + m_r), sigmoid(a_z + m_z)
    n = np.tanh(a_n + r * m_n)
    return ((1 - z) * n + z * h,)


def lstm(decoder: Decoder, x: Array, state: State) -> State:
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t); gates stacked as i, f, g, o."""
    h, c = state
    a_i, a_f, a_g, a_o = np.split(decoder.of_cell("ih", x) + decoder.of_cell("hh", h), 4)
    c = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c), c


class Positional(Decoder):
    """Each segment by one step from the summary, which reads what was learned of its position."""

    def features(self, segment: int, row: Row, locations: Array) -> Array:
        position = self.weights["positions"][segment]
        return self.step(self, position, self.first_state(row))[0]


class SequenceToSequence(Decoder):
    """The state runs from segment to segment; x = relu(W y + b) of the segment y before."""

    def features(self, segment: int, row: Row, locations: Array) -> Array:
        state, features = self.first_state(row), np.zeros(0)
        for place in range(segment + 1):
            fed = np.zeros(self.segment_length)
            if place:
                before = slice((place - 1) * self.segment_length, place * self.segment_length)
                fed = np.where(np.isnan(row.truth[before]), locations[before], row.truth[before])
            x = np.maximum(self.map("embedding", fed), 0)
            features, state = self.advance(x, state, row)
        return features

    def advance(self, x: Array, state: State, row: Row) -> tuple[Array, State]:
        """Features and the state after x."""
        state = self.step(self, x, state)
        return state[0], state


class Bahdanau(SequenceToSequence):
    """x is joined by c = sum(a_j s_j), a = softmax(e), e_j = vᵀ tanh(W h_{t-1} + U s_j + b)."""

    def advance(self, x: Array, state: State, row: Row) -> tuple[Array, State]:
        query = self.map("attention.query_map", state[0])
        scores = [
            self.map("attention.direction", np.tanh(query + self.map("attention.state_map", s)))[0]
            for s in row.states
        ]
        context = softmax(np.array(scores)) @ row.states
        return super().advance(np.concatenate([x, context]), state, row)


class Luong(SequenceToSequence):
    """tanh(W [c; h_t] + b), c = sum(a_j s_j), a = softmax(e), e_j = s_jᵀ W h_t / √d."""

    def advance(self, x: Array, state: State, row: Row) -> tuple[Array, State]:
        h, state = super().advance(x, state, row)
        query = self.map("attention.query_map", h)
        scores = [float(s @ query) / np.sqrt(len(s)) for s in row.states]
        context = softmax(np.array(scores)) @ row.states
        return np.tanh(self.map("combine", np.concatenate([context, h]))), state
