"""The settings of a run as TOML text, to be kept and given back with --config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnforecast.config import RunConfig
from rnnforecast.errors import ConfigError

DATA, MODEL = "the data", "the model"


def to_toml(command: str, values: Mapping[str, Any], settled: Mapping[str, tuple[Any, str]]) -> str:
    """The table of a command, one key a line.

    Args:
        command: Whose options these are.
        values: What they are, by name; None or nothing where they were left open.
        settled: For some that were, what they come to and what has settled that: a comment.

    Raises:
        ConfigError: A text is none that TOML can hold.
    """
    lines = [f"[{command}]"]
    for name, value in values.items():
        if value not in (None, (), []):
            lines.append(f"{name} = {_literal(value)}")
        elif settled.get(name, (None,))[0] not in (None, ()):
            found, by = settled[name]
            lines.append(f"# {name} = {_literal(found)}  # settled by {by}")
    return "\n".join(lines) + "\n"


def settled_options(config: RunConfig, directory: Path) -> dict[str, tuple[Any, str]]:
    """What the options of `train` that may be left open come to, and what has settled that."""
    data, windows, model, training = config.data, config.windows, config.model, config.training
    season = windows.season if len(windows.seasons) == 1 else windows.seasons
    # A lookback that is given is that of all members.
    lookback = None if len(set(model.lookbacks)) > 1 else windows.lookback
    return {
        "season": (season, DATA),
        "lookback": (lookback, DATA),
        "hidden_size": (model.hidden_size, DATA),
        "num_layers": (model.num_layers, MODEL),
        "segment_length": (model.segment_length, DATA),
        "head": (model.head, MODEL),
        "log": (model.log, DATA),
        "nonnegative": (model.nonnegative, DATA),
        "yearly": (bool(config.yearly), DATA),
        "batch_size": (training.batch_size, DATA),
        "learning_rate": (training.learning_rate, DATA),
        "id_col": (data.id_column, DATA),
        "time_col": (data.time_column, DATA),
        "target_col": (data.target_columns, DATA),
        "sep": (data.separator, DATA),
        "decimal": (data.decimal, DATA),
        "time_format": (data.time_format, DATA),
        "out": (directory, "the names of data and model"),
    }


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)  # inf and nan are TOML
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{ascii(text)} is no Unicode, as TOML must be; rename it") from None
    # Of the characters that TOML wants escaped, JSON leaves this one.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
