"""Who draws with which networks in a call, and how a layer answers all of them.

A layer's own answer is computed for all rows at once, and what networks make of some is added to them.
Where a layer is small that is dozens of operations which take longer to be called than to compute; there each
set of networks has its rows from a weight that it is merged into, if there is memory for a weight each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easel.studio.engine.networks.difference import WeightDifference
from easel.studio.engine.networks.hadamard import Hadamard
from easel.studio.engine.networks.kronecker import Kronecker
from easel.studio.engine.networks.layer import Change, run
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.networks.names import Place
from easel.studio.engine.networks.network_set import NetworkSet

# A weight is read whole for each set, which takes as long as so many multiply-adds for each of its numbers:
# of the starter's layers those with fewer by low rank were slower merged, those with more faster, one thread
# (docs/decisions/0067).
_WORTH = 6
_WITH_MATRIX = LowRank | WeightDifference | Hadamard | Kronecker


class NetworkCompany:
    """Those of a call: rows, and what they are drawn with."""

    def __init__(
        self, shares: Sequence[tuple[slice, NetworkSet]], layers: Mapping[Place, Any] | None = None
    ) -> None:
        """`layers` are those that may answer by merged weights, where there is room for them."""
        self._shares = tuple(shares)
        self._rows = max((rows.stop or 0 for rows, _ in self._shares), default=0)
        self._merges: dict[Place, bool] = {}
        self._answering = [
            (layer, partial(self._answer, place, layer, layer.forward))
            for place, layer in (layers or {}).items()
        ]

    @property
    def anybody(self) -> bool:
        """Whether somebody draws with a network."""
        return any(one.networks for _, one in self._shares)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within this, layers answer by merged weights where that is quicker; else nothing is different."""
        for layer, answer in self._answering:
            layer.__dict__["forward"] = answer
        try:
            yield
        finally:
            for layer, _ in self._answering:
                del layer.__dict__["forward"]

    def add(self, place: Place, layer: Any, seen: Tensor, output: Tensor) -> None:
        """Add what is at work to the layer's own answer, to the rows of those who draw with it. Each change
        looks at the answer as it was."""
        if self._merges.get(place) and len(seen) == self._rows:
            return
        for rows, networks in self._shares:
            changes = networks.at(place)
            found = own = output[rows] if changes else output
            for left, (change, weight) in zip(range(len(changes) - 1, -1, -1), changes, strict=True):
                added = change.added(layer, seen[rows], own)
                found = torch.add(found, added, alpha=weight * change.scale, out=None if left else own)

    def _answer(self, place: Place, layer: Any, own: Callable[[Tensor], Tensor], seen: Tensor) -> Tensor:
        """In the place of a layer's own forward."""
        if len(seen) != self._rows:
            return own(seen)
        merges = self._merges.get(place)
        if merges is None:
            merges = self._merges[place] = self._is_quicker_merged(place, layer, seen)
        if not merges:
            return own(seen)
        return torch.cat(
            [
                run(layer, seen[rows], networks.merged(place, layer), layer.bias)
                for rows, networks in self._shares
            ]
        )

    def _is_quicker_merged(self, place: Place, layer: Any, seen: Tensor) -> bool:
        """By multiply-adds."""
        changing = [(rows, found) for rows, networks in self._shares if (found := networks.at(place))]
        changes = [change for _, found in changing for change, _ in found]
        if not changes or not all(isinstance(one, _WITH_MATRIX) for one in changes):
            return False
        if not all(isinstance(one, LowRank) for one in changes):
            return True  # those write their whole matrix down in each call
        places = positions(layer, seen)
        by_rank = sum(
            (rows.stop - rows.start) * places * _numbers(change)
            for rows, found in changing
            for change, _ in found
        )
        return bool(by_rank >= _WORTH * len(changing) * layer.weight.numel())


def positions(layer: Any, seen: Tensor) -> int:
    """Of one row, how often the layer's weight is used: tokens, or pixels of the answer."""
    if isinstance(layer, nn.Conv2d):
        return seen[0, 0].numel() // (layer.stride[0] * layer.stride[1])
    return seen[0].numel() // seen.shape[-1]


def _numbers(change: Change) -> int:
    """Of the matrices of a LoRA: as many multiply-adds for each position."""
    assert isinstance(change, LowRank)  # noqa: S101 - see above
    parts = (change.down, change.up) if change.mid is None else (change.down, change.mid, change.up)
    return sum(one.numel() for one in parts)
