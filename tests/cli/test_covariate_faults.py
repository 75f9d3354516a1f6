"""What is said where covariates contradict, are missing, far off or wrongly asked for."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import TINY, Run, forked, run_here

DAYS = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(48))
END = 40
TRAIN = ["--horizon", "3", *TINY, "--no-log", "--future", "price", "--out", "model"]


def rows(name: str, end: int = END, ahead: int = 0) -> list[str]:
    """A series whose value follows its price; `ahead` rows have a price alone."""
    prices = [(7 * step) % 5 + 1 for step in range(end + ahead)]
    return [
        f"{name},{DAYS[step]},{20 - 2 * price if step < end else ''},{price},"
        for step, price in enumerate(prices)
    ]


def write(path: Path, *lines: str, header: str = "unique_id,ds,y,price,empty") -> Path:
    path.write_text("\n".join([header, *lines, ""]))
    return path


def plan(path: Path, *cells: tuple[str, int, object]) -> Path:
    """A file of prices by series and day."""
    lines = [f"{name},{DAYS[step]},{price}" for name, step, price in cells]
    return write(path, *lines, header="unique_id,ds,price")


AHEAD = [(name, END + step, 2) for name in "ab" for step in range(3)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with data, and a model that learnt from them."""
    directory = tmp_path_factory.mktemp("covariates")
    write(directory / "data.csv", *rows("a"), *rows("b"))
    run = run_here(directory, "train", "data.csv", *TRAIN)
    assert run.code == 0, run.stderr
    return directory


def forecasts(run: Run) -> list[dict[str, str]]:
    assert run.code == 0, run.stderr
    return list(csv.DictReader(io.StringIO(run.stdout)))


def warnings(run: Run) -> list[str]:
    """Without that of columns not asked for."""
    lines = [line for line in run.stderr.splitlines() if line.startswith("warning: ")]
    return [line for line in lines if "columns not used" not in line]


@pytest.mark.parametrize("data", [[], ["data.csv"]])
def test_forecast_tells_of_a_number_far_off_when_the_plan_has_one(
    trained: Path, tmp_path: Path, data: list[str]
) -> None:
    far = [("b", END, 1e30), ("b", END + 1, -1e30)]
    path = plan(tmp_path / "plan.csv", *[cell for cell in AHEAD if cell[:2] != far[0][:2]][:-2])
    path = plan(path, *AHEAD[:3], *far, AHEAD[-1])
    run = run_here(trained, "forecast", "model", *data, "--future-data", path)
    found = [row for row in forecasts(run) if row["unique_id"] == "b"]
    assert all(float(row["gru-lo-80"]) < float(row["gru-hi-80"]) for row in found)
    (told,) = warnings(run)
    assert f"column 'price' of series 'b' at {DAYS[END]} (and 1 more)" in told
    assert "standard deviations" in told


def test_train_tells_of_no_flag_when_it_is_rare(tmp_path: Path) -> None:
    many = [f"{day},{k % 7},{int(k == 150)}" for k, day in enumerate(days(400))]
    write(tmp_path / "data.csv", *many, header="ds,y,flag")
    options = ["--horizon", "3", *TINY, "--future", "flag", "--out", "model"]
    run = run_here(tmp_path, "train", "data.csv", *options)
    assert run.code == 0
    assert "standard deviations" not in run.stderr
    ahead = [f"{day},1" for day in days(403)[400:]]
    write(tmp_path / "plan.csv", *ahead, header="ds,flag")
    run = run_here(tmp_path, "forecast", "model", "--future-data", "plan.csv")
    assert len(forecasts(run)) == 3
    assert not warnings(run)


def days(count: int) -> list[str]:
    found: list[str] = np.datetime_as_string(
        np.datetime64("2023-01-01") + np.arange(count)
    ).tolist()
    return found


@pytest.mark.parametrize("data", [[], ["data.csv"]])
def test_forecast_keeps_the_past_when_the_plan_contradicts_it(
    trained: Path, tmp_path: Path, data: list[str]
) -> None:
    honest = plan(tmp_path / "honest.csv", *AHEAD)
    rewriting = [("a", END - 2, 9), ("a", END - 1, 9), ("b", END - 1, 9)]
    other = plan(tmp_path / "other.csv", *rewriting, *AHEAD)
    first, second = (
        run_here(trained, "forecast", "model", *data, "--future-data", path)
        for path in (honest, other)
    )
    assert forecasts(first) == forecasts(second)
    assert not warnings(first)
    (told,) = warnings(second)
    assert f"column 'price' of series 'a' at {DAYS[END - 2]} (and 2 more)" in told
    assert "other.csv" in told


@pytest.mark.parametrize("known", [True, False])
def test_forecast_takes_the_plan_when_one_was_known_already(
    trained: Path, tmp_path: Path, known: bool
) -> None:
    """Whether it stands in the data or the model keeps it."""
    ahead = write(tmp_path / "ahead.csv", *rows("a", ahead=3), *rows("b", ahead=3))
    revised = plan(tmp_path / "plan.csv", *AHEAD)
    if known:
        run = run_here(trained, "forecast", "model", ahead, "--future-data", revised)
    else:
        model = tmp_path / "model"
        assert run_here(trained, "train", ahead, *TRAIN[:-1], model).code == 0
        run = run_here(trained, "forecast", model, "--future-data", revised)
    wanted = run_here(trained, "forecast", "model", "--future-data", revised)
    assert forecasts(run) == forecasts(wanted)
    assert not warnings(run)
    assert forecasts(run) != forecasts(run_here(trained, "forecast", "model", ahead))


def test_train_keeps_the_past_when_side_tables_contradict_it(tmp_path: Path) -> None:
    header = "unique_id,ds,y,price,empty,size"
    lines = [f"{line},{size}" for name, size in (("a", 1), ("b", 2)) for line in rows(name)]
    write(tmp_path / "data.csv", *lines, header=header)
    plan(tmp_path / "plan.csv", ("b", END - 1, 9), *AHEAD)
    plan(tmp_path / "honest.csv", *AHEAD)
    write(tmp_path / "sizes.csv", "a,1", "b,3", header="unique_id,size")
    written = []
    for future, static in (("plan.csv", ["--static-data", "sizes.csv"]), ("honest.csv", [])):
        options = [*TRAIN, "--static", "size", "--future-data", future, *static]
        run = run_here(tmp_path, "train", "data.csv", *options)
        assert run.code == 0, run.stderr
        written.append((tmp_path / "model" / "forecasts.csv").read_text())
        if static:
            assert [line.split(": ", 2)[1] for line in warnings(run)[:2]] == [
                "sizes.csv",
                "plan.csv",
            ]
            assert "column 'size' of series 'b' contradicts" in warnings(run)[0]
            assert (
                f"column 'price' of series 'b' at {DAYS[END - 1]} contradicts" in warnings(run)[1]
            )
    assert written[0] == written[1]


def test_empty_column_is_named_and_not_asked_for_when_training_has_no_value_of_it(
    tmp_path: Path,
) -> None:
    write(tmp_path / "data.csv", *rows("a", ahead=3), *rows("b", ahead=3))
    run = run_here(tmp_path, "train", "data.csv", *TRAIN, "--future", "empty")
    assert run.code == 0, run.stderr
    assert any("column 'empty' has no value" in line for line in warnings(run))
    assert len((tmp_path / "model" / "forecasts.csv").read_text().splitlines()) == 7
    template = run_here(tmp_path, "forecast", "model", "--template")
    assert list(forecasts(template)[0]) == ["unique_id", "ds", "price"]


def test_template_is_refused_when_no_column_that_is_known_ahead_has_a_value(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", *rows("a"))
    options = ["--horizon", "3", *TINY, "--future", "empty", "--out", "model"]
    assert run_here(tmp_path, "train", "data.csv", *options).code == 0
    run = run_here(tmp_path, "forecast", "model", "--template")
    assert run.code == 2
    assert "the model reads no column that is known ahead; drop --template" in run.stderr


def test_forecast_asks_for_the_last_step_when_it_alone_is_not_known(
    trained: Path, tmp_path: Path
) -> None:
    path = plan(tmp_path / "plan.csv", *AHEAD[:-1])
    run = run_here(trained, "forecast", "model", "--future-data", path)
    assert run.code == 3
    assert f"missing: column 'price' of series 'b' at {DAYS[END + 2]};" in run.stderr
    filled = plan(path, *AHEAD)
    assert len(forecasts(run_here(trained, "forecast", "model", "--future-data", filled))) == 6


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        (
            "unique_id,ds,price\na,2024-02-10,1\na,2024-02-11,low\na,2024-02-12,1\n",
            ":3:",
            "correct the file",
        ),
        ("unique_id,ds,price\na,2024-02-10,1\na,noon,1\n", ":3:", "correct the file"),
        ("unique_id,ds,price\na,2024-02-10,1\na,2024-02-11\n", ":3:", "complete the row"),
        ("unique_id\na\n", ":1:", "remove the lines above the header"),
        ("unique_id,ds,price\na,01/02/2024,1\na,02/01/2024,1\n", "", "correct the file"),
    ],
)
def test_remedy_is_one_that_forecast_offers_when_the_plan_is_at_fault(
    trained: Path, tmp_path: Path, text: str, place: str, remedy: str
) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(text)
    run = run_here(trained, "forecast", "model", "--future-data", path)
    assert run.code == 3
    (line,) = run.stderr.splitlines()
    assert f"{path}{place}" in line
    assert "--" not in line
    assert remedy in line.rpartition("; ")[2]


def test_remedy_is_one_that_forecast_offers_when_the_plan_is_in_another_encoding(
    trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plan.csv"
    path.write_bytes("unique_id,ds,price\né,2024-02-10,1\n".encode("latin-1"))
    run = run_here(trained, "forecast", "model", "--future-data", path)
    assert run.code == 3
    assert "--" not in run.stderr
    assert run.stderr.rstrip().endswith("; save the file as UTF-8")


def test_remedy_is_a_time_zone_when_offsets_of_a_plan_vary_and_the_series_have_none(
    trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("unique_id,ds,price\na,2024-02-10T00:00+01:00,1\na,2024-02-11T00:00+02:00,1\n")
    run = run_here(trained, "forecast", "model", "--future-data", path)
    assert run.code == 3
    assert run.stderr.endswith("the times of the series have none; train with --time-zone\n")


@pytest.mark.parametrize("option", ["--future", "--static"])
def test_option_is_to_be_repeated_when_columns_are_joined_by_commas(
    trained: Path, option: str
) -> None:
    arguments = ["--horizon", "3", *TINY, option, "price,empty", "--out", "other"]
    run = run_here(trained, "train", "data.csv", *arguments)
    assert run.code == 3
    assert f"there is no column 'price,empty'; pass {option} price {option} empty" in run.stderr


def test_option_is_to_be_repeated_when_categories_are_joined_by_commas(trained: Path) -> None:
    options = [*TRAIN, "--future", "empty", "--categorical", "price,empty"]
    run = run_here(trained, "train", "data.csv", *options)
    assert run.code == 2
    assert "pass --categorical price --categorical empty" in run.stderr


@pytest.mark.parametrize(
    ("column", "what"), [("y", "target"), ("ds", "time column"), ("unique_id", "id column")]
)
@pytest.mark.parametrize("option", ["--future", "--past", "--static"])
def test_column_is_called_what_it_is_when_it_is_asked_for_beside_the_target(
    trained: Path, column: str, what: str, option: str
) -> None:
    run = run_here(trained, "train", "data.csv", "--horizon", "3", *TINY, option, column)
    assert run.code == 3
    assert f"column '{column}' is the {what}; drop {option} {column}" in run.stderr


def test_column_may_be_named_as_a_target_when_another_is_the_target(trained: Path) -> None:
    columns = ["--target-col", "price", "--past", "y"]
    run = run_here(
        trained, "train", "data.csv", "--horizon", "3", *TINY, *columns, "--out", "other"
    )
    assert run.code == 0, run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--future", "price", "--past", "price"], "'price' is passed as --past and as --future"),
        (["--future", "y", "--target-col", "y"], "'y' is passed as --target-col and as --future"),
        (["--static", "ds", "--time-col", "ds"], "'ds' is passed as --time-col and as --static"),
    ],
)
def test_both_options_are_named_when_one_column_is_passed_to_two(
    trained: Path, options: list[str], message: str
) -> None:
    run = run_here(trained, "train", "data.csv", "--horizon", "3", *options)
    assert run.code == 2
    assert f"{message}; drop one of them" in run.stderr


def test_standard_input_is_the_plan_alone_when_it_is_passed_as_such(trained: Path) -> None:
    path = plan(trained / "piped.csv", *AHEAD)
    wanted = run_here(trained, "forecast", "model", "--future-data", path)
    piped = forked(trained, "forecast", "model", "--future-data", "-", stdin=path.read_bytes())
    assert piped.code == 0, piped.stderr
    assert piped.stdout == wanted.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "-", *TRAIN, "--future-data", "-"], ("DATA", "--future-data")),
        (["backtest", "-", "--horizon", "3", "--static-data", "-"], ("DATA", "--static-data")),
        (["forecast", "model", "-", "--future-data", "-"], ("DATA", "--future-data")),
        (["update", "model", "-", "--future-data", "-"], ("DATA", "--future-data")),
        (["diagnose", "model", "-", "--static-data", "-"], ("DATA", "--static-data")),
        (
            ["forecast", "model", "--future-data", "-", "--static-data", "-"],
            ("--future-data", "--static-data"),
        ),
    ],
)
def test_standard_input_is_refused_when_two_are_to_be_read_from_it(
    trained: Path, arguments: list[str], named: tuple[str, str]
) -> None:
    run = run_here(trained, *arguments)
    assert run.code == 2
    assert f"{named[0]} and {named[1]} cannot both be standard input" in run.stderr


@pytest.mark.parametrize("data", [[], ["data.csv"]])
def test_columns_are_named_when_the_plan_has_none_of_them(
    trained: Path, tmp_path: Path, data: list[str]
) -> None:
    path = write(tmp_path / "plan.csv", "a,2024-02-10,1", header="unique_id,ds,prize")
    run = run_here(trained, "forecast", "model", *data, "--future-data", path)
    assert run.code == 3
    assert (
        "has none of the future columns 'price'; name one so, the header has 'unique_id', 'ds', "
        "'prize'" in run.stderr
    )


def test_plan_is_refused_when_the_model_reads_nothing_known_ahead(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", *rows("a"))
    options = ["--horizon", "3", *TINY, "--past", "price", "--out", "model"]
    assert run_here(tmp_path, "train", "data.csv", *options).code == 0
    path = plan(tmp_path / "plan.csv", ("a", END, 1))
    for data in ([], ["data.csv"]):
        run = run_here(tmp_path, "forecast", "model", *data, "--future-data", path)
        assert run.code == 3
        assert "no column is read as future; drop --future-data" in run.stderr


@pytest.fixture(scope="module")
def two_plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with data, and a model that reads two columns known ahead."""
    directory = tmp_path_factory.mktemp("plans")
    lines = [f"{line}{len(line) % 2}" for name in "ab" for line in rows(name)]
    write(directory / "data.csv", *lines, header="unique_id,ds,y,price,deal")
    run = run_here(directory, "train", "data.csv", *TRAIN, "--future", "deal")
    assert run.code == 0, run.stderr
    return directory


@pytest.mark.parametrize("data", [[], ["data.csv"]])
def test_misspelt_column_is_named_when_the_plan_has_another_that_is_right(
    two_plans: Path, tmp_path: Path, data: list[str]
) -> None:
    lines = [f"{name},{DAYS[step]},{price},1" for name, step, price in AHEAD]
    path = write(tmp_path / "plan.csv", *lines, header="unique_id,ds,Price,deal")
    run = run_here(two_plans, "forecast", "model", *data, "--future-data", path)
    assert run.code == 3
    told = f"warning: {path}: columns not used: 'Price'; it has none of 'price'"
    assert told in run.stderr.splitlines()


@pytest.mark.parametrize("known", [True, False])
def test_misspelt_column_alone_is_named_when_the_data_know_the_right_one(
    two_plans: Path, tmp_path: Path, known: bool
) -> None:
    ahead = [f"{line}{len(line) % 2}" for name in "ab" for line in rows(name, ahead=3)]
    path = write(tmp_path / "ahead.csv", *ahead, header="unique_id,ds,y,price,deal")
    lines = [f"{name},{DAYS[step]},{price},1" for name, step, price in AHEAD]
    beside = write(tmp_path / "plan.csv", *lines, header="unique_id,ds,Price,deal")
    options: list[str | Path] = [two_plans / "model", path]
    if not known:
        model = tmp_path / "model"
        asked = [*TRAIN[:-1], model, "--future", "deal"]
        assert run_here(tmp_path, "train", path, *asked).code == 0
        options = [model]
    run = run_here(tmp_path, "forecast", *options, "--future-data", beside)
    assert len(forecasts(run)) == 6
    assert f"warning: {beside}: columns not used: 'Price'" in run.stderr.splitlines()


@pytest.mark.parametrize("place", ["data", "plan"])
def test_number_far_off_is_named_by_the_table_that_has_it(
    trained: Path, tmp_path: Path, place: str
) -> None:
    lines = [*rows("a"), *rows("b")]
    if place == "data":
        lines[5] = f"a,{DAYS[5]},1,1e9,"
    data = write(tmp_path / "full.csv", *lines)
    ahead = [(name, step, 1e9 if place == "plan" else 2) for name, step, _ in AHEAD]
    path = plan(tmp_path / "p.csv", *ahead)
    run = run_here(trained, "forecast", trained / "model", data, "--future-data", path)
    assert len(forecasts(run)) == 6
    (told,) = warnings(run)
    assert told.startswith(f"warning: {data if place == 'data' else path}: column 'price'")


@pytest.mark.parametrize("data", ["", "data.csv", "bare.csv"])
def test_line_is_named_when_the_plan_has_text_where_the_model_learnt_from_numbers(
    trained: Path, tmp_path: Path, data: str
) -> None:
    bare = [line.rsplit(",", 2)[0] for name in "ab" for line in rows(name)]
    write(tmp_path / "bare.csv", *bare, header="unique_id,ds,y")
    path = plan(tmp_path / "p.csv", *[(name, step, "cheap") for name, step, _ in AHEAD])
    paths = {"": [], "data.csv": [trained / data], "bare.csv": [tmp_path / data]}[data]
    run = run_here(trained, "forecast", "model", *paths, "--future-data", path)
    assert run.code == 3
    assert f"{path}:2: column 'price': 'cheap' is not a number; correct" in run.stderr
    assert "categories" not in run.stderr


def test_plan_holds_for_all_series_when_it_has_no_column_of_ids(
    trained: Path, tmp_path: Path
) -> None:
    lines = [f"{DAYS[END + step]},{step + 1}" for step in range(3)]
    shared = write(tmp_path / "shared.csv", *lines, header="ds,price")
    each = [(name, END + step, step + 1) for name in "ab" for step in range(3)]
    apart = plan(tmp_path / "apart.csv", *each)
    first, second = (
        run_here(trained, "forecast", "model", "--future-data", path) for path in (shared, apart)
    )
    assert forecasts(first) == forecasts(second)
