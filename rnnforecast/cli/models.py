"""`rnnforecast models`."""

from __future__ import annotations

from rnnforecast.cli import options
from rnnforecast.cli.render import choose_format, print_rows
from rnnforecast.models.registry import MODELS


def models(format: options.Format = None) -> None:
    """List every network that --model takes, with its summary and reference."""
    rows = [[row.name, row.summary, row.reference] for row in MODELS.values()]
    print_rows(["model", "summary", "reference"], rows, choose_format(format))
