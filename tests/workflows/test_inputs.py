"""What a run asks of the values of its series."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from rnnforecast.data.calendar import Frequency
from rnnforecast.errors import DataError
from rnnforecast.models.distributions import HEADS
from rnnforecast.workflows.inputs import check_counts, tell_of_season, unseen_season
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


@pytest.mark.parametrize(
    ("unit", "known", "seasons", "unseen"),
    [
        ("month", 36, (1,), 12),
        ("month", 12, (1,), 12),
        ("month", 11, (1,), None),
        ("month", 36, (12,), None),
        ("step", 36, (1,), None),
    ],
)
def test_unseen_season_is_the_one_that_only_all_values_show(
    unit: str, known: int, seasons: tuple[int, ...], unseen: int | None
) -> None:
    panel = make_panel(np.tile(np.arange(12.0), 4).tolist())
    panel = replace(panel, frequency=Frequency(unit=unit))  # type: ignore[arg-type]
    found = unseen_season(panel, panel.before(np.array([known])), seasons)
    assert found == unseen
    heard: list[str] = []
    reporter = Mute()
    reporter.note = heard.append  # type: ignore[method-assign]
    tell_of_season(found, reporter)
    tell_of_season(found, reporter, trained=True)
    advice = [] if unseen is None else ["pass --season 12", "train again to use it"]
    assert len(heard) == len(advice)
    assert all(word in text for word, text in zip(advice, heard, strict=True))
