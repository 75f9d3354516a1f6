"""Nights of the cron recipe: growing data, broken data, a model that is too bad.

With --full they run under a cron daemon, a minute each; else they are started one after the other,
and a daemon whose clock runs fast starts one more.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests.recipes.blocks import JOB, block, need, write_program, write_sales
from tests.recipes.daemon import cron_daemon, need_namespaces, wait_for_code

pytestmark = pytest.mark.slow

BROKEN = "south,2025-02-31,many\n"


@dataclass(frozen=True)
class Night:
    """What comes of sales of so many days, whose last 28 are multiplied by `jump`."""

    days: int
    code: int = 0
    jump: float = 1.0
    end: str = ""


NIGHTS = (
    Night(days=400),
    Night(days=401, code=3, end=BROKEN),
    Night(days=402, code=6, jump=5.0),
    Night(days=403),
)
MORE_NIGHTS = (Night(days=404), Night(days=405, code=6, jump=5.0), Night(days=406))


@pytest.fixture
def script(folder: Path) -> Path:
    path = folder / "nightly.sh"
    path.write_text(block("nightly.sh", folder))
    path.chmod(0o755)
    return path


def write_crontab(folder: Path, schedule: str = "30 2 * * *") -> Path:
    """The recipe's line, its exit code noted, with the settings of these tests before it."""
    line = block("crontab -e", folder).replace("30 2 * * *", schedule).rstrip("\n")
    settings = "".join(f"{name}={value}\n" for name, value in JOB.items() if name != "PATH")
    path = folder / "crontab"
    path.write_text(f"{settings}{line}; echo $? >> {folder}/codes\n")
    return path


@pytest.fixture
def run_night(script: Path, trials: Callable[[int, int], int]) -> Iterator[Callable[[], int]]:
    """Run the script once and get its exit code: at once, or as the daemon's clock says."""
    if trials(0, 1):
        need("cron", "unshare", "setpriv")
        need_namespaces()
        ended = itertools.count(1)
        with cron_daemon(write_crontab(script.parent, schedule="* * * * *")) as daemon:
            yield lambda: wait_for_code(daemon, script.parent / "codes", next(ended))
    else:
        yield lambda: subprocess.run([script], env=JOB, cwd="/").returncode


def contents(folder: Path) -> dict[str, bytes]:
    """All that a reader of forecasts or a later night may read."""
    kept = [folder / "forecasts.csv", *(folder / "model").iterdir()]
    return {path.name: path.read_bytes() for path in kept if path.exists()}


def mails(folder: Path) -> str:
    path = folder / "mails"
    return path.read_text() if path.exists() else ""


def test_nightly_goes_on_when_nights_between_are_broken_or_gated(
    script: Path, run_night: Callable[[], int], trials: Callable[[int, int], int]
) -> None:
    folder = script.parent
    nights = (*NIGHTS, *MORE_NIGHTS[: trials(0, len(MORE_NIGHTS))])
    before: dict[str, bytes] = {}
    for night in nights:
        write_sales(folder, night.days, jump=night.jump, end=night.end)
        told = mails(folder)
        assert run_night() == night.code, (folder / "nightly.log").read_text()
        mail = mails(folder).removeprefix(told)
        if night.code:
            check_failed(folder, night, mail, before)
        else:
            assert mail == ""
            check_forecasts(folder, night.days)
            assert not before or before["forecasts.csv"] != contents(folder)["forecasts.csv"]
        before = contents(folder)
    lines = (folder / "nightly.log").read_text().splitlines()
    assert all(json.loads(line)["message"] for line in lines)


def check_failed(folder: Path, night: Night, mail: str, before: dict[str, bytes]) -> None:
    """Nothing has changed, and the mail says why."""
    subject = {3: "sales.csv is broken", 6: "the model is too bad on the newest days"}[night.code]
    reason = {3: "'many' is not a number", 6: "mase>1"}[night.code]
    assert mail.startswith(f"-s rnnforecast: {subject} root\n")
    error = json.loads(mail.splitlines()[-1])
    assert error["level"] == "error"
    assert reason in error["message"]
    assert contents(folder) == before


def check_forecasts(folder: Path, days: int) -> None:
    """They are of the 28 days after the last of the data, and nothing is left of their making."""
    dates = pd.read_csv(folder / "forecasts.csv", parse_dates=["ds"])["ds"]
    expected = pd.date_range("2024-01-01", periods=days + 28)[days:]
    assert dates.tolist() == [*expected, *expected]
    files = {path.name for path in folder.iterdir()} - {"crontab", "codes", "mails"}
    assert files == {".venv", "nightly.sh", "nightly.log", "sales.csv", "model", "forecasts.csv"}


def test_crontab_starts_the_script_when_it_is_half_past_two(script: Path) -> None:
    need("cron", "unshare", "setpriv", "faketime")
    need_namespaces()
    folder = script.parent
    write_program(folder, "rnnforecast", "exit 3")
    clock = ["faketime", "-f", "@2026-03-01 02:28:00 x10"]  # a minute takes six seconds
    with cron_daemon(write_crontab(folder), clock) as daemon:
        assert wait_for_code(daemon, folder / "codes", 1) == 3
    assert mails(folder).startswith("-s rnnforecast: sales.csv is broken root\n")


@pytest.mark.parametrize(
    ("code", "subject"),
    [
        (0, None),
        (3, "sales.csv is broken"),
        (4, "the model file is broken: rnnforecast verify model"),
        (5, "training diverged"),
        (6, "the model is too bad on the newest days"),
        (75, "last night's run has not ended"),
        (143, "exit code 143"),
    ],
)
def test_nightly_alerts_when_the_program_ends_with_any_code(
    script: Path, code: int, subject: str | None
) -> None:
    folder = script.parent
    write_program(folder, "rnnforecast", f"exit {code}")
    assert subprocess.run([script], env=JOB).returncode == code
    assert mails(folder) == ("" if subject is None else f"-s rnnforecast: {subject} root\n")


def test_logrotate_keeps_the_last_log_plain_when_it_rotates(folder: Path) -> None:
    need("logrotate")
    stanza = folder / "stanza"
    stanza.write_text(block("/etc/logrotate.d/rnnforecast", folder))
    stanza.chmod(0o644)
    for text in ("first", "second"):
        (folder / "nightly.log").write_text(text)
        command = ["logrotate", "--force", "--state", folder / "state", stanza]
        run = subprocess.run(command, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, "")
    logs = sorted(path.name for path in folder.glob("nightly.log*"))
    assert logs == ["nightly.log.1", "nightly.log.2.gz"]
    assert (folder / "nightly.log.1").read_text() == "second"
