"""`rnnforecast metrics`."""

from __future__ import annotations

from rnnforecast.cli import options
from rnnforecast.cli.render import choose_format, print_rows
from rnnforecast.config import ModelSpec


def metrics(format: options.Format = None) -> None:
    """List every metric of the tables, with its definition, its gaps and its reference."""
    from rnnforecast.evaluation.metrics import COMPARISONS, metrics_for

    levels = ModelSpec(model="gru").quantile_levels
    rows = [
        [row.name, row.summary, row.undefined, row.reference]
        for row in (*metrics_for(levels), *COMPARISONS)
    ]
    print_rows(["metric", "summary", "undefined", "reference"], rows, choose_format(format))
