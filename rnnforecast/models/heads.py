"""Heads: what the network says of the future, how that is scored, and the quantiles it implies.

Each head describes every step of the horizon at once by a median and by spreads, which are
positive. On a model of logarithms its distribution is that of the logarithm: the normal head's
forecast is log-normal, the Student's t head's log-t, and their quantiles are the exponentials of
those given here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.losses import normal_loss, pinball_loss, student_t_loss

# On the window's scale: a likelihood has no bound where the spread may vanish.
SPREAD_FLOOR = 1e-3


class Head(nn.Module, ABC):
    """The parameters of each step's distribution, from the summary of a window.

    The median's map starts at zero, so that the network starts as its linear skip alone.

    Args:
        input_size: Numbers in a summary.
        horizon: Steps that are forecast.
        levels: Quantile levels, ascending, the median's in the middle.
        spreads: Parameters of a step beside its median.
    """

    def __init__(
        self, input_size: int, horizon: int, levels: Sequence[float], *, spreads: int
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.median = nn.Linear(input_size, horizon)
        self.spread = nn.Linear(input_size, horizon * spreads)
        nn.init.zeros_(self.median.weight)
        nn.init.zeros_(self.median.bias)

    def forward(self, summary: Tensor, baseline: Tensor) -> Tensor:
        """Add to baseline [batch, horizon] what summary [batch, input_size] tells.

        Returns:
            The parameters of each step [batch, horizon, parameter].
        """
        median = (baseline + self.median(summary))[..., None]
        spread = functional.softplus(self.spread(summary)).reshape(*baseline.shape, -1)
        return self.arrange(median, spread)

    @abstractmethod
    def arrange(self, median: Tensor, spread: Tensor) -> Tensor:
        """The parameters of median [batch, horizon, 1] and spread [batch, horizon, spreads].

        Returns:
            [batch, horizon, parameter].
        """

    @abstractmethod
    def loss(self, parameters: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """How far parameters [batch, horizon, parameter] are from target [batch, horizon].

        Returns:
            The mean over the steps observed, where mask [batch, horizon] is True; else 0.
        """

    @abstractmethod
    def quantiles(self, parameters: Tensor) -> Tensor:
        """The quantiles, level ascending, of parameters [batch, horizon, parameter].

        Returns:
            [batch, horizon, quantile].
        """


class QuantileHead(Head):
    """Quantiles free of any distribution, which cannot cross, scored by the pinball loss.

    Each lies a spread beyond its inner neighbour; the spreads of the lower side come first.
    """

    def __init__(self, input_size: int, horizon: int, levels: Sequence[float]) -> None:
        super().__init__(input_size, horizon, levels, spreads=len(levels) - 1)

    def arrange(self, median: Tensor, spread: Tensor) -> Tensor:
        """The quantiles, level ascending [batch, horizon, quantile]."""
        lower, upper = spread.reshape(*spread.shape[:2], 2, -1).cumsum(-1).unbind(2)
        return torch.cat([median - lower.flip(-1), median, median + upper], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The pinball loss of all quantiles."""
        return pinball_loss(parameters, target, mask, self.levels)

    def quantiles(self, parameters: Tensor) -> Tensor:
        """The parameters as they are."""
        return parameters


class NormalHead(Head):
    """A normal distribution, scored by its likelihood (DeepAR, Salinas et al. 2020)."""

    def __init__(self, input_size: int, horizon: int, levels: Sequence[float]) -> None:
        super().__init__(input_size, horizon, levels, spreads=1)

    def arrange(self, median: Tensor, spread: Tensor) -> Tensor:
        """Mean and standard deviation [batch, horizon, 2]."""
        return torch.cat([median, spread + SPREAD_FLOOR], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The negative log likelihood."""
        location, scale = parameters.unbind(-1)
        return normal_loss(location, scale, target, mask)

    def quantiles(self, parameters: Tensor) -> Tensor:
        """μ + σ Φ⁻¹(level) [batch, horizon, quantile]."""
        location, scale = parameters[..., None].unbind(2)
        standard: Tensor = torch.special.ndtri(torch.tensor(self.levels, dtype=torch.float64))
        return location + scale * standard.to(parameters)


class StudentTHead(Head):
    """Student's t distribution of more than two degrees of freedom, whose tails data choose.

    An outlier moves its likelihood little (Lange et al. 1989); above two the variance is finite.
    """

    def __init__(self, input_size: int, horizon: int, levels: Sequence[float]) -> None:
        super().__init__(input_size, horizon, levels, spreads=2)

    def arrange(self, median: Tensor, spread: Tensor) -> Tensor:
        """Median, scale and degrees of freedom [batch, horizon, 3]."""
        least = spread.new_tensor([SPREAD_FLOOR, 2 + SPREAD_FLOOR])
        return torch.cat([median, spread + least], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The negative log likelihood."""
        location, scale, freedom = parameters.unbind(-1)
        return student_t_loss(location, scale, freedom, target, mask)

    def quantiles(self, parameters: Tensor) -> Tensor:
        """μ + σ t⁻¹(level; ν), through which ν has no gradient [batch, horizon, quantile]."""
        from scipy.special import stdtrit  # slow to import, and of use to this head alone

        location, scale, freedom = parameters[..., None].unbind(2)
        standard = torch.from_numpy(stdtrit(freedom.detach().cpu().double().numpy(), self.levels))
        return location + scale * standard.to(parameters)
