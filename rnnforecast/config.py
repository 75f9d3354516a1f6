"""What a run consists of, as frozen dataclasses that check themselves.

`DataConfig`, `WindowSpec`, `ModelSpec` and `TrainConfig` are what each part needs; `RunConfig`
holds the four and is what a model file stores. `Settings` is what the user asked for: None there
means that the rules in `defaults.py` decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnforecast.errors import ConfigError

# No size is larger, so that none overflows where torch counts.
LARGEST = 2**31


def _require(condition: bool, name: str, rule: str, value: object) -> None:
    if not condition:
        raise ConfigError(f"{name} must be {rule}, got {value}")


def _require_levels(levels: tuple[float, ...]) -> None:
    inside = bool(levels) and all(0 < level < 100 and 100 + level < 200 for level in levels)
    _require(inside, "levels", "percentages between 0 and 100", list(levels))
    names = [f"{level:g}" for level in levels]  # of columns: two levels may not share one
    ascending = list(levels) == sorted(levels) and len(set(names)) == len(names)
    _require(ascending, "levels", "ascending without repeats", list(levels))


def _require_optimisation(
    learning_rate: float, clip_norm: float, clip_value: float, seed: int
) -> None:
    usable = math.isfinite(learning_rate) and learning_rate > 0
    _require(usable, "learning_rate", "positive", learning_rate)
    _require(clip_norm >= 0, "clip_norm", "at least 0", clip_norm)
    _require(clip_value >= 0, "clip_value", "at least 0", clip_value)
    _require(0 <= seed < 2**63, "seed", "in [0, 2^63)", seed)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which columns of a table are read, and how its cells are written. None: found from the file.

    Attributes:
        id_column: The column that names the series; None with target_columns set means wide form.
        time_column: The column of timestamps or integer steps.
        target_columns: The column to forecast; in wide form, one column a series.
        separator: The character between cells.
        decimal: The decimal mark, "." or ",".
        na_values: Cells that mean a missing target, beside the empty cell, NaN, NA and null.
        time_format: A strptime format for the time column.
    """

    id_column: str | None = None
    time_column: str | None = None
    target_columns: tuple[str, ...] = ()
    separator: str | None = None
    decimal: str | None = None
    na_values: tuple[str, ...] = ()
    time_format: str | None = None

    def __post_init__(self) -> None:
        if self.separator is not None:
            _require(len(self.separator) == 1, "separator", "one character", repr(self.separator))
        if self.decimal is not None:
            _require(self.decimal in (".", ","), "decimal", "'.' or ','", repr(self.decimal))


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
        _require(self.lookback >= 1, "lookback", "at least 1", self.lookback)
        _require(self.horizon >= 1, "horizon", "at least 1", self.horizon)
        usable = bool(self.seasons) and min(self.seasons) >= 1
        _require(usable, "season", "at least 1", list(self.seasons))

    @property
    def season(self) -> int:
        """The main season, 1 where there is none."""
        return self.seasons[0]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is needed, beside the window, to build a network.

    Attributes:
        model: A name from `models/registry.py`.
        hidden_size: Units of each recurrent layer and direction.
        num_layers: Recurrent layers.
        dropout: Share of units dropped between layers.
        segment_length: Observations that one recurrent step reads.
        head: The form of the forecast, a name from `models/registry.py`.
        levels: Nominal coverages of the forecast intervals, in percent, ascending.
        log: Whether the network works on the logarithm of the series.
    """

    model: str
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    segment_length: int = 1
    head: str = "quantile"
    levels: tuple[float, ...] = (80.0, 95.0)
    log: bool = False

    def __post_init__(self) -> None:
        _require(self.hidden_size >= 1, "hidden_size", "at least 1", self.hidden_size)
        _require(self.num_layers >= 1, "num_layers", "at least 1", self.num_layers)
        _require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        between = not self.dropout or self.num_layers > 1
        _require(between, "dropout", "0 with one layer, as it acts between layers", self.dropout)
        _require(self.segment_length >= 1, "segment_length", "at least 1", self.segment_length)
        _require_levels(self.levels)

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
        learning_rate: Peak of the one-cycle schedule.
        clip_norm: Largest norm of the whole gradient; infinity clips nothing.
        clip_value: Largest magnitude of one gradient entry; infinity clips nothing.
        patience: Epochs without a better validation loss before training stops.
        seed: Seed of initial weights and of the order of windows.
        weight_decay: AdamW's decoupled weight decay.
    """

    epochs: int
    batches_per_epoch: int
    batch_size: int
    learning_rate: float
    clip_norm: float
    clip_value: float
    patience: int
    seed: int
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("epochs", "batches_per_epoch", "batch_size", "patience"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _require(self.weight_decay >= 0, "weight_decay", "at least 0", self.weight_decay)
        _require_optimisation(self.learning_rate, self.clip_norm, self.clip_value, self.seed)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, whole."""

    data: DataConfig
    windows: WindowSpec
    model: ModelSpec
    training: TrainConfig


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user asked for; the attributes are those of the specs, None where a rule decides.

    `refit` is whether the model that is kept is fitted once more, on all data.
    """

    horizon: int
    model: str = "gru"
    season: int | None = None
    lookback: int | None = None
    levels: tuple[float, ...] = (80.0, 95.0)
    log: bool | None = None
    hidden_size: int | None = None
    num_layers: int = 1
    dropout: float = 0.0
    segment_length: int | None = None
    head: str = "quantile"
    epochs: int = 25
    batch_size: int | None = None
    learning_rate: float = 2e-3
    clip_norm: float = 1.0
    clip_value: float = math.inf
    patience: int = 10
    refit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = ("horizon", "season", "lookback", "segment_length", "hidden_size", "batch_size")
        for name in (*sizes, "num_layers", "epochs", "patience"):
            value = getattr(self, name)
            _require(value is None or value >= 1, name, "at least 1", value)
            _require(value is None or value < LARGEST, name, f"below {LARGEST}", value)
        _require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        _require_optimisation(self.learning_rate, self.clip_norm, self.clip_value, self.seed)
        _require_levels(self.levels)
