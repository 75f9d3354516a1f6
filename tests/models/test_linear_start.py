"""Where the linear skip starts, against loops over single values and textbook solutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor
from torch.nn import functional

from rnnforecast.arrays import FloatArray
from rnnforecast.models import linear_start as module
from rnnforecast.models.linear_start import PENALTIES, UNSEASONAL, Sample
from rnnforecast.models.simple_forecasters import simple_maps

READ, HORIZON, SEASONS = 12, 3, (4,)


def sample_of(series: FloatArray, read: int = READ, horizon: int = HORIZON) -> Sample:
    """All windows of a series, of which those that forecast the last three tenths judge."""
    cutoffs = np.arange(read, len(series) - horizon + 1)
    values = torch.from_numpy(series.astype(np.float32))
    left = torch.from_numpy(np.ceil(0.7 * len(series)) - cutoffs)
    mask = torch.ones(len(cutoffs), horizon, dtype=torch.bool)
    return Sample(
        read=torch.stack([values[cutoff - read : cutoff] for cutoff in cutoffs]),
        target=torch.stack([values[cutoff : cutoff + horizon] for cutoff in cutoffs]),
        mask=mask,
        older=mask & (torch.arange(horizon) < left[:, None]),
        newer=left <= 0,
        stands=torch.ones(len(cutoffs)),
    )


def with_gaps(sample: Sample, share: float, seed: int) -> Sample:
    """The sample where this share of the targets is missing."""
    seen = torch.rand(sample.mask.shape, generator=torch.Generator().manual_seed(seed)) >= share
    mask = sample.mask & seen
    return sample._replace(mask=mask, older=sample.older & seen, target=sample.target * mask)


def seasonal_series(seed: int, length: int = 70, noise: float = 0.5) -> FloatArray:
    """A season of four on a level that wanders."""
    rng = np.random.default_rng(seed)
    season, level = rng.normal(size=4), 0.2 * rng.normal(size=length).cumsum()
    return np.asarray(np.tile(season, length)[:length] + level + noise * rng.normal(size=length))


def grouped(read: int, horizon: int, seasons: Sequence[int]) -> list[Tensor]:
    """The maps of no season and of each, without a level that values are smoothed to."""
    return [simple_maps(read, horizon, season) for season in sorted({1, *seasons})]


def linear_start(sample: Sample, seasons: Sequence[int]) -> Tensor:
    """That which is a combination of these maps, of values beside a level that none reads."""
    groups = grouped(sample.read.shape[1], sample.target.shape[1], seasons)
    beside = sample._replace(read=functional.pad(sample.read, (0, 1), value=7.0))
    found = module.linear_start(beside, [functional.pad(maps, (0, 1)) for maps in groups])
    assert not found[:, -1].any()
    return found[:, :-1]


def all_maps(read: int = READ, horizon: int = HORIZON, seasons: Sequence[int] = SEASONS) -> Tensor:
    """Those of every season, and of none."""
    return torch.cat(grouped(read, horizon, seasons))


def equal_shares(patch: pytest.MonkeyPatch) -> None:
    """Let the prior be the mean of all maps, for references that need not descend."""
    patch.setattr(module, "DESCENT_STEPS", 0)


STEPS = np.arange(80.0)
PATTERN = np.tile([1.0, 4.0, 2.0, 3.0], 20)


@pytest.mark.parametrize(("gaps", "most"), [(0.0, 3e-3), (0.3, 1e-2)])
@pytest.mark.parametrize(
    "series",
    [np.full(80, 3.0), STEPS / 10 - 4, PATTERN, PATTERN + STEPS / 10],
    ids=["constant", "line", "season", "season on a line"],
)
def test_linear_start_forecasts_exactly_when_the_series_is_regular(
    series: FloatArray, gaps: float, most: float
) -> None:
    """Some simple forecaster does so to the last digits, others are far off."""
    whole = sample_of(series, read=16, horizon=6)

    def error(start: Tensor) -> float:
        return float((whole.read @ start.T - whole.target).abs().max())

    assert error(linear_start(with_gaps(whole, gaps, 0), SEASONS)) < most
    others = sorted(map(error, all_maps(16, 6)))
    assert others[0] < 1e-5
    assert others[-1] > 0.3 or series.std() == 0


@pytest.mark.parametrize("seed", range(8))
def test_linear_start_is_the_best_convex_combination_when_nothing_judges(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least absolute deviations over a simplex are a linear program."""
    monkeypatch.setattr(module, "EVENNESS", 0.0)
    sample = with_gaps(sample_of(seasonal_series(seed)), 0.2, seed)
    sample = sample._replace(newer=torch.zeros_like(sample.newer))
    maps, mask = all_maps(), sample.mask.numpy()
    forecasts = np.stack([(sample.read @ each.T).numpy()[mask] for each in maps], 1)
    target, (errors, count) = sample.target.numpy()[mask], forecasts.shape
    optimum = linprog(
        np.concatenate([np.zeros(count), np.ones(errors)]),
        A_ub=np.block([[forecasts, -np.eye(errors)], [-forecasts, -np.eye(errors)]]),
        b_ub=np.concatenate([target, -target]),
        A_eq=np.concatenate([np.ones(count), np.zeros(errors)])[None],
        b_eq=[1.0],
    )
    found = linear_start(sample, SEASONS)
    error = (sample.read @ found.T - sample.target).abs()[sample.mask].sum()
    assert optimum.fun * (1 - 1e-6) <= error < 1.03 * optimum.fun
    torch.testing.assert_close(found.sum(1), torch.ones(HORIZON))


@pytest.mark.parametrize("seed", range(4))
def test_linear_start_is_the_best_mean_of_each_season_when_evenness_is_all(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much a season counts is free, its forecasters count alike."""
    monkeypatch.setattr(module, "EVENNESS", 1e3)
    monkeypatch.setattr(module, "UNTOLD", 0.0)
    sample = sample_of(seasonal_series(seed))
    sample = sample._replace(newer=torch.zeros_like(sample.newer))
    none, season = (simple_maps(READ, HORIZON, each).mean(0) for each in (1, *SEASONS))
    found = linear_start(sample, SEASONS)

    def error(start: Tensor) -> float:
        return float((sample.read @ start.T - sample.target).abs().mean())

    share = float(((found - none) * (season - none)).sum() / (season - none).square().sum())
    torch.testing.assert_close(found, none + share * (season - none), rtol=0, atol=5e-3)
    best = min(error(none + tenth / 10 * (season - none)) for tenth in range(11))
    assert 0 <= share <= 1 and error(found) < 1.01 * best < 0.99 * error(0.5 * (none + season))


def test_linear_start_is_seasonal_when_one_step_of_a_few_windows_is_known() -> None:
    """As of shops with one year to learn from: a rise in December tells no drift of all months."""
    sample = sample_of(seasonal_series(5, length=60))
    newer = torch.zeros_like(sample.newer)
    sample = sample._replace(newer=newer, target=sample.target + 9)
    one = torch.zeros_like(sample.mask)
    one[:2, 0] = True
    none, season = (simple_maps(READ, HORIZON, each).mean(0) for each in (1, *SEASONS))
    even = UNSEASONAL * none + (1 - UNSEASONAL) * season
    masks = (sample.mask, one)
    told, untold = (linear_start(sample._replace(mask=mask), SEASONS) for mask in masks)
    assert (untold - even).norm() < 0.5 * (told - even).norm()


def test_linear_start_is_the_more_even_the_fewer_windows_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = sample_of(seasonal_series(5, length=400))
    sample = sample._replace(newer=torch.zeros_like(sample.newer))
    few = Sample(*(part[-12:] for part in sample))
    equal = simple_maps(READ, HORIZON, 1).mean(0)
    kept = []
    for each in (few, sample):
        with monkeypatch.context() as patch:
            evened = (linear_start(each, ()) - equal).norm()
            patch.setattr(module, "EVENNESS", 0.0)
            kept.append(float(evened / (linear_start(each, ()) - equal).norm()))
    assert kept[0] < 0.8 < 0.95 < kept[1] < 1.05


def test_linear_start_takes_a_window_for_as_many_as_it_stands_for() -> None:
    few = Sample(*(part[::4] for part in sample_of(turning(4, 0.3))))
    repeated = Sample(*(part.repeat_interleave(6, dim=0) for part in few))
    standing = few._replace(stands=6 * few.stands)
    found, expected = linear_start(standing, SEASONS), linear_start(repeated, SEASONS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    assert (linear_start(few, SEASONS) - expected).abs().max() > 0.02


@pytest.mark.parametrize("lacking", ["judges", "judged targets", "older targets"])
def test_linear_start_is_the_prior_when_no_penalty_can_be_judged(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal_shares(monkeypatch)
    sample = sample_of(seasonal_series(11))
    without = {
        "judges": sample._replace(newer=torch.zeros_like(sample.newer)),
        "judged targets": sample._replace(mask=sample.mask & ~sample.newer[:, None]),
        "older targets": sample._replace(older=torch.zeros_like(sample.older)),
    }[lacking]
    prior = all_maps().mean(0)
    torch.testing.assert_close(linear_start(without, SEASONS), prior)
    assert (linear_start(sample, SEASONS) - prior).abs().max() > 0.01


def test_linear_start_weighs_all_maps_alike_when_no_target_is_known() -> None:
    sample = with_gaps(sample_of(seasonal_series(0)), 1.0, 0)
    prior = all_maps().mean(0)
    torch.testing.assert_close(linear_start(sample, SEASONS), prior)


def ridge(sample: Sample, prior: FloatArray, known: Tensor, penalty: float) -> FloatArray:
    """Prior and correction by normal equations, an unknown rest being none."""
    rows = known.any(1).numpy()
    read = sample.read.double().numpy()[rows]
    rest = (sample.target.double().numpy()[rows] - read @ prior.T) * known.numpy()[rows]
    gram = read.T @ read
    penalised = gram + penalty * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(prior + np.linalg.solve(penalised, read.T @ rest).T)


def chosen_start(sample: Sample, prior: FloatArray) -> tuple[float | None, FloatArray]:
    """The penalty that newer windows choose, None for the prior or the naive, and the start."""
    judged = (sample.mask & sample.newer[:, None]).numpy()
    read, target = sample.read.double().numpy(), sample.target.double().numpy()

    def error(start: FloatArray) -> float:
        return float(np.abs(read @ start.T - target)[judged].mean())

    disjoint = judged.any(1).sum() / HORIZON
    naive = np.zeros_like(prior)
    naive[:, -1] = 1
    if error(prior) > (1 + 1 / disjoint) * error(naive):
        prior = naive
    choices: list[tuple[float | None, float]] = [(None, error(prior))]
    choices += [(p, error(ridge(sample, prior, sample.older, p))) for p in PENALTIES]
    least = min(value for _, value in choices)
    tolerance = 0.01 + disjoint**-2
    penalty = next(penalty for penalty, value in choices if value <= (1 + tolerance) * least)
    return penalty, prior if penalty is None else ridge(sample, prior, sample.mask, penalty)


def wandering(seed: int, length: int) -> FloatArray:
    """A random walk."""
    return np.asarray(np.random.default_rng(seed).normal(size=length).cumsum())


def test_linear_start_is_the_naive_when_newer_windows_speak_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a walk that had risen for long, a combination goes on with that."""
    sample = sample_of(2.0 * np.arange(140).clip(max=80) + wandering(0, 140))
    naive = torch.zeros(HORIZON, READ)
    naive[:, -1] = 1
    assert torch.equal(linear_start(sample, ()), naive)
    monkeypatch.setattr(module, "FICKLE", 1e9)
    assert (linear_start(sample, ()) - naive).abs().max() > 0.05
    # Of few windows it takes more to say so.
    few = sample_of(wandering(1, 24))
    judged = few.mask & few.newer[:, None]
    assert few.disjoint(judged) < 2
    assert not torch.equal(linear_start(few, ()), naive)


def turning(seed: int, noise: float) -> FloatArray:
    """A series that no season explains: each value takes back most of the one before the last."""
    rng, values = np.random.default_rng(seed), [1.0, 0.5]
    for _ in range(118):
        values.append(0.3 * values[-1] - 0.9 * values[-2] + noise * rng.normal())
    return np.array(values)


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize(
    ("series", "penalty"),
    [
        (np.random.default_rng(1).normal(size=19), None),
        (seasonal_series(11), 1.0),
        (turning(4, 0.3), 0.03),
        (turning(0, 0.01), 0.01),
    ],
    ids=["few", "noisy", "turning", "exact"],
)
def test_linear_start_is_the_ridge_that_newer_windows_choose_when_they_judge(
    series: FloatArray, penalty: float | None, gaps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal_shares(monkeypatch)
    sample = with_gaps(sample_of(series), gaps, 1)
    prior = all_maps().mean(0).double().numpy()
    chosen, expected = chosen_start(sample, prior)
    assert chosen == penalty
    found = linear_start(sample, SEASONS).double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("rnnforecast.models.linear_start.ROWS", 7)
    in_parts = linear_start(sample, SEASONS).double().numpy()
    np.testing.assert_allclose(in_parts, expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    share=st.floats(0, 1),
    other=st.sampled_from([-1e9, 1e9, 7.0]),
)
def test_linear_start_is_bit_equal_when_masked_targets_change(
    seed: int, share: float, other: float
) -> None:
    sample = with_gaps(sample_of(seasonal_series(seed, length=40)), share, seed)
    changed = sample._replace(target=torch.where(sample.mask, sample.target, other))
    assert torch.equal(linear_start(changed, SEASONS), linear_start(sample, SEASONS))


def test_linear_start_chooses_by_older_targets_alone_when_it_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target that only the newest windows know moves the start where it is fitted to all."""
    equal_shares(monkeypatch)
    sample = sample_of(turning(0, 0.3))
    told = sample.mask & ~sample.older
    assert told.any() and not torch.equal(told, sample.newer[:, None].expand_as(told))
    moved = sample._replace(target=sample.target + 0.01 * told)
    prior = all_maps().mean(0).double().numpy()
    for each in (sample, moved):
        _, expected = chosen_start(each, prior)
        found = linear_start(each, SEASONS).double().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(linear_start(moved, SEASONS), linear_start(sample, SEASONS))


@pytest.mark.parametrize("factor", [0.25, 3.7, 1000.0])
@pytest.mark.parametrize("seed", range(4))
def test_linear_start_forecasts_alike_when_all_values_are_scaled(
    seed: int, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one prior it is the same map; the optimum of priors may be flat."""
    sample = sample_of(seasonal_series(seed))
    scaled = sample._replace(read=factor * sample.read, target=factor * sample.target)
    found, expected = (sample.read @ linear_start(each, SEASONS).T for each in (scaled, sample))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
    equal_shares(monkeypatch)
    found, expected = linear_start(scaled, SEASONS), linear_start(sample, SEASONS)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_linear_start_combines_by_evenly_spread_windows_when_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EVENNESS", 0.0)
    monkeypatch.setattr(module, "UNTOLD", 0.0)
    sample = sample_of(seasonal_series(0, length=55))
    sample = sample._replace(newer=torch.zeros_like(sample.newer))
    whole = linear_start(sample, SEASONS)
    rows = torch.tensor([0, 20, 40])
    assert len(sample.read) == 41
    maps = all_maps()
    monkeypatch.setattr(module, "DESCENT_ERRORS", 3 * HORIZON * len(maps))
    thinned = linear_start(sample, SEASONS)
    assert torch.equal(thinned, linear_start(Sample(*(part[rows] for part in sample)), SEASONS))
    assert not torch.equal(thinned, whole)


def test_linear_start_draws_nothing_when_called() -> None:
    before = torch.get_rng_state()
    linear_start(sample_of(seasonal_series(0)), SEASONS)
    assert torch.equal(torch.get_rng_state(), before)


def test_linear_start_is_that_of_some_windows_when_targets_of_others_are_unknown() -> None:
    sample = with_gaps(sample_of(seasonal_series(3)), 0.2, seed=3)
    some = torch.arange(len(sample.read)) % 3 > 0
    alone = Sample(*(part[some] for part in sample))
    assert torch.equal(linear_start(sample.of(some), SEASONS), linear_start(alone, SEASONS))
