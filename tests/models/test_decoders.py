"""Decoders: their equations, what is fed to which step, with the truth and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnforecast.models.cells import GRU, LSTM, Cell
from rnnforecast.models.decoders import (
    Bahdanau,
    Bridge,
    Decoder,
    DecoderSizes,
    Direct,
    Luong,
    Memory,
    Positional,
    SequenceToSequence,
    Truth,
)
from rnnforecast.models.sampling import Ancestral

from . import decoder_reference as reference

BATCH, HORIZON, SEGMENT, HIDDEN, STATE, SUMMARY = 3, 7, 3, 5, 6, 8
FED_BACK = [SequenceToSequence, Bahdanau, Luong]
MEMORY = Memory(
    torch.randn(BATCH, 4, STATE, generator=torch.Generator().manual_seed(1)),
    torch.tensor([4, 1, 2]),
    torch.randn(BATCH, SUMMARY, generator=torch.Generator().manual_seed(2)),
)
SKIP = torch.randn(BATCH, HORIZON, generator=torch.Generator().manual_seed(3))
TARGET = torch.randn(BATCH, HORIZON, generator=torch.Generator().manual_seed(4))
SEEN = torch.ones(BATCH, HORIZON, dtype=torch.bool)
GAPS = torch.arange(BATCH * HORIZON).reshape(BATCH, HORIZON) % 2 == 0

every_cell = pytest.mark.parametrize("cell", [GRU, LSTM])


def build(
    kind: Any, cell: Cell = GRU, segment_length: int = SEGMENT, horizon: int = HORIZON
) -> Any:
    """A decoder whose locations depend on its states."""
    torch.manual_seed(0)
    decoder = kind(
        DecoderSizes(
            cell=cell,
            state_size=STATE,
            summary_size=SUMMARY,
            hidden_size=HIDDEN,
            segment_length=segment_length,
            horizon=horizon,
            spreads=2,
        )
    )
    nn.init.normal_(decoder.projection.location.weight)
    return decoder


def steps_that_differ(one: Tensor, other: Tensor) -> list[int]:
    return (one != other).any(0).nonzero().squeeze(1).tolist()


def expected_of(decoder: Any, cell: Cell, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Locations and raw spreads by the equations, the truth read where it was observed."""
    step, parts = {GRU: (reference.gru, 1), LSTM: (reference.lstm, 2)}[cell]
    weights = {name: weight.numpy() for name, weight in decoder.state_dict().items()}
    equations = getattr(reference, type(decoder).__name__)(weights, step, parts)
    truth = TARGET.double().masked_fill(~observed, torch.nan)
    decoded = [
        equations.decode(
            reference.Row(
                states=MEMORY.states[row, :length].double().numpy(),
                summary=MEMORY.summary[row].double().numpy(),
                skip=SKIP[row].double().numpy(),
                truth=truth[row].numpy(),
            )
        )
        for row, length in enumerate(MEMORY.lengths.tolist())
    ]
    locations, spreads = zip(*decoded, strict=True)
    return torch.from_numpy(np.stack(locations)), torch.from_numpy(np.stack(spreads))


@pytest.mark.parametrize("observed", [~SEEN, SEEN, GAPS], ids=["free", "always", "gaps"])
@every_cell
@pytest.mark.parametrize("kind", [Positional, *FED_BACK])
def test_decoder_matches_equations_when_rows_have_unequal_lengths(
    kind: Any, cell: Cell, observed: Tensor
) -> None:
    decoder = build(kind, cell).double()
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.7)
    truth = Truth(TARGET.double(), observed, 1.0) if observed.any() else None
    memory = Memory(MEMORY.states.double(), MEMORY.lengths, MEMORY.summary.double())
    actual = decoder(memory, SKIP.double(), truth)
    for part, expected in zip(actual, expected_of(decoder, cell, observed), strict=True):
        torch.testing.assert_close(part.detach(), expected, rtol=0, atol=1e-10)


@every_cell
@pytest.mark.parametrize("kind", [Direct, Positional, *FED_BACK, Ancestral])
@pytest.mark.parametrize("horizon", [1, SEGMENT, HORIZON])
def test_decoder_forecasts_every_step_when_horizon_is_no_multiple_of_a_segment(
    kind: type[Decoder], cell: Cell, horizon: int
) -> None:
    decoder = build(kind, cell, horizon=horizon)
    location, spread = decoder(MEMORY, SKIP[:, :horizon])
    assert location.shape == (BATCH, horizon)
    assert spread.shape == (BATCH, horizon, 2)
    nn.init.zeros_(decoder.projection.location.weight)
    assert torch.equal(decoder(MEMORY, SKIP[:, :horizon])[0], SKIP[:, :horizon])


@pytest.mark.parametrize("kind", FED_BACK)
def test_decoder_feeds_each_segment_to_the_next_when_truth_is_always_read(kind: Any) -> None:
    decoder = build(kind)
    expected, _ = decoder(MEMORY, SKIP, Truth(TARGET, SEEN, 1.0))
    for step in range(HORIZON):
        other = TARGET.clone()
        other[:, step] += 1
        location, _ = decoder(MEMORY, SKIP, Truth(other, SEEN, 1.0))
        first = (step // SEGMENT + 1) * SEGMENT
        assert steps_that_differ(location, expected) == list(range(first, HORIZON))


@pytest.mark.parametrize("kind", FED_BACK)
def test_decoder_feeds_its_own_forecast_when_truth_is_never_read_or_missing(kind: Any) -> None:
    decoder = build(kind)
    own, _ = decoder(MEMORY, SKIP)
    for truth in (Truth(TARGET, SEEN, 0.0), Truth(TARGET, ~SEEN, 1.0), Truth(own, SEEN, 1.0)):
        torch.testing.assert_close(decoder(MEMORY, SKIP, truth)[0], own)


def test_decoder_reads_truth_as_often_as_its_share_says_when_sampling_is_scheduled() -> None:
    decoder = build(SequenceToSequence, segment_length=1, horizon=2)
    many = Memory(*(part.repeat(500, *[1] * (part.dim() - 1)) for part in MEMORY))
    skip = SKIP[:, :2].repeat(500, 1)
    truth = Truth(skip + 10, torch.ones_like(skip) > 0, 0.3)
    own = decoder(many, skip)[0][:, 1]
    differs = decoder(many, skip, truth)[0][:, 1] != own
    assert 0.25 < differs.float().mean() < 0.35


@pytest.mark.parametrize("kind", [Bahdanau, Luong])
def test_decoder_asks_states_before_padding_when_it_attends(kind: Any) -> None:
    decoder = build(kind)
    expected, _ = decoder(MEMORY, SKIP)
    for step in range(4):
        states = MEMORY.states.clone()
        states[:, step] += 1
        location, _ = decoder(MEMORY._replace(states=states), SKIP)
        asked = (location != expected).any(1)
        assert torch.equal(asked, MEMORY.lengths > step)


@every_cell
def test_positional_decoder_equals_one_step_from_summary_when_segment_is_alone(cell: Cell) -> None:
    decoder = build(Positional, cell)
    location, _ = decoder(MEMORY, SKIP)
    for segment in range(3):
        position = decoder.positions[segment].expand(BATCH, 1, HIDDEN)
        features, _ = decoder.cell(position, decoder.bridge(MEMORY.summary))
        steps = slice(SEGMENT * segment, SEGMENT * (segment + 1))
        expected, _ = decoder.projection(features[:, 0])
        torch.testing.assert_close(
            location[:, steps], SKIP[:, steps] + expected[:, : SKIP[:, steps].shape[1]]
        )


@every_cell
def test_ancestral_decoder_reads_truth_at_once_as_step_by_step_when_trained(cell: Cell) -> None:
    decoder = build(Ancestral, cell)
    location, spread = decoder(MEMORY, SKIP, Truth(TARGET, SEEN, 0.0))
    stepwise = SequenceToSequence.forward(decoder, MEMORY, SKIP, Truth(TARGET, SEEN, 1.0))
    torch.testing.assert_close(location, stepwise[0])
    torch.testing.assert_close(spread, stepwise[1])


@pytest.mark.parametrize(("cell", "parts"), [(GRU, 0), (LSTM, 2)])
def test_bridge_makes_a_state_of_the_cells_form_when_called(cell: Cell, parts: int) -> None:
    layer = cell(2, HIDDEN)
    bridge = Bridge(SUMMARY, layer, 2)
    state = bridge(MEMORY.summary)
    assert (len(state) if isinstance(state, tuple) else 0) == bridge.parts == parts
    tensors = state if isinstance(state, tuple) else (state,)
    assert all(part.shape == (1, BATCH, HIDDEN) and (part.abs() <= 1).all() for part in tensors)
    assert all(part.is_contiguous() for part in tensors), "as cuDNN asks"
    layer(torch.zeros(BATCH, 1, 2), state)
