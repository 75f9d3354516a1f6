"""The network: front end → recurrent stack → summary → decoder → head, beside a linear skip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnforecast.config import ModelSpec, WindowSpec
from rnnforecast.models.cells import Cell, initialise
from rnnforecast.models.compatibility import check_parts
from rnnforecast.models.covariates import CovariateEmbedding, KnownFuture, embedded_size
from rnnforecast.models.decoders import Decoder, DecoderSizes, Memory, Truth
from rnnforecast.models.distributions import find_head
from rnnforecast.models.encoders import ConstantSummary, Encoder, RecurrentStack, SkipRecurrence
from rnnforecast.models.filling import seasonal
from rnnforecast.models.frontends import CHANNELS, FrontEnd, Pointwise, Segments
from rnnforecast.models.heads import Head
from rnnforecast.models.normalisation import WindowScale, window_scale
from rnnforecast.models.registry import ModelEntry, find_model, load_class
from rnnforecast.models.skip import build_skip
from rnnforecast.models.summaries import AttentivePooling, FinalState, Summary

# Of each window: known up to the cutoff [batch, lookback, feature], known ahead
# [batch, lookback + horizon, feature], and of the series [batch, feature].
Covariates = tuple[Tensor, Tensor, Tensor]


class ForecastNetwork(nn.Module):
    """From a window of observations to the distribution of what follows, on the window's own scale.

    A model without a cell is the linear skip and the head alone: on the window's scale, NLinear
    (Zeng et al. 2023).
    """

    def __init__(self, spec: ModelSpec, windows: WindowSpec) -> None:
        super().__init__()
        entry, head = find_model(spec.model), find_head(spec.head)
        check_parts(entry, head, spec.tbptt)
        self.lookback, self.horizon = windows.lookback, windows.horizon
        self.season, self.seasons = windows.season, windows.seasons
        self.log = spec.log
        self.typical = spec.typical
        self.front_end = _front_end(entry, spec)
        # Where there is none, nothing builds one.
        cell: Cell = load_class(entry.cell) if entry.cell else nn.Identity
        self.encoder = _encoder(entry, spec, cell, self.front_end.output_size, windows.season)
        final_size = self.encoder.output_size
        state_size = spec.hidden_size * (2 if entry.bidirectional else 1)
        self.summary = _summary(entry, final_size, state_size)
        self.skip = build_skip(windows.lookback, windows.horizon, windows.seasons)
        self.head: Head = load_class(head.head)(spec.quantile_levels)
        known = spec.inputs.future
        summary_size = self.summary.output_size + spec.inputs.static
        self.known = KnownFuture(known, summary_size, spec.hidden_size) if known else None
        self.embedding = CovariateEmbedding(known) if known and entry.cell else None
        sizes = DecoderSizes(
            cell=cell,
            state_size=state_size,
            summary_size=summary_size,
            hidden_size=spec.hidden_size,
            segment_length=spec.segment_length,
            horizon=windows.horizon,
            spreads=self.head.spreads,
        )
        self.decoder: Decoder = load_class(entry.decoder)(sizes)
        steps = -(-windows.lookback // spec.segment_length)
        for layer in (*self.encoder.layers(steps), *self.decoder.layers()):
            initialise(layer, spec.init)

    def forward(
        self,
        values: Tensor,
        mask: Tensor,
        truth: Truth | None = None,
        inputs: Covariates | None = None,
    ) -> tuple[Tensor, WindowScale]:
        """Read values and mask [batch, lookback or more]; values are 0 where the mask is False.

        Args:
            values: In units of the windows.
            mask: Which values were observed.
            truth: What came after, in units of the windows, for decoders that are fed back.
            inputs: Covariates, of a network that reads any.

        Returns:
            The head's parameters on each window's scale [batch, horizon, parameter], and those
            scales.
        """
        memory, skip, scale = self.read(values, mask, inputs)
        if truth is not None:
            truth = truth._replace(values=scale.apply(truth.values).to(skip))
        return self.head(*self.decoder(memory, skip, truth)), scale

    def loss(
        self, values: Tensor, mask: Tensor, truth: Truth, inputs: Covariates | None = None
    ) -> Tensor:
        """How far the forecast of windows is from what came after, which decoders may be fed.

        The arguments are those of `forward`.
        """
        parameters, scale = self(values, mask, truth, inputs)
        loss: Tensor = self.head.loss(parameters, scale, truth.values, truth.mask)
        return loss

    def quantiles(self, values: Tensor, mask: Tensor, inputs: Covariates | None = None) -> Tensor:
        """The forecast after each window, from values and mask [batch, lookback] and covariates.

        Returns:
            In units of the windows, levels ascending [batch, horizon, quantile].
        """
        memory, skip, scale = self.read(values, mask, inputs)
        return self.decoder.quantiles(memory, skip, self.head, scale)

    def started(self, values: Tensor, mask: Tensor) -> Tensor:
        """What the skip alone forecast after values and mask [batch, lookback] before it learned.

        Returns:
            In units of the windows [batch, horizon].
        """
        values, mask, _ = self.newest(values, mask)
        normalised, scale = self.normalise(values, mask)
        return scale.inverse(self.skip.started(normalised))

    def newest(
        self, values: Tensor, mask: Tensor, inputs: Covariates | None = None
    ) -> tuple[Tensor, Tensor, Covariates | None]:
        """Of longer windows what this network reads: its lookback before the cutoff."""
        values, mask = values[:, -self.lookback :], mask[:, -self.lookback :]
        if inputs is None:
            return values, mask, None
        past, future, static = inputs
        ahead = self.lookback + self.horizon
        return values, mask, (past[:, -self.lookback :], future[:, -ahead:], static)

    def normalise(self, values: Tensor, mask: Tensor) -> tuple[Tensor, WindowScale]:
        """Values and mask [batch, lookback] as the network reads them, gaps filled, and scales."""
        scale = window_scale(values, mask, self.season, self.log, self.typical)
        normalised = torch.where(mask, scale.apply(values), 0.0).to(next(self.skip.parameters()))
        return seasonal(normalised, mask, self.seasons), scale

    def read(
        self, values: Tensor, mask: Tensor, inputs: Covariates | None = None
    ) -> tuple[Memory, Tensor, WindowScale]:
        """From values and mask [batch, lookback] and covariates to what the decoder needs.

        Returns:
            What the encoder has read, the forecast [batch, horizon] of the linear skip and of what
            is known ahead, and the scales of the windows that both are on.
        """
        values, mask, inputs = self.newest(values, mask, inputs)
        normalised, scale = self.normalise(values, mask)
        beside = None
        if inputs is not None:
            past, future, static = (part.to(normalised) for part in inputs)
            beside = past
        if self.embedding is not None:
            embedded = self.embedding(future[:, : values.shape[1]])
            beside = torch.cat([past, embedded], dim=-1)
        steps, lengths = self.front_end.cut(normalised, mask, beside)
        states, final = self.encoder(steps, lengths, self.front_end.embed)
        summary, skip = self.summary(states, final, lengths), self.skip(normalised)
        if inputs is not None:
            summary = torch.cat([summary, static], dim=-1)
        if self.known is not None:
            skip = skip + self.known(future, mask, summary)
        return Memory(states, lengths, summary), skip, scale


def _front_end(entry: ModelEntry, spec: ModelSpec) -> FrontEnd:
    channels = CHANNELS + spec.inputs.past + embedded_size(spec.inputs.future)
    if entry.front_end is not None:
        build = load_class(entry.front_end)
        module: FrontEnd = build(spec.segment_length, spec.hidden_size, channels)
        return module
    if entry.cell is None or spec.segment_length == 1:
        return Pointwise(channels)
    return Segments(spec.segment_length, spec.hidden_size, channels)


def _encoder(
    entry: ModelEntry, spec: ModelSpec, cell: Cell, input_size: int, season: int
) -> Encoder:
    if entry.cell is None:
        return ConstantSummary()
    stack = RecurrentStack(
        cell,
        input_size,
        spec.hidden_size,
        num_layers=spec.num_layers,
        bidirectional=entry.bidirectional,
        dilated=entry.dilated,
        dropout=spec.dropout,
        tbptt=spec.tbptt,
    )
    if not entry.skip_recurrence:
        return stack
    return SkipRecurrence(stack, cell, input_size, max(1, season // spec.segment_length))


def _summary(entry: ModelEntry, final_size: int, state_size: int) -> Summary:
    if entry.pooling is None:
        return FinalState(final_size)
    return AttentivePooling(
        load_class(entry.pooling)(final_size, state_size), final_size, state_size
    )
