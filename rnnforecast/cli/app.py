"""The program: its commands, its exit codes, its way out."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rnnforecast import __version__
from rnnforecast.cli.backtest import backtest
from rnnforecast.cli.diagnose import diagnose
from rnnforecast.cli.evaluate import evaluate
from rnnforecast.cli.forecast import forecast
from rnnforecast.cli.metrics import metrics
from rnnforecast.cli.models import models
from rnnforecast.cli.selftest import selftest
from rnnforecast.cli.train import train
from rnnforecast.errors import OutputError, RnnForecastError
from rnnforecast.signals import Interrupted, ignore_signals, watch_signals

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

app = typer.Typer(
    name="rnnforecast",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, forecast, backtest, evaluate, diagnose, models, metrics, selftest):
    app.command()(command)


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
        watch_signals(_end_at_once)
        _open_streams()
        _run()
    except Interrupted as interruption:
        if interruption.signum in (signal.SIGINT, signal.SIGTERM):
            _tell("interrupted")
        sys.exit(128 + interruption.signum)
    finally:
        ignore_signals()


def _run() -> NoReturn:
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"] or ["--help"]
    debug = "--debug" in sys.argv[1:]
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except RnnForecastError as error:
        _fail(str(error), error.exit_code, debug)
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


class _Stream(io.FileIO):
    """A standard stream that ends the program where it takes no more.

    SIGPIPE itself would leave no time to remove temporary files, and libraries make an end of
    their own of a BrokenPipeError.
    """

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            # Python would try again to flush at its end, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if isinstance(error, BrokenPipeError):
                raise Interrupted(signal.SIGPIPE) from None
            name = "output" if self.fileno() == 1 else "error"
            raise OutputError(f"standard {name}: {error.strerror}; free space there") from None


def _open_streams() -> None:
    """Guard standard output and error; where a caller has closed one, write to nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif stream is getattr(sys, f"__{name}__"):
            guarded = io.TextIOWrapper(
                io.BufferedWriter(_Stream(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
            )
            setattr(sys, name, guarded)


def _end_at_once(signum: int, frame: object) -> NoReturn:
    _tell("interrupted")
    os._exit(128 + signum)


def _fail(message: str, exit_code: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        _tell(traceback.format_exc().rstrip())
    _tell("error: " + " ".join(message.split()))
    sys.exit(exit_code)


def _tell(message: str) -> None:
    """Write to standard error; where it takes no more, the exit code tells alone."""
    with suppress(Interrupted, OutputError):
        print(message, file=sys.stderr, flush=True)
