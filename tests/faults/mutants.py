"""Mutated model files, and a process of its own that tries them: `python -m tests.faults.mutants`.

A mutant is unsigned, as damage leaves it, or signed anew, as malice does. What the program makes of
each is one JSON object a line on standard output. A command that computes for more than LONGEST
seconds ends the process; one that asks for more than LARGEST bytes finds no memory.
"""

from __future__ import annotations

import csv
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnforecast.artifact import MODEL_FILE, Artifact, load_artifact
from rnnforecast.data.files import write_files
from rnnforecast.data.writing import to_csv
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.workflows.outputs import stored_forecasts
from tests.cli.command import run_here
from tests.model_files import Header, Tensors, make_artifact, packed, save_artifact, unpacked

LONGEST, LARGEST = 10, 2**30
COMMANDS = ("forecast", "forecast", "forecast", "forecast", "show", "verify", "diagnose")
MODELS: tuple[dict[str, Any], ...] = (
    {"model": "gru"},
    {"model": "deepar", "head": "student-t", "hidden_size": 2},
    {"model": "lstnet", "log": True},
    {"model": "bahdanau-gru", "head": "negative-binomial"},
    {"model": "dilated-gru", "num_layers": 3, "segment_length": 1},
    {"model": "seq2seq-lstm", "tbptt": 2, "head": "normal"},
    {"model": "gru", "lookback": 1030, "segment_length": 1},
    {"model": "linear", "lookback": 1030},
    {"model": "gru", "lookbacks": (6, 6, 3)},
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 3, 4, 5, 6, 7, 12, 100, 1000, 1001, 3.5, -0.5, 1e-300, 1e308),
    *(2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), 2**63, 10**30, float("inf")),
    *(
        float("nan"),
        -float("inf"),
        "",
        "x",
        "1",
        "gru",
        "deepar",
        "linear",
        "dilated-gru",
        "normal",
    ),
    *("\x1b[31m", "a\nb", "\0", "\ud800", "é" * 1000, "x" * 10**5, "%Y%Y", "%", "+02:00", "month"),
    *("business-day", "step", ";", '"', [], {}, [1], ["x"], [80.0], [2**31], [[]], {"x": 1}),
)


class Trials:
    """Honest run directories, and what can become of their model files.

    Args:
        directory: Where they are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bases = [self._base(directory / str(n), model) for n, model in enumerate(MODELS)]
        self.honest: dict[tuple[Path, str], str] = {}

    def _base(self, directory: Path, model: dict[str, Any]) -> Path:
        """A run directory, its tables included."""
        directory.mkdir()
        artifact = with_record(make_artifact(**model))
        if model.get("head") == "negative-binomial":
            counts = np.nan_to_num(artifact.panel.values.round())
            artifact = replace(artifact, panel=replace(artifact.panel, values=counts))
        save_artifact(artifact, directory)
        forecasts = stored_forecasts(artifact.forecaster, artifact.panel)
        write_files({directory / "forecasts.csv": to_csv(forecasts).encode()})
        return directory

    def try_one(self, seed: int) -> dict[str, Any]:
        """What one command makes of one mutant."""
        rng = random.Random(seed)
        base, command = rng.choice(self.bases), rng.choice(COMMANDS)
        if (base, command) not in self.honest:
            self.honest[base, command] = run_here(base, command, base).stdout
        kind = rng.choice(list(KINDS))
        mutant = self.directory / "mutant"
        shutil.copytree(base, mutant)
        (mutant / MODEL_FILE).write_bytes(KINDS[kind](base / MODEL_FILE, rng))
        forget_peak()
        before, began = memory("VmRSS"), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        run = run_here(mutant, command, mutant)
        signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - began
        shutil.rmtree(mutant)
        rows = list(csv.reader(io.StringIO(run.stdout)))
        return {
            "seed": seed,
            "model": self.bases.index(base),
            "kind": kind,
            "command": command,
            "code": run.code,
            "seconds": seconds,
            "memory": max(0, memory("VmHWM") - before),
            "same": run.stdout == self.honest[base, command],
            "table": len(rows) > 1 and len({len(row) for row in rows}) == 1,
            "errors": [line for line in run.stderr.splitlines() if line.startswith("error")],
        }


def with_record(artifact: Artifact) -> Artifact:
    """With all that a run records."""
    history = [{"epoch": 1, "gradient_norm": 0.5, "clip_rate": 0.1, "update_ratio": 1e-3}]
    metrics = [{"model": artifact.forecaster.name, "mae": 1.5, "mase": None, "skill": 0.5}]
    record = {
        "data": {"name": "sales.csv", "sha256": "0" * 64, "values": 99},
        "settings": {"horizon": 3, "epochs": 1, "levels": [80.0, 95.0], "season": None},
        "best_epoch": 1,
        "stop_reason": "epochs",
        "history": history,
        "metrics": metrics,
        "updates": 2,
    }
    return replace(artifact, record=record)


def flipped(path: Path, rng: random.Random) -> bytes:
    """Some bytes are others."""
    content = bytearray(path.read_bytes())
    end = rng.choice([len(content), 8 + int.from_bytes(content[:8], "little")])
    for _ in range(rng.choice([1, 1, 1, 2, 4, 64])):
        content[rng.randrange(end)] ^= rng.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
    return bytes(content)


def cut(path: Path, rng: random.Random) -> bytes:
    """The end is missing, or a part in the middle."""
    content = path.read_bytes()
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.choice([1, 8, 100, len(content)]) :]


def inserted(path: Path, rng: random.Random) -> bytes:
    """Something is in between."""
    content = path.read_bytes()
    start = rng.choice([0, 8, rng.randrange(len(content)), len(content)])
    return content[:start] + rng.randbytes(rng.choice([1, 8, 1000])) + content[start:]


def field_changed(path: Path, rng: random.Random) -> bytes:
    """Fields of the header are others, absent, new, or have changed places."""
    header, tensors = unpacked(path)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        change_field(header, rng)
    try:
        return packed(header, tensors)
    except UnicodeEncodeError:  # a lone surrogate takes an escape
        text = json.dumps(header).replace("\\ud800", "\\\\ud800")
        return packed(json.loads(text), tensors)


def change_field(header: Header, rng: random.Random) -> None:
    """Change one field, of any depth."""
    places = [(part, key) for part in parts(header) for key in keys(part)]
    part, key = rng.choice(places)
    action = rng.choice(["set"] * 5 + ["drop", "add", "swap", "scale", "repeat"])
    if action == "set":
        part[key] = rng.choice(VALUES)
    elif action == "drop":
        del part[key]
    elif action == "add" and isinstance(part, dict):
        part[rng.choice(["more", "\x1b", "model", "log"])] = rng.choice(VALUES)
    elif action == "swap":
        other, place = rng.choice(places)
        part[key], other[place] = other[place], part[key]
    elif action == "scale" and isinstance(part[key], int | float):
        part[key] *= rng.choice([-1, 2, 10, 1000, 2**20])
    elif action == "repeat" and isinstance(part[key], list | str):
        part[key] = part[key] * rng.choice([2, 1000])


def parts(value: Any) -> list[Any]:
    """All objects and lists in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [value, *(part for item in inner for part in parts(item))]


def keys(part: Any) -> list[Any]:
    """Where the items of an object or a list are."""
    return list(part) if isinstance(part, dict) else list(range(len(part)))


def tensor_changed(path: Path, rng: random.Random) -> bytes:
    """A tensor is another, or of another name."""
    header, tensors = unpacked(path)
    name = rng.choice([*tensors, "lookback.values", "lookback.offsets", "lookback.starts"])
    tensor = tensors.pop(name)
    changed = rng.choice(TENSOR_CHANGES)(tensor, rng)
    if changed is not None:
        tensors[rng.choice([name] * 9 + ["network.more"])] = changed
    return packed(header, tensors)


def filled(tensor: Tensor, rng: random.Random) -> Tensor:
    """One or all elements are at the edge of what there is."""
    edges = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63)]
    numbers = [float("nan"), float("inf"), 1e30, -1e30, 1e150, 0.0]
    value = rng.choice(numbers) if tensor.is_floating_point() else rng.choice(edges)
    flat = tensor.clone().flatten()
    value = max(min(value, 3e38), -3e38) if flat.dtype == torch.float32 else value
    flat[rng.randrange(len(flat)) if rng.random() < 0.5 else slice(None)] = value
    return flat.reshape(tensor.shape)


TENSOR_CHANGES: tuple[Callable[[Tensor, random.Random], Tensor | None], ...] = (
    filled,
    filled,
    lambda tensor, rng: None,
    lambda tensor, rng: tensor.double() if tensor.dtype == torch.float32 else tensor.float(),
    lambda tensor, rng: tensor.to(rng.choice([torch.bfloat16, torch.int64, torch.bool])),
    lambda tensor, rng: torch.cat([tensor, tensor]),
    lambda tensor, rng: tensor[:-1],
    lambda tensor, rng: tensor.flatten()[:, None],
    lambda tensor, rng: tensor.flip(0).contiguous(),
    lambda tensor, rng: tensor * rng.choice([-1, 1000]),
    lambda tensor, rng: tensor.new_zeros(0),
    lambda tensor, rng: torch.tensor(rng.choice([0.0, 1.0])),
)


def grown(path: Path, rng: random.Random) -> bytes:
    """Sizes are others, and everything fits them."""
    artifact = load_artifact(path.parent, torch.device("cpu"))
    config, count = artifact.forecaster.config, rng.choice([1, 1, 30, 1000])
    lookback = rng.choice([1, 5, 1030, 2048, 2049, 100_000])
    windows = replace(config.windows, lookback=lookback, horizon=rng.choice([1, 100, 3000]))
    deeper = rng.choice([1, 1, 3, 12]) if config.model.tbptt is None else 1
    several = rng.choice([(), (), (lookback,) * 3, (lookback, 1)])
    model = replace(
        config.model, num_layers=deeper, hidden_size=rng.choice([1, 4]), lookbacks=several
    )
    header, tensors = unpacked(path)
    for name in [name for name in tensors if not name.startswith("lookback.")]:
        del tensors[name]
    weights = Ensemble(model, windows).state_dict()
    tensors |= {f"network.{name}": value for name, value in weights.items()}
    length = rng.choice([1, 1, min(lookback, 100)])
    tensors |= lookbacks(count, length)
    header["ids"] = [str(place) for place in range(count)]
    header["config"]["windows"] |= {"lookback": lookback, "horizon": windows.horizon}
    header["config"]["model"] |= {
        "num_layers": deeper,
        "hidden_size": model.hidden_size,
        "lookbacks": several,
    }
    return packed(header, tensors)


def lookbacks(count: int, length: int) -> Tensors:
    """The values of some series."""
    return {
        "lookback.values": torch.arange(count * length, dtype=torch.float64) % 7 + 1,
        "lookback.offsets": torch.arange(count + 1) * length,
        "lookback.starts": torch.zeros(count, dtype=torch.int64),
    }


KINDS: dict[str, Callable[[Path, random.Random], bytes]] = {
    "flipped": flipped,
    "cut": cut,
    "inserted": inserted,
    "field": field_changed,
    "fields": field_changed,
    "field again": field_changed,
    "tensor": tensor_changed,
    "tensors": tensor_changed,
    "grown": grown,
}


def memory(name: str) -> int:
    """Bytes of this process, as Linux counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def forget_peak() -> None:
    """Count the peak of memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def main(count: int) -> None:
    """Try the mutants of the first seeds."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        trials = Trials(Path(directory))
        for base in trials.bases:
            for command in set(COMMANDS):
                run_here(base, command, base)  # loads what is loaded late
        limit = memory("VmSize") + LARGEST
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for seed in range(count):
            print(json.dumps(trials.try_one(seed)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
