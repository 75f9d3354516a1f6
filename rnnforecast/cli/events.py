"""Events on standard error, one line each: plain text, or a JSON object."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from rnnforecast.errors import OutputError
from rnnforecast.signals import Interrupted

Event = Literal["start", "note", "epoch", "progress", "warning", "error", "interrupted", "end"]

LEVELS = {"warning": "warning", "error": "error", "interrupted": "error"}  # of others: info
TRUE = ("1", "true", "t", "yes", "y", "on")  # what typer takes for true in the environment


class _Form:
    """How events are written, which must be known wherever the program may end."""

    json = False


def choose_form(json_lines: bool) -> bool:
    """From now on write every event as JSON, or as plain text; gives back what was chosen."""
    _Form.json = json_lines
    return json_lines


def lines_are_json() -> bool:
    """Whether every line on standard error has to be a JSON object."""
    return _Form.json


def tell(event: Event, message: str, **fields: object) -> None:
    """Write one event; as plain text, its message and, before it, its traceback if there is one.

    Args:
        event: What kind it is.
        message: One line for a reader.
        fields: The same for programs, in JSON only.

    Raises:
        Interrupted: The reader of standard error has gone.
        OutputError: Standard error takes no more.
    """
    message = " ".join(message.splitlines())
    if _Form.json:
        head = {"time": timestamp(), "level": LEVELS.get(event, "info"), "event": event}
        # ASCII, so that no encoding of the stream can spoil it.
        line = json.dumps(finite({**head, "message": message, **fields}), default=str)
    else:
        traceback = f"{fields['traceback']}\n" if "traceback" in fields else ""
        prefix = f"{event}: " if event in ("warning", "error") else ""
        line = f"{traceback}{prefix}{message}"
    print(line, file=sys.stderr, flush=True)


def tell_finally(event: Event, message: str, **fields: object) -> None:
    """The same as a run ends: where standard error takes no more, the exit code tells alone."""
    # RuntimeError: a signal has come while a line was being written.
    with suppress(Interrupted, OutputError, RuntimeError):
        tell(event, message, **fields)


def timestamp() -> str:
    """Now, in ISO 8601: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finite(value: Any) -> Any:
    """The same value with None for each NaN and infinity, which are not JSON."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
