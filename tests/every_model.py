"""Models that long tests are tried with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pytest

from rnnforecast.models.registry import MODELS

# Of a model, what is no part of its network; layers are as many as any.
WORDS = {"name", "summary", "reference", "num_layers"}


def with_every_part(names: Iterable[str]) -> list[str]:
    """Some models that between them have each part of any: at each turn the one that adds most."""
    parts = {
        name: {(key, part) for key, part in asdict(MODELS[name]).items() if key not in WORDS}
        for name in names
    }
    missing = set().union(*parts.values())
    chosen: list[str] = []
    while missing:
        chosen.append(max(parts, key=lambda name: len(parts[name] & missing)))
        missing -= parts[chosen[-1]]
    return chosen


def in_turn(names: Iterable[str]) -> list[Any]:
    """To parametrize by: models, of which those that add no part wait for --full."""
    names = list(names)
    enough = set(with_every_part(names))
    return [
        name if name in enough else pytest.param(name, marks=pytest.mark.full) for name in names
    ]
