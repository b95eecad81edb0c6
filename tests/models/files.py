"""Safetensors files made by hand, byte by byte, so that they can be wrong in every way."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from easel.models import Header, read_header
from easel.models.header import DTYPE_BITS

Shapes = Mapping[str, tuple[int, ...]]


def describe(shapes: Shapes, dtype: str = "F16", metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The header's table for tensors of these shapes, one after the other."""
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    place = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * DTYPE_BITS[dtype] // 8
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    return table


def raw(path: Path, table: object, data: bytes = b"", *, length: int | None = None) -> Path:
    """A file with this table and these bytes after it; `length` lies about the table's length."""
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def sparse(path: Path, shapes: Shapes, dtype: str = "F16", metadata: Mapping[str, str] | None = None) -> Path:
    """A file with a true header and as many bytes as it says, none of which take room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = describe(shapes, dtype, metadata)
    raw(path, table)
    size = sum(math.prod(shape) for shape in shapes.values()) * DTYPE_BITS[dtype] // 8
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size + size)
    return path


def header(tmp_path: Path, shapes: Shapes, metadata: Mapping[str, str] | None = None) -> Header:
    """The header of a file with tensors of these shapes."""
    return read_header(sparse(tmp_path / "made.safetensors", shapes, metadata=metadata))


class Fenced(io.BytesIO):
    """A file that is longer than it is said to be: who reads behind its end fails the test."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content + b"behind the end" * 100)
        self._end = len(content)

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= self._end - self.tell(), "read past the end"
        return super().read(size)
