"""The newest values of every series, and what is known beside them, as tensors of a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rnnforecast.config import RunConfig
from rnnforecast.container import Container, Shape
from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Features, Panel

LOOKBACK = "lookback."
SERIES = {"values": "F64", "offsets": "I64", "starts": "I64"}
FEATURES = {"past": "F32", "future": "F32", "future_offsets": "I64", "static": "F32"}


def panel_tensors(panel: Panel) -> dict[str, Tensor]:
    """The arrays of a panel by the names they have in a model file."""
    arrays = {name: getattr(panel, name) for name in SERIES}
    if panel.features is not None:
        arrays |= {name: getattr(panel.features, name) for name in FEATURES}
    return {f"{LOOKBACK}{name}": torch.from_numpy(array) for name, array in arrays.items()}


def panel_shapes(config: RunConfig, series: int, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """What these tensors must be; the values and the steps known ahead are as many as there are.

    Raises:
        KeyError: Tensors that there must be are not in `shapes`.
    """
    values = shapes[f"{LOOKBACK}values"].sizes[:1]
    sizes = {"values": values, "offsets": (series + 1,), "starts": (series,)}
    if config.encodings:
        inputs, rows = config.model.inputs, shapes[f"{LOOKBACK}future"].sizes[:1]
        sizes |= {
            "past": (*values, inputs.past),
            "future": (*rows, inputs.future),
            "future_offsets": (series + 1,),
            "static": (series, inputs.static),
        }
    kinds = SERIES | FEATURES
    return {f"{LOOKBACK}{name}": Shape(kinds[name], size) for name, size in sizes.items()}


def stored_panel(
    stored: Container, ids: Sequence[str], frequency: Frequency, config: RunConfig
) -> Panel:
    """The panel of a model file whose tensors are as `panel_shapes` says."""

    def arrays(names: Mapping[str, str]) -> dict[str, object]:
        return {name: stored.tensor(f"{LOOKBACK}{name}").numpy() for name in names}

    features = Features(**arrays(FEATURES)) if config.encodings else None  # type: ignore[arg-type]
    return Panel(ids=tuple(ids), frequency=frequency, features=features, **arrays(SERIES))  # type: ignore[arg-type]
