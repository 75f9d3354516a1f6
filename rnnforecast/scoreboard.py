"""The table of metrics of several models, filled block by block, and what it allows to be said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.windows import WindowIndex, by_series
from rnnforecast.data.writing import check_names
from rnnforecast.evaluation.metrics import COMPARISONS, metrics_for, seasonal_scales
from rnnforecast.evaluation.scores import StepScores, WindowScores
from rnnforecast.evaluation.significance import Comparison, diebold_mariano
from rnnforecast.evaluation.windows import Windows

SEASONAL_NAIVE, NAIVE2 = "seasonal-naive", "naive2"
# Fewer cutoffs or series than these tell nothing of chance.
LEAST_COMPARED = 8


@dataclass(frozen=True)
class Forecasts:
    """Quantiles that one model gives of some windows.

    Attributes:
        quantiles: [window, step, quantile].
        levels: The level of each quantile.
    """

    quantiles: FloatArray
    levels: tuple[float, ...]

    @property
    def median(self) -> FloatArray:
        """The point forecast [window, step]."""
        return self.quantiles[..., self.levels.index(0.5)]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some windows, what followed them, and what was forecast.

    Attributes:
        index: The windows.
        actual: What followed, NaN where unknown [window, step].
        forecasts: By model.
    """

    index: WindowIndex
    actual: FloatArray
    forecasts: Mapping[str, Forecasts]


class Scoreboard:
    """Metrics of every model over all windows, and over those of each group.

    Only steps that every model has forecast count, so that all are held against the same values,
    and only the quantile levels that all models with intervals have. What is kept grows with
    models, groups, series and cutoffs, not with windows.
    """

    def __init__(
        self,
        panel: Panel,
        levels: Mapping[str, tuple[float, ...]],
        *,
        horizon: int,
        season: int,
        cutoffs: IntArray,
        by: str = "model",
        series_column: str = "unique_id",
    ) -> None:
        """Begin with nothing scored.

        Args:
            panel: Where the series are.
            levels: The quantile levels of each model.
            horizon: Steps of a window.
            season: Of the seasonal naive that scaled errors are held against.
            cutoffs: The last times known to windows, in any order.
            by: What the rows of `table` stand for beside the model: "model" for nothing else,
                "series", "step" or "cutoff".
            series_column: What the column of ids is called.

        Raises:
            ConfigError: Ids have the name of another column.
        """
        self.panel, self.season, self.by = panel, season, by
        self.cutoffs = np.unique(cutoffs)
        self.overlap = _overlap(self.cutoffs, panel.frequency, horizon)
        self.column = series_column if by == "series" else by
        self.metrics = metrics_for(sorted(set().union(*levels.values())))
        taken = [definition.name for definition in (*self.metrics, *COMPARISONS)]
        if by == "series":
            check_names([self.column, "model", "n", "windows", *taken])
        self.shared = _shared(levels.values())
        losses = [metric for metric in self.metrics if metric.name in ("mase", "mae")]
        self.totals = {name: WindowScores(self.metrics, 1) for name in levels}
        self.by_cutoff = {name: WindowScores(losses, len(self.cutoffs)) for name in levels}
        self.by_series = {name: WindowScores(losses, len(panel)) for name in levels}
        self.steps = {name: StepScores(self.metrics, horizon) for name in levels}
        groups = {"series": len(panel), "cutoff": len(self.cutoffs)}.get(by, 1)
        self.groups = {name: WindowScores(self.metrics, groups) for name in levels}
        self.windows = 0
        self.unread: dict[str, tuple[int, str]] = {}

    def add(self, block: Block) -> None:
        """Score some more windows."""
        actual = block.actual
        for forecasts in block.forecasts.values():
            actual = np.where(np.isnan(forecasts.median), np.nan, actual)
        self._count(block)
        absolute, square = self._scales(block.index)
        cutoff = self._cutoff(block.index)
        for name, forecasts in block.forecasts.items():
            windows = Windows(
                actual=actual,
                quantiles=forecasts.quantiles,
                levels=forecasts.levels,
                absolute_scale=absolute,
                square_scale=square,
                shared=self.shared if len(forecasts.levels) > 1 else None,
            )
            self.totals[name].add(windows, np.zeros(len(actual), np.int64))
            self.by_cutoff[name].add(windows, cutoff)
            self.by_series[name].add(windows, block.index.series)
            if self.by == "step":
                self.steps[name].add(windows)
            elif self.by != "model":
                group = block.index.series if self.by == "series" else cutoff
                self.groups[name].add(windows, group)

    def _count(self, block: Block) -> None:
        """Take note of windows without any forecast of a model."""
        self.windows += len(block.index)
        for name, forecasts in block.forecasts.items():
            without = np.isnan(forecasts.median).all(1)
            if without.any():
                first = self.panel.ids[int(block.index.series[np.argmax(without)])]
                count, first = self.unread.get(name, (0, first))
                self.unread[name] = count + int(without.sum()), first

    def _scales(self, index: WindowIndex) -> tuple[FloatArray, FloatArray]:
        """The in-sample errors of the seasonal naive before each window, of order 1 and 2."""
        scales = np.empty((2, len(index)))
        for series, places in by_series(index):
            history, cutoffs = self.panel.series(series), index.cutoffs[places]
            cutoffs = np.clip(cutoffs, 0, len(history))
            for order in (1, 2):
                scales[order - 1, places] = seasonal_scales(history, cutoffs, self.season, order)
        return scales[0], scales[1]

    def _cutoff(self, index: WindowIndex) -> IntArray:
        """The place in `cutoffs` of each window's [window]."""
        return np.searchsorted(self.cutoffs, self.panel.times(index.series, index.cutoffs - 1))

    def table(self) -> pd.DataFrame:
        """One row a group and model, one column a metric.

        n counts the values that forecasts were held against, windows the series and cutoffs.
        Comparisons with another model stand at the end: skill, and owa where Naive2 was scored.
        """
        if self.by == "model":
            return self.by_model()
        table = _table(self.steps if self.by == "step" else self.groups)
        if self.by == "step":
            labels = np.arange(1, 1 + len(table))
        elif self.by == "series":
            labels = np.asarray(self.panel.ids, dtype=object)
        else:
            labels = np.asarray(self.panel.frequency.format(self.cutoffs), dtype=object)
        table.insert(0, self.column, labels[table.index])
        return table[table["windows"] > 0].reset_index(drop=True)

    def by_model(self) -> pd.DataFrame:
        """One row a model, over all windows."""
        return _table(self.totals).reset_index(drop=True)

    def undefined(self) -> dict[str, int]:
        """For each metric that some of the actual values are left out of, how many these are.

        What only a model without that interval lacks is not counted.
        """
        by_model = [scores.terms() for scores in self.totals.values()]
        counts = {m.name: max(int(c[m.name][0]) for c in by_model) for m in self.metrics}
        return {name: counts["mae"] - n for name, n in counts.items() if n < counts["mae"]}

    def compare(self, first: str, second: str) -> tuple[Comparison | None, str]:
        """Test two models for equal accuracy, by what each loses on the same windows.

        Over the cutoffs in order of time where there are enough, else over the series, as if
        these were independent of each other.

        Returns:
            The comparison, None where neither tells, and what it was taken over.
        """
        kinds = (("cutoffs", self.by_cutoff, self.overlap), ("series", self.by_series, 0))
        for kind, scores, shared in kinds:
            losses = [scores[name].values() for name in (first, second)]
            measure = "mase" if np.isfinite(losses[0]["mase"]).any() else "mae"
            differences = losses[0][measure] - losses[1][measure]
            # Where neighbours share steps, fewer of them tell of chance.
            if np.count_nonzero(~np.isnan(differences)) >= LEAST_COMPARED * (shared + 1):
                if comparison := diebold_mariano(differences, shared):
                    return comparison, kind
        return None, ""


def _overlap(cutoffs: IntArray, frequency: Frequency, horizon: int) -> int:
    """The most cutoffs that follow one before its last step."""
    ends = frequency.times(cutoffs, np.full_like(cutoffs, horizon))
    later = np.searchsorted(cutoffs, ends) - np.arange(len(cutoffs)) - 1
    return int(later.max(initial=0))


def _shared(levels: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """The quantile levels that all models with intervals have."""
    several = [set(own) for own in levels if len(own) > 1]
    return tuple(sorted(set.intersection(*several))) if several else (0.5,)


def _table(scores: Mapping[str, WindowScores] | Mapping[str, StepScores]) -> pd.DataFrame:
    """One row a group, which is the index, and model."""
    parts = []
    for name, score in scores.items():
        counts = {"model": name, "n": score.observed(), "windows": score.windows()}
        parts.append(pd.DataFrame({**counts, **score.values()}))
    return _compared(parts, list(scores)).sort_index(kind="stable")


def _compared(parts: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """All rows, with the columns that hold a model against another one."""
    naive = parts[names.index(SEASONAL_NAIVE)] if SEASONAL_NAIVE in names else None
    naive2 = parts[names.index(NAIVE2)] if NAIVE2 in names else None
    for part in parts:
        part["skill"] = np.nan if naive is None else 1 - _over(part["mase"], naive["mase"])
        if naive2 is not None:
            shares = [_over(part[name], naive2[name]) for name in ("smape", "mase")]
            part["owa"] = (shares[0] + shares[1]) / 2
    return pd.concat(parts)


def _over(values: pd.Series[float], reference: pd.Series[float]) -> pd.Series[float]:
    return values / reference.where(reference > 0)
