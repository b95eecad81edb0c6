"""Where faces are in a picture, with five points of each: SCRFD (Guo et al., arXiv 2105.04714) as InsightFace
publishes it (`det_10g.onnx` of buffalo_l, `scrfd_10g_bnkps.onnx` of antelopev2), with the numbers that its
own code runs it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from easel.studio.engine.control.onnx_network import OnnxNetwork
from easel.studio.engine.control.person_boxes import Box

_SIDE, _STRIDES = 640, (8, 16, 32)
_MEAN, _DEVIATION = 127.5, 128.0
# How sure it must be of a face, and how much of two boxes may be shared.
_SURE, _OVERLAP = 0.5, 0.4
# What is told of each place: how sure, four ways to the box's sides, ways to the points.
_WIDTHS = (1, 4, 10)


class FoundFace(NamedTuple):
    """A face: its box, its eyes, nose and corners of the mouth ((5, 2), the picture's left first), in
    pixels."""

    box: Box
    points: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Pixels of the box."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class FacePoints(OnnxNetwork):
    """Gives (places, 1), (places, 4) and (places, 10) for each of three strides, all of the first kind
    first."""

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """See OnnxNetwork."""
        height, width = self.size(_SIDE, _SIDE)
        found = self.run(np.zeros((1, 3, height, width), np.float32))
        shapes = [one.shape for one in found]
        widths = [one[-1] for one in shapes if one]
        if len(found) != len(_WIDTHS) * len(_STRIDES) or widths != [w for w in _WIDTHS for _ in _STRIDES]:
            raise ValueError(f"it gives {shapes} where faces with five points each are asked for")
        for number, stride in enumerate(_STRIDES):
            places = (height // stride) * (width // stride)
            rows = {found[number + kind * len(_STRIDES)].size // wide for kind, wide in enumerate(_WIDTHS)}
            if len(rows) != 1 or not places or rows.pop() % places:
                raise ValueError(f"it gives {shapes} for a picture of {width}x{height}")

    def faces(self, pixels: Tensor) -> list[FoundFace]:
        """Of (1, 3, height, width), bytes, the faces, the surest first."""
        from torchvision.ops import nms

        seen, ratio = self._seen(pixels)
        sure, boxes, points = (torch.from_numpy(one) for one in _told(self.run(seen), *seen.shape[-2:]))
        there = sure[:, 0] >= _SURE
        sure, boxes, points = sure[there, 0], boxes[there] / ratio, points[there] / ratio
        # a box of InsightFace's has its last pixel within
        kept = nms(boxes + torch.tensor([0.0, 0.0, 1.0, 1.0]), sure, _OVERLAP)
        found = (
            FoundFace((box[0], box[1], box[2], box[3]), np.array(five, np.float64).reshape(5, 2))
            for box, five in zip(boxes[kept].tolist(), points[kept].tolist(), strict=True)
        )
        # five points in one place, which only a damaged network tells of, cannot be turned to any other
        return [one for one in found if np.isfinite(one.points).all() and np.ptp(one.points, axis=0).any()]

    def _seen(self, pixels: Tensor) -> tuple[NDArray[np.float32], float]:
        """The picture at the left and at the top of a black one, and how much larger it is."""
        height, width = pixels.shape[-2:]
        high, wide = self.size(_SIDE, _SIDE)
        if height / width > high / wide:
            size = high, max(1, int(high / (height / width)))
        else:
            size = max(1, int(wide * (height / width))), wide
        small = F.interpolate(pixels, size, mode="bilinear", align_corners=False).float()
        whole = F.pad(small, (0, wide - size[1], 0, high - size[0]))
        seen: NDArray[np.float32] = ((whole - _MEAN) / _DEVIATION).numpy()
        return seen, size[0] / height


def _told(found: Sequence[NDArray[np.float32]], height: int, width: int) -> tuple[NDArray[np.float32], ...]:
    """How sure, boxes (left, top, right, bottom) and points of all places, in pixels of what was seen."""
    every: tuple[list[NDArray[np.float32]], ...] = ([], [], [])
    for number, stride in enumerate(_STRIDES):
        sure, sides, ways = (
            found[number + kind * len(_STRIDES)].reshape(-1, wide) for kind, wide in enumerate(_WIDTHS)
        )
        rows, columns = np.mgrid[: height // stride, : width // stride]
        places = (np.stack([columns, rows], axis=2).reshape(-1, 2) * stride).astype(np.float32)
        places = np.repeat(places, len(sure) // len(places), axis=0)
        sides, ways = sides * stride, ways * stride
        every[0].append(sure)
        every[1].append(np.concatenate([places - sides[:, :2], places + sides[:, 2:]], axis=1))
        every[2].append(np.tile(places, 5) + ways)
    return tuple(np.concatenate(one) for one in every)


def largest(faces: Sequence[FoundFace]) -> FoundFace | None:
    """The one that A1111's extension takes: of several the largest; None where there is none."""
    return max(faces, key=lambda one: one.area, default=None)
