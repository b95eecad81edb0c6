"""A weight that is packed, and a tensor all the same: of the shape and type that its numbers would have.

What takes rows apart or puts them together keeps it packed, so that the converters, which cut a fused q, k, v
along its rows, need not know of it. Whatever else is done to it is done to its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from easel.studio.engine.quantised.packing import Packing, expand

_aten = torch.ops.aten


class PackedWeight(Tensor):
    """A matrix of `packing`, to be expanded to `dtype`. Its `planes` are uint8, on one device, those that its
    rows share last."""

    packing: Packing
    planes: tuple[Tensor, ...]

    @staticmethod
    def __new__(cls, packing: Packing, planes: tuple[Tensor, ...], dtype: torch.dtype) -> PackedWeight:
        """Without storage of its own."""
        shape = (planes[0].shape[0], packing.columns)
        made: PackedWeight = torch.Tensor._make_wrapper_subclass(
            cls, shape, dtype=dtype, device=planes[0].device
        )
        made.packing, made.planes = packing, planes
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Do what is asked with the planes if it can be done by rows, with the numbers if not."""
        by_rows = _BY_ROWS.get(func)
        found = by_rows(func, *args, **(kwargs or {})) if by_rows is not None else None
        if found is not None:
            return found
        plain_args, plain_kwargs = tree_map_only(cls, cls.expanded, (args, kwargs or {}))
        return func(*plain_args, **plain_kwargs)

    @property
    def own(self) -> tuple[Tensor, ...]:
        """The planes with a row for each of its rows."""
        return self.planes[: len(self.packing.planes)]

    @property
    def common(self) -> tuple[Tensor, ...]:
        """Those that all rows share."""
        return self.planes[len(self.packing.planes) :]

    def expanded(self) -> Tensor:
        """The numbers."""
        return expand(self.packing, self.planes, self.dtype)

    def copied(self, device: torch.device) -> PackedWeight:
        """The same bytes on a device, in memory of their own."""
        return _made(self, [torch.empty_like(one, device=device).copy_(one) for one in self.planes])

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        """For error messages: no numbers."""
        return f"PackedWeight({tuple(self.shape)}, {self.packing})"


def _made(like: PackedWeight, planes: Sequence[Tensor]) -> PackedWeight:
    return PackedWeight(like.packing, tuple(planes), like.dtype)


def _of_rows(like: PackedWeight, own: Sequence[Tensor]) -> PackedWeight:
    return _made(like, (*own, *like.common))


def _alike(func: Any, packed: PackedWeight, **_: object) -> PackedWeight:
    """detach, alias, clone; rows lie one behind the other in any case."""
    return _made(packed, [func(plane) for plane in packed.planes])


def _sliced(
    func: Any, packed: PackedWeight, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> PackedWeight | None:  # fmt: skip
    if dim % 2:
        return None
    return _of_rows(packed, [func(plane, 0, start, end, step) for plane in packed.own])


def _split(func: Any, packed: PackedWeight, sizes: Any, dim: int = 0) -> list[PackedWeight] | None:
    if dim % 2:
        return None
    pieces = zip(*(func(plane, sizes, 0) for plane in packed.own), strict=True)
    return [_of_rows(packed, piece) for piece in pieces]


def _indexed(func: Any, packed: PackedWeight, indices: list[Tensor | None]) -> PackedWeight | None:
    if len(indices) != 1 or indices[0] is None or indices[0].dim() != 1:
        return None
    return _of_rows(packed, [func(plane, indices) for plane in packed.own])


def _joined(func: Any, parts: Sequence[Any], dim: int = 0) -> PackedWeight | None:
    first = parts[0]
    if dim % 2 or not isinstance(first, PackedWeight):
        return None
    if any(
        not isinstance(one, PackedWeight) or (one.packing, one.dtype) != (first.packing, first.dtype)
        for one in parts
    ):
        return None
    if any(one is not other for part in parts for one, other in zip(part.common, first.common, strict=True)):
        return None
    return _of_rows(
        first, [func(list(planes), 0) for planes in zip(*(one.own for one in parts), strict=True)]
    )


_BY_ROWS: dict[Any, Callable[..., Any]] = {
    _aten.detach.default: _alike,
    _aten.alias.default: _alike,
    _aten.clone.default: _alike,
    _aten.slice.Tensor: _sliced,
    _aten.split.Tensor: _split,
    _aten.split_with_sizes.default: _split,
    _aten.index.Tensor: _indexed,
    _aten.cat.default: _joined,
}
