"""Weights in SVDQuant's four bits (Li et al., arXiv 2411.05007), as nunchaku draws with them.

What cannot be said well in four bits goes into a low-rank branch beside them, and columns are divided by
factors that make them alike: W = Q / smooth + up @ down. Q's numbers are whole ones of four bits with a
factor for 64 of a row, or floats of four bits (E2M1) with an eight-bit float for 16 and a number for the row.
nunchaku rounds what comes in to four bits too; here it goes in as it comes, so the picture is a little
another.

`PlainFourBitPacking` is of the layers beside them that are multiplied in 16 bits: W = Q · factor + zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.studio.engine.quantised.eight_bits import looked_up
from easel.studio.engine.quantised.four_bits import pairs_of
from easel.studio.engine.quantised.nvfp4 import E2M1
from easel.studio.engine.quantised.packing import ByRows

WHOLE_GROUP, FLOAT_GROUP = 64, 16
"""Numbers of a row that share a factor."""
_SIGNED = (*map(float, range(8)), *map(float, range(-8, 0)))
_UNSIGNED = tuple(map(float, range(16)))
_BYTES = 2


@dataclass(frozen=True)
class SvdquantPacking:
    """Half a byte for each number and their factors; the branch's `rank` (0: there is none), and what its
    numbers and the factors are stored as. `floats`: as NVFP4."""

    columns: int
    rank: int
    half: torch.dtype
    floats: bool

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        rows = ("row_scales",) if self.floats else ()
        return ("codes", "block_scales", *rows, *(("up",) if self.rank else ()))

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        scales = (self.columns // FLOAT_GROUP, 4) if self.floats else (self.columns // WHOLE_GROUP * _BYTES,)
        return (self.columns // 2, *scales, *((self.rank * _BYTES,) if self.rank else ()))

    @property
    def shared(self) -> Mapping[str, tuple[int, int]]:
        """See `Packing`."""
        branch = {"down": (self.rank, self.columns * _BYTES)} if self.rank else {}
        return {"smooth": (1, self.columns * _BYTES), **branch}

    def opened(self, shared: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """See `Packing`."""
        smooth, *down = (one.view(self.half).float() for one in shared)
        return (1 / smooth, *down)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        if self.floats:
            codes, blocks, rows, *branch = planes
            factors = looked_up(blocks, torch.float8_e4m3fn).float() * rows.view(torch.float32)
            found = pairs_of(codes, E2M1).reshape(-1, FLOAT_GROUP)
        else:
            codes, blocks, *branch = planes
            factors = blocks.view(self.half).float()
            found = pairs_of(codes, _SIGNED).reshape(-1, WHOLE_GROUP)
        found = found.mul_(factors.reshape(-1, 1)).reshape(-1, self.columns)
        if not self.rank:
            return found.mul_(branch[0])
        up, smooth, down = branch
        return found.mul_(smooth).addmm_(up.view(self.half).float(), down)


@dataclass(frozen=True)
class PlainFourBitPacking(ByRows):
    """Half a byte for each number, and for 64 of a row a factor and what is added."""

    columns: int
    half: torch.dtype

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return ("codes", "block_scales", "block_zeros")

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        groups = self.columns // WHOLE_GROUP * _BYTES
        return (self.columns // 2, groups, groups)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        codes, *beside = planes
        factors, zeros = (one.view(self.half).float().reshape(-1, 1) for one in beside)
        found = pairs_of(codes, _UNSIGNED).reshape(-1, WHOLE_GROUP)
        return found.mul_(factors).add_(zeros).reshape(-1, self.columns)
