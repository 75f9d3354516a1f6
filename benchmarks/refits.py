"""What the fit to all data is worth, how long it should be, and what it costs.

    python benchmarks/refits.py FOLDER --sets bike,m4-weekly --seeds 2 --earlier 1

On the sets of validation.py, whole and without the newest horizon of each series, or as many as
`--earlier` says: the MASE of the last cutoffs by a network that was fitted to all but the last
horizon before them, by some that were fitted to everything from the start, for as many epochs as
served best, for as many as that one took, and for all, and by one that went on, a fifth of the
epochs at a quarter of the rate; and the seconds of each on a core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from augmenting import CPU, Set, mase, median, split
from processes import markdown
from validation import SETS

from rnnforecast.backtest import training_ends
from rnnforecast.columns import DataConfig
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.workflows.fitting import as_long, continued
from rnnforecast.workflows.short_series import with_typical


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--earlier", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in given.sets.split(","):
        chosen = SETS[name](given.folder)
        parts = chosen if isinstance(chosen, list) else [chosen]
        for earlier in range(given.earlier + 1):
            cut = [without_newest(part, earlier) for part in parts]
            left = [part for part in cut if part.series]
            found = [compared(part, seed) for part in left for seed in range(given.seeds)]
            figures = pd.DataFrame(found).mean().map("{:.4g}".format).to_dict()
            rows.append({"set": name, "earlier": earlier} | figures)
            print(rows[-1], flush=True)
    print(f"\n{markdown(pd.DataFrame(rows))}")


def without_newest(chosen: Set, horizons: int) -> Set:
    """Each series without its last horizons, but those that this leaves no two seasons."""
    if not horizons:
        return chosen
    newest = horizons * chosen.horizon
    least = newest + chosen.horizon + max(2 * chosen.season + 2, 6)
    return replace(chosen, series=[each[:-newest] for each in chosen.series if len(each) >= least])


def compared(chosen: Set, seed: int) -> dict[str, float]:
    """MASE and seconds of each."""
    panel, known, index = split(chosen)
    settings = chosen.settings(seed)
    config = with_typical(resolve(settings, find_facts(known), DataConfig()), known)
    ends = training_ends(known.lengths, chosen.horizon)
    began = time.perf_counter()
    scored, result = fit_forecaster(known, config, device=CPU, ends=ends)
    seconds = {"seconds before": time.perf_counter() - began}
    found = {"before": mase(median(scored, panel, index), chosen, panel, index)}
    best = replace(config, training=replace(config.training, epochs=result.best_epoch))
    ran = as_long(config, result)
    for name, used, initial in (
        ("best epochs", best, None),
        ("as long", ran, None),
        ("all epochs", config, None),
        ("going on", continued(ran), scored.network),
    ):
        began = time.perf_counter()
        forecaster, _ = fit_forecaster(known, used, device=CPU, initial=initial)
        seconds[f"seconds {name}"] = time.perf_counter() - began
        forecaster.network.shrinkage.copy_(scored.network.shrinkage)
        found[name] = mase(median(forecaster, panel, index), chosen, panel, index)
    return found | seconds


if __name__ == "__main__":
    main()
