"""The table of metrics of several models, filled block by block, and what it allows to be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnforecast.arrays import FloatArray, IntArray
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
        ranks: The rank of each window's cutoff [window].
        actual: What followed, NaN where unknown [window, step].
        forecasts: By model.
    """

    index: WindowIndex
    ranks: IntArray
    actual: FloatArray
    forecasts: Mapping[str, Forecasts]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """What the rows of a table stand for, beside the model.

    Attributes:
        by: "model" for one row a model, or "series", "step" or "cutoff".
        column: What the column is called.
        labels: What stands in it, a group a label.
        times: For "cutoff", the times that the groups are of, ascending.
    """

    by: str = "model"
    column: str = ""
    labels: Sequence[object] = ("",)
    times: IntArray | None = None


BY_MODEL = Grouping()


class Scoreboard:
    """Metrics of every model over all windows, and over those of each group.

    Only steps that every model has forecast count, so that all are held against the same values.
    What is kept grows with models, groups, series and cutoffs, not with windows.
    """

    def __init__(
        self,
        panel: Panel,
        levels: Mapping[str, tuple[float, ...]],
        *,
        horizon: int,
        season: int,
        cutoffs: int,
        grouping: Grouping = BY_MODEL,
    ) -> None:
        """Begin with nothing scored.

        Args:
            panel: Where the series are.
            levels: The quantile levels of each model.
            horizon: Steps of a window.
            season: Of the seasonal naive that scaled errors are held against.
            cutoffs: How many cutoffs there are.
            grouping: Of the rows of `table`.
        """
        self.panel, self.season, self.grouping = panel, season, grouping
        self.metrics = metrics_for(sorted(set().union(*levels.values())))
        taken = [definition.name for definition in (*self.metrics, *COMPARISONS)]
        check_names([*filter(None, [grouping.column]), "model", "n", "windows", *taken])
        losses = [metric for metric in self.metrics if metric.name in ("mase", "mae")]
        groups = len(grouping.labels)
        self.totals = {name: WindowScores(self.metrics, 1) for name in levels}
        self.by_cutoff = {name: WindowScores(losses, cutoffs) for name in levels}
        self.by_series = {name: WindowScores(losses, len(panel)) for name in levels}
        self.steps = {name: StepScores(self.metrics, horizon) for name in levels}
        self.groups = {name: WindowScores(self.metrics, groups) for name in levels}
        self.windows, self.unread, self.first_unread = 0, 0, ""

    def add(self, block: Block) -> None:
        """Score some more windows."""
        actual = block.actual
        for forecasts in block.forecasts.values():
            actual = np.where(np.isnan(forecasts.median), np.nan, actual)
        self._count(block)
        absolute, square = self._scales(block.index)
        group = self._group(block.index)
        for name, forecasts in block.forecasts.items():
            windows = Windows(
                actual=actual,
                quantiles=forecasts.quantiles,
                levels=forecasts.levels,
                absolute_scale=absolute,
                square_scale=square,
            )
            self.totals[name].add(windows, np.zeros(len(actual), np.int64))
            self.by_cutoff[name].add(windows, block.ranks)
            self.by_series[name].add(windows, block.index.series)
            if self.grouping.by == "step":
                self.steps[name].add(windows)
            elif self.grouping.by != "model":
                self.groups[name].add(windows, group)

    def _count(self, block: Block) -> None:
        """Take note of windows without any forecast of a model."""
        without = [np.isnan(forecasts.median).all(1) for forecasts in block.forecasts.values()]
        unread = np.logical_or.reduce(without)
        if unread.any() and not self.unread:
            self.first_unread = self.panel.ids[int(block.index.series[np.argmax(unread)])]
        self.unread += int(unread.sum())
        self.windows += len(unread)

    def _scales(self, index: WindowIndex) -> tuple[FloatArray, FloatArray]:
        """The in-sample errors of the seasonal naive before each window, of order 1 and 2."""
        scales = np.empty((2, len(index)))
        for series, places in by_series(index):
            history, cutoffs = self.panel.series(series), index.cutoffs[places]
            cutoffs = np.clip(cutoffs, 0, len(history))
            for order in (1, 2):
                scales[order - 1, places] = seasonal_scales(history, cutoffs, self.season, order)
        return scales[0], scales[1]

    def _group(self, index: WindowIndex) -> IntArray:
        if self.grouping.times is None:
            return index.series
        return np.searchsorted(
            self.grouping.times, self.panel.times(index.series, index.cutoffs - 1)
        )

    def table(self) -> pd.DataFrame:
        """One row a group and model, one column a metric.

        n counts the values that forecasts were held against, windows the series and cutoffs.
        Comparisons with another model stand at the end: skill, and owa where Naive2 was scored.
        """
        if self.grouping.by == "model":
            return self.by_model()
        scores = self.steps if self.grouping.by == "step" else self.groups
        table = _table(scores)
        labels = np.asarray(self.grouping.labels, dtype=object)[table.index]
        table.insert(0, self.grouping.column, labels)
        return table[table["windows"] > 0].reset_index(drop=True)

    def by_model(self) -> pd.DataFrame:
        """One row a model, over all windows."""
        return _table(self.totals).reset_index(drop=True)

    def undefined(self) -> dict[str, int]:
        """For each metric that some windows lack, though values were scored, how many they are.

        What only a model without that interval lacks is not counted.
        """
        by_model = [scores.counts() for scores in self.totals.values()]
        counts = {m.name: max(int(c[m.name][0]) for c in by_model) for m in self.metrics}
        return {name: self.windows - n for name, n in counts.items() if n < counts["mae"]}

    def compare(self, first: str, second: str, overlap: int) -> tuple[Comparison | None, str]:
        """Test two models for equal accuracy, by what each loses on the same windows.

        Over the cutoffs in order of time where there are enough, else over the series, as if
        these were independent of each other.

        Returns:
            The comparison, None where neither tells, and what it was taken over.
        """
        kinds = (("cutoffs", self.by_cutoff, overlap), ("series", self.by_series, 0))
        for kind, scores, shared in kinds:
            losses = [scores[name].values() for name in (first, second)]
            measure = "mase" if np.isfinite(losses[0]["mase"]).any() else "mae"
            differences = losses[0][measure] - losses[1][measure]
            # Where neighbours share steps, fewer of them tell of chance.
            if np.count_nonzero(~np.isnan(differences)) >= LEAST_COMPARED * (shared + 1):
                if comparison := diebold_mariano(differences, shared):
                    return comparison, kind
        return None, ""


def group_by(
    by: str, panel: Panel, *, horizon: int, cutoffs: Sequence[IntArray], series: str
) -> Grouping:
    """The grouping called `by`.

    Args:
        by: "model", "series", "step" or "cutoff".
        panel: Where the series are.
        horizon: Steps of a window.
        cutoffs: For "cutoff", all times at which one lies.
        series: What the column of ids is called.
    """
    if by == "series":
        return Grouping(by=by, column=series, labels=panel.ids)
    if by == "step":
        return Grouping(by=by, column="step", labels=range(1, horizon + 1))
    if by == "cutoff":
        times = np.unique(np.concatenate(cutoffs))
        return Grouping(
            by=by, column="cutoff", labels=list(panel.frequency.format(times)), times=times
        )
    return BY_MODEL


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
