"""What a run asks of the values of its series."""

from __future__ import annotations

import re

import pytest

from rnnforecast.errors import DataError
from rnnforecast.models.distributions import HEADS
from rnnforecast.workflows.inputs import check_counts
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
