"""What a run asks of the values of its series."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from rnnforecast.data.calendar import Frequency
from rnnforecast.data.panel import Panel
from rnnforecast.data.time_units import DAY
from rnnforecast.errors import DataError
from rnnforecast.models.distributions import HEADS
from rnnforecast.workflows.inputs import check_counts, tell_of_past
from rnnforecast.workflows.reporting import Mute
from tests.panels import make_panel

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "shown"), [(2.5, "2.5"), (-3.0, "-3"), (1234567.5, "1234567.5"), (-0.25, "-0.25")]
)
def test_check_counts_names_series_and_value_when_one_is_no_count(value: float, shown: str) -> None:
    panel = make_panel([0, 1, 2], [4, NAN, 1e9, value, -8])
    message = (
        f"series 's1' has the value {shown}, which is no count, as head negative-binomial "
        "needs; pass another --head"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        check_counts(panel, "negative-binomial")


@pytest.mark.parametrize("head", [name for name, entry in HEADS.items() if not entry.counts])
def test_check_counts_passes_any_value_when_head_is_not_of_counts(head: str) -> None:
    check_counts(make_panel([-1.5, 2.0]), head)


def test_check_counts_passes_gaps_when_all_else_is_counted() -> None:
    check_counts(make_panel([0.0, NAN, 7.0, 2.0**60]), "negative-binomial")


def told_of_past(panel: Panel, horizon: int) -> list[str]:
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    tell_of_past(panel, horizon, reporter)
    return heard


DAYS = Frequency(unit="microsecond", count=DAY, date_only=True)


@pytest.mark.parametrize(
    ("begins", "told"),
    [((3, 0), "1 of 2 series ('s1') is"), ((2, 0), None), ((0, 0), None), ((0, 9), "('s0') is")],
)
def test_tell_of_past_names_series_whose_horizon_is_over_when_others_end(
    begins: tuple[int, int], told: str | None
) -> None:
    panel = make_panel([1.0] * 4, [2.0] * 4)
    panel = replace(panel, starts=np.array(begins) * DAY, frequency=DAYS)
    heard = told_of_past(panel, 3)
    assert len(heard) == (told is not None)
    assert told is None or told in heard[0]


def test_tell_of_past_tells_where_the_others_end() -> None:
    months = Frequency(unit="month", date_only=True)
    panel = replace(make_panel([1.0] * 4, [2.0] * 6, [3.0]), frequency=months)
    assert told_of_past(panel, 2) == [
        "2 of 3 series ('s0', 's2') are forecast for times up to 1970-06-01 alone, where series "
        "'s1' ends; leave out what has ended, or correct that time"
    ]
    assert len(told_of_past(panel, 5)) == 1 and not told_of_past(panel, 6)


def test_tell_of_past_is_silent_where_each_series_counts_its_own_steps() -> None:
    assert not told_of_past(make_panel([1.0] * 9, [2.0]), 1)
