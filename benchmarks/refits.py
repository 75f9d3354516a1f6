"""What the fit to all data is worth, and what it costs to go on from the weights that were scored.

    python benchmarks/refits.py FOLDER --sets bike,m4-weekly --seeds 1

On the sets of validation.py: the MASE of the last cutoffs by a network that was fitted to all but
the last horizon before them, by one that was fitted anew to everything for as many epochs, and by
one that went on, a fifth of the epochs at a quarter of the rate; and the seconds of each on a core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from augmenting import CPU, Set, mase, median, split
from processes import markdown
from validation import SETS

from rnnforecast.backtest import training_ends
from rnnforecast.columns import DataConfig
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.estimation import fit_forecaster
from rnnforecast.forecaster import Forecaster
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.fitting import shortened
from rnnforecast.workflows.short_series import with_typical


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in given.sets.split(","):
        chosen = SETS[name](given.folder)
        parts = chosen if isinstance(chosen, list) else [chosen]
        found = [compared(part, seed) for part in parts for seed in range(given.seeds)]
        rows.append({"set": name} | pd.DataFrame(found).mean().map("{:.4g}".format).to_dict())
        print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def compared(chosen: Set, seed: int) -> dict[str, float]:
    """MASE and seconds of the three."""
    panel, known, index = split(chosen)
    settings = chosen.settings(seed)
    config = with_typical(resolve(settings, find_facts(known), DataConfig()), known)
    ends = training_ends(known.lengths, chosen.horizon)
    found: dict[str, float] = {}

    def judge(name: str, **more: Any) -> tuple[Forecaster, FitResult]:
        began = time.perf_counter()
        forecaster, result = fit_forecaster(known, device=CPU, **more)
        found[f"seconds {name}"] = time.perf_counter() - began
        found[name] = mase(median(forecaster, panel, index), chosen, panel, index)
        return forecaster, result

    scored, result = judge("before", config=config, ends=ends)
    judge("anew", config=config, stop_after=result.best_epoch)
    judge("going on", config=shortened(config), initial=scored.network)
    return found


if __name__ == "__main__":
    main()
