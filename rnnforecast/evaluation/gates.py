"""Gates: how bad a metric may be before a run counts as failed."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rnnforecast.errors import ConfigError

OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A condition under which a run fails, such as mase>1.

    Attributes:
        metric: A column of the table of metrics.
        sign: One of `OPERATORS`.
        bound: What the metric is held against.
    """

    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:.12g}"

    def fails(self, metrics: Mapping[str, float]) -> bool:
        """Whether the condition is met, or cannot be told because the metric is undefined."""
        value = metrics[self.metric]
        return math.isnan(value) or bool(OPERATORS[self.sign](value, self.bound))


def parse_gate(text: str, metrics: Collection[str]) -> Gate:
    """A gate from text such as "mase>1" or "skill < 0".

    Raises:
        ConfigError: It has another form, or names none of `metrics`.
    """
    parts = re.fullmatch(r"\s*([\w.-]+?)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    try:
        bound = float(parts[3]) if parts else math.nan
    except ValueError:
        bound = math.nan
    if parts is None or math.isnan(bound):
        raise ConfigError(f"fail-if must be a metric and a bound such as mase>1, got '{text}'")
    if parts[1] not in metrics:
        raise ConfigError(
            f"fail-if must name one of the metrics {', '.join(metrics)}, got '{parts[1]}'"
        )
    return Gate(metric=parts[1], sign=parts[2], bound=bound)
