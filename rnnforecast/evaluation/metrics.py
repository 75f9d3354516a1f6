"""Metrics of forecasts as means of terms, one term a window and step; error = forecast - actual.

A window is a series from one cutoff on. A step whose actual value or forecast is missing has no
term and is left out of every mean; where no step is left, the metric is NaN. A metric of many
windows is the mean of those that are defined. Each metric states its unit; a percentage is in
percent.

Of demand that is mostly 0, mae, mase, wape, mape and smape are least for forecasts at or below the
median, so often of 0, while rmse, rmsse and bias are best for the mean (Kolassa 2020, Why the
"best" point forecast depends on the error or accuracy measure). mape sees the steps with demand
alone, and smape is 200 wherever a forecast above 0 meets none (Syntetos & Boylan 2005, The accuracy
of intermittent demand estimates): what compares models there are the scaled and the quantile ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.evaluation.windows import Windows, coverages


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One row of `rnnforecast metrics`.

    Attributes:
        name: The column of the table of metrics.
        summary: What it is and its unit.
        undefined: What is left out, and where it is NaN.
        reference: The paper it comes from.
    """

    name: str
    summary: str
    undefined: str
    reference: str


def _only(mean: FloatArray) -> FloatArray:
    return mean


@dataclass(frozen=True, kw_only=True)
class Metric(Definition):
    """A definition that can be computed.

    Attributes:
        terms: What is averaged [window, step], NaN where undefined, all at the same places.
        combine: From the mean of each term to the metric, elementwise.
        pooled: Whether the terms of all windows are averaged first, as for a ratio of sums, rather
            than the metric of each.
    """

    terms: Callable[[Windows], tuple[FloatArray, ...]]
    combine: Callable[..., FloatArray] = _only
    pooled: bool = False

    def by_window(self, windows: Windows) -> FloatArray:
        """The metric of each window [window]."""
        return self.combine(*(nanmean(term) for term in self.terms(windows)))


def nanmean(values: FloatArray) -> FloatArray:
    """The mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def ratio(
    numerator: FloatArray, denominator: FloatArray | IntArray, at_zero: float = np.nan
) -> FloatArray:
    """numerator / denominator, and `at_zero` where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out: FloatArray = np.full(shape, at_zero)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def seasonal_scale(history: FloatArray, season: int, order: int = 1) -> float:
    """The in-sample error of the seasonal naive: mean absolute (order 1), root mean square (2).

    NaN where no two observed values lie a season apart.
    """
    return float(seasonal_scales(history, np.array([len(history)]), season, order)[0])


def seasonal_scales(
    series: FloatArray, cutoffs: IntArray, season: int, order: int = 1
) -> FloatArray:
    """`seasonal_scale` of what lies before each cutoff of one series.

    Args:
        series: [time].
        cutoffs: Positions in `series`, each the first that is not history [window].
        season: Steps in a season.
        order: 1 for mean absolute, 2 for root mean square errors.

    Returns:
        [window]; no bit depends on what lies at the cutoff or after it.
    """
    errors = np.abs(series[season:] - series[:-season]) ** order
    known = ~np.isnan(errors)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, errors, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.maximum(cutoffs - season, 0)
    means: FloatArray = ratio(totals[ends], counts[ends]) ** (1 / order)
    return means


def _root(mean: FloatArray) -> FloatArray:
    return np.sqrt(mean)


def _smape(windows: Windows) -> tuple[FloatArray, ...]:
    size = np.abs(windows.actual) + np.abs(windows.forecast)
    return (200 * ratio(np.abs(windows.error), size, at_zero=0.0),)


def _weighted(loss: FloatArray, windows: Windows) -> tuple[FloatArray, FloatArray]:
    """The terms of the sum of a loss over that of the actual values it was suffered on."""
    return loss, np.where(np.isnan(loss), np.nan, np.abs(windows.actual))


def _crps(windows: Windows) -> tuple[FloatArray, ...]:
    """The integral as a sum: each level stands for what is nearer to it than to another."""
    levels = np.asarray(windows.scored_levels)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return (2 * windows.pinball @ np.diff(edges),)


_MISSING = "missing steps are left out"
_NO_SCALE = f"{_MISSING}; NaN where no two values a season apart differ before, as of zeros"
_POINT_ONLY = f"{_MISSING}; NaN for a model without intervals"
_HYNDMAN = "Hyndman & Koehler 2006, Another look at measures of forecast accuracy"
_M4 = "Makridakis et al. 2020, The M4 competition: 100,000 time series and 61 methods"
_CALIBRATION = "Gneiting et al. 2007, Probabilistic forecasts, calibration and sharpness"

POINT_METRICS: tuple[Metric, ...] = (
    Metric(
        name="mae",
        summary="mean absolute error, in units of the series",
        undefined=_MISSING,
        reference=_HYNDMAN,
        terms=lambda windows: (np.abs(windows.error),),
    ),
    Metric(
        name="rmse",
        summary="root of the mean squared error, in units of the series",
        undefined=_MISSING,
        reference=_HYNDMAN,
        terms=lambda windows: (windows.error**2,),
        combine=_root,
    ),
    Metric(
        name="bias",
        summary="mean of forecast - actual, in units of the series; above 0 is too high",
        undefined=_MISSING,
        reference="Hyndman & Athanasopoulos 2021, Forecasting: principles and practice",
        terms=lambda windows: (windows.error,),
    ),
    Metric(
        name="mape",
        summary="mean of |error| / |actual|, in percent",
        undefined=f"{_MISSING}, and those whose actual value is 0; NaN where all are",
        reference=_HYNDMAN,
        terms=lambda windows: (100 * ratio(np.abs(windows.error), np.abs(windows.actual)),),
    ),
    Metric(
        name="smape",
        summary="mean of 2 |error| / (|actual| + |forecast|), in percent, from 0 to 200",
        undefined=f"{_MISSING}; one whose actual value and forecast are 0 counts 0, if one is, 200",
        reference=_M4,
        terms=_smape,
    ),
    Metric(
        name="wape",
        summary="sum of |error| over sum of |actual|, of all windows together, in percent",
        undefined=f"{_MISSING}; a window of zeros adds its errors; NaN where all values are 0",
        reference="Kolassa & Schütz 2007, Advantages of the MAD/mean ratio over the MAPE",
        terms=lambda windows: _weighted(100 * np.abs(windows.error), windows),
        combine=ratio,
        pooled=True,
    ),
    Metric(
        name="mase",
        summary="mean absolute error over the in-sample one of the seasonal naive",
        undefined=_NO_SCALE,
        reference=_HYNDMAN,
        terms=lambda windows: (ratio(np.abs(windows.error), windows.absolute_scale[:, None]),),
    ),
    Metric(
        name="rmsse",
        summary="root mean squared error over the in-sample one of the seasonal naive",
        undefined=_NO_SCALE,
        reference=_HYNDMAN,
        terms=lambda windows: (ratio(windows.error, windows.square_scale[:, None]) ** 2,),
        combine=_root,
    ),
)

QUANTILE_METRICS: tuple[Metric, ...] = (
    Metric(
        name="pinball",
        summary="mean quantile loss over the levels, without the factor 2, in units of the series",
        undefined=_POINT_ONLY,
        reference="Koenker & Bassett 1978, Regression quantiles",
        terms=lambda windows: (windows.pinball.mean(-1),),
    ),
    Metric(
        name="wql",
        summary="twice the sum of quantile loss over sum of |actual|, of all windows together",
        undefined=f"{_POINT_ONLY}, and where all actual values are 0",
        reference="Rangapuram et al. 2021, End-to-end learning of coherent forecasts",
        terms=lambda windows: _weighted(2 * windows.pinball.mean(-1), windows),
        combine=ratio,
        pooled=True,
    ),
    Metric(
        name="crps",
        summary="twice the integral of quantile loss over levels; too low where they are few",
        undefined=_POINT_ONLY,
        reference=(
            "Laio & Tamea 2007, Verification tools for probabilistic forecasts; "
            "Gneiting & Ranjan 2011, Comparing density forecasts"
        ),
        terms=_crps,
    ),
)


def interval_metrics(coverage: float) -> tuple[Metric, ...]:
    """What is told of the interval that should cover `coverage` percent."""

    def inside(windows: Windows) -> tuple[FloatArray, ...]:
        lower, upper = windows.bounds(coverage)
        unknown = np.isnan(windows.actual + lower + upper)
        held = (lower <= windows.actual) & (windows.actual <= upper)
        return (np.where(unknown, np.nan, 100.0 * held),)

    def width(windows: Windows) -> tuple[FloatArray, ...]:
        lower, upper = windows.bounds(coverage)
        return (np.where(np.isnan(windows.actual), np.nan, upper - lower),)

    def scaled_score(windows: Windows) -> tuple[FloatArray, ...]:
        lower, upper = windows.bounds(coverage)
        outside = np.maximum(lower - windows.actual, 0) + np.maximum(windows.actual - upper, 0)
        score = upper - lower + 200 / (100 - coverage) * outside
        return (ratio(score, windows.absolute_scale[:, None]),)

    of = f"of the {coverage:g} % interval"
    return (
        Metric(
            name=f"coverage-{coverage:g}",
            summary=f"actual values within the bounds {of}, in percent; best near {coverage:g}",
            undefined=_POINT_ONLY,
            reference=_CALIBRATION,
            terms=inside,
        ),
        Metric(
            name=f"width-{coverage:g}",
            summary=f"mean width {of}, in units of the series",
            undefined=_POINT_ONLY,
            reference=_CALIBRATION,
            terms=width,
        ),
        Metric(
            name=f"msis-{coverage:g}",
            summary=f"mean interval score {of} over the in-sample error of the seasonal naive",
            undefined=f"{_NO_SCALE}, and for a model without intervals",
            reference="Gneiting & Raftery 2007, Strictly proper scoring rules; scaled as in M4",
            terms=scaled_score,
        ),
    )


def metrics_for(levels: Sequence[float]) -> tuple[Metric, ...]:
    """The columns of a table of metrics in their order, for quantiles of these levels."""
    kinds = zip(*map(interval_metrics, reversed(coverages(levels))), strict=True)
    return POINT_METRICS + QUANTILE_METRICS + tuple(metric for kind in kinds for metric in kind)


COMPARISONS: tuple[Definition, ...] = (
    Definition(
        name="skill",
        summary="1 - mase / mase of the seasonal naive; above 0 is better than that",
        undefined="NaN where the mase of the seasonal naive is 0 or NaN",
        reference="Murphy 1988, Skill scores based on the mean square error",
    ),
    Definition(
        name="owa",
        summary="mean of smape and mase, each over that of Naive2; below 1 is better than that",
        undefined="NaN where the smape or mase of Naive2 is 0 or NaN",
        reference=_M4,
    ),
)
