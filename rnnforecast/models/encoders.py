"""What reads the steps: layers and directions over sequences of unequal length, or nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnforecast.models.cells import Cell


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


class RecurrentStack(nn.Module):
    """Recurrent layers, each reading what the one below has written, in one or both directions.

    Rows hold their steps first and padding after them, so that no state passes through padding;
    the backward direction reads each row from its last step to its first. Dropout acts between
    layers only.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        self.output_size = hidden_size * directions
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.backward_layers = nn.ModuleList(
            cell(size, hidden_size) for size in (sizes if bidirectional else [])
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Read x [batch, time, input_size], of which the first `lengths` [batch] steps count.

        Returns:
            The states of the last layer, both directions joined [batch, time, output_size], and
            its final ones: after the last step forward and after the first one backward
            [batch, output_size].
        """
        for depth, layer in enumerate(self.forward_layers):
            x = self.dropout(x) if depth else x
            states, _ = layer(x)
            final = last_step(states, lengths)
            if self.backward_layers:
                reversed_states, _ = self.backward_layers[depth](reverse(x, lengths))
                final = torch.cat([final, last_step(reversed_states, lengths)], dim=-1)
                states = torch.cat([states, reverse(reversed_states, lengths)], dim=-1)
            x = states
        return x, final


class ConstantSummary(nn.Module):
    """Reads nothing, so that the network is its linear skip alone.

    Its summary is a one: what the head makes of it are the same parameters for every window.
    """

    output_size = 1

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Leave x [batch, time, channel] as it is; the summary is ones [batch, 1]."""
        return x, x.new_ones(len(x), 1)
