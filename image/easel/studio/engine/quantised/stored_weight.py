"""A weight of a file that is no plain numbers there, and how it becomes a `PackedWeight`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, expand

_META = torch.device("meta")


@dataclass(frozen=True)
class StoredWeight(ABC):
    """The weight called `name`, of this shape once expanded."""

    name: str
    shape: tuple[int, ...]

    @property
    @abstractmethod
    def packing(self) -> Packing:
        """How it is packed: row by row of `shape`, or, where its rows are no whole blocks, as one long row
        that may be longer than `shape` has numbers."""

    @property
    def beside(self) -> tuple[str, ...]:
        """The other tensors of the file that belong to it."""
        return ()

    @abstractmethod
    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The planes of `packing`, of the file's tensors as they are stored. Raises Incomplete."""

    def taken(self, file: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """The weight: packed where it is a matrix whose rows can be taken apart, else expanded.

        `tensors` hold it and what is `beside` it, as they are stored. Raises Incomplete.
        """
        return self._made(self.planes(file, tensors), dtype)

    def outlined(self, dtype: torch.dtype) -> Tensor:
        """The same on the meta device, without the file."""
        packing = self.packing
        rows = math.prod(self.shape[:-1]) if packing.columns == self.shape[-1] else 1
        planes = (torch.empty((rows, width), dtype=torch.uint8, device=_META) for width in packing.widths)
        return self._made(tuple(planes), dtype)

    def _made(self, planes: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        packing = self.packing
        if len(self.shape) == 2 and packing.columns == self.shape[1]:
            return PackedWeight(packing, planes, dtype)
        return expand(packing, planes, dtype).flatten()[: math.prod(self.shape)].reshape(self.shape)
