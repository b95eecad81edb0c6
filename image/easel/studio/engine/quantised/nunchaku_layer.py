"""Layers of a file for nunchaku: what their tensors have to be, and the rows that are asked of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.models import Incomplete, TensorInfo
from easel.studio.engine.quantised import nunchaku_order as order
from easel.studio.engine.quantised.eight_bits import looked_up
from easel.studio.engine.quantised.numbers_check import check_finite
from easel.studio.engine.quantised.nunchaku_order import Rows
from easel.studio.engine.quantised.packing import Packing, expand
from easel.studio.engine.quantised.svdquant import (
    FLOAT_GROUP,
    WHOLE_GROUP,
    PlainFourBitPacking,
    SvdquantPacking,
)

HALVES = {"F16": torch.float16, "BF16": torch.bfloat16}

ROLES: Mapping[str, tuple[str, ...]] = {
    "qweight": ("qweight",),
    "wscales": ("wscales",),
    "wzeros": ("wzeros",),
    "wcscales": ("wcscales",),
    "wtscale": ("wtscale",),
    "smooth": ("smooth", "smooth_factor"),
    "down": ("lora_down", "proj_down"),
    "up": ("lora_up", "proj_up"),
    "bias": ("bias",),
    # kept for whoever packs it again
    "unused": ("smooth_orig", "smooth_factor_orig"),
}
"""What a layer's tensors are for, and how they are called: in files for FLUX.1, and in those of later
families."""


@dataclass(frozen=True)
class NunchakuLayer(ABC):
    """A layer of so many rows and columns, and its tensors' names in the file by their roles."""

    rows: int
    columns: int
    half: torch.dtype
    names: Mapping[str, str]

    @property
    @abstractmethod
    def packing(self) -> Packing:
        """How its rows are packed here."""

    @abstractmethod
    def planes(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> tuple[Tensor, ...]:
        """The planes of these rows. Raises Incomplete for factors that are no numbers."""

    @abstractmethod
    def bias(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """What is added to these rows, in single precision."""

    @property
    def weight_sources(self) -> tuple[str, ...]:
        """The tensors that its weight is made of."""
        return tuple(name for role, name in self.names.items() if role not in ("bias", "unused"))

    @property
    def bias_sources(self) -> tuple[str, ...]:
        """The tensors that its bias is made of."""
        return (self.names["bias"],)

    def _finite(self, file: str, tensors: Mapping[str, Tensor], role: str) -> Tensor:
        name = self.names[role]
        found = tensors[name]
        numbers = looked_up(found.view(torch.uint8), found.dtype) if found.itemsize == 1 else found
        check_finite(file, name, numbers.float())
        return found


@dataclass(frozen=True)
class SvdquantLayer(NunchakuLayer):
    """A layer of four bits with a branch of so many ranks. `shift`: nunchaku adds it to what comes in, so
    that it is never below nothing, and the file's bias makes up for what that adds."""

    rank: int
    floats: bool
    shift: float = 0.0

    @property
    def packing(self) -> SvdquantPacking:
        """See `NunchakuLayer`."""
        return SvdquantPacking(self.columns, self.rank, self.half, self.floats)

    @property
    def bias_sources(self) -> tuple[str, ...]:
        """See `NunchakuLayer`."""
        shifted = (name for role, name in self.names.items() if role not in ("down", "up", "unused", "bias"))
        return (self.names["bias"], *(shifted if self.shift else ()))

    def planes(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> tuple[Tensor, ...]:
        """See `NunchakuLayer`."""
        smooth = order.vector(self._finite(file, tensors, "smooth")).reshape(1, -1)
        check_finite(file, self.names["smooth"], 1 / smooth.float())
        own, shared = self._factors(file, tensors, rows), [smooth]
        if self.rank:
            up = order.low_rank(self._finite(file, tensors, "up"), down=False)
            own.append(up[rows.first : rows.first + rows.count])
            shared.append(order.low_rank(self._finite(file, tensors, "down"), down=True))
        found = order.codes(tensors[self.names["qweight"]], rows)
        return (found, *(one.contiguous().view(torch.uint8) for one in (*own, *shared)))

    def bias(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """See `NunchakuLayer`."""
        found = order.vector(self._finite(file, tensors, "bias"), rows).float()
        if self.shift:
            found += self.shift * self._sums(file, tensors, rows)
        return found

    def _factors(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> list[Tensor]:
        scales = self._finite(file, tensors, "wscales")
        if not self.floats:
            return [order.factors(scales, self.columns // WHOLE_GROUP, rows)]
        whole = torch.ones(rows.count, device=scales.device)
        if "wcscales" in self.names:
            whole *= order.vector(self._finite(file, tensors, "wcscales"), rows).float()
        if "wtscale" in self.names:
            whole *= self._finite(file, tensors, "wtscale").float().reshape(())
        return [order.small_factors(scales, self.columns // FLOAT_GROUP, rows), whole.reshape(-1, 1)]

    def _sums(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """Of each row without the branch, a tile at a time."""
        alone = SvdquantLayer(self.rows, self.columns, self.half, self.names, 0, self.floats)
        found = []
        for first in range(rows.first, rows.first + rows.count, order.TILE):
            some = Rows(first, min(order.TILE, rows.first + rows.count - first))
            planes = alone.planes(file, tensors, some)
            found.append(expand(alone.packing, planes, torch.float32).sum(dim=1))
        return torch.cat(found)


@dataclass(frozen=True)
class PlainLayer(NunchakuLayer):
    """A layer of four bits that is multiplied in 16, which makes `splits` vectors of what comes in. In the
    file their numbers take turns, and those that scale (the second, and the last but one) have the 1 in their
    bias that is added to them."""

    splits: int

    @property
    def packing(self) -> PlainFourBitPacking:
        """See `NunchakuLayer`."""
        return PlainFourBitPacking(self.columns, self.half)

    def planes(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> tuple[Tensor, ...]:
        """See `NunchakuLayer`."""
        groups = self.columns // WHOLE_GROUP
        beside = (self._finite(file, tensors, role)[:groups].T for role in ("wscales", "wzeros"))
        every = (order.plain_codes(tensors[self.names["qweight"]]), *beside)
        return tuple(
            rows_of.contiguous().view(torch.uint8)
            for rows_of in (self._in_order(one)[rows.first : rows.first + rows.count] for one in every)
        )

    def bias(self, file: str, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """See `NunchakuLayer`."""
        found = self._in_order(self._finite(file, tensors, "bias").float().reshape(-1, 1))
        vectors = found.reshape(self.splits, -1).clone()
        vectors[[1, -2] if self.splits > 3 else [1]] -= 1
        return vectors.flatten()[rows.first : rows.first + rows.count]

    def _in_order(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, self.splits, rows.shape[1]).transpose(0, 1).reshape(-1, rows.shape[1])


def nunchaku_layer(
    file: str, base: str, tensors: Mapping[str, TensorInfo], *, shift: float, splits: int
) -> NunchakuLayer:
    """The layer called `base`, of `splits` vectors where it is multiplied in 16 bits, and with this `shift`
    where it is not, and whole numbers.

    Raises Incomplete where a tensor is none that such a layer has.
    """
    names = {
        role: f"{base}.{ending}"
        for role, endings in ROLES.items()
        for ending in endings
        if f"{base}.{ending}" in tensors
    }
    there = {role: tensors[name] for role, name in names.items()}
    made = _plain_layer(there, names, splits) if splits else _svdquant_layer(there, names, shift)
    if made is None:
        raise Incomplete(
            file,
            f"the tensors beside {base[:120]}.qweight are not of the shapes and types that nunchaku's layers "
            "have; download it again, or take a GGUF file or one in fp8",
        )
    return made


def _svdquant_layer(
    there: Mapping[str, TensorInfo], names: Mapping[str, str], shift: float
) -> SvdquantLayer | None:
    weight, smooth = there["qweight"], there.get("smooth")
    if smooth is None or smooth.dtype not in HALVES or (weight.dtype, len(weight.shape)) != ("I8", 2):
        return None
    rows, columns = weight.shape[0], weight.shape[1] * 2
    down = there.get("down")
    rank = down.shape[-1] if down is not None and down.shape else 0
    floats = there["wscales"].dtype == "F8_E4M3"
    number = smooth.dtype
    wanted = {
        "qweight": ("I8", rows * columns // 2),
        "wscales": ("F8_E4M3", rows * columns // FLOAT_GROUP)
        if floats
        else (number, rows * columns // WHOLE_GROUP),
        "smooth": (number, columns),
        "bias": (number, rows),
        "down": (number, columns * rank),
        "up": (number, rows * rank),
        "wcscales": (number, rows),
        "unused": (number, columns),
    }
    single = there.get("wtscale")
    fits = (
        rows % order.TILE == 0
        and columns % (2 * order.STEP) == 0
        and rank % order.RANKS == 0
        and ("up" in there) == bool(rank) == ("down" in there)
        and (floats or not {"wcscales", "wtscale"} & there.keys())
        and (single is None or (single.numel == 1 and single.dtype in (*HALVES, "F32")))
        and all((one.dtype, one.numel) == wanted[role] for role, one in there.items() if role in wanted)
        and "wzeros" not in there
    )
    if not fits:
        return None
    return SvdquantLayer(rows, columns, HALVES[number], names, rank, floats, 0.0 if floats else shift)


def _plain_layer(there: Mapping[str, TensorInfo], names: Mapping[str, str], splits: int) -> PlainLayer | None:
    weight, scales, zeros = (there.get(role) for role in ("qweight", "wscales", "wzeros"))
    if (
        weight is None
        or scales is None
        or zeros is None
        or there.keys() > {"qweight", "wscales", "wzeros", "bias"}
    ):
        return None
    if (weight.dtype, len(weight.shape), len(scales.shape)) != ("I32", 2, 2) or scales.dtype not in HALVES:
        return None
    rows, columns = weight.shape[0] * 4, weight.shape[1] * 2
    # There may be more groups than columns need: their number is filled up.
    fits = (
        columns % order.STEP == 0
        and rows % splits == 0
        and scales.shape[1] == rows
        and scales.shape[0] >= columns // WHOLE_GROUP
        and (zeros.dtype, zeros.shape) == (scales.dtype, scales.shape)
        and ("bias" not in there or (there["bias"].dtype, there["bias"].numel) == (scales.dtype, rows))
    )
    return PlainLayer(rows, columns, HALVES[scales.dtype], names, splits) if fits else None
