"""An ensemble: networks of one configuration that start apart and read lookbacks of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.decoders import Truth
from rnnforecast.models.network import Covariates, ForecastNetwork
from rnnforecast.models.registry import find_model
from rnnforecast.runtime import together


class Ensemble(nn.Module):
    """Networks that are fitted together and forecast the median of their quantiles.

    One member is an ensemble, too. Several that read more and less of the past err in different
    ways, and the median of their quantiles heeds none that is far off (Lichtendahl et al. 2013 on
    averaging quantiles; Oreshkin et al. 2020 on lookbacks). Each has its own first weights; all are
    fitted to the same windows.

    What they forecast is shrunk towards what their skips started as, which errs in other ways than
    what was learned (Bates & Granger 1969), and is safer where little can be. As a network that has
    learned few windows by heart is sure of them, its quantiles are shrunk to those of the start.

    Attributes:
        members: Those that read most come first.
        drawing: Whether they draw random numbers, scheduled sampling (Bengio et al. 2015) apart.
        shrinkage: How far, as a share of the way in [0, 1]; a scalar.
        spread: How far above the start its quantiles are, in scales of a window [horizon,
            quantile].
    """

    shrinkage: Tensor
    spread: Tensor

    def __init__(self, spec: ModelSpec, windows: WindowSpec) -> None:
        super().__init__()
        lookbacks = spec.lookbacks or (windows.lookback,)
        networks = (
            ForecastNetwork(spec, replace(windows, lookback=lookback)) for lookback in lookbacks
        )
        self.members: list[ForecastNetwork] = nn.ModuleList(networks)  # type: ignore[assignment]
        self.drawing = spec.dropout > 0 or find_model(spec.model).samples
        self.register_buffer("shrinkage", torch.zeros(()))
        self.register_buffer("spread", torch.zeros(windows.horizon, len(spec.quantile_levels)))

    def losses(
        self, values: Tensor, mask: Tensor, truth: Truth, inputs: Covariates | None = None
    ) -> list[Tensor]:
        """The loss of each member; the arguments are those of a member.

        Unless random numbers are drawn, which members do in turn, the gradients of each one's
        weights, and of nothing else, are found with its loss: no more graphs are held at once than
        members are asked at once.
        """
        scheduled = self.members[0].decoder.fed_back and 0 < truth.share < 1
        drawing = self.drawing or scheduled

        def loss(member: ForecastNetwork) -> Tensor:
            make = partial(member.loss, values, mask, truth, inputs)
            if drawing or not torch.is_grad_enabled():
                return make()
            found: Tensor = _Differentiated.apply(make, *member.parameters())  # type: ignore[no-untyped-call]
            return found

        return self._each(loss, drawing=drawing)

    def quantiles(self, values: Tensor, mask: Tensor, inputs: Covariates | None = None) -> Tensor:
        """What the members have learned, shrunk towards their start by `shrinkage`.

        Args:
            values: In units of the windows, 0 where missing [batch, lookback].
            mask: Which values were observed.
            inputs: Covariates, of networks that read any.

        Returns:
            In units of the windows, levels ascending [batch, horizon, quantile].
        """
        learned = self.learned(values, mask, inputs)
        start = self.started(values, mask) if self.shrinkage else None
        return self.shrunk(learned, start, self.shrinkage)

    def learned(self, values: Tensor, mask: Tensor, inputs: Covariates | None = None) -> Tensor:
        """The median over the members of each quantile, so that they stay in order.

        Takes and returns what `quantiles` does, before it is shrunk or rounded.
        """

        def quantiles(member: ForecastNetwork) -> Tensor:
            return member.quantiles(values, mask, inputs)

        return _median(self._each(quantiles, drawing=self.drawing))

    def shrunk(self, learned: Tensor, start: Tensor | None, share: float | Tensor) -> Tensor:
        """Quantiles [batch, horizon, quantile], moved this share of the way to those of a start.

        Those of counts are rounded.

        Args:
            learned: What `learned` gives.
            start: What `started` gives; None leaves them where they are.
            share: In [0, 1].
        """
        if start is not None:
            learned = learned + share * (start - learned)
        return learned.round() if self.members[0].head.counts else learned

    def started(self, values: Tensor, mask: Tensor) -> Tensor:
        """Quantiles around the median of what the members' skips forecast before they learned.

        Takes values and mask [batch, lookback], returns [batch, horizon, quantile], in units of the
        windows.
        """
        median = _median([member.started(values, mask) for member in self.members])
        return median[..., None] + self.scale(values, mask)[..., None] * self.spread.to(median)

    def scale(self, values: Tensor, mask: Tensor) -> Tensor:
        """The unit of errors in windows of values and mask [batch, lookback], [batch, 1]."""
        return self.members[0].normalise(values, mask)[1].scale

    def _each(
        self, function: Callable[[ForecastNetwork], Tensor], *, drawing: bool
    ) -> list[Tensor]:
        """What a function makes of each member, in turn where random numbers are drawn."""
        if drawing:
            return [function(member) for member in self.members]
        return together(function, self.members)


def _median(forecasts: list[Tensor]) -> Tensor:
    """That of each number; of an even number of members the mean of the middle two."""
    ordered = torch.stack(forecasts).sort(0).values
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class _Differentiated(torch.autograd.Function):
    """What a function makes of weights, whose gradients are found at once and its graph let go."""

    @staticmethod
    def forward(ctx: Any, make: Callable[[], Tensor], *weights: Tensor) -> Tensor:
        with torch.enable_grad():
            loss = make()
            ctx.grads = torch.autograd.grad(loss, weights, allow_unused=True)
        return loss.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        found, ctx.grads = ctx.grads, ()
        return None, *(None if grad is None else grads[0] * grad for grad in found)
