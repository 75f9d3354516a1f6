"""Every model a user can ask for, in one table; nothing here imports torch.

A new cell is one file with a class of torch.nn.GRU's calling convention,
`(x [batch, time, input_size], state) -> (output [batch, time, hidden_size], state)`, a state being
tensors [1, batch, hidden_size], and one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from rnnforecast.errors import ConfigError

_CELLS = "rnnforecast.models.cells:"
_MINIMAL = "rnnforecast.models.minimal:"
_ATTENTION = "rnnforecast.models.attention:"
_DECODERS = "rnnforecast.models.decoders:"
_CONVOLUTION = "rnnforecast.models.frontends:Convolution"

_BOTH_WAYS = "Schuster & Paliwal 1997, Bidirectional recurrent neural networks"
_DEEP = "Graves et al. 2013, Speech recognition with deep recurrent neural networks"
_DILATED = "Chang et al. 2017, Dilated recurrent neural networks"
_LSTNET = "Lai et al. 2018, Modeling long- and short-term temporal patterns (LSTNet)"
_BAHDANAU = "Bahdanau et al. 2015, Neural machine translation by jointly learning to align"
_LUONG = "Luong et al. 2015, Effective approaches to attention-based neural translation"
_SEGRNN = "Lin et al. 2023, SegRNN: segment recurrent neural network"
_SEQ2SEQ = "Sutskever et al. 2014, Sequence to sequence learning with neural networks"
_MINIMAL_PAPER = "Feng et al. 2024, Were RNNs all we needed?"


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One row of `rnnforecast models`: the parts of a network, each at "module:class".

    Attributes:
        name: What `--model` takes.
        cell: The recurrent layer; None reads with none.
        bidirectional: Whether the lookback is read both ways.
        dilated: Whether each layer's dilation doubles that of the one below.
        front_end: What makes the recurrent steps; None: values, or segments of them.
        skip_recurrence: Whether a recurrence from season to season runs beside the layers.
        pooling: The attention that joins the final state in the summary; None: that state alone.
        decoder: What makes the horizon of the summary.
        attentive: Whether the decoder asks the encoder's states.
        samples: Whether the decoder forecasts by sampling, and so needs a head that can.
        num_layers: Recurrent layers, where the user names no number.
        head: The head, where the user names none.
        summary: What it is and when to take it.
        reference: The paper it comes from.
    """

    name: str
    cell: str | None = None
    bidirectional: bool = False
    dilated: bool = False
    front_end: str | None = None
    skip_recurrence: bool = False
    pooling: str | None = None
    decoder: str = _DECODERS + "Direct"
    attentive: bool = False
    samples: bool = False
    num_layers: int = 1
    head: str = "quantile"
    summary: str
    reference: str

    @property
    def truncatable(self) -> bool:
        """Whether gradients can be cut while the state goes on: one way, step after step."""
        aside = self.bidirectional or self.dilated or self.skip_recurrence
        return self.cell is not None and not (aside or self.attentive or self.pooling)


_bidirectional = partial(ModelEntry, bidirectional=True, reference=_BOTH_WAYS)

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
            name="slstm",
            cell="rnnforecast.models.slstm:SLSTM",
            summary="LSTM with exponential input gates, which can revise what it holds; slower",
            reference="Beck et al. 2024, xLSTM: extended long short-term memory",
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
        _bidirectional(
            name="bigru",
            cell=_CELLS + "GRU",
            summary="GRU that reads the lookback both ways",
        ),
        _bidirectional(
            name="bilstm",
            cell=_CELLS + "LSTM",
            summary="LSTM that reads the lookback both ways",
        ),
        _bidirectional(
            name="birnn",
            cell=_CELLS + "TanhRNN",
            summary="Plain tanh network that reads the lookback both ways",
        ),
        _bidirectional(
            name="birnn-relu",
            cell=_CELLS + "ReLURNN",
            summary="Plain ReLU network that reads the lookback both ways",
        ),
        ModelEntry(
            name="deep-gru",
            cell=_CELLS + "GRU",
            num_layers=4,
            summary="Four GRU layers, residual from the third on; for many and long series",
            reference=_DEEP,
        ),
        ModelEntry(
            name="deep-lstm",
            cell=_CELLS + "LSTM",
            num_layers=4,
            summary="Four LSTM layers, residual from the third on; for many and long series",
            reference=_DEEP,
        ),
        ModelEntry(
            name="dilated-gru",
            cell=_CELLS + "GRU",
            dilated=True,
            num_layers=3,
            summary="Three GRU layers, each skipping twice as far back; for long lookbacks",
            reference=_DILATED,
        ),
        ModelEntry(
            name="dilated-lstm",
            cell=_CELLS + "LSTM",
            dilated=True,
            num_layers=3,
            summary="Three LSTM layers, each skipping twice as far back; for long lookbacks",
            reference=_DILATED,
        ),
        ModelEntry(
            name="conv-gru",
            cell=_CELLS + "GRU",
            front_end=_CONVOLUTION,
            summary="Causal convolution, then GRU; for noisy series with local shapes",
            reference=_LSTNET,
        ),
        ModelEntry(
            name="conv-lstm",
            cell=_CELLS + "LSTM",
            front_end=_CONVOLUTION,
            summary="Causal convolution, then LSTM; for noisy series with local shapes",
            reference=_LSTNET,
        ),
        ModelEntry(
            name="lstnet",
            cell=_CELLS + "GRU",
            front_end=_CONVOLUTION,
            skip_recurrence=True,
            summary="Convolution, GRU and a second GRU from season to season; for strong seasons",
            reference=_LSTNET,
        ),
        ModelEntry(
            name="attention-gru",
            cell=_CELLS + "GRU",
            pooling=_ATTENTION + "AdditiveAttention",
            summary="GRU whose states are pooled by additive attention; shows what it looks at",
            reference=_BAHDANAU,
        ),
        ModelEntry(
            name="attention-lstm",
            cell=_CELLS + "LSTM",
            pooling=_ATTENTION + "DotProductAttention",
            summary="LSTM whose states are pooled by dot-product attention; shows what it looks at",
            reference=_LUONG,
        ),
        ModelEntry(
            name="segment-gru",
            cell=_CELLS + "GRU",
            decoder=_DECODERS + "Positional",
            summary="GRU over segments, one query for each segment ahead; for long horizons",
            reference=_SEGRNN,
        ),
        ModelEntry(
            name="segment-lstm",
            cell=_CELLS + "LSTM",
            decoder=_DECODERS + "Positional",
            summary="LSTM over segments, one query for each segment ahead; for long horizons",
            reference=_SEGRNN,
        ),
        ModelEntry(
            name="seq2seq-gru",
            cell=_CELLS + "GRU",
            decoder=_DECODERS + "SequenceToSequence",
            summary="GRU encoder and decoder, fed its own forecasts; for steps that hang together",
            reference=_SEQ2SEQ,
        ),
        ModelEntry(
            name="seq2seq-lstm",
            cell=_CELLS + "LSTM",
            decoder=_DECODERS + "SequenceToSequence",
            summary="LSTM encoder and decoder, fed its own forecasts; for steps that hang together",
            reference=_SEQ2SEQ,
        ),
        ModelEntry(
            name="bahdanau-gru",
            cell=_CELLS + "GRU",
            decoder=_DECODERS + "Bahdanau",
            attentive=True,
            summary="GRU encoder and decoder with additive attention before each step",
            reference=_BAHDANAU,
        ),
        ModelEntry(
            name="luong-lstm",
            cell=_CELLS + "LSTM",
            decoder=_DECODERS + "Luong",
            attentive=True,
            summary="LSTM encoder and decoder with dot-product attention after each step",
            reference=_LUONG,
        ),
        ModelEntry(
            name="deepar",
            cell=_CELLS + "LSTM",
            decoder="rnnforecast.models.sampling:Ancestral",
            samples=True,
            num_layers=2,
            head="student-t",
            summary="LSTM that samples paths value by value; for distributions, counts too",
            reference="Salinas et al. 2020, DeepAR: probabilistic forecasting",
        ),
        ModelEntry(
            name="mingru",
            cell=_MINIMAL + "MinGRU",
            num_layers=2,
            summary="GRU whose gates see the input only, read in parallel; for long lookbacks",
            reference=_MINIMAL_PAPER,
        ),
        ModelEntry(
            name="minlstm",
            cell=_MINIMAL + "MinLSTM",
            num_layers=2,
            summary="LSTM whose gates see the input only, read in parallel; for long lookbacks",
            reference=_MINIMAL_PAPER,
        ),
        _bidirectional(
            name="bimingru",
            cell=_MINIMAL + "MinGRU",
            num_layers=2,
            summary="Minimal GRU that reads the lookback both ways",
        ),
        _bidirectional(
            name="biminlstm",
            cell=_MINIMAL + "MinLSTM",
            num_layers=2,
            summary="Minimal LSTM that reads the lookback both ways",
        ),
        ModelEntry(
            name="linear",
            summary="Linear map from lookback to horizon alone; what a network has to beat",
            reference="Zeng et al. 2023, Are transformers effective for time series forecasting?",
        ),
    )
}


def find_model(name: str) -> ModelEntry:
    """The row called `name`; a ConfigError lists the names where there is none."""
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got '{name}'")
    return MODELS[name]


def load_class(path: str) -> Any:
    """The class at "module:class", imported only now."""
    module, name = path.split(":")
    return getattr(import_module(module), name)
