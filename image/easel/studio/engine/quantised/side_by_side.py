"""Packed matrices of as many rows that are one: each has some of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.studio.engine.quantised.packing import Packing


@dataclass(frozen=True)
class SideBySidePacking:
    """The packings of its parts, from the left. Their planes are called as theirs, with the part's number."""

    parts: tuple[Packing, ...]

    @property
    def columns(self) -> int:
        """See `Packing`."""
        return sum(one.columns for one in self.parts)

    @property
    def planes(self) -> tuple[str, ...]:
        """See `Packing`."""
        return tuple(f"{name}_{number}" for number, one in enumerate(self.parts) for name in one.planes)

    @property
    def widths(self) -> tuple[int, ...]:
        """See `Packing`."""
        return tuple(width for one in self.parts for width in one.widths)

    @property
    def shared(self) -> Mapping[str, tuple[int, int]]:
        """See `Packing`."""
        return {
            f"{name}_{number}": shape
            for number, one in enumerate(self.parts)
            for name, shape in one.shared.items()
        }

    def opened(self, shared: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """See `Packing`."""
        rest = iter(shared)
        return tuple(found for one in self.parts for found in one.opened(_next(rest, len(one.shared))))

    def numbers(self, planes: tuple[Tensor, ...]) -> Tensor:
        """See `Packing`."""
        own, opened = iter(planes[: len(self.planes)]), iter(planes[len(self.planes) :])
        return torch.cat(
            [
                one.numbers((*_next(own, len(one.planes)), *_next(opened, len(one.shared))))
                for one in self.parts
            ],
            dim=1,
        )


def laid_beside(parts: list[tuple[Tensor, ...]], packing: SideBySidePacking) -> tuple[Tensor, ...]:
    """The planes of `packing`, of those of its parts."""
    counts = [len(one.planes) for one in packing.parts]
    own = [plane for planes, count in zip(parts, counts, strict=True) for plane in planes[:count]]
    return (*own, *(plane for planes, count in zip(parts, counts, strict=True) for plane in planes[count:]))


def _next(planes: Iterator[Tensor], count: int) -> tuple[Tensor, ...]:
    return tuple(next(planes) for _ in range(count))
