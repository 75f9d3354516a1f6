"""From a fitted network to the files of its run: its scores, its intervals, its directory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.artifact import MODEL_FILE, Artifact, pack_artifact
from rnnforecast.config import RunConfig
from rnnforecast.contenders import Calibrated, Contender
from rnnforecast.data.covariates import CellValues
from rnnforecast.data.files import write_files
from rnnforecast.data.reading import Table
from rnnforecast.data.windows import WindowIndex
from rnnforecast.data.writing import to_csv
from rnnforecast.forecaster import Forecaster
from rnnforecast.models.ensemble import Ensemble
from rnnforecast.scoreboard import Scoreboard
from rnnforecast.training.loop import FitResult
from rnnforecast.workflows.checkpoints import FIRST_SHARE, LONG_SHARE, Checkpoints
from rnnforecast.workflows.facts import record_metrics
from rnnforecast.workflows.fitting import (
    CALIBRATION_WINDOWS,
    baseline_contenders,
    calibration_windows,
    factors_of,
    goes_on,
    refit,
)
from rnnforecast.workflows.inputs import naming
from rnnforecast.workflows.newest import suited_to, with_seasons_of
from rnnforecast.workflows.outputs import TABLES, stored_forecasts
from rnnforecast.workflows.preparing import Prepared
from rnnforecast.workflows.reporting import Mute, Reporter
from rnnforecast.workflows.scoring import (
    forecast_origins,
    tell_of_undefined,
    tell_of_unread,
)


def score(
    networks: Sequence[Contender],
    run: Prepared,
    reporter: Reporter,
    *,
    factors: dict[str, FloatArray],
) -> Scoreboard:
    """Networks and baselines scored on what was held out, and a word on what is not scored.

    `factors` are those of the intervals of each network, by its name.
    """
    config = run.config
    baselines = baseline_contenders(
        config.windows,
        config.model.quantile_levels,
        naive2=run.settings.season is not None,
        least=config.model.least,
    )
    found = {baseline.name: known_factors(baseline, run) for baseline in baselines} | factors
    board = fill_board((*networks, *baselines), found, run)
    tell_of_unread(board, reporter)
    tell_of_undefined(board, reporter)
    record_metrics(board.by_model(), reporter)
    return board


def fill_board(
    contenders: Sequence[Contender], factors: Mapping[str, FloatArray], run: Prepared
) -> Scoreboard:
    """Contenders held against what was held out, their intervals widened by these factors."""
    panel, config = run.panel, run.config
    horizon, levels = config.windows.horizon, config.model.levels
    calibrated = [Calibrated(each, factors[each.name], levels, stride=1) for each in contenders]
    board = Scoreboard(
        panel,
        {contender.name: config.model.quantile_levels for contender in contenders},
        horizon=horizon,
        season=config.windows.season,
        cutoffs=panel.times(run.origins.series, run.origins.cutoffs(0) - 1),
    )
    for block in forecast_origins(panel, run.origins, calibrated, config.model, horizon, range(1)):
        board.add(block)
    return board


def known_factors(contender: Contender, run: Prepared) -> FloatArray:
    """The factors of the intervals by the newest windows before what was held out."""
    newest = calibration_windows(run.known, run.config.windows.horizon)
    return factors_of(contender, run.panel, newest, run.config)


def unseen_factors(forecaster: Forecaster, run: Prepared) -> FloatArray:
    """The factors of the intervals by all that the scored model was not fitted to.

    These are the newest windows of its training data, and those that it was scored on.
    """
    held_out = run.origins.windows(np.arange(len(run.origins))).thinned(CALIBRATION_WINDOWS)
    newest = calibration_windows(run.known, run.config.windows.horizon)
    unseen = WindowIndex(
        series=np.concatenate([newest.series, held_out.series]),
        cutoffs=np.concatenate([newest.cutoffs, held_out.cutoffs]),
    )
    return factors_of(forecaster, run.panel, unseen, run.config)


def first_share(run: Prepared, *, initial: bool = False) -> float:
    """What the fit that is scored may take of the time for it and for `fit_to_all`.

    `initial`: whether the latter is given the weights to start from.
    """
    if not run.settings.refit:
        return 1.0
    going_on = not initial and goes_on(run.panel, refit_config(run), run.config)
    return LONG_SHARE if going_on else FIRST_SHARE


def refit_config(run: Prepared) -> RunConfig:
    """The configuration of a fit to all data that no weights are given to."""
    return _seasonal(suited_to(run.config, run.panel, run.settings, Mute()), run)


def _seasonal(config: RunConfig, run: Prepared) -> RunConfig:
    """The same by the season that only all values show, where there is one."""
    if run.unseen_season is None:
        return config
    return with_seasons_of(config, run.panel, run.settings)


def fit_to_all(
    scored: Forecaster,
    run: Prepared,
    result: FitResult,
    checkpoints: Checkpoints,
    reporter: Reporter,
    *,
    initial: Ensemble | None = None,
) -> Forecaster:
    """A model fitted once more, to everything; the scored one where time runs out.

    `result` is how the fit of the scored one went.

    `initial` has the weights to start from, where those are not of `refit`'s choice.
    """
    borne = suited_to(run.config, run.panel, run.settings, reporter)
    # The scored model can be kept unless the newest values do not bear what it works on.
    share = 1.0 if borne == run.config else None
    return refit(
        run.panel,
        _seasonal(borne, run) if initial is None else borne,
        run.device,
        reporter,
        (scored, result),
        initial=initial,
        watching=checkpoints.watching(share),
    )


def write_run(
    directory: Path,
    forecaster: Forecaster,
    scored: Forecaster,
    run: Prepared,
    metrics: pd.DataFrame,
    result: FitResult,
    reporter: Reporter,
    *,
    seen: IntArray,
    **more: Any,
) -> None:
    """All files at once, the model last, so that no reader meets half of a run.

    Args:
        directory: Where they go.
        forecaster: The model that is kept.
        scored: The same before any fit to what it was scored on, its intervals as of then.
        run: The data.
        metrics: The table.
        result: How training went.
        reporter: Told of what the forecasts give rise to.
        seen: How many values of each series `scored` was fitted to [series].
        more: What else the model file is to record.
    """
    table, unseen = run.table, run.panel.lengths - seen
    history = pd.DataFrame([asdict(record) for record in result.history])
    tail = table.panel.tail(forecaster.config.windows.lookback)
    record = {
        "data": {
            "name": table.name,
            "sha256": table.sha256,
            "values": len(table.panel.values),
            "panel_sha256": digest_of(table),
        },
        "unseen": int(unseen[0]) if (unseen == unseen[0]).all() else unseen.tolist(),
        "settings": asdict(run.settings),
        "best_epoch": result.best_epoch,
        "stop_reason": result.stop_reason,
        # Seconds would differ between two runs that are otherwise the same.
        "history": records(history.drop(columns="seconds")),
        "metrics": records(metrics),
        **more,
    }
    with naming(table):
        forecasts = stored_forecasts(forecaster, tail, reporter)
    tables = zip(TABLES, (forecasts, metrics, history), strict=True)
    contents = {directory / name: to_csv(content).encode() for name, content in tables}
    # Weights for plain values are of no use on logarithms, nor those for one season for another; a
    # bound on forecasts changes none.
    before, after = scored.config, forecaster.config
    bounded = replace(before.model, nonnegative=after.model.nonnegative)
    alike = bounded == after.model and before.windows == after.windows
    artifact = Artifact(
        forecaster=forecaster, panel=tail, record=record, scored=scored if alike else None
    )
    write_files({**contents, directory / MODEL_FILE: pack_artifact(artifact)})


def digest_of(table: Table) -> str:
    """A hash of the series, their values and covariates, in whatever order they were written."""
    panel = table.panel
    digest = sha256(repr(panel.frequency).encode())
    for column in () if table.covariates is None else table.covariates.columns:
        digest.update(repr((column.name, column.role, column.texts)).encode())
    for place in sorted(range(len(panel)), key=panel.ids.__getitem__):
        digest.update(repr((panel.ids[place], int(panel.starts[place]))).encode())
        digest.update(np.ascontiguousarray(panel.series(place)).data)
        for values in _covariates_of(table, place):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _covariates_of(table: Table, place: int) -> Iterator[CellValues]:
    """What a series has beside its values, column by column."""
    covariates = table.covariates
    if covariates is None:
        return
    ranges = {
        "static": slice(place, place + 1),
        "past": slice(*covariates.offsets[place : place + 2]),
        "future": slice(*covariates.future_offsets[place : place + 2]),
    }
    for column in covariates.columns:
        yield column.values[ranges[column.role]]


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table, None where a cell is empty."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
