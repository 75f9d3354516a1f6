"""What stands in for values that a window lacks, made from that window alone.

Gaps are filled before the cutoff only, by what was observed before it; each function is a few
whole-batch operations, and leaves a window that lacks nothing as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Filled = tuple[Tensor, Tensor]


def carried_forward(values: Tensor, mask: Tensor) -> Filled:
    """Each missing value as the last observed one; before the first one there is none.

    Takes and returns values, 0 where the mask is False, and mask [batch, lookback].
    """
    last = _last_observed(mask)
    return values.gather(1, last.clamp(min=0)), last >= 0


def interpolated(values: Tensor, mask: Tensor) -> Filled:
    """Missing values on the line between their observed neighbours in time; none outside them.

    Takes and returns values, 0 where the mask is False, and mask [batch, lookback].
    """
    last, following = _last_observed(mask), _next_observed(mask)
    inside = (last >= 0) & (following < mask.shape[1])
    before, after = last.clamp(min=0), following.clamp(max=mask.shape[1] - 1)
    step = torch.arange(mask.shape[1], device=mask.device)
    share = (step - before).to(values) / (after - before).clamp(min=1)
    start = values.gather(1, before)
    filled = start + share * (values.gather(1, after) - start)
    return torch.where(inside, filled, 0), inside


# By the policies of `columns.Missing`; under the others a network reads what was observed.
POLICIES: dict[str, Callable[[Tensor, Tensor], Filled]] = {
    "ffill": carried_forward,
    "interpolate": interpolated,
}


def seasonal(values: Tensor, mask: Tensor, seasons: Sequence[int]) -> Tensor:
    """Missing values by those of the same phase of the season: on the line between the neighbours.

    Where only one side has such a value, it is taken with the drift from season to season that the
    window shows. Where no season has any, and before the first observation, values stay 0. The
    longest season goes first.

    Args:
        values: 0 where missing [batch, lookback].
        mask: Which values were observed [batch, lookback].
        seasons: Steps in each season, ascending.
    """
    inside = mask.cumsum(1) > 0
    # A GPU would have to wait for the answer.
    if values.device.type == "cpu" and torch.equal(inside, mask):
        return values
    for season in reversed(seasons):
        filled, found = _by_phase(values, mask, season)
        values, mask = torch.where(mask, values, filled), mask | found
    return torch.where(inside, values, 0)


def _by_phase(values: Tensor, mask: Tensor, season: int) -> Filled:
    """A value for each step whose phase of the season is observed, and which steps these are."""
    batch, lookback = values.shape
    before = -lookback % season

    def phases(part: Tensor) -> Tensor:
        cycles = functional.pad(part, (before, 0)).reshape(batch, -1, season)
        return cycles.transpose(1, 2).flatten(0, 1)

    observed, own = phases(mask), phases(values)
    final = observed.shape[1] - 1
    last, following = _last_observed(observed), _next_observed(observed)
    left = torch.where(last < 0, following.clamp(max=final), last)
    right = torch.where(following > final, left, following)
    cycle = torch.arange(final + 1, device=mask.device)
    share = (cycle - left).to(values) / (right - left).clamp(min=1)
    start = own.gather(1, left)
    line = start + share.clamp(0, 1) * (own.gather(1, right) - start)
    outside = cycle - cycle.clamp(left, right)
    line = line + outside * _drift(values, mask, season).repeat_interleave(season, 0)
    found = observed.any(1, keepdim=True).expand_as(observed)
    shape = (batch, season, final + 1)
    filled, known = (
        part.reshape(shape).transpose(1, 2).flatten(1)[:, before:]
        for part in (torch.where(found, line, 0), found)
    )
    return filled, known


def _drift(values: Tensor, mask: Tensor, season: int) -> Tensor:
    """The mean change from season to season where both values were observed [batch, 1]."""
    both = mask[:, season:] & mask[:, :-season]
    change = (values[:, season:] - values[:, :-season]) * both
    return change.sum(1, keepdim=True) / both.sum(1, keepdim=True).clamp(min=1)


def _last_observed(mask: Tensor) -> Tensor:
    """The place of the newest observation up to each step, -1 before the first [batch, time]."""
    step = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, step, -1).cummax(1).values


def _next_observed(mask: Tensor) -> Tensor:
    """The place of the oldest observation from each step on, its count after the last one."""
    return mask.shape[1] - 1 - _last_observed(mask.flip(1)).flip(1)
