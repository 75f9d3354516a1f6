"""Compiling once, and what is done where that cannot be."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from rnnforecast.native import load_library

compiled = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
SOURCE = 'extern "C" int answer(void) { return 42; }\n'
compile_and_load = load_library.__wrapped__


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "answer.cpp"
    path.write_text(SOURCE)
    return path


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "rnnforecast").glob("*"))


@compiled
def test_library_is_compiled_once_when_it_is_loaded_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compile_and_load(source).answer() == 42
    (library,) = kept(tmp_path)
    made = library.stat().st_mtime_ns
    assert library.name.startswith("answer-") and library.suffix == ".so"
    assert stat.S_IMODE(library.parent.stat().st_mode) == 0o700
    assert compile_and_load(source).answer() == 42
    assert kept(tmp_path) == [library] and library.stat().st_mtime_ns == made


@compiled
def test_library_is_compiled_anew_when_the_source_changes(source: Path, tmp_path: Path) -> None:
    compile_and_load(source)
    source.write_text(SOURCE.replace("42", "43"))
    assert compile_and_load(source).answer() == 43
    assert len(kept(tmp_path)) == 2


@compiled
def test_library_is_not_kept_when_others_may_write_where_it_would_be(
    source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "rnnforecast"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert compile_and_load(source).answer() == 42
    assert kept(tmp_path) == []


@compiled
def test_library_is_not_kept_when_there_is_no_place(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_and_load(source).answer() == 42


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("no-such-compiler", "there is no C\\+\\+ compiler no-such-compiler"),
        ("", "there is no C\\+\\+ compiler"),
        ("ccache 'c++", "CXX is no command: ccache 'c\\+\\+"),
        ("false", ".*false failed: exit code 1"),
    ],
)
def test_reason_is_told_when_there_is_no_compiler_that_works(
    compiler: str, reason: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(OSError, match=f"^{reason}$"):
        compile_and_load(source)
    assert not kept(tmp_path)


@compiled
def test_reason_is_the_compilers_when_the_source_is_wrong(source: Path, tmp_path: Path) -> None:
    source.write_text("this is no program\n")
    with pytest.raises(OSError, match="failed: "):
        compile_and_load(source)
    assert not kept(tmp_path)


@compiled
def test_library_is_made_anew_when_what_is_kept_is_damaged(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_and_load(source)
    (library,) = kept(tmp_path)
    # In another folder, as a process loads what it calls by one name once.
    damaged = tmp_path / "other" / "rnnforecast" / library.name
    damaged.parent.mkdir(parents=True, mode=0o700)
    damaged.write_text("no library")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert compile_and_load(source).answer() == 42
    assert damaged.read_bytes() == library.read_bytes()


@compiled
def test_library_is_loaded_when_the_compiler_writes_what_is_no_text(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nprintf "\\377 a warning\\n" >&2\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert compile_and_load(source).answer() == 42


@compiled
def test_library_is_not_kept_when_its_place_is_not_absolute(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert compile_and_load(source).answer() == 42
    assert not (tmp_path / "relative").exists()
    assert len(list((tmp_path / "home" / ".cache" / "rnnforecast").glob("answer-*.so"))) == 1
