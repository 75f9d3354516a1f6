"""Disks that take no more, streams that are closed, homes that are not there, names of all kinds.

Whatever happens, the run ends with its exit code and one line, old files are as they were or new
ones whole, and no temporary is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import SAMPLES, TINY, Run, run_here
from tests.faults.warm import Warm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="its devices and mounts are Linux's"),
]
PASSENGERS = SAMPLES / "passengers.csv"
FIT = ["--horizon", "2", *TINY]
COMMANDS = {
    "train": ["train", PASSENGERS, "--out", "d", *FIT, "--seed", "1"],
    "forecast": ["forecast", "d", "--output", "table.csv"],
    "backtest": ["backtest", PASSENGERS, *FIT, "--windows", "2", "--output", "table.csv"],
}


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """The program, loaded."""
    process = Warm()
    yield process
    process.close()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as earlier runs left it."""
    directory = tmp_path_factory.mktemp("old")
    run = run_here(directory, "train", PASSENGERS, "--out", "d", *FIT)
    assert run.code == 0, run.stderr
    (directory / "table.csv").write_text("old\n")
    return directory


@pytest.fixture
def place(old: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(old, tmp_path / "place")
    return tmp_path / "place"


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def assert_failed(run: Run, code: int, message: str) -> None:
    """One line, beside notes, that ends with a remedy."""
    assert run.code == code, run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert errors == run.stderr.splitlines()[-1:], run.stderr
    assert message in errors[0] and "; " in errors[0], errors
    assert "Traceback" not in run.stderr and "Warning" not in run.stderr


def assert_done(run: Run, directory: Path) -> None:
    """The run ended well, and its files are there, whole."""
    assert run.code == 0, run.stderr
    assert "error" not in run.stderr and "Warning" not in run.stderr, run.stderr
    assert not [name for name in contents(directory) if name.endswith(".tmp")]
    assert (
        run_here(directory, "forecast", "d").stdout == (directory / "d/forecasts.csv").read_text()
    )


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    """A small disk of its own over a directory, with what is in it; skips where none may be had."""
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        shutil.copytree(copy, directory, dirs_exist_ok=True)
        if options == "full":
            with (directory / "filler").open("wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(bytes(4096))
                except OSError:
                    pass
        else:
            subprocess.run(["mount", "-o", f"remount,{options}", str(directory)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_and_loses_nothing_when_the_disk_is_full(
    command: str, place: Path, warm: Warm
) -> None:
    with mounted(place, "full"):
        before = contents(place)
        run = warm.run(place, *COMMANDS[command])
        assert_failed(run, 1, "No space left on device; free space there")
        assert contents(place) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_and_loses_nothing_when_files_may_not_grow(
    command: str, place: Path, warm: Warm
) -> None:
    before = contents(place)
    run = warm.run(place, *COMMANDS[command], conditions=["small files only"])
    assert_failed(run, 1, "File too large; raise the limit that ulimit -f shows")
    assert contents(place) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_before_it_works_when_the_place_is_read_only(
    command: str, place: Path, warm: Warm
) -> None:
    with mounted(place, "ro"):
        before = contents(place)
        run = warm.run(place, *COMMANDS[command])
        assert_failed(run, 2, "Read-only file system; pass ")
        assert contents(place) == before


@pytest.mark.parametrize(
    ("command", "conditions"),
    [
        ("train", ["no terminal"]),
        ("train", ["closed input", "closed output", "closed error"]),
        ("forecast", ["closed input"]),
        ("forecast", ["closed output"]),
        ("forecast", ["closed error"]),
        ("backtest", ["closed error"]),
        ("backtest", ["closed output", "closed error"]),
    ],
)
def test_program_works_when_streams_are_closed(
    command: str, conditions: list[str], place: Path, warm: Warm
) -> None:
    run = warm.run(place, *COMMANDS[command], conditions=conditions)
    assert_done(run, place)
    table = (place / "table.csv").read_text()
    assert (table == "old\n") == (command == "train")
    if "closed output" not in conditions and command != "forecast":
        assert run.stdout.startswith("model,")


@pytest.mark.parametrize("command", ["train", "backtest"])
def test_program_ends_in_one_line_when_standard_output_is_full(
    command: str, place: Path, warm: Warm
) -> None:
    run = warm.run(place, *COMMANDS[command], conditions=["full output"])
    assert_failed(run, 1, "standard output: No space left on device; free space there")
    assert not [name for name in contents(place) if name.endswith(".tmp")]
    stored = (place / "d/forecasts.csv").read_text()
    assert run_here(place, "forecast", "d").stdout == stored


@pytest.mark.parametrize("command", COMMANDS)
def test_program_loses_nothing_when_standard_error_is_full(
    command: str, place: Path, warm: Warm
) -> None:
    before = contents(place)
    run = warm.run(place, *COMMANDS[command], conditions=["full error"])
    assert (run.code, run.stderr) == (0 if command == "forecast" else 1, "")
    if run.code:
        assert contents(place) == before
    else:
        assert_done(run, place)


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_when_its_directory_has_been_removed(
    command: str, place: Path, warm: Warm
) -> None:
    before = contents(place)
    run = warm.run(place, *COMMANDS[command], conditions=["directory removed"])
    assert run.code in (2, 4)
    assert_failed(run, run.code, "; ")
    assert contents(place) == before


@pytest.mark.parametrize("name", ["two words", "$HOME;`x`", "жёлтый-ñ-日本", "[*]", "caf\udce9"])
def test_program_works_where_names_are_of_all_kinds(name: str, place: Path, warm: Warm) -> None:
    place = place.rename(place.with_name(name))
    data, table = place / f"{name}.csv", place / f"{name}-table.csv"
    shutil.copy(PASSENGERS, data)
    run = warm.run(place, "forecast", "d", data, "--output", table)
    assert_done(run, place)
    assert table.read_text() == (place / "d/forecasts.csv").read_text()
    run = warm.run(place, "train", data, "--out", place / name, *FIT)
    if name.isprintable():
        assert_done(run, place)
        assert (place / name / "model.safetensors").exists()
    else:
        assert_done(warm.run(place, *COMMANDS["backtest"]), place)
        assert_failed(run, 2, "is no name for a directory; pass another --out")
        assert not (place / name).exists()


@pytest.mark.parametrize(
    "environment",
    [{}, {"LANG": "C", "LC_ALL": "C", "HOME": "/proc/nowhere", "TMPDIR": "/proc/nowhere"}],
    ids=["no HOME", "C, no place for temporaries"],
)
def test_process_works_when_its_environment_is_bare(
    environment: dict[str, str], place: Path
) -> None:
    (place / "жёлтый").mkdir()
    command = [sys.executable, "-m", "rnnforecast", *map(str, COMMANDS["train"])]
    command[command.index("d")] = "жёлтый/d"
    process = subprocess.run(
        command,
        cwd=place,
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    run = Run(process.returncode, process.stdout.decode(), process.stderr.decode())
    assert_done(run, place)
    assert (place / "жёлтый/d/model.safetensors").exists()


def test_process_works_when_its_streams_are_closed(place: Path) -> None:
    arguments = [sys.executable, "-m", "rnnforecast", *map(str, COMMANDS["train"])]
    command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *arguments]
    run = subprocess.run(command, cwd=place, capture_output=True)
    assert_done(Run(run.returncode, "", ""), place)
