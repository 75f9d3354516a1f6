"""Covariates from a second file, and the template of what is not known ahead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnforecast.columns import DataConfig, Encoding
from rnnforecast.data.ahead import missing_ahead, template
from rnnforecast.data.covariates import Spot
from rnnforecast.data.encoding import encode, encode_ahead, fit_encodings
from rnnforecast.data.panel import Panel
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.side_tables import Merged, with_future_data, with_static_data
from rnnforecast.data.source import Source
from rnnforecast.data.writing import to_csv
from rnnforecast.errors import DataError

CONFIG = DataConfig(static_columns=("region",), future_columns=("price", "event"))
DAYS = [f"2020-01-{day:02d}" for day in range(1, 7)]
# Series a ends on the 4th, b on the 3rd; some of the price of a is known ahead.
TEXT = "unique_id,ds,y,price,event\n" + "".join(
    f"{name},{day},{k if k < end else ''},{k / 2 if k <= end else ''},{'no' if k < end else ''}\n"
    for name, end in (("a", 4), ("b", 3))
    for k, day in enumerate(DAYS)
)
FUTURE = "unique_id,ds,price,event\n"


def read(text: str = TEXT, config: DataConfig = CONFIG) -> Table:
    return parse_table(Source("f.csv", text.encode()), config)


def added(path: Path, text: str, table: Table | None = None) -> Merged:
    path.write_text(text)
    table = table or read()
    return with_future_data(str(path), table.panel, table.config, table.covariates)


def values(merged: Merged, name: str) -> list[object]:
    """The cells of a column, one series after the other; None where missing."""
    column = merged.covariates.by_name[name]
    return [
        None if not known else value if column.texts is None else column.texts[int(value)]
        for value, known in zip(column.values.tolist(), column.observed, strict=True)
    ]


def encoded(table: Table, horizon: int = 2) -> tuple[Panel, tuple[Encoding, ...]]:
    config = replace(table.config, static_columns=())
    encodings = fit_encodings(table.covariates, table.panel, config)
    return encode(table.panel, table.covariates, encodings, horizon), encodings


def test_future_values_go_after_the_last_of_each_series_when_ids_are_given(tmp_path: Path) -> None:
    text = FUTURE + "b,2020-01-04,9,yes\na,2020-01-06,8,\nc,2020-01-04,1,no\na,2020-01-03,7,yes\n"
    merged = added(tmp_path / "ahead.csv", text)
    assert merged.unknown == 1
    assert merged.contradicted == ("price", "a", "2020-01-03", 2)
    assert values(merged, "price") == [0, 0.5, 1, 1.5, 2, 8, 0, 0.5, 1, 9]
    assert values(merged, "event") == [*["no"] * 4, None, None, *["no"] * 3, "yes"]
    assert merged.covariates.future_offsets.tolist() == [0, 6, 10]


def test_future_values_are_of_all_series_when_the_table_has_no_ids(tmp_path: Path) -> None:
    config = DataConfig(future_columns=("price",))
    table = read("ds,one,two,price\n1,5,,1\n2,6,8,2\n3,,9,3\n4,,7,4\n", config)
    merged = added(tmp_path / "ahead.csv", "ds,price\n5,50\n4,40\n", table)
    assert values(merged, "price") == [1, 2, 3, 40, 50, 2, 3, 4, 50]
    assert merged.contradicted == ("price", "two", "4", 1)


def test_future_values_are_of_all_series_when_a_long_table_has_ids_but_this_none(
    tmp_path: Path,
) -> None:
    merged = added(tmp_path / "ahead.csv", "ds,price\n2020-01-05,50\n2020-01-04,40\n")
    assert values(merged, "price") == [0, 0.5, 1, 1.5, 50, 0, 0.5, 1, 40, 50]
    assert merged.contradicted == ("price", "a", "2020-01-04", 1)


def test_columns_not_read_are_told_when_the_second_table_misspells_one(tmp_path: Path) -> None:
    text = "unique_id,ds,Event,price\nb,2020-01-04,yes,1\n"
    merged = added(tmp_path / "ahead.csv", text)
    assert (merged.unused, merged.lacking) == (("Event",), ("event",))
    known = read(TEXT.replace("b,2020-01-04,,1.5,", "b,2020-01-04,,1.5,no"))
    merged = added(tmp_path / "ahead.csv", text, known)
    assert (merged.unused, merged.lacking) == (("Event",), ())
    table = read()
    alone = with_future_data(str(tmp_path / "ahead.csv"), table.panel, table.config)
    assert (alone.unused, alone.lacking) == (("Event",), ("event",))


def test_each_table_has_its_own_values_when_two_were_merged(tmp_path: Path) -> None:
    path = tmp_path / "ahead.csv"
    merged = added(path, FUTURE + "a,2020-01-05,9,yes\nb,2020-01-02,8,no\nb,2020-01-05,7,\n")
    (main, first), (beside, second) = merged.covariates.by_table("f.csv")
    assert (main, beside) == ("f.csv", str(path))
    own, others = (merged._replace(covariates=part) for part in (first, second))
    assert values(own, "price") == [0, 0.5, 1, 1.5, None, 0, 0.5, 1, 1.5, None]
    assert values(others, "price") == [*[None] * 4, 9, *[None] * 4, 7]
    assert values(own, "event") == [*["no"] * 4, None, *["no"] * 3, None, None]
    assert values(others, "event") == [*[None] * 4, "yes", *[None] * 5]


def test_future_column_may_be_in_the_second_table_alone(tmp_path: Path) -> None:
    table = read(config=replace(CONFIG, future_columns=("price", "rain")))
    text = "unique_id;ds;rain\n" + "".join(f"a;{day};0,5\n" for day in DAYS)
    merged = added(tmp_path / "ahead.csv", text, table)
    assert tuple(merged.covariates.by_name) == ("price", "rain")
    assert values(merged, "rain")[:6] == [0.5] * 6


def test_static_values_are_one_row_a_series(tmp_path: Path) -> None:
    path, table = tmp_path / "static.csv", read()
    path.write_text("unique_id,region,other\nb,north,1\nz,east,2\na,,3\n")
    merged = with_static_data(str(path), table.panel, table.config, table.covariates)
    assert values(merged, "region") == [None, "north"]
    assert merged.unknown == 1
    assert tuple(merged.covariates.by_name) == ("region", "price", "event")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            FUTURE + "a,2020-01-05,low,no\n",
            ":2: column 'price': 'low' is not a number; correct the file",
        ),
        (
            FUTURE + "a,2020-01-05,1,no\na,2020-01-05,2,no\n",
            ":3: column 'ds': the series has this time twice; remove one of the rows",
        ),
        (
            FUTURE + "a,2020-01-05T00:00,1,no\na,2020-01-05T12:00,2,no\n",
            ":3: column 'ds': the series have a row every day, but this one lies between two; "
            "correct the time",
        ),
        (FUTURE + "a,5,1,no\n", ":2: column 'ds': the times are integer steps, those of the serie"),
        ("unique_id,price\na,1\n", ":1: there is no time column 'ds'; name one so, the header has"),
        (
            "name,ds,price\na,2020-01-05,1\nb,2020-01-05,1\n",
            ":1: there is no id column 'unique_id'; name one so, the head",
        ),
        (
            "unique_id,ds,prize\na,2020-01-05,1\n",
            ": the table has none of the future columns 'price', 'event'; name one so, the "
            "header has 'unique_id', 'ds', 'prize'",
        ),
        (FUTURE + "a,2050-01-05,1,no\n", "1: column 'ds': series 'a' has no value in the 10"),
    ],
)
def test_fault_is_named_by_line_when_future_values_cannot_be_used(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError) as raised:
        added(tmp_path / "ahead.csv", text)
    assert message.removeprefix("1") in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "ahead.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unique_id,region\na,1\na,2\n", ":3: column 'unique_id': the series has a row twice;"),
        ("name,region\na,1\n", ":1: there is no column 'unique_id' of ids; add it"),
    ],
)
def test_fault_is_named_by_line_when_static_values_cannot_be_used(
    tmp_path: Path, text: str, message: str
) -> None:
    path, table = tmp_path / "static.csv", read()
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        with_static_data(str(path), table.panel, table.config, table.covariates)


def test_missing_ahead_names_the_first_cell_and_counts_all() -> None:
    panel, encodings = encoded(read())
    # Of two steps, two columns and two series, one price of each is known.
    missing = missing_ahead(panel, encodings, 2)
    assert missing == Spot("event", "a", "2020-01-05", 6)
    assert str(missing) == "column 'event' of series 'a' at 2020-01-05 (and 5 more)"
    last = missing_ahead(panel, encodings, 1)
    assert last == Spot("event", "a", "2020-01-05", 2)
    assert str(last._replace(cells=1)).endswith("at 2020-01-05")
    assert missing_ahead(panel, encodings, 0) is None


def test_nothing_is_missing_ahead_when_only_the_past_and_the_calendar_are_read() -> None:
    config = DataConfig(past_columns=("price",), calendar=True)
    table = read(TEXT.replace(",event", ",note"), config)
    encodings = fit_encodings(table.covariates, table.panel, config)
    panel = encode(table.panel, table.covariates, encodings, 3)
    assert missing_ahead(panel, encodings, 3) is None
    assert missing_ahead(table.panel, (), 3) is None


def test_template_has_a_row_a_step_with_what_is_known() -> None:
    panel, encodings = encoded(read())
    assert to_csv(template(panel, encodings, 2, read().config)) == (
        "unique_id,ds,price,event\n"
        "a,2020-01-05,2,\na,2020-01-06,,\nb,2020-01-04,1.5,\nb,2020-01-05,,\n"
    )


def test_nothing_is_missing_when_the_template_is_filled_in(tmp_path: Path) -> None:
    table = read()
    panel, encodings = encoded(table)
    path = tmp_path / "ahead.csv"
    frame = template(panel, encodings, 2, table.config)
    frame["price"] = frame["price"].where(frame["price"] != "", "3.25")
    path.write_text(to_csv(frame.assign(event="no")))
    merged = with_future_data(str(path), table.panel, table.config, table.covariates)
    fresh = encode(table.panel, merged.covariates, encodings, 2)
    assert missing_ahead(fresh, encodings, 2) is None
    stored = panel.tail(2)
    alone = with_future_data(str(path), stored, table.config)
    later = encode_ahead(stored, alone.covariates, encodings, 2)
    assert missing_ahead(later, encodings, 2) is None
    assert later.features is not None and fresh.features is not None
    assert np.array_equal(later.features.future, fresh.tail(2).features.future)  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 42497.0, 0.060469, -1234.5, 6e-9, 3e12])
def test_template_shows_the_number_that_was_read_when_it_has_few_digits(number: float) -> None:
    text = "ds,y,price\n" + "".join(
        f"{step},{step if step < 4 else ''},{number * (step - 3)!r}\n" for step in range(6)
    )
    config = DataConfig(future_columns=("price",), target_columns=("y",))
    table = read(text, config)
    encodings = fit_encodings(table.covariates, table.panel, config)
    frame = template(encode(table.panel, table.covariates, encodings, 2), encodings, 2, config)
    assert frame["price"].astype(float).tolist() == pytest.approx([number, 2 * number], rel=1e-5)
    assert all(len(cell) <= 15 for cell in frame["price"])
    assert not any(cell.startswith("-0") and float(cell) == 0 for cell in frame["price"])


def test_template_is_read_back_when_clocks_change_ahead(tmp_path: Path) -> None:
    config = DataConfig(future_columns=("price",), time_zone="Europe/Paris")
    hours = [f"2024-10-26T{hour:02d}:00:00" for hour in range(20, 24)]
    text = "unique_id,ds,y,price\n" + "".join(f"{i},{hour},1,2\n" for i in "ab" for hour in hours)
    table = read(text, config)
    encodings = fit_encodings(table.covariates, table.panel, config)
    panel = encode(table.panel, table.covariates, encodings, 6)
    frame = template(panel, encodings, 6, table.config).assign(price=range(12))
    assert frame["ds"][2:4].tolist() == ["2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"]
    merged = added(tmp_path / "ahead.csv", to_csv(frame), table)
    assert values(merged, "price") == [2, 2, 2, 2, *range(6), 2, 2, 2, 2, *range(6, 12)]
