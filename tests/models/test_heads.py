"""Quantiles: their order, their start, their place beside the baseline."""

from __future__ import annotations

import pytest
import torch

from rnnforecast.models.heads import QuantileHead


@pytest.mark.parametrize("num_levels", [1, 2, 5])
def test_quantile_head_median_is_baseline_when_new(num_levels: int) -> None:
    torch.manual_seed(0)
    head = QuantileHead(4, 3, num_levels)
    baseline = torch.randn(6, 3)
    quantiles = head(torch.randn(6, 4), baseline)
    assert quantiles.shape == (6, 3, 2 * num_levels + 1)
    assert torch.equal(quantiles[..., num_levels], baseline)


@pytest.mark.parametrize("spread", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_quantile_head_never_crosses_when_weights_are_arbitrary(
    level: float, spread: float
) -> None:
    torch.manual_seed(0)
    head = QuantileHead(4, 3, 3)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=spread)
    quantiles = head(torch.randn(50, 4), torch.full((50, 3), level))
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_quantile_head_adds_softplus_outwards_when_spread_is_known() -> None:
    head = QuantileHead(1, 1, 2)
    with torch.no_grad():
        head.spread.weight.zero_()
        # Inner then outer distance, lower side first: softplus(log(e^d - 1)) = d.
        head.spread.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).expm1().log())
        head.median.bias.fill_(0.5)
    quantiles = head(torch.zeros(1, 1), torch.tensor([[10.0]]))
    expected = torch.tensor([10.5 - 1 - 2, 10.5 - 1, 10.5, 10.5 + 3, 10.5 + 3 + 4])
    torch.testing.assert_close(quantiles[0, 0], expected)
