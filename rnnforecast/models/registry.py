"""Every model and head a user can ask for, in two tables; nothing here imports torch.

A new cell is one file with a class of torch.nn.GRU's calling convention,
`(x [batch, time, input_size], state) -> (output [batch, time, hidden_size], state)`, and one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rnnforecast.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One row of `rnnforecast models`.

    Attributes:
        name: What `--model` takes.
        cell: Where the class of the recurrent layer is: "module:class"; None reads with none.
        bidirectional: Whether the lookback is read both ways.
        summary: What it is and when to take it.
        reference: The paper it comes from.
    """

    name: str
    cell: str | None = None
    bidirectional: bool = False
    summary: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class HeadEntry:
    """A form of the forecast.

    Attributes:
        name: What `--head` takes.
        head: Where its class is: "module:class".
        summary: What it is and when to take it.
        reference: The paper it comes from.
    """

    name: str
    head: str
    summary: str
    reference: str


_CELLS = "rnnforecast.models.cells:"
_HEADS = "rnnforecast.models.heads:"
_BOTH_WAYS = "Schuster & Paliwal 1997, Bidirectional recurrent neural networks"

MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            name="gru",
            cell=_CELLS + "GRU",
            summary="Gated recurrent unit; the default, as good as LSTM with fewer weights",
            reference="Cho et al. 2014, Learning phrase representations using RNN encoder-decoder",
        ),
        ModelEntry(
            name="lstm",
            cell=_CELLS + "LSTM",
            summary="Long short-term memory; for long lookbacks read step by step",
            reference="Hochreiter & Schmidhuber 1997, Long short-term memory",
        ),
        ModelEntry(
            name="rnn",
            cell=_CELLS + "TanhRNN",
            summary="Plain recurrent network with tanh; for short lookbacks",
            reference="Elman 1990, Finding structure in time",
        ),
        ModelEntry(
            name="rnn-relu",
            cell=_CELLS + "ReLURNN",
            summary="Plain recurrent network with ReLU, started as the identity; needs clipping",
            reference="Le et al. 2015, A simple way to initialize recurrent networks of ReLUs",
        ),
        ModelEntry(
            name="bigru",
            cell=_CELLS + "GRU",
            bidirectional=True,
            summary="GRU that reads the lookback both ways",
            reference=_BOTH_WAYS,
        ),
        ModelEntry(
            name="bilstm",
            cell=_CELLS + "LSTM",
            bidirectional=True,
            summary="LSTM that reads the lookback both ways",
            reference=_BOTH_WAYS,
        ),
        ModelEntry(
            name="birnn",
            cell=_CELLS + "TanhRNN",
            bidirectional=True,
            summary="Plain tanh network that reads the lookback both ways",
            reference=_BOTH_WAYS,
        ),
        ModelEntry(
            name="birnn-relu",
            cell=_CELLS + "ReLURNN",
            bidirectional=True,
            summary="Plain ReLU network that reads the lookback both ways",
            reference=_BOTH_WAYS,
        ),
        ModelEntry(
            name="linear",
            summary="Linear map from lookback to horizon alone; what a network has to beat",
            reference="Zeng et al. 2023, Are transformers effective for time series forecasting?",
        ),
    )
}

HEADS: dict[str, HeadEntry] = {
    entry.name: entry
    for entry in (
        HeadEntry(
            name="quantile",
            head=_HEADS + "QuantileHead",
            summary="Free quantiles that cannot cross; the default",
            reference="Koenker & Bassett 1978, Regression quantiles",
        ),
        HeadEntry(
            name="normal",
            head=_HEADS + "NormalHead",
            summary="Normal distribution, log-normal on logarithms",
            reference="Salinas et al. 2020, DeepAR: probabilistic forecasting",
        ),
        HeadEntry(
            name="student-t",
            head=_HEADS + "StudentTHead",
            summary="Student's t distribution; for outliers and heavy tails",
            reference="Lange et al. 1989, Robust statistical modeling using the t distribution",
        ),
    )
}


def find_model(name: str) -> ModelEntry:
    """The row called `name`.

    Raises:
        ConfigError: There is none.
    """
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got '{name}'")
    return MODELS[name]


def find_head(name: str) -> HeadEntry:
    """The row called `name`.

    Raises:
        ConfigError: There is none.
    """
    if name not in HEADS:
        raise ConfigError(f"head must be one of {', '.join(HEADS)}, got '{name}'")
    return HEADS[name]


def load_class(path: str) -> Any:
    """The class at "module:class", imported only now."""
    module, name = path.split(":")
    return getattr(import_module(module), name)
