"""What the values themselves tell of a configuration, once the rules have settled the rest."""

from __future__ import annotations

from dataclasses import replace

from rnnforecast.columns import NO_YEARLY
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.yearly_search import LEAST_FORCED, find_yearly
from rnnforecast.errors import ConfigError
from rnnforecast.models.distributions import find_head
from rnnforecast.workflows.short_series import with_typical


def settled(config: RunConfig, panel: Panel, settings: Settings) -> RunConfig:
    """With the yearly components of a panel, all of it known, and what is typical of the rest.

    Raises:
        ConfigError: Components are asked for, and no series can have one.
    """
    return with_typical(_with_yearly(config, panel, settings), panel)


def _with_yearly(config: RunConfig, panel: Panel, settings: Settings) -> RunConfig:
    counts = find_head(config.model.head).counts
    if counts and settings.yearly:
        raise ConfigError(f"head {config.model.head} is of counts, which are whole; drop --yearly")
    if counts or settings.yearly is False:
        return replace(config, yearly=NO_YEARLY)
    found = find_yearly(panel, log=config.model.log, always=bool(settings.yearly))
    if settings.yearly and not found:
        raise ConfigError(
            f"no series has {LEAST_FORCED} days, most of them observed, in steps of a day or less, "
            "before what is held out; drop --yearly"
        )
    return replace(config, yearly=found)
