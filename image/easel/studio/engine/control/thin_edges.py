"""TEED (Soria et al., ICCV 2023 workshops; MIT): edges by a network of 58 thousand numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from easel.studio.engine.control.tensor_network import TensorNetwork


class ThinEdges(TensorNetwork):
    """Gives the map, 0 to 1, before it is cut into steps."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The picture is seen from 0 to 255."""
        size = pixels.shape[-2:]
        first = _smish(self._two("block_1", pixels * 255, 2))
        second = self._two("block_2", first)
        down = F.max_pool2d(second, 3, 2, 1)
        shortcut = self.conv("pre_dense_3.conv", down)
        dense = "dblock_3.denselayer1"
        hidden = _smish(self.conv(f"{dense}.conv1", _smish(down + self.conv("side_1.conv", first, 2)), 1, 2))
        third = (self.conv(f"{dense}.conv2", hidden, 1, 0) + shortcut) / 2
        said = [self._up("up_block_1", first), self._up("up_block_2", second), self._up("up_block_3", third)]
        said = [one if one.shape[-2:] == size else F.interpolate(one, size, mode="bilinear") for one in said]
        fused = self.conv("block_cat.DWconv1", _smish(torch.cat(said, dim=1)))
        fused = fused + self.conv("block_cat.DWconv2", _smish(fused))
        said.append(_smish(fused.sum(dim=1, keepdim=True)))
        return torch.cat(said, dim=1).mean(dim=1)[0].sigmoid()

    def _two(self, name: str, hidden: Tensor, stride: int = 1) -> Tensor:
        return self.conv(f"{name}.conv2", _smish(self.conv(f"{name}.conv1", hidden, stride)))

    def _up(self, name: str, hidden: Tensor) -> Tensor:
        """To the picture's size, each time by two: with kernels of two pixels, or of four."""
        number = 0
        while self.has(f"{name}.features.{number}.weight"):
            hidden = _smish(self.conv(f"{name}.features.{number}", hidden))
            side = self.tensor(f"{name}.features.{number + 2}.weight").shape[-1]
            hidden = self.wider(f"{name}.features.{number + 2}", hidden, side // 2 - 1)
            number += 3
        return hidden


def _smish(hidden: Tensor) -> Tensor:
    return hidden * torch.tanh(torch.log(1 + torch.sigmoid(hidden)))
