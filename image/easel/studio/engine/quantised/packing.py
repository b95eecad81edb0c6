"""How the numbers of a matrix lie in bytes, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

# Numbers that are expanded at once: what functions make on the way takes several times their place, and a
# large layer in one piece would take more than the whole of what is saved. Few calls suit a GPU, pieces that
# stay in its cache a CPU (bench/quantised.py).
_PIECE = {"cpu": 1 << 18}
_PIECE_ELSEWHERE = 1 << 22
# Bytes of what is on the way, for each number of a piece: indices of eight bytes and three steps of four.
_ON_THE_WAY = 20


class Packing(Protocol):
    """One way to pack; equal where matrices can be put together without unpacking them.

    A packed matrix is some planes of bytes, uint8: those of `planes` with a row for each of its rows, then
    those of `shared`.
    """

    @property
    def columns(self) -> int:
        """Numbers in a row."""

    @property
    def planes(self) -> tuple[str, ...]:
        """What the planes are called."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Bytes in a row of each plane."""

    @property
    def shared(self) -> Mapping[str, tuple[int, int]]:
        """The planes that all rows have in common, and their shapes."""

    def opened(self, shared: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is made of those once, for all pieces that are expanded."""

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """The numbers of some rows, in any type that holds them as they are; of their bytes, and of what was
        `opened`."""


class ByRows:
    """A packing whose rows have nothing in common."""

    @property
    def shared(self) -> Mapping[str, tuple[int, int]]:
        """See `Packing`."""
        return {}

    def opened(self, shared: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """See `Packing`."""
        return shared


def plane_shapes(packing: Packing, rows: int) -> dict[str, tuple[int, int]]:
    """All planes of so many rows, in their order, and their shapes."""
    own = {name: (rows, width) for name, width in zip(packing.planes, packing.widths, strict=True)}
    return own | dict(packing.shared)


def expand(packing: Packing, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    """All rows as numbers of this type, piece by piece."""
    rows, device = planes[0].shape[0], planes[0].device
    found = torch.empty((rows, packing.columns), dtype=dtype, device=device)
    if device.type == "meta":
        return found
    own, opened = planes[: len(packing.planes)], packing.opened(planes[len(packing.planes) :])
    step = max(1, _piece(device) // max(1, packing.columns))
    for start in range(0, rows, step):
        piece = tuple(one[start : start + step] for one in own)
        found[start : start + step] = packing.numbers((*piece, *opened))
    return found


def expanding_bytes(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> int:
    """What `expand` takes on the device at the most, its result with it."""
    numbers = rows * columns
    return numbers * dtype.itemsize + min(numbers, max(columns, _piece(device))) * _ON_THE_WAY


def _piece(device: torch.device) -> int:
    return _PIECE.get(device.type, _PIECE_ELSEWHERE)
