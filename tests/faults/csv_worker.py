"""Runs the program on mutated tables, many in one process, within limits of memory and time.

`python -m tests.faults.csv_worker DIRECTORY FIRST LAST` prints a line of JSON before and after each
case; a process that is killed leaves the first of them alone.
"""

from __future__ import annotations

import io
import json
import re
import resource
import signal
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import torch

from tests.cli.command import Run, run_here
from tests.faults.csv_mutations import forecasts, mutate, seeds

# Of the processor; ten times as many of the clock, as other processes may keep it busy.
SECONDS = 10
MEMORY = 2**30
FIT = ["--epochs", "1", "--hidden-size", "4", "--horizon", "2", "--batch-size", "8"]


def arguments(place: Path, number: int) -> list[str | Path]:
    """The command of a case, its files written."""
    chance = Random(number)
    name = chance.choice(list(seeds()))
    model, content = seeds()[name]
    kind = chance.random()
    if kind < 0.12:
        (place / "forecasts.csv").write_bytes(forecasts())
        (place / "actuals.csv").write_bytes(seeds()["daily"][1])
        faulty = place / chance.choice(("forecasts.csv", "actuals.csv"))
        faulty.write_bytes(mutate(faulty.read_bytes(), chance))
        return ["evaluate", "forecasts.csv", "actuals.csv"]
    (place / "data.csv").write_bytes(mutate(content, chance))
    if kind < 0.2:
        return ["train", "data.csv", "--out", f"out-{number}", *FIT]
    if not (place / model).exists():
        (place / "sound.csv").write_bytes(seeds()[model][1])
        run = run_here(place, "train", "sound.csv", "--out", model, "-q", *FIT)
        assert run.code == 0, run.stderr
    return ["forecast", model, "data.csv"]


def fault(command: str, run: Run) -> str | None:
    """What is wrong with how the program ended, None where nothing is."""
    lines = run.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if "Traceback" in run.stderr or re.search(r"^\S+:\d+: \w*Warning: ", run.stderr, re.M):
        return "Python shows through"
    if run.code:
        allowed = {2, 3, 4} | ({5} if command == "train" else set())
        if run.code not in allowed or run.stdout or len(errors) != 1 or lines[-1:] != errors:
            return "not ended in one line with its exit code"
        return None if "; " in errors[0] or "Try" in errors[0] else "no remedy"
    if errors:
        return "an error, but exit code 0"
    try:
        table = pd.read_csv(io.StringIO(run.stdout), dtype={0: "str", 1: "str"})
    except ValueError as error:
        return f"no table: {error}"
    if command != "forecast":
        return None if len(table) and "model" in table else "no table of metrics"
    numbers = table.iloc[:, 2:].to_numpy()
    if not len(table) or len(table) % 2 or numbers.dtype != np.float64 or np.isnan(numbers).any():
        return "no table of forecasts"
    median, low, high = numbers[:, 0], numbers[:, 1::2], numbers[:, 2::2]
    inside = (low <= median[:, None]).all() and (median[:, None] <= high).all()
    return None if inside else "intervals without their median"


def main(place: Path, first: int, last: int) -> None:
    """Run the cases from `first` to before `last`."""
    torch.set_num_threads(1)
    arguments(place, first)
    run_here(place, "models")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in range(first, last):
        command = arguments(place, number)
        print(json.dumps({"number": number}), flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(10 * SECONDS)
        began = time.process_time()
        run = run_here(place, *command)
        seconds = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        wrong = fault(str(command[0]), run)
        case = {"number": number, "command": command[0], "code": run.code, "seconds": seconds}
        case["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        if wrong:
            case |= {"fault": wrong, "stderr": run.stderr[-500:], "stdout": run.stdout[:300]}
        print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
