"""What a workflow tells while it runs; `cli/` decides how it is shown."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from rnnforecast.training.loop import Progress


class Reporter(Protocol):
    def note(self, message: str) -> None:
        """Something worth knowing."""

    def warning(self, message: str) -> None:
        """Something to look at, though the run goes on."""

    def training(self, title: str) -> AbstractContextManager[Progress]:
        """What to call after each epoch while the block runs."""
