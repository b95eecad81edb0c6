"""LoKr: ΔW = w1 ⊗ w2, Kronecker's product (Edalati et al., arXiv 2212.10650; LyCORIS, arXiv 2309.14859).

Each of the two may be a product of low rank in the file, the second about a core for convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.networks.layer import parted, run


@dataclass(frozen=True)
class Kronecker:
    """`w1` is (a, b); `w2` is (out/a, in/b, …) with the layer's kernel."""

    w1: Tensor
    w2: Tensor
    scale: float

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """ΔW · x; for a linear layer w1 · X · w2ᵀ, where X is x in b rows: the product is never made."""
        if not isinstance(layer, nn.Linear):
            return run(layer, seen, self.matrix(layer))
        rows = parted(seen, self.w1.shape[1], self.w2.shape[1])
        return torch.matmul(self.w1, F.linear(rows, self.w2)).flatten(-2)

    def matrix(self, layer: Any) -> Tensor:
        """ΔW."""
        first = self.w1.reshape(*self.w1.shape, *[1] * (self.w2.dim() - 2))
        return torch.kron(first, self.w2.contiguous()).reshape(layer.weight.shape)
