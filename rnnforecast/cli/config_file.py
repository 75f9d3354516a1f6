"""Settings from the environment and from a TOML file, for every command alike.

A flag goes before its variable `RNNFORECAST_...`, this before the file that --config names, and
this before the default. Both give what one would type: a TOML value is read as its text is.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from rnnforecast.cli.events import TRUE
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.errors import ConfigError

PREFIX = "RNNFORECAST_"
DEBUG = f"{PREFIX}DEBUG"
# Bytes of a file, and dots of a key, with which the parser would take minutes.
LARGEST_FILE, MOST_DOTS = 2**16, 99
# Options whose text holds several values.
COMMA_SEPARATED = ("levels", "models", "baselines")

Options = Mapping[str, Any]
"""The parameters of a command, as click has them, by name."""


class ConfigurableCommand(TyperCommand):
    """A command whose options may also come from the environment or from a file."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        parameters: list[Any] = self.params
        for parameter in parameters:
            parameter.envvar = _variable(parameter.name)
            if parameter.nargs == -1:
                parameter.value_from_envvar = partial(_files, parameter.envvar)
            parameter.show_envvar = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line and what stands behind it.

        Raises:
            ConfigError: A value from there cannot be used.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(error.param, "name", None)
            if place := _place(ctx, name):
                raise ConfigError(f"{place}: {name}: {error.message.rstrip('.')}") from None
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            ConfigError: A setting cannot be used; where it comes from is said, too.
        """
        _warn_of_unknown(ctx)
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            name = str(error).split(maxsplit=1)[0].lstrip("-").replace("-", "_")
            if place := _place(ctx, name):
                raise ConfigError(f"{place}: {error}") from None
            raise


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """Give typer --config as one more option of `command`, which need not know of it."""

    @wraps(command)
    def run(*, config: Path | None, **given: Any) -> None:
        command(**given)

    del run.__wrapped__
    kind = inspect.Parameter.KEYWORD_ONLY
    given = inspect.signature(command, eval_str=True).parameters.values()
    # First, so that it is read before any other option that typer takes before its turn.
    parameters = [inspect.Parameter("config", kind, default=None, annotation=Config)]
    parameters += [parameter.replace(kind=kind) for parameter in given]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def debug_is_asked() -> bool:
    """Whether the environment asks for tracebacks."""
    return is_true(os.environ.get(DEBUG, ""))


def is_true(text: str) -> bool:
    """Whether a switch is on that has this text: as typer reads it."""
    return text.strip().lower() in TRUE


def parse_file(path: Path) -> dict[str, Any]:
    """What stands in a file of TOML.

    Raises:
        ConfigError: It cannot be read, is too large, or no TOML.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
        if len(content) > LARGEST_FILE:
            _refuse(path, f"more than {LARGEST_FILE} bytes")
        if any(part.count(".") > MOST_DOTS for part in re.split("[,\n]", text)):
            _refuse(path, "a key of too many parts")
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; pass another --config") from None
    except UnicodeDecodeError:
        _refuse(path, "bytes that are no UTF-8")
    except RecursionError:
        _refuse(path, "values nested too deeply")
    except ValueError as error:  # that of tomllib is one, as is that of a number of 5000 digits
        _refuse(path, str(error))


def _take_defaults(context: typer.Context, path: Path | None) -> Path | None:
    """Put the file's values behind the command line and the environment."""
    if path is not None and not context.resilient_parsing:
        context.default_map = _read_defaults(path, context.info_name or "", _commands(context))
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file of options, at its top for all commands or in a \\[table] for one. "
        "Variables such as RNNFORECAST_SEED go before it, flags before these.",
        metavar="FILE",
        is_eager=True,
        callback=_take_defaults,
    ),
]


def _commands(context: Any) -> dict[str, Options]:
    """The options of every command, without --config itself."""
    return {
        name: {row.name: row for row in command.params if row.name != "config"}
        for name, command in context.parent.command.commands.items()
    }


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _files(variable: str, ctx: Any) -> list[str] | None:
    """The names, which may have spaces, that a variable holds as PATH holds directories."""
    text = os.environ.get(variable)
    return text.split(os.pathsep) if text else None


def _place(ctx: Any, name: str | None) -> str | None:
    """The variable or the file that an option's value comes from; None for the command line."""
    if name is None or (source := ctx.get_parameter_source(name)) is None:
        return None
    places = {"ENVIRONMENT": _variable(name), "DEFAULT_MAP": str(ctx.params.get("config"))}
    return places.get(source.name)


def _warn_of_unknown(ctx: Any) -> None:
    """Name the variables that look as if they were ours."""
    commands = _commands(ctx).values()
    known = {_variable(name) for options in commands for name in (*options, "config")} | {DEBUG}
    for name in sorted(set(os.environ) - known):
        if name.startswith(PREFIX):
            message = f"no option has the variable {name!r}{_suggestion(name, known)}"
            StderrReporter().warning(message)


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:99], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; look for it with --help"


def _read_defaults(
    path: Path, command: str, commands: Mapping[str, Options]
) -> dict[str, str | list[str]]:
    """What the file says of the options of one command, as one would type it.

    Raises:
        ConfigError: It cannot be read, or says something that it cannot.
    """
    general: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    everyone = {name: row for options in commands.values() for name, row in options.items()}
    for key, value in parse_file(path).items():
        if not isinstance(value, dict):
            general[key] = value
        elif key in commands:
            tables[key] = _checked(path, value, commands[key], f"{key} has no")
        else:
            raise ConfigError(f"{path}: no command {_shown(key)}{_suggestion(key, commands)}")
    own = commands[command]
    asked = {
        name: value
        for name, value in _checked(path, general, everyone, "no").items()
        if name in own
    }
    asked |= tables.get(command, {})
    return {name: _typed(path, name, value, own[name]) for name, value in asked.items()}


def _checked(path: Path, table: dict[str, Any], options: Options, refusal: str) -> dict[str, Any]:
    """The same under the names that click knows, each of which must be there once."""
    named: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in options:
            hint = _suggestion(name, options)
            raise ConfigError(f"{path}: {refusal} option {_shown(key)}{hint}")
        if name in named:
            raise ConfigError(f"{path}: {name} stands there twice; keep one of them")
        named[name] = value
    return named


def _refuse(path: Path, what: str) -> NoReturn:
    raise ConfigError(f"{path}: {what}; write TOML, a line an option, such as horizon = 12")


def _typed(path: Path, name: str, value: Any, option: Any) -> str | list[str]:
    """What one would type for a value of TOML."""
    several = option.multiple or option.nargs == -1
    joined = name in COMMA_SEPARATED
    if isinstance(value, list) and not (several or joined):
        raise ConfigError(f"{path}: {name} must be one value, got an array")
    try:
        parts = [_text(part) for part in (value if isinstance(value, list) else [value])]
    except ValueError:
        rule = "text, a number, true or false" + (", or an array of these" if several else "")
        raise ConfigError(f"{path}: {name} must be {rule}") from None
    return parts if several else ",".join(parts)


def _text(value: Any) -> str:
    """A scalar of TOML as text; ValueError where it is none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise ValueError


def _shown(key: str) -> str:
    """Short, in quotes, on one line."""
    return repr(key if len(key) < 50 else f"{key[:50]}…")
