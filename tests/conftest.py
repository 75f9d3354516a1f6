"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import settings

# Of the commands that tests run beside each other, each on all cores would wait for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long tests have a short form, which is the default."""
    parser.addoption("--full", action="store_true", help="run long tests at their full length")


def pytest_configure(config: pytest.Config) -> None:
    """How many examples try properties that name no number."""
    examples = 300 if config.getoption("--full") else 30
    settings.register_profile("of this run", max_examples=examples)
    settings.load_profile("of this run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked as more of the same waits for --full."""
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="more of the same: --full runs it"))


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many trials a long test makes: the first number, or with --full the second."""
    full = bool(request.config.getoption("--full"))
    return lambda short, whole: whole if full else short


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks this small only wait for each other on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
