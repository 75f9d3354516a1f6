"""A file of tensors with JSON in its header, as safetensors, that tells if a bit of it has changed.

Nothing in such a file can run. How large it is, and how large its header, is checked before that is
read; its tensors are views of the file until they are copied.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

KEY = "rnnforecast"
DIGEST = re.compile(r'\{"sha256": "([0-9a-f]{64})", ')
# Bytes of the header that any file may have, and those that each byte of tensors allows it more: a
# name of up to a thousand bytes for the sixteen that tell where a series is.
FREE_HEADER, HEADER_SHARE = 2**23, 64
# As strings escape what is no character by itself, which could not be written out again.
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Shape:
    """What a tensor is before any of it is read: its dtype, as safetensors calls it, and sizes."""

    dtype: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Container:
    """An open file.

    Attributes:
        header: Its JSON, without the digest.
        digest: The hash that the file bears; "" where it bears none.
        shapes: What its tensors are.
    """

    header: dict[str, Any]
    digest: str
    shapes: dict[str, Shape]
    _text: str
    _file: Any

    def check_digest(self) -> None:
        """Raise ValueError where a bit was changed since the file was written."""
        tensors = ((name, self._file.get_tensor(name)) for name in sorted(self.shapes))
        if _digest(self._text, tensors) != self.digest:
            raise ValueError("its content is not that of its sha256")

    def tensor(self, name: str) -> Tensor:
        """A copy, at an aligned address: sums then come out as they did in training."""
        copy: Tensor = self._file.get_tensor(name).clone()
        return copy


def pack(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The content of a file, the same whenever header and tensors are.

    Raises:
        ValueError: The header holds a number or a text that could not be read again.
    """
    text = json.dumps(header, sort_keys=True, ensure_ascii=False)
    _parse(text)
    digest = _digest(text, sorted(tensors.items()))
    content: bytes = save(dict(tensors), {KEY: f'{{"sha256": "{digest}", {text[1:]}'})
    return content


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Read the header of what `pack` has packed; nothing of the tensors is copied yet.

    Raises:
        SafetensorError: It is no such file.
        OSError: It cannot be read.
        ValueError: Its sizes do not fit each other, or its header is not of this program.
    """
    _check_size(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if set(metadata) != {KEY}:
            raise ValueError(f"its header is not one of {KEY}")
        text = metadata[KEY]
        bears = DIGEST.match(text)
        text = "{" + text[bears.end() :] if bears else text
        slices = {name: file.get_slice(name) for name in file.keys()}
        shapes = {
            name: Shape(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()
        }
        yield Container(_parse(text), bears[1] if bears else "", shapes, text, file)


def _check_size(path: Path) -> None:
    """Raise ValueError where a header is longer than its file, or far longer than the content."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = int.from_bytes(file.read(8), "little")
    content = size - 8 - header
    if content < 0:
        raise ValueError("it is cut short")
    if header > FREE_HEADER + HEADER_SHARE * content:
        raise ValueError(f"a header of {header} bytes for a content of {content}")


def _digest(text: str, tensors: Iterable[tuple[str, Tensor]]) -> str:
    """The hash of a header, and of the name, dtype, sizes and bytes of each tensor in turn."""
    digest = sha256(text.encode())
    for name, tensor in tensors:
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _parse(text: str) -> dict[str, Any]:
    """A JSON object in which no name is twice, no number NaN or beyond 64 bits, and all is text.

    Raises:
        ValueError: It is none.
        RecursionError: It is deeper than any.
    """
    header = json.loads(
        text, object_pairs_hook=_unique, parse_int=_small, parse_constant=_no_unknown
    )
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    if SURROGATE.search(text):
        json.dumps(header, ensure_ascii=False).encode()
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _small(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("its header has a number beyond 64 bits")
    return int(digits)


def _no_unknown(name: str) -> float:
    if name == "NaN":
        raise ValueError("its header has NaN, which is no number")
    return float(name)
