"""Descent by this package's optimizers is that of torch's."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from rnnforecast.optimizers import SGD, AdamW, Optimizer

PAIRS = [
    (AdamW, torch.optim.AdamW),
    (SGD, partial(torch.optim.SGD, momentum=0.9)),
]
TRAIN = """
import sys
from rnnforecast.optimizers import SGD, AdamW
import torch
for kind in (AdamW, SGD):
    weight = torch.ones(3, requires_grad=True)
    optimizer = kind([weight], 0.1)
    weight.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
print(*sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
"""


def weights() -> list[nn.Parameter]:
    """The same at each call."""
    generator = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (3,), ())]


@pytest.mark.parametrize(("kind", "reference"), PAIRS)
@pytest.mark.parametrize("late", [0, 2])
def test_optimizer_goes_where_torchs_does_when_a_gradient_may_come_late(
    kind: type[Optimizer], reference: type[torch.optim.Optimizer], late: int
) -> None:
    ours, theirs = weights(), weights()
    optimizer = kind(ours, 0.1, weight_decay=0.3)
    oracle = reference(theirs, lr=0.1, weight_decay=0.3)
    for step in range(6):
        for group in oracle.param_groups:
            group["lr"] = optimizer.rate = 0.1 / (step + 1)
        for each in (ours, theirs):
            loss = (each[0] @ each[1]).square().sum() + each[2].square()
            # The gradient of the last begins so many steps later.
            torch.autograd.backward(loss, inputs=each if step >= late else each[:2])
        optimizer.step()
        oracle.step()
        optimizer.zero_grad()
        oracle.zero_grad()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_optimizer_goes_on_as_if_nothing_were_when_a_step_was_held(kind: type[Optimizer]) -> None:
    ours, theirs = weights(), weights()
    held, free = kind(ours, 0.1, weight_decay=0.3), kind(theirs, 0.1, weight_decay=0.3)
    for gradient in (1.0, float("nan"), 2.0):
        for optimizer in (held, free):
            for weight in optimizer.weights:
                weight.grad = torch.full_like(weight, gradient)
        held.step(held=torch.tensor(float(gradient != gradient)))
        if gradient == gradient:
            free.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, other)
    for place, known in free.state.items():
        assert all(torch.equal(held.state[place][name], value) for name, value in known.items())


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_optimizer_leaves_a_weight_when_it_has_no_gradient(kind: type[Optimizer]) -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = kind([weight], 0.1, weight_decay=0.5)
    optimizer.step()
    assert weight.tolist() == [1.0, 1.0]
    assert optimizer.state == {}


def test_optimizers_do_not_load_torchs_compiler_when_they_step() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
