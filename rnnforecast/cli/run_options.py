"""The options of a run that writes a directory, which `train` and `update` share."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, get_args

import typer

from rnnforecast.control import IfLocked, RunControl
from rnnforecast.errors import ConfigError

RUN = "Run"
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def complete_if_locked(incomplete: str) -> list[str]:
    """What may be done where another run holds the directory, for shell completion."""
    return [name for name in get_args(IfLocked) if name.startswith(incomplete)]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run deals with others, with its end and with what ended before it."""

    if_locked: Annotated[
        str,
        typer.Option(
            help="Where another run writes to the directory: fail (with 75), wait for its end, or "
            "skip, as if all were done.",
            autocompletion=complete_if_locked,
            rich_help_panel=RUN,
        ),
    ] = RunControl.if_locked
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on from the checkpoint of a run that was ended, if there is one.",
            rich_help_panel=RUN,
        ),
    ] = RunControl.resume
    time_limit: Annotated[
        str | None,
        typer.Option(
            help="Stop training in time to end after this, such as 90s, 10m or 1.5h, with the best "
            "so far.",
            show_default="none",
            rich_help_panel=RUN,
        ),
    ] = None

    def control(self) -> RunControl:
        """What was asked for.

        Raises:
            ConfigError: A value cannot be used.
        """
        limit = math.inf if self.time_limit is None else _parse_seconds(self.time_limit)
        return RunControl(if_locked=self.if_locked, resume=self.resume, time_limit=limit)


def _parse_seconds(text: str) -> float:
    """The seconds of "90", "90s", "10m" or "1.5h"."""
    time = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([smhd]?)\s*", text)
    if time is None:
        raise ConfigError(f"time_limit must be a time such as 90s, 10m or 1.5h, got '{text}'")
    return float(time[1]) * SECONDS[time[2]]
