"""What a forecaster says and refuses to say. Fitting is tested with the future hidden and open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rnnforecast.columns import DataConfig, InputSizes, Yearly, YearlyComponent, YearlyScale
from rnnforecast.config import ModelSpec, RunConfig, Typical, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.time_units import DAY
from rnnforecast.data.windows import Batch, WindowIndex
from rnnforecast.data.yearly import laid_out
from rnnforecast.errors import DataError, TrainingError
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.evaluation.intervals import widen
from rnnforecast.forecaster import Forecaster, continued, without_logarithm
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import MODELS
from tests.panels import make_panel
from tests.short_training import short_training


def forecaster(*, log: bool, nonnegative: bool = False) -> Forecaster:
    config = RunConfig(
        data=DataConfig(time_column="ds", target_columns=("y",)),
        windows=WindowSpec(lookback=4, horizon=2),
        model=ModelSpec(model="gru", hidden_size=3, log=log, nonnegative=nonnegative),
        training=short_training(),
    )
    return Forecaster(config, Ensemble(config.model, config.windows))


@pytest.mark.parametrize("log", [False, True])
def test_predict_at_forecasts_what_a_yearly_component_leaves_and_puts_it_back(log: bool) -> None:
    frequency = Frequency(unit="microsecond", count=DAY)
    panel = replace(make_panel([3, 5, 4, 6, 5, 7], [9, 8, 9, 7, 8]), frequency=frequency)
    own = (YearlyComponent(id="s0", coefficients=(0.2, -0.5, 0.1, 0.3)),)
    yearly = Yearly(own=own)
    torch.manual_seed(0)
    plain = forecaster(log=log)
    seasonal = replace(plain, config=replace(plain.config, yearly=yearly))
    index = WindowIndex(series=np.array([0, 1, 0]), cutoffs=np.array([6, 5, 4]))
    component = laid_out(yearly, panel, 2).values[:8]
    change = np.exp if log else np.asarray
    without = np.append(component[:6], np.zeros(5))
    values = panel.values / np.exp(without) if log else panel.values - without
    before = plain.predict_at(replace(panel, values=values), index)
    ahead = change(np.array([component[6:8], [0, 0], component[4:6]]))[..., None]
    expected = before * ahead if log else before + ahead
    assert np.abs(component).min() > 0.1
    np.testing.assert_allclose(seasonal.predict_at(panel, index), expected, rtol=1e-6)


def test_predict_at_divides_by_a_component_in_shares_and_multiplies_by_it() -> None:
    frequency = Frequency(unit="microsecond", count=DAY)
    panel = replace(make_panel([3, 5, 0, 6, 5, 7, 4], [9, 8, 9, 7]), frequency=frequency)
    plain = forecaster(log=False, nonnegative=True)
    own = (YearlyComponent(id="s0", coefficients=(0.2, -0.5, 0.1, 0.3)),)
    yearly = Yearly(scale="shares", own=own)
    seasonal = replace(plain, config=replace(plain.config, yearly=yearly))
    index = WindowIndex(series=np.array([0, 1]), cutoffs=np.array([7, 4]))
    factor = laid_out(yearly, panel, 2).values[:9]
    left = np.append(panel.values[:7] / factor[:7], panel.values[7:])
    ahead = np.array([factor[7:], [1, 1]])[..., None]
    expected = plain.predict_at(replace(panel, values=left), index) * ahead
    assert np.abs(factor - 1).min() > 0.1
    np.testing.assert_allclose(seasonal.predict_at(panel, index), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", ["units", "shares"])
def test_predict_goes_on_with_constants_when_the_series_has_a_yearly_component(
    scale: YearlyScale,
) -> None:
    frequency = Frequency(unit="microsecond", count=DAY)
    panel = replace(make_panel([3, 9, 0, 0, 0, 0], [0, 0, 0, 1]), frequency=frequency)
    plain = of_typical(1.0, log=False)
    components = tuple(
        YearlyComponent(id=f"s{i}", coefficients=(0.1, 0.2, 0.3, 0.4)) for i in range(2)
    )
    seasonal = replace(
        plain, config=replace(plain.config, yearly=Yearly(scale=scale, own=components))
    )
    closed, open_ = seasonal.predict(panel)
    assert not closed.any()
    assert (open_ != plain.predict(panel)[1]).all()


def test_predict_raises_with_series_when_a_forecast_is_infinite() -> None:
    diverged = forecaster(log=True)
    with torch.no_grad():
        diverged.network.members[0].skip.bias.fill_(1e6)
    with pytest.raises(TrainingError, match="^series 's0': the forecast is infinite, as of a netw"):
        diverged.predict(make_panel([1, 2, 3, 4], [5, 6, 7, 8]))


@pytest.mark.parametrize("value", [0.0, -2.5])
def test_predict_raises_with_series_when_a_value_read_has_no_logarithm(value: float) -> None:
    message = rf"^series 's1' has the value {value:g}, which has no logarithm"
    with pytest.raises(DataError, match=message):
        forecaster(log=True).predict(make_panel([1, 2, 3, 4], [5, value, 7, 8]))


def test_predict_passes_values_without_logarithm_over_when_they_lie_before_the_lookback() -> None:
    older = make_panel([0, 1, 2, 3, 4])
    expected = forecaster_of_seed().predict(make_panel([1, 2, 3, 4]))
    assert forecaster_of_seed().predict(older).tobytes() == expected.tobytes()


def forecaster_of_seed() -> Forecaster:
    torch.manual_seed(0)
    return forecaster(log=True)


def test_predict_at_gives_nan_when_the_lookback_holds_no_observation() -> None:
    gap = make_panel([1, *[np.nan] * 6, 2])
    index = WindowIndex(series=np.array([0, 0]), cutoffs=np.array([1, 6]))
    quantiles = forecaster(log=False).predict_at(gap, index)
    assert np.isfinite(quantiles[0]).all()
    assert np.isnan(quantiles[1]).all()


def test_without_logarithm_is_none_when_values_are_positive_or_missing() -> None:
    assert without_logarithm(make_panel([1, np.nan, 3])) is None
    assert without_logarithm(make_panel([1, 2], [3, -4])) == ("s1", -4.0)


@pytest.mark.parametrize("log", [False, True])
def test_predict_multiplies_half_widths_by_the_factors_when_it_has_some(log: bool) -> None:
    panel = make_panel([1, 2, 3, 4], [5, 6, np.nan, 8])
    plain = forecaster(log=log)
    factors = np.array([[2.0, 3.0], [0.5, 1.0]])
    calibrated = replace(plain, factors=factors)
    quantiles, widened = plain.predict(panel), calibrated.predict(panel)
    np.testing.assert_array_equal(widened, widen(quantiles, factors, log=log))
    logarithms = (np.log(each) if log else each for each in (quantiles, widened))
    before, after = ((upper - lower) for lower, upper in map(inner_bounds, logarithms))
    np.testing.assert_allclose(after, before * factors[:, 0])
    assert widened[..., 2].tobytes() == quantiles[..., 2].tobytes()
    index = WindowIndex(series=np.arange(2), cutoffs=panel.lengths)
    assert calibrated.predict_at(panel, index).tobytes() == quantiles.tobytes()


def inner_bounds(quantiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return quantiles[..., 1], quantiles[..., 3]


@pytest.mark.parametrize("log", [False, True])
def test_forecaster_is_called_as_its_model_when_it_is_compared(log: bool) -> None:
    assert (forecaster(log=log).name, forecaster(log=log).log) == ("gru", log)


def of_typical(lasting: float, *, log: bool, future: int = 0) -> Forecaster:
    """With weights of its own, whose forecasts of constants would be no constants."""
    torch.manual_seed(0)
    plain = forecaster(log=log)
    typical = Typical(share=0.5, spread=2.0, lasting=lasting)
    spec = replace(plain.config.model, typical=typical, inputs=InputSizes(future=future))
    config = replace(plain.config, model=spec)
    return Forecaster(config, Ensemble(spec, config.windows))


CONSTANTS = ([7.0, 7, 7, 7], [5.0, 7, 7, 7, 7], [1e9, 1e9, 1e9], [3.0, np.nan, 3, 3], [0.0] * 9)


@pytest.mark.parametrize("log", [False, True])
def test_predict_continues_constants_when_those_of_training_lasted(log: bool) -> None:
    series = CONSTANTS[:4] if log else (*CONSTANTS, [-2.0] * 4)
    model = replace(of_typical(1.0, log=log), factors=np.full((2, 2), 5.0))
    quantiles = model.predict(make_panel(*series))
    for values, row in zip(series, quantiles, strict=True):
        assert (row == values[-1]).all()


def test_predict_leaves_windows_that_vary_or_are_short_when_constants_lasted() -> None:
    panel = make_panel([5, 7, 7, 8], [7], [7, 7], [9, 9, 9, 9])
    plain, told = of_typical(0.0, log=False), of_typical(1.0, log=False)
    before, after = plain.predict(panel), told.predict(panel)
    assert after[:3].tobytes() == before[:3].tobytes()
    assert (np.diff(after[:3]) > 0).all()
    assert (after[3] == 9).all()
    assert (before[3] != 9).any()


@pytest.mark.parametrize(
    ("lasting", "constant"),
    [(0.49, 0), (0.5, 1), (0.89, 1), (0.91, 3), (0.97, 3), (0.98, 5), (1.0, 5)],
)
def test_predict_believes_quantiles_of_constants_by_how_many_lasted(
    lasting: float, constant: int
) -> None:
    panel = make_panel([9, 9, 9, 9])
    (before,), (after,) = (of_typical(p, log=False).predict(panel) for p in (0.0, lasting))
    believed = slice(2 - constant // 2, 3 + constant // 2) if constant else slice(0)
    assert (after[:, believed] == 9).all()
    assert (np.diff(after) >= 0).all()
    if constant:
        np.testing.assert_array_equal(after[:, :2] <= 9, True)
        np.testing.assert_array_equal(after[:, 3:] >= 9, True)
    else:
        assert after.tobytes() == before.tobytes()


def test_continued_asks_for_certainty_when_something_is_known_ahead() -> None:
    batch = Batch(
        torch.full((1, 4), 9.0),
        torch.ones(1, 4, dtype=torch.bool),
        torch.zeros(1, 2),
        torch.ones(1, 2, dtype=torch.bool),
    )
    forecast = torch.arange(10.0).reshape(1, 2, 5)
    for lasting, expected in ((0.999, forecast), (1.0, torch.full_like(forecast, 9))):
        model = of_typical(lasting, log=False, future=2)
        assert torch.equal(continued(forecast, batch, model.config.model), expected)


@pytest.mark.parametrize("bound", [False, True])
def test_predict_is_never_below_zero_when_nothing_negative_is_held_possible(bound: bool) -> None:
    panel = make_panel([3, 2, 1, 0], [9, 6, 3, 1], [-4, -8, -5, -9])
    plain = forecaster_of_seed()
    spec = replace(plain.config.model, nonnegative=bound, log=False)
    config = replace(plain.config, model=spec)
    torch.manual_seed(0)
    network = Ensemble(spec, config.windows)
    model = Forecaster(config, network, np.full((2, 2), 3.0))
    free = replace(model, config=replace(config, model=replace(spec, nonnegative=False)))
    quantiles, unbound = model.predict(panel), free.predict(panel)
    assert (unbound < 0).any()
    assert (quantiles.min() == 0) == bound
    assert (np.diff(quantiles) >= 0).all()
    if not bound:
        assert quantiles.tobytes() == unbound.tobytes()


def fitted(model: str, lookback: int, **changed: Any) -> dict[str, torch.Tensor]:
    """The weights after ten steps on two series of unequal length."""
    config = forecaster(log=False).config
    spec = ModelSpec(model=model, hidden_size=5, head=MODELS[model].head, **changed)
    training = replace(config.training, batches_per_epoch=10, batch_size=8, learning_rate=1e-2)
    config = replace(config, windows=WindowSpec(lookback=lookback, horizon=2), model=spec)
    rng = np.random.default_rng(0)
    panel = make_panel(rng.normal(size=40), rng.normal(size=17))
    config = replace(config, training=training)
    return fit_forecaster(panel, config, device=torch.device("cpu"))[0].network.state_dict()


@pytest.mark.parametrize("model", [name for name, row in MODELS.items() if row.truncatable])
def test_fit_ends_at_the_same_weights_when_truncation_covers_the_lookback(model: str) -> None:
    whole = fitted(model, 12, num_layers=3)
    for steps in (12, 1000):
        truncated = fitted(model, 12, num_layers=3, tbptt=steps)
        for name, weights in whole.items():
            torch.testing.assert_close(truncated[name], weights, rtol=0, atol=1e-6)
    shorter = fitted(model, 12, num_layers=3, tbptt=4)
    assert any((shorter[name] - weights).abs().max() > 1e-6 for name, weights in whole.items())


@pytest.mark.parametrize(("lookback", "horizon"), [(1, 5), (8, 1), (8, 5), (1, 1)])
@pytest.mark.parametrize("model", ["gru", "segment-gru", "bahdanau-gru", "deepar"])
def test_forecaster_takes_every_shape_when_lookback_or_horizon_is_one(
    model: str, lookback: int, horizon: int
) -> None:
    config = forecaster(log=False).config
    windows = WindowSpec(lookback=lookback, horizon=horizon)
    spec = ModelSpec(model=model, hidden_size=3, head=MODELS[model].head)
    config = replace(config, windows=windows, model=spec)
    panel = make_panel(np.arange(20.0) % 3, np.arange(9.0))
    fit, _ = fit_forecaster(panel, config, device=torch.device("cpu"))
    quantiles = fit.predict(panel)
    assert quantiles.shape == (2, horizon, 5)
    assert np.isfinite(quantiles).all()


@pytest.mark.parametrize(
    ("teacher_forcing", "expected"),
    [("scheduled", 1 - np.arange(12) / 12), ("always", np.ones(12)), ("never", np.zeros(12))],
)
def test_fit_reads_truth_as_taught_when_it_trains_and_never_when_it_validates(
    teacher_forcing: str, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: dict[bool, list[float]] = {True: [], False: []}
    forward = ForecastNetwork.forward

    def recorded(network: ForecastNetwork, *read: Any) -> Any:
        shares[network.training].append(read[2].share)
        return forward(network, *read)

    monkeypatch.setattr(ForecastNetwork, "forward", recorded)
    config = forecaster(log=False).config
    training = replace(
        config.training,
        epochs=3,
        batches_per_epoch=4,
        patience=3,
        teacher_forcing=teacher_forcing,
    )
    config = replace(config, model=ModelSpec(model="seq2seq-gru", hidden_size=3), training=training)
    panel = make_panel(np.arange(20.0) % 3)
    fit_forecaster(panel, config, device=torch.device("cpu"), ends=np.array([14]))
    np.testing.assert_allclose(shares[True], expected, rtol=0, atol=1e-12)
    assert shares[False] == [0.0] * 3


@pytest.mark.parametrize("value", [-3.0, 2.5])
def test_predict_raises_with_series_when_a_model_of_counts_reads_none(value: float) -> None:
    of_counts = forecaster(log=False)
    spec = replace(of_counts.config.model, head="negative-binomial")
    config = replace(of_counts.config, model=spec)
    of_counts = Forecaster(config, Ensemble(spec, config.windows))
    message = (
        rf"^series 's1' has the value {value:g}, which is no count, and the model is of counts"
    )
    with pytest.raises(DataError, match=message):
        of_counts.predict(make_panel([1, 2, 3, 4], [5, value, 7, 8]))
    widened = replace(of_counts, factors=np.full((2, 2), 1.3))
    for model in (of_counts, widened):
        older = model.predict(make_panel([value, 1, 2, 3, 4]))
        assert (older == older.round()).all() and not np.signbit(older).any()
    assert widened.whole and not forecaster(log=False).whole
