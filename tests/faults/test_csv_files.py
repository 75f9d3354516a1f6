"""Mutated tables: each is read rightly or refused in one line, soon and in little memory.

Exit code 0 comes with a whole table; 2 is for a setting that the data make unusable, 3 for the data
themselves; 5 is right only for `train`, where values are such that training diverges. Nothing may
end with 1 (a bug, or more memory than a gigabyte), nor be killed for the time it takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run_here
from tests.faults.csv_mutations import seeds
from tests.faults.csv_worker import FIT

ROOT = Path(__file__).parents[2]


def cases(directory: Path, first: int, last: int) -> list[dict[str, Any]]:
    """What became of the cases; where one kills its process, another goes on after it."""
    done: list[dict[str, Any]] = []
    while first < last:
        command = [sys.executable, "-W", "always", "-m", "tests.faults.csv_worker"]
        run = subprocess.run(
            [*command, str(directory), str(first), str(last)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert lines, run.stderr
        done += [line for line in lines if "code" in line]
        if "code" not in lines[-1]:
            done.append({**lines[-1], "fault": f"killed with {run.returncode}", "code": None})
        first = lines[-1]["number"] + 1
    return done


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_program_reads_or_refuses_a_table_in_one_line_when_it_is_mutated(
    tmp_path: Path, trials: Callable[[int, int], int]
) -> None:
    count = trials(20, 10_000)
    done = cases(tmp_path, 0, count)
    codes = Counter((case.get("command"), case["code"]) for case in done)
    slowest = max(done, key=lambda case: case.get("seconds", 0))
    largest = max(case.get("memory", 0) for case in done)
    print(f"{dict(codes)}; slowest {slowest}; {largest:.0f} MiB")
    faulty = [case for case in done if "fault" in case]
    assert not faulty, json.dumps(faulty)
    assert len(done) == count
    assert {code for _, code in codes} >= {0, 3}


@pytest.mark.parametrize("name", ["daily", "packed", "utf-16", "zoned", "steps"])
def test_program_trains_on_a_table_when_nothing_is_mutated(name: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(seeds()[name][1])
    run = run_here(tmp_path, "train", "data.csv", "--out", "d", *FIT)
    assert run.code == 0, run.stderr
