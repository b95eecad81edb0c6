"""The orders in which nunchaku's programs read numbers on a GPU, undone: to rows, as everybody else has them.

What a thread of a GPU reads at once lies together in the file, tile by tile of 128 rows. The orders are
written down in the code that packs such files, `nunchaku/lora/flux/packer.py` of nunchaku and
`backend/nunchaku/utils.py` and `backend/tinychat/utils.py` of deepcompressor (both Apache-2.0); each function
names the one that it undoes. The tests hold them against files that deepcompressor packed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TILE = 128
"""Rows that lie together."""
STEP = 64
"""Columns that lie together."""
RANKS = 16
"""Rows and columns of the low-rank branch that lie together."""
_FIRST, _SECOND = 0x0F, 0xF0


@dataclass(frozen=True)
class Rows:
    """Some rows of a layer."""

    first: int
    count: int

    @property
    def tiles(self) -> slice:
        """The tiles that they lie in."""
        return slice(self.first // TILE, -(-(self.first + self.count) // TILE))

    def of_tiles(self, found: Tensor) -> Tensor:
        """They alone, of the rows of those tiles."""
        start = self.first % TILE
        return found[start : start + self.count].contiguous()


def codes(packed: Tensor, rows: Rows) -> Tensor:
    """Undoes `pack_weight` for four bits: (rows, columns / 2) of uint8, two numbers a byte, the first in its
    upper half. `packed` is (all rows, columns / 2) of int8."""
    width = packed.shape[1]
    # Of a tile: 64 columns, 16 rows, 8 rows of a lane, 4 columns of a lane, its two rows 8 apart, its two
    # columns 32 apart, and four bytes of eight numbers.
    tiles = packed.view(torch.uint8).reshape(-1, width * 2 // STEP, 8, 8, 4, 2, 2, 4)[rows.tiles]
    found = rows.of_tiles(tiles.permute(0, 2, 5, 3, 1, 6, 4, 7).reshape(-1, width))
    return (found & _FIRST) * 16 + (found >> 4)


def factors(packed: Tensor, groups: int, rows: Rows) -> Tensor:
    """Undoes `pack_scale`: (rows, groups) of numbers of two bytes, as `packed` has them."""
    tiles = packed.reshape(-1, groups, 8, 4, 2, 2)[rows.tiles]
    return rows.of_tiles(tiles.permute(0, 2, 4, 3, 5, 1).reshape(-1, groups))


def vector(packed: Tensor, rows: Rows | None = None) -> Tensor:
    """The same of one number for each row."""
    return factors(packed, 1, rows or Rows(0, packed.numel())).flatten()


def small_factors(packed: Tensor, groups: int, rows: Rows) -> Tensor:
    """Undoes `pack_micro_scale`: (rows, groups) of the bytes of eight-bit floats."""
    tiles = packed.view(torch.uint8).reshape(-1, groups // 4, 8, 4, 4, 4)[rows.tiles]
    return rows.of_tiles(tiles.permute(0, 4, 3, 2, 1, 5).reshape(-1, groups))


def low_rank(packed: Tensor, *, down: bool) -> Tensor:
    """Undoes `pack_lowrank_weight`: (rank, columns) of the half that looks at what comes in (`down`), (rows,
    rank) of the other. `packed` is (columns or rows, rank)."""
    height, rank = packed.shape
    lanes = packed.reshape(height // RANKS, rank // RANKS, 8, 4, 2, 2, 2).permute(0, 1, 4, 2, 5, 3, 6)
    tiles = lanes.reshape(height // RANKS, rank // RANKS, RANKS, RANKS)
    if down:
        return tiles.permute(1, 2, 0, 3).reshape(rank, height)
    return tiles.permute(0, 2, 1, 3).reshape(height, rank)


def plain_codes(packed: Tensor) -> Tensor:
    """Undoes tinychat's `pack_w4`: as `codes`, of a layer that is multiplied in 16 bits. `packed` is (rows /
    4, columns / 2) of int32: of four rows 64 columns after one another, of 32 columns those 8 apart together.
    """
    height, columns = packed.shape[0] * 4, packed.shape[1] * 2
    rows = packed.view(torch.uint8).reshape(-1, columns // STEP, 4, STEP // 2).transpose(1, 2)
    # Of two bytes the halves are numbers eight apart; beside each other are those of the next two bytes.
    even, odd = rows.reshape(height, columns // 32, 4, 2, 2).unbind(dim=3)
    halves = ((even & _FIRST) * 16 + (odd & _FIRST), (even & _SECOND) + (odd >> 4))
    return torch.stack(halves, dim=-1).permute(0, 1, 3, 4, 2).reshape(height, columns // 2)
