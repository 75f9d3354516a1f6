"""Packed files, encodings, and what is missing to read them."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnforecast.data.decoding import as_text, unpack
from rnnforecast.data.source import open_source
from rnnforecast.errors import ConfigError, DataError

TEXT = "unique_id,ds,y\ncafé,2020-01-01,1\ncafé,2020-01-02,2\n"


@pytest.fixture
def zstandard() -> Any:
    return pytest.importorskip("zstandard")


@pytest.mark.parametrize("frames", [1, 3])
def test_text_is_the_same_when_it_is_packed_by_zstandard(
    frames: int, zstandard: Any, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv.zst"
    size = -(-len(TEXT.encode()) // frames)
    parts = [TEXT.encode()[at : at + size] for at in range(0, len(TEXT.encode()), size)]
    path.write_bytes(b"".join(map(zstandard.compress, parts)))
    assert open_source(str(path)).data == TEXT.encode()


def test_zstandard_raises_when_it_is_cut_off_or_spoilt(zstandard: Any) -> None:
    packed = zstandard.compress(TEXT.encode() * 50)
    with pytest.raises(DataError, match=r"f: it is cut off; pass a whole Zstandard file"):
        unpack("f", packed[:-3])
    with pytest.raises(DataError, match=r"f: .*; pass a whole Zstandard file"):
        unpack("f", packed[:4] + bytes(20))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_packages_are_named_when_they_are_absent(without: Callable[..., None]) -> None:
    without("compression.zstd", "zstandard", "pyarrow")
    with pytest.raises(DataError, match=r"f: .*pip install 'rnnforecast\[zstd\]', or unpack"):
        unpack("f", b"\x28\xb5\x2f\xfd")
    with pytest.raises(
        DataError, match=r"f: .*pip install 'rnnforecast\[parquet\]', or pass a CSV"
    ):
        as_text("f", b"PAR1")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-16", "utf-16-le", "cp500"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_is_decoded_when_an_encoding_is_given(
    encoding: str, packed: bool, tmp_path: Path
) -> None:
    data = TEXT.encode(encoding)
    path = tmp_path / "f.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert open_source(str(path), encoding).data == TEXT.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_byte_order_mark_is_dropped_when_the_encoding_is_given_too(encoding: str) -> None:
    assert as_text("f", ("\ufeff" + TEXT).encode(encoding), encoding) == TEXT.encode()


def test_bad_byte_suggests_an_encoding_when_none_is_given() -> None:
    with pytest.raises(DataError) as raised:
        as_text("f", TEXT.encode("latin-1"))
    assert str(raised.value) == (
        "f:2: byte 0xe9 is not UTF-8 text; pass --encoding, such as cp1252, or save the file as "
        "UTF-8"
    )
    with pytest.raises(DataError, match="f:2: byte 0xe9 is not utf-8 text; correct --encoding, or"):
        as_text("f", TEXT.encode("latin-1"), "utf-8")


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "no\0ne", ""])
def test_encoding_raises_when_it_is_none(encoding: str) -> None:
    with pytest.raises(ConfigError, match="encoding must be one that Python knows, such as latin"):
        as_text("f", TEXT.encode(), encoding)


def test_data_raise_when_the_encoding_cannot_read_them() -> None:
    with pytest.raises(DataError, match=r"f: .*; correct --encoding"):
        as_text("f", b"a-9", "punycode")
