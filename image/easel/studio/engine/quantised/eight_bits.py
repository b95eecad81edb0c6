"""Weights of eight bits, plain or with scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.stored_weight import StoredWeight


@dataclass(frozen=True)
class Fp8Packing:
    """A byte for each number, of float8_e4m3fn or float8_e5m2; `scaled`: times a float32 for each row."""

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
        numbers = _looked_up(codes, self.dtype) if codes.device.type == "cpu" else codes.view(self.dtype)
        return numbers.float() * planes[1].view(torch.float32) if self.scaled else numbers


def _looked_up(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """What each byte means. torch computes it number by number on a CPU, in six times as long."""
    found: Tensor = _table(dtype).index_select(0, codes.flatten().int()).view(codes.shape)
    return found


@lru_cache(maxsize=4)
def _table(dtype: torch.dtype) -> Tensor:
    # Kept for good, so also for who is not in the mode that it was first asked for in.
    with torch.inference_mode(False):
        return torch.arange(256, dtype=torch.uint8).view(dtype).float()


@dataclass(frozen=True)
class Fp8Weight(StoredWeight):
    """A weight of a file; `scale` names the tensor with its scale, of one number or one for each row."""

    dtype: torch.dtype
    scale: str = ""

    @property
    def packing(self) -> Fp8Packing:
        """See `StoredWeight`."""
        return Fp8Packing(self.dtype, self.shape[1], bool(self.scale))

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
        rows = scale.reshape(-1, 1).expand(codes.shape[0], 1).contiguous()
        return codes, rows.view(torch.uint8)
