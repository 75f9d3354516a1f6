"""A large table read and checked, beside pandas' fastest way of reading it alone.

    python benchmarks/reading.py FOLDER

writes files of ten million rows of `unique_id,ds,y` into FOLDER (about 1.7 GB; those that are there
stay): 10,000 series of 1,000 rows each. Each is read by `pandas.read_csv(path, engine="pyarrow")`,
which checks nothing, and by `rnnforecast.data.reading.read_table`, which also hashes it, finds its
columns and checks widths, numbers, times, duplicates, frequency and gaps. Every reading is a
process of its own, the two in turn, timed after the imports. The peak is VmHWM of the whole process
(Linux); `table` is what the frame that pandas returns takes (`memory_usage(deep=True)`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
from processes import markdown
from pyarrow import csv

SERIES, LENGTH = 10_000, 1_000

TIMED = """
import json, re, sys, time
import pandas, pyarrow.csv
{imports}
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
began, used = time.perf_counter(), time.process_time()
{read}
seconds, used = time.perf_counter() - began, time.process_time() - used
figures = dict(seconds=seconds, cpu=used, before=before, peak=peak(), table={size})
print(json.dumps(figures))
"""
WAYS = {
    "pandas": TIMED.format(
        imports="",
        read="frame = pandas.read_csv(sys.argv[1], engine='pyarrow')",
        size="int(frame.memory_usage(deep=True).sum()) / 2**20",
    ),
    "rnnforecast": TIMED.format(
        imports="from rnnforecast.columns import DataConfig\n"
        "from rnnforecast.data.reading import read_table",
        read="table = read_table(sys.argv[1], DataConfig())",
        size="table.panel.values.nbytes / 2**20",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--files", default=",".join(FILES))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in given.files.split(","):
        path = given.folder / f"{name}.csv"
        if not path.exists():
            write(FILES[name](), path)
        measured: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(given.repeats):
            for way, code in WAYS.items():
                measured[way].append(timed(code, path))
        rows.append({"file": name, **summary(**measured)})
        print(json.dumps(rows[-1]), flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def timed(code: str, path: Path) -> dict[str, float]:
    """The figures of one process."""
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def summary(pandas: list[dict[str, float]], rnnforecast: list[dict[str, float]]) -> dict[str, str]:
    """The row of a file: medians, and the least and most; ratios are of neighbouring runs."""
    ratios = sorted(
        own["seconds"] / other["seconds"] for own, other in zip(rnnforecast, pandas, strict=True)
    )
    size = pandas[0]["table"]
    peak = max(each["peak"] for each in rnnforecast)
    return {
        "pandas s": spread([each["seconds"] for each in pandas]),
        "rnnforecast s": spread([each["seconds"] for each in rnnforecast]),
        "ratio": f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        "CPU s": " / ".join(
            f"{median(each['cpu'] for each in runs):.2f}" for runs in (pandas, rnnforecast)
        ),
        "table MiB": f"{size:.0f}",
        "pandas peak MiB": f"{max(each['peak'] for each in pandas):.0f}",
        "peak MiB": f"{peak:.0f}",
        "of it imports": f"{rnnforecast[0]['before']:.0f}",
        "peak / table": f"{peak / size:.2f}",
    }


def spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def table(times: pa.Array) -> pa.Table:
    """Series after series, each with the same times."""
    values = np.random.default_rng(0).normal(100, 20, SERIES * LENGTH).round(3)
    ids = np.repeat([f"series-{number:05d}" for number in range(SERIES)], LENGTH)
    place = np.tile(np.arange(LENGTH), SERIES)
    return pa.table({"unique_id": ids, "ds": times.take(pa.array(place)), "y": values})


def clock(step: str) -> pa.Array:
    """Times in ISO 8601 from 2020 on."""
    times = pd.date_range("2020-01-01", periods=LENGTH, freq=step)
    form = "%Y-%m-%d" if step == "1D" else "%Y-%m-%d %H:%M:%S"
    return pa.array(times.strftime(form).to_list())


def shuffled(rows: pa.Table) -> pa.Table:
    """The rows in any order."""
    return rows.take(pa.array(np.random.default_rng(1).permutation(len(rows))))


def by_time(rows: pa.Table) -> pa.Table:
    """All series of a time after each other."""
    return rows.take(pa.array(np.arange(len(rows)).reshape(SERIES, LENGTH).T.ravel()))


def gappy(rows: pa.Table) -> pa.Table:
    """Without one row in a hundred."""
    return rows.filter(pa.array(np.random.default_rng(2).random(len(rows)) > 0.01))


def write(rows: pa.Table, path: Path) -> None:
    """As a CSV file without quotes below the header."""
    csv.write_csv(rows, path, csv.WriteOptions(quoting_style="none"))


FILES = {
    "hourly": lambda: table(clock("1h")),
    "daily": lambda: table(clock("1D")),
    "steps": lambda: table(pa.array(np.arange(LENGTH))),
    "shuffled": lambda: shuffled(table(clock("1h"))),
    "by-time": lambda: by_time(table(clock("1h"))),
    "gappy": lambda: gappy(table(clock("1h"))),
}


if __name__ == "__main__":
    main()
