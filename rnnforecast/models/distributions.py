"""Every form of the forecast a user can ask for, in one table; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from rnnforecast.errors import ConfigError

_HEADS = "rnnforecast.models.heads:"


@dataclass(frozen=True, kw_only=True)
class HeadEntry:
    """A form of the forecast.

    Attributes:
        name: What `--head` takes.
        head: Where its class is: "module:class".
        samples: Whether values can be drawn from it.
        counts: Whether it is of whole numbers from 0 on, and of these only.
        summary: What it is and when to take it.
        reference: The paper it comes from.
    """

    name: str
    head: str
    samples: bool = True
    counts: bool = False
    summary: str
    reference: str


HEADS: dict[str, HeadEntry] = {
    entry.name: entry
    for entry in (
        HeadEntry(
            name="quantile",
            head=_HEADS + "QuantileHead",
            samples=False,
            summary="Free quantiles that cannot cross; the default",
            reference="Koenker & Bassett 1978, Regression quantiles",
        ),
        HeadEntry(
            name="normal",
            head=_HEADS + "NormalHead",
            summary="Normal distribution, log-normal on logarithms",
            reference="Salinas et al. 2020, DeepAR: probabilistic forecasting",
        ),
        HeadEntry(
            name="student-t",
            head=_HEADS + "StudentTHead",
            summary="Student's t distribution; for outliers and heavy tails",
            reference="Lange et al. 1989, Robust statistical modeling using the t distribution",
        ),
        HeadEntry(
            name="negative-binomial",
            head=_HEADS + "NegativeBinomialHead",
            counts=True,
            summary="Negative binomial distribution; for counts, such as sales of a slow article",
            reference="Salinas et al. 2020, DeepAR: probabilistic forecasting",
        ),
    )
}


def find_head(name: str) -> HeadEntry:
    """The row called `name`; a ConfigError lists the names where there is none."""
    if name not in HEADS:
        raise ConfigError(f"head must be one of {', '.join(HEADS)}, got '{name}'")
    return HEADS[name]
