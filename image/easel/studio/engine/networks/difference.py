"""Whole differences: `diff` of a weight (LyCORIS's "full"), `w_norm` of a norm's, `diff_b` of a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easel.studio.engine.networks.layer import by_channel, run


@dataclass(frozen=True)
class WeightDifference:
    """`weight` is of the shape of the layer's own."""

    weight: Tensor
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """ΔW · x; for a norm, ΔW ∘ x normalized."""
        return run(layer, seen, self.weight)

    def matrix(self, layer: Any) -> Tensor:
        """ΔW."""
        return self.weight


@dataclass(frozen=True)
class BiasDifference:
    """A number for each channel of the output."""

    bias: Tensor
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """Δb, wherever it is looked at."""
        return by_channel(layer, self.bias).expand_as(output)
