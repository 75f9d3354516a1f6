"""`rnnforecast backtest`: several models and the baselines from several cutoffs on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rnnforecast.arrays import FloatArray
from rnnforecast.backtest import Origins, held_out_origins, panel_before
from rnnforecast.columns import DataConfig
from rnnforecast.config import RunConfig, Settings
from rnnforecast.contenders import BaselineContender, Calibrated, Contender
from rnnforecast.data.dialects import id_name, target_name
from rnnforecast.data.reading import Table
from rnnforecast.defaults import find_facts, resolve
from rnnforecast.forecaster import without_logarithm
from rnnforecast.runtime import select_device
from rnnforecast.scoreboard import Scoreboard
from rnnforecast.workflows.covariates import (
    NO_SIDES,
    SideTables,
    encode_table,
    fit_encodings_to,
    reading,
)
from rnnforecast.workflows.facts import record_backtest, record_metrics
from rnnforecast.workflows.fitting import (
    baseline_contenders,
    calibration_windows,
    factors_of,
    fit_validated,
    matching,
    refit,
)
from rnnforecast.workflows.forecast_rows import CUTOFF, forecast_rows, rows_of
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
from rnnforecast.workflows.newest import suited_to
from rnnforecast.workflows.outputs import check_forecast_names
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.scoring import (
    Scored,
    failed_gate,
    forecast_origins,
    parse_gates,
    tell_of_losses,
    tell_of_undefined,
    tell_of_unread,
    tell_the_best,
)
from rnnforecast.workflows.settling import settled
from rnnforecast.workflows.short_series import tell_of_short


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """What `rnnforecast backtest` was asked.

    Attributes:
        path: The file, "-" for standard input; or several, as one table.
        data: Columns and dialect, as far as they were named.
        settings: The rest, for each model to compare.
        sides: Files beside it, with covariates.
        baselines: Statistical models to compare as well.
        windows: Cutoffs of each series.
        step: Values between two cutoffs; None for the horizon.
        refit_every: Cutoffs after which models are fitted anew; None fits them once.
        by: What the rows of the table stand for: "model", "series", "step" or "cutoff".
        fail_if: Conditions such as mase>1 under which the run fails.
        output: Where every forecast goes, as CSV.
        device: "auto", "cpu", "cuda" or "mps".
    """

    path: str | Sequence[str]
    data: DataConfig
    settings: tuple[Settings, ...]
    sides: SideTables = NO_SIDES
    baselines: tuple[str, ...] = ()
    windows: int = 3
    step: int | None = None
    refit_every: int | None = None
    by: str = "model"
    fail_if: tuple[str, ...] = ()
    output: Path | None = None
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a backtest works on, once everything is settled.

    Attributes:
        table: The series, and how they were written.
        origins: The cutoffs.
        configs: One of each network.
        baselines: All of them.
    """

    table: Table
    origins: Origins
    configs: tuple[RunConfig, ...]
    baselines: tuple[BaselineContender, ...]

    @property
    def horizon(self) -> int:
        """Steps of a forecast."""
        return self.configs[0].windows.horizon

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels that all models forecast."""
        return self.configs[0].model.quantile_levels

    @property
    def networks(self) -> list[str]:
        """The names of the networks."""
        return [config.model.model for config in self.configs]

    @property
    def models(self) -> list[str]:
        """The names of all that is compared."""
        return [*self.networks, *(baseline.name for baseline in self.baselines)]


def backtest(request: BacktestRequest, reporter: Reporter) -> Scored:
    """Forecast from every cutoff, with networks fitted before the first or every so often.

    At each cutoff a network reads all that lies before it; its weights know what lies before the
    cutoff at which it was last fitted, and its intervals follow the outcomes since.
    """
    device = select_device(request.device)
    asked = request.settings[0]
    gates = parse_gates(request.fail_if, asked.levels, owa=asked.season is not None)
    setup = _set_up(request, reporter)
    record_backtest(setup.origins, request.settings, device, reporter)
    origins, board = setup.origins, _board(setup, request.by)
    contenders: dict[str, Calibrated] = {}
    every = request.refit_every or origins.count
    began = time.monotonic()
    with forecast_rows(request.output) as write:
        for first in range(0, origins.count, every):
            ranks = range(first, min(first + every, origins.count))
            if first:
                left = (time.monotonic() - began) / first * (origins.count - first)
                where = f"cutoff {first + 1} of {origins.count}"
                reporter.note(f"fitting anew before {where}; about {left:.0f} s left")
            _fit(contenders, setup, request, first, device, reporter)
            title = f"forecasting from cutoffs {first + 1} to {ranks.stop} of {origins.count}"
            with reporter.counting(title, len(ranks) * len(origins.series)) as done:
                for block in forecast_origins(
                    setup.table.panel,
                    origins,
                    contenders.values(),
                    setup.configs[0].model,
                    setup.horizon,
                    ranks,
                ):
                    board.add(block)
                    if write is not None:
                        write(rows_of(block, setup.table, asked.levels))
                    done(len(block.index))
    metrics = board.by_model()
    record_metrics(metrics, reporter)
    tell_of_unread(board, reporter)
    tell_of_undefined(board, reporter)
    tell_of_losses(metrics, setup.networks, reporter)
    tell_the_best(board, reporter)
    return Scored(board.table(), failed_gate(metrics, setup.networks, gates))


def _set_up(request: BacktestRequest, reporter: Reporter) -> Setup:
    """Read the series; settle cutoffs, configurations and names."""
    table = read_series(request.path, request.data, reporter, request.sides)
    panel, horizon = table.panel, request.settings[0].horizon
    with naming(table):
        origins = held_out_origins(panel, horizon, request.windows, request.step or horizon)
        known = panel_before(panel, origins)
        facts, encodings = find_facts(known), fit_encodings_to(table, known, reporter)
        configs = [
            settled(reading(resolve(settings, facts, table.config), encodings), known, settings)
            for settings in request.settings
        ]
        table = encode_table(table, encodings, horizon)
        check_logarithms(panel, request.settings[0])
        for config in configs:
            check_counts(panel, config.model.head)
    windows, spec = configs[0].windows, configs[0].model
    baselines = baseline_contenders(
        windows,
        spec.quantile_levels,
        naive2=request.settings[0].season is not None,
        more=request.baselines,
        least=spec.least,
    )
    setup = Setup(table=table, origins=origins, configs=tuple(configs), baselines=tuple(baselines))
    plain = replace(table.config, dialect="nixtla")  # others name one model alone
    check_forecast_names(plain, setup.models, spec.levels, CUTOFF, target_name(plain))
    cutoffs = "1 cutoff" if request.windows == 1 else f"{request.windows} cutoffs"
    reporter.note(f"{describe_data(table)}; {cutoffs}")
    tell_of_ends(panel, reporter)
    tell_of_short(panel, origins, windows, reporter)
    if spec.log and (fault := without_logarithm(panel)):
        reporter.warning(
            f"series '{fault[0]}' has the value {fault[1]:g} after the first cutoff, which models "
            "on logarithms pass over; --no-log reads it"
        )
    return setup


def _board(setup: Setup, by: str) -> Scoreboard:
    panel, origins = setup.table.panel, setup.origins
    cutoffs = [
        np.unique(panel.times(origins.series, origins.cutoffs(rank) - 1))
        for rank in range(origins.count)
    ]
    return Scoreboard(
        panel,
        dict.fromkeys(setup.models, setup.levels),
        horizon=setup.horizon,
        season=setup.configs[0].windows.season,
        cutoffs=np.concatenate(cutoffs),
        by=by,
        series_column=id_name(setup.table.config),
    )


def _fit(
    contenders: dict[str, Calibrated],
    setup: Setup,
    request: BacktestRequest,
    rank: int,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Fit the networks to what lies before the cutoffs of this rank, and calibrate everything."""
    known = panel_before(setup.table.panel, setup.origins, rank)
    newest = calibration_windows(known, setup.horizon)

    def enter(
        validated: Contender,
        contender: Contender,
        config: RunConfig,
        widths: FloatArray | float = 1.0,
    ) -> None:
        """Calibrate by a contender that has not seen the newest windows; go on with the other."""
        own = contenders.get(contender.name)
        if own and own.contender.log != contender.log:
            own = None  # What was learnt of logarithms says nothing of plain widths.
        prior = own.factors_at(rank) if own else 1.0
        factors = factors_of(validated, known, newest, config, prior)
        if own:
            own.restart(contender, factors, matching=widths)
        else:
            levels, stride = config.model.levels, setup.origins.stride
            contenders[contender.name] = Calibrated(
                contender, factors, levels, stride, matching=widths
            )

    configs = [
        suited_to(asked, known, settings, reporter)
        for asked, settings in zip(setup.configs, request.settings, strict=True)
    ]
    for config, settings in zip(configs, request.settings, strict=True):
        if not rank:
            reporter.note(f"{describe_config(config)}; on {device.type}")
            tell_of_kernels(config, device, reporter)
        ready_for_training(config, device)
        validated, result = fit_validated(known, config, device, reporter)
        forecaster = validated
        if settings.refit:
            scored = validated, result
            forecaster = refit(known, config, device, reporter, scored, replaceable=False)
        enter(validated, forecaster, config, matching(validated, forecaster, known))
    for baseline in setup.baselines:
        bounded = replace(baseline, least=configs[0].model.least)
        enter(bounded, bounded, configs[0])
