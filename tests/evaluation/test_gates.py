"""Gates: which text is one, and when a run fails."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnforecast.errors import ConfigError
from rnnforecast.evaluation.gates import OPERATORS, Gate, parse_gate
from rnnforecast.evaluation.metrics import Metric, metrics_for

NAMES = ("mase", "skill", "coverage-80", "coverage-99.5")


@pytest.mark.parametrize(
    ("text", "metric", "sign", "bound"),
    [
        ("mase>1", "mase", ">", 1),
        ("mase>=1", "mase", ">=", 1),
        ("skill<0", "skill", "<", 0),
        ("skill<=0.25", "skill", "<=", 0.25),
        (" mase  >=  1 ", "mase", ">=", 1),
        ("skill<-0.5", "skill", "<", -0.5),
        ("skill < -.5", "skill", "<", -0.5),
        ("mase>1e-3", "mase", ">", 0.001),
        ("mase>+2.5E+2", "mase", ">", 250),
        ("mase>=inf", "mase", ">=", math.inf),
        ("coverage-80<70", "coverage-80", "<", 70),
        ("coverage-99.5<99", "coverage-99.5", "<", 99),
    ],
)
def test_parse_gate_finds_metric_sign_and_bound_when_a_text_is_one(
    text: str, metric: str, sign: str, bound: float
) -> None:
    assert parse_gate(text, NAMES) == Gate(metric=metric, sign=sign, bound=bound)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "mase", "mase>", ">1", "1", "mase=1", "mase==1", "mase=>1", "mase!=1"),
        *("mase>1>2", "mase>> 1", "mase> =1", "mase<>1", "mase>one", "mase>nan", "mase>1 2"),
        *("mase>1,skill<0", "mase mase>1", "mase>0x10", "mase>1%", "mase>"),
    ],
)
def test_parse_gate_raises_with_an_example_when_a_text_has_another_form(text: str) -> None:
    message = f"fail-if must be a metric and a bound such as mase>1, got '{text}'"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_gate(text, NAMES)


@pytest.mark.parametrize("name", ["mse", "MASE", "coverage", "coverage-8", "coverage-80.0", "-"])
def test_parse_gate_raises_with_all_metrics_when_it_names_another(name: str) -> None:
    message = (
        "fail-if must name one of the metrics mase, skill, coverage-80, coverage-99.5, "
        f"got '{name}'"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_gate(f"{name}>1", NAMES)


@pytest.mark.parametrize("metric", metrics_for((0.0005, 0.0025, 0.1, 0.5, 0.9, 0.9975, 0.9995)))
def test_parse_gate_takes_every_metric_when_levels_have_decimals(metric: Metric) -> None:
    assert parse_gate(f"{metric.name}<=1", [metric.name]).metric == metric.name


@given(
    metric=st.sampled_from(NAMES),
    sign=st.sampled_from(sorted(OPERATORS)),
    bound=st.floats(allow_nan=False),
)
def test_parse_gate_keeps_the_bound_to_the_bit_when_text_is_written_in_full(
    metric: str, sign: str, bound: float
) -> None:
    assert parse_gate(f"{metric}{sign}{bound!r}", NAMES).bound == bound


@pytest.mark.parametrize(
    ("text", "below", "equal", "above"),
    [
        ("mase>1", False, False, True),
        ("mase>=1", False, True, True),
        ("mase<1", True, False, False),
        ("mase<=1", True, True, False),
    ],
)
def test_gate_fails_by_its_sign_when_the_metric_is_near_its_bound(
    text: str, below: bool, equal: bool, above: bool
) -> None:
    gate = parse_gate(text, NAMES)
    values = (math.nextafter(1, 0), 1.0, math.nextafter(1, 2))
    assert [gate.fails({"mase": value}) for value in values] == [below, equal, above]


@pytest.mark.parametrize("sign", OPERATORS)
def test_gate_fails_when_the_metric_is_undefined(sign: str) -> None:
    assert Gate(metric="mase", sign=sign, bound=1).fails({"mase": math.nan, "mae": 0.0})


@pytest.mark.parametrize("text", ["mase>1", "skill<=-0.25", "mase>=1e-05", "coverage-99.5<99"])
def test_gate_is_written_as_it_is_read(text: str) -> None:
    gate = parse_gate(text, NAMES)
    assert str(gate) == text
    assert parse_gate(str(gate), NAMES) == gate
