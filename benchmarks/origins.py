"""What 100 origins cost where one origin is scored: seconds and memory of whole processes.

    python benchmarks/origins.py FOLDER --repeats 3

FOLDER holds ETTh1.csv (see coverage.py). Both runs fit the same network once, before their first
cutoff, and forecast 96 steps of all seven columns from each cutoff, a day apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("options", nargs="*", help="after --: options of rnnforecast backtest")
    given = parser.parse_args()
    print("repeat,seconds_1,seconds_100,ratio,peak_mib_1,peak_mib_100", flush=True)
    ratios = []
    for repeat in range(given.repeats):
        (one, peak), (many, peaks) = (measure(given, windows) for windows in (1, 100))
        ratios.append(many / one)
        row = (repeat, f"{one:.1f}", f"{many:.1f}", f"{ratios[-1]:.2f}", peak, peaks)
        print(*row, sep=",", flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


def measure(given: argparse.Namespace, windows: int) -> tuple[float, int]:
    """Seconds and peak memory in MiB of one backtest."""
    command = [sys.executable, "-m", "rnnforecast", "backtest", str(given.folder / "ETTh1.csv")]
    command += ["--horizon", "96", "--step", "24", "--windows", str(windows), "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen([*command, *given.options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"backtest ended with {process.returncode}")
    return seconds, usage.ru_maxrss // 1024


if __name__ == "__main__":
    main()
