"""What is not known of the time ahead, and the table to fill it in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rnnforecast.arrays import Float32Array, IntArray
from rnnforecast.columns import DataConfig, Encoding
from rnnforecast.data.covariates import Spot
from rnnforecast.data.encoding import is_calendar, known_from, slots
from rnnforecast.data.panel import Panel
from rnnforecast.data.writing import key_columns
from rnnforecast.errors import ConfigError


def missing_ahead(panel: Panel, encodings: tuple[Encoding, ...], horizon: int) -> Spot | None:
    """What an encoded panel does not know of `horizon` steps after each end; None: it knows all.

    The first is that of the first series, at its first time.
    """
    known = _known(panel, encodings, horizon)
    if not known:
        return None
    names = list(known)
    cells = np.stack([np.isnan(known[name][..., 0]) for name in names], axis=-1)
    if not cells.any():
        return None
    series, step, column = (int(places[0]) for places in np.nonzero(cells))
    position = panel.lengths[series] + step
    time = panel.frequency.format(panel.times(np.array([series]), np.array([position])))[0]
    return Spot(names[column], panel.ids[series], str(time), int(cells.sum()))


def unknown_ahead(panel: Panel, encodings: tuple[Encoding, ...], horizon: int) -> tuple[str, ...]:
    """The columns of which an encoded panel knows no value of `horizon` steps after each end."""
    known = _known(panel, encodings, horizon)
    return tuple(name for name, features in known.items() if np.isnan(features).all())


def template(
    panel: Panel, encodings: tuple[Encoding, ...], horizon: int, config: DataConfig
) -> pd.DataFrame:
    """The rows to fill in so that an encoded panel can be forecast: `--future-data`.

    One row a series and step ahead: its id, its time and the future covariates, as far as they are
    known; numbers to the digits that a network reads, and no category that it does not know.
    Columns of which training had no value are not read, and so are not there.

    Raises:
        ConfigError: No column is read that is known ahead.
    """
    known = _known(panel, encodings, horizon)
    if not known:
        raise ConfigError("the model reads no column that is known ahead; drop --template")
    series = np.repeat(np.arange(len(panel)), horizon)
    positions = (panel.lengths[:, None] + np.arange(horizon)).ravel()
    columns = key_columns(panel, series, positions, config)
    fitted = {each.name: each for each in encodings}
    for name, features in known.items():
        columns[name] = _decoded(features.reshape(len(series), -1), fitted[name])
    return pd.DataFrame(columns)


def _known(panel: Panel, encodings: tuple[Encoding, ...], horizon: int) -> dict[str, Float32Array]:
    """Of each future column its features after the ends [series, step, feature], NaN if unknown."""
    features = panel.features
    if features is None:
        return {}
    ahead = known_from(features, panel.lengths, np.full(len(panel), horizon))
    ahead = ahead.reshape(len(panel), horizon, ahead.shape[1])
    return {
        each.name: ahead[..., places]
        for each, places in slots(encodings, "future")
        if not is_calendar(each.name)
    }


def _decoded(cells: Float32Array, encoding: Encoding) -> list[str]:
    """The texts that features [row, feature] were encoded from, "" where that is not known."""
    if encoding.categories:
        places: IntArray = cells.argmax(axis=1)
        hit = cells[np.arange(len(cells)), places] == 1
        return [
            encoding.categories[place] if there else ""
            for place, there in zip(places, hit, strict=True)
        ]
    # Of what lies some standard deviations off, float32 tells a few millionths of one.
    digits = 5 - int(np.floor(np.log10(encoding.scale)))
    numbers = cells[:, 0].astype(np.float64) * encoding.scale + encoding.mean
    return ["" if np.isnan(number) else f"{round(number, digits) + 0.0:.15g}" for number in numbers]
