"""What 100 origins cost where one origin is scored: seconds and memory of whole processes.

    python benchmarks/origins.py FOLDER --repeats 3

FOLDER holds ETTh1.csv (see coverage.py). Both runs fit the same network once, before their first
cutoff, and forecast 96 steps of all seven columns from each cutoff, a day apart.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from processes import run


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
    words = ["backtest", str(given.folder / "ETTh1.csv"), "--horizon", "96", "--step", "24"]
    taken = run(*words, "--windows", str(windows), *given.options)
    return taken.seconds, taken.peak_mib


if __name__ == "__main__":
    main()
