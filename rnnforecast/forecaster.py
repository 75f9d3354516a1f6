"""A trained network with its configuration: fitting it to a panel, forecasting with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.config import ModelSpec, RunConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import Batch, WindowGatherer, WindowIndex, windows_between
from rnnforecast.errors import DataError, TrainingError
from rnnforecast.evaluation.intervals import widen
from rnnforecast.models.decoders import Truth
from rnnforecast.models.distributions import find_head
from rnnforecast.models.network import ForecastNetwork
from rnnforecast.models.registry import find_model
from rnnforecast.runtime import panel_dtype, seed_everything
from rnnforecast.training.loop import UNWATCHED, FitResult, Progress, Watch, fit
from rnnforecast.training.rate_finder import RateSearch, find_learning_rate

VALIDATION_WINDOWS = 4096
# Values that all windows of a validation or calibration hold together, and the share of windows for
# which a model that samples has the time.
READ_VALUES, DRAWN_SHARE = 2**24, 1 / 32
PREDICTION_BATCH, PREDICTION_VALUES = 1024, 2**19
# How often a decoder that is fed back reads the truth, by the progress of the training in [0, 1);
# scheduled sampling (Bengio et al. 2015) goes from always to never.
TEACHING: dict[str, Callable[[float], float]] = {
    "always": lambda progress: 1.0,
    "scheduled": lambda progress: 1.0 - progress,
    "never": lambda progress: 0.0,
}


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
    network: ForecastNetwork
    factors: FloatArray | None = None

    @property
    def name(self) -> str:
        """That of the model."""
        return self.config.model.model

    @property
    def log(self) -> bool:
        """Whether the network works on logarithms, so that half-widths are those of these."""
        return self.config.model.log

    @property
    def least(self) -> float:
        """The least value that the head holds possible: 0 of counts."""
        return 0.0 if find_head(self.config.model.head).counts else -math.inf

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
        return widen(quantiles, self.factors, log=self.log, least=self.least)

    def predict_at(self, panel: Panel, index: WindowIndex) -> FloatArray:
        """Quantiles after the cutoff of each window, from what lies before it, not calibrated.

        Returns:
            In units of the series, levels ascending [window, step, quantile]; NaN for a window
            whose lookback holds no observation.

        Raises:
            TrainingError: A forecast is beyond all numbers.
        """
        windows = gather_windows(
            panel, index, self.config, device=next(self.network.parameters()).device
        )
        self.network.eval()
        parts: list[Tensor] = []
        size = prediction_batch(self.config.windows)
        with torch.inference_mode():
            for places in torch.split(torch.arange(len(index)), size):
                batch = windows.gather(places)
                forecast = self.network.quantiles(batch.values, batch.mask).double()
                empty = ~batch.mask.any(1)
                parts.append(forecast.masked_fill(empty[:, None, None], torch.nan).cpu())
        forecasts: FloatArray = torch.cat(parts).numpy()
        if self.config.model.log:
            with np.errstate(over="ignore"):
                forecasts = np.exp(forecasts)
        beyond = np.isinf(forecasts).any(axis=(1, 2))
        if beyond.any():
            name = panel.ids[int(index.series[np.argmax(beyond)])]
            raise TrainingError(
                f"series '{name}': the forecast is infinite, as of a network that has diverged; "
                "train again with a lower --learning-rate"
            )
        return forecasts


def fit_forecaster(
    panel: Panel,
    config: RunConfig,
    *,
    device: torch.device,
    ends: IntArray | None = None,
    initial: ForecastNetwork | None = None,
    stop_after: int | None = None,
    on_epoch: Progress | None = None,
    watch: Watch = UNWATCHED,
) -> tuple[Forecaster, FitResult]:
    """Fit a new network to a panel.

    Args:
        panel: What may be seen, all of it before any cutoff that is scored later.
        config: The network and how it is trained.
        device: Where it is trained.
        ends: Positions at which training targets end and validation begins [series]; a series
            whose end is its length is only trained on. None trains on everything.
        initial: A network of this configuration whose weights to start from.
        stop_after: The epoch to stop after, the schedule still spanning all.
        on_epoch: Called after each epoch.
        watch: Looks on.

    Raises:
        DataError: No series has two values.
        TrainingError: Training diverged.
    """
    generator = seed_everything(config.training.seed)
    network, train = _prepared(panel, config, device, ends)
    if initial is not None:
        network.load_state_dict(initial.state_dict())
    teaching = TEACHING[config.training.teacher_forcing]
    validate = None
    if ends is not None:
        newest = newest_windows(panel, config, ends)
        held_out = gather_windows(panel, newest, config, device=device)

        def validate() -> float:
            batches = torch.split(torch.arange(len(held_out)), prediction_batch(config.windows))
            with torch.inference_mode():
                losses = (
                    float(batch_loss(network, held_out.gather(rows))) * len(rows)
                    for rows in batches
                )
                return sum(losses) / len(held_out)

    result = fit(
        network,
        config.training,
        loss=lambda places, progress: batch_loss(network, train.gather(places), teaching(progress)),
        windows=len(train),
        validate=validate,
        generator=generator,
        stop_after=stop_after,
        on_epoch=on_epoch,
        watch=watch,
    )
    return Forecaster(config, network), result


def find_rate(
    panel: Panel, config: RunConfig, *, device: torch.device, ends: IntArray | None = None
) -> RateSearch:
    """Search the learning rate for `fit_forecaster` with these arguments.

    Raises:
        DataError: No series has two values.
        TrainingError: The loss is not finite from the start.
    """
    generator = seed_everything(config.training.seed)
    network, train = _prepared(panel, config, device, ends)
    teaching = TEACHING[config.training.teacher_forcing]
    return find_learning_rate(
        network,
        config.training,
        loss=lambda places, progress: batch_loss(network, train.gather(places), teaching(progress)),
        windows=len(train),
        generator=generator,
    )


def _prepared(
    panel: Panel, config: RunConfig, device: torch.device, ends: IntArray | None
) -> tuple[ForecastNetwork, WindowGatherer]:
    """A new network, and the windows to fit it to."""
    seen = panel if ends is None else panel.before(ends)
    index = training_windows(seen, config.windows)
    if not len(index):
        raise DataError("no series has two values to learn from; pass longer series")
    network = ForecastNetwork(config.model, config.windows).to(device)
    return network, gather_windows(seen, index, config, device=device)


def batch_loss(network: ForecastNetwork, batch: Batch, teacher_share: float = 0.0) -> Tensor:
    """The mean loss of some windows; a decoder that is fed back reads this share of the truth."""
    truth = Truth(batch.target, batch.target_mask, teacher_share)
    parameters, scale = network(batch.values, batch.mask, truth)
    return network.head.loss(parameters, scale, batch.target, batch.target_mask)


def affordable_windows(config: RunConfig) -> int:
    """Windows that may validate or calibrate: fewer where each is long or drawn path by path."""
    share = DRAWN_SHARE if find_model(config.model.model).samples else 1
    length = config.windows.lookback + config.windows.horizon
    return max(1, int(READ_VALUES * share) // length)


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


def check_values(panel: Panel, spec: ModelSpec) -> None:
    """Raise DataError where a value is beyond the model, which works on logarithms or counts."""
    if spec.log and (fault := without_logarithm(panel)):
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:g}, which has no logarithm, and the "
            "model works on logarithms; train with --no-log"
        )
    if find_head(spec.head).counts and (fault := not_counted(panel)):
        raise DataError(
            f"series '{fault[0]}' has the value {fault[1]:.15g}, which is no count, and the model "
            f"is of counts; train with another --head than {spec.head}"
        )


def training_windows(panel: Panel, windows: WindowSpec) -> WindowIndex:
    """Every cutoff with some history before it and a value after it.

    Targets may reach beyond the end of a series and history beyond its start: the loss and the
    network mask what is not there. A season of history is asked for where a series has it.
    """
    history = np.minimum(min(windows.season, windows.lookback), panel.lengths - 1)
    return windows_between(np.maximum(history, 1), panel.lengths - 1)


def newest_windows(panel: Panel, config: RunConfig, ends: IntArray) -> WindowIndex:
    """The windows from `ends` [series] on by which an epoch is judged, as many as can be afforded.

    Their targets lie within the series.
    """
    newest = windows_between(ends, panel.lengths - config.windows.horizon)
    return newest.thinned(min(VALIDATION_WINDOWS, affordable_windows(config)))


def gather_windows(
    panel: Panel, index: WindowIndex, config: RunConfig, *, device: torch.device
) -> WindowGatherer:
    """The windows of `index` on the device, as logarithms where the model works on these.

    A value without a logarithm counts as missing.
    """
    if config.model.log:
        positive = np.where(panel.values > 0, panel.values, np.nan)
        panel = replace(panel, values=np.log(positive))
    return WindowGatherer(
        panel,
        index,
        lookback=config.windows.lookback,
        horizon=config.windows.horizon,
        device=device,
        dtype=panel_dtype(device),
    )
