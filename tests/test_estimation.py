"""What a fit starts from and is shrunk towards, by the windows that tell either."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.estimation import fitting, starting, windows
from rnnforecast.estimation.fitting import find_rate, fit_forecaster
from rnnforecast.estimation.starting import FAR, spread_of
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.linear_start import Sample
from rnnforecast.models.normalisation import window_scale
from rnnforecast.models.skip import LinearSkip, build_skip
from tests.panels import make_panel
from tests.short_training import short_training

CPU = torch.device("cpu")
# Of the longer season a window shows less than two, so that each skip is one map.
LOOKBACK, HORIZON, SEASONS = 7, 3, (2, 4)


def run_config(lookbacks: tuple[int, ...] = (), **changed: Any) -> RunConfig:
    return RunConfig(
        data=DataConfig(),
        windows=WindowSpec(lookback=LOOKBACK, horizon=HORIZON, seasons=SEASONS),
        model=ModelSpec(**{"model": "gru", "hidden_size": 3, "lookbacks": lookbacks, **changed}),
        training=short_training(learning_rate=1e-12),
    )


def ragged(last: int = 41) -> Panel:
    """Three series of unequal length, none without a gap but the one of two values."""
    rng = np.random.default_rng(0)
    long, short = 20 + rng.normal(size=last), 5 + rng.normal(size=13)
    long[[7, 25, 26]], short[6] = np.nan, np.nan
    return make_panel(long.tolist(), [3.0, 4.0], short.tolist())


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What the start of every skip was found by."""
    found: list[Sample] = []

    start_by = LinearSkip.start_by

    def spy(skip: LinearSkip, sample: Sample, seasons: tuple[int, ...]) -> None:
        assert seasons == SEASONS
        found.append(sample)
        start_by(skip, sample, seasons)

    monkeypatch.setattr(LinearSkip, "start_by", spy)
    return found


def read_before(series: FloatArray, cutoff: int) -> tuple[Tensor, Tensor]:
    """The values and mask [1, lookback] that a network reads before a cutoff."""
    past = np.full(LOOKBACK, np.nan)
    past[-min(cutoff, LOOKBACK) :] = series[max(0, cutoff - LOOKBACK) : cutoff]
    return torch.from_numpy(np.nan_to_num(past))[None], torch.from_numpy(~np.isnan(past))[None]


def cutoffs_of(panel: Panel) -> list[tuple[int, int]]:
    """Series and cutoff of all that have two long seasons, or half their series, before them."""
    pairs = []
    for series, length in enumerate(panel.lengths.tolist()):
        for cutoff in range(1, length):
            if cutoff >= min(2 * max(SEASONS), length // 2) and cutoff >= min(2, length - 1):
                pairs.append((series, cutoff))
    return pairs


def at(panel: Panel, series: int, position: int) -> float:
    """A value of a series, NaN where there is none."""
    inside = 0 <= position < panel.lengths[series]
    return float(panel.values[panel.offsets[series] + position]) if inside else math.nan


def assert_windows(sample: Sample, panel: Panel, lookback: int) -> None:
    """Raise AssertionError where a sample is not what a loop makes of the panel."""
    pairs = cutoffs_of(panel)
    assert len(sample.read) == len(pairs) and sample.read.shape[1] == lookback
    for row, (series, cutoff) in enumerate(pairs):
        past = np.array([at(panel, series, cutoff - lookback + step) for step in range(lookback)])
        ahead = np.array([at(panel, series, cutoff + step) for step in range(HORIZON)])
        judged = math.ceil(0.7 * panel.lengths[series])
        seen, known = ~np.isnan(past), ~np.isnan(ahead)
        older = [cutoff + step < judged for step in range(HORIZON)]
        assert sample.mask[row].tolist() == known.tolist()
        assert sample.older[row].tolist() == (known & older).tolist()
        assert bool(sample.newer[row]) == (cutoff >= judged)
        scale = window_scale(
            torch.from_numpy(np.nan_to_num(past))[None], torch.from_numpy(seen)[None], SEASONS[0]
        )
        shift, spread = scale.shift.item(), scale.scale.item()
        target = np.where(known, (np.nan_to_num(ahead) - shift) / spread, 0.0)
        np.testing.assert_allclose(sample.target[row].numpy(), target, rtol=1e-5, atol=1e-5)
        read = sample.read[row].numpy()[seen]
        np.testing.assert_allclose(read, (past[seen] - shift) / spread, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lookbacks", [(), (7, 7), (7, 5, 4)], ids=str)
def test_fit_forecaster_starts_each_skip_by_the_windows_of_a_loop_when_series_differ(
    lookbacks: tuple[int, ...], samples: list[Sample]
) -> None:
    panel = ragged()
    forecaster, _ = fit_forecaster(panel, run_config(lookbacks), device=CPU)
    members = forecaster.network.members
    for sample, member in list(zip(samples, members, strict=True)):
        assert_windows(sample, panel, member.lookback)
        alone = build_skip(member.lookback, HORIZON, SEASONS)
        alone.start_by(sample, SEASONS)
        assert torch.equal(member.skip.start, alone.start)


def test_fit_forecaster_starts_skips_before_the_ends_when_what_follows_validates(
    samples: list[Sample],
) -> None:
    panel, ends = ragged(), np.array([35, 2, 10])
    known = panel.before(ends)
    fit_forecaster(panel, run_config(), device=CPU, ends=ends)
    assert_windows(samples[0], known, LOOKBACK)
    find_rate(panel, run_config(), device=CPU, ends=ends)
    assert_windows(samples[1], known, LOOKBACK)


def test_fit_forecaster_starts_bit_equal_when_values_after_the_ends_change() -> None:
    starts = []
    for other in (7.0, 1e9):
        panel, ends = ragged(), np.array([35, 2, 10])
        panel.values[35:41] = panel.values[-3:] = other
        network = fit_forecaster(panel, run_config((7, 5)), device=CPU, ends=ends)[0].network
        starts.append([member.skip.start for member in network.members])
    for one, another in zip(*starts, strict=True):
        assert torch.equal(one, another)


def test_fit_forecaster_starts_skips_by_fewer_windows_when_there_are_many(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ragged()
    fit_forecaster(panel, run_config(), device=CPU)
    monkeypatch.setattr(starting, "START_WINDOWS", 5)
    fit_forecaster(panel, run_config(), device=CPU)
    monkeypatch.setattr(windows, "READ_VALUES", 3 * (LOOKBACK + HORIZON))
    fit_forecaster(panel, run_config(), device=CPU)
    whole, *thinned = samples
    for sample, count in zip(thinned, (5, 3), strict=True):
        kept = np.linspace(0, len(whole.read) - 1, count).round().astype(int)
        for part, every in zip(sample[:-1], whole[:-1], strict=True):
            assert torch.equal(part, every[kept])
        assert float(sample.stands.sum()) == pytest.approx(float(whole.stands.sum()))
    assert (whole.stands == 1).all()


def test_fit_forecaster_starts_skips_on_logarithms_when_the_model_is_of_them(
    samples: list[Sample],
) -> None:
    logarithms = make_panel(ragged().values[:41].tolist())
    panel = replace(logarithms, values=np.exp(logarithms.values / 10))
    fit_forecaster(panel, run_config(log=True), device=CPU)
    fit_forecaster(logarithms, run_config(), device=CPU)
    for one, other in zip(*samples, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_fit_forecaster_goes_on_from_where_a_network_is_when_one_is_given(
    samples: list[Sample],
) -> None:
    torch.manual_seed(1)
    config = run_config((7, 5))
    initial = Ensemble(config.model, config.windows)
    for member in initial.members:
        member.skip.start_at(torch.randn(member.skip.start.shape))
    initial.shrinkage.fill_(0.3)
    network = fit_forecaster(ragged(), config, device=CPU, initial=initial)[0].network
    assert not samples
    before = initial.state_dict()
    assert not torch.equal(network.spread, before.pop("spread"))  # of these values
    for name, weights in before.items():
        torch.testing.assert_close(network.state_dict()[name], weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", ["gru", "linear"])
def test_fit_forecaster_forecasts_a_season_on_a_line_when_it_has_hardly_learned(
    model: str,
) -> None:
    """The start alone tells it."""
    step = np.arange(90)
    values = np.tile([1.0, 4.0, 2.0, 3.0, 5.0, 2.5], 15) + step / 8
    panel = make_panel(values[:84].tolist())
    windows = WindowSpec(lookback=24, horizon=6, seasons=(6,))
    config = RunConfig(
        data=DataConfig(),
        windows=windows,
        model=ModelSpec(model=model, hidden_size=3, lookbacks=(24, 12)),
        training=short_training(learning_rate=1e-12),
    )
    forecaster, _ = fit_forecaster(panel, config, device=CPU)
    median = forecaster.predict(panel)[0, :, 2]
    np.testing.assert_allclose(median, values[84:], rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("ends", "log", "rate", "share"),
    [
        ([38, 2, 13], False, 0.03, 0),
        ([35, 2, 10], False, 0.2, 7),
        ([20, 2, 6], False, 2.0, 5),
        ([35, 2, 10], True, 0.2, 6),
        ([20, 2, 6], True, 2.0, 6),
        ([35, 2, 10], True, 0.6, 10),
    ],
)
def test_fit_forecaster_is_shrunk_as_far_as_held_out_windows_tell(
    ends: list[int], log: bool, rate: float, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop over their steps; one time is half believed, several more than that, and beside them
    the start where little was learned from."""
    for module in (fitting, starting):
        monkeypatch.setattr(module, "prediction_batch", lambda windows: 4)
    config = run_config((7, 5), log=log)
    config = replace(config, training=short_training(epochs=4, learning_rate=rate))
    panel = ragged()
    network = fit_forecaster(panel, config, device=CPU, ends=np.array(ends))[0].network
    found = float(network.shrinkage)
    network.shrinkage.zero_()
    errors = np.zeros(11)
    for place, end in enumerate(ends):
        series = np.log(panel.series(place)) if log else panel.series(place)
        for cutoff in range(end, len(series) - HORIZON + 1):
            values, mask = read_before(series, cutoff)
            with torch.no_grad():
                median = network.quantiles(values, mask)[0, :, 2]
                start = network.started(values, mask)[0, :, 2]
            scale = window_scale(values, mask, SEASONS[0], log).scale.item()
            for step, actual in enumerate(series[cutoff : cutoff + HORIZON]):
                for tried in range(11) if not np.isnan(actual) else ():
                    shrunk = median[step] + tried / 10 * (start[step] - median[step])
                    errors[tried] += min(abs(float(shrunk) - actual) / scale, FAR)
    held_out = [length - end for length, end in zip(panel.lengths, ends, strict=True)]
    times = np.mean([count for count in held_out if count]) / HORIZON
    best = np.argmax(errors <= 1.002 * errors.min())
    assert best == share
    unlearned = 16 * HORIZON / sum(ends)
    assert found == pytest.approx((best / 10 * times + unlearned) / (times + 1 + unlearned))


def test_fit_forecaster_is_shrunk_the_more_the_less_there_is_when_nothing_is_held_out() -> None:
    found = []
    for length in (6, 60, 60_000):
        panel = make_panel([1.0, 4.0, 2.0] * (length // 3))
        config = replace(run_config(), training=short_training(epochs=1, batches_per_epoch=1))
        found.append(float(fit_forecaster(panel, config, device=CPU)[0].network.shrinkage))
        assert found[-1] == pytest.approx(16 * HORIZON / (16 * HORIZON + length))
    assert found[0] > 0.5 > found[1] > 0.001 > found[2]


@pytest.mark.parametrize("noise", [None, 0.0, 1e-9, 0.01])
def test_fit_forecaster_is_shrunk_as_far_as_times_allow_when_training_has_spoilt_it(
    noise: float | None,
) -> None:
    """Even beside a series that hardly varies and jumps where it is held out."""
    config = replace(run_config(), training=short_training(learning_rate=3.0))
    told = [1.0, 4.0, 2.0, 3.0] * 22 + [1.0, 4.0]  # which the start forecasts
    quiet = 100 + (noise or 0.0) * np.random.default_rng(0).normal(size=90)
    for end in (87, 60):
        jump = np.where(np.arange(90) < end + 1, quiet, 2 * quiet).tolist()
        panel = make_panel(told) if noise is None else make_panel(told, told, told, jump)
        ends = np.full(len(panel), end)
        network = fit_forecaster(panel, config, device=CPU, ends=ends)[0].network
        times, unlearned = (90 - end) / HORIZON, 16 * HORIZON / ends.sum()
        expected = (times + unlearned) / (times + 1 + unlearned)
        assert float(network.shrinkage) == pytest.approx(expected)


def test_fit_forecaster_finds_the_same_shrinkage_when_weights_come_with_one() -> None:
    """As those of a checkpoint do, where the fit after it was ended."""
    config = replace(run_config(), training=short_training(learning_rate=3.0))
    panel, ends = make_panel([1.0, 4.0, 2.0, 3.0] * 22), [60]
    found = []
    initial = fit_forecaster(panel, config, device=CPU)[0].network
    for share in (0.0, 0.9):
        initial.shrinkage.fill_(share)
        given = {"initial": initial, "ends": np.array(ends)}
        found.append(fit_forecaster(panel, config, device=CPU, **given)[0].network.shrinkage)
    assert found[0] == found[1] > 0


@pytest.mark.parametrize("log", [False, True])
def test_fit_forecaster_finds_how_far_the_start_errs_in_all_windows(log: bool) -> None:
    """A loop over their steps; the newest, from which nothing was learned, count too."""
    panel = ragged()
    config = replace(run_config((7, 5), log=log), training=short_training(epochs=1))
    for ends in (None, np.array([20, 2, 6])):
        network = fit_forecaster(panel, config, device=CPU, ends=ends)[0].network
        found: list[tuple[int, int, float]] = []
        scales: dict[int, list[float]] = {}
        for place, cutoff in cutoffs_of(panel):
            series = np.log(panel.series(place)) if log else panel.series(place)
            values, mask = read_before(series, cutoff)
            with torch.no_grad():
                start = network.started(values, mask)[0, :, 2]
            ahead = series[cutoff : cutoff + HORIZON]
            if not np.isnan(ahead).all():
                scale = window_scale(values, mask, SEASONS[0], log).scale.item()
                scales.setdefault(place, []).append(scale)
            for step, actual in enumerate(ahead):
                if not np.isnan(actual):
                    found.append((place, step, abs(float(start[step]) - actual)))
        errors: list[list[float]] = [[] for _ in range(HORIZON)]
        for place, step, error in found:
            errors[step].append(min(error / np.mean(scales[place]), FAR))
        count = len(found)
        mean = sum(map(sum, errors)) / count
        steps = [(sum(each) + HORIZON * mean) / (len(each) + HORIZON) for each in errors]
        larger = math.sqrt(math.pi / 2 * (1 + 1 / max(1, count / HORIZON**2)))
        normal = [-1.959964, -1.281552, 0.0, 1.281552, 1.959964]
        np.testing.assert_allclose(network.spread, larger * np.outer(steps, normal), rtol=1e-4)


def test_spread_heeds_no_constant_windows_nor_empty_ones() -> None:
    config = run_config()
    network = fit_forecaster(ragged(), config, device=CPU)[0].network
    varying = ragged().values[:41].tolist()
    told = spread_of(network, make_panel(varying), config, CPU)
    more = make_panel(varying, [5.0] * 20, [*[math.nan] * 20, 3.0])
    torch.testing.assert_close(spread_of(network, more, config, CPU), told)
