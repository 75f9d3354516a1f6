"""An ensemble: what its members have in common, and what it makes of what they say."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnforecast import runtime
from rnnforecast.artifact import load_artifact
from rnnforecast.columns import InputSizes
from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.decoders import Truth
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.network import Covariates, ForecastNetwork
from rnnforecast.models.normalisation import window_scale
from rnnforecast.models.registry import MODELS
from rnnforecast.models.skip import LinearSkip
from rnnforecast.runtime import together
from tests.model_files import make_artifact, save_artifact

LOOKBACK, HORIZON, SEASON = 12, 5, 4
CPU = torch.device("cpu")
# The forecasts of one that samples are drawn.
EXACT = [name for name, entry in MODELS.items() if not entry.samples]


def build(*lookbacks: int, spread: float = 0.3, **changed: Any) -> Ensemble:
    """Members with weights that make them differ; without lookbacks, one that reads all."""
    torch.manual_seed(0)
    spec = ModelSpec(**{"model": "gru", "hidden_size": 6, "lookbacks": lookbacks, **changed})
    windows = WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,))
    network = Ensemble(spec, windows).eval()
    for weights in network.parameters():
        nn.init.normal_(weights, std=spread)
    return network


def windows(batch: int = 6) -> tuple[Tensor, Tensor]:
    """Counts and which were observed [batch, lookback]."""
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.random((batch, LOOKBACK)) > 0.2)
    return torch.from_numpy(rng.poisson(20.0, mask.shape).astype(float)) * mask, mask


def forecast(network: Ensemble | ForecastNetwork, *read: Any) -> Tensor:
    with torch.no_grad():
        return network.quantiles(*read)


def covariates(sizes: InputSizes, batch: int = 6) -> Covariates:
    """Random ones of every kind."""
    torch.manual_seed(1)
    past = torch.randn(batch, LOOKBACK, sizes.past)
    future = torch.randn(batch, LOOKBACK + HORIZON, sizes.future)
    return past, future, torch.randn(batch, sizes.static)


@pytest.mark.parametrize("name", EXACT)
def test_ensemble_is_its_network_when_it_has_one_member(name: str) -> None:
    ensemble = build(model=name)
    (member,) = ensemble.members
    values, mask = windows()
    truth = Truth(values[:, :HORIZON], mask[:, :HORIZON], 0.0)
    assert torch.equal(forecast(ensemble, values, mask), forecast(member, values, mask))
    with torch.no_grad():
        (found,) = ensemble.losses(values, mask, truth)
        assert torch.equal(found, member.loss(values, mask, truth))


@pytest.mark.parametrize("lookbacks", [(), (LOOKBACK,), (LOOKBACK, 8, 8)], ids=str)
def test_ensemble_has_a_network_for_each_lookback_when_built(lookbacks: tuple[int, ...]) -> None:
    members = build(*lookbacks).members
    assert tuple(member.lookback for member in members) == (lookbacks or (LOOKBACK,))
    assert {member.horizon for member in members} == {HORIZON}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("count", range(1, 6))
def test_ensemble_forecasts_the_median_of_each_quantile_when_members_differ(
    count: int, head: str
) -> None:
    ensemble = build(*(LOOKBACK, 12, 8, 6, 4)[:count], head=head)
    values, mask = windows()
    each = np.stack([forecast(member, values, mask).numpy() for member in ensemble.members])
    found = forecast(ensemble, values, mask).numpy()
    expected = np.empty_like(found)
    for place in np.ndindex(found.shape):
        ordered = sorted(member[place] for member in each)
        low, high = ordered[(count - 1) // 2], ordered[count // 2]
        middle = (low + high) / 2
        expected[place] = np.round(middle) if HEADS[head].counts else middle
    np.testing.assert_array_equal(found, expected)
    assert (np.diff(found) >= 0).all()
    assert (np.ptp(each, axis=0) > 0).any() == (count > 1)


@pytest.mark.parametrize("lookbacks", [(), (LOOKBACK, 8, 8), (LOOKBACK, 8)], ids=str)
@pytest.mark.parametrize("name", ["gru", "linear", "seq2seq-gru"])
def test_ensemble_starts_as_its_skips_alone_when_new(name: str, lookbacks: tuple[int, ...]) -> None:
    windows_of = WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=(SEASON,))
    spec = ModelSpec(model=name, hidden_size=6, lookbacks=lookbacks, segment_length=2)
    ensemble, (values, mask) = Ensemble(spec, windows_of).eval(), windows()
    first = forecast(ensemble, values, mask)[..., 2]
    for weights in ensemble.parameters():
        nn.init.normal_(weights, std=0.3)
    with torch.no_grad():
        start = ensemble.started(values, mask)
    torch.testing.assert_close(start, first[..., None].expand_as(start), rtol=0, atol=1e-5)
    assert (forecast(ensemble, values, mask)[..., 2] - first).abs().max() > 0.1


@pytest.mark.parametrize("shrinkage", [0.25, 1.0])
def test_ensemble_moves_quantiles_to_those_of_its_start_when_shrunk(shrinkage: float) -> None:
    ensemble, (values, mask) = build(LOOKBACK, 8, 8), windows()
    free = forecast(ensemble, values, mask)
    spread = torch.randn(HORIZON, 5).cumsum(1)
    ensemble.spread.copy_(spread)
    with torch.no_grad():
        first = torch.stack([member.started(values, mask) for member in ensemble.members])
        scale = window_scale(values, mask, SEASON, ensemble.members[0].log).scale
    start = first.median(0).values[..., None] + scale[..., None] * spread
    ensemble.shrinkage.fill_(shrinkage)
    found = forecast(ensemble, values, mask)
    expected = (1 - shrinkage) * free + shrinkage * start
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=1e-5)
    again = build(LOOKBACK, 8, 8)
    again.load_state_dict(ensemble.state_dict())
    assert torch.equal(forecast(again, values, mask), found)


@pytest.mark.parametrize("count", [2, 4])
def test_ensemble_forecasts_whole_counts_when_its_members_are_even(count: int) -> None:
    ensemble = build(*[LOOKBACK] * count, head="negative-binomial")
    values, mask = windows()
    found = forecast(ensemble, values, mask)
    each = torch.stack([forecast(member, values, mask) for member in ensemble.members])
    assert torch.equal(found, found.round()) and bool((found >= 0).all())
    halves = each.sort(0).values[count // 2 - 1 : count // 2 + 1].sum(0) % 2 == 1
    assert halves.any()
    ensemble.shrinkage.fill_(0.3)
    with torch.no_grad():
        learned, start = ensemble.learned(values, mask), ensemble.started(values, mask)
    moved = (learned + ensemble.shrinkage * (start - learned)).round()
    shrunk = forecast(ensemble, values, mask)
    assert torch.equal(shrunk, moved) and not torch.equal(shrunk, found)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    count=st.integers(1, 5),
    head=st.sampled_from(sorted(HEADS)),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
)
def test_ensemble_quantiles_ascend_when_weights_are_any(
    seed: int, count: int, head: str, spread: float
) -> None:
    ensemble, (values, mask) = build(*[LOOKBACK] * count, head=head), windows(3)
    torch.manual_seed(seed)
    for weights in ensemble.parameters():
        nn.init.normal_(weights, std=spread)
    assert bool((forecast(ensemble, values, mask).diff(dim=-1) >= 0).all())


def test_ensemble_heeds_no_member_when_it_is_far_off() -> None:
    ensemble, (values, mask) = build(LOOKBACK, LOOKBACK, LOOKBACK), windows()
    each = [forecast(member, values, mask) for member in ensemble.members]
    with torch.no_grad():
        ensemble.members[1].skip.bias.fill_(1e9)
    found = forecast(ensemble, values, mask)
    assert torch.equal(found, torch.maximum(each[0], each[2]))


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("name", ["gru", "seq2seq-gru", "linear"])
def test_ensemble_losses_are_those_of_members_when_they_read_more_and_less(
    name: str, share: float
) -> None:
    ensemble, (values, mask) = build(LOOKBACK, 8, 4, model=name), windows()
    truth = Truth(30 - values[:, :HORIZON], mask[:, :HORIZON], share)
    with torch.no_grad():
        found = torch.stack(ensemble.losses(values, mask, truth)).tolist()
        losses = []
        for member in ensemble.members:
            newest = values[:, -member.lookback :], mask[:, -member.lookback :]
            parameters, scale = member(*newest, truth)
            losses.append(member.head.loss(parameters, scale, truth.values, truth.mask).item())
    assert found == pytest.approx(losses, rel=1e-6)
    assert len(set(losses)) == 3


@pytest.mark.parametrize("sizes", [None, InputSizes(past=2, future=3, static=1)])
@pytest.mark.parametrize("name", ["gru", "linear", "attention-gru", "dilated-lstm"])
def test_ensemble_member_ignores_older_values_when_its_lookback_is_shorter(
    name: str, sizes: InputSizes | None
) -> None:
    """Of covariates as well, those ahead included that lie before its lookback."""
    ensemble = build(LOOKBACK, 8, model=name, inputs=sizes or InputSizes())
    long, short = ensemble.members
    values, mask = windows()
    older = torch.arange(LOOKBACK) < LOOKBACK - 8
    others = torch.where(older, 77.0, values), mask | older
    before, after = (values, mask), others
    if sizes is not None:
        past, future, static = covariates(sizes)
        far = torch.cat([older, torch.zeros(HORIZON, dtype=torch.bool)])
        changed = past.masked_fill(older[:, None], 5.0), future.masked_fill(far[:, None], 5.0)
        before, after = (*before, (past, future, static)), (*after, (*changed, static))
    assert torch.equal(forecast(short, *before), forecast(short, *after))
    assert not torch.equal(forecast(long, *before), forecast(long, *after))


def test_ensemble_member_forecasts_as_it_does_alone_when_windows_are_longer() -> None:
    sizes = InputSizes(past=2, future=3, static=1)
    short = build(LOOKBACK, 8, inputs=sizes).members[1]
    (values, mask), (past, future, static) = windows(), covariates(sizes)
    own = past[:, -8:], future[:, -8 - HORIZON :], static
    expected = forecast(short, values[:, -8:], mask[:, -8:], own)
    assert torch.equal(forecast(short, values, mask, (past, future, static)), expected)


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.cell])
def test_ensemble_members_differ_when_new(name: str) -> None:
    """All that is drawn is apart; a plain network with ReLU remembers by the identity."""
    torch.manual_seed(0)
    spec = ModelSpec(
        model=name, hidden_size=6, head=MODELS[name].head, lookbacks=(LOOKBACK, LOOKBACK)
    )
    windows = WindowSpec(lookback=LOOKBACK, horizon=HORIZON)
    one, other = (member.encoder.state_dict() for member in Ensemble(spec, windows).members)
    assert one.keys() == other.keys()
    maps = [(one[key], other[key]) for key in one if one[key].dim() > 1]
    drawn = [pair for pair in maps if not torch.equal(pair[0], torch.eye(*pair[0].shape))]
    assert drawn and not any(torch.equal(*pair) for pair in drawn)


@pytest.mark.parametrize("model", ["gru", "seq2seq-gru"])
def test_ensemble_gradients_are_those_of_the_mean_loss_when_it_learns(model: str) -> None:
    ensemble = build(LOOKBACK, 8, model=model, hidden_size=32)
    values, mask = (part.repeat(4, 1) for part in windows())
    truth = Truth(values[:, :HORIZON], mask[:, :HORIZON], 0.5 if model == "gru" else 1.0)
    torch.stack(ensemble.losses(values, mask, truth)).mean().backward()
    found = [weights.grad for weights in ensemble.parameters()]
    mean = torch.stack([each.loss(values, mask, truth) for each in ensemble.members]).mean()
    expected = torch.autograd.grad(mean, list(ensemble.parameters()), allow_unused=True)
    torch.testing.assert_close(found, list(expected))


def test_ensemble_holds_no_graph_when_it_has_told_its_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble, (values, mask) = build(LOOKBACK, 8), windows()
    graphs: list[weakref.ref[Tensor]] = []
    for member in ensemble.members:

        def seen(*given: Any, make: Callable[..., Tensor] = member.loss) -> Tensor:
            loss = make(*given)
            graphs.append(weakref.ref(loss))
            return loss

        monkeypatch.setattr(member, "loss", seen)
    losses = ensemble.losses(values, mask, Truth(values[:, :HORIZON], mask[:, :HORIZON], 0.0))
    assert len(losses) == 2 and [graph() for graph in graphs] == [None, None]


def test_ensemble_gradients_reach_every_member_when_it_learns() -> None:
    ensemble, (values, mask) = build(LOOKBACK, 8, 4), windows()
    truth = Truth(values[:, :HORIZON], mask[:, :HORIZON], 0.0)
    sum(ensemble.train().losses(values, mask, truth), torch.zeros(())).backward()
    for name, weights in ensemble.named_parameters():
        assert weights.grad is not None and weights.grad.abs().sum() > 0, name


# The longest shows two of the longer season: its skip has a map for each.
@pytest.mark.parametrize("lookbacks", [(), (6,), (6, 6), (6, 5, 2), (9, 8, 5)], ids=str)
@pytest.mark.parametrize("name", ["gru", "linear", "deepar", "lstnet"])
def test_ensemble_forecasts_bit_equal_when_it_comes_from_a_model_file(
    name: str, lookbacks: tuple[int, ...], tmp_path: Path
) -> None:
    read = max(lookbacks, default=6)
    artifact = make_artifact(read, model=name, head=MODELS[name].head, lookbacks=lookbacks)
    network = artifact.forecaster.network
    skips = [part for part in network.modules() if isinstance(part, LinearSkip)]
    assert len(skips) == len(network.members) + sum(each >= 8 for each in lookbacks)
    for place, skip in enumerate(skips):
        skip.start_at(torch.randn(skip.start.shape) + place)
    save_artifact(artifact, tmp_path)
    loaded = load_artifact(tmp_path, CPU)
    assert loaded.forecaster.config.model.lookbacks == lookbacks
    state, found = network.state_dict(), loaded.forecaster.network.state_dict()
    assert state.keys() == found.keys()
    assert all(torch.equal(state[key], found[key]) for key in state)
    expected = artifact.forecaster.predict(artifact.panel)
    assert np.isfinite(expected).all()
    assert loaded.forecaster.predict(loaded.panel).tobytes() == expected.tobytes()
    assert loaded.forecaster.predict(loaded.panel).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("name", "share"),
    [("gru", 0.5), ("lstm", 0.5), ("attention-gru", 0.0), ("seq2seq-gru", 1.0)],
)
def test_ensemble_is_the_same_to_the_bit_when_members_have_threads(
    name: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = build(LOOKBACK, 8, 4, model=name, hidden_size=32)
    values, mask = (part.repeat(4, 1) for part in windows())
    truth = Truth(values[:, :HORIZON], mask[:, :HORIZON], share)

    def learnt() -> list[Tensor]:
        ensemble.zero_grad()
        losses = ensemble.train().losses(values, mask, truth)
        together(Tensor.backward, losses)
        gradients = [weights.grad for weights in ensemble.parameters() if weights.grad is not None]
        return [*losses, *map(torch.clone, gradients), forecast(ensemble.eval(), values, mask)]

    alone = learnt()
    monkeypatch.setattr(runtime, "_at_once", 3)
    assert all(map(torch.equal, alone, learnt()))


def test_ensemble_draws_in_turn_when_members_have_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dropout, drawn paths and scheduled sampling draw from one generator."""
    values, mask = windows()
    truths = [Truth(values[:, :HORIZON], mask[:, :HORIZON], share) for share in (0.0, 0.5)]
    drawing = [
        (build(LOOKBACK, 8, model="seq2seq-gru"), truths[1]),
        (build(LOOKBACK, 8, model="deepar", head="normal"), truths[0]),
        (build(LOOKBACK, 8, num_layers=2, dropout=0.5), truths[0]),
    ]
    monkeypatch.setattr(runtime, "_at_once", 2)
    home = threading.get_ident()
    for ensemble, truth in drawing:
        for member in ensemble.members:
            monkeypatch.setattr(
                member, "loss", lambda *_: torch.tensor(float(threading.get_ident() == home))
            )
        assert torch.stack(ensemble.losses(values, mask, truth)).all()


def test_ensemble_has_threads_when_truth_is_scheduled_but_nothing_fed_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, mask = windows()
    ensemble, home = build(LOOKBACK, 8), threading.get_ident()
    monkeypatch.setattr(runtime, "_at_once", 2)

    def elsewhere(*_: object) -> Tensor:
        return torch.tensor(float(threading.get_ident() != home), requires_grad=True)

    for member in ensemble.members:
        monkeypatch.setattr(member, "loss", elsewhere)
    truth = Truth(values[:, :HORIZON], mask[:, :HORIZON], 0.5)
    assert torch.stack(ensemble.losses(values, mask, truth)).all()
