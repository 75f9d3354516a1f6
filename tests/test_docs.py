"""README keeps to what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from rnnforecast import errors
from rnnforecast.cli.render import SECONDARY
from rnnforecast.config import ModelSpec
from rnnforecast.evaluation.baselines import BASELINES
from rnnforecast.evaluation.metrics import metrics_for
from rnnforecast.evaluation.statistical import STATISTICAL
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.registry import MODELS

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_readme_has_the_two_commands_on_its_first_screen() -> None:
    first_screen = README.splitlines()[:30]
    commands = [line for line in first_screen if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert "rnnforecast train sample_data/" in commands[0]
    assert commands[1].endswith("pytest -n auto")


def test_readme_shows_the_table_of_a_terminal() -> None:
    lines = [line.split() for line in README.splitlines()]
    header = lines.index(next(line for line in lines if line[:2] == ["model", "mae"]))
    names = [metric.name for metric in metrics_for(ModelSpec(model="gru").quantile_levels)]
    main = [name for name in names if name.split("-")[0] not in SECONDARY]
    assert lines[header] == ["model", *main, "skill"]
    rows = lines[header + 2 : lines.index(["```"], header)]
    assert [row[0] for row in rows] == ["gru", *BASELINES]


def test_readme_names_every_statistical_model() -> None:
    assert f"--baselines {','.join(STATISTICAL)}" in README


def test_readme_names_every_model() -> None:
    assert all(f"`{name}`" in README for name in MODELS)


def test_readme_names_every_head() -> None:
    assert all(f"`{name}`" in README for name in HEADS)


def test_readme_names_every_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {re.match(r"\| ([\d, ]+) \|", line) for line in README.splitlines()}
    named = {code for match in codes if match for code in match[1].split(", ")}
    assert {str(kind.exit_code) for kind in kinds} <= named
