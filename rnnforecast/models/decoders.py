"""Decoders: from what was read to every step of the horizon, at once or one after another.

Each tells of a step its location, which it adds to the linear skip's, and the raw numbers that the
head makes spreads of. A location's map starts at zero, so that a network starts as its skip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.attention import AdditiveAttention, DotProductAttention
from rnnforecast.models.cells import Cell, Layer
from rnnforecast.models.heads import Head
from rnnforecast.models.normalisation import WindowScale


class Memory(NamedTuple):
    """What an encoder has read.

    Attributes:
        states: Of its last layer [batch, time, state].
        lengths: Steps of each row that count [batch].
        summary: [batch, summary].
    """

    states: Tensor
    lengths: Tensor
    summary: Tensor


class Truth(NamedTuple):
    """What a decoder that is fed back may read in place of its own forecasts, in training alone.

    Attributes:
        values: What came after the cutoff [batch, horizon].
        mask: Where it was observed [batch, horizon].
        share: How often the truth is read (scheduled sampling, Bengio et al. 2015).
    """

    values: Tensor
    mask: Tensor
    share: float


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """What a decoder is built from.

    Attributes:
        cell: The class of its recurrent layer.
        state_size: Numbers in a state of the encoder.
        summary_size: Numbers in a summary.
        hidden_size: Units of its recurrent layer.
        segment_length: Steps of the horizon that one recurrent step forecasts.
        horizon: Steps that are forecast.
        spreads: Numbers beside its location that the head needs of a step.
    """

    cell: Cell
    state_size: int
    summary_size: int
    hidden_size: int
    segment_length: int
    horizon: int
    spreads: int


class Projection(nn.Module):
    """Location and raw spreads of some steps, linear in features."""

    def __init__(self, input_size: int, steps: int, spreads: int) -> None:
        super().__init__()
        self.spreads = spreads
        self.location = nn.Linear(input_size, steps)
        self.spread = nn.Linear(input_size, steps * spreads)
        nn.init.zeros_(self.location.weight)
        nn.init.zeros_(self.location.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """From features [batch, input_size] to [batch, step] and [batch, step, spreads]."""
        spread = self.spread(features).reshape(len(features), -1, self.spreads)
        return self.location(features), spread


class Bridge(nn.Module):
    """The state that a decoder's cell starts from: tanh(W summary + b) (Bahdanau et al. 2015)."""

    def __init__(self, summary_size: int, cell: nn.Module, input_size: int) -> None:
        super().__init__()
        with torch.no_grad():
            state = cell(torch.zeros(1, 1, input_size))[1]
        self.parts = 0 if isinstance(state, Tensor) else len(state)
        hidden_size = (state if isinstance(state, Tensor) else state[0]).shape[-1]
        self.map = nn.Linear(summary_size, hidden_size * max(1, self.parts))

    def forward(self, summary: Tensor) -> Any:
        """A state as the cell takes it, of tensors [1, batch, hidden_size]."""
        state = torch.tanh(self.map(summary))[None]
        if not self.parts:
            return state
        return tuple(part.contiguous() for part in state.chunk(self.parts, dim=-1))  # for cuDNN


class Decoder(nn.Module, ABC):
    """From a memory to the horizon.

    Attributes:
        fed_back: Whether it reads its own forecasts, or the truth in their place.
    """

    fed_back: ClassVar[bool] = False

    def layers(self) -> list[Layer]:
        """Its recurrent layers."""
        return []

    @abstractmethod
    def forward(
        self, memory: Memory, skip: Tensor, truth: Truth | None = None
    ) -> tuple[Tensor, Tensor]:
        """Add what memory tells to the forecast `skip` [batch, horizon] of the linear skip.

        Returns:
            Locations [batch, horizon] and raw spreads [batch, horizon, spreads].
        """

    def quantiles(self, memory: Memory, skip: Tensor, head: Head, scale: WindowScale) -> Tensor:
        """The quantiles of each step, in units of the windows [batch, horizon, quantile]."""
        return head.quantiles(head(*self(memory, skip)), scale)


class Direct(Decoder):
    """Every step at once, each by a linear map of the summary."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.projection = Projection(sizes.summary_size, sizes.horizon, sizes.spreads)

    def forward(
        self, memory: Memory, skip: Tensor, truth: Truth | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder.forward`; the truth is not read."""
        location, spread = self.projection(memory.summary)
        return skip + location, spread


class Positional(Decoder):
    """Every segment of the horizon at once, by one recurrent step from the summary for each.

    The input of that step is a learned embedding of the segment's position (SegRNN, Lin et al.
    2023: parallel multi-step forecasting).
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        segments = -(-sizes.horizon // sizes.segment_length)
        self.cell = sizes.cell(sizes.hidden_size, sizes.hidden_size)
        self.bridge = Bridge(sizes.summary_size, self.cell, sizes.hidden_size)
        self.positions = nn.Parameter(torch.randn(segments, sizes.hidden_size))
        self.projection = Projection(sizes.hidden_size, sizes.segment_length, sizes.spreads)

    def layers(self) -> list[Layer]:
        """One, which takes a single step from the summary."""
        return [Layer(self.cell, 1, self.positions.shape[1])]

    def forward(
        self, memory: Memory, skip: Tensor, truth: Truth | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder.forward`; the truth is not read."""
        batch, horizon = skip.shape
        state = self.bridge(memory.summary.repeat_interleave(len(self.positions), dim=0))
        features, _ = self.cell(self.positions.repeat(batch, 1)[:, None], state)
        location, spread = self.projection(features.squeeze(1))
        spread = spread.reshape(batch, -1, spread.shape[-1])
        return skip + location.reshape(batch, -1)[:, :horizon], spread[:, :horizon]


class SequenceToSequence(Decoder):
    """Segment after segment, each recurrent step fed the segment before (Sutskever et al. 2014).

    In training that segment is at times the truth; else it is the decoder's own forecast, through
    which gradients flow. The first step is fed zeros.
    """

    fed_back = True

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.segment_length = sizes.segment_length
        self.segments = -(-sizes.horizon // sizes.segment_length)
        self.embedding = nn.Linear(sizes.segment_length, sizes.hidden_size)
        input_size = self.input_size(sizes)
        self.cell = sizes.cell(input_size, sizes.hidden_size)
        self.bridge = Bridge(sizes.summary_size, self.cell, input_size)
        self.projection = Projection(sizes.hidden_size, sizes.segment_length, sizes.spreads)

    def layers(self) -> list[Layer]:
        """One, which takes a step for each segment ahead."""
        return [Layer(self.cell, self.segments, self.embedding.out_features)]

    def input_size(self, sizes: DecoderSizes) -> int:
        """Channels that the cell reads."""
        return sizes.hidden_size

    def forward(
        self, memory: Memory, skip: Tensor, truth: Truth | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder.forward`; the truth is read as often as its share says."""
        horizon = skip.shape[1]
        skip = functional.pad(skip, (0, -horizon % self.segment_length))
        state, fed = self.bridge(memory.summary), skip.new_zeros(len(skip), self.segment_length)
        locations, spreads = [], []
        for start in range(0, horizon, self.segment_length):
            segment = slice(start, start + self.segment_length)
            features, state = self.advance(self.embed(fed), state, memory)
            location, spread = self.projection(features)
            locations.append(skip[:, segment] + location)
            spreads.append(spread)
            fed = locations[-1] if truth is None else _mixed(locations[-1], truth, segment)
        return torch.cat(locations, 1)[:, :horizon], torch.cat(spreads, 1)[:, :horizon]

    def embed(self, fed: Tensor) -> Tensor:
        """What the cell reads of the segments fed [..., segment_length]."""
        return torch.relu(self.embedding(fed))

    def advance(self, x: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Any]:
        """One recurrent step, from x [batch, hidden] to features [batch, hidden] and a state."""
        output, state = self.cell(x[:, None], state)
        return output.squeeze(1), state


def _mixed(own: Tensor, truth: Truth, segment: slice) -> Tensor:
    """The truth of a segment [batch, step] where it is known and its share wills, else `own`."""
    if truth.share <= 0:
        return own
    values, mask = truth.values[:, segment], truth.mask[:, segment]
    missing = own.shape[1] - values.shape[1]
    values, mask = functional.pad(values, (0, missing)), functional.pad(mask, (0, missing))
    read = mask if truth.share >= 1 else mask & (torch.rand_like(own) < truth.share)
    return torch.where(read, values, own)


class Bahdanau(SequenceToSequence):
    """Sequence to sequence; each step first asks the encoder's states (Bahdanau et al. 2015)."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__(sizes)
        self.attention = AdditiveAttention(sizes.hidden_size, sizes.state_size)

    def input_size(self, sizes: DecoderSizes) -> int:
        """Channels of the embedding and of the context."""
        return sizes.hidden_size + sizes.state_size

    def advance(self, x: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Any]:
        """One step that reads x and the context of the state before it."""
        query = (state if isinstance(state, Tensor) else state[0]).transpose(0, 1)
        context, _ = self.attention(query, memory.states, memory.lengths)
        return super().advance(torch.cat([x, context.squeeze(1)], dim=-1), state, memory)


class Luong(SequenceToSequence):
    """Sequence to sequence; each step then asks the encoder's states (Luong et al. 2015)."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__(sizes)
        self.attention = DotProductAttention(sizes.hidden_size, sizes.state_size)
        self.combine = nn.Linear(sizes.hidden_size + sizes.state_size, sizes.hidden_size)

    def advance(self, x: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Any]:
        """One step, its features tanh(W [context; output] + b)."""
        output, state = super().advance(x, state, memory)
        context, _ = self.attention(output[:, None], memory.states, memory.lengths)
        return torch.tanh(self.combine(torch.cat([context.squeeze(1), output], dim=-1))), state
