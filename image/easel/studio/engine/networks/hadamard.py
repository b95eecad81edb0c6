"""LoHa: ΔW = (w1_a · w1_b) ∘ (w2_a · w2_b), a product number by number (FedPara, arXiv 2108.06098; LyCORIS).

Two products of rank r multiplied so reach rank r², so that there is no way round the whole matrix: it is made
anew in each call, which costs little beside the layer itself, and only the factors are kept in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easel.studio.engine.networks.layer import run, tucker


@dataclass(frozen=True)
class Half:
    """One of the two products: a (out, rank) and b (rank, in·kernel), or a (rank, out) and b (rank, in) about
    a `core` (rank, rank, …)."""

    a: Tensor
    b: Tensor
    core: Tensor | None = None

    def product(self) -> Tensor:
        """The whole matrix."""
        return self.a @ self.b if self.core is None else tucker(self.core, self.a, self.b)


@dataclass(frozen=True)
class Hadamard:
    """Two halves."""

    first: Half
    second: Half
    scale: float

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """ΔW · x."""
        return run(layer, seen, self.matrix(layer))

    def matrix(self, layer: Any) -> Tensor:
        """ΔW."""
        return (self.first.product() * self.second.product()).reshape(layer.weight.shape)
