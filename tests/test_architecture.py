"""The shape of the package, from the imports of every module.

    layer   parts                                       what they are
    ------  ------------------------------------------  -------------------------------------------
    1       __main__                                    python -m rnnforecast
    2       cli/                                        the command line; alone prints and exits
    3       workflows/                                  one function a command, joins the parts
    4       artifact, estimation/, contenders,          the model file; how a network is fitted;
            scoreboard, diagnostics                     who is compared; how gradients flow
    5       backtest, forecaster, defaults, verdicts,   where data, models and metrics meet;
            limits, stored_panel                        what may be in a model file
    6       data/, models/, training/, evaluation/      meet as arrays only, so none knows another
    7       config, control, runtime, allocator,        settings that check themselves; the machine;
            native, arrays, signals, optimizers,        steps against gradients; a file of tensors
            container
    8       columns                                     which columns are read, and what for
    9       errors                                      failures and their exit codes
    10      rnnforecast/__init__                        the version

A part imports parts of lower layers only, inside functions and for type checking too. Modules of
one package may import each other as long as no circle arises.

    third party   where it may be imported
    ------------  --------------------------------------------------------------------------------
    typer, rich   cli/
    torch         not in cli/, evaluation/, config, control, errors, defaults, backtest,
                  models/registry and models/distributions, nor in data/ except data/windows
    heavy ones    never when rnnforecast.cli.app is imported, so that --help is fast
"""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rnnforecast"
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}

LAYERS = (
    {"__main__"},
    {"cli"},
    {"workflows"},
    {"artifact", "contenders", "diagnostics", "estimation", "scoreboard"},
    {"backtest", "forecaster", "defaults", "limits", "stored_panel", "verdicts"},
    {"data", "models", "training", "evaluation"},
    {
        *("config", "control", "container", "runtime", "allocator", "native", "arrays", "signals"),
        "optimizers",
    },
    {"columns"},
    {"errors"},
    {""},
)
HEAVY = {"torch", "pandas", "numpy", "scipy", "sklearn", "safetensors"}
WITHOUT_TORCH = {
    *("cli", "evaluation", "data", "config", "control", "columns", "errors", "defaults"),
    "backtest",
}
TABLES = {"rnnforecast.models.registry", "rnnforecast.models.distributions"}
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"),
    *("rnnforecast", "tests", "sample_data", "benchmarks", "docs"),
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 45

# What needs no docstring: the tree at the top of errors.py describes its classes; the others
# repeat what a class or Protocol beside them says.
WITHOUT_DOCSTRING = {
    "rnnforecast.__main__": {""},
    "rnnforecast.errors": {
        *("RnnForecastError", "OutputError", "ConfigError", "DataError"),
        *("ArtifactError", "TrainingError", "GateError", "LockedError"),
    },
    "rnnforecast.cli.options": {"ColumnOptions.data_config"},
    "rnnforecast.cli.reporter": {
        *("StderrReporter.note", "StderrReporter.warning", "StderrReporter.training"),
        *("StderrReporter.counting", "StderrReporter.record"),
    },
    "rnnforecast.models.cells": {
        *(f"{cell}.step" for cell in ("TanhRNN", "ReLURNN", "GRU", "LSTM")),
        *("ReLURNN.reset_parameters", "LSTM.reset_parameters", "GRU.remember", "LSTM.remember"),
    },
    "rnnforecast.workflows.reporting": {"Reporter"},
}


def part(module: str) -> str:
    """The name in LAYERS: "data" for rnnforecast.data.panel, "" for the package itself."""
    return module.removeprefix("rnnforecast").lstrip(".").split(".")[0]


def layer(module: str) -> int:
    """The place in LAYERS, counted from the top."""
    found = [place for place, parts in enumerate(LAYERS) if part(module) in parts]
    assert found, f"{module}: add '{part(module)}' to the layers at the top of this file"
    return found[0]


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """The modules that these nodes import; `from package import module` gives the module."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by the whole name"
            module = str(node.module)
            inside = (f"{module}.{alias.name}" for alias in node.names)
            names.update(name if name in SOURCES else module for name in inside)
    return names


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "rnnforecast"}


def when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: not in functions, not for type checking."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from when_loaded(child)


IMPORTS = {name: imported(ast.walk(tree)) for name, tree in TREES.items()}


def test_module_imports_only_lower_layers_when_it_leaves_its_package() -> None:
    for module, names in IMPORTS.items():
        for name in own(names):
            below = layer(name) > layer(module)
            assert below or part(name) == part(module), f"{module} imports {name}"


def test_modules_import_in_no_circle_when_all_imports_count() -> None:
    TopologicalSorter({name: own(names) for name, names in IMPORTS.items()}).prepare()


def test_module_imports_third_parties_only_where_they_belong_when_it_imports_any() -> None:
    for module, imports in IMPORTS.items():
        names = {name.split(".")[0] for name in imports}
        if part(module) != "cli":
            assert not names & {"typer", "rich", "click"}, module
        exempt = module == "rnnforecast.data.windows"
        if module in TABLES or (part(module) in WITHOUT_TORCH and not exempt):
            assert "torch" not in names, module


def test_command_line_loads_nothing_heavy_when_imported() -> None:
    seen: set[str] = set()
    waiting = ["rnnforecast.cli.app"]
    while waiting:
        module = waiting.pop()
        parents = {module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)}
        names = imported(when_loaded(TREES[module])) | parents
        assert not {name.split(".")[0] for name in names} & HEAVY, module
        waiting += own(names) - seen
        seen |= own(names)
    assert seen >= TABLES


def exits(node: ast.AST) -> bool:
    """Whether the node writes to a standard stream or ends the process."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("print", "exit", "quit")
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) in ("sys.exit", "sys.stdout", "sys.stderr", "os._exit")
    return isinstance(node, ast.Name) and node.id == "SystemExit"


def test_module_neither_prints_nor_exits_when_it_is_not_of_the_command_line() -> None:
    for module, tree in TREES.items():
        found = [ast.unparse(node) for node in ast.walk(tree) if exits(node)]
        assert part(module) == "cli" or not found, f"{module}: {found}"


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """The public classes and functions of a module, and those of its classes."""
    for node in tree.body:
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")


def test_module_has_docstrings_when_names_are_public() -> None:
    for module, tree in TREES.items():
        places: list[tuple[str, Documented]] = [("", tree), *public(tree)]
        missing = {name for name, node in places if not ast.get_docstring(node)}
        missing -= WITHOUT_DOCSTRING.get(module, set())
        assert not missing, f"{module}: no docstring: {sorted(missing)}"


def test_docstring_exceptions_exist_when_listed() -> None:
    for module, names in WITHOUT_DOCSTRING.items():
        known = {"", *(name for name, _ in public(TREES[module]))}
        assert names <= known, f"{module}: {sorted(names - known)} are gone; shorten the list"


def test_module_is_short_when_counted_in_lines() -> None:
    """A function's lines are those of its statements; signature and docstring do not count."""
    for module, path in SOURCES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST_FILE, f"{module}: {lines} lines"
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                name = f"{module}.{node.name}"
                assert length <= LONGEST_FUNCTION, f"{name}: {length} lines"


def test_repository_holds_only_what_is_agreed_when_listed_at_the_top() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    listed = subprocess.run(
        [git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("git cannot read the repository")
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert not {name for name in names if not name.startswith(".")} - TOP_LEVEL


def test_package_is_read_whole_when_this_file_is_collected() -> None:
    assert len(SOURCES) > 30
    assert {"rnnforecast", "rnnforecast.__main__", "rnnforecast.cli.app"} <= set(SOURCES)
