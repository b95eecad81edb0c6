"""LoKr: ΔW = w1 ⊗ w2, Kronecker's product (Edalati et al., arXiv 2212.10650; LyCORIS, arXiv 2309.14859).

Each of the two may be a product of low rank in the file, the second about a core for convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.networks.layer import parted, run


@dataclass(frozen=True)
class Kronecker:
    """`w1` is (a, b); `w2` is (out/a, in/b, …) with the layer's kernel. `rows` of the product are the
    layer's, where it is not all."""

    w1: Tensor
    w2: Tensor
    scale: float
    rows: tuple[slice, ...] = ()

    def of_rows(self, rows: Sequence[slice]) -> Kronecker:
        """ΔW's rows for a module that has these of the layer: the rows of `w1` that make them, and of what
        these make `rows`, where it is more."""
        high = self.w2.shape[0]
        spans = [slice(one.start // high, -(-one.stop // high)) for one in rows]
        pieces = [self.w1[span] for span in spans]
        first = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        own, above = [], 0
        for one, span in zip(rows, spans, strict=True):
            less = above - span.start * high
            own.append(slice(one.start + less, one.stop + less))
            above += (span.stop - span.start) * high
        exact = sum(one.stop - one.start for one in own) == above
        return replace(self, w1=first, rows=() if exact else tuple(own))

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """ΔW · x; for a linear layer w1 · X · w2ᵀ, where X is x in b rows: the product is never made."""
        if not isinstance(layer, nn.Linear):
            return run(layer, seen, self.matrix(layer))
        rows = parted(seen, self.w1.shape[1], self.w2.shape[1])
        return self._own(torch.matmul(self.w1, F.linear(rows, self.w2)).flatten(-2), dim=-1)

    def matrix(self, layer: Any) -> Tensor:
        """ΔW."""
        first = self.w1.reshape(*self.w1.shape, *[1] * (self.w2.dim() - 2))
        return self._own(torch.kron(first, self.w2.contiguous()), dim=0).reshape(layer.weight.shape)

    def _own(self, values: Tensor, *, dim: int) -> Tensor:
        if not self.rows:
            return values
        return torch.cat([values.narrow(dim, one.start, one.stop - one.start) for one in self.rows], dim)
