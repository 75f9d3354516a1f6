"""What newer data bring to a stored model: what it was trained on, what is new, what is gone."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnforecast.arrays import IntArray
from rnnforecast.artifact import Artifact
from rnnforecast.config import LARGEST, Settings, quantile_levels
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table
from rnnforecast.data.schema import listed
from rnnforecast.errors import ArtifactError, ConfigError, DataError
from rnnforecast.evaluation.metrics import COMPARISONS, metrics_for
from rnnforecast.forecaster import Forecaster
from rnnforecast.workflows.forecast import lacking_history
from rnnforecast.workflows.keeping import digest_of
from rnnforecast.workflows.reporting import NAMED_SERIES, Reporter

UNFIT = (
    ConfigError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    StopIteration,
)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored model with what an update needs to know of it.

    Attributes:
        forecaster: The network that forecasts, and its configuration.
        scored: The same before any fit to the values that it was scored on; None where its weights
            are of no use for the other's logarithms.
        panel: The last lookback of every series.
        digest: Of all series that it was given.
        settings: What was asked for when it was trained.
        metrics: The table of its last run.
        trained: Its mase and mae when it was last trained from scratch, None where undefined.
        updates: Updates since then.
        refused: Whether the last update left the weights as they were.
        unseen: How many of the newest values of each series `scored` was not fitted to [series].
    """

    forecaster: Forecaster
    scored: Forecaster | None
    panel: Panel
    digest: str
    settings: Settings
    metrics: pd.DataFrame
    trained: dict[str, float | None]
    updates: int
    refused: bool
    unseen: IntArray


def read_record(artifact: Artifact) -> Stored:
    """What the record of a model file says, as `train` or `update` has written it.

    Raises:
        ArtifactError: It lacks something, or does not fit the model.
    """
    forecaster, record = artifact.forecaster, artifact.record
    config = forecaster.config
    try:
        items = record["settings"].items()
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in items}
        settings = Settings(**fields)
        asked = (settings.model, settings.horizon, settings.levels)
        if asked != (config.model.model, config.windows.horizon, config.model.levels):
            raise ValueError("the settings are not those of the model")
        rows = record["metrics"]
        trained = record.get("trained") or errors_of(forecaster.name, rows)
        unseen = np.array(record["unseen"])
        if unseen.dtype != np.int64:
            raise ValueError("counts of values are no whole numbers")
        if unseen.min() < 0 or unseen.max() > LARGEST:
            raise ValueError("counts of values are no counts")
        return Stored(
            forecaster=forecaster,
            scored=artifact.scored,
            panel=artifact.panel,
            digest=str(record["data"]["panel_sha256"]),
            settings=settings,
            metrics=_table(rows, settings),
            trained={k: v if v is None else float(v) for k, v in trained.items()},
            updates=int(record.get("updates", 0)),
            refused=bool(record.get("refused", False)),
            unseen=np.broadcast_to(unseen, len(artifact.panel)),
        )
    except UNFIT:
        raise ArtifactError(
            "the model's record is not one that this version can update; train again"
        ) from None


@dataclass(frozen=True, kw_only=True)
class News:
    """What sets a table apart from the series that a model was last given.

    Attributes:
        seen: How many values of each series of the table the scored network was fitted to; 0 of one
            that is new [series].
        added: Series that the model was not given.
        vanished: Series that it was given and the table lacks.
        earlier: Series that end before they did.
        shortened: Series of which less is there than half of what the model keeps.
        anything: Whether a series is new or ends later than it did, or values were corrected.
    """

    seen: IntArray
    added: tuple[str, ...]
    vanished: tuple[str, ...]
    earlier: tuple[str, ...]
    shortened: tuple[str, ...]
    anything: bool


def find_news(stored: Stored, table: Table) -> News:
    """Hold a table against the series that a model keeps."""
    panel, older = table.panel, stored.panel
    places = {name: place for place, name in enumerate(older.ids)}
    former = np.array([places.get(name, -1) for name in panel.ids])
    known = np.flatnonzero(former >= 0)
    former = former[known]
    ends = panel.times(known, panel.lengths[known] - 1)
    ended = older.times(former, older.lengths[former] - 1)
    first_unseen = np.full(len(panel), np.iinfo(np.int64).min)
    first_unseen[known] = older.times(former, older.lengths[former] - stored.unseen[former])
    there = set(panel.ids)
    added = tuple(name for name in panel.ids if name not in places)
    vanished = tuple(name for name in older.ids if name not in there)
    corrected = not vanished and digest_of(table) != stored.digest
    return News(
        seen=steps_before(panel, first_unseen),
        added=added,
        vanished=vanished,
        earlier=tuple(panel.ids[place] for place in known[ends < ended]),
        shortened=tuple(panel.ids[place] for place in lacking_history(panel, older)),
        anything=bool(added) or bool((ends > ended).any()) or corrected,
    )


def steps_before(panel: Panel, moments: IntArray) -> IntArray:
    """How many steps of each series lie before its moment [series]."""
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    positions = np.arange(len(series)) - panel.offsets[series]
    earlier = panel.times(series, positions) < moments[series]
    return np.bincount(series[earlier], minlength=len(panel))


def tell_of_news(news: News, table: Table, reporter: Reporter, *, allow_loss: bool) -> None:
    """Name the series that have come, have gone or have become shorter at an end.

    Raises:
        DataError: Some have gone or become shorter, as in a file that was cut off or holds the
            newest rows alone, and that is not allowed.
    """
    if news.added:
        reporter.note(
            f"series that the model was not given before: {listed(news.added, NAMED_SERIES)}"
        )
    losses = [
        f"{what}: {listed(names, NAMED_SERIES)}"
        for what, names in (
            ("series of the model are not there", news.vanished),
            ("series end earlier than in the data of the last run", news.earlier),
            ("series hold less than half of what the model keeps of them", news.shortened),
        )
        if names
    ]
    if losses and not allow_loss:
        raise DataError(
            f"{table.name}: {'; '.join(losses)}; pass the whole data, or --allow-loss if these are "
            "gone for good"
        )
    for loss in losses:
        reporter.warning(f"{table.name}: {loss}")


def errors_of(name: str, rows: Iterable[Mapping[Hashable, Any]]) -> dict[str, Any]:
    """The mase and mae of a model, by the rows of a table of metrics."""
    own = {row["model"]: row for row in rows}[name]
    return {measure: own[measure] for measure in ("mase", "mae")}


def _table(rows: list[dict[str, Any]], settings: Settings) -> pd.DataFrame:
    """The table of metrics, whose columns JSON has brought out of order, NaN where it has null.

    Raises:
        LookupError: It lacks a column.
        ValueError: A model has two rows.
    """
    definitions = (*metrics_for(quantile_levels(settings.levels)), *COMPARISONS)
    order = ["model", "n", "windows", *(definition.name for definition in definitions)]
    names = order if "owa" in rows[0] else order[:-1]
    if len({row["model"] for row in rows}) < len(rows):
        raise ValueError("a model has two rows")
    cells = [[math.nan if row[name] is None else row[name] for name in names] for row in rows]
    return pd.DataFrame(cells, columns=names)
