"""Heads: the distribution of what follows, how it is scored, its quantiles and draws from it.

Each head makes a step's distribution of a location and of spreads, which it brings above zero. All
but the negative binomial's lie on the window's scale. On a model of logarithms these are the
distributions of the logarithm: the normal head's forecast is log-normal, the Student's t head's
log-t, and their quantiles are the exponentials of those given here. The negative binomial is that
of counts in their own units, of which no logarithm is taken.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnforecast.models.losses import (
    negative_binomial_loss,
    normal_loss,
    pinball_loss,
    student_t_loss,
)
from rnnforecast.models.normalisation import WindowScale

# On the window's scale: a likelihood has no bound where the spread may vanish.
SPREAD_FLOOR = 1e-3

# Where 1 is a window's scale, a count's mean differs from its location by 1e-3 at most from 1 on.
SHARPNESS = 5.0

TINY = torch.finfo(torch.float32).tiny


class Head(nn.Module, ABC):
    """The parameters of each step's distribution, from a location and raw spreads.

    Args:
        levels: Quantile levels, ascending, the median's in the middle.

    Attributes:
        spreads: Numbers that a step needs beside its location.
        samples: Whether values can be drawn.
        counts: Whether they are whole numbers from 0 on.
    """

    spreads: int
    samples = True
    counts = False

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.levels = tuple(levels)

    def forward(self, location: Tensor, spread: Tensor) -> Tensor:
        """Join location [batch, step] and softplus(spread), spread [batch, step, spreads].

        Returns:
            The parameters of each step [batch, step, parameter].
        """
        return self.arrange(location[..., None], functional.softplus(spread))

    @abstractmethod
    def arrange(self, location: Tensor, spread: Tensor) -> Tensor:
        """The parameters of location [batch, step, 1] and spread [batch, step, spreads], above 0.

        Returns:
            [batch, step, parameter].
        """

    @abstractmethod
    def loss(self, parameters: Tensor, scale: WindowScale, target: Tensor, mask: Tensor) -> Tensor:
        """How far parameters [batch, step, parameter] are from target [batch, step].

        The target is in the units of the windows that `scale` was taken out of.

        Returns:
            The mean over the steps observed, where mask [batch, step] is True; else 0.
        """

    @abstractmethod
    def quantiles(self, parameters: Tensor, scale: WindowScale) -> Tensor:
        """The quantiles, level ascending, of parameters [batch, step, parameter].

        Returns:
            In the windows' units [batch, step, quantile].
        """

    def sample(self, parameters: Tensor, uniform: Tensor, scale: WindowScale) -> Tensor:
        """A draw from each step, a function of parameters and two numbers in (0, 1) alone.

        Args:
            parameters: Those of each step [batch, step, parameter].
            uniform: Independent and uniform [batch, step, 2].
            scale: That of each window.

        Returns:
            On the window's scale [batch, step].

        Raises:
            NotImplementedError: The head is no distribution, see `samples`.
        """
        raise NotImplementedError(f"{type(self).__name__} is no distribution to draw from")


class QuantileHead(Head):
    """Quantiles free of any distribution, which cannot cross, scored by the pinball loss.

    Each lies a spread beyond its inner neighbour; the spreads of the lower side come first.
    """

    samples = False

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__(levels)
        self.spreads = len(self.levels) - 1

    def arrange(self, location: Tensor, spread: Tensor) -> Tensor:
        """The quantiles, level ascending [batch, step, quantile]."""
        lower, upper = spread.reshape(*spread.shape[:2], 2, -1).cumsum(-1).unbind(2)
        return torch.cat([location - lower.flip(-1), location, location + upper], dim=-1)

    def loss(self, parameters: Tensor, scale: WindowScale, target: Tensor, mask: Tensor) -> Tensor:
        """The pinball loss of all quantiles, on the window's scale."""
        return pinball_loss(parameters, scale.apply(target), mask, self.levels)

    def quantiles(self, parameters: Tensor, scale: WindowScale) -> Tensor:
        """The parameters in the windows' units."""
        return scale.inverse(parameters)


class NormalHead(Head):
    """A normal distribution, scored by its likelihood (DeepAR, Salinas et al. 2020)."""

    spreads = 1

    def arrange(self, location: Tensor, spread: Tensor) -> Tensor:
        """Mean and standard deviation [batch, step, 2]."""
        return torch.cat([location, spread + SPREAD_FLOOR], dim=-1)

    def loss(self, parameters: Tensor, scale: WindowScale, target: Tensor, mask: Tensor) -> Tensor:
        """The negative log likelihood, on the window's scale."""
        mean, deviation = parameters.unbind(-1)
        return normal_loss(mean, deviation, scale.apply(target), mask)

    def quantiles(self, parameters: Tensor, scale: WindowScale) -> Tensor:
        """μ + σ Φ⁻¹(level) [batch, step, quantile]."""
        mean, deviation = parameters[..., None].unbind(2)
        standard: Tensor = torch.special.ndtri(torch.tensor(self.levels, dtype=torch.float64))
        return scale.inverse(mean + deviation * standard.to(parameters))

    def sample(self, parameters: Tensor, uniform: Tensor, scale: WindowScale) -> Tensor:
        """μ + σ √(-2 log u) cos 2πv [batch, step] (Box & Muller 1958)."""
        mean, deviation = parameters.unbind(-1)
        u, v = _inside(uniform.to(parameters)).unbind(-1)
        return mean + deviation * (-2 * u.log()).sqrt() * torch.cos(2 * math.pi * v)


class StudentTHead(Head):
    """Student's t distribution of more than two degrees of freedom, whose tails data choose.

    An outlier moves its likelihood little (Lange et al. 1989); above two the variance is finite.
    """

    spreads = 2

    def arrange(self, location: Tensor, spread: Tensor) -> Tensor:
        """Median, scale and degrees of freedom [batch, step, 3]."""
        width, freedom = spread[..., :1] + SPREAD_FLOOR, spread[..., 1:] + (2 + SPREAD_FLOOR)
        return torch.cat([location, width, freedom], dim=-1)

    def loss(self, parameters: Tensor, scale: WindowScale, target: Tensor, mask: Tensor) -> Tensor:
        """The negative log likelihood, on the window's scale."""
        median, width, freedom = parameters.unbind(-1)
        return student_t_loss(median, width, freedom, scale.apply(target), mask)

    def quantiles(self, parameters: Tensor, scale: WindowScale) -> Tensor:
        """μ + σ t⁻¹(level; ν), through which ν has no gradient [batch, step, quantile]."""
        from scipy.special import stdtrit  # slow to import, and of use to few heads

        median, width, freedom = parameters[..., None].unbind(2)
        standard = torch.from_numpy(stdtrit(freedom.detach().cpu().double().numpy(), self.levels))
        return scale.inverse(median + width * standard.to(parameters))

    def sample(self, parameters: Tensor, uniform: Tensor, scale: WindowScale) -> Tensor:
        """μ + σ √(ν (u^(-2/ν) - 1)) cos 2πv [batch, step] (Bailey 1994)."""
        median, width, freedom = parameters.unbind(-1)
        u, v = _inside(uniform.to(parameters)).unbind(-1)
        radius = (freedom * torch.expm1(-2 / freedom * u.log())).sqrt()
        return median + width * radius * torch.cos(2 * math.pi * v)


class NegativeBinomialHead(Head):
    """A negative binomial distribution of counts (DeepAR, Salinas et al. 2020).

    Of mean μ and dispersion α, its variance is μ + αμ²; α towards 0 gives Poisson's distribution.
    The square root of α is a share of the mean, so its floor is that of a spread.
    """

    counts = True
    spreads = 1

    def arrange(self, location: Tensor, spread: Tensor) -> Tensor:
        """The location on the window's scale and α [batch, step, 2]."""
        return torch.cat([location, spread + SPREAD_FLOOR**2], dim=-1)

    def loss(self, parameters: Tensor, scale: WindowScale, target: Tensor, mask: Tensor) -> Tensor:
        """The negative log likelihood of the counts."""
        mean, dispersion = self._of_counts(parameters, scale)
        return negative_binomial_loss(mean, dispersion, target, mask)

    def quantiles(self, parameters: Tensor, scale: WindowScale) -> Tensor:
        """Counts, which have no gradient [batch, step, quantile]."""
        mean, dispersion = (part[..., None] for part in self._of_counts(parameters, scale))
        level = torch.tensor(self.levels, dtype=torch.float64).expand(*mean.shape[:2], -1)
        return _smallest_count(mean, dispersion, level).cummax(-1).values.to(mean)

    def sample(self, parameters: Tensor, uniform: Tensor, scale: WindowScale) -> Tensor:
        """The count at which the distribution function reaches u; no gradient [batch, step]."""
        mean, dispersion = self._of_counts(parameters, scale)
        return scale.apply(_smallest_count(mean, dispersion, _inside(uniform[..., 0])).to(mean))

    def _of_counts(self, parameters: Tensor, scale: WindowScale) -> tuple[Tensor, Tensor]:
        """Mean and dispersion in counts, the windows' own units [batch, step].

        The mean is the location's distance above zero, bent so that it stays above: nearly the
        identity away from zero, and with a gradient below it.
        """
        location, dispersion = parameters.to(scale.scale.dtype).unbind(-1)
        distance = location + scale.shift / scale.scale
        return scale.scale * functional.softplus(distance, beta=SHARPNESS) + TINY, dispersion


def _inside(uniform: Tensor) -> Tensor:
    """Keep in (0, 1) what single precision rounds to 0 or 1."""
    return uniform.clamp(TINY, 1 - torch.finfo(torch.float32).eps / 2)


def _smallest_count(mean: Tensor, dispersion: Tensor, level: Tensor) -> Tensor:
    """The smallest count whose distribution function reaches level; shapes broadcast.

    Exact up to about 1e8, to a share of 1e-8 above.
    """
    from scipy.special import betainc, nbdtrik  # slow to import, and of use to few heads

    mean, dispersion, level = (part.detach().cpu().double() for part in (mean, dispersion, level))
    zero = torch.exp(-torch.log1p(dispersion * mean) / dispersion) >= level
    size, success = (1 / dispersion).numpy(), (1 / (1 + dispersion * mean)).numpy()
    count = np.ceil(nbdtrik(level.numpy(), size, success)).clip(min=1)
    # The inverse is that of a continuous function, and may lie a hair above a whole number.
    count -= betainc(size, count, success) >= level.numpy()
    return torch.where(zero, 0, torch.where(mean.isinf(), mean, torch.from_numpy(count)))
