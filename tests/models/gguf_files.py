"""GGUF files made by hand, byte by byte, so that they can be wrong in every way."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from easel.models.gguf_header import GGML_TYPES
from tests.models.files import Shapes

NUMBERS = {name: number for number, (name, _, _) in GGML_TYPES.items()}
STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: str | bytes) -> bytes:
    said = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(said)) + said


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def entries(metadata: Mapping[str, str]) -> list[bytes]:
    return [entry(key, STRING, text(value)) for key, value in metadata.items()]


def tensor(name: str | bytes, sizes: Iterable[int], kind: int, offset: int) -> bytes:
    """One tensor's description; `sizes` as they stand in the file, the last dimension first."""
    sizes = list(sizes)
    packed = b"".join(struct.pack("<Q", one) for one in sizes)
    return text(name) + struct.pack("<I", len(sizes)) + packed + struct.pack("<IQ", kind, offset)


def start(
    described: list[bytes], notes: list[bytes], *, version: int = 3, counts: tuple[int, int] | None = None
) -> bytes:
    """All before the padding; `counts` lies about how many tensors and entries there are."""
    numbers = counts or (len(described), len(notes))
    head = b"GGUF" + struct.pack("<IQQ", version, *numbers)
    return head + b"".join(notes) + b"".join(described)


def nbytes(shape: tuple[int, ...], dtype: str) -> int:
    _, block, size = GGML_TYPES[NUMBERS[dtype]]
    return math.prod(shape) // block * size


def gguf_bytes(
    shapes: Shapes,
    dtype: str = "F16",
    metadata: Mapping[str, str] | None = None,
    *,
    types: Mapping[str, str] | None = None,
    **said: Any,
) -> bytes:
    """A whole file of zeros with tensors of these shapes, in torch's order."""
    described, place, sizes = [], 0, []
    for name, shape in shapes.items():
        own = (types or {}).get(name, dtype)
        described.append(tensor(name, reversed(shape), NUMBERS[own], place))
        sizes.append(nbytes(shape, own))
        place += -(-sizes[-1] // 32) * 32
    head = start(described, entries(metadata or {}), **said)
    return head + bytes(-len(head) % 32 + place)
