"""LeReS (Yin et al., CVPR 2021): how far things are, by a ResNeXt-101 and a decoder (`res101`), in the names
of its own file; as A1111's extension runs it."""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor

from easel.studio.engine.control.annotator_networks import normalized
from easel.studio.engine.control.tensor_network import TensorNetwork, twice

_ENCODER, _DECODER = "encoder_modules.encoder", "decoder_modules"


class LeresDepth(TensorNetwork):
    """Gives (height, width): the larger, the farther, in no unit."""

    def forward(self, pixels: Tensor) -> Tensor:
        """The picture is shown blue first and, beside means and deviations for 0 to 1, from 0 to 255: not
        what the network was trained with, but what the extension's maps are made by."""
        features = self._encoded(normalized(pixels.flip(1) * 255))
        hidden = self.conv(f"{_DECODER}.conv1", self._block(f"{_DECODER}.conv", features[3]))
        hidden = twice(hidden)
        for number in (2, 1, 0):
            name = f"{_DECODER}.ffm{number}"
            beside = self._block(f"{name}.ftb1", features[number])
            hidden = twice(self._block(f"{name}.ftb2", beside + hidden))
        last = f"{_DECODER}.outconv.adapt_conv"
        hidden = F.relu(self.norm(f"{last}.1", self.conv(f"{last}.0", hidden)))
        return twice(self.conv(f"{last}.3", hidden))[0, 0]

    def _encoded(self, hidden: Tensor) -> list[Tensor]:
        """What each of four stages makes of the picture."""
        hidden = F.relu(self.norm(f"{_ENCODER}.bn1", self.conv(f"{_ENCODER}.conv1", hidden, 2)))
        hidden = F.max_pool2d(hidden, 3, 2, 1)
        found = []
        for stage in range(1, 5):
            for number in count():
                name = f"{_ENCODER}.layer{stage}.{number}"
                if not self.has(f"{name}.conv1.weight"):
                    break
                hidden = self._bottleneck(name, hidden, 2 if stage > 1 and number == 0 else 1)
            found.append(hidden)
        return found

    def _bottleneck(self, name: str, before: Tensor, stride: int) -> Tensor:
        hidden = F.relu(self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", before)))
        hidden = F.relu(self.norm(f"{name}.bn2", self.conv(f"{name}.conv2", hidden, stride)))
        hidden = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", hidden))
        if self.has(f"{name}.downsample.0.weight"):
            beside = self.conv(f"{name}.downsample.0", before, stride)
            before = self.norm(f"{name}.downsample.1", beside)
        return F.relu(hidden + before)

    def _block(self, name: str, hidden: Tensor) -> Tensor:
        # the nonlinearity counts for both ways: it was trained in place
        hidden = F.relu(self.conv(f"{name}.conv1", hidden))
        inner = self.norm(f"{name}.conv_branch.2", self.conv(f"{name}.conv_branch.1", hidden))
        return F.relu(hidden + self.conv(f"{name}.conv_branch.4", F.relu(inner)))


def without_ends(depth: Tensor, near: float, background: float) -> Tensor:
    """Near is white, in bytes. What is nearer than `near` percent is taken for the nearest, and what is
    farther than all but `background` percent for the farthest."""
    least, most = depth.min(), depth.max()
    far = ((depth - least) / (most - least).clamp_min(1e-6) * 65535).floor() / 257
    far = far.round()
    if near:
        far = far * (far > int(near / 100 * 255))
    white = 255 - far
    if background:
        white = white * (white > int(background / 100 * 255))
    return white.to(torch.uint8)
