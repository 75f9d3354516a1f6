"""The network: front end → recurrent stack → head, beside a linear skip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.encoders import ConstantSummary, RecurrentStack
from rnnforecast.models.frontends import Pointwise, Segments
from rnnforecast.models.heads import Head
from rnnforecast.models.normalisation import WindowScale, window_scale
from rnnforecast.models.registry import find_head, find_model, load_class


class LinearSkip(nn.Linear):
    """A linear map from lookback to horizon (Zeng et al. 2023), started as the seasonal naive."""

    def __init__(self, lookback: int, horizon: int, season: int) -> None:
        super().__init__(lookback, horizon)
        nn.init.zeros_(self.bias)
        season = min(season, lookback)
        step = torch.arange(horizon)
        with torch.no_grad():
            self.weight.zero_()
            self.weight[step, lookback - season + step % season] = 1.0


class ForecastNetwork(nn.Module):
    """From a window of observations to the distribution of what follows, on the window's own scale.

    A model without a cell is the linear skip and the head alone: on the window's scale, NLinear
    (Zeng et al. 2023).
    """

    def __init__(self, spec: ModelSpec, windows: WindowSpec) -> None:
        super().__init__()
        entry = find_model(spec.model)
        self.season = windows.season
        self.log = spec.log
        self.front_end = (
            Pointwise()
            if spec.segment_length == 1 or entry.cell is None
            else Segments(spec.segment_length, spec.hidden_size)
        )
        self.encoder = (
            ConstantSummary()
            if entry.cell is None
            else RecurrentStack(
                load_class(entry.cell),
                self.front_end.output_size,
                spec.hidden_size,
                num_layers=spec.num_layers,
                bidirectional=entry.bidirectional,
                dropout=spec.dropout,
            )
        )
        self.skip = LinearSkip(windows.lookback, windows.horizon, windows.season)
        head = load_class(find_head(spec.head).head)
        self.head: Head = head(self.encoder.output_size, windows.horizon, spec.quantile_levels)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, WindowScale]:
        """Read values and mask [batch, lookback]; values are 0 where the mask is False.

        Returns:
            The head's parameters on each window's scale [batch, horizon, parameter], and those
            scales.
        """
        scale = window_scale(values, mask, self.season, self.log)
        normalised = torch.where(mask, scale.apply(values), 0.0)
        steps, lengths = self.front_end(normalised, mask)
        _, summary = self.encoder(steps, lengths)
        return self.head(summary, self.skip(normalised)), scale
