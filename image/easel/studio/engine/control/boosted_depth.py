"""LeReS++ (Miangoleh et al., "Boosting monocular depth estimation", CVPR 2021): LeReS sees a picture from
afar and from near, a second network merges the two (`latest_net_G`), and again for what is busy in it; as
A1111's extension runs it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from easel.studio.engine.control.annotator_networks import from_least_to_most
from easel.studio.engine.control.depth_patches import SEEN, look, patches
from easel.studio.engine.control.tensor_network import TensorNetwork

MERGED = 1024
"""Pixels along a side of what is merged."""
# A patch counts by a bell's shape: of a square of 3000 pixels, where it is whole, and its blur.
_BELL, _WHOLE, _SIGMA, _REACH = 3000, 450, 187, 374


class DepthMerging(TensorNetwork):
    """The U-Net of pix2pix (Isola et al., CVPR 2017) with ten levels and no norms, in its file's names: of
    what was seen from afar and from near, (1, 2, 1024, 1024), -1 to 1, it gives (1, 1, 1024, 1024)."""

    def forward(self, pixels: Tensor) -> Tensor:
        """See above."""
        inner = self._level("model.model.1.model", self.conv("model.model.0", pixels, 2, 1))
        return self.wider("model.model.3", F.relu(inner), 1).tanh()

    def probe(self, pixels: Tensor) -> None:
        """With numbers that are not there: sizes and names are all that it needs."""
        outline = type(self)({name: one.to("meta") for name, one in self._tensors.items()})
        outline.forward(torch.zeros(1, 2, MERGED, MERGED, device="meta"))
        self._used |= outline._used

    def _level(self, name: str, hidden: Tensor) -> Tensor:
        # what goes past the level goes through the nonlinearity too: it was trained in place
        hidden = F.leaky_relu(hidden, 0.2)
        inner = self.conv(f"{name}.1", hidden, 2, 1)
        last = not self.has(f"{name}.5.weight")
        if not last:
            inner = self._level(f"{name}.3.model", inner)
        return torch.cat([hidden, self.wider(f"{name}.{3 if last else 5}", F.relu(inner), 1)], dim=1)


class BoostedDepth:
    """Gives (height, width): the larger, the farther, 0 to 1."""

    def __init__(self, depth: Callable[[Tensor], Tensor], merging: DepthMerging) -> None:
        self._depth, self._merging = depth, merging

    def __call__(self, pixels: Tensor) -> Tensor:
        """Of (1, 3, height, width), 0 to 1."""
        pixels, size = (pixels * 255).round(), pixels.shape[2:]
        closer = look(pixels)
        seen = self._twice(pixels, closer.side)
        if max(size) < closer.side:
            return _enlarged(seen, size)
        longer = 2 * closer.side / max(size)
        fine = [round(round(side * longer) / closer.factor) for side in size]
        large = _enlarged(pixels[0], fine).round().clamp(0, 255)[None]
        scale = size[0] / fine[0]
        small = _enlarged(large[0], [round(side * scale) for side in fine]).round().clamp(0, 255)[None]
        whole = base = _enlarged(seen, small.shape[2:])
        for patch in patches(large, closer.factor):
            rows, columns = patch.scaled(scale)
            whole = self._refined(whole, base[rows, columns], small[:, :, rows, columns], (rows, columns))
        return _enlarged(whole, size)

    def _refined(self, whole: Tensor, base: Tensor, pixels: Tensor, place: tuple[slice, slice]) -> Tensor:
        """With what is seen of a patch from near in its place, on the scale of what was seen of the whole."""
        wanted = _enlarged(base, (MERGED, MERGED))
        found = (self._merged(wanted, self._twice(pixels, 2 * SEEN)) + 1) / 2
        # in single precision, as there: of a million numbers that vary little it takes the mean alone then
        fit, *_ = np.polyfit(found.numpy().ravel(), wanted.numpy().ravel(), deg=1, full=True)
        found = _enlarged(found * float(fit[0]) + float(fit[1]), base.shape)
        down, across = (_bell(side) for side in base.shape)
        weight = down[:, None] * across
        whole = whole.clone()
        whole[place] = whole[place] * (1 - weight) + found * weight
        return whole

    def _twice(self, pixels: Tensor, side: int) -> Tensor:
        """(1024, 1024), 0 to 1: what is seen of a picture from afar and, at `side` pixels, from near."""
        afar, near = (_enlarged(self._seen(pixels, one), (MERGED, MERGED)) for one in (SEEN, side))
        return from_least_to_most((self._merged(afar, near) + 1) / 2)

    def _seen(self, pixels: Tensor, side: int) -> Tensor:
        """As large as the picture, of what the network sees in a square of so many pixels."""
        square = F.interpolate(pixels, (side, side), mode="bilinear").round()
        return _enlarged(self._depth(square / 255), pixels.shape[2:])

    def _merged(self, afar: Tensor, near: Tensor) -> Tensor:
        both = torch.stack([from_least_to_most(one) for one in (afar, near)])[None]
        return self._merging(both * 2 - 1)[0, 0]


def _enlarged(found: Tensor, size: torch.Size | list[int] | tuple[int, int]) -> Tensor:
    """(..., height, width) at this size, by OpenCV's cubic, which smaller sizes get too."""
    rows = found[None, None] if found.dim() == 2 else found[None]
    made = F.interpolate(rows, tuple(size), mode="bicubic", align_corners=False)[0]
    return made[0] if found.dim() == 2 else made


def _bell(side: int) -> Tensor:
    """How much a patch counts along a side of so many pixels, 0 to 1."""
    whole = np.zeros(_BELL, np.float32)
    whole[_WHOLE : _BELL - _WHOLE] = 1
    soft = torch.from_numpy(ndimage.gaussian_filter1d(whole, _SIGMA, mode="mirror", radius=_REACH))
    return F.interpolate(soft[None, None], side, mode="linear")[0, 0]
