"""What reads the steps: layers, directions and dilations over sequences of unequal length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.cells import Cell, Layer

# The layers from this one on add to what they read (He et al. 2016): deep stacks keep gradients.
FIRST_RESIDUAL = 2

Embedding = Callable[[Tensor], Tensor]
"""From steps [batch, time, channel] to what a layer reads of each [batch, time, input_size]."""


def _as_it_is(x: Tensor) -> Tensor:
    return x


def reverse(sequence: Tensor, lengths: Tensor) -> Tensor:
    """The first `lengths` [batch] steps of each row in reverse, the padding left where it is.

    Args:
        sequence: [batch, time, channel].
        lengths: Steps of each row that count [batch].
    """
    step = torch.arange(sequence.shape[1], device=sequence.device)
    backward = lengths[:, None] - 1 - step
    place = torch.where(backward >= 0, backward, step)
    return sequence.gather(1, place[..., None].expand_as(sequence))


def last_step(sequence: Tensor, lengths: Tensor) -> Tensor:
    """The step `lengths - 1` of each row of [batch, time, channel], as [batch, channel]."""
    place = (lengths - 1)[:, None, None].expand(-1, 1, sequence.shape[2])
    return sequence.gather(1, place).squeeze(1)


def fold(sequence: Tensor, dilation: int) -> Tensor:
    """Every `dilation`-th step in a row of its own, so that a recurrence skips the others.

    Step s of row b * dilation + r is the step s * dilation + r of row b; zeros fill the end.

    Args:
        sequence: [batch, time, channel].
        dilation: Steps between a state and the one it follows (Chang et al. 2017).

    Returns:
        [batch * dilation, ceil(time / dilation), channel].
    """
    if dilation == 1:
        return sequence
    batch, time, channel = sequence.shape
    padded = functional.pad(sequence, (0, 0, 0, -time % dilation))
    phases = padded.reshape(batch, -1, dilation, channel).transpose(1, 2)
    return phases.reshape(batch * dilation, -1, channel)


def unfold(folded: Tensor, dilation: int, time: int) -> Tensor:
    """The sequence [batch, time, channel] of which `folded` is the folding."""
    if dilation == 1:
        return folded
    steps, channel = folded.shape[1:]
    phases = folded.reshape(-1, dilation, steps, channel).transpose(1, 2)
    return phases.reshape(-1, steps * dilation, channel)[:, :time]


class Encoder(nn.Module):
    """What reads the steps; its final states are [batch, output_size]."""

    output_size: int

    def layers(self, steps: int) -> list[Layer]:
        """Its recurrent layers, where a sequence has at most `steps`."""
        return []


class RecurrentStack(Encoder):
    """Recurrent layers, each reading what the one below has written, in one or both directions.

    Rows hold their steps first and padding after them, so that no state passes through padding;
    the backward direction reads each row from its last step to its first. Dropout acts between
    layers only; from the third layer on, a layer adds to what it reads.

    Args:
        cell: The class of a layer.
        input_size: Channels of the steps.
        hidden_size: Units of each layer and direction.
        num_layers: Layers of each direction.
        bidirectional: Whether a second stack of layers reads backward.
        dilated: Whether a layer's dilation doubles that of the one below (Chang et al. 2017).
        dropout: Share of units dropped between layers.
        tbptt: Steps at the end of a row through which gradients flow (Williams & Peng 1990); the
            state comes through all. None: all. For one direction without dilation.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dilated: bool = False,
        dropout: float = 0.0,
        tbptt: int | None = None,
    ) -> None:
        super().__init__()
        if tbptt is not None and (bidirectional or dilated):
            raise ValueError("only one direction without dilation can be truncated")
        directions = 2 if bidirectional else 1
        self.hidden_size = hidden_size
        self.output_size = hidden_size * directions
        self.dilations = tuple(2**depth if dilated else 1 for depth in range(num_layers))
        self.tbptt = tbptt
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.backward_layers = nn.ModuleList(
            cell(size, hidden_size) for size in (sizes if bidirectional else [])
        )
        self.dropout = nn.Dropout(dropout)

    def layers(self, steps: int) -> list[Layer]:
        """Its layers, each of which reads every so many steps as its dilation says."""
        return [
            Layer(layer, -(-steps // dilation), self.hidden_size)
            for layers in (self.forward_layers, self.backward_layers)
            for layer, dilation in zip(layers, self.dilations, strict=bool(layers))
        ]

    def forward(
        self, x: Tensor, lengths: Tensor, embed: Embedding = _as_it_is
    ) -> tuple[Tensor, Tensor]:
        """Read x [batch, time, channel], of which the first `lengths` [batch] steps count.

        Args:
            x: The steps.
            lengths: How many of each row count.
            embed: To [batch, time, input_size], step by step, so that under truncation only what
                has a gradient need be kept.

        Returns:
            The states of the last layer, both directions joined [batch, time, output_size], and
            its final ones: after the last step forward and after the first one backward
            [batch, output_size]. Under truncation the states are those of the last steps only.
        """
        if self.tbptt is not None and x.shape[1] > self.tbptt:
            return self._read_truncated(x, lengths, self.tbptt, embed)
        x = embed(x)
        for depth, layer in enumerate(self.forward_layers):
            below, dilation = x, self.dilations[depth]
            x = self.dropout(x) if depth else x
            states = unfold(layer(fold(x, dilation))[0], dilation, x.shape[1])
            if self.backward_layers:
                backward, reversed_x = self.backward_layers[depth], reverse(x, lengths)
                reversed_states = backward(fold(reversed_x, dilation))[0]
                reversed_states = unfold(reversed_states, dilation, x.shape[1])
                states = torch.cat([states, reverse(reversed_states, lengths)], dim=-1)
            x = below + states if depth >= FIRST_RESIDUAL else states
        ahead, back = x[..., : self.hidden_size], x[:, 0, self.hidden_size :]
        return x, torch.cat([last_step(ahead, lengths), back], dim=-1)

    def _read_truncated(
        self, x: Tensor, lengths: Tensor, steps: int, embed: Embedding
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, the last `steps` of each row with a gradient, those before without."""
        before = (lengths - steps).clamp(min=0)
        states = self._carried(x, before, steps, embed)
        place = before[:, None] + torch.arange(steps, device=x.device)
        place = torch.minimum(place, torch.full_like(place, x.shape[1] - 1))
        x = x.gather(1, place[..., None].expand(-1, -1, x.shape[2]))
        x, _ = self._read(embed(x), states)
        return x, last_step(x, lengths - before)

    @torch.no_grad()
    def _carried(self, x: Tensor, before: Tensor, steps: int, embed: Embedding) -> list[Any]:
        """The states of the layers after the first `before` [batch] steps of each row of x.

        Rows are read in pieces of at most `steps`, those together whose pieces are of one size.
        """
        states: list[Any]
        states = _each(
            torch.zeros_like, self._read(embed(x[:, :1]), [None] * len(self.dilations))[1]
        )
        done = torch.zeros_like(before)
        while bool((left := before - done).any()):
            sizes = torch.where(left > 0, (left - 1) % steps + 1, 0)
            for size in torch.unique(sizes[left > 0]).tolist():
                rows = (sizes == size).nonzero().squeeze(1)
                place = done[rows, None] + torch.arange(size, device=x.device)
                carried = _each(partial(torch.index_select, dim=1, index=rows), states)
                _, after = self._read(embed(x[rows[:, None], place]), carried)
                _each(partial(_replace_rows, rows), states, after)
            done = done + sizes
        return states

    def _read(self, x: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """Read x [batch, time, channel] from these states of the layers; also those after it."""
        after = []
        for depth, layer in enumerate(self.forward_layers):
            output, state = layer(self.dropout(x) if depth else x, states[depth])
            x = x + output if depth >= FIRST_RESIDUAL else output
            after.append(state)
        return x, after


def _replace_rows(rows: Tensor, state: Tensor, new: Tensor) -> Tensor:
    return state.index_copy_(1, rows, new)


def _each(function: Callable[..., Tensor], *states: Any) -> Any:
    """What `function` makes of each tensor [1, batch, hidden_size] of states built alike."""
    if isinstance(states[0], Tensor):
        return function(*states)
    return type(states[0])(_each(function, *parts) for parts in zip(*states, strict=True))


class SkipRecurrence(Encoder):
    """A stack, and beside it a recurrence from season to season (LSTNet, Lai et al. 2018).

    The states of the last `period` steps of this second recurrence, one for each phase of the
    season, join the final ones of the stack.
    """

    def __init__(self, stack: RecurrentStack, cell: Cell, input_size: int, period: int) -> None:
        super().__init__()
        self.stack = stack
        self.period = period
        self.skip_size = max(4, stack.hidden_size // period)
        self.seasonal = cell(input_size, self.skip_size)
        self.output_size = stack.output_size + self.skip_size * period

    def layers(self, steps: int) -> list[Layer]:
        """Those of the stack, and the seasonal one."""
        seasonal = Layer(self.seasonal, -(-steps // self.period), self.skip_size)
        return [*self.stack.layers(steps), seasonal]

    def forward(
        self, x: Tensor, lengths: Tensor, embed: Embedding = _as_it_is
    ) -> tuple[Tensor, Tensor]:
        """As the stack's, with final states [batch, output_size]; phases not yet met are zero."""
        x = embed(x)
        states, final = self.stack(x, lengths)
        phases = unfold(self.seasonal(fold(x, self.period))[0], self.period, x.shape[1])
        place = lengths[:, None] - self.period + torch.arange(self.period, device=x.device)
        met = (place >= 0)[..., None]
        phases = phases.gather(1, place.clamp(min=0)[..., None].expand(-1, -1, self.skip_size))
        return states, torch.cat([final, (phases * met).flatten(1)], dim=-1)


class ConstantSummary(Encoder):
    """Reads nothing, so that the network is its linear skip alone.

    Its summary is a one: what the head makes of it are the same parameters for every window.
    """

    output_size = 1

    def forward(
        self, x: Tensor, lengths: Tensor, embed: Embedding = _as_it_is
    ) -> tuple[Tensor, Tensor]:
        """Leave x [batch, time, channel] as it is; the summary is ones [batch, 1]."""
        return x, x.new_ones(len(x), 1)
