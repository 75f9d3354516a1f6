"""What is told of progress, by a clock that the test turns, and what is kept for the summary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest

from rnnforecast.cli import lines
from rnnforecast.cli.events import choose_form
from rnnforecast.cli.reporter import StderrReporter
from rnnforecast.training.state import EpochRecord
from tests.cli.command import terminal


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lines, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def json_lines() -> Iterator[None]:
    choose_form(True)
    yield
    choose_form(False)


def record(
    epoch: int, *, validation_loss: float | None = 0.25, train_loss: float = 0.5
) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=train_loss,
        validation_loss=validation_loss,
        gradient_norm=2.0,
        clip_rate=0.125,
        update_ratio=0.001,
        learning_rate=0.01,
        seconds=1.0,
    )


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_counting_tells_the_time_left_when_ten_seconds_have_passed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter().counting("forecasting", 100) as done:
        for seconds, windows in ((9, 10), (1, 10), (5, 30), (5, 30), (9, 20)):
            clock.seconds += seconds
            done(windows)
    assert told(capsys) == [
        "forecasting: 20 of 100 windows, 40 s left",
        "forecasting: 80 of 100 windows, 5 s left",
    ]


def test_counting_tells_the_same_in_fields_when_lines_are_json(
    clock: Clock, json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter().counting("forecasting", 100) as done:
        clock.seconds += 10
        done(20)
    (line,) = map(json.loads, told(capsys))
    del line["time"]
    assert line == {
        "level": "info",
        "event": "progress",
        "message": "forecasting: 20 of 100 windows, 40 s left",
        "task": "forecasting",
        "done": 20,
        "total": 100,
        "seconds_left": 40.0,
    }


def test_reporter_tells_warnings_alone_when_quiet(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter = StderrReporter(quiet=True)
    reporter.note("of interest")
    reporter.warning("of concern")
    with reporter.counting("forecasting", 100) as done, reporter.training("training") as on_epoch:
        clock.seconds += 60
        done(10)
        on_epoch(record(1), 9)
    assert told(capsys) == ["warning: of concern"]


def test_training_tells_of_the_last_epoch_once_when_lines_are_rare(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter().training("training gru") as on_epoch:
        for epoch in range(1, 6):
            clock.seconds += 4
            on_epoch(record(epoch), 9)
    measures = "loss 0.5000, validation 0.2500, gradient norm 2"
    assert told(capsys) == [
        f"training gru: epoch 3 of 9, {measures}",
        f"training gru: epoch 5 of 9, {measures}",
    ]


def test_training_tells_of_every_epoch_in_full_when_verbose(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter(verbose=True).training("training gru") as on_epoch:
        on_epoch(record(1), 2)
        on_epoch(record(2, validation_loss=None), 2)
    more = "gradient norm 2, 12% clipped, learning rate 0.01, 1.0 s"
    assert told(capsys) == [
        f"training gru: epoch 1 of 2, loss 0.5000, validation 0.2500, {more}",
        f"training gru: epoch 2 of 2, loss 0.5000, {more}",
    ]


def test_training_tells_none_for_what_is_no_number_when_lines_are_json(
    clock: Clock, json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with StderrReporter(verbose=True).training("training gru") as on_epoch:
        on_epoch(record(1, train_loss=float("inf"), validation_loss=float("nan")), 2)
    (line,) = map(json.loads, told(capsys))
    assert (line["event"], line["task"]) == ("epoch", "training gru")
    assert (line["epoch"], line["epochs"]) == (1, 2)
    assert line["train_loss"] is None and line["validation_loss"] is None
    assert (line["gradient_norm"], line["learning_rate"]) == (2.0, 0.01)


def test_training_draws_a_bar_when_standard_error_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with terminal() as (stream, screen), redirect_stderr(stream):
        with StderrReporter().training("training gru") as on_epoch:
            on_epoch(record(2), 9)
    assert "training gru" in screen.text and "2/9" in screen.text and "\x1b[" in screen.text


@pytest.mark.parametrize("verbose", [True, False])
def test_training_draws_no_bar_on_a_terminal_when_lines_are_asked(
    verbose: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if not verbose:
        request.getfixturevalue("json_lines")
    with terminal() as (stream, screen), redirect_stderr(stream):
        with StderrReporter(verbose=verbose).training("training gru") as on_epoch:
            on_epoch(record(2), 9)
    assert screen.text.count("\n") == 1 and "\x1b" not in screen.text


def test_reporter_keeps_what_the_summary_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = StderrReporter(quiet=True)
    reporter.record(model="gru", seed=1)
    reporter.record(seed=2, epochs=3)
    reporter.warning("of concern")
    assert reporter.facts == {"model": "gru", "seed": 2, "epochs": 3}
    assert reporter.warnings == ["of concern"]


def test_note_takes_one_line_when_its_text_has_more(capsys: pytest.CaptureFixture[str]) -> None:
    StderrReporter().note("series 'a\nb' is short")
    assert told(capsys) == ["series 'a b' is short"]
