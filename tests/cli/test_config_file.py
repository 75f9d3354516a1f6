"""Options from a file and from the environment, for every command."""

from __future__ import annotations

import json
import time
import tomllib
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from rnnforecast.cli.app import app
from rnnforecast.models.registry import MODELS
from tests.cli.command import SAMPLES, TINY, Run, forked, run_here

PASSENGERS = SAMPLES / "passengers.csv"
BASE = f"data = '{PASSENGERS}'\nhorizon = 12\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without variables of ours."""
    for name in ("CONFIG", "DEBUG"):
        monkeypatch.delenv(f"RNNFORECAST_{name}", raising=False)
    return tmp_path


def configured(directory: Path, text: str, *arguments: str | Path, command: str = "train") -> Run:
    """A command, with a file of this text."""
    (directory / "job.toml").write_text(text)
    return run_here(directory, command, *arguments, "--config", "job.toml")


def resolved(directory: Path, text: str, *arguments: str | Path) -> dict[str, object]:
    """The settings that a training would have."""
    run = configured(directory, text, *arguments, "--write-config")
    assert run.code == 0, run.stderr
    table: dict[str, object] = tomllib.loads(run.stdout)["train"]
    return table


@pytest.mark.parametrize(
    ("name", "line", "variable", "flags", "values"),
    [
        ("epochs", "epochs = 3", "4", ["--epochs", "5"], [25, 3, 4, 5]),
        (
            "clip_norm",
            "clip-norm = 3",
            "inf",
            ["--clip-norm", "5.5"],
            [1.0, 3.0, float("inf"), 5.5],
        ),
        ("refit", "refit = false", "true", ["--no-refit"], [True, False, True, False]),
        ("find_lr", "find-lr = true", "0", ["--find-lr"], [False, True, False, True]),
        ("log", "log = true", "no", ["--log"], [None, True, False, True]),
        (
            "na_values",
            "na-values = ['a b', '7']",
            "c d",
            ["--na-values", "e f"],
            [None, ["a b", "7"], ["c", "d"], ["e f"]],
        ),
        ("fail_if", "fail_if = 'mase>9'", "mase>8", [], [None, ["mase>9"], ["mase>8"], ["mase>8"]]),
        (
            "levels",
            "levels = [50, 95]",
            "60",
            ["--levels", "7"],
            ["80,95", "50,95", "60", "7"],
        ),
    ],
)
def test_option_is_of_flag_then_variable_then_file_then_default_when_all_are_there(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    line: str,
    variable: str,
    flags: list[str],
    values: list[object],
) -> None:
    assert resolved(directory, BASE).get(name) == values[0]
    assert resolved(directory, f"{BASE}{line}\n").get(name) == values[1]
    monkeypatch.setenv(f"RNNFORECAST_{name.upper()}", variable)
    assert resolved(directory, f"{BASE}{line}\n").get(name) == values[2]
    assert resolved(directory, f"{BASE}{line}\n", *flags).get(name) == values[3]


def test_argument_is_of_command_line_then_variable_then_file_when_all_are_there(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.csv", "b.csv", "c d.csv"):
        (directory / name).write_text(PASSENGERS.read_text())
    run = configured(directory, "horizon = 12\n")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith("error: Missing argument 'DATA...'")
    text = "horizon = 12\ndata = 'a.csv'\n"
    assert resolved(directory, text)["data"] == "a.csv"
    monkeypatch.setenv("RNNFORECAST_DATA", "c d.csv")
    assert resolved(directory, text)["data"] == "c d.csv"
    assert resolved(directory, text, "b.csv")["data"] == "b.csv"


def test_table_of_a_command_goes_before_the_top_of_the_file(directory: Path) -> None:
    text = f"{BASE}seed = 1\nbatch_size = 7\n[train]\nseed = 2\n[backtest]\nseed = 3\nwindows = 9\n"
    found = resolved(directory, text)
    assert (found["seed"], found["batch_size"]) == (2, 7)
    assert "windows" not in found


def test_train_is_the_same_from_a_file_as_from_flags(directory: Path) -> None:
    flags = [PASSENGERS, "--horizon", "12", *TINY, "--levels", "90", "--no-log", "--out", "flags"]
    by_flags = run_here(directory, "train", *flags)
    text = f"{BASE}[train]\npreset = 'fast'\nepochs = 1\nhidden-size = 4\nlevels = [90]\n"
    by_file = configured(directory, text + "log = false\nout = 'file'")
    assert by_flags.code == by_file.code == 0
    assert by_flags.stdout == by_file.stdout
    models = [directory / name / "model.safetensors" for name in ("flags", "file")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_forecast_takes_directory_and_alias_from_a_file(directory: Path) -> None:
    train = run_here(directory, "train", PASSENGERS, "--horizon", "3", *TINY, "--out", "d e")
    assert train.code == 0, train.stderr
    text = "[forecast]\ndirectory = 'd e'\nalias = 'mine'\nformat = 'json'\n"
    run = configured(directory, text, command="forecast")
    assert run.code == 0, run.stderr
    rows = json.loads(run.stdout)
    assert len(rows) == 3
    assert "mine-lo-80" in rows[0]


def test_backtest_takes_several_models_from_an_array(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = BASE + "[backtest]\nmodels = ['gru', 'linear']\nepochs = 1\nhidden_size = 4\nrefit = 1\n"
    monkeypatch.setenv("RNNFORECAST_WINDOWS", "2")
    run = configured(directory, text, "-q", command="backtest")
    assert run.code == 0, run.stderr
    table = pd.read_csv(StringIO(run.stdout))
    assert list(table["model"][:2]) == ["gru", "linear"]
    assert set(table["windows"]) == {2}


def test_evaluate_takes_its_arguments_from_a_file_and_from_variables(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = PASSENGERS.read_text().splitlines()
    (directory / "older.csv").write_text("\n".join(rows[:-2]) + "\n")
    (directory / "newer.csv").write_text("\n".join([rows[0], *rows[-2:]]) + "\n")
    times = [row.split(",")[0] for row in rows[-2:]]
    (directory / "f.csv").write_text("month,mine\n" + "".join(f"{t},400\n" for t in times))
    typed = run_here(directory, "evaluate", "f.csv", "older.csv", "newer.csv")
    assert typed.code == 0, typed.stderr
    text = "[evaluate]\nforecasts = 'f.csv'\nactuals = ['older.csv', 'newer.csv']\n"
    assert configured(directory, text, command="evaluate") == typed
    monkeypatch.setenv("RNNFORECAST_ACTUALS", "newer.csv")
    fewer = configured(directory, text, command="evaluate")
    assert fewer == run_here(directory, "evaluate", "f.csv", "newer.csv")
    assert fewer.stdout != typed.stdout


def test_every_command_has_config_in_its_help(directory: Path) -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        run = run_here(directory, command.callback.__name__, "--help")
        assert run.code == 0
        assert "--config" in run.stdout


def test_variable_of_config_names_the_file_when_there_is_no_flag(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "job.toml").write_text("format = 'json'\n")
    monkeypatch.setenv("RNNFORECAST_CONFIG", "job.toml")
    run = run_here(directory, "models")
    assert [row["model"] for row in json.loads(run.stdout)] == list(MODELS)
    assert run_here(directory, "models", "--format", "csv").stdout.startswith("model,summary")
    (directory / "other.toml").write_text("format = 'csv'\n")
    assert run_here(directory, "models", "--config", "other.toml").stdout.startswith("model,")


def test_help_is_printed_when_the_variable_of_config_names_a_broken_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNFORECAST_CONFIG", "absent.toml")
    assert run_here(directory, "train", "--help").code == 0
    assert run_here(directory, "--version").code == 0
    assert run_here(directory, "models").code == 2


def test_json_logs_are_of_the_file_that_the_variable_names(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "job.toml").write_text("json_logs = true\n")
    monkeypatch.setenv("RNNFORECAST_CONFIG", "job.toml")
    run = run_here(directory, "train", PASSENGERS, "--horizon", "12", "--write-config")
    assert [json.loads(line)["event"] for line in run.stderr.splitlines()].count("note") == 1


def test_file_of_the_working_directory_is_not_read_when_unasked(directory: Path) -> None:
    for name in ("rnnforecast.toml", ".rnnforecast.toml", "config.toml", "pyproject.toml"):
        (directory / name).write_text("format = 'json'\n[tool.rnnforecast]\nformat = 'json'\n")
    assert run_here(directory, "models").stdout.startswith("model,summary,reference\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 1", "no option 'learning_rat'; did you mean 'learning_rate'?"),
        ("[train]\nlearning-rat = 1", "train has no option 'learning-rat'; did you mean 'learnin"),
        ("[train]\nwindows = 3", "train has no option 'windows'; look for it with --help"),
        ("[backtest]\nout = 'd'", "backtest has no option 'out'; did you mean 'output'?"),
        ("[trian]\nseed = 1", "no command 'trian'; did you mean 'train'?"),
        ("train = 1", "no option 'train'; look for it with --help"),
        ("[[train]]\nseed = 1", "no option 'train'; look for it with --help"),
        ("config = 'a.toml'", "no option 'config'"),
        ("hidden-size = 1\nhidden_size = 2", "hidden_size stands there twice; keep one of them"),
        ("'a\\nb' = 1", "no option 'a\\\\nb'; look for it with --help"),
        (f"{'k' * 70} = 1", f"no option '{'k' * 50}…'; look for it with --help"),
        ("epochs = 'x'", "epochs: "),
        ("epochs = true", "epochs: "),
        ("epochs = 2.5", "epochs: "),
        ("epochs = 0", "epochs must be at least 1, got 0"),
        ("dropout = '1,5'", "dropout: "),
        ("refit = 'perhaps'", "refit: "),
        ("refit = 12", "refit: "),
        ("model = 'gro'", "model must be one of"),
        ("model = ['gru', 'lstm']", "model must be one value, got an array"),
        ("epochs = [1, 2]", "epochs must be one value, got an array"),
        ("levels = '80;95'", "levels must be percentages such as 80,95, got '80;95'"),
        ("levels = [80, [95]]", "levels must be text, a number, true or false"),
        ("[train]\nseed = {a = 1}", "seed must be text, a number, true or false"),
        ("[train]\nfail_if = [{a = 1}]", "fail_if must be text, a number, true or false, or an"),
        (f"seed = 0x{'f' * 5000}", "seed must be text, a number, true or false"),
        ("fail_if = 'mase'", "fail-if must be"),
        ("format = 'xml'", "format must be one of table, csv, json, got 'xml'"),
        ("device = 'tpu'", "device must be one of"),
        ("seed = ", "Invalid value (at line 4, column 8); write TOML"),
        ("seed = 1\nseed = 2", "Cannot overwrite a value (at "),
        (f"seed = {'9' * 5000}", "Exceeds the limit"),
        (f"seed = {'[' * 60000}", "values nested too deeply; write TOML"),
        (f"seed = {'{a=' * 20000}", "values nested too deeply; write TOML"),
        (f"seed = '{'x' * 70000}'", "more than 65536 bytes; write TOML"),
        (f"{'a.' * 30000}a = 1", "a key of too many parts; write TOML"),
        (f"""{'"a" . ' * 10000}a = 1""", "a key of too many parts; write TOML"),
        (f"[{'a.' * 30000}a]", "a key of too many parts; write TOML"),
    ],
)
def test_program_ends_with_2_and_one_line_that_names_the_file_when_it_cannot_be_used(
    directory: Path, text: str, message: str
) -> None:
    began = time.monotonic()
    run = configured(directory, f"data = '{PASSENGERS}'\nhorizon = 12\n\n{text}\n")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: job.toml: {message}")
    assert len(run.stderr.splitlines()) == 1
    assert len(run.stderr) < 400
    assert time.monotonic() - began < 5
    assert sorted(path.name for path in directory.iterdir()) == ["job.toml"]


def test_program_ends_with_2_and_one_line_when_the_file_cannot_be_read(directory: Path) -> None:
    (directory / "latin.toml").write_bytes(b"model = '\xe9'\n")
    for name, message in {
        "absent.toml": "No such file or directory; pass another --config",
        ".": "Is a directory; pass another --config",
        "latin.toml": "bytes that are no UTF-8; write TOML, a line an option, such as horizon = 12",
        "/dev/zero": "more than 65536 bytes; write TOML, a line an option, such as horizon = 12",
    }.items():
        run = run_here(directory, "train", "--config", name)
        assert run == Run(2, "", f"error: {name}: {message}\n")


def test_file_may_begin_with_a_byte_order_mark_and_end_lines_as_windows_does(
    directory: Path,
) -> None:
    (directory / "job.toml").write_bytes(b"\xef\xbb\xbfformat = 'json'\r\n[models]\r\n")
    run = run_here(directory, "models", "--config", "job.toml")
    assert run.code == 0
    assert json.loads(run.stdout)


def test_text_of_a_date_or_a_number_is_taken_where_text_is_asked_for(directory: Path) -> None:
    found = resolved(directory, f"{BASE}out = 2024-01-31\nna_values = [7, -1.5, true]\n")
    assert (found["out"], found["na_values"]) == ("2024-01-31", ["7", "-1.5", "true"])


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EPOCHS", "x", "epochs: "),
        ("EPOCHS", "0", "epochs must be at least 1, got 0"),
        ("REFIT", "perhaps", "refit: "),
        ("CLIP_NORM", "-1", "clip_norm must be positive, got -1.0"),
        ("MODEL", "gro", "model must be one of"),
        ("DEVICE", "tpu", "device must be one of"),
    ],
)
def test_program_ends_with_2_and_names_the_variable_when_its_value_cannot_be_used(
    directory: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"RNNFORECAST_{variable}", value)
    run = run_here(directory, "train", PASSENGERS, "--horizon", "12")
    assert (run.code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: RNNFORECAST_{variable}: {message}")
    assert len(run.stderr.splitlines()) == 1
    flag = f"--{variable.lower().replace('_', '-')}"
    run = run_here(directory, "train", PASSENGERS, "--horizon", "12", flag, value)
    # Of a switch, what follows it is one more file.
    assert run.code == (3 if variable == "REFIT" else 2)
    assert "RNNFORECAST" not in run.stderr


def test_program_warns_of_a_variable_that_no_option_has(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNFORECAST_LERNING_RATE", "1")
    monkeypatch.setenv("RNNFORECAST_WINDOWS", "2")  # of another command
    monkeypatch.setenv("RNNFORECAST_FORMAT", "")  # as good as none
    run = run_here(directory, "models")
    assert run.code == 0
    assert run.stderr == (
        "warning: no option has the variable 'RNNFORECAST_LERNING_RATE'; did you mean "
        "'RNNFORECAST_LEARNING_RATE'?\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1", True), ("0", False), ("", False), (" ON", True), ("y", True), ("maybe", False)],
)
def test_variable_of_debug_shows_a_traceback_when_it_is_true(
    directory: Path, monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    monkeypatch.setenv("RNNFORECAST_DEBUG", value)
    run = run_here(directory, "train", "absent.csv", "--horizon", "3")
    assert run.code == 3
    assert ("Traceback" in run.stderr) == shown


def test_program_reads_a_pipe_when_config_names_one(directory: Path) -> None:
    run = forked(directory, "models", "--config", "/dev/stdin", stdin=b"format = 'json'")
    assert run.code == 0, run.stderr
    assert json.loads(run.stdout)
