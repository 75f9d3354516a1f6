"""Zones that doubled and skipped hours betray."""

from __future__ import annotations

import numpy as np
import pytest

from rnnforecast.arrays import IntArray
from rnnforecast.data.clock_changes import zone_repeating, zone_skipping


def local(*times: str) -> IntArray:
    return np.array(times, dtype="datetime64[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("times", "zone"),
    [
        (["2020-10-25T02:00", "2020-10-25T02:30", "2021-10-31T02:00"], "Europe/Paris"),
        (["2020-11-01T01:00", "2021-11-07T01:00"], "America/New_York"),
        (["2021-04-04T02:00"], "Australia/Sydney"),
        (["2020-10-25T01:00"], "Europe/London"),
        (["2020-10-25T02:00", "2020-11-01T01:00"], None),
        (["2020-10-25T12:00"], None),
        ([], None),
        (["9999-01-01"], None),
    ],
)
def test_zone_is_the_one_whose_clocks_were_set_back(times: list[str], zone: str | None) -> None:
    assert zone_repeating(local(*times)) == zone


@pytest.mark.parametrize(
    ("times", "zone", "first"),
    [
        (["2020-01-05T07:00", "2020-03-29T02:00"], "Europe/Paris", "2020-03-29T02:00"),
        (["2020-03-08T02:00", "2021-03-14T02:30"], "America/New_York", "2020-03-08T02:00"),
    ],
)
def test_zone_is_the_one_whose_clocks_were_set_forward(
    times: list[str], zone: str, first: str
) -> None:
    found = zone_skipping(local(*times))
    assert found is not None and (found[0], found[1][0]) == (zone, int(local(first)[0]))


def test_no_zone_is_found_when_no_hour_is_skipped() -> None:
    assert zone_skipping(local("2020-03-29T12:00", "2020-07-01")) is None
