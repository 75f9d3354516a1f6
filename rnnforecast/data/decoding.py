"""From the bytes of a file to the text of a table: unpacked, and its characters decoded."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module

from rnnforecast.data.parquet import MAGIC as PARQUET
from rnnforecast.data.parquet import parquet_as_csv
from rnnforecast.errors import ConfigError, DataError

GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb": "utf-8-sig"}
# What tells that a file is more than UTF-8 text that can be read as it lies.
MARKS = (GZIP, ZSTANDARD, PARQUET, *BYTE_ORDER_MARKS)


def unpack(name: str, data: bytes) -> bytes:
    """What a gzip or Zstandard file holds, recognised by its first bytes; other bytes as they are.

    Raises:
        DataError: It is not whole, or what unpacks it is not installed.
    """
    if data.startswith(GZIP):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name}: {error}; pass a whole gzip file") from None
    return _unpack_zstandard(name, data) if data.startswith(ZSTANDARD) else data


def as_text(name: str, data: bytes, encoding: str | None = None) -> bytes:
    """The bytes as UTF-8 without a byte-order mark; a Parquet file as CSV.

    Raises:
        ConfigError: There is no such encoding.
        DataError: They are no text.
    """
    if data.startswith(PARQUET):
        return parquet_as_csv(name, data)
    by_mark = BYTE_ORDER_MARKS.get(data[:2])
    used = (by_mark or "utf-8") if encoding is None else encoding
    text = _decode(name, data, used, asked=encoding is not None)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}:{line}: a zero byte is no text; pass a CSV file saved as UTF-8")
    plain = encoding is None and by_mark is None
    return data if plain else text.removeprefix("\ufeff").encode("utf-8")


def _decode(name: str, data: bytes, encoding: str, *, asked: bool) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = encoding if asked else encoding.removesuffix("-sig").upper()
        remedy = "correct --encoding" if asked else "pass --encoding, such as cp1252"
        raise DataError(
            f"{name}:{line}: byte 0x{data[error.start]:02x} is not {kind} text; {remedy}, or save "
            "the file as UTF-8"
        ) from None
    except UnicodeError as error:
        raise DataError(f"{name}: {error}; correct --encoding, or save it as UTF-8") from None
    except (LookupError, ValueError):
        known = "one that Python knows, such as latin-1"
        raise ConfigError(f"encoding must be {known}, got {encoding!r}") from None


def _unpack_zstandard(name: str, data: bytes) -> bytes:
    """Frame by frame, as several may follow each other."""
    for module in ("compression.zstd", "zstandard"):
        try:
            library = import_module(module)
        except ModuleNotFoundError:
            continue
        unpacked = []
        while data:
            new = library.ZstdDecompressor()
            frame = new.decompressobj() if module == "zstandard" else new
            try:
                unpacked.append(frame.decompress(data))
            except library.ZstdError as error:
                raise DataError(f"{name}: {error}; pass a whole Zstandard file") from None
            if not frame.eof:
                raise DataError(f"{name}: it is cut off; pass a whole Zstandard file")
            data = frame.unused_data
        return b"".join(unpacked)
    raise DataError(
        f"{name}: Zstandard files need zstandard: pip install 'rnnforecast[zstd]', "
        "or unpack the file"
    )
