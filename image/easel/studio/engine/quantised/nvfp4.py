"""Weights in NVIDIA's four bits (NVFP4), as ComfyUI and Black Forest Labs publish them.

A number is a float of four bits (E2M1), sixteen of a row share a float of eight (E4M3), and all a float32:
X.weight, two numbers a byte, the first in its upper half; X.weight_scale, in the order in which cuBLAS wants
the scales of blocks (its documentation, "1D Block Scaling Factors Layout"): tiles of 128 rows and 4 blocks, a
tile's rows 32 apart beside one another; and X.weight_scale_2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from easel.models import Incomplete, TensorInfo
from easel.studio.engine.quantised.eight_bits import looked_up
from easel.studio.engine.quantised.four_bits import pairs_of
from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.packing import ByRows
from easel.studio.engine.quantised.stored_weight import StoredWeight

_HALF = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
E2M1 = (*_HALF, *(-one for one in _HALF))
"""The numbers of a float of four bits, by its bits."""
_BLOCK = 16
_TILE_ROWS, _TILE_BLOCKS, _APART = 128, 4, 32
_SCALE, _WHOLE = ".weight_scale", ".weight_scale_2"


@dataclass(frozen=True)
class Nvfp4Packing(ByRows):
    """Half a byte for each number, a byte for sixteen, and a float32 for each row."""

    columns: int

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return ("codes", "block_scales", "row_scales")

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        return (self.columns // 2, self.columns // _BLOCK, 4)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        codes, scales, rows = planes
        blocks = looked_up(scales, torch.float8_e4m3fn).float() * rows.view(torch.float32)
        numbers = pairs_of(codes, E2M1).reshape(-1, _BLOCK) * blocks.reshape(-1, 1)
        return numbers.reshape(-1, self.columns)


@dataclass(frozen=True)
class Nvfp4Weight(StoredWeight):
    """A weight of a file."""

    @property
    def packing(self) -> Nvfp4Packing:
        """See `StoredWeight`."""
        return Nvfp4Packing(self.shape[1])

    @property
    def beside(self) -> tuple[str, ...]:
        """See `StoredWeight`."""
        base = self.name.removesuffix(".weight")
        return (base + _SCALE, base + _WHOLE)

    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """See `StoredWeight`."""
        rows, columns = self.shape
        scale, whole = self.beside
        every = check_finite(file, whole, tensors[whole].float()).reshape(1, 1).expand(rows, 1).contiguous()
        blocks = _in_order(tensors[scale].view(torch.uint8), rows, columns // _BLOCK)
        check_finite(file, scale, looked_up(blocks, torch.float8_e4m3fn).float())
        return tensors[self.name], blocks, every.view(torch.uint8)


def nvfp4_weights(file: str, tensors: Mapping[str, TensorInfo]) -> Iterator[Nvfp4Weight]:
    """Those of a file. Raises Incomplete where what lies beside one does not fit it."""
    for name in tensors:
        if not name.endswith(_WHOLE):
            continue
        base = name.removesuffix(_WHOLE)
        weight, scale = tensors.get(base + ".weight"), tensors.get(base + _SCALE)
        if weight is None or scale is None or (weight.dtype, len(weight.shape)) != ("U8", 2):
            raise Incomplete(
                file,
                f"{name[:120]} stands beside no weight in NVFP4, and is not understood; take a file in fp16, "
                "bf16 or fp8, or a GGUF file",
            )
        rows, columns = weight.shape[0], weight.shape[1] * 2
        wanted = _tiles(rows, _TILE_ROWS) * _tiles(columns // _BLOCK, _TILE_BLOCKS)
        fits = columns % _BLOCK == 0 and (scale.dtype, scale.numel) == ("F8_E4M3", wanted)
        if not fits or (tensors[name].dtype, tensors[name].numel) != ("F32", 1):
            raise Incomplete(file, f"the scales beside {base[:120]}.weight do not fit it; download it again")
        yield Nvfp4Weight(base + ".weight", (rows, columns))


def _in_order(scales: Tensor, rows: int, blocks: int) -> Tensor:
    """(rows, blocks) of a tensor in cuBLAS's order."""
    down, across = _tiles(rows, _TILE_ROWS) // _TILE_ROWS, _tiles(blocks, _TILE_BLOCKS) // _TILE_BLOCKS
    tiles = scales.reshape(down, across, _APART, _TILE_ROWS // _APART, _TILE_BLOCKS)
    whole = tiles.permute(0, 3, 2, 1, 4).reshape(down * _TILE_ROWS, across * _TILE_BLOCKS)
    return whole[:rows, :blocks].contiguous()


def _tiles(count: int, size: int) -> int:
    """`count`, filled up to whole tiles."""
    return ceil(count / size) * size
