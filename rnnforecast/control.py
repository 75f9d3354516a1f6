"""How a run deals with others, with its end and with what ended before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rnnforecast.columns import require, require_one_of

IfLocked = Literal["fail", "wait", "skip"]


@dataclass(frozen=True, kw_only=True)
class RunControl:
    """What the user asked for.

    Attributes:
        if_locked: What to do where another run writes to the directory: fail, wait for it, or end
            at once as if all were done.
        resume: Whether to go on from the checkpoint of a run that was ended.
        time_limit: Seconds after which training stops, the best so far kept; infinity: never.
    """

    if_locked: str = "fail"
    resume: bool = False
    time_limit: float = math.inf

    def __post_init__(self) -> None:
        require_one_of(IfLocked, "if_locked", self.if_locked)
        require(self.time_limit > 0, "time_limit", "positive", self.time_limit)
