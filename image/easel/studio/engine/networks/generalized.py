"""GLoRA: ΔW = W·A + B with A and B of low rank (Chavan et al., arXiv 2306.07967), as LyCORIS writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easel.studio.engine.networks.layer import pointwise, run
from easel.studio.engine.networks.low_rank import LowRank


@dataclass(frozen=True)
class Generalized:
    """A is a1 (in, rank) · a2 (rank, in); `b` is B."""

    a1: Tensor
    a2: Tensor
    b: LowRank
    scale: float

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """W·(A·x) + B·x."""
        turned = pointwise(layer, pointwise(layer, seen, self.a2), self.a1)
        return run(layer, turned, layer.weight) + self.b.added(layer, seen, output)
