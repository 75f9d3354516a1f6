"""Each window's scale: its inverse, its floor, and windows without spread or observation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnforecast.config import Typical
from rnnforecast.models.normalisation import (
    ENOUGH,
    FARTHEST,
    NOISE,
    SCALE_FLOOR,
    WindowScale,
    window_scale,
)

numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)

EPSILON = torch.finfo(torch.float64).eps


@st.composite
def masked_windows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Values and mask [batch, time], values 0 where masked."""
    batch, time = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    count = batch * time
    values = draw(st.lists(numbers, min_size=count, max_size=count))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    rows = torch.tensor(values, dtype=torch.float64) * mask
    return rows.reshape(batch, time), mask.reshape(batch, time)


def naive_scale(values: list[float], season: int) -> tuple[float, float]:
    """Shift and scale of the observed values of one window, oldest first."""
    if not values:
        return 0.0, 1.0
    shift = sum(values[-season:]) / len(values[-season:])
    deviation = sum(abs(value - shift) for value in values) / len(values)
    magnitude = sum(abs(value) for value in values) / len(values)
    noise = NOISE * EPSILON * magnitude
    floor = SCALE_FLOOR * magnitude if deviation <= noise else 0.0
    return shift, max(deviation, floor) or 1.0


@settings(deadline=None)
@given(windows=masked_windows(), season=st.integers(1, 15))
def test_window_scale_matches_naive_loop_when_windows_are_arbitrary(
    windows: tuple[Tensor, Tensor], season: int
) -> None:
    values, mask = windows
    scale = window_scale(values, mask, season)
    assert scale.shift.shape == scale.scale.shape == (len(values), 1)
    for row in range(len(values)):
        expected = naive_scale(values[row][mask[row]].tolist(), season)
        actual = scale.shift[row].item(), scale.scale[row].item()
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(windows=masked_windows(), season=st.integers(1, 15))
def test_window_scale_inverse_restores_values_when_applied(
    windows: tuple[Tensor, Tensor], season: int
) -> None:
    values, mask = windows
    scale = window_scale(values, mask, season)
    normalised = scale.apply(values)
    assert normalised.dtype == torch.float32
    restored = scale.inverse(normalised)
    assert restored.dtype == torch.float64
    # Single precision on the window's scale: an error of its epsilon of the distance to the shift.
    tolerance = 1e-6 * (values - scale.shift).abs() + 1e-9 * values.abs() + 1e-9
    assert ((restored - values).abs() <= tolerance).all()


def test_window_scale_inverse_maps_each_quantile_when_values_have_three_dimensions() -> None:
    scale = WindowScale(torch.tensor([[10.0], [-5.0]]), torch.tensor([[2.0], [4.0]]))
    values = torch.arange(12.0).reshape(2, 2, 3)
    expected = torch.stack([values[0] * 2 + 10, values[1] * 4 - 5])
    assert torch.equal(scale.inverse(values), expected)


@pytest.mark.parametrize(
    ("values", "mask", "shift", "scale"),
    [
        pytest.param([7.0] * 6, [1] * 6, 7.0, 7.0 * SCALE_FLOOR, id="constant"),
        pytest.param([-7.0] * 6, [1] * 6, -7.0, 7.0 * SCALE_FLOOR, id="constant below zero"),
        pytest.param([0.0] * 6, [1] * 6, 0.0, 1.0, id="zeros"),
        pytest.param([0.0] * 6, [0] * 6, 0.0, 1.0, id="nothing observed"),
        pytest.param([0.0, 0, 0, 8, 0, 0], [0, 0, 0, 1, 0, 0], 8.0, 0.008, id="one observed"),
        pytest.param([0.0, 0, 0, 0, 0, 6], [1] * 6, 3.0, 3.0, id="mostly zeros"),
        pytest.param([1e6, 1e6 + 1e-8], [1, 1], 1e6, 1000.0, id="noise"),
        pytest.param([1e6, 1e6 + 8], [1, 1], 1e6 + 4, 4.0, id="a meter that counts"),
        pytest.param([9.0, 1, 0, 0, 3, 0], [1, 1, 0, 0, 1, 0], 2.0, 3.0, id="gaps passed over"),
    ],
)
def test_window_scale_is_defined_when_window_is_degenerate(
    values: list[float], mask: list[int], shift: float, scale: float
) -> None:
    actual = window_scale(
        torch.tensor([values], dtype=torch.float64), torch.tensor([mask], dtype=torch.bool), 2
    )
    assert actual.shift.item() == pytest.approx(shift, rel=1e-12)
    assert actual.scale.item() == pytest.approx(scale, rel=1e-12)


@pytest.mark.parametrize(("factor", "level"), [(3.0, 0.0), (1e-4, 0.02), (250.0, -4e4)])
def test_window_scale_follows_units_when_floor_does_not_bind(factor: float, level: float) -> None:
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.random((4, 12)) > 0.2)
    values = torch.from_numpy(rng.normal(size=(4, 12)))
    other = (factor * values + level) * mask
    assert (other.abs().mean(1) * NOISE * EPSILON < 0.3 * factor).all()
    one, two = window_scale(values * mask, mask, 4), window_scale(other, mask, 4)
    torch.testing.assert_close(two.shift, factor * one.shift + level)
    torch.testing.assert_close(two.scale, factor * one.scale)


def test_window_scale_bounds_what_follows_when_a_window_hardly_varies() -> None:
    """A meter that starts again at 5 must not outweigh all else."""
    values = 1e9 + torch.arange(12, dtype=torch.float64)[None]
    scale = window_scale(values, torch.ones(1, 12, dtype=torch.bool), 1)
    assert scale.scale.item() == 5.5
    later = torch.tensor([[1e9 + 22, 5.0]], dtype=torch.float64)
    assert scale.apply(later).tolist() == [[2.0, -FARTHEST]]


TYPICAL = Typical(share=0.2, spread=3.0)


@settings(deadline=None)
@given(windows=masked_windows(), season=st.integers(1, 15), log=st.booleans())
def test_window_scale_is_the_same_to_the_bit_when_enough_was_observed(
    windows: tuple[Tensor, Tensor], season: int, log: bool
) -> None:
    values, mask = windows
    enough = (mask.sum(1) >= ENOUGH) & ((values != 0).any(1) | log)
    plain = window_scale(values, mask, season, log)
    pooled = window_scale(values, mask, season, log, TYPICAL)
    assert torch.equal(plain.shift, pooled.shift)
    assert torch.equal(plain.scale[enough], pooled.scale[enough])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("count", "share"), [(1, 0.2), (2, 0.15), (3, 0.1), (4, 0.05), (5, SCALE_FLOOR)]
)
def test_window_scale_borrows_the_typical_share_when_few_were_observed(
    count: int, share: float, log: bool
) -> None:
    values, mask = torch.zeros(1, 6, dtype=torch.float64), torch.zeros(1, 6, dtype=torch.bool)
    values[0, :count], mask[0, :count] = -50.0, True
    scale = window_scale(values, mask, 2, log, TYPICAL).scale.item()
    assert scale == pytest.approx(share if log else 50 * share, rel=1e-12)


def test_window_scale_keeps_its_own_spread_when_that_is_above_the_borrowed() -> None:
    values = torch.tensor([[0.0, 10, 90]], dtype=torch.float64)
    mask = torch.tensor([[False, True, True]])
    assert window_scale(values, mask, 2, typical=TYPICAL).scale.item() == 40


@pytest.mark.parametrize("observed", [[1, 1, 1], [0, 0, 1], [0, 0, 0]])
def test_window_scale_is_the_typical_spread_when_a_window_has_no_level(observed: list[int]) -> None:
    mask = torch.tensor([observed], dtype=torch.bool)
    scale = window_scale(torch.zeros(1, 3, dtype=torch.float64), mask, 2, typical=TYPICAL)
    assert scale.scale.item() == 3
