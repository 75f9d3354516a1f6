"""Whether events are to be JSON, before options are parsed: a wrong option is an event, too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnforecast.cli.config_file import PREFIX, is_true, parse_file
from rnnforecast.errors import ConfigError


def json_is_asked(arguments: Sequence[str]) -> bool:
    """By the command line, the environment or the file that either names, as far as these tell."""
    variable = os.environ.get(f"{PREFIX}JSON_LOGS")
    if "--json-logs" in arguments:
        return True
    if variable:
        return is_true(variable)
    path = _config_file(arguments)
    return path is not None and _asks_for_json(path, arguments)


def _config_file(arguments: Sequence[str]) -> Path | None:
    """What --config or its variable names."""
    named = os.environ.get(f"{PREFIX}CONFIG")
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--config":
            named = following
        elif argument.startswith("--config="):
            named = argument.partition("=")[2]
    return Path(named) if named else None


def _asks_for_json(path: Path, arguments: Sequence[str]) -> bool:
    """Whether the file does, at its top or for this command; a pipe can be read only once."""
    try:
        content = parse_file(path) if path.is_file() else {}
    except (ConfigError, ValueError):  # the latter for a name that no file can have
        return False
    command = next((word for word in arguments if not word.startswith("-")), "")
    table = content.get(command)
    asked = {**_named(content), **_named(table if isinstance(table, dict) else {})}
    return is_true(str(asked.get("json_logs")))


def _named(table: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in table.items()}
