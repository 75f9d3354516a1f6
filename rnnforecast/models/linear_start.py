"""Where the linear skip starts: simple forecasters combined, then corrected by ridge regression.

The convex combination of simple forecasters that errs least on training windows (Bates & Granger
1969), the more even the fewer these are, or the naive where newer windows speak for it, is the
prior of a ridge regression (Hoerl & Kennard 1970), whose strength is chosen on newer windows than
it was fitted to. So a short series starts from what serves short series best, one that wanders
from its last value, and a long one from what its own past tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rnnforecast.optimizers import AdamW

# Steps, rate and errors of the descent that finds the weights of a combination.
DESCENT_STEPS, DESCENT_RATE, DESCENT_ERRORS = 300, 0.1, 2**18
# What the relative entropy of the weights of a season's forecasters to equal ones costs, in errors
# of the best forecaster in one disjoint window: a single rise tells little of the drift to come.
EVENNESS, TINY = 1.0, 1e-9
# What forecasters without a season count beside those with one where less than so many disjoint
# windows tell: of twelve months, one step of one window may be all, and no year of them.
UNSEASONAL, UNTOLD = 0.1, 0.25
# Penalties, as multiples of the mean eigenvalue of what is read, strongest first.
PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
# The strongest penalty is taken whose error is within a share of the smallest: the first number,
# and the second over the square of the disjoint windows that judge, as one alone can tell none.
TOLERANCE, CHANCE = 0.01, 1.0
# The naive is the prior where a combination errs more by this over the disjoint windows that judge.
FICKLE = 1.0
# Windows that are summed over at once.
ROWS = 1024


class Sample(NamedTuple):
    """Training windows on their own scale.

    Attributes:
        read: What the skip reads, of which all but the last is values [window, read].
        target: What it is to forecast, 0 where missing [window, horizon].
        mask: Which targets are known [window, horizon].
        older: Which of these lie before what the newer windows are to forecast [window, horizon].
        newer: Which windows judge a penalty [window].
        stands: How many windows each one stands for, where not all are here [window].
    """

    read: Tensor
    target: Tensor
    mask: Tensor
    older: Tensor
    newer: Tensor
    stands: Tensor

    def of(self, windows: Tensor) -> Sample:
        """The same with the targets of these windows alone known; the others keep their values.

        Args:
            windows: Which ones [window].
        """
        known = windows[:, None]
        return self._replace(mask=self.mask & known, older=self.older & known)

    def disjoint(self, known: Tensor) -> float:
        """How many windows that share no step those are of which a target is known.

        Args:
            known: Which targets are [window, horizon].
        """
        return float(self.stands[known.any(1)].sum()) / known.shape[1]

    def whole(self, known: Tensor) -> float:
        """How many windows that share no step would have as many targets, if all were known.

        Args:
            known: Which targets are [window, horizon].
        """
        return float(self.stands @ known.to(self.stands).sum(1)) / known.shape[1] ** 2


def linear_start(sample: Sample, forecasters: Sequence[Tensor]) -> Tensor:
    """The map [horizon, read] that a skip over these windows starts as.

    Args:
        sample: The windows, as read by `smoothing.with_level`.
        forecasters: Maps [forecaster, horizon, read] of simple forecasters, first those without a
            season, of which the first is the naive, then those of each season.
    """
    groups = [each.to(sample.read) for each in forecasters]
    prior = _combined(sample, groups)
    judged = sample.mask & sample.newer[:, None]
    if not (judged.any() and sample.older.any()):
        return prior
    disjoint = sample.disjoint(judged)
    priors = (prior, groups[0][0])
    # A combination that errs more on newer windows, though fitted to them too, is of what is over.
    errors = [_error(each, sample, judged) for each in priors]
    better = first_alike(errors, FICKLE / disjoint)
    prior, errors = priors[better], [errors[better]]
    correct = _Ridge(sample, prior, sample.older)
    errors += [_error(prior + correct(penalty), sample, judged) for penalty in PENALTIES]
    chosen = first_alike(errors, TOLERANCE + CHANCE / disjoint**2)
    if chosen == 0:
        return prior
    return prior + _Ridge(sample, prior, sample.mask)(PENALTIES[chosen - 1])


def first_alike(errors: Sequence[float], tolerance: float) -> int:
    """The place of the first error that is within a share of the smallest.

    As the smallest of several errors is smaller than it will be, what comes first is taken where it
    is nearly as good (after the one-standard-error rule, Breiman et al. 1984).
    """
    least = min(errors)
    return next((i for i, error in enumerate(errors) if error <= least * (1 + tolerance)), 0)


def _combined(sample: Sample, groups: Sequence[Tensor]) -> Tensor:
    """The convex combination [horizon, read] of maps [forecaster, horizon, read] of each season.

    It has the least sum of its mean absolute error and two penalties, relative entropies (Kullback
    & Leibler 1951) times the error of the best single map: that of each season's weights to equal
    ones, as much as the season counts, over how many disjoint windows there are; and that of what
    the seasons count to `UNSEASONAL`, which rules where next to no target is known.
    """
    horizon, counted = sample.target.shape[1], sample.mask.any(1).nonzero().squeeze(1)
    maps = torch.cat([*groups])
    place = torch.arange(len(groups)).repeat_interleave(torch.tensor([*map(len, groups)]))
    same = (place[:, None] == place).to(maps)
    count = same.sum(1)
    kept = min(len(counted), max(1, DESCENT_ERRORS // (horizon * len(maps))))
    rows = counted[torch.linspace(0, len(counted) - 1, kept).round().long()]
    forecasts = torch.stack([sample.read[rows] @ each.T for each in maps]).flatten(1)
    target, mask = sample.target[rows].flatten(), sample.mask[rows].flatten()
    counts = mask / mask.sum().clamp(min=1)
    least = ((forecasts - target).abs() @ counts).min()
    evenness = EVENNESS * least / max(sample.disjoint(sample.mask), TINY)
    belief = least * (UNTOLD / max(sample.whole(sample.mask), TINY)) ** 2
    prior = torch.full((len(groups),), (1 - UNSEASONAL) / max(1, len(groups) - 1))
    prior[0] = UNSEASONAL
    logits = torch.zeros(len(maps), requires_grad=True)
    optimizer = AdamW([logits], DESCENT_RATE)
    for _ in range(DESCENT_STEPS):
        shares = logits.detach().softmax(0)
        season = same @ shares
        # Of that sum by the shares, and by what they are the softmax of.
        slope = forecasts @ ((shares @ forecasts - target).sign() * counts)
        slope += evenness * (shares / season * count).clamp(min=TINY).log()
        slope += belief * (season / prior[place]).clamp(min=TINY).log()
        logits.grad = shares * (slope - shares @ slope)
        optimizer.step()
    found: Tensor = torch.tensordot(logits.detach().softmax(0), maps, 1)
    return found


class _Ridge:
    """The correction of a prior [horizon, read] by any penalty, from one decomposition.

    Targets that are not known count as what the prior forecasts. Values alone correct it: with the
    level, which is none of their linear functions, windows were learned by heart.
    """

    def __init__(self, sample: Sample, prior: Tensor, known: Tensor) -> None:
        horizon, size = prior.shape[0], prior.shape[1] - 1
        gram = torch.zeros(size, size, dtype=torch.float64)
        moment = torch.zeros(size, horizon, dtype=torch.float64)
        for rows in _counting(known):
            rest = (sample.target[rows] - sample.read[rows] @ prior.T) * known[rows]
            read = sample.read[rows, :-1].double()
            gram += read.T @ read
            moment += read.T @ rest.double()
        powers, self.vectors = torch.linalg.eigh(gram)
        self.powers = powers.clamp(min=0)
        self.projected = self.vectors.T @ moment
        self.dtype = prior.dtype

    def __call__(self, penalty: float) -> Tensor:
        floor = penalty * self.powers.mean().clamp(min=torch.finfo(torch.float32).tiny)
        solved: Tensor = self.vectors @ (self.projected / (self.powers + floor)[:, None])
        return functional.pad(solved.T, (0, 1)).to(self.dtype)


def _error(start: Tensor, sample: Sample, judged: Tensor) -> float:
    """The mean absolute error of a map at the steps that count [window, horizon]."""
    total = 0.0
    for rows in _counting(judged):
        errors = (sample.read[rows] @ start.T - sample.target[rows]).abs()
        total += float((errors * judged[rows]).sum())
    return total / int(judged.sum())


def _counting(mask: Tensor) -> tuple[Tensor, ...]:
    """The windows with a target that counts [window, horizon], some at a time."""
    found: tuple[Tensor, ...] = torch.split(mask.any(1).nonzero().squeeze(1), ROWS)
    return found
