"""Covariates as numbers that a network reads: scaled, or one number a category.

Encodings are fitted to what may be seen alone. Where a value is missing its numbers are NaN; where
a category was not met they are 0. What is known ahead is laid out to a horizon after each end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnnforecast.arrays import BoolArray, Float32Array, FloatArray, IntArray, ends_of, steps_of
from rnnforecast.columns import DataConfig, Encoding
from rnnforecast.data.calendar_features import (
    HOLIDAY,
    PARTS,
    calendar_encodings,
    calendar_features,
)
from rnnforecast.data.covariates import (
    ROUNDING,
    CellValues,
    Covariate,
    Covariates,
    Spot,
)
from rnnforecast.data.dialects import as_repeated
from rnnforecast.data.panel import Features, Panel
from rnnforecast.errors import DataError

# Of one column, the most frequent: each costs a number at every step.
MOST_CATEGORIES = 50
# Standard deviations from the mean. Beyond what it was trained on a network extrapolates: its gates
# saturate, and whatever is read then drives the forecast to one value, without an interval.
FARTHEST = 10.0


def is_calendar(name: str) -> bool:
    """Whether an encoding of this name is a part of the calendar, and no column."""
    part, _, wave = name.partition("-")
    return name.startswith(HOLIDAY) or (part in PARTS and wave in ("sin", "cos"))


def fit_encodings(
    covariates: Covariates | None, panel: Panel, config: DataConfig
) -> tuple[Encoding, ...]:
    """How covariates become numbers, by their values before the end of each series of `panel`.

    The panel is the one that the covariates were read with, or a part of it. Columns without a
    value there are left out. The order is that of `config`, and then the calendar.

    Raises:
        DataError: No table had a column that `config` names, or it is called as a part of the
            calendar.
    """
    found: list[Encoding] = []
    if config.covariates:
        _check_commas(covariates, config)
        known = _complete(covariates, config.covariates)
        for column in (known.by_name[name] for name in config.covariates):
            if is_calendar(column.name):
                raise DataError(
                    f"column '{column.name}' is called as a part of the calendar; rename it"
                )
            values = _values_of(column, known, panel, panel.lengths)
            found += _fitted(replace(column, values=values))
    if config.calendar or config.holidays:
        found += calendar_encodings(panel.frequency, config.holidays)
    return tuple(found)


def _check_commas(covariates: Covariates | None, config: DataConfig) -> None:
    """Raise DataError where several columns were passed as one that no table has."""
    for name in config.covariates:
        if "," in name and (covariates is None or name not in covariates.by_name):
            option = f"--{config.role_of(name)}"
            raise DataError(f"there is no column '{name}'; {as_repeated(option, name)}")


def _complete(covariates: Covariates | None, names: Sequence[str]) -> Covariates:
    """The covariates; raises DataError where one of the names is not among them."""
    for name in names:
        if covariates is None or name not in covariates.by_name:
            raise DataError(
                f"there is no column '{name}', which is to be read beside the target; add it, or "
                "pass a file that has it as --future-data or --static-data"
            )
    assert covariates is not None
    return covariates


def _fitted(column: Covariate) -> list[Encoding]:
    """The encoding of a column by all of its values; none where there is no value."""
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    seen = column.values[column.observed, None]
    if not len(seen):
        return []
    if column.texts is None:
        scaler = StandardScaler().fit(seen)
        mean, scale = float(scaler.mean_[0]), float(scaler.scale_[0])
        return [Encoding(name=column.name, role=column.role, mean=mean, scale=scale)]
    # What is rarer than the most frequent goes to one category more, which is then left out.
    encoder = OneHotEncoder(handle_unknown="ignore", max_categories=MOST_CATEGORIES + 1).fit(seen)
    rare = encoder.infrequent_categories_[0]
    kept = np.setdiff1d(encoder.categories_[0], [] if rare is None else rare)
    texts = tuple(column.texts[int(code)] for code in kept)
    return [Encoding(name=column.name, role=column.role, categories=texts)]


def encode(
    panel: Panel, covariates: Covariates | None, encodings: tuple[Encoding, ...], horizon: int
) -> Panel:
    """The panel with the features that a network of these encodings reads.

    Args:
        panel: The one that the covariates were read with, or a part of it.
        covariates: None where the encodings are of the calendar alone.
        encodings: Those of each role in the order of its features.
        horizon: Steps after each end for which there are rows of what is known ahead.

    Raises:
        DataError: A column of the encodings is not there, or not of the same kind.
    """
    if not encodings:
        return panel
    columns = [each.name for each in encodings if not is_calendar(each.name)]
    if columns:
        covariates = _complete(covariates, columns)
    ahead = panel.lengths + horizon
    parts = {
        role: _encoded(panel, covariates, encodings, role, ahead)
        for role in ("past", "future", "static")
    }
    return replace(panel, features=Features(**parts, future_offsets=ends_of(ahead)))


def encode_ahead(
    panel: Panel, covariates: Covariates, encodings: tuple[Encoding, ...], horizon: int
) -> Panel:
    """A panel that has features, with what `covariates` know ahead, and where it lacks a value.

    Raises:
        DataError: A column is not of the kind of its encoding.
    """
    features = panel.features
    if features is None:
        return panel
    ahead = panel.lengths + horizon
    newer = _encoded(panel, covariates, encodings, "future", ahead)
    older = known_from(features, ahead * 0, ahead)
    revised = _is_ahead(panel, horizon)[:, None] & ~np.isnan(newer)
    future = np.where(revised | np.isnan(older), newer, older)
    features = replace(features, future=future, future_offsets=ends_of(ahead))
    return replace(panel, features=features)


def contradicted_ahead(
    panel: Panel, covariates: Covariates, encodings: tuple[Encoding, ...], horizon: int
) -> Spot | None:
    """Where `covariates` tell of other values than the features of a panel up to its end."""
    features, ahead = panel.features, panel.lengths + horizon
    if features is None:
        return None
    newer = _encoded(panel, covariates, encodings, "future", ahead)
    older = known_from(features, ahead * 0, ahead)
    differs = (np.abs(newer - older) > ROUNDING) & ~_is_ahead(panel, horizon)[:, None]
    marked = {
        each.name: differs[:, places].any(axis=1)
        for each, places in slots(encodings, "future")
        if each.name in covariates.by_name
    }
    return replace(covariates, starts=panel.starts, future_offsets=ends_of(ahead)).first(
        marked, panel
    )


def _is_ahead(panel: Panel, horizon: int) -> BoolArray:
    """Which rows follow the last value of their series, of those to a horizon after it."""
    lengths = panel.lengths + horizon
    return steps_of(lengths) >= np.repeat(panel.lengths, lengths)


def slots(encodings: Sequence[Encoding], role: str) -> list[tuple[Encoding, slice]]:
    """The encodings of one role, each with the places of its features among those of the role."""
    mine = [each for each in encodings if each.role == role]
    ends = ends_of(np.array([each.size for each in mine], dtype=np.int64)).tolist()
    return [(each, slice(*ends[place : place + 2])) for place, each in enumerate(mine)]


def known_from(features: Features, first: IntArray, lengths: IntArray) -> Float32Array:
    """What is known ahead of `lengths` steps of each series from `first` on [row, feature].

    NaN where it is not known.
    """
    rows = _places(first, features.future_offsets, lengths)
    missing = np.full_like(features.future, np.nan, shape=(1, features.future.shape[1]))
    kept: Float32Array = np.concatenate([features.future, missing])[rows]
    return kept


def standardised(column: Covariate, encoding: Encoding) -> FloatArray:
    """The numbers of a column, however far off."""
    scaled: FloatArray = (column.values - encoding.mean) / encoding.scale
    return scaled


def unknown_categories(
    covariates: Covariates, encodings: tuple[Encoding, ...]
) -> tuple[tuple[str, str], ...]:
    """The columns and categories that the encodings have no number for, and so read as none."""
    found = []
    for encoding in encodings:
        column = covariates.by_name.get(encoding.name)
        if column is not None and column.texts is not None:
            used = np.unique(column.values[column.observed].astype(np.int64))
            texts = [column.texts[code] for code in used]
            found += [(column.name, text) for text in texts if text not in encoding.categories]
    return tuple(found)


def _places(shift: IntArray, offsets: IntArray, lengths: IntArray) -> IntArray:
    """Rows of the first `lengths` steps of each series, from step `shift` on; -1 beyond its end.

    The rows of series `i` are those from `offsets[i]` to before `offsets[i + 1]`.
    """
    steps = steps_of(lengths) + np.repeat(shift, lengths)
    inside = (steps >= 0) & (steps < np.repeat(np.diff(offsets), lengths))
    return np.where(inside, np.repeat(offsets[:-1], lengths) + steps, -1)


def _values_of(
    column: Covariate, covariates: Covariates, panel: Panel, lengths: IntArray
) -> CellValues:
    """The values of the first `lengths` steps of each series of the panel; of static ones, all."""
    if column.role == "static":
        return column.values
    shift = panel.frequency.positions(panel.starts, covariates.starts)
    offsets = covariates.offsets if column.role == "past" else covariates.future_offsets
    missing = np.nan if column.texts is None else -1
    return np.append(column.values, missing)[_places(shift, offsets, lengths)]


def _encoded(
    panel: Panel,
    covariates: Covariates | None,
    encodings: Sequence[Encoding],
    role: str,
    ahead: IntArray,
) -> Float32Array:
    """The features of one role [row, feature]; NaN where a column is not there."""
    parts = slots(encodings, role)
    lengths = ahead if role == "future" else panel.lengths
    count = len(panel) if role == "static" else int(lengths.sum())
    features = np.full((count, sum(each.size for each, _ in parts)), np.nan, dtype=np.float32)
    for each, places in parts:
        column = covariates.by_name.get(each.name) if covariates is not None else None
        if column is not None and covariates is not None:
            values = _values_of(column, covariates, panel, lengths)
            features[:, places] = _numbers(replace(column, values=values), each)
    calendar = {each.name: places.start for each, places in parts if is_calendar(each.name)}
    if calendar:
        times = panel.times(np.repeat(np.arange(len(panel)), lengths), steps_of(lengths))
        own = calendar_features(times, panel.frequency, list(calendar))
        features[:, list(calendar.values())] = own
    return features


def _numbers(column: Covariate, encoding: Encoding) -> Float32Array:
    """The values of a column as a network reads them [row, feature].

    Raises:
        DataError: They are numbers and the encoding's are categories, or the other way round.
    """
    if (column.texts is None) != (not encoding.categories) and column.observed.any():
        kinds = ("numbers", "categories")
        own, learnt = kinds if column.texts is None else reversed(kinds)
        raise DataError(
            f"column '{column.name}' has {own}, but the model learnt from {learnt} there; "
            "correct the column or train again"
        )
    if not encoding.categories:
        near = np.clip(standardised(column, encoding), -FARTHEST, FARTHEST)
        return near.astype(np.float32)[:, None]
    texts = column.texts or ()
    places = {text: place for place, text in enumerate(encoding.categories)}
    numbers = np.zeros((len(texts) + 1, encoding.size), dtype=np.float32)
    # The last row is of what is missing, whose code is -1.
    numbers[-1] = np.nan
    for code, text in enumerate(texts):
        if text in places:
            numbers[code, places[text]] = 1
    encoded: Float32Array = numbers[column.values.astype(np.int64)]
    return encoded
