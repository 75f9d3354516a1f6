"""The rules that settle what the user left open, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rnnforecast.columns import DataConfig
from rnnforecast.config import ModelSpec, RunConfig, Settings, TrainConfig, WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.seasonality import find_seasons
from rnnforecast.errors import ConfigError
from rnnforecast.models.compatibility import check_parts
from rnnforecast.models.distributions import HeadEntry, find_head
from rnnforecast.models.registry import ModelEntry, find_model

LONGEST_LOOKBACK = 720
LONGEST_WITHOUT_SEASON = 336
# Disjoint windows (values over horizon) from which on the learning rate is high and a fit to all
# data goes on from the scored weights, from which on a network is no longer narrow and batches are
# large, and from which on it is wide.
SOME, ENOUGH, PLENTY = 1_000, 3_000, 5_000
LEAST_STEPS, MOST_STEPS = 1_000, 1_500
# Seasons and series up to which values are left as they are, not made logarithms.
SHORT_SEASON, SHORT_SERIES = 4, 100


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What accuracy may cost.

    Attributes:
        members: Networks that forecast together.
        effort: Gradient steps as a multiple of what the rule says.
    """

    members: int
    effort: float


PRESETS = {
    "fast": Preset(members=1, effort=0.4),
    "default": Preset(members=3, effort=1.0),
    "best": Preset(members=7, effort=1.25),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rules look at, taken from the data before any cutoff that is scored.

    Attributes:
        seasons: Season lengths found.
        typical_length: Median length of the series.
        longest: Length of the longest series.
        windows: Steps of all series together: about as many windows can be cut.
        positive: Whether every value is above zero.
        nonnegative: Whether none is below zero.
    """

    seasons: tuple[int, ...]
    typical_length: int
    longest: int
    windows: int
    positive: bool
    nonnegative: bool


def find_facts(panel: Panel) -> Facts:
    """What the rules need to know of a panel."""
    least = np.nanmin(panel.values)
    return Facts(
        seasons=find_seasons(panel),
        typical_length=int(np.median(panel.lengths)),
        longest=int(panel.lengths.max()),
        windows=len(panel.values),
        positive=bool(least > 0),
        nonnegative=bool(least >= 0),
    )


def resolve(settings: Settings, facts: Facts, data: DataConfig) -> RunConfig:
    """Every setting, the user's where given, else the rule's.

    Raises:
        ConfigError: A season or a lookback is asked for that no series is long enough for, a
            lookback that jitter cannot be told of, or parts that do not go together.
    """
    model = find_model(settings.model)
    head = find_head(settings.head or model.head)
    check_parts(model, head, settings.tbptt)
    if head.counts and settings.log:
        raise ConfigError(f"head {head.name} is of counts, not of their logarithms; drop --log")
    windows, segment = _windows(settings, facts, model)
    lookbacks = _lookbacks(settings, facts, windows, segment)
    windows = replace(windows, lookback=max(lookbacks))
    disjoint = facts.windows // settings.horizon
    log = _log(facts, windows, head) if settings.log is None else settings.log
    return RunConfig(
        data=data,
        windows=windows,
        model=ModelSpec(
            model=settings.model,
            hidden_size=settings.hidden_size or _hidden_size(disjoint),
            num_layers=settings.num_layers or model.num_layers,
            dropout=settings.dropout,
            segment_length=segment,
            head=head.name,
            levels=settings.levels,
            log=log,
            init=settings.init,
            tbptt=settings.tbptt,
            nonnegative=_nonnegative(facts, log=log)
            if settings.nonnegative is None
            else settings.nonnegative,
            lookbacks=lookbacks if len(lookbacks) > 1 else (),
        ),
        training=_training(settings, facts.windows, disjoint),
    )


def _windows(settings: Settings, facts: Facts, model: ModelEntry) -> tuple[WindowSpec, int]:
    """What a window spans, and how many steps a segment of it."""
    for name in ("season", "lookback"):
        asked = getattr(settings, name)
        if asked is not None and asked > facts.longest:
            raise ConfigError(
                f"{name} must be at most {facts.longest}, the values of the longest series before "
                f"what is held out, got {asked}"
            )
    seasons = facts.seasons if settings.season is None else (settings.season,)
    lookback = settings.lookback or _lookback(seasons, settings.horizon, facts.typical_length)
    segment = settings.segment_length or _segment_length(model, seasons[0], lookback)
    if model.skip_recurrence and seasons[0] % segment:
        raise ConfigError(
            f"segment_length must divide the season of {seasons[0]} where model {model.name} goes "
            f"from season to season, got {segment}"
        )
    if settings.lookback is None:
        lookback = math.ceil(lookback / segment) * segment
    if settings.jitter and lookback < seasons[0] + 2:
        raise ConfigError(
            f"lookback must be at least {seasons[0] + 2}, a season and two values, for --jitter to "
            f"tell how rough a window is, got {lookback}"
        )
    spec = WindowSpec(lookback=lookback, horizon=settings.horizon, seasons=seasons)
    return spec, segment


def _lookback(seasons: tuple[int, ...], horizon: int, typical_length: int) -> int:
    """Two of the longest season and a fortnight of hours; several horizons where no season is.

    Never more than half of a typical series, so that windows remain to learn from, but always two
    of the main season.
    """
    if seasons == (1,):
        wished = max(14, min(8 * horizon, LONGEST_WITHOUT_SEASON), 2 * horizon)
    else:
        wished = max(2 * seasons[-1], min(14 * seasons[0], 336), 2 * horizon)
    return max(2 * seasons[0], min(wished, typical_length // 2, LONGEST_LOOKBACK))


def _lookbacks(
    settings: Settings, facts: Facts, windows: WindowSpec, segment: int
) -> tuple[int, ...]:
    """What each member reads, longest first: in turn the rule's lookback, half of it and twice it.

    No one lookback suits all series, and networks that read more and less err apart. A half must
    hold two seasons and a horizon, and twice as much a quarter of a series at most. A lookback that
    the user asks for, all members read.
    """
    lookback = windows.lookback
    choices = [lookback]
    if settings.lookback is None:
        half = math.ceil(lookback / 2 / segment) * segment
        if half >= max(2 * windows.season, windows.horizon):
            choices.append(half)
        longest = LONGEST_WITHOUT_SEASON if windows.season == 1 else LONGEST_LOOKBACK
        if 2 * lookback <= min(facts.typical_length // 4, longest):
            choices.append(2 * lookback)
    members = settings.members or PRESETS[settings.preset].members
    return tuple(sorted((choices[place % len(choices)] for place in range(members)), reverse=True))


def _log(facts: Facts, windows: WindowSpec, head: HeadEntry) -> bool:
    """Errors of positive series mostly grow with the level: the logarithm evens them out.

    But it makes exponential growth of a drift, which short series that mostly drift, as of years
    and quarters, do not keep up.
    """
    drifts = windows.season <= SHORT_SEASON and facts.typical_length <= SHORT_SERIES
    return facts.positive and not head.counts and not drifts


def _nonnegative(facts: Facts, *, log: bool) -> bool:
    """Demand and the like have never been below 0; the exponential of a logarithm cannot be."""
    return facts.nonnegative and not log


def _segment_length(model: ModelEntry, season: int, lookback: int) -> int:
    """A season a recurrent step where seven or more fit, else a quarter; about 8 steps without.

    Few recurrent steps keep gradients alive and training fast, and one phase of the season always
    falls on the same input. A recurrence from season to season needs a whole number of steps in
    one, several if there can be.
    """
    if season == 1:
        return 1 if model.skip_recurrence else max(1, lookback // 8)
    quarter = max(1, season // 4)
    if model.skip_recurrence:
        return max(length for length in range(1, quarter + 1) if season % length == 0)
    return season if lookback >= 7 * season else quarter


def _hidden_size(disjoint: int) -> int:
    """Wider networks for more disjoint windows: few are learnt by heart, however many overlap.

    A narrow network is also faster.
    """
    return 32 if disjoint < ENOUGH else 64 if disjoint < PLENTY else 128


def _training(settings: Settings, windows: int, disjoint: int) -> TrainConfig:
    """From 1,000 to 1,500 steps in 25 epochs, at a low rate and of small batches where few windows
    are disjoint: more would only see the same again."""
    largest = 128 if disjoint < ENOUGH else 256
    batch_size = settings.batch_size or min(largest, max(32, 2 ** round(math.log2(windows / 50))))
    steps = min(MOST_STEPS, max(LEAST_STEPS, disjoint // 3)) * PRESETS[settings.preset].effort
    return TrainConfig(
        epochs=settings.epochs,
        batches_per_epoch=math.ceil(steps / Settings.epochs),
        batch_size=batch_size,
        learning_rate=settings.learning_rate or (2e-3 if disjoint < SOME else 4e-3),
        clip_norm=settings.clip_norm,
        clip_value=settings.clip_value,
        clip_percentile=settings.clip_percentile,
        optimizer=settings.optimizer,
        schedule=settings.schedule,
        teacher_forcing=settings.teacher_forcing,
        jitter=settings.jitter,
        patience=settings.patience,
        seed=settings.seed,
    )
