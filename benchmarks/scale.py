"""What grows with the data: seconds and memory to read, to train and to forecast.

    python benchmarks/scale.py FOLDER --repeats 3

writes made-up CSV files into FOLDER (about 0.8 GB; those that are there stay): 1,000 to 100,000
daily series of 100 rows, and one series of 100 thousand to 10 million minutes. Each is read by
`rnnforecast.data.reading.read_table`, timed after the imports, and given to `rnnforecast train`
with a horizon and `--preset fast --epochs 3 --no-refit`, and to `rnnforecast forecast` with the
model that comes of it, whole processes each. How many steps an epoch has, 16 to 24, and how wide a
network is, the rules settle by the number of windows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
from matrix import apart
from processes import markdown, run
from reading import WAYS, spread, timed, write

LENGTH, SERIES, ROWS = 100, (1_000, 10_000, 100_000), (100_000, 1_000_000, 10_000_000)
DAYS_AHEAD, MINUTES_AHEAD = 14, 60
EPOCHS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="what the names of the files are to begin with")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (series, length, horizon) in sizes().items():
        if not name.startswith(given.only):
            continue
        path = given.folder / f"{name}.csv"
        if not path.exists():
            apart(create, path, series, length)
        figures = [measured(path, horizon) for _ in range(given.repeats)]
        row = {"series": f"{series:,}", "rows": f"{series * length:,}"}
        for what in figures[0]:
            values = [each[what] for each in figures]
            row[what] = f"{median(values):.0f}" if what.endswith("MiB") else spread(values)
        rows.append(row)
        print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def sizes() -> dict[str, tuple[int, int, int]]:
    """By the name of a file: its series, their length, and the horizon."""
    many = {f"days-{series}": (series, LENGTH, DAYS_AHEAD) for series in SERIES}
    return many | {f"minutes-{rows}": (1, rows, MINUTES_AHEAD) for rows in ROWS}


def measured(path: Path, horizon: int) -> dict[str, float]:
    """Seconds and peak MiB of each command, of reading alone, and the seconds of an epoch."""
    read = timed(WAYS["rnnforecast"], path)
    with tempfile.TemporaryDirectory() as place:
        model, forecasts = Path(place) / "model", Path(place) / "forecasts.csv"
        asked = ["--horizon", str(horizon), "--preset", "fast", "--epochs", str(EPOCHS)]
        trained = run("train", str(path), *asked, "--no-refit", "--out", str(model))
        history = pd.read_csv(model / "history.csv")["seconds"]
        forecast = run("forecast", str(model), str(path), "--output", str(forecasts))
    return {
        "read, s": read["seconds"],
        "epoch, s": float(history.diff().median()),
        "train, s": trained.seconds,
        "forecast, s": forecast.seconds,
        "read, MiB": read["peak"],
        "train, MiB": trained.peak_mib,
        "forecast, MiB": forecast.peak_mib,
    }


def create(path: Path, series: int, length: int) -> None:
    """Write a file."""
    write(made_up(series, length), path)


def made_up(series: int, length: int) -> pa.Table:
    """Positive series with a season and a level of their own: of days, or of minutes if one."""
    rng = np.random.default_rng(0)
    season, step = (7, "1D") if series > 1 else (1440, "1min")
    times = pd.date_range("2000-01-01", periods=length, freq=step)
    form = "%Y-%m-%d" if step == "1D" else "%Y-%m-%d %H:%M:%S"
    place = np.arange(length)
    shape = 1 + 0.3 * np.sin(2 * np.pi * (place[None] / season + rng.random((series, 1))))
    noise = 1 + 0.1 * rng.standard_normal((series, length)).clip(-5, 5)
    values = 100 * np.exp(rng.standard_normal((series, 1))) * shape * noise
    written = pa.array(times.strftime(form).to_list()).take(pa.array(np.tile(place, series)))
    columns = {"ds": written, "y": values.ravel().round(3)}
    if series > 1:
        ids = np.repeat([f"series-{number:06d}" for number in range(series)], length)
        columns = {"unique_id": ids, **columns}
    return pa.table(columns)


if __name__ == "__main__":
    main()
