"""What a model file may hold: values of their kinds, that fit each other, and no boundless work.

Whoever wrote the file may mean harm: what forecasting with it costs must stay in proportion to its
size, as it does with models that were trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from itertools import chain
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from rnnforecast.columns import DataConfig, Encoding, Yearly, sizes_of
from rnnforecast.config import LARGEST, ModelSpec, RunConfig, TrainConfig, WindowSpec
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.calendar_features import HOLIDAY, calendar_encodings
from rnnforecast.data.dialects import id_name, time_name
from rnnforecast.data.encoding import MOST_CATEGORIES, is_calendar
from rnnforecast.data.panel import Panel
from rnnforecast.data.resampling import parse_step
from rnnforecast.data.schema import LARGEST_VALUE
from rnnforecast.data.time_units import DAY
from rnnforecast.data.writing import check_names, interval_names
from rnnforecast.data.yearly import has_days
from rnnforecast.data.zones import check_zone, known_zones
from rnnforecast.errors import ConfigError
from rnnforecast.models.distributions import find_head
from rnnforecast.models.registry import find_model

# More than any series has or any user asks for.
MOST_LEVELS, MOST_SEASONS, MOST_ENCODINGS, LONGEST_FORMAT = 1000, 100, 1000, 100
# Steps that a model may read whatever series it keeps: far beyond a lookback that a rule chooses.
# Beyond that, twice the longest series: an updated model may keep shorter ones than it once read.
FREE_STEPS, READ_SHARE = 2**11, 2
# Values that it may read in all, and for each that it keeps: many series may be short beside one.
FREE_VALUES, VALUES_SHARE = 2**22, 1024
# Cells that its forecast may have, and for each value that it keeps, its series counting for four
# more each; a cell costs some 100 bytes.
FREE_CELLS, CELLS_SHARE, SERIES_SHARE = 2**23, 64, 4
# A model that samples works for each cell as others for many, and keeps every path of a series.
DRAWN_COST, LONGEST_PATH = 12, 2**14
# The years 1 to 9999 in microseconds, the steps that data may have, and where forecasts end.
YEARS = (-62_135_596_800_000_000, 253_402_300_800_000_000)
STEPS = (-(10**18), 10**18 + 1)
LATEST = 2**62
UNITS = {"step": 1, "microsecond": 1, "business-day": 2 * DAY, "month": 31 * DAY}
OFFSET = re.compile(r"([+-]\d\d:?\d\d)?")
COUNTRY = re.compile(r"[A-Z]{2,3}")
DEEPEST_RECORD = 6
# The exponential of a larger one is no number.
LARGEST_LOGARITHM = 709

T = TypeVar("T")


def built(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from JSON, where tuples are lists, with every field and no other.

    Raises:
        ValueError: A value is not of the kind that the field says.
        ConfigError: The dataclass refuses it.
    """
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(values) != names:
        raise ValueError(f"{kind.__name__} has other fields than {', '.join(sorted(names))}")
    return kind(**{name: _cast(name, hints[name], value) for name, value in values.items()})


def _cast(name: str, hint: Any, value: Any) -> Any:
    options = get_args(hint)
    if isinstance(hint, UnionType):
        return None if value is None else _cast(name, options[0], value)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_cast(name, options[0], item) for item in value)
    if get_origin(hint) is Literal and value in options:
        return value
    if is_dataclass(hint) and isinstance(value, Mapping):
        return built(hint, value)  # type: ignore[arg-type]
    if type(value) is hint or (hint is float and type(value) is int):
        return value
    raise ValueError(f"{name} is of another kind")


def run_config(values: Mapping[str, Any]) -> RunConfig:
    """A configuration from JSON.

    Raises:
        ValueError: It is none.
        ConfigError: It cannot be used.
    """
    config = RunConfig(
        data=built(DataConfig, values["data"]),
        windows=built(WindowSpec, values["windows"]),
        model=built(ModelSpec, values["model"]),
        training=built(TrainConfig, values["training"]),
        encodings=tuple(built(Encoding, encoding) for encoding in values["encodings"]),
        yearly=built(Yearly, values["yearly"]),
    )
    windows, model, training = config.windows, config.model, config.training
    sizes = (
        *(windows.lookback, windows.horizon, *windows.seasons),
        *(model.hidden_size, model.segment_length, model.tbptt or 1),
        *(training.epochs, training.batches_per_epoch, training.batch_size, training.patience),
    )
    _limit(max(sizes) < LARGEST, f"a size of {max(sizes)}")
    _limit(len(windows.seasons) <= MOST_SEASONS, f"{len(windows.seasons)} seasons")
    _limit(len(model.levels) <= MOST_LEVELS, f"{len(model.levels)} levels")
    data = config.data
    _check_encodings(config)
    _check_yearly(config)
    check_names(
        [id_name(data), time_name(data), *interval_names(model.model, model.levels, data.dialect)]
    )
    _limit(data.separator is None or data.separator not in '"\r\n\0', "a separator between lines")
    _check_format(data.time_format)
    return config


def _check_encodings(config: RunConfig) -> None:
    """Raise ValueError or ConfigError where encodings are not those of columns that are read."""
    data, encodings = config.data, config.encodings
    check_encodings(encodings)
    for encoding in encodings:
        count = len(encoding.categories)
        _limit(count <= MOST_CATEGORIES, f"{count} categories of a column")
        if len(set(encoding.categories)) < count:
            raise ValueError("a column has a category twice")
    roles = dict.fromkeys(data.static_columns, "static") | dict.fromkeys(data.past_columns, "past")
    roles |= dict.fromkeys(data.future_columns, "future")
    columns = [each for each in encodings if not is_calendar(each.name)]
    if len({each.name for each in encodings}) < len(encodings) or any(
        roles.get(each.name) != each.role for each in columns
    ):
        raise ValueError("other covariates are encoded than columns are read")
    if sizes_of(encodings) != config.model.inputs:
        raise ValueError("the network reads other covariates than are encoded")


def _check_yearly(config: RunConfig) -> None:
    """Raise ValueError or ConfigError where yearly components do not go with the model."""
    yearly = config.yearly
    if yearly and find_head(config.model.head).counts:
        raise ValueError("counts, which are whole, have yearly seasonality")
    if yearly and (yearly.scale == "logarithms") != config.model.log:
        raise ValueError("yearly seasonality is on another scale than the model")
    numbers = (yearly.shared, *(component.coefficients for component in yearly.own))
    largest = max((abs(each) for each in chain.from_iterable(numbers)), default=0.0)
    most = LARGEST_LOGARITHM if config.model.log else LARGEST_VALUE
    _limit(largest <= most, f"yearly seasonality of {largest:g}")


def check_encodings(encodings: Sequence[Encoding]) -> None:
    """Raise ConfigError where there are more than a model file may hold."""
    _limit(len(encodings) <= MOST_ENCODINGS, f"{len(encodings)} encodings")


def check_clock(config: RunConfig, frequency: Frequency) -> None:
    """Raise ConfigError or ValueError where what is made of times is not of this frequency."""
    data = config.data
    if data.time_zone is not None:
        check_zone(data.time_zone)
    if data.resample is not None:
        step = parse_step(data.resample, integer=frequency.unit == "step")
        if (step.unit, step.count) != (frequency.unit, frequency.count):
            raise ValueError("resample is of other steps than the series")
    if config.yearly and not has_days(frequency):
        raise ValueError("yearly seasonality of steps that are no days")
    expected = calendar_encodings(frequency) if data.calendar or data.holidays else ()
    if data.holidays is not None:
        if not COUNTRY.fullmatch(data.holidays):
            raise ValueError("holidays are of no country")
        if find_spec("holidays"):
            calendar_encodings(frequency, data.holidays)
        expected += (Encoding(name=f"{HOLIDAY}{data.holidays}", role="future"),)
    if tuple(each for each in config.encodings if is_calendar(each.name)) != expected:
        raise ValueError("another calendar is encoded than is asked for")


def _check_format(time_format: str | None) -> None:
    if time_format is None:
        return
    _limit(len(time_format) <= LONGEST_FORMAT, "a long format of times")
    try:
        pd.to_datetime(pd.Series(["1"]), format=time_format, errors="coerce")
    except (ValueError, re.error):
        raise ConfigError("a format of times that is none") from None


def check_panel(panel: Panel, lookback: int) -> None:
    """Raise ValueError where the parts of a panel do not fit together, or are beyond reading."""
    offsets, values, ids = panel.offsets, panel.values, panel.ids
    if not ids or not all(type(name) is str for name in ids) or len(set(ids)) < len(ids):
        raise ValueError("the ids are not different texts")
    if offsets[0] != 0 or offsets[-1] != len(values) or not (offsets[1:] > offsets[:-1]).all():
        raise ValueError("a series has no values")
    if panel.lengths.max() > lookback:
        raise ValueError("a series is longer than the lookback")
    features = panel.features
    if features is not None:
        places = features.future_offsets
        within = places[0] == 0 and places[-1] == len(features.future)
        if not (within and (places[1:] >= places[:-1]).all()):
            raise ValueError("what is known ahead does not fit the series")
        for part in (features.past, features.future, features.static):
            if np.isinf(part).any():
                raise ValueError("a covariate is infinite")
    if not (np.isnan(values) | (np.abs(values) <= LARGEST_VALUE)).all():
        raise ValueError("a value is too large to square")


def check_times(panel: Panel, horizon: int) -> None:
    """Raise ConfigError where times are none, or the forecast leaves the calendar."""
    frequency, starts = panel.frequency, panel.starts
    first, last = STEPS if frequency.unit == "step" else YEARS
    inside = first <= starts.min() and starts.max() < last
    _limit(inside, "a series that starts outside the calendar")
    _limit(frequency.count >= 1 and 0 <= frequency.day <= 31, "a frequency that is none")
    steps = (int(panel.lengths.max()) + horizon) * frequency.count
    end = int(starts.max()) + steps * UNITS[frequency.unit]
    _limit(end < LATEST, "a forecast that ends outside the calendar")
    known = OFFSET.fullmatch(frequency.offset) or frequency.offset in known_zones()
    _limit(bool(known), "an offset from UTC that is none, or a time zone that is not known here")
    if frequency.unit == "business-day":
        weekdays = np.is_busday((starts // DAY).astype("datetime64[D]"))
        _limit(bool(weekdays.all()), "a series of business days that starts on another day")


def check_work(config: RunConfig, panel: Panel) -> None:
    """Raise ConfigError where forecasting these series would cost out of proportion to them."""
    check_encodings(config.encodings)
    windows, spec, entry = config.windows, config.model, find_model(config.model.model)
    # What skips steps fills up to the longest skip.
    reach = max(windows.lookback, 2 ** (spec.num_layers - 1) if entry.dilated else 1)
    longest = int(panel.lengths.max())
    _limit(
        reach <= max(FREE_STEPS, READ_SHARE * longest),
        f"a lookback of {reach} where series have {longest} values at most",
    )
    features, inputs = panel.features, spec.inputs
    beside = 0 if features is None else features.past.size + features.future.size
    members = max(1, len(spec.lookbacks))
    read = members * len(panel) * reach * (1 + inputs.past + inputs.future)
    told = len(panel.values) + beside
    _limit(read <= max(FREE_VALUES, VALUES_SHARE * told), f"{read} values to read")
    cells = len(panel) * windows.horizon * len(spec.quantile_levels)
    cost = cells * (DRAWN_COST if entry.samples else 1) * members
    kept = len(panel.values) + SERIES_SHARE * len(panel)
    _limit(cost <= max(FREE_CELLS, CELLS_SHARE * kept), f"{cells} cells to forecast")
    drawn = windows.horizon if entry.samples else 1
    _limit(drawn <= LONGEST_PATH, f"paths of {drawn} steps")


def check_record(record: Any) -> None:
    """Raise ValueError where what is known of a run is not in the form that commands read."""
    if not isinstance(record, dict) or _depth(record) > DEEPEST_RECORD:
        raise ValueError("the record is no object, or too deep")
    for name in ("data", "settings"):
        if not isinstance(record.get(name, {}), dict):
            raise ValueError(f"{name} of the record is no object")
    for name in ("history", "metrics"):
        rows = record.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{name} of the record is no table")
        cells = [cell for row in rows for key, cell in row.items() if key != "model"]
        if not all(cell is None or type(cell) in (int, float) for cell in cells):
            raise ValueError(f"{name} of the record has a cell that is no number")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _limit(condition: bool, what: str) -> None:
    if not condition:
        raise ConfigError(f"{what}: more than a model file may hold; ask for less")
