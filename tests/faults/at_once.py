"""Starts the program many times at the very same moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.warm import Run, Started, warm


@dataclass(frozen=True)
class Runs:
    """Runs that were started and may still go on; what run K writes is in K.out and K.err."""

    directory: Path
    started: list[Started]

    def all_ended(self) -> bool:
        """Whether none goes on."""
        return all(each.poll() is not None for each in self.started)

    def ends(self) -> list[Run]:
        """How each of them ended."""
        codes = [each.wait() for each in self.started]
        texts = [
            [(self.directory / f"{number}.{name}").read_text() for name in ("out", "err")]
            for number in range(len(codes))
        ]
        return [Run(code, *text) for code, text in zip(codes, texts, strict=True)]


def start(directory: Path, count: int, *arguments: str | Path) -> Runs:
    """Start the program `count` times at once in a directory; {} in an argument is which one."""
    signal, to_signal = os.pipe()
    started = []
    for number in range(count):
        own = [str(argument).replace("{}", str(number)) for argument in arguments]
        with (
            (directory / f"{number}.out").open("wb") as out,
            (directory / f"{number}.err").open("wb") as err,
        ):
            streams = (signal, out.fileno(), err.fileno())
            started.append(
                warm().start(
                    directory, *own, streams=streams, conditions=["once its input has ended"]
                )
            )
    os.close(signal)
    os.close(to_signal)
    return Runs(directory, started)
