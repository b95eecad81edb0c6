"""Weights in GGML's blocks, expanded by diffusers' functions, which are ports of City96's (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers.quantizers.gguf.utils import dequantize_functions
from torch import Tensor

from easel.studio.engine.quantised.ggml_types import BLOCKS, stored_shape
from easel.studio.engine.quantised.packing import ByRows
from easel.studio.engine.quantised.stored_weight import StoredWeight

_EXPANDING = {kind.name: function for kind, function in dequantize_functions.items() if kind.name in BLOCKS}

EXPANDED = frozenset(_EXPANDING)
"""The types that diffusers has a function for; the others cannot be drawn with."""


@dataclass(frozen=True)
class GgmlPacking(ByRows):
    """Rows of whole blocks of one type, by GGML's name of it."""

    kind: str
    columns: int

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return ("blocks",)

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        return (stored_shape(self.kind, (self.columns,))[0],)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`. In single precision, as GGML itself does it: diffusers computes in half, which loses
        the last digits of half of them."""
        count, size = BLOCKS[self.kind]
        blocks = planes[0].reshape(-1, size)
        found: Tensor = _EXPANDING[self.kind](blocks, count, size, torch.float32)
        return found.reshape(-1, self.columns)


@dataclass(frozen=True)
class GgmlWeight(StoredWeight):
    """A tensor of a GGUF file."""

    kind: str

    @property
    def packing(self) -> GgmlPacking:
        """See `StoredWeight`."""
        return GgmlPacking(self.kind, self.shape[-1])

    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """See `StoredWeight`."""
        blocks = tensors[self.name]
        return (blocks.reshape(-1, blocks.shape[-1]),)
