"""The program: its commands, its exit codes, its way out."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from rnnforecast import __version__
from rnnforecast.cli.backtest import backtest
from rnnforecast.cli.evaluate import evaluate
from rnnforecast.cli.forecast import forecast
from rnnforecast.cli.metrics import metrics
from rnnforecast.cli.models import models
from rnnforecast.cli.selftest import selftest
from rnnforecast.cli.train import train
from rnnforecast.errors import RnnForecastError

app = typer.Typer(
    name="rnnforecast",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, forecast, backtest, evaluate, models, metrics, selftest):
    app.command()(command)


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; the process ends with 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


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
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _open_closed_streams()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"] or ["--help"]
    debug = "--debug" in sys.argv[1:]
    try:
        code = app(arguments, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except RnnForecastError as error:
        _fail(str(error), error.exit_code, debug)
    except Interrupted as interruption:
        print("interrupted", file=sys.stderr)
        sys.exit(interruption.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # how typer, of any version, tells of wrong usage
            _fail(f"{error.format_message().rstrip('.')}. Try --help.", 2, debug)
        if _is_of_memory(error):
            remedy = "pass a smaller --batch-size, --lookback or --hidden-size"
            _fail(f"memory ran out; {remedy}", 1, debug)
        _fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", 1, debug)


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch has no class of its own for that on a CPU."""
    text = str(error)
    named = "out of memory" in text or "alloc" in text or "Storage size" in text
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and named)


def _open_closed_streams() -> None:
    """Where a caller has closed standard output or error, write to nowhere instead of failing."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise Interrupted(signum)


def _fail(message: str, exit_code: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(exit_code)
