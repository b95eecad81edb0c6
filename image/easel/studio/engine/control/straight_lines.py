"""M-LSD (Gu et al., arXiv 2106.00186; NAVER's, Apache-2.0): straight lines. The large network, as its port to
PyTorch has it (`mlsd_large_512_fp32`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from easel.studio.engine.control.tensor_network import TensorNetwork, twice

# Blocks of MobileNetV2 that make the picture half as wide and high, and those whose output goes on.
_HALVE, _GO_ON = (2, 4, 7), (1, 3, 6, 10, 13)
_MOST_LINES, _NEIGHBOURS = 200, 3


class StraightLines(TensorNetwork):
    """Gives (1, 9, height/2, width/2): whether a line's middle is there, and where its two ends are."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The picture is seen from -1 to 1, beside a channel of ones, which was scaled along."""
        one = torch.full_like(pixels[:, :1], 1 / 127.5 - 1)
        seen = self._backbone(torch.cat([pixels * 2 - 1, one], dim=1))
        hidden = seen[-1]
        for number, beside in zip((15, 17, 19, 21), reversed(seen[:-1]), strict=True):
            first, second = f"block{number}", f"block{number + 1}"
            below, past = self._layer(f"{first}.conv1", hidden), self._layer(f"{first}.conv2", beside)
            if number != 15:  # the first two are of one size
                below = twice(below)
            hidden = torch.cat([past, below], dim=1)
            hidden = self._layer(f"{second}.conv2", self._layer(f"{second}.conv1", hidden) + hidden)
        hidden = self._layer("block23.conv2", self._layer("block23.conv1", hidden, dilation=5))
        return self.conv("block23.conv3", hidden)[:, 7:]

    def _backbone(self, hidden: Tensor) -> list[Tensor]:
        hidden = self._narrow("backbone.features.0", hidden, halve=True)
        found = []
        for number in range(1, _GO_ON[-1] + 1):
            name, before = f"backbone.features.{number}.conv", hidden
            layers = [0, 1] if self.has(f"{name}.1.0.weight") else [0]
            for layer in layers:
                halve = number in _HALVE and layer == layers[-1]
                hidden = self._narrow(f"{name}.{layer}", hidden, halve=halve)
            last = len(layers)
            hidden = self.norm(f"{name}.{last + 1}", self.conv(f"{name}.{last}", hidden))
            if hidden.shape == before.shape:
                hidden = hidden + before
            if number in _GO_ON:
                found.append(hidden)
        return found

    def _narrow(self, name: str, hidden: Tensor, *, halve: bool) -> Tensor:
        """MobileNet's convolution; TensorFlow Lite lays the border right and below where it halves."""
        if halve:
            hidden = self.conv(f"{name}.0", F.pad(hidden, (0, 1, 0, 1)), 2, 0)
        else:
            hidden = self.conv(f"{name}.0", hidden)
        return F.relu6(self.norm(f"{name}.1", hidden))

    def _layer(self, name: str, hidden: Tensor, dilation: int = 1) -> Tensor:
        return F.relu(self.norm(f"{name}.1", self.conv(f"{name}.0", hidden, dilation=dilation)))


def drawn_lines(found: Tensor, sure: float, long: float) -> Tensor:
    """White lines on black, (height, width), bytes, of which the network is as `sure` and that are as `long`,
    in cells of two pixels."""
    centre, ends = found[0, 0].sigmoid(), found[0, 1:5]
    height, width = centre.shape
    highest = F.max_pool2d(centre[None, None], _NEIGHBOURS, 1, _NEIGHBOURS // 2)[0, 0]
    scores, places = (centre * (highest == centre)).flatten().topk(min(_MOST_LINES, centre.numel()))
    canvas = Image.new("L", (2 * width, 2 * height))
    brush = ImageDraw.Draw(canvas)
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        y, x = divmod(place, width)
        x1, y1, x2, y2 = ends[:, y, x].tolist()
        if score > sure and ((x1 - x2) ** 2 + (y1 - y2) ** 2) ** 0.5 > long:
            brush.line([int(2 * one) for one in (x + x1, y + y1, x + x2, y + y2)], fill=255)
    return torch.from_numpy(np.asarray(canvas).copy())
