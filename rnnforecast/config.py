"""What a run consists of, as frozen dataclasses that check themselves.

`DataConfig` of `columns.py`, `WindowSpec`, `ModelSpec` and `TrainConfig` are what each part needs;
`RunConfig` holds the four, and how covariates are encoded, and is what a model file stores.
`Settings` is what the user asked for: None there means that the rules in `defaults.py` decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rnnforecast.columns import (
    NO_YEARLY,
    DataConfig,
    Encoding,
    InputSizes,
    Yearly,
    require,
    require_one_of,
)

# No size is larger, so that none overflows where torch counts.
LARGEST = 2**31
# Layers that nobody stacks and members that nobody waits for, as a file may claim.
DEEPEST, MOST_MEMBERS = 1000, 100

Init = Literal["orthogonal", "chrono", "uniform"]
Optimisation = Literal["adamw", "sgd"]
ScheduleName = Literal["one-cycle", "cosine", "constant", "plateau"]
TeacherForcing = Literal["scheduled", "always", "never"]
PresetName = Literal["fast", "default", "best"]


def _require_levels(levels: tuple[float, ...]) -> None:
    inside = bool(levels) and all(0 < level < 100 and 100 + level < 200 for level in levels)
    require(inside, "levels", "percentages between 0 and 100", list(levels))
    names = [f"{level:g}" for level in levels]  # of columns: two levels may not share one
    ascending = list(levels) == sorted(levels) and len(set(names)) == len(names)
    require(ascending, "levels", "ascending without repeats", list(levels))


def _require_optimisation(config: TrainConfig | Settings) -> None:
    rate = config.learning_rate
    usable = rate is None or (math.isfinite(rate) and rate > 0)
    require(usable, "learning_rate", "positive", rate)
    require(config.clip_norm > 0, "clip_norm", "positive", config.clip_norm)
    require(config.clip_value > 0, "clip_value", "positive", config.clip_value)
    percentile = config.clip_percentile
    require(0 < percentile <= 100, "clip_percentile", "above 0 and at most 100", percentile)
    require(0 <= config.jitter < math.inf, "jitter", "finite and at least 0", config.jitter)
    require(0 <= config.seed < 2**63, "seed", "in [0, 2^63)", config.seed)
    require_one_of(Optimisation, "optimizer", config.optimizer)
    require_one_of(ScheduleName, "schedule", config.schedule)
    require_one_of(TeacherForcing, "teacher_forcing", config.teacher_forcing)


@dataclass(frozen=True, kw_only=True)
class WindowSpec:
    """Lengths in steps of what the network reads and writes.

    Attributes:
        lookback: Observations before the cutoff that the network reads.
        horizon: Steps after the cutoff that it forecasts.
        seasons: Season lengths, ascending; (1,) where there is none. The first is the season of
            the seasonal naive and of MASE.
    """

    lookback: int
    horizon: int
    seasons: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        require(self.lookback >= 1, "lookback", "at least 1", self.lookback)
        require(self.horizon >= 1, "horizon", "at least 1", self.horizon)
        require(min(self.seasons, default=0) >= 1, "season", "at least 1", list(self.seasons))

    @property
    def season(self) -> int:
        """The main season, 1 where there is none."""
        return self.seasons[0]


@dataclass(frozen=True, kw_only=True)
class Typical:
    """What windows of the training series are like, for those that say too little themselves.

    Attributes:
        share: The spread of a window as a share of its level, of logarithms the spread itself:
            what one with few observations is thought to have at least.
        spread: The same in units of the series, which one of zeros is thought to have.
        lasting: The share of values after a constant window that were that constant still.
    """

    share: float = 0.0
    spread: float = 1.0
    lasting: float = 0.0

    def __post_init__(self) -> None:
        finite = math.isfinite(self.share) and self.share >= 0
        require(finite, "share", "at least 0", self.share)
        finite = math.isfinite(self.spread) and self.spread > 0
        require(finite, "spread", "positive", self.spread)
        require(0 <= self.lasting <= 1, "lasting", "in [0, 1]", self.lasting)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is needed, beside the window, to build a network.

    Attributes:
        model: A name from `models/registry.py`.
        hidden_size: Units of each recurrent layer and direction.
        num_layers: Recurrent layers.
        dropout: Share of units dropped between layers.
        segment_length: Observations that one recurrent step reads.
        head: The form of the forecast, a name from `models/distributions.py`.
        levels: Nominal coverages of the forecast intervals, in percent, ascending.
        log: Whether the network works on the logarithm of the series.
        init: How recurrent layers start.
        tbptt: Recurrent steps at the end of the lookback through which gradients flow; None: all.
        inputs: What the network reads beside the series.
        nonnegative: Whether no forecast is below 0.
        typical: What the training series are like.
        lookbacks: What each member of the ensemble reads, longest first; empty for one member that
            reads the whole lookback.
    """

    model: str
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    segment_length: int = 1
    head: str = "quantile"
    levels: tuple[float, ...] = (80.0, 95.0)
    log: bool = False
    init: str = "orthogonal"
    tbptt: int | None = None
    inputs: InputSizes = InputSizes()
    nonnegative: bool = False
    typical: Typical = Typical()
    lookbacks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_one_of(Init, "init", self.init)
        ordered = [*self.lookbacks, 1]
        usable = ordered == sorted(ordered, reverse=True) and len(ordered) <= MOST_MEMBERS + 1
        allowed = f"at least 1, longest first, {MOST_MEMBERS} at most"
        require(usable, "lookbacks", allowed, ordered[:-1])
        require(self.tbptt is None or self.tbptt >= 1, "tbptt", "at least 1", self.tbptt)
        require(self.hidden_size >= 1, "hidden_size", "at least 1", self.hidden_size)
        require(self.num_layers >= 1, "num_layers", "at least 1", self.num_layers)
        require(self.num_layers <= DEEPEST, "num_layers", f"at most {DEEPEST}", self.num_layers)
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        between = not self.dropout or self.num_layers > 1
        require(between, "dropout", "0 with one layer, as it acts between layers", self.dropout)
        require(self.segment_length >= 1, "segment_length", "at least 1", self.segment_length)
        _require_levels(self.levels)

    @property
    def least(self) -> float:
        """The bound of all forecasts, by the data or by the user."""
        return 0.0 if self.nonnegative else -math.inf

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """Ascending quantile levels: the lower bounds, the median, the upper bounds."""
        return quantile_levels(self.levels)


def quantile_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The lower bounds, the median and the upper bounds of intervals of these coverages."""
    lower = [(100 - level) / 200 for level in reversed(levels)]
    return (*lower, 0.5, *((100 + level) / 200 for level in levels))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is fitted.

    Attributes:
        epochs: Epochs at most; the schedule spans them.
        batches_per_epoch: Gradient steps between two validations.
        batch_size: Windows in a gradient step.
        learning_rate: Peak of the schedule.
        clip_norm: Largest norm of the whole gradient; infinity clips nothing.
        clip_value: Largest magnitude of one gradient entry; infinity clips nothing.
        clip_percentile: The gradient's norm is bounded by this percentile of all norms so far; 100
            clips nothing.
        patience: Epochs without a better validation loss before training stops.
        seed: Seed of initial weights and of the order of windows.
        optimizer: "adamw" or "sgd".
        schedule: The course of the learning rate.
        teacher_forcing: How often a decoder that is fed back reads the truth in training:
            "always", "never", or "scheduled", from always to never.
        weight_decay: AdamW's decoupled weight decay, or the penalty of gradient descent.
        jitter: Noise on what is read in training, as a share of how rough a window is.
    """

    epochs: int
    batches_per_epoch: int
    batch_size: int
    learning_rate: float
    clip_norm: float
    clip_value: float
    patience: int
    seed: int
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    clip_percentile: float = 100.0
    teacher_forcing: str = "scheduled"
    weight_decay: float = 1e-4
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batches_per_epoch", "batch_size", "patience"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.weight_decay >= 0, "weight_decay", "at least 0", self.weight_decay)
        _require_optimisation(self)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, whole.

    Attributes:
        encodings: Those of the covariates, in the order that they are read.
        yearly: The yearly seasonality of series, which is taken out of them.
    """

    data: DataConfig
    windows: WindowSpec
    model: ModelSpec
    training: TrainConfig
    encodings: tuple[Encoding, ...] = ()
    yearly: Yearly = NO_YEARLY

    def __post_init__(self) -> None:
        longest = max(self.model.lookbacks, default=self.windows.lookback)
        require(longest == self.windows.lookback, "lookback", "the longest member's", longest)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user asked for; the attributes are those of the specs, None where a rule decides.

    `refit` is whether the model that is kept is fitted once more, on all data.
    """

    horizon: int
    model: str = "gru"
    preset: str = "default"
    members: int | None = None
    season: int | None = None
    lookback: int | None = None
    levels: tuple[float, ...] = (80.0, 95.0)
    log: bool | None = None
    nonnegative: bool | None = None
    yearly: bool | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    dropout: float = 0.0
    segment_length: int | None = None
    head: str | None = None
    init: str = "orthogonal"
    tbptt: int | None = None
    epochs: int = 25
    batch_size: int | None = None
    learning_rate: float | None = None
    clip_norm: float = 1.0
    clip_value: float = math.inf
    clip_percentile: float = 100.0
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    teacher_forcing: str = "scheduled"
    jitter: float = 0.0
    patience: int = 10
    refit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = ("horizon", "season", "lookback", "segment_length", "hidden_size", "batch_size")
        for name in (*sizes, "num_layers", "tbptt", "epochs", "patience", "members"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, "at least 1", value)
            require(value is None or value < LARGEST, name, f"below {LARGEST}", value)
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        _require_optimisation(self)
        require_one_of(Init, "init", self.init)
        require_one_of(PresetName, "preset", self.preset)
        few = (self.members or 1) <= MOST_MEMBERS
        require(few, "members", f"at most {MOST_MEMBERS}", self.members)
        _require_levels(self.levels)
