"""What gaps cost: rows of the history left masked, or dropped and the series closed up.

    python benchmarks/gaps.py --seeds 3

Both data sets lie in sample_data. A fifth of the rows before the first cutoff is taken away, as one
block that ends a few horizons before it or as rows here and there. `masked` is the table without
them, as it comes; `dropped` has the rows before a gap moved up to it, as if the others had never
been, so that phases of the season shift. All are scored at the same cutoffs by the same actual
values, all of them observed. A cost is how much higher the MAE is than with every row. `--choose`
leaves out the part that is scored otherwise: variants were compared by what lies before.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from processes import markdown, run

SAMPLES = Path(__file__).parents[1] / "sample_data"
SHARE = 0.2


@dataclass(frozen=True)
class Case:
    """A file, its columns, and how it is scored."""

    name: str
    series: str | None
    time: str
    target: str
    horizon: int
    windows: int
    step: int

    @property
    def held_out(self) -> int:
        """Rows of each series from the first cutoff on."""
        return self.horizon + (self.windows - 1) * self.step


CASES = (
    Case("passengers", None, "month", "passengers", horizon=12, windows=13, step=1),
    Case("demand", "unique_id", "ds", "y", horizon=24, windows=14, step=12),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="gru")
    parser.add_argument("--data", default=",".join(case.name for case in CASES))
    parser.add_argument("--choose", action="store_true", help="leave out what is scored otherwise")
    given = parser.parse_args()
    rows = []
    for case in CASES:
        if case.name not in given.data.split(","):
            continue
        table = pd.read_csv(SAMPLES / f"{case.name}.csv")
        if given.choose:
            table = pd.concat(series[: -case.held_out] for series in split(table, case))
        for seed in range(given.seeds):
            rows += compared(table, case, given.model, seed)
            print(rows[-2], rows[-1], sep="\n", flush=True)
    print(f"\n{markdown(summary(pd.DataFrame(rows)))}")


def compared(table: pd.DataFrame, case: Case, model: str, seed: int) -> list[dict[str, object]]:
    """A row for each kind of gap: the MAE of the full, the masked and the closed-up series."""
    full = score(table, case, model, seed)
    rows = []
    for kind in ("block", "scattered"):
        series = split(table, case)
        kept = [with_gaps(each, case, kind, seed) for each in series]
        masked = score(pd.concat(kept), case, model, seed)
        closed = [closed_up(part, whole, case) for part, whole in zip(kept, series, strict=True)]
        dropped = score(pd.concat(closed), case, model, seed)
        maes = {"full": full, "masked": masked, "dropped": dropped}
        rows.append({"data": case.name, "gap": kind, "seed": seed, **maes})
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The means over seeds, and what share of the cost of dropping rows masking them has."""
    mean = rows.groupby(["data", "gap"], sort=False)[["full", "masked", "dropped"]].mean()
    ratio = (mean["masked"] - mean["full"]) / (mean["dropped"] - mean["full"])
    return mean.assign(ratio=ratio).map("{:.3f}".format).reset_index()


def split(table: pd.DataFrame, case: Case) -> list[pd.DataFrame]:
    """The series of a table."""
    if case.series is None:
        return [table]
    return [rows for _, rows in table.groupby(case.series, sort=False)]


def with_gaps(series: pd.DataFrame, case: Case, kind: str, seed: int) -> pd.DataFrame:
    """Without a fifth of the rows before the first cutoff; the first and the last of these stay."""
    history = len(series) - case.held_out
    count = round(SHARE * history)
    if kind == "block":
        end = history - case.horizon * (1 + seed)
        gone = np.arange(end - count, end)
    else:
        gone = 1 + np.random.default_rng(seed).permutation(history - 2)[:count]
    return series.drop(series.index[gone])


def closed_up(kept: pd.DataFrame, whole: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The rows that are left, on the newest times of the whole series."""
    return kept.assign(**{case.time: whole[case.time].to_numpy()[-len(kept) :]})


def score(table: pd.DataFrame, case: Case, model: str, seed: int) -> float:
    """The MAE of a backtest; the times of its forecasts must be those of the rows held out."""
    with tempfile.TemporaryDirectory() as directory:
        path, output = Path(directory) / "series.csv", Path(directory) / "forecasts.csv"
        table.to_csv(path, index=False)
        options = ["--horizon", case.horizon, "--windows", case.windows, "--step", case.step]
        options += ["--models", model, "--seed", seed, "--output", output]
        scored = run("backtest", str(path), *map(str, options)).table
        forecasts = pd.read_csv(output)
        expected = {
            time for rows in split(table, case) for time in rows[case.time][-case.held_out :]
        }
        if set(forecasts[case.time]) != expected or forecasts["y"].isna().any():
            raise SystemExit(f"{case.name}: forecasts are not of the rows held out")
    return float(scored.set_index("model").loc[model, "mae"])


if __name__ == "__main__":
    main()
