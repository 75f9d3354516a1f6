"""`rnnforecast selftest` passes every model there is, and finds one that looks ahead."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from rnnforecast.evaluation.baselines import BASELINES, REFERENCES
from rnnforecast.models.registry import MODELS
from tests.cli.command import rnnforecast
from tests.every_model import with_every_part

ROOT = Path(__file__).parents[2]


def test_selftest_passes_every_model_and_baseline_when_none_looks_ahead(
    request: pytest.FixtureRequest,
) -> None:
    """With --full every model, without as many as have every part between them."""
    full = request.config.getoption("--full")
    models = list(MODELS) if full else with_every_part(MODELS)
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
