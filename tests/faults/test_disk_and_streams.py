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

from tests.cli.command import SAMPLES, TINY, Run, forked
from tests.faults.conditions import fill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="its devices and mounts are Linux's"),
]
PASSENGERS = SAMPLES / "passengers.csv"
FIT = ["--horizon", "2", *TINY]
COMMANDS = {
    "train": ["train", "newer.csv", "--out", "d", *FIT, "--seed", "1"],
    "update": ["update", "d", "newer.csv"],
    "forecast": ["forecast", "d", "--output", "table.csv"],
    "backtest": ["backtest", "newer.csv", *FIT, "--windows", "2", "--output", "table.csv"],
}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as earlier runs left it, and newer data."""
    directory = tmp_path_factory.mktemp("old")
    rows = PASSENGERS.read_text().splitlines(keepends=True)
    (directory / "older.csv").write_text("".join(rows[:-2]))
    (directory / "newer.csv").write_text("".join(rows))
    run = forked(directory, "train", "older.csv", "--out", "d", *FIT)
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


def assert_whole(directory: Path) -> None:
    """The model's files belong together, and nothing unfinished is beside them."""
    assert not [name for name in contents(directory) if name.endswith(".tmp")]
    stored = (directory / "d/forecasts.csv").read_text()
    assert forked(directory, "forecast", "d").stdout == stored


def assert_done(run: Run, directory: Path) -> None:
    """The run ended well, and its files are there, whole."""
    assert run.code == 0, run.stderr
    assert "error" not in run.stderr and "Warning" not in run.stderr, run.stderr
    assert_whole(directory)


@contextmanager
def mounted(directory: Path) -> Iterator[None]:
    """A small disk of its own over a directory, with what is in it; skips where none may be had."""
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        shutil.copytree(copy, directory, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_and_loses_nothing_when_the_disk_is_full(
    command: str, place: Path
) -> None:
    with mounted(place):
        fill(place)
        before = contents(place)
        run = forked(place, *COMMANDS[command])
        assert_failed(run, 1, "No space left on device; free space there")
        assert contents(place) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_and_loses_nothing_when_files_may_not_grow(
    command: str, place: Path
) -> None:
    before = contents(place)
    run = forked(place, *COMMANDS[command], conditions=["small files only"])
    assert_failed(run, 1, "File too large; raise the limit that ulimit -f shows")
    assert contents(place) == before


@pytest.mark.parametrize("command", ["train", "update"])
def test_program_goes_on_when_the_disk_is_full_at_its_checkpoints(
    command: str, place: Path
) -> None:
    before = contents(place)["d/model.safetensors"]
    with mounted(place):
        run = forked(place, *COMMANDS[command], conditions=["disk full at checkpoints"])
        assert_done(run, place)
        told = "warning: no checkpoint could be written: d/checkpoint.safetensors: No space left"
        assert told in run.stderr
        assert not (place / "d/checkpoint.safetensors").exists()
        assert contents(place)["d/model.safetensors"] != before


@pytest.mark.parametrize("command", COMMANDS)
def test_program_ends_in_one_line_before_it_works_when_the_place_is_read_only(
    command: str, place: Path
) -> None:
    with mounted(place):
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        before = contents(place)
        run = forked(place, *COMMANDS[command])
        assert_failed(run, 2, "Read-only file system; pass ")
        assert contents(place) == before


@pytest.mark.parametrize(
    ("command", "conditions"),
    [
        ("train", ["no terminal", "closed input"]),
        ("update", ["closed input", "closed error"]),
        ("forecast", ["closed error"]),
        ("backtest", ["closed input", "closed error"]),
    ],
)
def test_program_works_when_streams_are_closed(
    command: str, conditions: list[str], place: Path
) -> None:
    before = contents(place)
    run = forked(place, *COMMANDS[command], conditions=conditions)
    assert_done(run, place)
    changed = {name for name, content in contents(place).items() if content != before.get(name)}
    assert ("table.csv" in changed) == (command in ("forecast", "backtest"))
    assert ("d/forecasts.csv" in changed) == (command in ("train", "update"))
    assert run.stdout.startswith("model,") == (command != "forecast")


@pytest.mark.parametrize("command", ["train", "update", "backtest"])
def test_program_writes_its_files_and_ends_with_1_when_standard_output_is_closed(
    command: str, place: Path
) -> None:
    before = contents(place)
    run = forked(place, *COMMANDS[command], conditions=["closed output"])
    assert_failed(run, 1, "standard output is closed; redirect it, if only to /dev/null")
    assert_whole(place)
    assert contents(place) != before


@pytest.mark.parametrize("command", ["update", "backtest"])
def test_program_ends_in_one_line_when_standard_output_is_full(command: str, place: Path) -> None:
    run = forked(place, *COMMANDS[command], conditions=["full output"])
    assert_failed(run, 1, "standard output: No space left on device; free space there")
    assert_whole(place)


@pytest.mark.parametrize("command", COMMANDS)
def test_program_loses_nothing_when_standard_error_is_full(command: str, place: Path) -> None:
    before = contents(place)
    run = forked(place, *COMMANDS[command], conditions=["full error"])
    assert (run.code, run.stderr) == (0 if command == "forecast" else 1, "")
    if run.code:
        assert contents(place) == before
    else:
        assert_whole(place)


@pytest.mark.parametrize("name", ["two words $HOME;`x` [*] жёлтый-ñ-日本", "caf\udce9"])
def test_program_works_where_names_are_of_all_kinds(name: str, place: Path) -> None:
    place = place.rename(place.with_name(name))
    data, table = place / f"{name}.csv", place / f"{name}-table.csv"
    shutil.copy(place / "older.csv", data)
    run = forked(place, "forecast", "d", data, "--output", table)
    assert_done(run, place)
    assert table.read_text() == (place / "d/forecasts.csv").read_text()
    run = forked(place, "train", data, "--out", place / name, *FIT)
    shutil.copy(place / "newer.csv", data)
    if name.isprintable():
        assert_done(run, place)
        assert_done(forked(place, "update", place / name, data), place)
        assert (place / name / "model.safetensors").exists()
    else:
        assert_failed(run, 2, "is no name for a directory; pass another --out")
        assert not (place / name).exists()
        assert_done(forked(place, "update", "d", data), place)
        assert_done(forked(place, *COMMANDS["backtest"]), place)


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        ("train", {}),
        ("update", {"LANG": "C", "LC_ALL": "C", "HOME": "/proc/nowhere", "TMPDIR": "/proc/no"}),
    ],
    ids=["no HOME", "C, no place for temporaries"],
)
def test_process_works_when_its_environment_is_bare(
    command: str, environment: dict[str, str], place: Path
) -> None:
    (place / "d").rename(place / "жёлтый")
    (place / "d").symlink_to("жёлтый")
    before = contents(place)
    arguments = ["жёлтый" if part == "d" else str(part) for part in COMMANDS[command]]
    process = subprocess.run(
        [sys.executable, "-m", "rnnforecast", *arguments],
        cwd=place,
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    run = Run(process.returncode, process.stdout.decode(), process.stderr.decode())
    assert_done(run, place)
    assert contents(place)["жёлтый/model.safetensors"] != before["жёлтый/model.safetensors"]


def test_process_writes_its_files_when_all_its_streams_are_closed(place: Path) -> None:
    before = contents(place)["d/model.safetensors"]
    arguments = [sys.executable, "-m", "rnnforecast", *map(str, COMMANDS["update"])]
    command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *arguments]
    run = subprocess.run(command, cwd=place, capture_output=True)
    assert run.returncode == 1  # its table is lost
    assert_whole(place)
    assert contents(place)["d/model.safetensors"] != before


@pytest.mark.parametrize("command", ["forecast", "update", "selftest", "models"])
def test_process_ends_in_one_line_when_its_directory_has_been_removed(
    command: str, place: Path
) -> None:
    before = contents(place)
    arguments = {"forecast": [place / "d"], "update": [place / "d", place / "newer.csv"]}
    process = subprocess.run(
        [
            *("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"),
            *(sys.executable, "-m", "rnnforecast", command, *map(str, arguments.get(command, []))),
        ],
        cwd=place,
        capture_output=True,
        text=True,
    )
    run = Run(process.returncode, process.stdout, process.stderr)
    if command == "models":
        assert (run.code, run.stderr) == (0, "")
    else:
        assert_failed(run, 2, "the working directory has been removed; change to one that exists")
    assert contents(place) == before
