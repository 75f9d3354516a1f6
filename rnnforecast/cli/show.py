"""`rnnforecast show`."""

from __future__ import annotations

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.render import ABSENT, choose_format, print_rows


def show(directory: options.Directory, format: options.Format = None) -> None:
    """Show what the model in DIR is: its network, its series, its training, its metrics.

    No data are read, and nothing is forecast.
    """
    form = choose_format(format)
    with loading():
        from rnnforecast.workflows.show import show as run

    unknown = ABSENT if form == "table" else None
    rows = [[name, unknown if value is None else value] for name, value in run(directory)]
    print_rows(["property", "value"], rows, form)
