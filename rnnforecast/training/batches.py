"""The order in which a training sees its windows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnforecast.runtime import bring

CPU = torch.device("cpu")


class ShuffledBatches:
    """Endless batches: every window once in an order drawn anew, then again.

    Args:
        windows: How many there are.
        batch_size: Of a batch; the last one of an order may be smaller.
        generator: Draws the orders.
        device: Where they are wanted, so that none is to be brought there.

    Attributes:
        drawn_from: The generator's state before it drew the present order [byte].
        taken: Batches taken of this order.
    """

    def __init__(
        self,
        windows: int,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device = CPU,
    ) -> None:
        self.windows = windows
        self.batch_size = batch_size
        self.generator = generator
        self.device = device
        self.order: tuple[Tensor, ...] = ()
        self._draw()

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        if self.taken == len(self.order):
            self._draw()
        self.taken += 1
        return self.order[self.taken - 1]

    def restore(self, drawn_from: Tensor, taken: int) -> None:
        """Go to where these batches were when their attributes had these values.

        Raises:
            RuntimeError: It is the state of no generator.
            ValueError: An order has not so many batches.
        """
        self.generator.set_state(drawn_from)
        self._draw()
        if not 0 <= taken <= len(self.order):
            raise ValueError(f"{taken} batches of {len(self.order)}")
        self.taken = taken

    def _draw(self) -> None:
        self.drawn_from, self.taken = self.generator.get_state(), 0
        order = torch.randperm(self.windows, generator=self.generator)
        self.order = torch.split(bring(order, self.device), self.batch_size)
