"""Lines of progress where standard error is no terminal, by a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rnnforecast.cli import reporter
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.training.loop import EpochRecord


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporter, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=0.5,
        validation_loss=0.25,
        gradient_norm=2.0,
        clip_rate=0.0,
        update_ratio=0.001,
        learning_rate=0.01,
        seconds=1.0,
    )


def test_counting_tells_the_time_left_when_ten_seconds_have_passed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter(quiet=False).counting("forecasting", 100) as done:
        for seconds, windows in ((9, 10), (1, 10), (5, 30), (5, 30), (9, 20)):
            clock.seconds += seconds
            done(windows)
    assert capsys.readouterr().err.splitlines() == [
        "forecasting: 20 of 100 windows, 40 s left",
        "forecasting: 80 of 100 windows, 5 s left",
    ]


def test_counting_tells_nothing_when_quiet(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter(quiet=True).counting("forecasting", 100) as done:
        clock.seconds += 60
        done(10)
    assert capsys.readouterr().err == ""


def test_training_tells_of_the_last_epoch_once_when_lines_are_rare(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter(quiet=False).training("training gru") as on_epoch:
        for epoch in range(1, 6):
            clock.seconds += 4
            on_epoch(record(epoch), 9)
    measures = "loss 0.5000, validation 0.2500, gradient norm 2"
    assert capsys.readouterr().err.splitlines() == [
        f"training gru: epoch 3 of 9, {measures}",
        f"training gru: epoch 5 of 9, {measures}",
    ]
