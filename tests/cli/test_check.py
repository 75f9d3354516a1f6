"""check, as a user runs it: what it tells of sound files, in which form, and what it suggests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnforecast.cli import check as command
from tests.cli.command import SAMPLES, TINY, forked, rnnforecast, run_here

DAYS = pd.date_range("2020-01-24", periods=70)
WAVE = [50 + 10 * np.sin(2 * np.pi * k / 7) + k / 9 for k in range(300)]


def long(days: pd.DatetimeIndex, form: str = "%Y-%m-%d", mark: str = ".") -> str:
    separator = "," if mark == "." else ";"
    rows = [
        f"{name}{separator}{day:{form}}{separator}" + f"{y:.2f}".replace(".", mark)
        for name in "ab"
        for day, y in zip(days, WAVE, strict=False)
    ]
    return "\n".join([separator.join(("unique_id", "ds", "y")), *rows]) + "\n"


PLAIN = long(DAYS)


def told(directory: Path, content: str | bytes, *options: str, code: int = 0) -> dict[str, Any]:
    """What check tells of a file data.csv in JSON."""
    data = content if isinstance(content, bytes) else content.encode()
    (directory / "data.csv").write_bytes(data)
    run = run_here(directory, "check", "data.csv", "--format", "json", *options)
    assert run.code == code, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def problems(found: dict[str, Any]) -> str:
    return "\n".join(f"{f['problem']}; {f['remedy']}" for f in found["findings"])


def test_check_describes_series_when_the_file_is_sound(tmp_path: Path) -> None:
    found = told(tmp_path, PLAIN)
    expected = {
        "form": "long",
        "rows": 140,
        "series": 2,
        "shortest series": 70,
        "median length": 70,
        "longest series": 70,
        "first time": "2020-01-24",
        "last time": "2020-04-02",
        "frequency": "day",
        "season": "7 steps",
        "yearly seasonality": "none",
        "missing share": 0,
        "zeros share": 0,
        "trend": "rising in 2, falling in 0 of 2 series",
    }
    assert {name: found["facts"][name] for name in expected} == expected
    assert found["suggestion"] == "rnnforecast train data.csv --horizon 14"
    assert problems(found) == "series 'b' repeats series 'a'; remove one of the two"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("passengers", {"frequency": "month", "season": "12 steps", "trend": "rising"}),
        ("demand", {"frequency": "hour", "season": "24 steps", "series": 3}),
        ("population", {"frequency": "step", "season": "none", "series": 24}),
        ("stocks", {"frequency": "business day", "series": 4}),
    ],
)
def test_check_describes_the_samples_as_they_are(
    sample: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    found = told(tmp_path, (SAMPLES / f"{sample}.csv").read_bytes())
    assert {name: found["facts"][name] for name in expected} == expected
    assert not [f for f in found["findings"] if f["severity"] == "error"]


@pytest.mark.parametrize(("growth", "trend"), [(1.0, "rising"), (-1.0, "falling"), (0.0, "none")])
def test_check_sees_a_trend_of_few_seasons(growth: float, trend: str, tmp_path: Path) -> None:
    month = np.arange(48)
    noise = np.random.default_rng(0).normal(size=48)
    values = 200 + growth * month + 20 * np.sin(2 * np.pi * month / 12) + noise
    times = pd.date_range("2020-01-01", periods=48, freq="MS")
    content = pd.DataFrame({"ds": times, "y": values}).to_csv(index=False).encode()
    assert told(tmp_path, content)["facts"]["trend"] == trend


def test_check_prints_one_table_when_it_is_csv(tmp_path: Path) -> None:
    rows = PLAIN.splitlines()
    rows[8] = "a,2020-01-31,?"
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    run = run_here(tmp_path, "check", "data.csv")
    table = pd.read_csv(StringIO(run.stdout))
    assert run.code == 3
    assert tuple(table.columns) == command.COLUMNS
    assert set(table["kind"]) == {"fact", "error", "doubt", "suggestion"}
    error = table[table["kind"] == "error"].iloc[0]
    assert (error["line"], error["column"], error["what"]) == (9, "y", "'?' is not a number")
    assert run.stderr.splitlines()[-1].startswith("error: data.csv:")


def test_check_prints_facts_and_findings_apart_when_it_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(PLAIN)
    run = run_here(tmp_path, "check", "data.csv", "--format", "table")
    assert "property" in run.stdout and "repeats series 'a'" in " ".join(run.stdout.split())
    assert "to train: rnnforecast train data.csv --horizon 14" in run.stderr


@pytest.mark.parametrize("options", [["--verbose"], ["--verbose", "--json-logs"]])
def test_check_prints_what_it_found_alone_when_every_event_is_told(
    tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "data.csv").write_text(PLAIN)
    run = run_here(tmp_path, "check", "data.csv", "--format", "json", *options)
    assert json.loads(run.stdout).keys() == {"facts", "findings", "suggestion"}
    assert run.stderr


def test_check_reads_standard_input_when_data_is_a_dash() -> None:
    run = rnnforecast("check", "-", "--format", "json", stdin=PLAIN.encode())
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["facts"]["series"] == 2
    assert found["suggestion"] == "rnnforecast train - --horizon 14"


IRREGULAR = "unique_id,ds,y\n" + "".join(
    f"s,{DAYS[0] + pd.Timedelta(minutes=5 * k + (0, 1, 0, 2)[k % 4])},{y:.2f}\n"
    for k, y in enumerate(WAVE)
)


def one(times: pd.DatetimeIndex, columns: int = 1) -> str:
    """Columns of series beside local times, without an id."""
    names = [f"y{place}" for place in range(columns)]
    rows = [
        ",".join([f"{time:%Y-%m-%d %H:%M}", *[f"{WAVE[k % 300] + k / 50:.2f}"] * columns])
        for k, time in enumerate(times)
    ]
    return "\n".join([",".join(["ds", *names]), *rows]) + "\n"


SKIPPED = pd.date_range("2020-03-20", periods=250, freq="h", tz="Europe/Paris")
YEAR = pd.date_range("2019-10-20", periods=24 * 200, freq="h", tz="America/New_York")
DOUBLED = pd.date_range("2020-10-20", periods=250, freq="h", tz="Europe/Paris")
SUGGESTED: dict[str, tuple[str | bytes, int, str]] = {
    "sound": (PLAIN, 0, ""),
    "decimal commas": (long(DAYS, mark=","), 0, ""),
    "words for missing values": (PLAIN.replace(",57.93\n", ",closed\n"), 3, "--na-values closed"),
    "irregular times": (IRREGULAR, 3, "--resample 5min"),
    "Windows text": (PLAIN.replace("\nb,", "\né,").encode("latin-1"), 3, "--encoding cp1252"),
    "day or month first": (long(DAYS[8:20], "%d/%m/%Y"), 3, "--time-format %d/%m/%Y"),
    "two columns that may be ids": (
        PLAIN.replace("\na,", "\na,x,")
        .replace("\nb,", "\nb,z,")
        .replace("unique_id", "shop,region"),
        3,
        "--id-col shop",
    ),
    "a doubled hour": (long(DOUBLED, "%Y-%m-%d %H:%M"), 3, "--time-zone Europe/Paris"),
    "a doubled hour of one series": (one(DOUBLED), 3, "--time-zone Europe/Paris"),
    "a doubled hour of a wide table": (one(DOUBLED, 2), 3, "--time-zone Europe/Paris"),
    "a doubled and a skipped hour": (one(YEAR), 3, "--time-zone America/New_York"),
    "a skipped hour": (one(SKIPPED), 0, "--time-zone Europe/Paris"),
    "an empty wide column": (
        "ds,a,b,c\n"
        + "".join(f"{d:%Y-%m-%d},{y},,{y + 1}\n" for d, y in zip(DAYS, WAVE, strict=False)),
        0,
        "--horizon 14",
    ),
}


@pytest.mark.parametrize("name", SUGGESTED)
def test_suggestion_trains_when_it_is_pasted(name: str, tmp_path: Path) -> None:
    content, code, flags = SUGGESTED[name]
    found = told(tmp_path, content, code=code)
    words = shlex.split(found["suggestion"])
    assert flags in " ".join(words) and words[:2] == ["rnnforecast", "train"]
    run = run_here(tmp_path, *words[1:], *TINY)
    assert run.code == 0, run.stderr


def test_suggestion_has_the_season_when_training_would_not_see_it(tmp_path: Path) -> None:
    """Of nineteen months, sixteen are left to training, two fewer than it can tell a year by."""
    months = pd.date_range("2022-01-01", periods=19, freq="MS").strftime("%Y-%m-%d")
    values = 100 + 30 * np.sin(np.arange(19) * np.pi / 6) + 0.1 * np.arange(19)
    rows = [f"{month},{value:.1f}" for month, value in zip(months, values, strict=True)]
    found = told(tmp_path, "\n".join(["ds,y", *rows]) + "\n")
    words = shlex.split(found["suggestion"])
    assert words[-2:] == ["--season", "12"]
    run = run_here(tmp_path, *words[1:], *TINY)
    assert run.code == 0 and "no season" not in run.stderr, run.stderr
    assert "--season" not in told(tmp_path, PLAIN)["suggestion"]


def test_suggestion_is_without_a_zone_when_the_zone_settles_nothing(tmp_path: Path) -> None:
    """The rows of two nights lack the hour at which clocks are set forward, of different zones."""
    times = SKIPPED.strftime("%Y-%m-%d %H:%M").tolist()
    rows = one(SKIPPED).splitlines()
    named = told(tmp_path, "\n".join([*rows, f"{times[3]},5"]) + "\n", code=3)
    assert "pass --time-zone Europe/Paris" in problems(named)
    assert named["suggestion"] is None
    asked = told(tmp_path, one(SKIPPED), "--time-zone", "Europe/Paris")
    assert asked["suggestion"].count("--time-zone") == 1


def with_plans(directory: Path) -> list[str]:
    """Files of a promotion ahead and of the size of each series; the options that read them."""
    ahead = pd.date_range(DAYS[-1], periods=15)[1:]
    plans = [f"{name},{day:%Y-%m-%d},{day.day % 2}" for name in "ab" for day in (*DAYS, *ahead)]
    (directory / "plan.csv").write_text("\n".join(["unique_id,ds,promotion", *plans]) + "\n")
    (directory / "shops.csv").write_text("unique_id,size\na,3\nb,5\n")
    files = ["--future-data", "plan.csv", "--static-data", "shops.csv"]
    return ["--future", "promotion", "--static", "size", *files]


def test_suggestion_trains_with_the_files_beside_data_when_they_are_passed(tmp_path: Path) -> None:
    options = with_plans(tmp_path)
    found = told(tmp_path, PLAIN, *options)
    words = shlex.split(found["suggestion"])
    assert set(options) <= set(words)
    run = run_here(tmp_path, *words[1:], *TINY)
    assert run.code == 0, run.stderr


def test_check_names_each_covariate_that_is_in_no_table(tmp_path: Path) -> None:
    options = with_plans(tmp_path)
    found = told(tmp_path, PLAIN, *options, "--future", "none", "--static", "never", code=3)
    errors = [f for f in found["findings"] if f["severity"] == "error"]
    assert [f["column"] for f in errors] == ["never", "none"]
    assert all("there is no column" in f["problem"] for f in errors)
    assert all("--future-data" in f["remedy"] for f in errors)
    assert found["suggestion"] is None
    bare = told(tmp_path, PLAIN, *options[:4], code=3)
    assert {f["column"] for f in bare["findings"]} >= {"promotion", "size"}


@pytest.mark.parametrize(
    ("file", "text", "line", "problem"),
    [
        ("plan.csv", "unique_id,ds,promotion\na,2020-01-24,1\na,2020-01-24,2\n", 3, "twice"),
        ("shops.csv", "unique_id,size\na,3\na,5\n", 3, "twice"),
        ("shops.csv", "unique_id,area\na,3\nb,5\n", None, "none of the static columns"),
        ("plan.csv", None, None, ""),
    ],
)
def test_check_names_the_line_when_a_file_beside_data_has_a_fault(
    file: str, text: str | None, line: int | None, problem: str, tmp_path: Path
) -> None:
    options = with_plans(tmp_path)
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(text)
    found = told(tmp_path, PLAIN, *options, code=3)
    errors = [f for f in found["findings"] if f["severity"] == "error"]
    assert [(f["file"], f["line"]) for f in errors] == [(file, line)]
    assert problem in errors[0]["problem"] and found["suggestion"] is None
    assert "day" in found["facts"]["frequency"]


def test_check_doubts_rows_of_other_series_when_a_file_beside_data_has_some(
    tmp_path: Path,
) -> None:
    options = with_plans(tmp_path)
    (tmp_path / "shops.csv").write_text("unique_id,size\na,3\nb,5\nc,7\n")
    found = told(tmp_path, PLAIN, *options)
    doubts = [f["problem"] for f in found["findings"] if f["file"] == "shops.csv"]
    assert len(doubts) == 1 and "1 rows are of series that the data have no value of" in doubts[0]


def test_suggestion_is_quoted_for_the_shell_when_names_need_it(tmp_path: Path) -> None:
    (tmp_path / "my data.csv").write_text(
        PLAIN.replace("unique_id", "the shop").replace("y\n", "y $\n", 1)
    )
    run = run_here(tmp_path, "check", "my data.csv", "--format", "json", "--id-col", "the shop")
    words = shlex.split(json.loads(run.stdout)["suggestion"])
    done = forked(tmp_path, *words[1:], *TINY)
    assert words[2] == "my data.csv" and "the shop" in words
    assert done.code == 0, done.stderr


def test_check_gives_no_command_when_the_file_must_be_corrected(tmp_path: Path) -> None:
    found = told(tmp_path, PLAIN + PLAIN.splitlines()[1] + "\n", code=3)
    assert found["suggestion"] is None and found["facts"]["series"] == 2


def test_check_ends_with_3_when_the_horizon_is_longer_than_all_series(tmp_path: Path) -> None:
    found = told(tmp_path, PLAIN, "--horizon", "500", code=3)
    assert found["suggestion"] is None
    assert found["findings"][0]["severity"] == "error"


def test_train_says_why_and_gives_the_flag_when_times_are_irregular(tmp_path: Path) -> None:
    (tmp_path / "sensor.csv").write_text(IRREGULAR)
    run = run_here(tmp_path, "train", "sensor.csv", "--horizon", "3", *TINY)
    assert run.code == 3
    assert run.stderr.splitlines()[-1] == (
        "error: sensor.csv: series 's': the rows come every 3 to 7 minutes (most often 4 minutes); "
        "pass --resample 5min"
    )


COLUMNS: dict[str, tuple[str, Callable[[int], str], str]] = {
    "one value a series": ("store", lambda k: "x" if k < 70 else "z", "--static store"),
    "a name of what is planned": ("promotion", lambda k: f"{k % 2}", "--future promotion"),
    "numbers": ("visitors", lambda k: f"{k * k % 13 + 0.5}", "--past visitors"),
    "texts that all differ": ("note", lambda k: f"note {k}", "leave it unused"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_check_says_how_to_use_a_column_when_it_is_not_used(name: str, tmp_path: Path) -> None:
    column, cell, flag = COLUMNS[name]
    header, *rows = PLAIN.splitlines()
    text = "\n".join([f"{header},{column}", *(f"{row},{cell(k)}" for k, row in enumerate(rows))])
    found = told(tmp_path, text + "\n")
    unused = [f for f in found["findings"] if f["column"] == column]
    assert len(unused) == 1 and flag in unused[0]["remedy"]


def test_check_names_covariates_when_a_wide_table_holds_them_beside_a_target(
    tmp_path: Path,
) -> None:
    rows = [
        f"{d:%Y-%m-%d},{k % 7},{y:.2f}" for k, (d, y) in enumerate(zip(DAYS, WAVE, strict=False))
    ]
    found = told(tmp_path, "\n".join(["date,weekday,users", *rows]) + "\n")
    assert "pass --target-col users --future weekday" in problems(found)


OFFSETS = "unique_id,ds,y\n" + "".join(
    f"a,{time.isoformat()},{value:.2f}\n" for time, value in zip(DOUBLED, WAVE, strict=False)
)


def test_check_asks_for_a_zone_when_offsets_vary(tmp_path: Path) -> None:
    found = told(tmp_path, OFFSETS)
    assert "offsets from UTC that vary" in problems(found) and "--time-zone" in problems(found)


def test_check_says_so_when_offsets_are_those_of_no_zone(tmp_path: Path) -> None:
    rows = [
        f"{time:%Y-%m-%dT%H:%M}+0{place % 2 + 1}:00,{WAVE[place]}"
        for place, time in enumerate(pd.date_range("2020-01-01", periods=200, freq="3h"))
    ]
    remedies = [each["remedy"] for each in told(tmp_path, "\n".join(["ds,y", *rows]))["findings"]]
    assert any("they are those of no zone: correct them" in remedy for remedy in remedies)


@pytest.mark.parametrize("table", [one(SKIPPED), OFFSETS], ids=["a skipped hour", "offsets"])
def test_suggestion_has_the_zone_when_standard_input_is_checked(table: str, tmp_path: Path) -> None:
    words = shlex.split(told(tmp_path, table)["suggestion"])
    run = run_here(tmp_path, "check", "-", "--format", "json", stdin=table.encode())
    piped = shlex.split(json.loads(run.stdout)["suggestion"])
    assert "--time-zone" in piped
    assert [word if word != "data.csv" else "-" for word in words] == piped


def test_findings_are_of_the_cells_alone_when_every_one_of_a_column_is_faulty(
    tmp_path: Path,
) -> None:
    rows = [f"{name};{day:%Y-%m-%d};5{k}.130,00" for name in "ab" for k, day in enumerate(DAYS)]
    found = told(tmp_path, "\n".join(["unique_id;ds;y", *rows]) + "\n", code=3)
    assert {each["column"] for each in found["findings"]} == {"y"}
    assert len(found["findings"]) == 25


def test_summary_keeps_what_was_found_when_it_is_asked(tmp_path: Path) -> None:
    told(tmp_path, PLAIN, "--summary", "run.json")
    kept = json.loads((tmp_path / "run.json").read_text())
    assert kept["facts"]["series"] == 2 and kept["errors"] == 0


AHEAD = pd.date_range("2020-01-24", periods=84)


@pytest.mark.parametrize(
    ("plan", "shops", "file", "problem"),
    [
        (
            [f"{name},{day:%Y-%m-%d},1" for name in "ab" for day in AHEAD[70:]],
            "a,3\nb,5\n",
            "plan.csv",
            "column 'promotion' has no value that training may see",
        ),
        (
            [f"{name},{day:%Y-%m-%d},," for name in "ab" for day in AHEAD],
            "a,3\nb,5\n",
            "plan.csv",
            "column 'promotion' has no value that training may see",
        ),
        (
            [f"a,{day:%Y-%m-%d},{day.day % 2}" for day in AHEAD],
            "a,3\nb,5\n",
            "data.csv",
            "a future value is missing: "
            "column 'promotion' of series 'b' at 2020-04-03 (and 13 more)",
        ),
        (
            [f"{name},{day:%Y-%m-%d},{day.day % 2}" for name in "ab" for day in AHEAD],
            "a,3\nb,\n",
            "shops.csv",
            "column 'size' of series 'b' has no value",
        ),
        (
            [f"{name},{day:%Y-%m-%d},{day.day % 2}" for name in "ab" for day in AHEAD],
            "a,\nb,\n",
            "shops.csv",
            "column 'size' has no value that training may see",
        ),
    ],
)
def test_check_doubts_covariates_that_training_cannot_use(
    plan: list[str], shops: str, file: str, problem: str, tmp_path: Path
) -> None:
    options = with_plans(tmp_path)
    rows = [line.removesuffix(",") for line in plan]
    (tmp_path / "plan.csv").write_text("\n".join(["unique_id,ds,promotion", *rows, ""]))
    (tmp_path / "shops.csv").write_text("unique_id,size\n" + shops)
    found = told(tmp_path, PLAIN, *options, "--horizon", "14")
    doubts = [f for f in found["findings"] if problem in f["problem"]]
    assert [(f["file"], f["severity"]) for f in doubts] == [(file, "doubt")]


def test_check_doubts_no_covariate_when_each_is_known(tmp_path: Path) -> None:
    found = told(tmp_path, PLAIN, *with_plans(tmp_path))
    assert problems(found) == "series 'b' repeats series 'a'; remove one of the two"
