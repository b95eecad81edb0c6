"""IA³: channels louder or softer (Liu et al., arXiv 2205.05638): ΔW = W · diag(w), of input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easel.studio.engine.networks.layer import by_channel, run, without_bias


@dataclass(frozen=True)
class Rescaled:
    """`by` is what each channel is more than it was, as a share of it."""

    by: Tensor
    of_input: bool
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """ΔW · x."""
        by = by_channel(layer, self.by)
        return run(layer, seen * by, layer.weight) if self.of_input else without_bias(layer, output) * by
