"""A tensor that a file has in another form, and how it becomes numbers or a `PackedWeight`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, expand, plane_shapes

_META = torch.device("meta")


@dataclass(frozen=True)
class StoredTensor(ABC):
    """The tensor that converters know as `name`, of this shape, made of the file's `sources`."""

    name: str
    shape: tuple[int, ...]

    @property
    @abstractmethod
    def sources(self) -> tuple[str, ...]:
        """The file's tensors that it is made of, by the names that they have there."""

    @abstractmethod
    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """What it is: a `PackedWeight`, or numbers of this type.

        `tensors` hold its sources as they are stored. Raises Incomplete.
        """

    @abstractmethod
    def outlined(self, dtype: torch.dtype) -> Tensor:
        """The same on the meta device, without the file."""


@dataclass(frozen=True)
class StoredWeight(StoredTensor):
    """A weight that the file has under this name, with others beside it."""

    @property
    @abstractmethod
    def packing(self) -> Packing:
        """How it is packed: row by row of `shape`, or, where its rows are no whole blocks, as one long row
        that may be longer than `shape` has numbers."""

    @property
    def beside(self) -> tuple[str, ...]:
        """The other tensors of the file that belong to it."""
        return ()

    @property
    def sources(self) -> tuple[str, ...]:
        """See `StoredTensor`."""
        return (self.name, *self.beside)

    @abstractmethod
    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The planes of `packing`, of the file's tensors as they are stored. Raises Incomplete."""

    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`: packed where it is a matrix whose rows can be taken apart, else expanded."""
        return self._made(self.planes(file, tensors), dtype)

    def outlined(self, dtype: torch.dtype) -> Tensor:
        """See `StoredTensor`."""
        packing = self.packing
        rows = math.prod(self.shape[:-1]) if packing.columns == self.shape[-1] else 1
        return self._made(empty_planes(packing, rows), dtype)

    def _made(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        packing = self.packing
        if len(self.shape) == 2 and packing.columns == self.shape[1]:
            return PackedWeight(packing, planes, dtype)
        return expand(packing, planes, dtype).flatten()[: math.prod(self.shape)].reshape(self.shape)


def empty_planes(packing: Packing, rows: int) -> tuple[Tensor, ...]:
    """Planes of so many rows, without bytes."""
    shapes = plane_shapes(packing, rows).values()
    return tuple(torch.empty(shape, dtype=torch.uint8, device=_META) for shape in shapes)
