"""Devices, dtypes and seeds."""

from __future__ import annotations

import pytest
import torch

from rnnforecast.errors import ConfigError
from rnnforecast.runtime import panel_dtype, seed_everything, select_device


def have(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (True, False, "cuda"),
        (True, True, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_select_device_takes_the_fastest_when_asked_for_auto(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    have(monkeypatch, cuda=cuda, mps=mps)
    assert select_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ("cpu", "cuda", "mps"))
def test_select_device_takes_the_one_named_when_it_is_present(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    have(monkeypatch, cuda=True, mps=True)
    assert select_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ("cuda", "mps"))
def test_select_device_raises_when_the_device_is_absent(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    have(monkeypatch, cuda=False, mps=False)
    message = f"^device {name} is not available here; pass --device auto or cpu$"
    with pytest.raises(ConfigError, match=message):
        select_device(name)


@pytest.mark.parametrize("name", ("", "gpu", "CUDA", "cuda:0"))
def test_select_device_raises_when_the_name_is_unknown(name: str) -> None:
    message = f"^device must be one of auto, cpu, cuda, mps, got {name}$"
    with pytest.raises(ConfigError, match=message):
        select_device(name)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)],
)
def test_panel_dtype_is_double_when_the_device_has_it(device: str, dtype: torch.dtype) -> None:
    assert panel_dtype(torch.device(device)) == dtype


def test_seed_everything_repeats_weights_and_order_when_seeds_are_equal() -> None:
    def draw(seed: int) -> tuple[list[float], list[int]]:
        generator = seed_everything(seed)
        return torch.rand(3).tolist(), torch.randperm(50, generator=generator).tolist()

    first, again, other = draw(7), draw(7), draw(8)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_seed_everything_keeps_order_and_weights_apart_when_one_is_drawn_from() -> None:
    seed_everything(1)
    expected = torch.rand(2).tolist()
    generator = seed_everything(1)
    torch.randperm(50, generator=generator)
    assert torch.rand(2).tolist() == expected


@pytest.mark.parametrize("seed", (0, 2**63 - 1))
def test_seed_everything_takes_the_seed_when_it_lies_on_the_bound(seed: int) -> None:
    assert seed_everything(seed).initial_seed() == seed
