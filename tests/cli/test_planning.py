"""`train --write-config` and `train --dry-run`: what would be done, and how it is kept."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
import tomllib
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnforecast.cli.app import app
from rnnforecast.cli.config_text import to_toml
from rnnforecast.cli.fit_options import FitOptions
from rnnforecast.config import Init, Optimisation, ScheduleName, Settings, TeacherForcing
from rnnforecast.models.distributions import HEADS
from rnnforecast.models.registry import MODELS
from tests.cli.command import SAMPLES, TINY, TINY_BATCHES, run_here

PASSENGERS = SAMPLES / "passengers.csv"
MODEL = "model.safetensors"


def test_write_config_gives_the_same_run_when_given_back(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "6", *TINY, "--clip-value", "inf", "--learning-rate", "1e-5"]
    flags += ["--levels", "60,90.5", "--seed", "3", "--init", "chrono", "--fail-if", "mase>99"]
    direct = run_here(tmp_path, "train", *flags, "--out", "direct", "-q")
    assert direct.code == 0, direct.stderr
    written = run_here(tmp_path, "train", *flags, "--out", "ein Übel \"\\'", "-q", "--write-config")
    assert (written.code, written.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["direct"]
    (tmp_path / "job.toml").write_text(written.stdout)
    again = run_here(tmp_path, "train", "--config", "job.toml")
    assert (again.code, again.stdout, again.stderr) == (0, direct.stdout, "")
    models = [tmp_path / name / MODEL for name in ("direct", "ein Übel \"\\'")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_write_config_is_what_it_reads_when_given_back(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "6", "--no-log", "--no-refit", "--na-values", "a, b"]
    written = run_here(tmp_path, "train", *flags, "--write-config")
    (tmp_path / "job.toml").write_text(written.stdout)
    again = run_here(tmp_path, "train", "--config", "job.toml", "--write-config")
    assert again == written


def test_write_config_merges_file_environment_and_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.toml").write_text(f"data = '{PASSENGERS}'\nhorizon = 3\nseed = 1\nepochs = 2")
    monkeypatch.setenv("RNNFORECAST_SEED", "5")
    run = run_here(tmp_path, "train", "--config", "job.toml", "--horizon", "4", "--write-config")
    table = tomllib.loads(run.stdout)
    assert list(table) == ["train"]
    found = [table["train"][name] for name in ("data", "horizon", "seed", "epochs", "patience")]
    assert found == [str(PASSENGERS), 4, 5, 2, 10]
    assert not {"config", "write_config", "dry_run"} & set(table["train"])


def test_write_config_tells_in_comments_what_is_settled_by_the_data(tmp_path: Path) -> None:
    run = run_here(tmp_path, "train", PASSENGERS, "--horizon", "12", "--write-config")
    lines = run.stdout.splitlines()
    for line in (
        "# season = 12  # settled by the data",
        "# hidden_size = 32  # settled by the data",
        "# num_layers = 1  # settled by the model",
        '# head = "quantile"  # settled by the model',
        "# log = true  # settled by the data",
        '# time_col = "month"  # settled by the data',
        '# target_col = ["passengers"]  # settled by the data',
        '# out = "passengers-gru"  # settled by the names of data and model',
    ):
        assert line in lines
    assert any(re.fullmatch(r"# learning_rate = \S+  # settled by the data", it) for it in lines)
    run = run_here(
        tmp_path, "train", PASSENGERS, "--horizon", "12", "--lookback", "24", "--write-config"
    )
    assert "lookback = 24" in run.stdout.splitlines()


def test_write_config_offers_a_lookback_only_when_all_members_read_it(tmp_path: Path) -> None:
    """Given back, it is what all of them read."""
    flags = ["train", PASSENGERS, "--horizon", "12", "--write-config", "--members"]
    alone, several = (run_here(tmp_path, *flags, number).stdout for number in ("1", "2"))
    assert re.search(r"^# lookback = \d+  # settled by the data$", alone, re.MULTILINE)
    assert "members = 2\n" in several and "lookback" not in several


def test_write_config_uncommented_gives_the_same_run_when_there_is_one_season(
    tmp_path: Path,
) -> None:
    """Each comment is a setting of its own: only the record of what was asked may differ."""
    flags = [PASSENGERS, "--horizon", "12", "--epochs", "1", "--members", "2"]
    written = run_here(tmp_path, "train", *flags, "--write-config").stdout
    lines = [line.removeprefix("# ") for line in written.splitlines()]
    (tmp_path / "job.toml").write_text("\n".join(lines))
    by_file = run_here(tmp_path, "train", "--config", "job.toml", "--out", "file")
    by_flags = run_here(tmp_path, "train", *flags, "--out", "flags")
    assert by_file.code == by_flags.code == 0
    tables = [(tmp_path / name / "forecasts.csv").read_bytes() for name in ("file", "flags")]
    assert tables[0] == tables[1]


def test_write_config_ends_with_2_when_a_name_is_no_unicode(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", "--out", os.fsdecode(b"a\xff")]
    run = run_here(tmp_path, "train", *flags, "--write-config", "-q")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr == "error: 'a\\udcff' is no Unicode, as TOML must be; rename it\n"


def chosen(kind: Any) -> st.SearchStrategy[str]:
    return st.sampled_from(kind.__args__)


SIZES = st.none() | st.integers(1, 2**31 - 1)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
BOUNDS = st.floats(min_value=0, exclude_min=True, allow_nan=False)
OPTIONS = st.fixed_dictionaries(
    {name: SIZES for name in ("season", "lookback", "hidden_size", "num_layers", "batch_size")}
    | {name: SIZES for name in ("segment_length", "tbptt")}
    | {name: st.integers(1, 2**31 - 1) for name in ("epochs", "patience")}
    | {
        "levels": st.sampled_from(["80,95", "50", "0.1, 99.9", "95,80"]),
        "dropout": st.floats(0, 1, exclude_max=True),
        "head": st.none() | st.sampled_from(sorted(HEADS)),
        "log": st.none() | st.booleans(),
        "init": chosen(Init),
        "optimizer": chosen(Optimisation),
        "learning_rate": st.none() | POSITIVE,
        "schedule": chosen(ScheduleName),
        "clip_norm": BOUNDS,
        "clip_value": BOUNDS,
        "clip_percentile": st.floats(0, 100, exclude_min=True),
        "teacher_forcing": chosen(TeacherForcing),
        "jitter": st.floats(0, 10),
        "nonnegative": st.none() | st.booleans(),
        "seed": st.integers(0, 2**63 - 1),
    }
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    OPTIONS,
    st.integers(1, 2**31 - 1),
    st.sampled_from(sorted(MODELS)),
    st.booleans(),
    TEXT,
    st.lists(TEXT, max_size=3),
)
def test_settings_are_equal_when_they_come_back_from_toml(
    options: dict[str, Any], horizon: int, model: str, refit: bool, data: str, texts: list[str]
) -> None:
    more = {"horizon": horizon, "model": model, "refit": refit, "data": [data], "na_values": texts}
    group = typer.main.get_command(app)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "job.toml"
        path.write_text(to_toml("train", options | more, {}), encoding="utf-8", newline="")
        parent = typer.Context(group, info_name="rnnforecast")
        command = group.commands["train"]  # type: ignore[attr-defined]
        found = command.make_context("train", ["--config", str(path)], parent=parent).params
    assert (found["data"], list(found["na_values"] or [])) == ([data], texts)
    back = FitOptions(**{name: found[name] for name in options})
    asked = FitOptions(**options).settings(horizon, model, refit=refit)
    assert back.settings(found["horizon"], found["model"], refit=found["refit"]) == asked
    assert isinstance(asked, Settings)


def planned(directory: Path, *arguments: str | Path) -> dict[str, str]:
    """The properties that --dry-run tells."""
    run = run_here(directory, "train", *arguments, "--dry-run", "--format", "csv", "-q")
    assert (run.code, run.stderr) == (0, ""), run.stderr
    rows = list(csv.reader(StringIO(run.stdout)))
    assert rows[0] == ["property", "value"]
    return {name: value for name, value in rows[1:]}


def test_dry_run_tells_what_the_run_then_does(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", *TINY, "--epochs", "2", "--out", "d"]
    found = planned(tmp_path, *flags)
    assert list(tmp_path.iterdir()) == []
    run = run_here(tmp_path, "train", *flags, "-q", "--summary", "s.json")
    assert run.code == 0, run.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    assert int(found["training windows"]) == summary["windows"]["training"]
    assert int(found["validation windows"]) == summary["windows"]["validation"]
    assert int(found["lookback"]) == summary["windows"]["lookback"]
    assert int(found["values"]) == summary["data"]["values"] == 144
    assert (found["series"], found["frequency"], found["season"]) == ("1", "month", "12")
    assert (found["model"], found["horizon"], found["device"]) == ("gru", "12", "cpu")
    files = {path.name for path in (tmp_path / found["directory"]).iterdir()}
    assert files - {".lock"} == set(found["files"].split())
    assert int(found["gradient steps at most"]) == 2 * 2 * TINY_BATCHES
    assert int(found["seconds at most"]) >= 1
    assert int(found["peak memory in MiB"]) > 100


def test_dry_run_counts_fewer_steps_when_nothing_is_refitted(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", *TINY, "--epochs", "2"]
    steps = planned(tmp_path, *flags, "--no-refit")["gradient steps at most"]
    assert steps == str(2 * TINY_BATCHES)
    searched = planned(tmp_path, *flags, "--find-lr")["gradient steps at most"]
    assert searched == str(4 * TINY_BATCHES + 100)


def test_dry_run_leaves_the_directory_as_it_is_when_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / MODEL).write_bytes(b"old")
    planned(tmp_path, PASSENGERS, "--horizon", "12", *TINY, "--out", "d")
    assert [path.name for path in tmp_path.rglob("*")] == ["d", MODEL]
    assert (tmp_path / "d" / MODEL).read_bytes() == b"old"


def test_dry_run_has_every_format(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", *TINY, "--dry-run"]
    rows = json.loads(run_here(tmp_path, "train", *flags, "--format", "json").stdout)
    assert {"property": "values", "value": 144} in rows
    table = run_here(tmp_path, "train", *flags, "--format", "table").stdout
    assert len(table.splitlines()) > len(rows)


def test_dry_run_ends_well_when_the_training_itself_would_diverge(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", "--model", "rnn-relu", "--optimizer", "sgd"]
    flags += ["--learning-rate", "1e30", "--clip-norm", "inf", "--epochs", "2"]
    assert run_here(tmp_path, "train", *flags, "--out", "d").code == 5
    assert planned(tmp_path, *flags, "--out", "e")["model"] == "rnn-relu"


def test_dry_run_seconds_are_within_the_time_limit(tmp_path: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", "--hidden-size", "4", "--epochs", "1000000"]
    open_ended = int(planned(tmp_path, *flags)["seconds at most"])
    limited = int(planned(tmp_path, *flags, "--time-limit", "30s")["seconds at most"])
    assert 30 <= limited < open_ended


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([PASSENGERS, "--dry-run", "--write-config"], 2, "dry_run cannot go with --write-config"),
        ([PASSENGERS, "--dry-run", "--fail-if", "x"], 2, "fail-if must be"),
        ([PASSENGERS, "--dry-run", "--season", "999"], 2, "season must be at most"),
        ([PASSENGERS, "--write-config", "--season", "999"], 2, "season must be at most"),
        ([PASSENGERS, "--dry-run", "--out", PASSENGERS / "d"], 2, f"{PASSENGERS} is no directory"),
        (["absent.csv", "--dry-run"], 3, "absent.csv: No such file"),
        (["absent.csv", "--write-config"], 3, "absent.csv: No such file"),
    ],
)
def test_train_ends_with_its_code_when_it_cannot_plan(
    tmp_path: Path, flags: list[str | Path], code: int, message: str
) -> None:
    run = run_here(tmp_path, "train", *flags, "--horizon", "12", "-q")
    assert (run.code, run.stdout) == (code, "")
    assert run.stderr.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []
