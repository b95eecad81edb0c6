"""Where the joints of a hand, or the marks of a face, are (Simon et al., arXiv 1704.07809): OpenPose's
networks of `hand_pose_model` and `facenet`, with the numbers that A1111's extension runs them by."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from easel.studio.engine.control.tensor_network import TensorNetwork

Point = tuple[int, int]
_STAGES = range(2, 7)
_CELL = 8
# Pixels of a side that a hand is looked at with, one after the other; of its maps; and of a face.
_HAND_SIDES, _MAP_SIDE, _FACE_SIDE = (184, 368, 552, 736), 128, 384
_JOINTS, _SURE, _BLUR, _BEFORE = 21, 0.05, 3.0, 0.8


class PartMaps(TensorNetwork):
    """Gives (1, parts, height / 8, width / 8): how sure it is that each is there."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Of (1, 3, height, width), blue, green, red, from -0.5 to 0.5."""
        hidden = pixels
        for block, layers in ((1, 2), (2, 2), (3, 4)):
            hidden = self._run(hidden, *(f"conv{block}_{number}" for number in range(1, layers + 1)))
            hidden = F.max_pool2d(hidden, 2)
        seen = self._run(
            hidden, "conv4_1", "conv4_2", "conv4_3", "conv4_4", "conv5_1", "conv5_2", "conv5_3_CPM"
        )
        found = self.conv("conv6_2_CPM", self._run(seen, "conv6_1_CPM"))
        for stage in _STAGES:
            names = [f"Mconv{number}_stage{stage}" for number in range(1, 7)]
            found = self.conv(f"Mconv7_stage{stage}", self._run(torch.cat([found, seen], dim=1), *names))
        return found

    def _run(self, hidden: Tensor, *names: str) -> Tensor:
        for name in names:
            hidden = F.relu(self.conv(name, hidden))
        return hidden


def hand_joints(network: PartMaps, hand: Tensor) -> list[Point | None]:
    """Of a square of a picture (1, 3, side, side), 0 to 1, the pixel of each of 21 joints."""
    from scipy import ndimage

    soft = ndimage.gaussian_filter(hand.numpy(), (0, 0, _BEFORE, _BEFORE), mode="mirror", radius=(0, 0, 3, 3))
    maps = torch.zeros(_JOINTS, _MAP_SIDE, _MAP_SIDE)
    for side in _HAND_SIDES:
        found = network(_seen(torch.from_numpy(soft), side))[:, :_JOINTS]
        fine = F.interpolate(found, scale_factor=_CELL, mode="bicubic")
        maps += F.interpolate(fine, (_MAP_SIDE, _MAP_SIDE), mode="area")[0] / len(_HAND_SIDES)
    scale = hand.shape[-1] / _MAP_SIDE
    peaks = [_peak(one) for one in maps.numpy()]
    return [None if one is None else (int(one[0] * scale), int(one[1] * scale)) for one in peaks]


def _peak(sure: NDArray[np.float32]) -> Point | None:
    """The surest place of the spot that is surest altogether."""
    from scipy import ndimage

    spots, count = ndimage.label(ndimage.gaussian_filter(sure, _BLUR) > _SURE, np.ones((3, 3)))
    if not count:
        return None
    best = int(np.argmax(ndimage.sum_labels(sure, spots, range(1, count + 1)))) + 1
    y, x = np.unravel_index(int(np.argmax(np.where(spots == best, sure, 0))), sure.shape)
    return int(x), int(y)


def face_marks(network: PartMaps, face: Tensor) -> list[Point]:
    """Of a square of a picture (1, 3, side, side), 0 to 1, the pixels of marks: what is surest in each map,
    the last of which says where no mark is, as in the extension."""
    size = face.shape[-2:]
    maps = F.interpolate(network(_seen(face, _FACE_SIDE)), size, mode="bilinear", align_corners=True)[0]
    sure, places = maps.flatten(1).max(dim=1)
    found = zip(sure.tolist(), places.tolist(), strict=True)
    return [(place % size[1], place // size[1]) for one, place in found if one > _SURE]


def _seen(square: Tensor, side: int) -> Tensor:
    """As the networks were shown pictures: blue first."""
    way = "bicubic" if side > square.shape[-1] else "area"
    return F.interpolate(square.flip(1), (side, side), mode=way).clamp(0, 1) * 255 / 256 - 0.5
