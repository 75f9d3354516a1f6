"""The options of fitting a network, which `train` and `backtest` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, get_args

import typer

from rnnforecast.config import (
    Init,
    Optimisation,
    PresetName,
    ScheduleName,
    Settings,
    TeacherForcing,
)
from rnnforecast.errors import ConfigError
from rnnforecast.models.distributions import HEADS, find_head
from rnnforecast.models.registry import find_model

NETWORK, TRAINING = "Network", "Training"


def complete_head(incomplete: str) -> list[tuple[str, str]]:
    """Names of heads for shell completion, with their summaries."""
    rows = HEADS.values()
    return [(row.name, row.summary) for row in rows if row.name.startswith(incomplete)]


def _completing(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """A shell completion of these names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _one_of(kind: object, what: str, panel: str) -> typer.models.OptionInfo:
    """An option that takes a name of a Literal; its help is `what` and the names."""
    names = get_args(kind)
    option: typer.models.OptionInfo = typer.Option(
        help=f"{what}: {', '.join(names)}.",
        autocompletion=_completing(names),
        rich_help_panel=panel,
    )
    return option


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The network and its training; what is left out is settled by the rules in defaults.py."""

    season: Annotated[
        int | None, typer.Option(help="Steps in a season.", show_default="found from the data")
    ] = None
    preset: Annotated[
        str, _one_of(PresetName, "What accuracy may cost, seconds to a quarter of an hour", NETWORK)
    ] = Settings.preset
    members: Annotated[
        int | None,
        typer.Option(
            help="Networks whose median is the forecast.",
            show_default="the preset's",
            rich_help_panel=NETWORK,
        ),
    ] = None
    levels: Annotated[str, typer.Option(help="Coverages of the intervals, in percent.")] = "80,95"
    lookback: Annotated[
        int | None,
        typer.Option(help="Values before the cutoff that are read.", rich_help_panel=NETWORK),
    ] = None
    hidden_size: Annotated[
        int | None,
        typer.Option(help="Units of each layer and direction.", rich_help_panel=NETWORK),
    ] = None
    num_layers: Annotated[
        int | None,
        typer.Option(
            help="Recurrent layers that read the lookback.",
            show_default="the model's",
            rich_help_panel=NETWORK,
        ),
    ] = None
    dropout: Annotated[
        float,
        typer.Option(help="Share of units dropped between layers.", rich_help_panel=NETWORK),
    ] = 0.0
    segment_length: Annotated[
        int | None,
        typer.Option(
            help="Values that one recurrent step reads; 1 reads step by step.",
            rich_help_panel=NETWORK,
        ),
    ] = None
    head: Annotated[
        str | None,
        typer.Option(
            help=f"Form of the forecast: {', '.join(HEADS)}.",
            show_default="the model's",
            autocompletion=complete_head,
            rich_help_panel=NETWORK,
        ),
    ] = None
    log: Annotated[
        bool | None,
        typer.Option(
            "--log/--no-log",
            help="Work on logarithms.",
            show_default="where all values are positive, but for short series of no long season",
            rich_help_panel=NETWORK,
        ),
    ] = None
    nonnegative: Annotated[
        bool | None,
        typer.Option(
            "--nonnegative/--no-nonnegative",
            help="Forecast nothing below 0.",
            show_default="where no value is",
            rich_help_panel=NETWORK,
        ),
    ] = None
    yearly: Annotated[
        bool | None,
        typer.Option(
            "--yearly/--no-yearly",
            help="Take yearly seasonality out of what is read and put it back on forecasts.",
            show_default="where days or hours of two years go through it alike again",
            rich_help_panel=NETWORK,
        ),
    ] = None
    init: Annotated[str, _one_of(Init, "How recurrent layers start", NETWORK)] = Settings.init
    tbptt: Annotated[
        int | None,
        typer.Option(
            help="Recurrent steps at the end of the lookback that gradients flow through.",
            show_default="all",
            rich_help_panel=TRAINING,
        ),
    ] = None
    epochs: Annotated[int, typer.Option(help="Epochs at most.", rich_help_panel=TRAINING)] = (
        Settings.epochs
    )
    batch_size: Annotated[
        int | None, typer.Option(help="Windows in a gradient step.", rich_help_panel=TRAINING)
    ] = None
    optimizer: Annotated[
        str, _one_of(Optimisation, "What follows the gradient; sgd with momentum", TRAINING)
    ] = Settings.optimizer
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Peak of the schedule.",
            show_default="by the number of windows",
            rich_help_panel=TRAINING,
        ),
    ] = None
    schedule: Annotated[str, _one_of(ScheduleName, "Course of the learning rate", TRAINING)] = (
        Settings.schedule
    )
    clip_norm: Annotated[
        float,
        typer.Option(help="Largest norm of the gradient; inf: none.", rich_help_panel=TRAINING),
    ] = Settings.clip_norm
    clip_value: Annotated[
        float,
        typer.Option(
            help="Largest magnitude of one gradient entry; inf: none.", rich_help_panel=TRAINING
        ),
    ] = Settings.clip_value
    clip_percentile: Annotated[
        float,
        typer.Option(
            help="Hold the gradient's norm to this percentile of all norms so far; 100: none.",
            rich_help_panel=TRAINING,
        ),
    ] = Settings.clip_percentile
    teacher_forcing: Annotated[
        str,
        _one_of(
            TeacherForcing, "When a decoder that is fed back reads the truth in training", TRAINING
        ),
    ] = Settings.teacher_forcing
    jitter: Annotated[
        float,
        typer.Option(
            help="Noise on what is read in training, as a share of how rough it is; 0: none.",
            rich_help_panel=TRAINING,
        ),
    ] = Settings.jitter
    patience: Annotated[
        int,
        typer.Option(
            help="Epochs without a better validation loss before stopping.",
            rich_help_panel=TRAINING,
        ),
    ] = Settings.patience
    seed: Annotated[
        int, typer.Option(help="Of initial weights and window order.", rich_help_panel=TRAINING)
    ] = 0

    def settings(self, horizon: int, model: str, *, refit: bool = True) -> Settings:
        """What was asked for, for one model.

        Raises:
            ConfigError: A value cannot be used, or there is no such model or head.
        """
        return Settings(
            horizon=horizon,
            model=find_model(model).name,
            preset=self.preset,
            members=self.members,
            season=self.season,
            lookback=self.lookback,
            levels=_parse_levels(self.levels),
            log=self.log,
            nonnegative=self.nonnegative,
            yearly=self.yearly,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dropout=self.dropout,
            segment_length=self.segment_length,
            head=None if self.head is None else find_head(self.head).name,
            init=self.init,
            tbptt=self.tbptt,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            clip_percentile=self.clip_percentile,
            teacher_forcing=self.teacher_forcing,
            jitter=self.jitter,
            patience=self.patience,
            refit=refit,
            seed=self.seed,
        )


def _parse_levels(text: str) -> tuple[float, ...]:
    """Percentages such as "80,95", ascending.

    Raises:
        ConfigError: One is no number.
    """
    try:
        return tuple(sorted({float(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        raise ConfigError(f"levels must be percentages such as 80,95, got '{text}'") from None
