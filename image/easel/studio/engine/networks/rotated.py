"""OFT: W' = R·W, where R turns blocks of output channels (Qiu et al., arXiv 2306.07280).

kohya and LyCORIS write skew matrices Q in `oft_blocks`; R is their Cayley transform (1 + Q)(1 - Q)⁻¹, of
which all are orthogonal. COFT holds Q's length below alpha · out. As in both and A1111, a block of W is
multiplied with R's transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from easel.studio.engine.networks.layer import channels_last, parted, without_bias


@dataclass(frozen=True)
class Rotated:
    """`turn` is R - 1, (blocks, size, size); `rescale` is how long each row is then, less one."""

    turn: Tensor
    rescale: Tensor | None = None
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """(R - 1)·W·x."""
        before = channels_last(layer, without_bias(layer, output))
        blocks, size, _ = self.turn.shape
        turned = torch.einsum("knm,...kn->...km", self.turn, parted(before, blocks, size)).flatten(-2)
        if self.rescale is not None:
            turned = turned * (self.rescale + 1) + before * self.rescale
        return channels_last(layer, turned)


def cayley(blocks: Tensor, most: float) -> Tensor:
    """R of `oft_blocks`, float32. `most` is the most that Q may be long, 0 for any length."""
    skew = blocks.float() - blocks.float().transpose(-1, -2)
    if most > 0:
        skew = skew * (most / skew.norm().clamp(min=most))
    one = torch.eye(skew.shape[-1], device=skew.device)
    turns: Tensor = (one + skew) @ torch.linalg.inv(one - skew)
    return turns
