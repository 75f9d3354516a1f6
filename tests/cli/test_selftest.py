"""`rnnforecast selftest` passes every model there is, and finds one that looks ahead."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from rnnforecast.evaluation.baselines import BASELINES, REFERENCES
from rnnforecast.models.registry import MODELS
from tests.cli.command import rnnforecast

ROOT = Path(__file__).parents[2]
# Of a model, what is no part of its network; layers are as many as any.
WORDS = {"name", "summary", "reference", "num_layers"}


def with_every_part() -> list[str]:
    """Models that have each part of any between them, each the first to have one."""
    chosen: list[str] = []
    met: set[tuple[str, object]] = set()
    for name, entry in MODELS.items():
        parts = {(key, part) for key, part in asdict(entry).items() if key not in WORDS}
        if parts - met:
            chosen.append(name)
            met |= parts
    return chosen


def test_selftest_passes_every_model_and_baseline_when_none_looks_ahead(
    request: pytest.FixtureRequest,
) -> None:
    """With --full every model, without as many as have every part between them."""
    full = request.config.getoption("--full")
    models = list(MODELS) if full else with_every_part()
    words = [] if full else ["--models", ",".join(models)]
    done = rnnforecast("selftest", "--quiet", *words)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["model"] for row in rows] == [*models, *BASELINES, *REFERENCES]
    assert {row["verdict"] for row in rows} == {"sees no future"}


def test_selftest_fails_when_a_network_reads_its_target_or_a_baseline_reads_nothing() -> None:
    words = [sys.executable, "-m", "tests.leaking", "selftest", "--models", "gru,leaking", "-q"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert done.returncode == 1, done.stderr
    verdicts = {name: row["verdict"] for name, row in rows.items()}
    assert (verdicts["gru"], verdicts["naive"]) == ("sees no future", "sees no future")
    assert (verdicts["leaking"], verdicts["deaf"]) == ("sees the future", "ignores the past")
    assert "from cutoff" in rows["leaking"]["first"]
    assert done.stderr == "error: leaking sees the future; trust none of its metrics\n"
