"""Rolling origins: what was forecast from each cutoff beside what happened, for every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.config import WindowSpec
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex
from rnnforecast.errors import DataError
from rnnforecast.evaluation import metrics
from rnnforecast.evaluation.baselines import BASELINES

VALIDATED_SHARE = 0.1


def held_out_origins(panel: Panel, horizon: int, windows: int = 1, step: int = 1) -> WindowIndex:
    """The newest `windows` cutoffs of each series, `step` apart, the last a horizon before the end.

    Series too short to keep as much history as is held out are not scored; where that leaves none,
    those that keep two values are.

    Raises:
        DataError: None does.
    """
    held_out = horizon + (windows - 1) * step
    kept = panel.lengths - held_out
    for least in (max(2, held_out), 2):
        scored = np.flatnonzero(kept >= least)
        if len(scored):
            back = np.arange(windows)[::-1] * step
            cutoffs = panel.lengths[scored, None] - horizon - back
            return WindowIndex(series=np.repeat(scored, windows), cutoffs=cutoffs.ravel())
    raise DataError(_too_long(int(panel.lengths.max()), horizon, windows, step))


def _too_long(longest: int, horizon: int, windows: int, step: int) -> str:
    """Why nothing can be held out, and the most that could be."""
    if longest <= 2:
        return f"the longest series has {longest} values; pass longer series"
    if longest < horizon + 2:
        what, remedy = f"horizon {horizon} is too long", f"--horizon of at most {longest - 2}"
    else:
        most = 1 + (longest - 2 - horizon) // step
        what, remedy = f"{windows} cutoffs are too many", f"--windows of at most {most}"
    held_out = horizon + (windows - 1) * step
    return (
        f"{what}: {held_out} values are held out for scoring, and the longest series has "
        f"{longest}; pass a {remedy}"
    )


def training_ends(lengths: IntArray, horizon: int) -> IntArray | None:
    """Where training targets end so that the newest windows are left for validation [series].

    A horizon or a tenth of the series, whichever is longer, is left; nothing where that is more
    than remains. None where no series leaves anything.
    """
    left = np.maximum(horizon, (lengths * VALIDATED_SHARE).astype(np.int64))
    enough = lengths - left >= np.maximum(left, 2)
    return np.where(enough, lengths - left, lengths) if enough.any() else None


def panel_before(panel: Panel, index: WindowIndex) -> Panel:
    """The panel up to the first cutoff of each series; whole where a series has none."""
    cutoffs = panel.lengths.copy()
    np.minimum.at(cutoffs, index.series, index.cutoffs)
    return panel.before(cutoffs)


@dataclass(frozen=True)
class Scored:
    """Forecasts of one model for windows whose outcome is known.

    Attributes:
        name: The model's or baseline's.
        quantiles: [window, step, quantile].
        levels: The level of each quantile.
        intervals: Whether the quantiles differ, so that their coverage means something.
    """

    name: str
    quantiles: FloatArray
    levels: tuple[float, ...]
    intervals: bool = True

    @property
    def point(self) -> FloatArray:
        """The median [window, step]."""
        return self.quantiles[..., self.levels.index(0.5)]


def actual_values(panel: Panel, index: WindowIndex, horizon: int) -> FloatArray:
    """What followed each cutoff [window, step]."""
    positions = panel.offsets[index.series, None] + index.cutoffs[:, None] + np.arange(horizon)
    actual: FloatArray = panel.values[positions]
    return actual


def _histories(panel: Panel, index: WindowIndex) -> list[FloatArray]:
    pairs = zip(index.series, index.cutoffs, strict=True)
    return [panel.series(series)[:cutoff] for series, cutoff in pairs]


def baseline_forecasts(
    panel: Panel, index: WindowIndex, windows: WindowSpec, levels: tuple[float, ...]
) -> list[Scored]:
    """Each baseline from each cutoff on, its point forecast standing for every level."""
    histories = _histories(panel, index)
    scored = []
    for name, forecast in BASELINES.items():
        point = np.stack([forecast(past, windows.horizon, windows.season) for past in histories])
        quantiles = np.repeat(point[..., None], len(levels), axis=-1)
        scored.append(Scored(name=name, quantiles=quantiles, levels=levels, intervals=False))
    return scored


def metrics_table(
    panel: Panel, index: WindowIndex, windows: WindowSpec, scored: Sequence[Scored]
) -> pd.DataFrame:
    """One row a model, one column a metric; n counts the values that forecasts were held against.

    Only steps that every model has forecast count. skill is 1 less the MASE over that of the
    seasonal naive: above 0 is better.
    """
    actual = actual_values(panel, index, windows.horizon)
    for model in scored:
        actual = np.where(np.isnan(model.point), np.nan, actual)
    histories = _histories(panel, index)
    absolute, square = (
        np.array([metrics.seasonal_scale(past, windows.season, order) for past in histories])
        for order in (1, 2)
    )
    rows = [_metrics_row(actual, model, absolute, square) for model in scored]
    table = pd.DataFrame(rows)
    reference = table.loc[table["model"] == "seasonal-naive", "mase"].iloc[0]
    skill = 1 - table["mase"] / reference if reference > 0 else np.nan
    table.insert(len(table.columns), "skill", skill)
    return table


def _metrics_row(
    actual: FloatArray, model: Scored, absolute: FloatArray, square: FloatArray
) -> Mapping[str, object]:
    point = model.point
    by_window = {
        "mae": metrics.mae(actual, point),
        "rmse": metrics.rmse(actual, point),
        "smape": metrics.smape(actual, point),
        "mape": metrics.mape(actual, point),
        "wape": metrics.wape(actual, point),
        "mase": metrics.mase(actual, point, absolute),
        "rmsse": metrics.rmsse(actual, point, square),
        "pinball": metrics.pinball(actual, model.quantiles, model.levels),
    }
    count = int(np.count_nonzero(~np.isnan(actual)))
    means = {name: float(metrics.nanmean(values)) for name, values in by_window.items()}
    return {"model": model.name, "n": count, **means, **_coverages(actual, model)}


def _coverages(actual: FloatArray, model: Scored) -> dict[str, float]:
    coverages: dict[str, float] = {}
    pairs = len(model.levels) // 2 if model.intervals else 0
    for place in reversed(range(pairs)):
        level = 100 * (model.levels[-1 - place] - model.levels[place])
        inside = metrics.coverage(
            actual, model.quantiles[..., place], model.quantiles[..., -1 - place]
        )
        coverages[f"coverage-{level:g}"] = float(metrics.nanmean(inside))
    return coverages
