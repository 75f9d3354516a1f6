"""The options of a run that writes a directory, which `train` and `update` share."""

from __future__ import annotations

from dataclasses import dataclass

from rnnforecast.config import RunControl


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run deals with others, with its end and with what ended before it."""

    def control(self) -> RunControl:
        """What was asked for.

        Raises:
            ConfigError: A value cannot be used.
        """
        return RunControl()
