"""Files appear whole or not at all, all of them together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnforecast.data import files
from rnnforecast.data.files import check_place, write_files
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
