"""Which parts of a network go together; nothing here imports torch."""

from __future__ import annotations

from rnnforecast.errors import ConfigError
from rnnforecast.models.distributions import HEADS, HeadEntry
from rnnforecast.models.registry import MODELS, ModelEntry


def check_parts(model: ModelEntry, head: HeadEntry, tbptt: int | None) -> None:
    """Raise ConfigError where the model cannot forecast by this head, or be truncated."""
    if model.samples and not head.samples:
        able = ", ".join(entry.name for entry in HEADS.values() if entry.samples)
        raise ConfigError(
            f"model {model.name} draws its forecasts from a distribution, which head {head.name} "
            f"is not; pass --head with one of {able}"
        )
    if tbptt is not None and not model.truncatable:
        able = ", ".join(entry.name for entry in MODELS.values() if entry.truncatable)
        raise ConfigError(
            f"model {model.name} cannot be trained with --tbptt, which needs layers that read one "
            f"way and a decoder of their final state; take one of {able}"
        )
