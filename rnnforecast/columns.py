"""Which columns are read, and what is made of them: encoded covariates, yearly components."""

from __future__ import annotations

import codecs
import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from rnnforecast.errors import ConfigError

Missing = Literal["mask", "error", "interpolate", "ffill", "zero"]
Aggregate = Literal["mean", "sum", "last"]
Dialect = Literal["nixtla", "prophet", "autogluon"]
Role = Literal["static", "past", "future"]
YearlyScale = Literal["units", "shares", "logarithms"]
"""What yearly seasonality is in: units of the series, added; shares of its level, by which that is
multiplied, so that 0 stays 0; or its logarithms, added."""
# Sines and cosines, of a year and of a half, that make up a yearly component.
YEARLY_ORDERS = 2
# Encodings of internet names, whose decoders take the square of a text's length.
SLOW = ("punycode", "idna")


def require(condition: bool, name: str, rule: str, value: object) -> None:
    """Raise ConfigError, naming the value and the rule that it breaks, unless it keeps to it."""
    if not condition:
        raise ConfigError(f"{name} must be {rule}, got {value}")


def require_one_of(kind: object, name: str, value: str) -> None:
    """Raise ConfigError unless the value is a name of the Literal `kind`."""
    require(value in get_args(kind), name, f"one of {', '.join(get_args(kind))}", f"'{value}'")


def _decodes(encoding: str) -> bool:
    """Whether texts of this encoding can be read, in a time that is in proportion to them."""
    try:
        if codecs.lookup(encoding).name in SLOW:
            return False
        b"a".decode(encoding)
    except UnicodeDecodeError:  # such as of half a UTF-16 character
        return True
    except (LookupError, ValueError, OSError):
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which columns of a table are read, and how its cells are written. None: found from the file.

    Attributes:
        id_column: The column that names the series; None with target_columns set means wide form.
        time_column: The column of timestamps or integer steps.
        target_columns: The column to forecast; in wide form, one column a series.
        static_columns: Covariates that are one value a series.
        past_columns: Covariates that are known up to the cutoff.
        future_columns: Covariates that are known ahead.
        categorical_columns: Those of the covariates that are categories though they read as
            numbers.
        separator: The character between cells.
        decimal: The decimal mark, "." or ",".
        encoding: How the file's characters are encoded.
        na_values: Cells that mean a missing target, beside the empty cell, NaN, NA and null.
        time_format: A strptime format for the time column.
        time_zone: The IANA zone whose clock the times are of, such as Europe/Paris.
        dialect: Whose names of columns are read and written, where none are named.
        missing: What becomes of gaps.
        resample: The steps that irregular rows are joined to, such as 5min.
        aggregate: How rows of one step are joined.
        calendar: Whether the network reads the time of day, week and year.
        holidays: The country, such as FR, whose holidays it reads.
    """

    id_column: str | None = None
    time_column: str | None = None
    target_columns: tuple[str, ...] = ()
    static_columns: tuple[str, ...] = ()
    past_columns: tuple[str, ...] = ()
    future_columns: tuple[str, ...] = ()
    categorical_columns: tuple[str, ...] = ()
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    na_values: tuple[str, ...] = ()
    time_format: str | None = None
    time_zone: str | None = None
    dialect: str = "nixtla"
    missing: str = "mask"
    resample: str | None = None
    aggregate: str = "mean"
    calendar: bool = False
    holidays: str | None = None

    def __post_init__(self) -> None:
        if self.separator is not None:
            require(len(self.separator) == 1, "separator", "one character", repr(self.separator))
        if self.decimal is not None:
            require(self.decimal in (".", ","), "decimal", "'.' or ','", repr(self.decimal))
        require_one_of(Dialect, "dialect", self.dialect)
        require_one_of(Missing, "missing", self.missing)
        require_one_of(Aggregate, "agg", self.aggregate)
        if self.encoding is not None:
            rule = "one that Python knows, such as latin-1"
            require(_decodes(self.encoding), "encoding", rule, repr(self.encoding))
        counts = Counter(self.covariates)
        for name in self.categorical_columns:
            known = name in counts
            require(known, "categorical", "among the static, past and future columns", f"'{name}'")
        twice = [name for name in self.covariates if counts[name] > 1]
        require(not twice, "covariates", "each of one kind", twice)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns that are read beside the target."""
        return (*self.static_columns, *self.past_columns, *self.future_columns)

    def role_of(self, name: str) -> str:
        """When a covariate is known: the option that asks for it."""
        if name in self.static_columns:
            return "static"
        return "past" if name in self.past_columns else "future"


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one covariate becomes numbers that a network reads, as fitted to training rows.

    Attributes:
        name: Its column, or the part of the calendar that it is.
        role: When it is known.
        categories: One number each, 1 at the one that is met; () of a numeric covariate.
        mean: Of a numeric covariate, subtracted.
        scale: Of a numeric covariate, its standard deviation, divided by.
    """

    name: str
    role: str
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_one_of(Role, "role", self.role)
        require(math.isfinite(self.mean), "mean", "finite", self.mean)
        require(0 < self.scale < math.inf, "scale", "finite and positive", self.scale)

    @property
    def size(self) -> int:
        """How many numbers it becomes."""
        return max(1, len(self.categories))


@dataclass(frozen=True, kw_only=True)
class YearlyComponent:
    """The yearly seasonality of a series, as fitted to training rows: a Fourier series.

    Attributes:
        id: That of the series.
        coefficients: Of the sine and the cosine of each order; all 0 of one that has none.
    """

    id: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_coefficients("coefficients", self.coefficients)


@dataclass(frozen=True, kw_only=True)
class Yearly:
    """The yearly seasonality of the series of a panel; false where none has any.

    Attributes:
        scale: What coefficients are in.
        own: Of each series that has any, or was found to have none.
        shared: Coefficients of a series that was not met, in shares of its level where the scale
            is its units; none where series do not go through the year alike, unless all were to
            have a component.
    """

    scale: YearlyScale = "units"
    own: tuple[YearlyComponent, ...] = ()
    shared: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(each.id for each in self.own).items() if count > 1]
        require(not twice, "yearly", "of different series", twice[:1])
        require(bool(self.own) or not self.shared, "shared", "empty where own is", self.shared)
        if self.shared:
            _require_coefficients("shared", self.shared)

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def count(self) -> int:
        """How many series have any."""
        return sum(any(component.coefficients) for component in self.own)


NO_YEARLY = Yearly()


def _require_coefficients(name: str, coefficients: tuple[float, ...]) -> None:
    count = len(coefficients)
    require(count == 2 * YEARLY_ORDERS, name, f"{2 * YEARLY_ORDERS} numbers", count)
    require(all(map(math.isfinite, coefficients)), name, "finite", coefficients)


@dataclass(frozen=True, kw_only=True)
class InputSizes:
    """How many numbers a network reads beside the value of each step.

    Attributes:
        past: Of each step of the lookback, known up to the cutoff.
        future: Of each step of the lookback and the horizon, known ahead.
        static: Of each series.
    """

    past: int = 0
    future: int = 0
    static: int = 0

    def __post_init__(self) -> None:
        for name in ("past", "future", "static"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))


def sizes_of(encodings: tuple[Encoding, ...]) -> InputSizes:
    """How many numbers covariates of these encodings come to."""
    sizes = dict.fromkeys(get_args(Role), 0)
    for encoding in encodings:
        sizes[encoding.role] += encoding.size
    return InputSizes(**sizes)
