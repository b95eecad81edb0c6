"""Weights of eight bits: floats, plain or with scales, and whole numbers with scales.

bitsandbytes keeps the largest number of each row, X.SCB, which is 127 in its whole numbers (Dettmers et al.,
arXiv 2208.07339). It multiplies such layers in whole numbers too; here they are expanded, as all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.packing import ByRows
from easel.studio.engine.quantised.stored_weight import StoredWeight


@dataclass(frozen=True)
class EightBitPacking(ByRows):
    """A byte for each number, of float8_e4m3fn, float8_e5m2 or int8; `scaled`: times a float32 for each
    row."""

    dtype: torch.dtype
    columns: int
    scaled: bool

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return ("codes", "row_scales") if self.scaled else ("codes",)

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        return (self.columns, 4) if self.scaled else (self.columns,)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        codes = planes[0]
        numbers = looked_up(codes, self.dtype)
        return numbers.float() * planes[1].view(torch.float32) if self.scaled else numbers


def looked_up(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """What each byte means, in a type that holds it. torch computes it number by number on a CPU, in six
    times as long."""
    if codes.device.type != "cpu":
        return codes.view(dtype)
    found: Tensor = _table(dtype).index_select(0, codes.flatten().int()).view(codes.shape)
    return found


@lru_cache(maxsize=4)
def _table(dtype: torch.dtype) -> Tensor:
    # Kept for good, so also for who is not in the mode that it was first asked for in.
    with torch.inference_mode(False):
        return torch.arange(256, dtype=torch.uint8).view(dtype).float()


@dataclass(frozen=True)
class EightBitWeight(StoredWeight):
    """A weight of a file; `scale` names the tensor with its scale, of one number or one for each row, which
    is told in parts of `divisor`."""

    dtype: torch.dtype
    scale: str = ""
    divisor: float = 1.0

    @property
    def packing(self) -> EightBitPacking:
        """See `StoredWeight`."""
        return EightBitPacking(self.dtype, self.shape[1], bool(self.scale))

    @property
    def beside(self) -> tuple[str, ...]:
        """See `StoredWeight`."""
        return (self.scale,) if self.scale else ()

    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """See `StoredWeight`."""
        codes = tensors[self.name].view(torch.uint8)
        if not self.scale:
            return (codes,)
        scale = check_finite(file, self.scale, tensors[self.scale].float())
        rows = (scale / self.divisor).reshape(-1, 1).expand(codes.shape[0], 1).contiguous()
        return codes, rows.view(torch.uint8)
