"""A trained network with its configuration, and forecasting with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray
from rnnforecast.columns import Yearly
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex, constants
from rnnforecast.data.yearly import laid_out
from rnnforecast.errors import DataError, TrainingError
from rnnforecast.evaluation.intervals import widen
from rnnforecast.models.distributions import find_head
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.models.filling import POLICIES
from rnnforecast.runtime import panel_dtype

PREDICTION_BATCH, PREDICTION_VALUES = 1024, 2**16


@dataclass(frozen=True)
class Forecaster:
    """Forecasts any panel of the frequency it was trained on, series it never saw included.

    Attributes:
        config: The network and how it was trained.
        network: With its weights.
        factors: What `predict` multiplies the half-widths of each interval by [step, interval];
            None leaves them as they are.
    """

    config: RunConfig
    network: Ensemble
    factors: FloatArray | None = None

    @property
    def name(self) -> str:
        """That of the model."""
        return self.config.model.model

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def log(self) -> bool:
        """Whether the network works on logarithms, so that half-widths are those of these."""
        return self.config.model.log

    @property
    def least(self) -> float:
        """The least value that is held possible: 0 of counts, and where nothing is negative."""
        return 0.0 if self.config.model.nonnegative or self.whole else -math.inf

    @property
    def whole(self) -> bool:
        """Whether it is of counts, which are whole."""
        return find_head(self.config.model.head).counts

    def predict(self, panel: Panel) -> FloatArray:
        """Quantiles of the horizon after the last value of each series [series, step, quantile].

        Their intervals are calibrated.

        Raises:
            DataError: A value that it reads has no logarithm or is no count, but the model needs
                these.
        """
        tail = panel.tail(self.config.windows.lookback)
        check_values(tail, self.config.model)
        quantiles = self.predict_at(
            panel, WindowIndex(series=np.arange(len(panel)), cutoffs=panel.lengths)
        )
        if self.factors is None:
            return quantiles
        return widen(quantiles, self.factors, log=self.log, least=self.least, whole=self.whole)

    def predict_at(self, panel: Panel, index: WindowIndex) -> FloatArray:
        """Quantiles after the cutoff of each window, from what lies before it, not calibrated.

        Returns:
            In units of the series, levels ascending [window, step, quantile]; NaN for a window
            whose lookback holds no observation.

        Raises:
            TrainingError: A forecast is beyond all numbers.
        """
        windows = gather_windows(panel, index, self.config, device=self.device)
        self.network.eval()
        size = prediction_batch(self.config.windows)
        shape = len(index), self.config.windows.horizon, len(self.config.model.quantile_levels)
        forecasts = np.empty(shape)
        with torch.inference_mode():
            for places in torch.split(torch.arange(len(index)), size):
                batch = windows.gather(places)
                forecast = self.network.quantiles(batch.values, batch.mask, batch.inputs).double()
                forecast = continued(forecast, batch, self.config.model)
                if batch.component is not None:
                    forecast = _put_back(forecast, batch.component[..., None], self.config.yearly)
                empty = ~batch.mask.any(1)
                forecast = forecast.masked_fill(empty[:, None, None], torch.nan)
                forecasts[places.numpy()] = forecast.cpu().numpy()
        if self.config.model.log:
            last = panel.values[panel.offsets[index.series] + index.cutoffs - 1]
            from_logarithms(forecasts, last)
        beyond = np.isinf(forecasts).any(axis=(1, 2))
        if beyond.any():
            name = panel.ids[int(index.series[np.argmax(beyond)])]
            raise TrainingError(
                f"series '{name}': the forecast is infinite, as of a network that has diverged; "
                "train again with a lower --learning-rate"
            )
        return np.maximum(forecasts, self.least, out=forecasts)


def _put_back(forecast: Tensor, component: Tensor, yearly: Yearly) -> Tensor:
    """The forecast [batch, step, quantile] with what had been taken out [batch, step, 1]."""
    return forecast * component if yearly.scale == "shares" else forecast + component


def from_logarithms(forecasts: FloatArray, last: FloatArray) -> None:
    """Make forecasts [window, step, quantile] their exponentials, as multiples of `last` [window].

    The logarithm of `last` gives `last` itself, where exp(log(7)) is 6.999999999999999. Infinite
    where they overflow; `last` may be missing or have no logarithm.
    """
    base = np.where(last > 0, last, 1.0)[:, None, None]
    forecasts -= np.log(base)
    with np.errstate(over="ignore"):
        np.exp(forecasts, out=forecasts)
        forecasts *= base


def continued(forecast: Tensor, batch: Batch, spec: ModelSpec) -> Tensor:
    """The forecasts [batch, step, quantile], where constant windows go on as they do.

    A quantile of level p is the constant where the share of training values that left theirs is at
    most p and 1 - p, so that it is so whichever way these went; the others lie around it. Where
    something is known ahead, which may tell when a constant ends, every one must have lasted.
    """
    leaving = 1 - spec.typical.lasting
    constant, value = constants(batch.values, batch.mask)
    if not constant.any() or (spec.inputs.future and leaving > 0):
        return forecast
    level = torch.tensor(spec.quantile_levels, dtype=forecast.dtype, device=forecast.device)
    lasts = torch.minimum(level, 1 - level) >= leaving
    if not lasts.any():
        return forecast
    value = value.to(forecast)[:, None, None]
    around = torch.where(level < 0.5, forecast.minimum(value), forecast.maximum(value))
    return torch.where(constant[:, None, None], torch.where(lasts, value, around), forecast)


def prediction_batch(windows: WindowSpec) -> int:
    """Windows that are read at once without a gradient: fewer where they are long."""
    return max(1, min(PREDICTION_BATCH, PREDICTION_VALUES // (windows.lookback + windows.horizon)))


def without_logarithm(panel: Panel) -> tuple[str, float] | None:
    """The series and the value of the first observation that is not above zero."""
    return panel.first_where(~np.isnan(panel.values) & ~(panel.values > 0))


def not_counted(panel: Panel) -> tuple[str, float] | None:
    """The series and the value of the first observation that is no whole number from 0 on."""
    whole = (panel.values >= 0) & (panel.values == np.floor(panel.values))
    return panel.first_where(~np.isnan(panel.values) & ~whole)


def check_values(panel: Panel, spec: ModelSpec, remedy: str = "train with --no-log") -> None:
    """Raise DataError where a value is beyond the model, which works on logarithms or counts.

    Args:
        panel: What it is to read.
        spec: The model.
        remedy: Where a value has no logarithm.
    """
    if spec.log and (fault := without_logarithm(panel)):
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:g}, which has no logarithm, and the "
            f"model works on logarithms; {remedy}"
        )
    if find_head(spec.head).counts and (fault := not_counted(panel)):
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:.15g}, which is no count, and the model "
            f"is of counts; train with another --head than {spec.head}"
        )


def gather_windows(
    panel: Panel, index: WindowIndex, config: RunConfig, *, device: torch.device
) -> WindowGatherer:
    """The windows of `index` on the device, as logarithms where the model works on these.

    A value without a logarithm counts as missing. The yearly components are taken out.
    """
    if config.model.log:
        positive = np.where(panel.values > 0, panel.values, np.nan)
        panel = replace(panel, values=np.log(positive))
    horizon = config.windows.horizon
    component = laid_out(config.yearly, panel, horizon) if config.yearly else None
    return WindowGatherer(
        panel,
        index,
        lookback=config.windows.lookback,
        horizon=horizon,
        device=device,
        dtype=panel_dtype(device),
        fill=POLICIES.get(config.data.missing),
        component=component,
    )
