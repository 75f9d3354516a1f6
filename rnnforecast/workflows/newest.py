"""What the newest values say that those before them did not, by which every setting was settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.seasonality import find_seasons
from rnnforecast.data.yearly import days_of, has_days
from rnnforecast.data.yearly_search import (
    DISBELIEVED,
    LEAST_DAYS,
    find_yearly,
    with_shared,
)
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.errors import ConfigError
from rnnforecast.forecaster import Forecaster, without_logarithm
from rnnforecast.models.distributions import find_head
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.settling import settled
from rnnforecast.workflows.short_series import with_typical


def suited_to(config: RunConfig, panel: Panel, settings: Settings, reporter: Reporter) -> RunConfig:
    """Without what the rules took from older data and the newest ones, unlike them, do not bear.

    That is the logarithm of values without one, and a bound of 0 above values below it; where
    there are none of these, the bound takes the logarithm's place. What is typical of the series is
    then told anew, in their units.
    """
    model, below = config.model, panel.first_where(panel.values < 0)
    if below and model.nonnegative and not settings.nonnegative:
        reporter.warning(
            f"series '{below[0]}' has the value {below[1]:g} among its newest: forecasts of the "
            "model that is fitted to them are not kept above 0, as those of the one before"
        )
        model = replace(model, nonnegative=False)
    if model.log and (fault := without_logarithm(panel)):
        bounded = not below if settings.nonnegative is None else settings.nonnegative
        reporter.warning(
            f"series '{fault[0]}' has the value {fault[1]:g} among its newest: the model that is "
            "fitted to them works on plain values, while the one before worked on logarithms"
            + ("; its forecasts are kept at or above 0" if bounded else "")
        )
        plain = replace(config, model=replace(model, log=False, nonnegative=bounded))
        return settled(plain, panel, settings)
    return replace(config, model=model)


def unseen_season(config: RunConfig, panel: Panel, settings: Settings) -> int | None:
    """The season that a panel shows, where a configuration by fewer values has none.

    None where one is asked for, where the panel shows none, and where what else is asked for does
    not go with it.
    """
    if settings.season or config.windows.seasons != (1,) or panel.frequency.unit == "step":
        return None
    season = find_seasons(panel)[0]
    if season == 1:
        return None
    try:
        with_seasons_of(config, panel, settings)
    except ConfigError:
        return None
    return season


def other_yearly(
    config: RunConfig, met: Sequence[str], panel: Panel, settings: Settings
) -> str | None:
    """Why a panel calls for other yearly components than a model of some series has, if it does.

    Not where they are asked for or not wanted, nor of counts, which stay whole. A file of the
    newest rows alone tells nothing of components that were found.

    Args:
        config: That of the model.
        met: The series that it was trained on.
        panel: What may be seen.
        settings: What was asked for.
    """
    if find_head(config.model.head).counts or settings.yearly is not None:
        return None
    if not config.yearly:
        found = find_yearly(panel, log=config.model.log)
        return "the series show yearly seasonality, which the model has not" if found else None
    short, before = np.flatnonzero(days_of(panel) < LEAST_DAYS), set(met)
    new = [panel.ids[place] for place in short if panel.ids[place] not in before]
    if new and not config.yearly.shared:
        return f"series '{new[0]}' is too new for yearly seasonality, which the model has"
    long = len(panel) - len(short)
    tells = long > 1 if config.yearly.shared else long == len(panel)
    if not tells or find_yearly(panel, log=config.model.log, belief=DISBELIEVED):
        return None
    return "the series no longer show the yearly seasonality that the model has"


def acquainted(forecaster: Forecaster, met: Sequence[str], panel: Panel) -> Forecaster:
    """The forecaster with the yearly seasonality that series share, for those it has not met."""
    config = forecaster.config
    yearly = with_shared(config.yearly, panel, set(met))
    return replace(forecaster, config=replace(config, yearly=yearly))


def can_be_asked(season: int, known: Panel) -> bool:
    """Whether `--season` would take it: some series is as long before what is held out."""
    return season <= int(known.lengths.max())


def tell_of_season(season: int, known: Panel, settings: Settings, reporter: Reporter) -> None:
    """Say what is made of a season that is unseen, and how it would be used throughout."""
    used = "the model that is fitted to all has it, the one that is scored none"
    advice = f"; pass --season {season}" if can_be_asked(season, known) else ""
    reporter.note(
        f"all values show a season of {season} steps, what is not held out not clearly enough: "
        f"{used if settings.refit else 'no season is used'}{advice}"
    )


def tell_of_year(
    config: RunConfig, settings: Settings, panel: Panel, known: Panel, reporter: Reporter
) -> None:
    """Say so where all values show yearly seasonality, and what is not held out none, for long.

    Not where it is asked for or not wanted, or could not be asked for.
    """
    settled_upon = config.yearly or settings.yearly is not None
    if settled_upon or find_head(config.model.head).counts or not has_days(panel.frequency):
        return
    found = find_yearly(panel, log=config.model.log)
    if found and find_yearly(known, log=config.model.log, always=True):
        reporter.note(
            f"all values show yearly seasonality, in {found.count} series, and what is not held "
            "out does not, or not for long enough: none is taken out; pass --yearly"
        )


def with_seasons_of(config: RunConfig, panel: Panel, settings: Settings) -> RunConfig:
    """The same configuration, but by the seasons that a panel shows.

    It works on logarithms or plain values as before, for it takes over factors of intervals that
    were found on these.

    Raises:
        ConfigError: The settings do not go with these seasons.
    """
    found = resolve(settings, find_facts(panel), config.data)
    model = replace(
        config.model, segment_length=found.model.segment_length, lookbacks=found.model.lookbacks
    )
    return with_typical(replace(config, windows=found.windows, model=model), panel)
