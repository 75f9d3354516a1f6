"""What each choice of the defaults is worth, on validation windows.

    python benchmarks/choices.py FOLDER --seeds 2

FOLDER holds the files of sets.py. Every set of validation.py is trained with the defaults and with
one thing changed; each training is that of `rnnforecast train` without the second fit. Figures are
by how many percent the MASE of the last cutoffs differs from that of the defaults with the same
seed, so that what a kept part is worth stands with a plus at what it replaced. One thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from augmenting import CPU, Set, mase, median, split
from processes import markdown
from validation import SETS

from rnnforecast.backtest import training_ends
from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.estimation.fitting import fit_forecaster
from rnnforecast.models.linear_start import Sample
from rnnforecast.workflows.short_series import with_typical

Patch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is not as the defaults have it.

    Attributes:
        settings: What the user could ask for.
        config: What the rules have settled, changed.
        code: A part of the program, replaced.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    config: Callable[[RunConfig], RunConfig] = lambda config: config
    code: Patch = nullcontext


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--changes", default=",".join(CHANGES))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("set,change,seed,mase,percent,seconds", flush=True)
    for name in given.sets.split(","):
        chosen = SETS[name](given.folder)
        for seed in range(given.seeds):
            reference = 0.0
            for change in ("defaults", *given.changes.split(",")):
                began = time.perf_counter()
                error = measure(chosen, CHANGES.get(change, Change()), seed)
                reference = reference or error
                percent, seconds = 100 * (error / reference - 1), time.perf_counter() - began
                rows.append((name, change, seed, error, percent))
                row = f"{name},{change},{seed},{error:.5f},{percent:.2f},{seconds:.1f}"
                print(row, flush=True)
    columns = ["set", "change", "seed", "mase", "percent"]
    print(f"\n{markdown(summary(pd.DataFrame(rows, columns=columns)))}")


def measure(chosen: Set | list[Set], change: Change, seed: int) -> float:
    """The mean MASE from the last cutoffs, over several sets the mean of theirs."""
    if isinstance(chosen, list):
        return float(np.mean([measure(each, change, seed) for each in chosen]))
    panel, known, index = split(chosen)
    settings = chosen.settings(seed, **change.settings)
    config = change.config(resolve(settings, find_facts(known), DataConfig()))
    ends = training_ends(known.lengths, chosen.horizon)
    with change.code():
        forecaster, _ = fit_forecaster(known, with_typical(config, known), device=CPU, ends=ends)
    return mase(median(forecaster, panel, index), chosen, panel, index)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a set: the default's MASE, and the mean change in percent; at last the mean of all."""
    changed = rows[rows["change"] != "defaults"]
    table = changed.pivot_table("percent", "set", "change", sort=False)
    table.loc["mean"] = table.mean()
    shown = table.map("{:+.1f}".format)
    base = rows[rows["change"] == "defaults"].groupby("set")["mase"].mean()
    shown.insert(0, "MASE", base.reindex(shown.index).map("{:.3f}".format))
    return shown.reset_index()


def of_training(**values: Any) -> Change:
    """Other values of what is settled for training."""
    return Change(config=lambda it: replace(it, training=replace(it.training, **values)))


def of_one_lookback(config: RunConfig) -> RunConfig:
    """All members read what the rule says of one."""
    lookbacks = config.model.lookbacks
    middle = sorted(lookbacks)[len(lookbacks) // 2]
    return replace(
        config,
        windows=replace(config.windows, lookback=middle),
        model=replace(config.model, lookbacks=(middle,) * len(lookbacks)),
    )


def _naive(sample: Sample, forecasters: Sequence[torch.Tensor]) -> torch.Tensor:
    """The seasonal naive of the main season."""
    return forecasters[min(1, len(forecasters) - 1)][0]


def starting(start: Callable[..., torch.Tensor]) -> Change:
    """Another start of the linear skip."""
    return Change(code=lambda: patch("rnnforecast.models.skip.linear_start", start))


def starting_with(name: str, value: Any) -> Change:
    """Another value of a constant of the linear start."""
    return Change(code=lambda: patch(f"rnnforecast.models.linear_start.{name}", value))


def skipping(share: float) -> Change:
    """Other steps of the linear skip, as a share of those of other weights."""
    return Change(code=lambda: patch("rnnforecast.models.skip.STEP_SHARE", share))


def unshrunk() -> AbstractContextManager[Any]:
    """Forecasts are as the network has learned them."""
    return patch("rnnforecast.estimation.fitting.shrinkage_of", lambda *given: 0.0)


def shrunk_alike() -> AbstractContextManager[Any]:
    """Forecasts are shrunk no further where little was learned from."""
    return patch("rnnforecast.estimation.starting.FEW", 0.0)


CHANGES: dict[str, Change] = {
    "one member": Change(settings={"members": 1}),
    "nine members": Change(settings={"members": 9}),
    "one lookback": Change(config=of_one_lookback),
    "start naive": starting(_naive),
    "start without ridge": starting_with("PENALTIES", ()),
    "start uneven": starting_with("EVENNESS", 0.0),
    "start by chance": starting_with("CHANCE", 0.0),
    "no shrinkage": Change(code=unshrunk),
    "shrunk alike": Change(code=shrunk_alike),
    "skip at full rate": skipping(1.0),
    "skip fixed": skipping(0.0),
    "width 128": Change(settings={"hidden_size": 128}),
    "batch 512": Change(settings={"batch_size": 512}),
    "400 steps": of_training(batches_per_epoch=16),
    "2500 steps": of_training(batches_per_epoch=100),
    "rate 1e-3": Change(settings={"learning_rate": 1e-3}),
    "rate 4e-3": Change(settings={"learning_rate": 4e-3}),
    "no log": Change(settings={"log": False}),
    "log": Change(settings={"log": True}),
    "lstm": Change(settings={"model": "lstm"}),
    "rnn": Change(settings={"model": "rnn"}),
    "bigru": Change(settings={"model": "bigru"}),
}

if __name__ == "__main__":
    main()
