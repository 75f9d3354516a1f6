"""`rnnforecast verify` finds what is not whole in a run directory, and says what."""

from __future__ import annotations

import csv
import io
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnforecast.artifact import MODEL_FILE
from rnnforecast.signals import Interrupted
from rnnforecast.workflows.checkpoints import Checkpoints
from tests.cli.command import SAMPLES, TINY, run_here
from tests.model_files import packed, unpacked

CHECKS = ["file", "schema", "digest", "content", "forecasts.csv", "metrics.csv", "history.csv"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory."""
    directory = tmp_path_factory.mktemp("trained")
    words = ("--horizon", "3", "--out", "model", *TINY)
    assert run_here(directory, "train", SAMPLES / "passengers.csv", *words).code == 0
    return directory / "model"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def verified(directory: Path) -> tuple[int, dict[str, tuple[str, str]], str]:
    """The exit code, the table by check, and standard error."""
    done = run_here(directory.parent, "verify", directory)
    header, *rows = csv.reader(io.StringIO(done.stdout))
    assert header == ["check", "result", "detail"]
    assert [row[0] for row in rows] == [*CHECKS, "temporary files", "checkpoint"]
    return done.code, {check: (result, detail) for check, result, detail in rows}, done.stderr


def test_verify_passes_every_check_when_the_run_is_whole(run: Path) -> None:
    code, table, errors = verified(run)
    assert (code, errors) == (0, "")
    assert {result for result, _ in table.values()} == {"ok", "note"}
    assert table["forecasts.csv"][1] == "equal to the byte to what the model forecasts now"
    assert table["checkpoint"] == ("note", "there is none")


def test_verify_notes_of_what_run_a_checkpoint_is_and_how_far_it_came(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Checkpoints) -> None:
        raise Interrupted(signal.SIGTERM)

    words = ("--horizon", "3", "--out", "run", *TINY)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write_when_due", stop)
        assert run_here(run.parent, "train", SAMPLES / "passengers.csv", *words).code == 143
    code, table, _ = verified(run)
    there = "there is one, of an ended train, in fit 1, after epoch 0, step 0"
    assert (code, table["checkpoint"]) == (0, ("note", there))


def test_verify_notes_a_checkpoint_that_cannot_be_read(run: Path) -> None:
    path = run / "checkpoint.safetensors"
    path.write_bytes(b"")
    code, table, _ = verified(run)
    there = f"there is one of no use: {path}: not a checkpoint this version can read (it is cut"
    assert (code, table["checkpoint"][0]) == (0, "note")
    assert table["checkpoint"][1].startswith(there)


@pytest.mark.parametrize(
    "check, path, spoil",
    [
        ("forecasts.csv", "forecasts.csv", lambda text: text.replace("1961-01-01", "1961-01-02")),
        ("forecasts.csv", "forecasts.csv", lambda text: text.replace("gru-lo-80", "low")),
        ("forecasts.csv", "forecasts.csv", lambda text: text.replace("passengers,", "other,")),
        ("forecasts.csv", "forecasts.csv", lambda text: text[: len(text) // 2]),
        ("forecasts.csv", "forecasts.csv", lambda text: ""),
        ("metrics.csv", "metrics.csv", lambda text: text.replace("gru", "lstm")),
        ("metrics.csv", "metrics.csv", lambda text: text.replace("mase", "rmse2")),
        ("metrics.csv", "metrics.csv", lambda text: text.replace(".", ".1")),
        ("history.csv", "history.csv", lambda text: text.replace("\n1,", "\n2,")),
        ("history.csv", "history.csv", lambda text: text + text.splitlines()[1] + "\n"),
    ],
)
def test_verify_fails_the_table_that_was_changed(
    check: str, path: str, spoil: Callable[[str], str], run: Path
) -> None:
    before = (run / path).read_text()
    assert spoil(before) != before
    (run / path).write_text(spoil(before))
    code, table, errors = verified(run)
    assert code == 4
    assert {name for name, (result, _) in table.items() if result == "failed"} == {check}
    assert errors == f"error: {run}: failed: {check}; restore a copy or train again\n"


@pytest.mark.parametrize("name", ["forecasts.csv", "metrics.csv", "history.csv"])
def test_verify_fails_the_table_that_is_missing(name: str, run: Path) -> None:
    (run / name).unlink()
    code, table, _ = verified(run)
    assert (code, table[name]) == (4, ("failed", "No such file or directory"))


@pytest.mark.parametrize("share, result", [(1e-6, "ok"), (1e-2, "failed")])
def test_verify_tells_another_machine_from_another_model_when_forecasts_differ(
    share: float, result: str, run: Path
) -> None:
    path = run / "forecasts.csv"
    with path.open() as file:
        header, *rows = csv.reader(file)
    changed = [[*row[:2], *(repr(float(cell) * (1 + share)) for cell in row[2:])] for row in rows]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *changed])
    code, table, _ = verified(run)
    assert (code, table["forecasts.csv"][0]) == (0 if result == "ok" else 4, result)
    if result == "ok":
        assert "equal within 0.0001" in table["forecasts.csv"][1]


def test_verify_fails_what_is_left_of_a_killed_run(run: Path) -> None:
    (run / ".model.safetensors.a1b2c3d4.tmp").write_bytes(b"half")
    code, table, _ = verified(run)
    assert code == 4
    assert table["temporary files"][0] == "failed"
    assert table["temporary files"][1].startswith("1 left by a run that was killed")


@pytest.mark.parametrize(
    "place, failed", [(lambda size: 9, "file"), (lambda size: size - 1, "digest")]
)
def test_verify_skips_the_tables_when_the_model_is_damaged(
    place: Callable[[int], int], failed: str, run: Path
) -> None:
    content = bytearray((run / MODEL_FILE).read_bytes())
    content[place(len(content))] ^= 1
    (run / MODEL_FILE).write_bytes(content)
    done = run_here(run.parent, "verify", run)
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(done.stdout))}
    assert done.code == 4
    assert rows[failed] == "failed"
    assert {rows[name] for name in CHECKS[4:]} == {"skipped"}
    assert done.stderr.startswith(f"error: {run}: failed: {failed}; ")


@pytest.mark.parametrize(
    "name, value, failed", [("schema_version", 3, "schema"), ("ids", [], "content")]
)
def test_verify_names_the_stage_when_a_signed_model_is_of_no_use(
    name: str, value: object, failed: str, run: Path
) -> None:
    header, tensors = unpacked(run / MODEL_FILE)
    header[name] = value
    (run / MODEL_FILE).write_bytes(packed(header, tensors))
    done = run_here(run.parent, "verify", run)
    rows = [row[:2] for row in csv.reader(io.StringIO(done.stdout))]
    assert done.code == 4
    assert [failed, "failed"] in rows


def test_verify_fails_when_there_is_no_model(tmp_path: Path) -> None:
    done = run_here(tmp_path, "verify", tmp_path / "absent")
    assert (done.code, done.stdout) == (4, "")
    assert "no such model; run 'rnnforecast train'" in done.stderr
