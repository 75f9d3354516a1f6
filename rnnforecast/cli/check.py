"""`rnnforecast check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnforecast.cli import options
from rnnforecast.cli.events import finite
from rnnforecast.cli.loading import loading
from rnnforecast.cli.log_options import LogOptions
from rnnforecast.cli.render import ABSENT, choose_format, print_rows
from rnnforecast.cli.series_options import SeriesOptions, SideOptions
from rnnforecast.errors import DataError

if TYPE_CHECKING:
    from rnnforecast.data.faults import Finding
    from rnnforecast.workflows.check import Checked

COLUMNS = ("kind", "file", "line", "column", "series", "what", "remedy")


@options.grouped
def check(
    data: options.Data,
    columns: options.ColumnOptions,
    series: SeriesOptions,
    sides: SideOptions,
    log: LogOptions,
    horizon: Annotated[
        int | None,
        typer.Option(min=1, help="Steps to forecast.", show_default="as the frequency suggests"),
    ] = None,
    format: options.Format = None,
) -> None:
    """Tell what is in DATA, what is wrong or doubtful and where, and how to train on it.

    Each row of the table is a fact, an error, a doubt or the suggested command. Nothing is trained.
    Ends with 3 where training could not run on DATA with the options given.
    """
    with log.reporting(*data) as reporter:
        form, asked = choose_format(format), series.data_config(columns)
        with loading():
            from rnnforecast.workflows.check import CheckRequest
            from rnnforecast.workflows.check import check as run

        request = CheckRequest(
            paths=tuple(data), data=asked, sides=sides.tables(data), horizon=horizon
        )
        checked = run(request, reporter)
        _print(checked, form)
        if checked.suggestion is not None:
            reporter.note(f"to train: {checked.suggestion}")
        if checked.errors:
            raise DataError(str(checked.errors[0]))


def _print(checked: Checked, form: str) -> None:
    if form == "json":
        print(json.dumps(finite(_as_json(checked)), ensure_ascii=False, indent=1), flush=True)
    elif form == "csv":
        print_rows(list(COLUMNS), _as_rows(checked), form)
    else:
        print_rows(["property", "value"], [list(fact) for fact in checked.facts], form)
        found = [
            [ABSENT if cell in (None, "") else cell for cell in _as_row(finding)]
            for finding in checked.findings
        ]
        if found:
            print_rows(list(COLUMNS), found, form)


def _as_json(checked: Checked) -> dict[str, Any]:
    found = [
        {
            "severity": finding.severity,
            "file": finding.file,
            "line": finding.line,
            "column": finding.column,
            "series": finding.series,
            "problem": finding.problem,
            "remedy": finding.remedy,
        }
        for finding in checked.findings
    ]
    return {"facts": dict(checked.facts), "findings": found, "suggestion": checked.suggestion}


def _as_rows(checked: Checked) -> list[list[Any]]:
    """One table of everything."""
    facts = [["fact", *[None] * 4, f"{name}: {value}", None] for name, value in checked.facts]
    found = [_as_row(finding) for finding in checked.findings]
    command = checked.suggestion
    suggested = [] if command is None else [["suggestion", *[None] * 4, command, None]]
    return [*facts, *found, *suggested]


def _as_row(finding: Finding) -> list[Any]:
    place = [finding.file, finding.line, finding.column, finding.series]
    return [finding.severity, *place, finding.problem, finding.remedy]
