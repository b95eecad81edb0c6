"""The networks that some pictures are drawn with, and what a layer is with all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from easel.studio.engine.networks.extra_networks import LoraUse
from easel.studio.engine.networks.layer import Change
from easel.studio.engine.networks.low_rank import LowRank
from easel.studio.engine.networks.names import Place
from easel.studio.engine.networks.network_file import LoadedNetwork

# What changes a layer, and the weight of each.
Weighed = tuple[tuple[Change, float], ...]


class NetworkSet:
    """Those of one tag after another. `weight_in` is what a use counts with at a place."""

    def __init__(
        self,
        networks: Sequence[tuple[LoadedNetwork, LoraUse]],
        weight_in: Callable[[LoraUse, Place], float],
    ) -> None:
        self.networks = tuple(networks)
        self._weight_in = weight_in
        self._changes: dict[Place, Weighed] = {}
        self._merged: dict[Place, Tensor] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the merged weights."""
        return sum(one.numel() * one.element_size() for one in self._merged.values())

    @property
    def places(self) -> set[Place]:
        """All layers that some of them changes."""
        return {place for network, _ in self.networks for place in network.changes}

    def at(self, place: Place) -> Weighed:
        """What changes this layer; nothing with a weight of 0."""
        found = self._changes.get(place)
        if found is None:
            found = self._changes[place] = tuple(
                (_of_rank(change, use.limits.rank), weight)
                for network, use in self.networks
                if (weight := self._weight_in(use, place))
                for change in network.changes.get(place, ())
            )
        return found

    def merged(self, place: Place, layer: Any) -> Tensor:
        """The layer's weight with all changes in it, all of which have a matrix; its own where there are
        none. Kept until `forget`."""
        own: Tensor = layer.weight
        if not self.at(place):
            return own
        found = self._merged.get(place)
        if found is None:
            found = own.detach()
            for change, weight in self.at(place):
                matrix: Tensor = change.matrix(layer)  # type: ignore[attr-defined]
                found = torch.add(found, matrix, alpha=weight * change.scale)
            self._merged[place] = found
        return found

    def forget(self) -> None:
        """Let the merged weights go."""
        self._merged.clear()


def _of_rank(change: Change, rank: int) -> Change:
    """Cut to so many of its ranks, where it has some and not all count (0)."""
    return change.cut_to(rank) if rank and isinstance(change, LowRank) else change
