"""Covariates, as a user has them: in every command that reads data, and where they are absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from rnnforecast.artifact import MODEL_FILE
from rnnforecast.data import encoding
from tests.cli.command import run_here

LENGTH, HORIZON, LOOKBACK = 60, 3, 8
TINY = [
    "--preset",
    "fast",
    "--epochs",
    "2",
    "--hidden-size",
    "4",
    "--batch-size",
    "8",
    "--levels",
    "80",
]
FIT = ["--horizon", str(HORIZON), "--lookback", str(LOOKBACK), "--season", "1", "--no-log"]
COLUMNS = ["--id-col", "shop", "--target-col", "sold"]
ROLES = ["--past", "seen", "--future", "plan", "--static", "size"]


def sales(length: int = LENGTH + HORIZON) -> pd.DataFrame:
    """Two series that follow a plan, from which another column follows a step later."""
    tables = []
    for place, name in enumerate("ab"):
        rng = np.random.default_rng(place)
        plan = rng.integers(0, 3, length)
        tables.append(
            pd.DataFrame(
                {
                    "shop": name,
                    "day": pd.date_range("2024-01-01", periods=length),
                    "sold": (10 + 5 * plan + rng.normal(size=length)).round(3),
                    "seen": np.roll(plan, 1),
                    "plan": np.array(["none", "some", "much"])[plan],
                    "size": place,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


TABLE = sales()
AHEAD = TABLE.groupby("shop").cumcount() >= LENGTH


def written(place: Path, name: str, table: pd.DataFrame) -> str:
    table.to_csv(place / name, index=False)
    return name


def train(place: Path, *more: str) -> None:
    """A small model of what is known, in m/."""
    written(place, "past.csv", TABLE[~AHEAD])
    written(place, "plan.csv", TABLE.loc[AHEAD, ["shop", "day", "plan"]])
    asked = [*COLUMNS, *ROLES, *FIT, *TINY, "--out", "m"]
    run = run_here(place, "train", "past.csv", *asked, "--future-data", "plan.csv", *more)
    assert run.code == 0, run.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    train(tmp_path)
    return tmp_path


def header_of(directory: Path) -> dict[str, Any]:
    with safe_open(directory / MODEL_FILE, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["rnnforecast"])
    return header


@pytest.mark.parametrize("data", [[], ["past.csv"]], ids=["stored", "file"])
def test_forecast_names_categories_that_training_did_not_meet_when_they_are_ahead(
    data: list[str], place: Path
) -> None:
    strange = TABLE.loc[AHEAD, ["shop", "day", "plan"]].assign(plan="sale")
    written(place, "strange.csv", strange)
    run = run_here(place, "forecast", "m", *data, "--future-data", "strange.csv")
    assert run.code == 0, run.stderr
    told = "categories that training did not meet count as none: plan 'sale'"
    assert [line for line in run.stderr.splitlines() if "categories" in line] == [
        f"warning: strange.csv: {told}"
    ]
    again = run_here(place, "forecast", "m", *data, "--future-data", "plan.csv")
    assert again.code == 0 and "categories" not in again.stderr


@pytest.mark.parametrize("fill", ["mask", "interpolate"])
def test_forecast_encodes_the_window_alone_and_is_bit_equal_to_that_of_the_whole_history(
    fill: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, "--missing", fill, "--calendar")
    gaps = TABLE[~AHEAD & (TABLE.index % 11 != 7)]
    written(tmp_path, "gaps.csv", pd.concat([gaps, TABLE[AHEAD].assign(sold=np.nan)]))
    newest = gaps.groupby("shop").tail(LOOKBACK)
    written(tmp_path, "newest.csv", pd.concat([newest, TABLE[AHEAD].assign(sold=np.nan)]))
    encoded: list[int] = []
    encode = encoding.encode

    def counting(panel: Any, *arguments: Any) -> Any:
        encoded.append(int(panel.lengths.max()))
        return encode(panel, *arguments)

    monkeypatch.setattr("rnnforecast.workflows.covariates.encode", counting)
    run = run_here(tmp_path, "forecast", "m", "gaps.csv")
    assert run.code == 0, run.stderr
    assert encoded == [LOOKBACK]
    monkeypatch.setattr("rnnforecast.data.panel.Panel.tail", lambda panel, length: panel)
    whole = run_here(tmp_path, "forecast", "m", "gaps.csv")
    assert encoded == [LOOKBACK, LENGTH]
    assert whole.stdout == run.stdout and len(run.stdout.splitlines()) == 1 + 2 * HORIZON


def longer(place: Path) -> str:
    """Twelve newer rows of each series, and the plan after these."""
    table = sales(LENGTH + 12 + HORIZON)
    later = table.groupby("shop").cumcount() >= LENGTH + 12
    return written(place, "longer.csv", table.assign(sold=table["sold"].mask(later)))


def test_update_and_forecast_and_verify_agree_when_a_model_has_covariates(place: Path) -> None:
    before = header_of(place / "m")
    run = run_here(place, "update", "m", longer(place), "--no-guard")
    assert run.code == 0, run.stderr
    assert pd.read_csv(StringIO(run.stdout))["model"][0] == "gru"
    after = header_of(place / "m")
    assert after["config"]["encodings"] == before["config"]["encodings"]
    table = pd.read_csv(place / "m" / "forecasts.csv")
    assert table["day"].tolist() == ["2024-03-13", "2024-03-14", "2024-03-15"] * 2
    forecast = run_here(place, "forecast", "m", "longer.csv")
    assert forecast.stdout == (place / "m" / "forecasts.csv").read_text()
    assert run_here(place, "forecast", "m").stdout == forecast.stdout
    assert run_here(place, "verify", "m").code == 0


def test_update_learns_what_its_plan_file_tells_when_that_is_passed_beside_it(place: Path) -> None:
    table = pd.read_csv(place / longer(place))
    known = table["sold"].notna()
    written(place, "known.csv", table[known])
    written(place, "ahead.csv", table.loc[~known, ["shop", "day", "plan"]])
    flags = ["--no-guard", "--future-data", "ahead.csv"]
    run = run_here(place, "update", "m", "known.csv", *flags)
    assert run.code == 0, run.stderr
    apart = (place / "m" / "forecasts.csv").read_text()
    assert len(apart.splitlines()) == 1 + 2 * HORIZON
    assert run_here(place, "forecast", "m", "longer.csv").stdout == apart


@pytest.mark.parametrize("data", [[], ["longer.csv"]], ids=["stored", "file"])
def test_diagnose_tells_of_gradients_when_a_model_has_covariates(
    data: list[str], place: Path
) -> None:
    longer(place)
    run = run_here(place, "diagnose", "m", *data, "--format", "csv")
    assert run.code == 0, run.stderr
    values = pd.read_csv(StringIO(run.stdout)).set_index("measure")["value"]
    gradient = float(values["newest gradient"])
    assert np.isfinite(gradient) and gradient > 0


@pytest.mark.parametrize("column", ["seen", "plan", "size"])
@pytest.mark.parametrize("command", ["forecast", "update", "diagnose"])
def test_commands_end_with_3_and_name_the_column_when_newer_data_lack_it(
    command: str, column: str, place: Path
) -> None:
    table = pd.read_csv(place / longer(place)).drop(columns=column)
    written(place, "lacking.csv", table)
    run = run_here(place, command, "m", "lacking.csv")
    assert (run.code, run.stdout) == (3, "")
    error = run.stderr.splitlines()[-1]
    assert error.startswith(f"error: lacking.csv: there is no column '{column}'")


SEES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "target": lambda table: table.assign(sold=3 * table["sold"] + 7),
    "past": lambda table: table.assign(seen=50 - table["seen"]),
    "future numbers": lambda table: table.assign(price=table["price"] + 90),
    "categories": lambda table: table.assign(plan="other"),
}


@pytest.mark.parametrize("name", SEES)
def test_train_learns_the_same_when_what_is_held_out_is_changed(name: str, tmp_path: Path) -> None:
    """Without a refit, weights, encodings and what is typical know what lies before the cutoff."""
    table = TABLE[~AHEAD].assign(price=np.arange(int((~AHEAD).sum())) % 5)
    held_out = table.groupby("shop").cumcount() >= LENGTH - HORIZON
    other = table.where(~held_out, SEES[name](table))
    stored, scored = [], []
    for directory, content in (("one", table), ("other", other)):
        written(tmp_path, "t.csv", content)
        asked = [*COLUMNS, *ROLES, "--future", "price", *FIT, *TINY, "--no-refit"]
        run = run_here(tmp_path, "train", "t.csv", *asked, "--out", directory)
        assert run.code == 0, run.stderr
        header = header_of(tmp_path / directory)
        with safe_open(tmp_path / directory / MODEL_FILE, framework="np") as file:
            names = [key for key in file.keys() if not key.startswith(("lookback.", "intervals."))]
            weights = {key: file.get_tensor(key).tobytes() for key in names}
        parts = header["config"]
        stored.append((weights, parts["encodings"], parts["model"], parts["windows"]))
        history = header["record"]["history"]
        scored.append(header["record"]["metrics"])
        stored.append((history,))
    assert stored[0] == stored[2] and stored[1] == stored[3]
    assert stored[0][2]["typical"] != {"share": 0.0, "spread": 1.0, "lasting": 0.0}
    if name == "past":
        assert scored[0] == scored[1]
    if name == "target":
        assert scored[0] != scored[1]
