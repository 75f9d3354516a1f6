"""The names of columns by the tools whose tables are read and written: `--dialect`.

    dialect    id         time       target  forecast and its intervals
    ---------  ---------  ---------  ------  -------------------------------------------------
    nixtla     unique_id  ds         y       M, M-lo-80, M-hi-80, ... of each model M
    prophet    none       ds         y       yhat, yhat_lower, yhat_upper of one model
    autogluon  item_id    timestamp  target  mean, 0.1, 0.5, 0.9, ... of one model

What a user names goes before these. Outputs of `nixtla`, the default, bear the names that the data
have; those of the others always bear the dialect's, but for Prophet's id, which it has none of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rnnforecast.columns import DataConfig
from rnnforecast.errors import DataError

# Of Prophet's intervals, in percent: the one it gives where it is not asked for another.
PROPHET_LEVEL = 80.0


class _Names(NamedTuple):
    id: str | None
    time: str
    target: str


DIALECTS = {
    "nixtla": _Names("unique_id", "ds", "y"),
    "prophet": _Names(None, "ds", "y"),
    "autogluon": _Names("item_id", "timestamp", "target"),
}


def looked_for(asked: DataConfig, header: Sequence[str]) -> DataConfig:
    """What was asked, and the dialect's columns where nothing was and the header has them.

    Raises:
        DataError: One of these, by the names of whatever dialect, is asked for as a covariate.
    """
    _check_covariates(asked, header)
    names = DIALECTS[asked.dialect]
    taken = (asked.id_column, asked.time_column, *asked.target_columns, *asked.covariates)
    there = [name if name in header and name not in taken else None for name in names]
    identifier, time, target = there
    return replace(
        asked,
        id_column=asked.id_column or identifier,
        time_column=asked.time_column or time,
        target_columns=asked.target_columns or ((target,) if target else ()),
    )


def _check_covariates(asked: DataConfig, header: Sequence[str]) -> None:
    """Raise DataError where what a series must have is asked for beside it."""
    dialects = (DIALECTS[asked.dialect], *DIALECTS.values())
    kinds = (
        ("id column", "--id-col", asked.id_column, [names.id for names in dialects]),
        ("time column", "--time-col", asked.time_column, [names.time for names in dialects]),
        ("target", "--target-col", asked.target_columns, [names.target for names in dialects]),
    )
    for kind, option, named, names in kinds:
        name = None if named else next((name for name in names if name in header), None)
        if name in asked.covariates:
            role = asked.role_of(str(name))
            raise DataError(
                f"column '{name}' is the {kind}; drop --{role} {name}, or pass {option} if another "
                "is"
            )


def as_repeated(option: str, name: str) -> str:
    """How several columns are passed that were written as one name, with commas between them."""
    return "pass " + " ".join(f"{option} {part.strip()}" for part in name.split(","))


def id_name(config: DataConfig) -> str:
    """What the column that names the series is called in outputs."""
    if config.dialect == "autogluon":
        return str(DIALECTS[config.dialect].id)
    return config.id_column or "unique_id"


def time_name(config: DataConfig) -> str:
    """What the column of times is called in outputs."""
    own = config.dialect == "nixtla"
    return str(config.time_column) if own else DIALECTS[config.dialect].time


def target_name(config: DataConfig) -> str:
    """What a column of actual values is called in outputs."""
    if config.dialect != "nixtla":
        return DIALECTS[config.dialect].target
    return config.target_columns[0] if config.id_column else "y"


def has_id(config: DataConfig, series: int) -> bool:
    """Whether outputs of so many series have a column that names these."""
    return config.dialect != "prophet" or config.id_column is not None or series > 1


def forecast_columns(
    model: str, levels: Sequence[float], dialect: str = DataConfig.dialect
) -> list[tuple[str, float]]:
    """The columns of a model's forecasts in their order, each with the level of its quantile.

    Args:
        model: Its name.
        levels: Nominal coverages of its intervals, in percent, ascending.
        dialect: Prophet's has one interval: that of 80 percent, else the narrowest.
    """
    if dialect == "prophet":
        narrow = [level for level in levels if level == PROPHET_LEVEL] or list(levels[:1])
        bounds = [each for level in narrow for each in _bounds(level, "yhat_lower", "yhat_upper")]
        return [("yhat", 0.5), *bounds]
    if dialect == "autogluon":
        quantiles = [(f"{at:g}", at) for level in levels for _, at in _bounds(level)]
        middle = [("0.5", 0.5)] if levels else []
        return [("mean", 0.5), *sorted([*quantiles, *middle], key=lambda column: column[1])]
    named = [(f"{model}-lo-{level:g}", f"{model}-hi-{level:g}", level) for level in levels]
    return [
        (model, 0.5),
        *(each for low, high, level in named for each in _bounds(level, low, high)),
    ]


def _bounds(level: float, low: str = "", high: str = "") -> list[tuple[str, float]]:
    """The bounds of an interval with the levels of their quantiles."""
    at = round((100 - level) / 200, 9)
    return [(low, at), (high, round(1 - at, 9))]
