"""What stands before any fit: the series read, the newest held out, every setting settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from rnnforecast.backtest import Origins, held_out_origins, panel_before
from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.limits import check_work
from rnnforecast.workflows.covariates import (
    NO_SIDES,
    SideTables,
    encode_table,
    fit_encodings_to,
    reading,
    tell_of_categories,
    tell_of_far,
    tell_of_unknown,
)
from rnnforecast.workflows.facts import record_plan
from rnnforecast.workflows.inputs import (
    check_counts,
    check_logarithms,
    describe_config,
    describe_data,
    naming,
    read_series,
    tell_of_ends,
)
from rnnforecast.workflows.machine import ready_for_training, tell_of_kernels
from rnnforecast.workflows.newest import tell_of_season, tell_of_year, unseen_season
from rnnforecast.workflows.outputs import check_forecast_names
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.settling import settled
from rnnforecast.workflows.short_series import tell_of_short


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that could begin.

    Attributes:
        table: All series.
        origins: The cutoffs whose horizon is held out for scoring.
        known: The series before these.
        settings: What was asked for.
        config: All that this comes to.
        unseen_season: The one that only all values show, if any.
        device: Where the network is fitted.
    """

    table: Table
    origins: Origins
    known: Panel
    settings: Settings
    config: RunConfig
    unseen_season: int | None
    device: torch.device

    @property
    def panel(self) -> Panel:
        """All series."""
        return self.table.panel


def read_and_prepare(
    path: str | Sequence[str],
    asked: DataConfig,
    settings: Settings,
    device: torch.device,
    reporter: Reporter,
    sides: SideTables = NO_SIDES,
) -> Prepared:
    """Read the series and settle every setting by them.

    Raises:
        ConfigError: A setting cannot be used with these series.
        DataError: They cannot be read, or not be used.
    """
    return prepare(read_series(path, asked, reporter, sides), settings, device, reporter)


def prepare(
    table: Table,
    settings: Settings,
    device: torch.device,
    reporter: Reporter,
    *,
    kept: RunConfig | None = None,
) -> Prepared:
    """The same with series that have been read.

    The configuration is `kept` where there is one, as of a model that goes on learning.
    """
    panel = table.panel
    with naming(table):
        origins = held_out_origins(panel, settings.horizon)
        known = panel_before(panel, origins)
        if kept is None:
            encodings = fit_encodings_to(table, known, reporter)
            config = reading(resolve(settings, find_facts(known), table.config), encodings)
        else:
            tell_of_categories(table.name, table.covariates, kept.encodings, reporter)
            tell_of_far(table.name, table.covariates, table.panel, kept.encodings, reporter)
            config = replace(kept, data=table.config)
        table = encode_table(table, config.encodings, settings.horizon)
        panel, known = table.panel, panel_before(table.panel, origins)
        if kept is None:
            config = settled(config, known, settings)
        check_logarithms(panel, settings, kept=config.model.log and not settings.refit)
        check_counts(panel, config.model.head)
    check_forecast_names(table.config, [config.model.model], config.model.levels)
    check_work(config, panel.tail(config.windows.lookback))
    reporter.note(f"{describe_data(table)}; {describe_config(config)}; on {device.type}")
    record_plan(known, settings, config, device, reporter)
    tell_of_ends(panel, reporter)
    unseen = None if kept is not None else unseen_season(config, panel, settings)
    if unseen is not None:
        tell_of_season(unseen, known, settings, reporter)
    if kept is None:
        tell_of_year(config, settings, panel, known, reporter)
    tell_of_short(panel, origins, config.windows, reporter)
    tell_of_unknown(panel, config, reporter)
    tell_of_kernels(config, device, reporter)
    ready_for_training(config, device)
    return Prepared(
        table=table,
        origins=origins,
        known=known,
        settings=settings,
        config=config,
        unseen_season=unseen,
        device=device,
    )
