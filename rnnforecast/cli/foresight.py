"""Whether events are to be JSON, before options are parsed: a wrong option is an event, too."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rnnforecast.cli.events import TRUE

IN_FILE = re.compile(r"^\s*json[-_]logs\s*=\s*true\b", re.MULTILINE)
LARGEST_FILE = 2**16


def json_is_asked(arguments: Sequence[str]) -> bool:
    """By the command line, the environment or the file that either names, as far as these tell."""
    variable = os.environ.get("RNNFORECAST_JSON_LOGS")
    if "--json-logs" in arguments:
        return True
    if variable:
        return variable.strip().lower() in TRUE
    path = _config_file(arguments)
    return path is not None and _asks_for_json(path)


def _config_file(arguments: Sequence[str]) -> Path | None:
    """What --config or its variable names."""
    named = os.environ.get("RNNFORECAST_CONFIG")
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--config":
            named = following
        elif argument.startswith("--config="):
            named = argument.partition("=")[2]
    return Path(named) if named else None


def _asks_for_json(path: Path) -> bool:
    """Whether a line of the file does; a pipe is left to who reads it for its options."""
    with suppress(OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                return IN_FILE.search(file.read(LARGEST_FILE).decode("utf-8-sig")) is not None
    return False
