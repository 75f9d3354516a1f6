"""The columns of tables of forecasts, by the names that the tools which write them give.

    tool          point                        bounds of an interval of 80 %
    ------------  ---------------------------  -------------------------------------
    this, Nixtla  M, else M-median             M-lo-80 and M-hi-80, or M-lo-80.0 ...
    Prophet       yhat                         yhat_lower and yhat_upper
    AutoGluon     0.5, else mean, predictions  0.1 and 0.9

Where a file names neither Prophet's nor AutoGluon's columns, every other column of numbers is a
model of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rnnforecast.columns import DataConfig
from rnnforecast.data.cells import Cells
from rnnforecast.data.schema import (
    ID_NAMES,
    MISSING,
    TARGET_NAMES,
    by_name,
    find_time,
    kind_of,
    listed,
)
from rnnforecast.errors import DataError

CUTOFF_NAMES = ("cutoff",)
# What pandas writes for its row numbers where it is not told otherwise.
ROW_NUMBERS = ("", "index", "unnamed: 0")
BOUND = re.compile(r"(.+)-(lo|hi)-(\d+(?:\.\d+)?)")
MEDIAN = "-median"
QUANTILE = re.compile(r"0?\.\d+")


class ModelColumns(NamedTuple):
    """The columns of one model: its point, and the bounds by coverage."""

    name: str
    point: str
    bounds: dict[float, tuple[str, str]]

    def outward(self) -> list[str]:
        """In the order of their levels, ascending."""
        pairs = [self.bounds[coverage] for coverage in sorted(self.bounds)]
        return [low for low, _ in reversed(pairs)] + [self.point] + [high for _, high in pairs]


def find_forecast_columns(
    cells: Cells, asked: DataConfig, coverage: float
) -> tuple[DataConfig, str | None, list[ModelColumns]]:
    """Id, time and column of actual values; the cutoff's; the models'."""
    header = cells.header
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise cells.fault(-1, "the header repeats this column; rename one", repeated[0])
    missing = (*MISSING, *asked.na_values)
    kinds = {name: kind_of(cells.sample[name], missing, cells.decimal) for name in header}
    kinds = {name: kind for name, kind in kinds.items() if name.lower() not in ROW_NUMBERS}
    identifier = asked.id_column if asked.id_column in header else by_name(kinds, ID_NAMES)
    cutoff = by_name(kinds, CUTOFF_NAMES)
    time = asked.time_column if asked.time_column in header else None
    try:
        time = time or find_time(kinds, exclude=(identifier, cutoff))
        rest = {
            name: kind for name, kind in kinds.items() if name not in (identifier, time, cutoff)
        }
        if identifier is None:
            texts = [name for name, kind in rest.items() if not (kind.number or kind.time)]
            codes = [name for name, kind in rest.items() if kind.whole]
            identifier = _find_id(cells, texts, codes, [time] if cutoff is None else [time, cutoff])
    except DataError as error:
        raise DataError(f"{cells.source.name}: {error}") from None
    numbers = [name for name, kind in rest.items() if kind.number and name != identifier]
    named = [name for name in asked.target_columns if name in numbers]
    actual = named[0] if named else by_name(dict.fromkeys(numbers), TARGET_NAMES)
    # A single column of numbers is what the file is for, whatever it is called.
    targets = (actual,) if actual is not None and len(numbers) > 1 else ()
    models = _find_models(cells, [name for name in numbers if name not in targets], coverage)
    config = replace(asked, id_column=identifier, time_column=time, target_columns=targets)
    return config, cutoff, models


def _find_id(
    cells: Cells, texts: Sequence[str], codes: Sequence[str], key: list[str]
) -> str | None:
    """The column of text, else the one of whole numbers that tells equal times apart."""
    if not texts:
        rows = cells.text([*key, *codes])
        if not rows.duplicated(key).any():
            return None
        texts = [name for name in codes if not rows.duplicated([*key, name]).any()]
    if len(texts) > 1:
        raise DataError(f"the id column could be {listed(texts)}; pass --id-col")
    return texts[0] if texts else None


def _find_models(cells: Cells, numbers: Sequence[str], coverage: float) -> list[ModelColumns]:
    if not numbers:
        raise cells.fault(-1, "there is no column of forecasts; add one of numbers")
    if any(BOUND.fullmatch(name) for name in numbers):
        return _nixtla(cells, numbers)
    if "yhat" in numbers:
        pair = ("yhat_lower", "yhat_upper")
        bounds = {coverage: pair} if set(pair) & set(numbers) else {}
        return [_checked(cells, ModelColumns("yhat", "yhat", bounds), numbers)]
    levels = {float(name): name for name in numbers if QUANTILE.fullmatch(name)}
    return [_autogluon(cells, numbers, levels)] if levels else _nixtla(cells, numbers)


def _nixtla(cells: Cells, numbers: Sequence[str]) -> list[ModelColumns]:
    points: dict[str, str] = {}
    bounds: dict[str, dict[float, tuple[str, str]]] = {}
    for name in numbers:
        if bound := BOUND.fullmatch(name):
            low, high = (f"{bound[1]}-{side}-{bound[3]}" for side in ("lo", "hi"))
            bounds.setdefault(bound[1], {})[float(bound[3])] = (low, high)
        elif name.removesuffix(MEDIAN) not in numbers or not name.endswith(MEDIAN):
            points[name.removesuffix(MEDIAN)] = name
    for name, pairs in bounds.items():
        if name not in points:
            problem = f"there is no column '{name}' or '{name}{MEDIAN}' beside it; add one"
            raise cells.fault(-1, problem, next(iter(pairs.values()))[0])
    found = [ModelColumns(name, point, bounds.get(name, {})) for name, point in points.items()]
    return [_checked(cells, model, numbers) for model in found]


def _autogluon(cells: Cells, numbers: Sequence[str], levels: dict[float, str]) -> ModelColumns:
    middles = [levels.get(0.5), *(name for name in ("mean", "predictions") if name in numbers)]
    point = next((name for name in middles if name is not None), None)
    if point is None:
        raise cells.fault(
            -1, "there is no column '0.5' or 'mean' beside it; add one", levels[min(levels)]
        )
    bounds = {}
    for level in levels:
        if level != 0.5:
            lower = round(min(level, 1 - level), 9)
            pair = tuple(levels.get(side, f"{side:g}") for side in (lower, round(1 - lower, 9)))
            bounds[round(100 - 200 * lower, 9)] = (pair[0], pair[1])
    return _checked(
        cells, ModelColumns("median" if 0.5 in levels else point, point, bounds), numbers
    )


def _checked(cells: Cells, model: ModelColumns, numbers: Sequence[str]) -> ModelColumns:
    """The model; raises DataError where a bound lacks its counterpart."""
    for coverage, pair in model.bounds.items():
        lacking = [name for name in pair if name not in numbers]
        if lacking:
            present = next(name for name in pair if name not in lacking)
            problem = f"the other bound, '{lacking[0]}', is not there; add it or remove this one"
            raise cells.fault(-1, problem, present)
        if not 0.5 < (100 + coverage) / 200 < 1:
            problem = f"{coverage:g} is no coverage between 0 and 100; rename the column"
            raise cells.fault(-1, problem, pair[0])
    return model
