"""The table of models."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rnnforecast.errors import ConfigError
from rnnforecast.models.cells import load_cell
from rnnforecast.models.registry import MODELS, find_model


@pytest.mark.parametrize("name", MODELS)
def test_registry_row_is_complete_when_listed(name: str) -> None:
    entry = MODELS[name]
    assert entry.name == name
    assert re.search(r"\b(19|20)\d\d\b", entry.reference)
    assert entry.summary and entry.summary[0].isupper() and not entry.summary.endswith(".")
    assert find_model(name) is entry


@pytest.mark.parametrize("name", MODELS)
def test_registry_cell_has_hidden_size_units_when_built(name: str) -> None:
    cell = load_cell(MODELS[name].cell)(3, 5)
    assert cell.hidden_size == 5


@pytest.mark.parametrize(
    ("name", "cell"),
    [("gru", "GRU"), ("lstm", "LSTM"), ("rnn", "TanhRNN"), ("rnn-relu", "ReLURNN")],
)
def test_registry_names_cell_and_directions_when_prefixed_with_bi(name: str, cell: str) -> None:
    one_way, both_ways = MODELS[name], MODELS[f"bi{name}"]
    assert one_way.cell.split(":")[1] == both_ways.cell.split(":")[1] == cell
    assert both_ways.bidirectional and not one_way.bidirectional


def test_find_model_names_all_models_when_unknown() -> None:
    listed = ", ".join(MODELS)
    with pytest.raises(ConfigError, match=f"^model must be one of {listed}, got 'gpt'$"):
        find_model("gpt")


def test_registry_imports_no_torch_when_only_listed() -> None:
    code = "import sys, rnnforecast.models.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
