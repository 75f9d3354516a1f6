"""How a run ends: the exit code of each failure, and the line that tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from rnnforecast.cli.events import Event
from rnnforecast.errors import RnnForecastError
from rnnforecast.signals import ENDING, Interrupted


@dataclass(frozen=True)
class Ending:
    """The exit code of a run, and what is told of its end: nothing where that is None."""

    code: int
    message: str | None = None
    event: Event = "error"


DONE = Ending(0)


def ending_of(error: BaseException) -> Ending:
    """What becomes of a run that raised this."""
    if isinstance(error, Interrupted):
        told = "interrupted" if error.signum in ENDING else None
        return Ending(128 + error.signum, told, "interrupted")
    if isinstance(error, RnnForecastError):
        return Ending(error.exit_code, _line(str(error)))
    if hasattr(error, "format_message"):  # how typer, of any version, tells of wrong usage
        return Ending(2, _line(f"{error.format_message().rstrip('.')}. Try --help."))
    if _is_of_memory(error):
        return Ending(1, "memory ran out; pass a smaller --batch-size, --lookback or --hidden-size")
    return Ending(1, _line(f"internal error: {type(error).__name__}: {error}; --debug shows where"))


def _is_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: torch has no class of its own for that on a CPU."""
    text = str(error)
    named = "out of memory" in text or "alloc" in text or "Storage size" in text
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and named)


def _line(text: str) -> str:
    return " ".join(text.split())
