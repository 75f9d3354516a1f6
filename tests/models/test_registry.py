"""The tables of models and heads."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from rnnforecast.config import ModelSpec, Settings
from rnnforecast.errors import ConfigError
from rnnforecast.models.distributions import HEADS, find_head
from rnnforecast.models.heads import Head
from rnnforecast.models.registry import MODELS, find_model, load_class


@pytest.mark.parametrize("table", [MODELS, HEADS], ids=["models", "heads"])
def test_registry_row_is_complete_when_listed(table: dict[str, Any]) -> None:
    for name, entry in table.items():
        assert entry.name == name
        assert re.search(r"\b(19|20)\d\d\b", entry.reference)
        assert entry.summary and entry.summary[0].isupper() and not entry.summary.endswith(".")


def test_registry_finds_each_row_when_named() -> None:
    assert all(find_model(name) is entry for name, entry in MODELS.items())
    assert all(find_head(name) is entry for name, entry in HEADS.items())


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.cell])
def test_registry_cell_has_hidden_size_units_when_built(name: str) -> None:
    cell = load_class(str(MODELS[name].cell))(3, 5)
    assert cell.hidden_size == 5


@pytest.mark.parametrize("name", HEADS)
def test_registry_head_takes_levels_when_built(name: str) -> None:
    head = load_class(HEADS[name].head)((0.1, 0.5, 0.9))
    assert isinstance(head, Head)
    assert head.samples is HEADS[name].samples


def test_registry_has_the_default_head_when_settings_name_it() -> None:
    assert Settings(horizon=1).head is None
    assert MODELS[Settings(horizon=1).model].head == ModelSpec(model="gru").head == "quantile"
    assert "quantile" in HEADS


@pytest.mark.parametrize(
    ("name", "cell"),
    [("gru", "GRU"), ("lstm", "LSTM"), ("rnn", "TanhRNN"), ("rnn-relu", "ReLURNN")],
)
def test_registry_names_cell_and_directions_when_prefixed_with_bi(name: str, cell: str) -> None:
    one_way, both_ways = MODELS[name], MODELS[f"bi{name}"]
    assert one_way.cell == both_ways.cell == f"rnnforecast.models.cells:{cell}"
    assert both_ways.bidirectional and not one_way.bidirectional


def test_find_model_names_all_models_when_unknown() -> None:
    listed = ", ".join(MODELS)
    with pytest.raises(ConfigError, match=f"^model must be one of {listed}, got 'gpt'$"):
        find_model("gpt")


def test_find_head_names_all_heads_when_unknown() -> None:
    listed = ", ".join(HEADS)
    with pytest.raises(ConfigError, match=f"^head must be one of {listed}, got 'gamma'$"):
        find_head("gamma")


def test_registry_imports_no_torch_when_only_listed() -> None:
    code = "import sys, rnnforecast.models.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
