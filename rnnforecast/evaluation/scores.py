"""Metrics of many windows, added block by block; what is kept grows with groups, not windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnforecast.arrays import FloatArray, IntArray
from rnnforecast.evaluation.metrics import Metric, nanmean, ratio
from rnnforecast.evaluation.windows import Windows

_NONE = Windows(
    actual=np.empty((0, 0)),
    quantiles=np.empty((0, 0, 1)),
    levels=(0.5,),
    absolute_scale=np.empty(0),
    square_scale=np.empty(0),
)


class _Counts:
    """How much the scores of each group rest on."""

    def __init__(self, metrics: Sequence[Metric], groups: int) -> None:
        self._metrics = metrics
        self._totals = {m.name: [np.zeros(groups) for _ in m.terms(_NONE)] for m in metrics}
        self._counts = {metric.name: np.zeros(groups, np.int64) for metric in metrics}
        self._terms = {metric.name: np.zeros(groups, np.int64) for metric in metrics}
        self._observed = np.zeros(groups, np.int64)
        self._windows = np.zeros(groups, np.int64)

    def counts(self) -> dict[str, IntArray]:
        """The windows for which each metric is defined [group]."""
        return {name: count.copy() for name, count in self._counts.items()}

    def terms(self) -> dict[str, IntArray]:
        """The actual values that each metric rests on [group]."""
        return {name: count.copy() for name, count in self._terms.items()}

    def observed(self) -> IntArray:
        """The actual values that a forecast was held against [group]."""
        return self._observed.copy()

    def windows(self) -> IntArray:
        """The windows that were added, with or without actual values [group]."""
        return self._windows.copy()


class WindowScores(_Counts):
    """Each metric of each window, averaged over the windows of a group: a series, a cutoff, all.

    Of a pooled metric it is the terms that are averaged.
    """

    def add(self, windows: Windows, group: IntArray) -> None:
        """Count in more windows, each into the group of that index [window]."""
        for metric in self._metrics:
            name, terms = metric.name, metric.terms(windows)
            value = metric.combine(*map(nanmean, terms))
            defined = ~np.isnan(value)
            parts = [np.where(defined, value, 0.0)]
            if metric.pooled:
                parts = [np.nansum(term, axis=1) for term in terms]
            for total, part in zip(self._totals[name], parts, strict=True):
                np.add.at(total, group, part)
            np.add.at(self._counts[name], group, defined)
            np.add.at(self._terms[name], group, np.count_nonzero(~np.isnan(terms[0]), axis=1))
        np.add.at(self._observed, group, np.count_nonzero(~np.isnan(windows.error), axis=1))
        np.add.at(self._windows, group, 1)

    def values(self) -> dict[str, FloatArray]:
        """The mean over the windows for which a metric is defined [group]; NaN without one."""
        values = {}
        for metric in self._metrics:
            totals = self._totals[metric.name]
            if metric.pooled:
                count = self._terms[metric.name]
                values[metric.name] = metric.combine(*(ratio(total, count) for total in totals))
            else:
                values[metric.name] = ratio(totals[0], self._counts[metric.name])
        return values


class StepScores(_Counts):
    """Each metric of each step ahead over all windows: rmse is the root of the mean over windows.

    The groups are the steps.
    """

    def add(self, windows: Windows) -> None:
        """Count in more windows."""
        for metric in self._metrics:
            terms = metric.terms(windows)
            for total, term in zip(self._totals[metric.name], terms, strict=True):
                total += np.nansum(term, axis=0)
            known = np.count_nonzero(~np.isnan(terms[0]), axis=0)
            self._counts[metric.name] += known
            self._terms[metric.name] += known
        self._observed += np.count_nonzero(~np.isnan(windows.error), axis=0)
        self._windows += len(windows.actual)

    def values(self) -> dict[str, FloatArray]:
        """Each metric of each step [step]; NaN where no window has a term."""
        values = {}
        for metric in self._metrics:
            count = self._counts[metric.name]
            means = (ratio(total, count) for total in self._totals[metric.name])
            values[metric.name] = metric.combine(*means)
        return values
