"""Every model a user can ask for, in one table; nothing here imports torch.

A new cell is one file with a class of torch.nn.GRU's calling convention,
`(x [batch, time, input_size], state) -> (output [batch, time, hidden_size], state)`, and one row.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnforecast.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One row of `rnnforecast models`.

    Attributes:
        name: What `--model` takes.
        cell: Where the class of the recurrent layer is: "module:class".
        bidirectional: Whether the lookback is read both ways.
        summary: What it is and when to take it.
        reference: The paper it comes from.
    """

    name: str
    cell: str
    bidirectional: bool = False
    summary: str
    reference: str


_CELLS = "rnnforecast.models.cells:"
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
