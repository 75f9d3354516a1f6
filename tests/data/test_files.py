"""Files appear whole or not at all, all of them together."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from rnnforecast.data import files
from rnnforecast.data.files import check_place, replacing, write_files
from rnnforecast.errors import ConfigError, OutputError


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

    def fail_at_second(path: Path, content: bytes) -> None:
        if content == b"2":
            raise error
        whole(path, content)

    monkeypatch.setattr(files, "_write_through", fail_at_second)
    with pytest.raises((OutputError, KeyboardInterrupt)) as raised:
        write_files({first: b"1", second: b"2"})
    if isinstance(error, OSError):
        assert str(raised.value) == f"{second}: No space left on device; free space there"
    assert first.read_text() == "old"
    assert os.listdir(tmp_path) == ["first"]


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
    ("number", "remedy"), [(errno.ENOSPC, "free space there"), (errno.EIO, "pass another place")]
)
def test_replacing_raises_with_a_remedy_when_the_disk_fails(
    moment: str, number: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.csv"
    path.write_text("old")

    def fail(*of: object) -> None:
        raise OSError(number, os.strerror(number))

    class FullFile(io.BytesIO):
        write = fail  # type: ignore[assignment]

    if moment == "write":
        monkeypatch.setattr(Path, "open", lambda *of: FullFile())
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
