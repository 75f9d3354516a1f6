"""Files appear whole or not at all, all of them together."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import pytest

from rnnforecast.data import files
from rnnforecast.data.files import check_place, remove_dead, replacing, write_files
from rnnforecast.errors import ConfigError, OutputError
from rnnforecast.signals import ENDING, Interrupted, deferring_signals, watch_signals


def test_write_files_replaces_old_ones_with_the_rights_of_new_files(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")
    mask = os.umask(0o027)
    try:
        write_files({path: b"new", tmp_path / "g.csv": b"too"})
    finally:
        os.umask(mask)
    assert path.read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["f.csv", "g.csv"]
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_write_files_leaves_every_old_file_when_a_later_one_fails(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    whole = files._write_through

    def fail_at_second(file: IO[bytes]) -> None:
        if ".second." in file.name:
            raise error
        whole(file)

    monkeypatch.setattr(files, "_write_through", fail_at_second)
    with pytest.raises((OutputError, KeyboardInterrupt)) as raised:
        write_files({first: b"1", second: b"2"})
    if isinstance(error, OSError):
        assert str(raised.value) == f"{second}: No space left on device; free space there"
    assert first.read_text() == "old"
    assert os.listdir(tmp_path) == ["first"]


def test_write_files_keeps_the_order_when_a_later_one_is_refused_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes last vouches for the others."""
    places = [tmp_path / name for name in ("c", "a", "b")]
    for refused in range(3):
        for place in places:
            place.write_text("old")

        def refuse(source: str, place: Path, refused: Path = places[refused]) -> None:
            if place == refused:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            os.rename(source, place)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            with pytest.raises(OutputError, match=f"^{places[refused]}: Permission denied; pass"):
                write_files(dict.fromkeys(places, b"new"))
        expected = ["new"] * refused + ["old"] * (3 - refused)
        assert [place.read_text() for place in places] == expected
        assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("nested", [False, True])
def test_write_files_heeds_a_signal_when_all_have_their_places(
    nested: bool, signum: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("c", "a", "b")]
    rename, ended = os.replace, False

    def interrupted(source: str, place: Path) -> None:
        if place == places[1]:
            os.kill(os.getpid(), signum)
        rename(source, place)

    def write() -> None:
        nonlocal ended
        with deferring_signals() if nested else nullcontext():
            write_files(dict.fromkeys(places, b"new"))
            ended = True

    monkeypatch.setattr(os, "replace", interrupted)
    handlers = {number: signal.getsignal(number) for number in ENDING}
    try:
        watch_signals(lambda signum, frame: pytest.fail("a second signal"))
        with pytest.raises(Interrupted) as raised:
            write()
        assert (raised.value.signum, ended) == (signum, nested)
        assert [place.read_bytes() for place in places] == [b"new"] * 3
        # A signal is heeded once: what is written afterwards is not interrupted by it.
        monkeypatch.setattr(os, "replace", rename)
        write_files({tmp_path / "d": b"new"})
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_write_files_leaves_nothing_open_when_a_file_cannot_get_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, opened = files.NamedTemporaryFile, []

    def refuse(*of: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def kept(**settings: Any) -> IO[bytes]:
        opened.append(made(**settings))
        return opened[-1]

    monkeypatch.setattr(files, "NamedTemporaryFile", kept)
    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(OutputError, match=f"^{tmp_path / 'f'}: Operation not permitted; pass"):
        write_files({tmp_path / "f": b"new"})
    assert [file.closed for file in opened] == [True]
    assert os.listdir(tmp_path) == []


def test_write_files_raises_in_one_line_when_the_place_cannot_be_written(tmp_path: Path) -> None:
    for place in (tmp_path / "absent" / "f.csv", tmp_path):
        with pytest.raises(OutputError, match=rf"^{place}: .*; pass another place$"):
            write_files({place: b"x"})
    assert os.listdir(tmp_path) == []


def test_check_place_raises_when_no_file_can_be_put_there(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent" / "f.csv"):
        with pytest.raises(ConfigError, match="pass a file in a directory to write to$"):
            check_place(place)
    check_place(tmp_path / "f.csv")
    assert os.listdir(tmp_path) == []


def test_replacing_takes_the_place_of_the_old_file_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")
    mask = os.umask(0o027)
    try:
        with replacing(path) as write:
            write(b"new,")
            write(b"whole")
            assert path.read_text() == "old"
    finally:
        os.umask(mask)
    assert path.read_text() == "new,whole"
    assert os.listdir(tmp_path) == ["f.csv"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_replacing_makes_an_empty_file_when_nothing_is_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "f.csv"):
        pass
    assert (tmp_path / "f.csv").read_bytes() == b""


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), GeneratorExit()])
def test_replacing_leaves_the_old_file_when_the_block_fails(
    error: BaseException, old: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv"
    if old is not None:
        path.write_text(old)
    with pytest.raises(type(error)) as raised, replacing(path) as write:
        write(b"half")
        raise error
    assert raised.value is error
    assert os.listdir(tmp_path) == ([] if old is None else ["f.csv"])
    assert old is None or path.read_text() == old


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free space there"),
        (errno.EIO, "pass another place"),
        (errno.EFBIG, "raise the limit that ulimit -f shows"),
    ],
)
def test_replacing_raises_with_a_remedy_when_the_disk_fails(
    moment: str, number: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")

    def fail(*of: object) -> None:
        raise OSError(number, os.strerror(number))

    if moment == "write":
        made = files.NamedTemporaryFile

        def full(**settings: Any) -> IO[bytes]:
            file = made(**settings)
            file.write = fail
            return file

        monkeypatch.setattr(files, "NamedTemporaryFile", full)
    else:
        monkeypatch.setattr(os, moment, fail)
    with pytest.raises(OutputError) as raised, replacing(path) as write:
        write(b"half")
    monkeypatch.undo()
    assert str(raised.value) == f"{path}: {os.strerror(number)}; {remedy}"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f.csv"]


def test_replacing_blames_no_file_when_another_part_of_the_system_fails(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), replacing(tmp_path / "f.csv"):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def test_replacing_follows_a_link_when_the_place_is_one(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with replacing(tmp_path / "link.csv") as write:
        write(b"new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


def test_check_place_raises_when_the_place_is_a_device() -> None:
    with pytest.raises(ConfigError, match="^/dev/null: is no file that could be replaced; pass"):
        check_place(Path("/dev/null"))


def test_replacing_raises_in_one_line_when_the_place_cannot_be_written(tmp_path: Path) -> None:
    for place in (tmp_path / "absent" / "f.csv", tmp_path):
        with (
            pytest.raises(OutputError, match=rf"^{place}: .*; pass another place$"),
            replacing(place),
        ):
            pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["f.csv", "two words.csv", "жёлтый.csv", "[*].csv", "\udcff"])
def test_write_files_removes_what_killed_writers_left_of_the_same_name(
    name: str, tmp_path: Path
) -> None:
    dead, others = (
        tmp_path / f".{name}.abcd_123.tmp",
        [
            *(f".{name}.abcd_123.tmp.", f".other-{name}.abcd_123.tmp", f".{name}.tmp"),
            *(f"{name}.abcd_123.tmp", f".{name}.ABCD-123.tmp", f".{name}.abcd_1234.tmp"),
        ],
    )
    for other in (dead, *(tmp_path / other for other in others)):
        other.write_text("half")
    (tmp_path / f".{name}.linked__.tmp").symlink_to(tmp_path / others[0])
    (tmp_path / f".{name}.folder__.tmp").mkdir()
    write_files({tmp_path / name: b"whole"})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name, *others, f".{name}.linked__.tmp", f".{name}.folder__.tmp"}
    assert (tmp_path / name).read_bytes() == b"whole"


HOLDING = """
import sys, time
from pathlib import Path
from rnnforecast.data.files import replacing
with replacing(Path(sys.argv[1])) as write:
    write(b"half")
    print(flush=True)
    time.sleep(600)
"""


def test_remove_dead_spares_the_file_of_a_writer_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "f.csv")]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"\n"
    write_files({tmp_path / "f.csv": b"whole"})
    remove_dead(tmp_path)
    living = set(os.listdir(tmp_path)) - {"f.csv"}
    assert len(living) == 1
    writer.kill()
    writer.communicate()
    remove_dead(tmp_path, "g.csv")
    assert set(os.listdir(tmp_path)) == {"f.csv", *living}
    remove_dead(tmp_path)
    assert os.listdir(tmp_path) == ["f.csv"]


def test_remove_dead_removes_those_of_every_name_and_nothing_else(tmp_path: Path) -> None:
    for name in (".f.csv.abcd_123.tmp", ".g.abcd_123.tmp", ".vimrc.tmp", "notes.tmp", ".lock"):
        (tmp_path / name).touch()
    remove_dead(tmp_path)
    assert set(os.listdir(tmp_path)) == {".vimrc.tmp", "notes.tmp", ".lock"}
    remove_dead(tmp_path / "absent")


def test_write_files_keeps_its_own_file_when_others_sweep_all_the_time(tmp_path: Path) -> None:
    """Between its making and its locking a temporary looks like a dead one."""
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            remove_dead(tmp_path)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for k in range(300):
            write_files({tmp_path / "f": b"%d" % k, tmp_path / "g": b"%d" % k})
            assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes() == b"%d" % k
    finally:
        over.set()
        sweeper.join()
    assert sorted(os.listdir(tmp_path)) == ["f", "g"]


def test_write_files_makes_another_file_when_one_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, names = files.NamedTemporaryFile, []

    def swept_once(**settings: Any) -> IO[bytes]:
        file = made(**settings)
        names.append(file.name)
        if len(names) == 1:
            remove_dead(tmp_path)
        return file

    monkeypatch.setattr(files, "NamedTemporaryFile", swept_once)
    write_files({tmp_path / "f": b"whole"})
    assert len(names) == 2
    assert (tmp_path / "f").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["f"]


def test_write_files_writes_without_sweeping_when_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*of: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (tmp_path / ".f.abcd_123.tmp").touch()
    monkeypatch.setattr(files.fcntl, "flock", refuse)
    write_files({tmp_path / "f": b"whole"})
    assert sorted(os.listdir(tmp_path)) == [".f.abcd_123.tmp", "f"]


def test_write_files_writes_without_sweeping_when_the_system_is_not_posix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".f.abcd_123.tmp").touch()
    monkeypatch.delattr(files, "fcntl")
    monkeypatch.setattr(sys, "platform", "win32")
    write_files({tmp_path / "f": b"whole"})
    with replacing(tmp_path / "g") as write:
        write(b"whole")
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == [".f.abcd_123.tmp", "f", "g"]
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes() == b"whole"


def test_write_files_follows_links_and_replaces_nothing_when_a_place_is_a_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder: Is a directory; pass another place$"):
        write_files({tmp_path / "link": b"new", tmp_path / "folder": b"new"})
    assert (tmp_path / "real").read_text() == "old"
    write_files({tmp_path / "link": b"new"})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    (tmp_path / "circle").symlink_to("circle")
    write_files({tmp_path / "circle": b"new"})
    assert (tmp_path / "circle").read_text() == "new"


def test_write_files_makes_the_directory_last_when_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []
    whole = os.fsync

    def watch(handle: int) -> None:
        there = sorted(name for name in os.listdir(tmp_path) if name[0] != ".")
        synced.append((os.path.sameopenfile(handle, folder), there))
        whole(handle)

    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "fsync", watch)
    write_files({tmp_path / "f": b"1", tmp_path / "g": b"2"})
    os.close(folder)
    assert synced[:2] == [(False, []), (False, [])]
    assert synced[-1] == (True, ["f", "g"])
