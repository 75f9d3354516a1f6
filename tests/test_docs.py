"""README and the recipes keep to what the program does."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
import typer

from rnnforecast import errors
from rnnforecast.cli.app import app
from rnnforecast.cli.render import SECONDARY
from rnnforecast.config import ModelSpec
from rnnforecast.evaluation.baselines import BASELINES
from rnnforecast.evaluation.metrics import metrics_for
from rnnforecast.evaluation.statistical import STATISTICAL
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.registry import MODELS
from tests.recipes.blocks import TEXT as RECIPES
from tests.recipes.blocks import titles

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAM = typer.main.get_command(app)
COMMANDS = PROGRAM.commands
# Options of other programs in the documents: systemctl, Miller, sqlite-utils.
FOREIGN = {"--now", "--icsv", "--opprint", "--csv", "--pk"}


def options_of(*names: str) -> set[str]:
    """The long options of these commands and of the program itself."""
    parameters = [p for part in (PROGRAM, *map(COMMANDS.get, names)) for p in part.params]
    written = {o for p in parameters for o in (*p.opts, *p.secondary_opts)}
    return {o for o in written if o.startswith("--")} | {"--help"}


OPTIONS = options_of(*COMMANDS)


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


def test_every_command_has_help_and_stands_in_the_documents() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        assert f"rnnforecast {name}" in README + RECIPES, name
        assert all(getattr(option, "help", None) for option in command.params), name


def test_documents_name_no_option_that_does_not_exist() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", README + RECIPES))
    assert named - OPTIONS == FOREIGN


def test_documents_give_every_command_its_own_options() -> None:
    lines = re.findall(r"rnnforecast ([a-z]+)((?: +(?:'[^']*'|[^\s'|>&;`]+))+)", README + RECIPES)
    given = [(name, re.findall(r"--[a-z-]+", rest)) for name, rest in lines if name in COMMANDS]
    assert sum(len(options) for _, options in given) > 10
    assert not [(name, o) for name, options in given for o in options if o not in options_of(name)]


def test_every_block_of_the_recipes_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "recipes").glob("test_*.py"))
    assert len(titles()) == RECIPES.count("```") / 2 > 10
    assert not [title for title in titles() if f'"{title}"' not in tests]


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.name)
def test_benchmarks_import_only_what_there_is(path: Path) -> None:
    """They are run by hand, so that a name that has gone would be seen late."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("rnnforecast"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or importlib.util.find_spec(whole), whole
