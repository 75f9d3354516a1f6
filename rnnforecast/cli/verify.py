"""`rnnforecast verify`."""

from __future__ import annotations

from rnnforecast.cli import options
from rnnforecast.cli.loading import loading
from rnnforecast.cli.render import choose_format, print_rows
from rnnforecast.errors import ArtifactError


def verify(
    directory: options.Directory, device: options.Device = "auto", format: options.Format = None
) -> None:
    """Check that the run in DIR is whole: its model, its forecasts, its tables.

    The model file must be undamaged and forecast what forecasts.csv says; metrics.csv and
    history.csv must be those that it records; nothing may be left of a run that was killed.
    """
    form = choose_format(format)
    with loading():
        from rnnforecast.workflows.verify import FAILED
        from rnnforecast.workflows.verify import verify as run

    checks = run(directory, device)
    rows = [[row.check, row.result, row.detail] for row in checks]
    print_rows(["check", "result", "detail"], rows, form)
    failed = [row for row in checks if row.result == FAILED]
    if failed:
        names = ", ".join(row.check for row in failed)
        raise ArtifactError(f"{directory}: failed: {names}; restore a copy or train again")
