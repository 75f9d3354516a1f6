"""Covariates as numbers: fitted to what may be seen, the same wherever a panel is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rnnforecast.arrays import Float32Array
from rnnforecast.columns import DataConfig, Encoding, sizes_of
from rnnforecast.data.calendar_features import calendar_features
from rnnforecast.data.encoding import (
    FARTHEST,
    MOST_CATEGORIES,
    encode,
    encode_ahead,
    fit_encodings,
    unknown_categories,
)
from rnnforecast.data.panel import Features, Panel
from rnnforecast.data.reading import Table, parse_table
from rnnforecast.data.source import Source
from rnnforecast.errors import DataError

CONFIG = DataConfig(
    id_column="id",
    time_column="t",
    target_columns=("y",),
    static_columns=("size", "kind"),
    past_columns=("p",),
    future_columns=("f", "g"),
    categorical_columns=("g", "kind"),
)
HORIZON = 3


def read(rows: Sequence[Sequence[object]], config: DataConfig = CONFIG) -> Table:
    """Rows of id, time, target and covariates; None is an empty cell."""
    header = ("id", "t", "y", "size", "kind", "p", "f", "g")
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in (header, *rows)]
    return parse_table(Source("f.csv", "\n".join(lines).encode()), config)


def rows_of(seed: int, ahead: int = HORIZON) -> list[list[object]]:
    """Two series of unequal lengths and starts, some of whose cells are empty."""
    random = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for name, start, length, size, kind in (("a", 5, 9, 3.5, "x"), ("b", 2, 12, -1, "y")):
        for step in range(length + ahead):
            known = step < length
            row = [random.normal(), random.normal(), str(random.choice(["u", "v", "w"]))]
            shown: list[object] = [cell if random.random() < 0.8 else None for cell in row]
            rows.append([name, start + step, step if known else None, size, kind, *shown])
    return rows


def features_of(panel: Panel) -> Features:
    assert panel.features is not None
    return panel.features


def equal(one: Float32Array, other: Float32Array) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_encoding_is_what_a_loop_over_rows_gives_when_cells_are_missing(seed: int) -> None:
    rows = rows_of(seed)
    table = read(rows)
    encodings = fit_encodings(table.covariates, table.panel, CONFIG)
    features = features_of(encode(table.panel, table.covariates, encodings, HORIZON))
    seen = [row for row in rows if row[2] is not None]
    numbers = {at: [float(str(row[at])) for row in seen if row[at] is not None] for at in (5, 6)}
    texts = sorted({str(row[7]) for row in seen if row[7] is not None})

    def scaled(cell: object, at: int) -> float:
        return (
            np.nan
            if cell is None
            else ((float(str(cell)) - np.mean(numbers[at])) / np.std(numbers[at]))
        )

    def one_hot(cell: object) -> list[float]:
        return [np.nan if cell is None else float(cell == text) for text in texts]

    past = [[scaled(row[5], 5)] for row in seen]
    future = [[scaled(row[6], 6), *one_hot(row[7])] for row in rows]
    assert np.allclose(features.past, past, atol=1e-5, equal_nan=True)
    assert np.allclose(features.future, future, atol=1e-5, equal_nan=True)
    assert np.allclose(features.static, [[1, 1, 0], [-1, 0, 1]], atol=1e-6)
    assert features.future_offsets.tolist() == [0, 12, 27]
    sizes = sizes_of(encodings)
    assert (sizes.past, sizes.future, sizes.static) == (1, 1 + len(texts), 3)


@given(st.integers(0, 1000), st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_encodings_stay_when_rows_at_or_after_the_end_change(seed: int, cutoff: int) -> None:
    rows = rows_of(seed)
    starts = {"a": 5, "b": 2}
    changed = [
        [*row[:5], 1e9, -1e9, "later"] if int(str(row[1])) >= starts[str(row[0])] + cutoff else row
        for row in rows
    ]
    fitted = []
    for version in (rows, changed):
        table = read(version)
        known = table.panel.before(np.full(2, cutoff))
        fitted.append(fit_encodings(table.covariates, known, CONFIG))
    assert fitted[0] == fitted[1]


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_features_stay_when_rows_are_shuffled_within_series(seed: int) -> None:
    rows = rows_of(seed)
    shuffled = sorted(rows, key=lambda row: (row[0], np.sin(float(str(row[1])) * (seed + 1))))
    one, other = (read(version) for version in (rows, shuffled))
    encodings = fit_encodings(one.covariates, one.panel, CONFIG)
    again = fit_encodings(other.covariates, other.panel, CONFIG)
    # A mean may depend on the order of its sum in the last digit.
    for fitted, same in zip(encodings, again, strict=True):
        assert replace(fitted, mean=0, scale=1) == replace(same, mean=0, scale=1)
        assert np.allclose((fitted.mean, fitted.scale), (same.mean, same.scale), rtol=1e-12)
    parts = [
        features_of(encode(each.panel, each.covariates, encodings, 2)) for each in (one, other)
    ]
    assert equal(parts[0].past, parts[1].past)
    assert equal(parts[0].future, parts[1].future)
    assert equal(parts[0].static, parts[1].static)


@given(st.integers(0, 1000), st.integers(0, 4), st.integers(5, 9))
@settings(max_examples=15, deadline=None)
def test_features_of_a_part_are_those_of_the_whole_when_it_is_cut_first(
    seed: int, first: int, last: int
) -> None:
    config = replace(CONFIG, calendar=True)
    table = read(rows_of(seed), config)
    encodings = fit_encodings(table.covariates, table.panel, config)
    whole = encode(table.panel, table.covariates, encodings, HORIZON)
    firsts, lasts = np.array([first, first + 1]), np.array([last, last + 1])
    cut_first = table.panel.cut(firsts, lasts)
    one = features_of(encode(cut_first, table.covariates, encodings, HORIZON))
    other = features_of(whole.cut(firsts, lasts))
    assert equal(one.past, other.past)
    assert equal(one.static, other.static)
    for series, length in enumerate(cut_first.lengths + HORIZON):
        parts = [part.future[part.future_offsets[series] :][:length] for part in (one, other)]
        assert equal(*parts)


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0, np.nan], [7.0, 7.0, 7.0, 7.0], [1e99, 0, 0, 0]])
def test_numbers_are_scaled_as_scikit_learn_does_when_some_are_missing(values: list[float]) -> None:
    rows = [["a", k, k, None, None, v if v == v else None, 0, "u"] for k, v in enumerate(values)]
    table = read(rows)
    encoding = {e.name: e for e in fit_encodings(table.covariates, table.panel, CONFIG)}["p"]
    scaler = StandardScaler().fit(np.array(values)[:, None])
    assert encoding == Encoding(
        name="p", role="past", mean=float(scaler.mean_[0]), scale=float(scaler.scale_[0])
    )
    encoded = features_of(encode(table.panel, table.covariates, (encoding,), 1)).past
    wanted = scaler.transform(np.array(values)[:, None]).astype(np.float32)
    assert np.array_equal(encoded, wanted, equal_nan=True)


def test_categories_are_encoded_as_scikit_learn_does_when_one_was_not_met() -> None:
    texts = ["u", "w", "u", "v", "w", "new"]
    table = read([["a", k, k, None, None, 0, 0, text] for k, text in enumerate(texts)])
    encodings = fit_encodings(table.covariates, table.panel.before(np.array([5])), CONFIG)
    encoding = {e.name: e for e in encodings}["g"]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit(np.array(texts[:5], dtype=object)[:, None])
    assert encoding.categories == tuple(encoder.categories_[0])
    encoded = features_of(encode(table.panel, table.covariates, (encoding,), 0)).future
    assert np.array_equal(encoded, encoder.transform(np.array(texts, dtype=object)[:, None]))
    assert unknown_categories(table.covariates, encodings) == (("g", "new"),)  # type: ignore[arg-type]


def test_most_frequent_categories_are_kept_when_there_are_many() -> None:
    common = [f"c{k:02d}" for k in range(MOST_CATEGORIES)]
    texts = [*common, *[f"rare{k}" for k in range(5)], *common]
    table = read([["a", k, k, None, None, 0, 0, text] for k, text in enumerate(texts)])
    encodings = fit_encodings(table.covariates, table.panel, CONFIG)
    assert {e.name: e for e in encodings}["g"].categories == tuple(common)
    unknown = unknown_categories(table.covariates, encodings)  # type: ignore[arg-type]
    assert unknown == tuple(("g", f"rare{k}") for k in range(5))


def test_column_is_left_out_when_it_has_no_value_to_learn_from() -> None:
    rows = [["a", k, k, 1, "x", None, k if k > 4 else None, None] for k in range(8)]
    table = read(rows)
    encodings = fit_encodings(table.covariates, table.panel.before(np.array([5])), CONFIG)
    assert [encoding.name for encoding in encodings] == ["size", "kind"]
    features = features_of(encode(table.panel, table.covariates, encodings, 2))
    assert features.past.shape == (8, 0)
    assert features.static.shape == (1, 2)
    assert features.future.shape == (10, 0)


def test_features_are_finite_when_a_number_is_far_from_all_that_was_seen() -> None:
    rows = [["a", k, k, None, None, 1e90 if k == 5 else k % 2, 0, "u"] for k in range(6)]
    table = read(rows)
    encodings = fit_encodings(table.covariates, table.panel.before(np.array([5])), CONFIG)
    past = features_of(encode(table.panel, table.covariates, encodings, 1)).past
    assert past[5] == np.float32(FARTHEST)


def test_calendar_goes_on_after_the_end_when_no_covariate_is_read() -> None:
    config = DataConfig(calendar=True)
    text = "ds,y\n" + "".join(f"2020-01-{day:02d},{day}\n" for day in range(1, 15))
    table = parse_table(Source("f.csv", text.encode()), config)
    encodings = fit_encodings(table.covariates, table.panel, config)
    assert [encoding.role for encoding in encodings] == ["future"] * len(encodings)
    features = features_of(encode(table.panel, None, encodings, 3))
    times = table.panel.times(np.zeros(17, dtype=np.int64), np.arange(17))
    names = [encoding.name for encoding in encodings]
    assert equal(features.future, calendar_features(times, table.panel.frequency, names))
    assert encode(table.panel, None, (), 3) is table.panel


def test_stored_features_take_what_is_known_ahead_when_it_comes_later() -> None:
    rows = rows_of(3)
    whole = read(rows)
    config = replace(CONFIG, calendar=True)
    encodings = fit_encodings(whole.covariates, whole.panel, config)
    bare = read([row if row[2] is not None else [*row[:5], None, None, None] for row in rows])
    stored = encode(bare.panel, bare.covariates, encodings, HORIZON).tail(4)
    assert whole.covariates is not None
    later = encode_ahead(stored, whole.covariates, encodings, HORIZON)
    wanted = encode(whole.panel, whole.covariates, encodings, HORIZON).tail(4)
    assert equal(features_of(later).future, features_of(wanted).future)
    assert not equal(features_of(stored).future, features_of(wanted).future)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            replace(CONFIG, future_columns=("g", "price")),
            "there is no column 'price', which is to be read beside the target; add it, or pass a "
            "file that has it as --future-data or --static-data",
        ),
        (
            replace(CONFIG, future_columns=("hour-sin",), categorical_columns=("kind",)),
            "column 'hour-sin' is called as a part of the calendar; rename it",
        ),
    ],
)
def test_fault_names_the_column_when_it_cannot_be_encoded(config: DataConfig, message: str) -> None:
    header = "id,t,y,size,kind,p,f,g,hour-sin\n"
    text = header + "".join(f"a,{k},{k},1,x,1,1,u,1\n" for k in range(5))
    table = parse_table(Source("f.csv", text.encode()), config)
    with pytest.raises(DataError, match=message):
        fit_encodings(table.covariates, table.panel, config)


def test_fault_names_the_column_when_a_model_learnt_it_as_another_kind() -> None:
    table = read(rows_of(0))
    as_number = (Encoding(name="g", role="future"),)
    with pytest.raises(DataError, match="column 'g' has categories, but the model learnt from nu"):
        encode(table.panel, table.covariates, as_number, 1)
    as_category = (Encoding(name="p", role="past", categories=("1",)),)
    with pytest.raises(DataError, match="column 'p' has numbers, but the model learnt from cat"):
        encode(table.panel, table.covariates, as_category, 1)
    with pytest.raises(DataError, match="there is no column 'q'"):
        encode(table.panel, table.covariates, (Encoding(name="q", role="past"),), 1)
