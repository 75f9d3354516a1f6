"""The program: its commands, its exit codes, its way out."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from rnnforecast import __version__
from rnnforecast.cli.backtest import backtest
from rnnforecast.cli.check import check
from rnnforecast.cli.config_file import ConfigurableCommand, configurable, debug_is_asked
from rnnforecast.cli.diagnose import diagnose
from rnnforecast.cli.endings import ending_of
from rnnforecast.cli.evaluate import evaluate
from rnnforecast.cli.events import choose_form, tell_finally
from rnnforecast.cli.forecast import forecast
from rnnforecast.cli.foresight import json_is_asked
from rnnforecast.cli.metrics import metrics
from rnnforecast.cli.models import models
from rnnforecast.cli.selftest import selftest
from rnnforecast.cli.show import show
from rnnforecast.cli.streams import open_streams
from rnnforecast.cli.train import train
from rnnforecast.cli.update import update
from rnnforecast.cli.verify import verify
from rnnforecast.errors import ConfigError
from rnnforecast.signals import Interrupted, ignore_signals, watch_signals


class _Calculating(ConfigurableCommand):
    """A command that loads torch, which ends the process where there is no working directory."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            ConfigError: The working directory has been removed.
        """
        try:
            os.getcwd()
        except FileNotFoundError:
            raise ConfigError(
                "the working directory has been removed; change to one that exists"
            ) from None
        return super().invoke(ctx)


app = typer.Typer(
    name="rnnforecast",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
learning, looking = (train, update, forecast, backtest, evaluate), (check, diagnose, show, verify)
telling = (models, metrics)
for command in (*learning, *looking, *telling, selftest):
    cls = ConfigurableCommand if command in telling else _Calculating
    app.command(cls=cls)(configurable(command))


def _version(value: bool) -> None:
    if value:
        print(f"rnnforecast {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback with every error, of any command.")
    ] = False,
) -> None:
    """Forecast time series with recurrent neural networks."""


def main() -> NoReturn:
    """Run the program; every end has its exit code and, if it is a failure, one line."""
    try:
        choose_form(json_is_asked(sys.argv[1:]))
        watch_signals(_end_at_once)
        open_streams()
        _run()
    except Interrupted as interruption:
        sys.exit(_tell_of(interruption))
    finally:
        ignore_signals()


def _run() -> NoReturn:
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"] or ["--help"]
    debug = "--debug" in sys.argv[1:] or debug_is_asked()
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except Exception as error:
        if debug:
            import traceback

            sys.exit(_tell_of(error, traceback=traceback.format_exc().rstrip()))
        sys.exit(_tell_of(error))


def _tell_of(error: BaseException, **more: str) -> int:
    """Write the line of a failure; its exit code."""
    ending = ending_of(error)
    if ending.message is not None:
        tell_finally(ending.event, ending.message, exit_code=ending.code, **more)
    return ending.code


def _end_at_once(signum: int, frame: object) -> NoReturn:
    os._exit(_tell_of(Interrupted(signum)))
