"""LoRA: ΔW = up · down, of low rank (Hu et al., arXiv 2106.09685); LoCon is the same for convolutions.

With a third matrix (LyCORIS, Yeh et al., arXiv 2309.14859, "CP" or "Tucker") a convolution is three: down to
the rank by single pixels, `mid` with the layer's own kernel within the rank, up by single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from easel.studio.engine.networks.layer import flat, pointwise, run, tucker


@dataclass(frozen=True)
class LowRank:
    """`down` is (rank, in, …) with the layer's kernel, or (rank, in) with a `mid`; `up` is (out, rank)."""

    down: Tensor
    up: Tensor
    scale: float
    mid: Tensor | None = None

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """up · down · x."""
        if not isinstance(layer, nn.Conv2d):
            return F.linear(F.linear(seen, self.down), self.up)
        if self.mid is None:
            low = run(layer, seen, self.down)
        else:
            low = run(layer, pointwise(layer, seen, self.down), self.mid)
        return pointwise(layer, low, self.up)

    def matrix(self, layer: Any) -> Tensor:
        """ΔW."""
        if self.mid is not None:
            return tucker(self.mid, self.up.T, self.down)
        return (self.up @ flat(self.down)).reshape(layer.weight.shape)

    def cut_to(self, rank: int) -> LowRank:
        """The first `rank` of its ranks, as A1111's `dyn` has it: the scale stays that of all."""
        if self.mid is not None:
            return self
        return replace(self, down=self.down[:rank], up=self.up[:, :rank])
