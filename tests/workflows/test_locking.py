"""One run holds a directory; the others do as they are told."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from rnnforecast.errors import ConfigError, LockedError
from rnnforecast.workflows.locking import locked_directory
from rnnforecast.workflows.reporting import Mute


class Listener(Mute):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.parametrize("if_locked", ["fail", "wait", "skip"])
def test_locked_directory_is_made_held_and_freed_when_nobody_holds_it(
    if_locked: str, tmp_path: Path
) -> None:
    listener, directory = Listener(), tmp_path / "a" / "b"
    for _ in range(2):
        with locked_directory(directory, if_locked, listener) as held:
            assert held
            (directory / "file").touch()
            with pytest.raises(Timeout):
                FileLock(directory / ".lock").acquire(timeout=0)
    assert listener.notes == []
    assert (directory / "file").exists()


def test_locked_directory_raises_or_yields_false_when_another_run_holds_it(tmp_path: Path) -> None:
    listener = Listener()
    with locked_directory(tmp_path, "fail", Mute()):
        with pytest.raises(LockedError, match=f"^{tmp_path}: another run is writing here; wait"):
            locked_directory(tmp_path, "fail", listener).__enter__()
        assert listener.notes == []
        with locked_directory(tmp_path, "skip", listener) as held:
            assert held is False
    assert listener.notes == [f"{tmp_path}: another run is writing here, so this one does nothing"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize("name", ["/proc/none", "/proc/none/either"])
def test_locked_directory_raises_when_none_can_be_made_there(name: str) -> None:
    message = f"^{name}: No such file or directory; pass another --out$"
    with pytest.raises(ConfigError, match=message):
        locked_directory(Path(name), "wait", Mute()).__enter__()


def test_locked_directory_waits_for_the_end_of_another_run_when_told_to(tmp_path: Path) -> None:
    listener, order = Listener(), []

    def wait() -> None:
        with locked_directory(tmp_path, "wait", listener) as held:
            order.append(("held", held))

    waiter = threading.Thread(target=wait)
    with locked_directory(tmp_path, "fail", Mute()):
        waiter.start()
        time.sleep(0.6)
        order.append(("freed", True))
    waiter.join()
    assert order == [("freed", True), ("held", True)]
    assert listener.notes == [f"{tmp_path}: another run is writing here; waiting for its end"]


@pytest.mark.parametrize("failing", [False, True])
def test_locked_directory_is_removed_when_it_was_made_and_holds_nothing(
    failing: bool, tmp_path: Path
) -> None:
    directory = tmp_path / "d"
    try:
        with locked_directory(directory, "fail", Mute()):
            if failing:
                raise ValueError
    except ValueError:
        pass
    assert not directory.exists()


def test_locked_directory_is_removed_with_its_parents_when_all_were_made_and_hold_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    for kept in (None, "b"):
        with locked_directory(tmp_path / "a" / "b" / "c" / "d", "fail", Mute()):
            if kept:
                (tmp_path / "a" / "b" / "file").touch()
        assert os.listdir(tmp_path / "a") == ([kept] if kept else [])
    assert os.listdir(tmp_path / "a" / "b") == ["file"]


def test_locked_directory_stays_when_it_was_there_before(tmp_path: Path) -> None:
    with locked_directory(tmp_path, "fail", Mute()):
        pass
    assert os.listdir(tmp_path) == [".lock"]


def test_locked_directory_is_made_anew_when_the_run_that_made_it_removes_it(tmp_path: Path) -> None:
    directory, found = tmp_path / "d", []

    def wait() -> None:
        with locked_directory(directory, "wait", Mute()):
            (directory / "file").touch()
            # The lock that is held is the one that others find.
            with pytest.raises(LockedError):
                locked_directory(directory, "fail", Mute()).__enter__()
            found.append(sorted(os.listdir(directory)))

    waiter = threading.Thread(target=wait)
    with locked_directory(directory, "fail", Mute()):
        waiter.start()
        time.sleep(0.1)
    waiter.join()
    assert found == [[".lock", "file"]]
    assert directory.exists()


def test_locked_directory_lets_in_one_at_a_time_when_all_leave_nothing(tmp_path: Path) -> None:
    """Makers that remove the directory and its lock race with those that make it again."""
    directory, inside, most, times = tmp_path / "d", [0], [0], [0]

    def run() -> None:
        for _ in range(60):
            with locked_directory(directory, "skip", Mute()) as held:
                if held:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    times[0] += 1
                    time.sleep(0.0005)
                    inside[0] -= 1

    runs = [threading.Thread(target=run) for _ in range(6)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    assert most[0] == 1
    assert times[0] >= 5


@pytest.mark.parametrize("looks", [1, 2])
def test_locked_directory_is_made_anew_when_it_goes_after_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    directory, stat, seen = tmp_path / "d", os.stat, [0]
    directory.mkdir()

    def look(path: Any, *given: Any, **named: Any) -> os.stat_result:
        found = stat(path, *given, **named)
        if path == directory:
            seen[0] += 1
            if seen[0] == looks:
                directory.rmdir()
        return found

    monkeypatch.setattr(os, "stat", look)
    with locked_directory(directory, "fail", Mute()) as held:
        assert held and os.listdir(directory) == [".lock"]


def test_locked_directory_removes_what_killed_runs_left(tmp_path: Path) -> None:
    for name in (".model.safetensors.abcd_123.tmp", ".x.csv.abcd_123.tmp", "model.safetensors"):
        (tmp_path / name).touch()
    with locked_directory(tmp_path, "fail", Mute()):
        assert sorted(os.listdir(tmp_path)) == [".lock", "model.safetensors"]


def test_locked_directory_is_where_a_link_leads_when_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("d")
    for _ in range(2):
        with locked_directory(tmp_path / "link", "wait", Mute()):
            (tmp_path / "d" / "file").touch()
    assert sorted(os.listdir(tmp_path / "link")) == [".lock", "file"]


def test_locked_directory_raises_in_one_line_when_it_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "d", tmp_path / "a\nb"):
        with pytest.raises(ConfigError, match=r"; pass another --out$") as raised:
            locked_directory(place, "wait", Mute()).__enter__()
        assert "\n" not in str(raised.value)
