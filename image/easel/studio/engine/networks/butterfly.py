"""BOFT: OFT in stages, each turning blocks of channels that lie further apart (Liu et al., arXiv 2311.06243).

Stage i takes channels 2ⁱ·size/2 apart into one block, as the butterflies of a fast Fourier transform do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from easel.studio.engine.networks.layer import channels_last, parted, without_bias


@dataclass(frozen=True)
class Butterfly:
    """`turns` is R of each stage, (stages, blocks, size, size); `rescale` how long each row is then."""

    turns: Tensor
    rescale: Tensor | None = None
    scale: float = 1.0

    def added(self, layer: Any, seen: Tensor, output: Tensor) -> Tensor:
        """(R - 1)·W·x."""
        before = channels_last(layer, without_bias(layer, output))
        turned = before
        for stage, turn in enumerate(self.turns):
            size = turn.shape[-1]
            apart = 2**stage * (size // 2)
            blocks = parted(turned, -1, 2, apart).transpose(-2, -1).flatten(-3)
            blocks = torch.einsum("kmn,...kn->...km", turn, parted(blocks, -1, size)).flatten(-2)
            turned = parted(blocks, -1, apart, 2).transpose(-2, -1).flatten(-3)
        if self.rescale is not None:
            turned = turned * self.rescale
        return channels_last(layer, turned - before)
