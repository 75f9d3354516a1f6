"""The blocks of docs/recipes.md as a reader copies them, and a folder to run them in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
# What a reader replaces with a folder of their own.
PLACE = "/srv/sales"
# Where a shell finds its tools in a job, and settings that make a network as small as can be.
JOB = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "OMP_NUM_THREADS": "1",
    "RNNFORECAST_EPOCHS": "1",
    "RNNFORECAST_HIDDEN_SIZE": "4",
}
# One that notes what would have been sent.
MAIL = '{ echo "$@"; cat; } >> /srv/sales/mails'


def titles() -> list[str]:
    """What the first comment of each block says, up to a colon."""
    return list(_blocks())


def block(title: str, folder: Path) -> str:
    """The block of this title, for this folder."""
    return _blocks()[title].replace(PLACE, str(folder))


def _blocks() -> dict[str, str]:
    texts = re.findall(r"^```\w+\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return {_title(text): text for text in texts}


def _title(text: str) -> str:
    comment = re.search(r"^# ([^:\n]+)", text, flags=re.MULTILINE)
    assert comment is not None, f"no comment says what this block is:\n{text}"
    return comment[1]


def need(*tools: str) -> None:
    """Skip a test where one of these is not installed."""
    if absent := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(absent)}")


def furnish(folder: Path) -> Path:
    """Give a folder what the recipes take for granted but for the data: .venv, and mail."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    write_program(folder, "rnnforecast", f'exec "{sys.executable}" -m rnnforecast "$@"')
    write_program(folder, "mail", MAIL.replace(PLACE, str(folder)))
    return folder


def write_program(folder: Path, name: str, text: str) -> None:
    """Put a shell script among the programs of .venv."""
    path = folder / ".venv" / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def write_sales(folder: Path, days: int, *, jump: float = 1.0, end: str = "") -> None:
    """Sales of two stores on this many days, those of all days but the last being the same.

    Args:
        folder: Where sales.csv is replaced.
        days: How many.
        jump: What the last 28 are multiplied by.
        end: What the file ends with.
    """
    noise = np.random.default_rng(0).normal(0, 3, (1000, 2))[:days]
    noise[:300] *= 2  # so that the newest days are easy, and mase is well below 1
    wave = 20 * np.sin(2 * np.pi * np.arange(days) / 7)
    frames = []
    for place, store in enumerate(("north", "south")):
        sold = 100 * (place + 1) + wave + noise[:, place]
        sold[-28:] *= jump
        dates = pd.date_range("2024-01-01", periods=days)
        frames.append(pd.DataFrame({"unique_id": store, "ds": dates, "y": sold.round(1)}))
    text = pd.concat(frames).to_csv(index=False)
    (folder / "sales.new").write_text(text + end)
    (folder / "sales.new").replace(folder / "sales.csv")


def run_block(title: str, folder: Path) -> str:
    """Run a block as a POSIX shell does in its folder; what it printed."""
    path = f"{folder}/.venv/bin:{Path(sys.executable).parent}:{JOB['PATH']}"
    run = subprocess.run(
        ["sh", "-eu", "-c", block(title, folder)],
        cwd=folder,
        env=JOB | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
