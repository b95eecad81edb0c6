"""Weights in bitsandbytes' four bits (NF4 and FP4): a table of sixteen numbers, and a factor for each block.

Beside X are X.absmax, a factor for each block of the flattened weight, X.quant_map, the table, and
X.quant_state.bitsandbytes__nf4, a JSON of shape and block size. The factors may be packed themselves
(Dettmers et al., arXiv 2305.14314, "double quantization"): X.nested_absmax and X.nested_quant_map. The first
number of a byte is in its upper half.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from easel.models import Incomplete, TensorInfo
from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.packing import ByRows
from easel.studio.engine.quantised.stored_weight import StoredWeight

STATES = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
"""What the names of the JSONs end with."""

# Of numbers with a factor, and of factors packed together; bitsandbytes has 64 (32 to 4096) and 256. Bounded,
# since so many are made room for.
_LARGEST_BLOCK = 4096


@dataclass(frozen=True)
class FourBitPacking(ByRows):
    """Half a byte for each number, which is its place in the `table`, and a float32 for each `block`."""

    table: tuple[float, ...]
    block: int
    columns: int

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return ("codes", "block_scales")

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        return (self.columns // 2, self.columns // self.block * 4)

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        codes, scales = planes
        blocks = pairs_of(codes, self.table).reshape(-1, self.block) * scales.view(torch.float32).reshape(
            -1, 1
        )
        return blocks.reshape(-1, self.columns)


def pairs_of(codes: Tensor, table: tuple[float, ...]) -> Tensor:
    """The two numbers of each byte, float32: its upper half's place in the table, and its lower half's."""
    found: Tensor = F.embedding(codes.int(), _pairs(table, codes.device))
    return found


@lru_cache(maxsize=8)
def _pairs(table: tuple[float, ...], device: torch.device) -> Tensor:
    """The two numbers of each byte."""
    # Kept for good, so also for who is not in the mode that it was first asked for in.
    with torch.inference_mode(False):
        numbers = torch.tensor(table, dtype=torch.float32)
        first, second = numbers.repeat_interleave(16), numbers.repeat(16)
        return torch.stack((first, second), dim=1).to(device)


@dataclass(frozen=True)
class FourBitWeight(StoredWeight):
    """A weight of a file; `offset` is added to factors that were packed themselves, `nested` of them at a
    time (0: they are not)."""

    block: int
    table: tuple[float, ...]
    nested: int = 0
    offset: float = 0.0

    @property
    def packing(self) -> FourBitPacking:
        """See `StoredWeight`."""
        columns = self.shape[-1]
        if len(self.shape) != 2 or columns % self.block:
            columns = math.ceil(math.prod(self.shape) / self.block) * self.block
        return FourBitPacking(self.table, self.block, columns)

    @property
    def beside(self) -> tuple[str, ...]:
        """See `StoredWeight`."""
        nested = (".nested_absmax", ".nested_quant_map") if self.nested else ()
        return tuple(self.name + end for end in (".absmax", *nested))

    @property
    def described_by(self) -> tuple[str, ...]:
        """The tensors that it was made of, which nobody has to read again."""
        return tuple(self.name + end for end in (".quant_map", *STATES))

    def planes(self, file: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """See `StoredWeight`."""
        packing = self.packing
        codes = tensors[self.name].flatten()
        short = math.ceil(math.prod(self.shape) / self.block) * self.block // 2 - codes.numel()
        scales = check_finite(file, self.name + ".absmax", self._scales(tensors))
        return (
            F.pad(codes, (0, short)).reshape(-1, packing.columns // 2),
            scales.view(torch.uint8).reshape(-1, packing.widths[1]),
        )

    def _scales(self, tensors: Mapping[str, Tensor]) -> Tensor:
        scales = tensors[self.name + ".absmax"]
        if not self.nested:
            return scales.float()
        table, outer = (tensors[self.name + end] for end in (".nested_quant_map", ".nested_absmax"))
        blocks = outer.float().repeat_interleave(self.nested)[: scales.numel()]
        return table.float()[scales.int()] * blocks + self.offset


def four_bit_weight(
    file: str, name: str, state: Tensor, table: Tensor, tensors: Mapping[str, TensorInfo]
) -> FourBitWeight:
    """The weight called `name`, of the JSON `state`. Raises Incomplete where the file's tensors are others
    than it says."""
    try:
        said: dict[str, Any] = json.loads(bytes(state.flatten().tolist()))
        shape = tuple(int(one) for one in said["shape"])
        nested = int(said["nested_blocksize"]) if name + ".nested_absmax" in tensors else 0
        offset = float(said["nested_offset"]) if nested else 0.0
        block = int(said["blocksize"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Incomplete(file, f"what is said of {name[:120]} cannot be read; download it again") from None
    numbers = tuple(check_finite(file, name + ".quant_map", table.float()).flatten().tolist())
    if not shape or min(shape) < 1 or len(numbers) != 16 or block % 2:
        raise _unlike(file, name)
    if not 2 <= block <= _LARGEST_BLOCK or not 0 <= nested <= _LARGEST_BLOCK:
        raise _unlike(file, name)
    found = FourBitWeight(name, shape, block, numbers, nested, offset)
    _check(file, found, tensors)
    return found


def _check(file: str, weight: FourBitWeight, tensors: Mapping[str, TensorInfo]) -> None:
    count = math.prod(weight.shape)
    blocks = math.ceil(count / weight.block)
    wanted = {weight.name: ("U8", math.ceil(count / 2)), weight.name + ".absmax": ("F32", blocks)}
    if weight.nested:
        wanted[weight.name + ".absmax"] = ("U8", blocks)
        wanted[weight.name + ".nested_absmax"] = ("F32", math.ceil(blocks / weight.nested))
        wanted[weight.name + ".nested_quant_map"] = ("F32", 256)
    for name, (dtype, numel) in wanted.items():
        if name not in tensors or (tensors[name].dtype, tensors[name].numel) != (dtype, numel):
            raise _unlike(file, weight.name)


def _unlike(file: str, name: str) -> Incomplete:
    return Incomplete(file, f"{name[:120]} is not of the shape that is said beside it; download it again")
